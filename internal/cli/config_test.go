package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/internal/cli/clitest"
	"github.com/strongroom/strongroom/policy/book"
)

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheExampleIsAConfiguration(t *testing.T) {
	path := writeConfig(t, cli.ExampleConfig)
	c, err := cli.LoadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(filepath.Dir(path), "genesis.cbor"); c.Genesis != want {
		t.Errorf("genesis: expected %s, relative to the file, found %s", want, c.Genesis)
	}
	if c.PassphraseFile != "" || len(c.Signers) != 2 {
		t.Errorf("expected no passphrase file and 2 signers, found %q and %d", c.PassphraseFile, len(c.Signers))
	}
}

func TestConfigurationsThatMakeNoSenseAreRefused(t *testing.T) {
	const least = "organisation = \"00\"\ngenesis = \"g\"\n"
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":                {"", "organisation, genesis"},
		"unknown key":            {least + "keys = \"x\"", `"keys"`},
		"two keys":               {least + "key = \"x\"\nagent = \"y\"", "key, agent"},
		"passphrase for no key":  {least + "passphrase_file = \"x\"", "passphrase_file"},
		"signer twice":           {least + strings.Repeat("[[signers]]\nname = \"a\"\naddress = \"b\"\n", 2), "signers[1]"},
		"signer without address": {least + "[[signers]]\nname = \"a\"\n", "signers[0]"},
	} {
		if _, err := cli.LoadConfig(writeConfig(t, tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: expected an error with %q, found %v", name, tt.want, err)
		}
	}
	o, err := clitest.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	stranger := "organisation = \"" + o.Charter.Organisation().String() + "\"\ngenesis = \"" + filepath.Join(o.Dir, "genesis.cbor") + "\"\n[[signers]]\nname = \"node-9\"\naddress = \"127.0.0.1:1\"\n"
	app := &cli.App{ConfigFile: writeConfig(t, stranger), Offline: true}
	if _, err := app.Connect(t.Context()); err == nil || !strings.Contains(err.Error(), "node-9") {
		t.Errorf("expected a signer that the charter does not name to be refused, found %v", err)
	}
}

func FuzzDecodeProof(f *testing.F) {
	o, err := clitest.New(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	request, err := o.Request(noon, "r", "btc-hot", clitest.Pay{To: known, Amount: "1 BTC"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(o.Proof(request, 0))
	f.Add([]byte{0xa0})
	f.Add([]byte("\xa3\x01\x41\x00\x02\x00\x03\x9b\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := cli.DecodeProof(b)
		if err != nil {
			return
		}
		// What leads to the root is one of the two entries of the book, however it was encoded.
		if e, err := book.Of(o.Charter).Check(o.Charter, p); err == nil && e.Label != "Fund A at Exchange X" && e.Label != "Fund A, self-hosted" {
			t.Errorf("expected an entry of the book, found %q", e.Label)
		}
	})
}
