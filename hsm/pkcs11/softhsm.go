package pkcs11

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/strongroom/strongroom/hsm"
)

// SoftHSMConf is the environment variable that names SoftHSM's configuration file.
const SoftHSMConf = "SOFTHSM2_CONF"

// softHSMPlaces is where distributions and a build from source put the module.
var softHSMPlaces = []string{
	"/usr/lib/softhsm/libsofthsm2.so",
	"/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
	"/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
	"/usr/lib64/softhsm/libsofthsm2.so",
	"/usr/lib64/pkcs11/libsofthsm2.so",
	"/usr/lib/pkcs11/libsofthsm2.so",
	"/usr/local/lib/softhsm/libsofthsm2.so",
	"/opt/homebrew/lib/softhsm/libsofthsm2.so",
}

// FindModule finds SoftHSM's module for tests and a devnet. A deployment names its module in its configuration.
func FindModule() (string, error) {
	return firstFile(softHSMPlaces)
}

func firstFile(places []string) (string, error) {
	for _, path := range places {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", fmt.Errorf("pkcs11: %w: SoftHSM (Debian: apt-get install softhsm2) is in none of %s", hsm.ErrNoModule, strings.Join(places, ", "))
}

// WriteSoftHSMConf makes dir, which no other user can enter, with a directory for SoftHSM's tokens and a configuration file
// that leads to it, and returns the file's path: the value for SOFTHSM2_CONF. Existing tokens stay.
func WriteSoftHSMConf(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if strings.ContainsAny(abs, "\r\n#") {
		return "", argument("SoftHSM directory", "a path that its configuration can hold", fmt.Sprintf("%q", abs))
	}
	tokens := filepath.Join(abs, "tokens")
	if err := os.MkdirAll(tokens, 0o700); err != nil {
		return "", err
	}
	conf := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n"+
		"slots.removable = false\nlibrary.reset_on_fork = true\n", tokens)
	path := filepath.Join(abs, "softhsm2.conf")
	return path, os.WriteFile(path, []byte(conf), 0o600)
}
