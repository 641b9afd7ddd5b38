package hsmtest

import (
	"os"
	"testing"
)

// spyPlaces is where OpenSC's pkcs11-spy lies, a module that logs every call and passes it on to another one.
var spyPlaces = []string{
	"/usr/lib/x86_64-linux-gnu/pkcs11-spy.so",
	"/usr/lib/x86_64-linux-gnu/pkcs11/pkcs11-spy.so",
	"/usr/lib/aarch64-linux-gnu/pkcs11-spy.so",
	"/usr/lib64/pkcs11-spy.so",
	"/usr/lib64/pkcs11/pkcs11-spy.so",
}

// Spy returns the path of pkcs11-spy. It reads PKCS11SPY, the module behind it, and PKCS11SPY_OUTPUT, its log, once in a process. The log shows PINs.
func Spy(t testing.TB) string {
	t.Helper()
	for _, path := range spyPlaces {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	t.Fatalf("this test needs pkcs11-spy (Debian: apt-get install opensc): none of %v", spyPlaces)
	return ""
}
