//go:build !cgo

package pybridge

import (
	"context"
	"errors"
	"testing"
)

func TestEmbeddedUnavailable(t *testing.T) {
	if _, err := StartEmbedded(context.Background(), Options{}); !errors.Is(err, ErrUnavailable) || EmbeddedAvailable {
		t.Errorf("StartEmbedded = %v, available %v; want ErrUnavailable", err, EmbeddedAvailable)
	}
}
