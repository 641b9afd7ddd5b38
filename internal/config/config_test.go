package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadIsStrict(t *testing.T) {
	var v struct {
		Listen string `toml:"listen"`
	}
	hash, err := Load(write(t, "listen = \"x\"\n", 0o644), &v)
	if err != nil || v.Listen != "x" {
		t.Fatalf("expected x, found %q, %v", v.Listen, err)
	}
	// printf 'listen = "x"\n' | sha256sum
	if want := "07f611d26b326726e17cad0c3f0db25ca6995eabca7d26d84973995a103bfd69"; hash != want {
		t.Errorf("hash: expected %s, found %s", want, hash)
	}
	for name, text := range map[string]string{
		`"lisen"`: "lisen = \"x\"",
		"size":    "# " + strings.Repeat("x", maxFile),
		"line 1":  "listen = ",
	} {
		if _, err := Load(write(t, text, 0o644), &v); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("expected an error with %s, found %v", name, err)
		}
	}
}

func TestSecretRefusesFilesThatOthersCanRead(t *testing.T) {
	b, err := Secret(write(t, "1234\n", 0o600))
	if err != nil || string(b) != "1234" {
		t.Fatalf("expected 1234, found %q, %v", b, err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660, 0o610} {
		_, err := Secret(write(t, "1234", mode))
		if err == nil || strings.Contains(err.Error(), "1234") {
			t.Errorf("mode %04o: expected a refusal without the secret, found %v", mode, err)
		}
	}
	for name, path := range map[string]string{
		"directory": t.TempDir(),
		"empty":     write(t, "\n", 0o600),
		"large":     write(t, strings.Repeat("x", maxSecret+1), 0o600),
		"missing":   filepath.Join(t.TempDir(), "none"),
	} {
		if _, err := Secret(path); err == nil {
			t.Errorf("%s: expected an error, found none", name)
		}
	}
}
