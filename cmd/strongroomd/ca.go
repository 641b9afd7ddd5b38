package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/strongroom/strongroom/internal/coordinator"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
)

type caCommands struct {
	Init  caInit  `cmd:"" help:"Make a CA for the clients of one organisation's coordinators."`
	Issue caIssue `cmd:"" help:"Issue a client certificate for somebody's public key."`
}

const (
	caKeyFile  = "ca.key"
	caCertFile = "ca.pem"
)

type caInit struct {
	Organisation string        `required:"" help:"The organisation's id: the digest of its genesis."`
	Dir          string        `required:"" type:"path" help:"Directory for ca.key (mode 0600) and ca.pem; made with mode 0700."`
	For          time.Duration `default:"87600h" help:"Life of the CA."`
}

// Run makes the key before the certificate: a certificate without key would look complete.
func (c caInit) Run() error {
	organisation, err := canon.ParseDigest(c.Organisation)
	if err != nil {
		return fmt.Errorf("organisation: %w", err)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	key, err := newKey(filepath.Join(c.Dir, caKeyFile))
	if err != nil {
		return err
	}
	now := time.Now()
	der, err := rpc.NewCA(organisation, key, now.Add(-clockSkew), now.Add(c.For))
	if err != nil {
		return err
	}
	return writeNew(filepath.Join(c.Dir, caCertFile), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}

// clockSkew lets a certificate be used at once on a machine whose clock is behind.
const clockSkew = 5 * time.Minute

type caIssue struct {
	Organisation string        `required:"" help:"The organisation's id."`
	Dir          string        `required:"" type:"existingdir" help:"Directory of the CA."`
	Role         string        `required:"" enum:"custodian,officer,auditor,operator" help:"Role: custodian, officer, auditor or operator."`
	Name         string        `required:"" help:"Name of the client, officer, auditor or operator."`
	PublicKey    string        `help:"Ed25519 public key in hexadecimal." xor:"whose" required:""`
	CSR          string        `name:"csr" type:"existingfile" help:"PEM of a certificate request (PKCS#10) with the key; nothing else of it is used." xor:"whose" required:""`
	For          time.Duration `default:"8760h" help:"Life of the certificate."`
	Out          string        `required:"" type:"path" help:"File to write the certificate to; it must not exist."`
}

// Run issues for a key that the CA never sees the private half of.
func (c caIssue) Run() error {
	organisation, err := canon.ParseDigest(c.Organisation)
	if err != nil {
		return fmt.Errorf("organisation: %w", err)
	}
	public, err := c.key()
	if err != nil {
		return err
	}
	key, err := coordinator.LoadKey(filepath.Join(c.Dir, caKeyFile))
	if err != nil {
		return err
	}
	ca, err := loadCertificate(filepath.Join(c.Dir, caCertFile))
	if err != nil {
		return err
	}
	now := time.Now()
	grant := rpc.Grant{Organisation: organisation, Role: rpc.Role(c.Role), Name: canon.Name(c.Name)}
	der, err := rpc.Issue(ca, key, public, grant, now.Add(-clockSkew), now.Add(c.For))
	if err != nil {
		return err
	}
	return writeNew(c.Out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}

// key takes the public key from the flag, or from a request that proves possession by its own signature.
func (c caIssue) key() (ed25519.PublicKey, error) {
	if c.CSR == "" {
		k, err := canon.ParsePublicKey(c.PublicKey)
		return k[:], err
	}
	text, err := os.ReadFile(c.CSR)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("csr: expected PEM of type CERTIFICATE REQUEST, found none")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("csr: %w", err)
	}
	if err := request.CheckSignature(); err != nil {
		return nil, fmt.Errorf("csr: %w", err)
	}
	public, ok := request.PublicKey.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("csr: key: expected Ed25519, found %s", request.PublicKeyAlgorithm)
	}
	return public, nil
}

func loadCertificate(path string) (*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s: expected PEM of type CERTIFICATE, found none", path)
	}
	return x509.ParseCertificate(block.Bytes)
}
