package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"

	"github.com/strongroom/strongroom/internal/coordinator"
	"github.com/strongroom/strongroom/proto/canon"
)

// writeNew writes a file that must not exist yet, and leaves none behind that is incomplete.
func writeNew(path string, content []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		_ = os.Remove(path)
	}
	return err
}

// newKey writes a fresh Ed25519 key, PKCS#8 in PEM, for its owner's eyes.
func newKey(path string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writeNew(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

type keyCommand struct {
	Out string `required:"" type:"path" help:"File to write the private key to, mode 0600; it must not exist."`
}

// Run prints the public key in hexadecimal, as the genesis wants it.
func (c keyCommand) Run() error {
	key, err := newKey(c.Out)
	if err != nil {
		return err
	}
	fmt.Println(canon.PublicKey(key.Public().(ed25519.PublicKey)))
	return nil
}

type configCommand struct{}

// Run prints the example.
func (configCommand) Run() error {
	_, err := fmt.Print(coordinator.ExampleConfig)
	return err
}
