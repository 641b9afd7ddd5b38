package main

import (
	"crypto/sha256"
	"testing"
	"unsafe"

	"github.com/strongroom/strongroom/policy/guard"
)

// If the guard's digest changes, the attack has to as well.
func TestMintedDigestPassesForTheGuards(t *testing.T) {
	want := sha256.Sum256([]byte("whatever the attacker likes"))
	if size := unsafe.Sizeof(guard.Digest{}); size != 33 {
		t.Fatalf("expected a digest of 33 bytes, found %d", size)
	}
	got, err := mint(want).Bytes()
	if err != nil || got != want {
		t.Errorf("expected %x, found %x (%v)", want, got, err)
	}
}
