// Command digest reads what sections of ./test printed, and prints what failed in it: for
// each failed test its name and what it said, without the logs of the servers that it
// started. A section that failed without a failed test is shown by its last lines.
//
//	go run ./tests/digest .cache/sections/unit.log ...
package main

import (
	"fmt"
	"os"
)

// maxLines is how long the digest of a whole run may be.
const maxLines = 60

func main() {
	var all []string
	for _, name := range os.Args[1:] {
		text, err := os.ReadFile(name)
		if err != nil {
			fmt.Fprintln(os.Stderr, "digest:", err)
			os.Exit(1)
		}
		all = append(all, digest(string(text))...)
	}
	for _, line := range fit(all, maxLines) {
		fmt.Println(line)
	}
}
