//go:build !unix

package tlsauth

import "io/fs"

func inodeOf(fs.FileInfo) any { return nil }
