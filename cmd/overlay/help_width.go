package main

import (
	"io"
	"os"
	"strconv"
)

// defaultWidth is that of a terminal, and of a file, which has no width.
const defaultWidth = 80

// terminalWidth returns the width of lines for w in characters: what $COLUMNS
// says, else the width of the terminal that w is, else defaultWidth.
func terminalWidth(w io.Writer) int {
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	if file, ok := w.(*os.File); ok {
		if n := windowWidth(file); n > 0 {
			return n
		}
	}
	return defaultWidth
}
