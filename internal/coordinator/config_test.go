package coordinator

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
)

func TestAuthoritiesInTheConfigurationArePinnedOneWay(t *testing.T) {
	const key, roots = `tls_key = "0000000000000000000000000000000000000000000000000000000000000001"`, `roots_file = ""`
	second := "[[authorities]]\nname = \"screening\"\naddress = \"b:1\"\n" + key + "\n\n[[bitcoin]]"
	tests := map[string]struct{ old, replacement, want string }{
		"as it is":   {"", "", ""},
		"by roots":   {key + " # Ed25519 key that its server must have, in hexadecimal\n" + roots, `roots_file = "roots.pem"`, ""},
		"both":       {roots, `roots_file = "roots.pem"`, "either tls_key or roots_file"},
		"neither":    {key, `tls_key = ""`, "either tls_key or roots_file"},
		"no address": {`address = "screening.example:7600"`, `address = ""`, "an address"},
		"twice":      {"[[bitcoin]]", second, "screening twice"},
	}
	for name, tt := range tests {
		text := ExampleConfig
		if tt.old != "" {
			if text = strings.Replace(ExampleConfig, tt.old, tt.replacement, 1); text == ExampleConfig {
				t.Fatalf("%s: expected the example to have %q", name, tt.old)
			}
		}
		path := filepath.Join(t.TempDir(), "strongroomd.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, _, err := LoadConfig(path)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: expected %q, found %v", name, tt.want, err)
		}
		if err == nil && (len(c.Authorities) != 1 || c.Authorities[0].RootsFile != "" && !filepath.IsAbs(c.Authorities[0].RootsFile)) {
			t.Errorf("%s: expected one authority with an absolute path, found %+v", name, c.Authorities)
		}
	}
}

func TestAnAuthoritysServerIsKnownByKeyOrRoots(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := rpc.Certificate(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ca, err := rpc.NewCA(canon.Digest{1}, key, time.Now(), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	roots, empty := write("roots.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca})), write("empty.pem", []byte(rand.Text()))
	pinned, err := AuthorityConfig{Name: "a", Address: "a.example:1", TLSKey: public(key).String()}.TLS(certificate)
	if err != nil || pinned.VerifyConnection == nil {
		t.Errorf("expected a pinned key, found %v", err)
	}
	named, err := AuthorityConfig{Name: "a", Address: "a.example:1", RootsFile: roots}.TLS(certificate)
	if err != nil || named.ServerName != "a.example" || named.RootCAs == nil || named.InsecureSkipVerify {
		t.Errorf("expected a certificate for a.example by the roots, found %+v, %v", named, err)
	}
	for name, bad := range map[string]AuthorityConfig{
		"key": {Name: "a", TLSKey: "12"}, "no file": {Name: "a", RootsFile: filepath.Join(dir, "none")}, "empty": {Name: "a", Address: "a:1", RootsFile: empty},
		"no port": {Name: "a", Address: "a", RootsFile: roots},
	} {
		if _, err := bad.TLS(certificate); err == nil || !strings.Contains(err.Error(), "authority a") {
			t.Errorf("%s: expected an error that names the authority, found %v", name, err)
		}
	}
}
