//go:build !unix

package main

import "os"

// windowWidth knows no terminals here.
func windowWidth(*os.File) int { return 0 }
