//go:build cgo && !race && !asan

package pybridge

// underSanitizer says that the memory of the process is mostly the sanitizer's.
const underSanitizer = false
