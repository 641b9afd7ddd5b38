package config

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
)

// Ed25519Key reads a private key, PKCS#8 in PEM, from a file that only its owner can read.
func Ed25519Key(path string) (ed25519.PrivateKey, error) {
	b, err := Secret(path)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	block, rest := pem.Decode(b)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) > 0 {
		return nil, fmt.Errorf("key: %s: expected one PEM block PRIVATE KEY, found another content", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		// What the parser quotes may be of the key.
		return nil, fmt.Errorf("key: %s: expected a PKCS#8 key, found other bytes", path)
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("key: %s: expected an Ed25519 key, found %T", path, key)
	}
	return private, nil
}
