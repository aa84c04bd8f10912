// Package tests holds what is tested from outside of every package: the layout
// of the repository (layout_test.go), the program as its users run it (e2e), its
// command line (scripts), and what it is measured with (bench). The WSGI
// applications that tests run are in apps; requirements.txt locks the Python
// packages they use, and python-envs installs those for each interpreter found.
package tests
