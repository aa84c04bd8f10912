// Package e2e runs the program as its users do: built once, started with a
// document root and real applications, driven over HTTP, killed and stopped.
//
// Each test that runs an application does so with every interpreter that
// tests/python-envs prepared; the list of them is printed at the end. Without
// any, the tests skip, unless OVERLAY_TEST_REQUIRED is set, as ./test does.
package e2e
