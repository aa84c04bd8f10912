package static

import "fmt"

// OptionError says that a field of Options cannot be served with.
type OptionError struct {
	Option string // name of the field
	Err    error
}

func (e *OptionError) Error() string { return e.Option + ": " + e.Err.Error() }
func (e *OptionError) Unwrap() error { return e.Err }

// optionError returns an OptionError.
func optionError(option, format string, args ...any) error {
	return &OptionError{option, fmt.Errorf(format, args...)}
}

// Check returns the error that New would return for o. It opens what o names, and
// closes it again; nothing stays. What peers need is not tried.
func Check(o Options) error {
	h := new(Handler)
	err := h.prepare(o)
	h.closeTrees()
	return err
}

// prepare checks o and opens the trees.
func (h *Handler) prepare(o Options) (err error) {
	if o, err = o.withDefaults(); err != nil {
		return err
	}
	h.opts, h.types = o, newMediaTypes()
	if h.hider, err = newHider(o.Hide, o.HideSource); err != nil {
		return &OptionError{"Hide", err}
	}
	if h.rules, err = newCacheRules(o.CacheControl); err != nil {
		return &OptionError{"CacheControl", err}
	}
	if h.extra, err = newResponseFields(&o); err != nil {
		return err
	}
	if o.MIMETypes != "" {
		if err := h.types.readFile(o.MIMETypes); err != nil {
			return &OptionError{"MIMETypes", err}
		}
	}
	if h.trees, err = h.opts.openTrees(); err != nil {
		return err
	}
	return h.checkPaths()
}
