package cli_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/internal/cli"
)

// described is a token that only describes itself: of certificates that expired and keys that a token refuses to make no real one tells.
type described struct {
	hsm.Token
	inventory hsm.Inventory
	closed    bool
}

func (d *described) Inventory(context.Context) (hsm.Inventory, error) { return d.inventory, nil }

func (d *described) Close() error {
	d.closed = true
	return nil
}

func describedToken() *described {
	ulong := func(n uint64) []byte { return binary.NativeEndian.AppendUint64(nil, n) }
	key := func(label string, extractable byte) hsm.KeyInfo {
		return hsm.KeyInfo{Label: label, ID: []byte(label[:2]), Kind: "secp256k1", Public: bytes.Repeat([]byte{2, label[0]}, 17)[:33], Attributes: []hsm.Attribute{
			{Name: "CKA_CLASS", Value: ulong(3)}, {Name: "CKA_TOKEN", Value: []byte{1}}, {Name: "CKA_SENSITIVE", Value: []byte{1}},
			{Name: "CKA_EXTRACTABLE", Value: []byte{extractable}}, {Name: "CKA_KEY_GEN_MECHANISM", Value: ulong(0x1040)}, {Name: "CKA_EC_POINT", Value: []byte(label)},
		}}
	}
	weak := key("weak", 1)
	weak.Refused = "CKA_EXTRACTABLE: expected false, found true"
	return &described{inventory: hsm.Inventory{
		Info:    hsm.Info{Label: "vault", Serial: "0011", Manufacturer: "Example", Model: "Example HSM 9", Hardware: "1.0", Firmware: "7.2"},
		Library: "Example, PKCS#11, version 2.1, cryptoki 2.40", Sessions: 64,
		Keys: []hsm.KeyInfo{key("btc-cold/acme-main/0/0", 0), key("btc-cold/acme-main/0/1", 0), weak},
	}}
}

func TestInventoriesShowKeysAndCertificates(t *testing.T) {
	t.Parallel()
	const certificate = "[[certificates]]\nmodel = \"Example HSM 9\"\nfirmware = \"7.2\"\nstandard = \"FIPS 140-3, level 3\"\ncertificate = \"4000\"\nurl = \"https://example.com/4000\"\n"
	at := func(day string) string { return certificate + "expires = \"" + day + "\"\n" }
	for _, tt := range []struct {
		name, file string
		keep       int // of the keys
		want       string
		sound      bool
	}{
		{"in force on its last day", at("2026-06-01"), 2, "until 2026-06-01", true},
		{"no file", "", 2, "not checked", true},
		{"expired", at("2026-05-31"), 2, "EXPIRED on 2026-05-31", false},
		{"of another firmware", strings.Replace(at("2030-01-01"), "7.2", "7.1", 1), 2, "MISSING", false},
		{"of another manufacturer", at("2030-01-01") + "manufacturer = \"Other\"\n", 2, "MISSING", false},
		{"one of two expired", at("2030-01-01") + strings.Replace(at("2020-01-01"), "4000", "3999", 1), 2, "EXPIRED on 2020-01-01", false},
		{"a key that can leave", at("2030-01-01"), 3, "NOT AS IT SHOULD BE", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, token := &bytes.Buffer{}, describedToken()
			token.inventory.Keys = token.inventory.Keys[:tt.keep]
			app := &cli.App{Out: out, Now: func() time.Time { return noon }}
			path := ""
			if tt.file != "" {
				path = filepath.Join(t.TempDir(), "certificates.toml")
				if err := os.WriteFile(path, []byte(tt.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := app.Inventory(t.Context(), func(context.Context) (hsm.Token, error) { return token, nil }, path)
			if errors.Is(err, cli.ErrUnsound) == tt.sound || tt.sound != (cli.ExitCode(err) == cli.ExitOK) || !tt.sound && cli.ExitCode(err) != cli.ExitBreached {
				t.Errorf("expected sound %t, found %v", tt.sound, err)
			}
			if !strings.Contains(out.String(), tt.want) || !token.closed {
				t.Errorf("expected %q and the token closed, found %t and %s", tt.want, token.closed, out)
			}
			if tt.name != "a key that can leave" {
				return
			}
			golden(t, "inventory.txt", out.String())
			out.Reset()
			app.JSON = true
			if err := app.Inventory(t.Context(), func(context.Context) (hsm.Token, error) { return token, nil }, path); !errors.Is(err, cli.ErrUnsound) {
				t.Error(err)
			}
			golden(t, "inventory.json", out.String())
		})
	}
}

func TestFilesOfCertificatesAreStrict(t *testing.T) {
	t.Parallel()
	for name, change := range map[string][2]string{
		"no model":        {`model = "Example HSM 9"`, `model = ""`},
		"no day":          {"2029-09-10", "soon"},
		"unknown key":     {"standard =", "level = 3\nstandard ="},
		"no https":        {"https://", "http://"},
		"not even a host": {"https://csrc.nist.gov/", "https:/"},
	} {
		path := filepath.Join(t.TempDir(), "certificates.toml")
		text := strings.Replace(cli.ExampleCertificates, change[0], change[1], 1)
		if text == cli.ExampleCertificates {
			t.Fatalf("%s: expected %q in the example", name, change[0])
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		opened := false
		app := &cli.App{Out: &bytes.Buffer{}, Now: func() time.Time { return noon }}
		err := app.Inventory(t.Context(), func(context.Context) (hsm.Token, error) {
			opened = true
			return describedToken(), nil
		}, path)
		if err == nil || opened {
			t.Errorf("%s: expected an error before the token is opened, found %v", name, err)
		}
	}
}
