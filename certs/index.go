package certs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Kind is what a certificate is for.
type Kind string

const (
	Server Kind = "server"
	Client Kind = "client"
)

// Record is one certificate that was issued.
type Record struct {
	Name    string    `json:"name"` // of its files, without the ending
	Kind    Kind      `json:"kind"`
	Serial  string    `json:"serial"` // hexadecimal
	SHA256  string    `json:"sha256"` // fingerprint, hexadecimal
	Hosts   []string  `json:"hosts,omitempty"`
	Begins  time.Time `json:"not_before"`
	Expires time.Time `json:"not_after"`
	Revoked time.Time `json:"revoked,omitzero"` // zero: it is not
	// Replaced says that a newer certificate has its name and its files.
	Replaced bool `json:"replaced,omitempty"`
}

// Life is the lifetime that the certificate was asked for with.
func (r Record) Life() time.Duration { return r.Expires.Sub(r.Begins) - clockSkew }

// index is the file index.json.
type index struct {
	ListNumber   int64    `json:"crl_number"` // of ca.crl
	Certificates []Record `json:"certificates"`
}

func (a *Authority) indexFile() string { return filepath.Join(a.dir, "index.json") }

func (a *Authority) readIndex() (*index, error) {
	text, err := os.ReadFile(a.indexFile())
	if errors.Is(err, fs.ErrNotExist) {
		return &index{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the index: %w", err)
	}
	x := &index{}
	if err := json.Unmarshal(text, x); err != nil {
		return nil, fmt.Errorf("read the index %s: %w", a.indexFile(), err)
	}
	return x, nil
}

func (a *Authority) writeIndex(x *index) error {
	text, err := json.MarshalIndent(x, "", "  ")
	if err == nil {
		err = writeFile(a.indexFile(), append(text, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("write the index: %w", err)
	}
	return nil
}

// current returns the record whose files are there under name, nil if there is none.
func (x *index) current(name string) *Record {
	for i := range x.Certificates {
		if r := &x.Certificates[i]; r.Name == name && !r.Replaced {
			return r
		}
	}
	return nil
}

// List returns every certificate that was issued, the newest last.
func (a *Authority) List() ([]Record, error) {
	x, err := a.readIndex()
	if err != nil {
		return nil, err
	}
	return slices.Clone(x.Certificates), nil
}
