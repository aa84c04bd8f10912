// Package workerapi tests what an application gets from `import overlay` and
// `import mod_wsgi` (docs/python-api.md): over worker processes and embedded
// mode, with each interpreter that tests/python-envs has prepared, or else the
// one on PATH.
//
// The applications in apps answer in JSON. watched.py subscribes while it is
// loaded, as monitoring does; quiet.py asks for nothing before a request says so.
package workerapi
