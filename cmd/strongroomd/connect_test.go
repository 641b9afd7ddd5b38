package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"log/slog"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
)

func TestSignersAreConnectedToByTheirAddresses(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := rpc.Certificate(key)
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{log: slog.New(slog.DiscardHandler)}
	defer d.close()
	connect := d.connector(certificate, map[canon.Name]string{"node-1": "127.0.0.1:1"})
	got, err := connect(canon.Signer{Name: "node-1", Identity: canon.PublicKey(key.Public().(ed25519.PublicKey))})
	if err != nil || got.Client == nil || got.Charters == nil || got.Wake == nil {
		t.Errorf("expected a connection that is not waited for, found %v, %v", got, err)
	}
	if _, err := connect(canon.Signer{Name: "node-2"}); err == nil || !strings.Contains(err.Error(), "address in the configuration") {
		t.Errorf("expected that the address is missing, found %v", err)
	}
	if len(d.closers) != 1 {
		t.Errorf("expected one connection to close, found %d", len(d.closers))
	}
}
