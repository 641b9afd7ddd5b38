//go:build cgo

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/hsmtest"
	"github.com/strongroom/strongroom/hsm/pkcs11"
	"github.com/strongroom/strongroom/internal/cli"
)

// inventoried runs the command on a token and returns what it printed.
func inventoried(t *testing.T, c hsmInventory) (cli.InventoryView, error) {
	t.Helper()
	var out bytes.Buffer
	err := c.Run(t.Context(), &cli.App{Out: &out, JSON: true, Now: time.Now})
	var v cli.InventoryView
	if out.Len() > 0 {
		if err := json.Unmarshal(out.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
	}
	return v, err
}

func TestInventoryOfARealToken(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	token, err := pkcs11.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, err = token.CreateECDSA(t.Context(), "btc-cold/acme-main/0/0", hsm.KeyClass{})
	if err = errors.Join(err, token.Close()); err != nil {
		t.Fatal(err)
	}
	pin := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(pin, append(bytes.Clone(cfg.PIN), '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	c := hsmInventory{Module: cfg.Module, Label: cfg.TokenLabel, Serial: cfg.Serial, PINFile: pin}
	v, err := inventoried(t, c)
	if err != nil || v.Serial != cfg.Serial || v.Model == "" || v.CertificatesChecked {
		t.Fatalf("expected the token, found %+v, %v", v, err)
	}
	found := map[string]string{}
	for _, k := range v.Keys {
		if k.Label == "btc-cold/acme-main/0/0" && k.Refused == "" && len(k.Public) == 66 {
			for _, a := range k.Attributes {
				found[a.Name] = a.Value
			}
		}
	}
	if found["CKA_SENSITIVE"] != "yes" || found["CKA_EXTRACTABLE"] != "no" || found["CKA_VALUE"] != "" {
		t.Errorf("expected the key with its attributes and without its value, found %v", found)
	}
	// SoftHSM has no certificate, whatever a file says of other models; and none is not one.
	c.Certificates = filepath.Join(t.TempDir(), "certificates.toml")
	if err := os.WriteFile(c.Certificates, []byte(cli.ExampleCertificates), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := inventoried(t, c); cli.ExitCode(err) != cli.ExitBreached || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("expected exit code 2 for want of a certificate, found %v", err)
	}
	if err := os.Chmod(pin, 0o644); err != nil {
		t.Fatal(err)
	}
	if v, err := inventoried(t, c); err == nil || v.Serial != "" {
		t.Errorf("expected a PIN that others can read to be refused, found %v", v)
	}
}
