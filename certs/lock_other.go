//go:build !unix

package certs

// lock does nothing here: two commands at once are left to their user.
func lock(string) (unlock func(), err error) { return func() {}, nil }
