package charter

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"testing"

	"github.com/strongroom/strongroom/proto/canon"
	"golang.org/x/crypto/ssh"
)

func sshKey(t *testing.T, key any) []byte {
	t.Helper()
	public, err := ssh.NewPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return public.Marshal()
}

func skKey(key []byte, application string) []byte {
	return ssh.Marshal(struct{ Type, Key, Application string }{ssh.KeyAlgoSKED25519, string(key), application})
}

func TestParseOfficerKeyTakesFiveTypesInOneEncoding(t *testing.T) {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	long, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	short, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	plain := sshKey(t, public)
	point, err := p256.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	skEC := ssh.Marshal(struct{ Type, Curve, Point, Application string }{ssh.KeyAlgoSKECDSA256, "nistp256", string(point), "ssh:work"})
	for _, tt := range []struct {
		name string
		wire []byte
		ok   bool
	}{
		{"ed25519", plain, true},
		{"p256", sshKey(t, &p256.PublicKey), true},
		{"sk ed25519", skKey(public, "ssh:"), true},
		{"sk p256", skEC, true},
		{"rsa 3072", sshKey(t, &long.PublicKey), true},
		{"rsa 2048", sshKey(t, &short.PublicKey), false},
		{"p384", sshKey(t, &p384.PublicKey), false},
		{"sk for a web site", skKey(public, "https://example.com"), false},
		{"trailing byte", append(plain[:len(plain):len(plain)], 0), false},
		{"short", plain[:len(plain)-1], false},
		{"nothing", nil, false},
		{"too long", make([]byte, 4096), false},
	} {
		key, err := ParseOfficerKey(tt.wire)
		if (err == nil) != tt.ok {
			t.Errorf("%s: expected accepted %v, found %v", tt.name, tt.ok, err)
		}
		if tt.ok && presence(key) != (tt.name[:2] == "sk") {
			t.Errorf("%s: expected presence for sk- keys only", tt.name)
		}
	}
	sk, err := ParseOfficerKey(skKey(public, "ssh:"))
	if err != nil {
		t.Fatal(err)
	}
	inner, err := ParseOfficerKey(plain)
	if err != nil {
		t.Fatal(err)
	}
	if material(sk) != material(inner) {
		t.Error("expected one key in two forms to be the same material")
	}
}

// Under a key of small order the signature of R = neutral element and S = 0 verifies for a good part of all messages; that is what
// makes such keys unfit, and it shows that the table holds what it says.
func TestSmallOrderKeysAcceptSignaturesThatNobodyMade(t *testing.T) {
	identity := append([]byte{1}, make([]byte, 63)...) // R = neutral element, S = 0
	usable := 0
	for y := range smallOrder {
		forged := false
		for m := range byte(200) {
			forged = forged || ed25519.Verify(y[:], []byte{m}, identity)
		}
		if forged {
			usable++
		}
	}
	if usable != len(smallOrder) {
		t.Errorf("expected signatures that nobody made under all %d keys, found them under %d", len(smallOrder), usable)
	}
	var good canon.PublicKey
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	copy(good[:], public)
	for m := range byte(200) {
		if ed25519.Verify(good[:], []byte{m}, identity) {
			t.Fatal("expected no forgery under an honest key")
		}
	}
}

func FuzzParseOfficerKey(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"))
	f.Add(skKey(make([]byte, 32), "ssh:"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		key, err := ParseOfficerKey(wire)
		if err != nil {
			return
		}
		if string(key.Marshal()) != string(wire) || material(key) == "" {
			t.Errorf("expected the bytes that were read, found %x", key.Marshal())
		}
	})
}
