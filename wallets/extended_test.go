package wallets

import (
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcutil/base58"
	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"pgregory.net/rapid"
)

// BIP-32, test vector 2: chain m, and m/0 under it.
const (
	vector2      = "xpub661MyMwAqRbcFW31YEwpkMuc5THy2PSt5bDMsktWQcFF8syAmRUapSCGu8ED9W6oDMSgv6Zz8idoc4a6mr8BDzTJY47LJhkJ8UB7WEGuduB"
	vector2Child = "xpub69H7F5d8KSRgmmdJg2KhpAK8SR3DjMwAdkxj3ZuxV27CprR9LgpeyGmXUbC6wb7ERfvrnKZjXoUmmDznezpbZb7ap6r1D3tgFxHmwMkQTPH"
)

func TestExtendedKeysOfBIP32(t *testing.T) {
	parent, test, err := ParseExtendedKey(vector2)
	if err != nil || test {
		t.Fatalf("expected an xpub, found test %t (%v)", test, err)
	}
	child, err := parent.Child(0)
	if err != nil || child.Text(false) != vector2Child {
		t.Errorf("expected %s, found %s (%v)", vector2Child, child.Text(false), err)
	}
}

func TestExtendedKeysAgreeWithHDKeychain(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		key := privateKeys().Draw(rt, "private")
		k := ExtendedKey{Public: [33]byte(key.PubKey().SerializeCompressed()), ChainCode: chainCodes().Draw(rt, "chainCode")}
		test := rapid.Bool().Draw(rt, "test")
		version := versionMain
		if test {
			version = versionTest
		}
		first := k // which the peer's slices go on pointing at
		peer := hdkeychain.NewExtendedKey(version[:], first.Public[:], first.ChainCode[:], make([]byte, 4), 0, 0, false)
		path := paths().Draw(rt, "path")
		code, err := Derive(k.Public, k.ChainCode, path)
		if err != nil {
			rt.Fatal(err)
		}
		for _, index := range path {
			if k, err = k.Child(index); err != nil {
				rt.Fatal(err)
			}
			if peer, err = peer.Derive(index); err != nil {
				rt.Fatal(err)
			}
			text := k.Text(test)
			if text != peer.String() {
				rt.Fatalf("expected %s, found %s", peer, text)
			}
			again, was, err := ParseExtendedKey(text)
			if err != nil || again != k || was != test {
				rt.Fatalf("expected the same key again, found %+v (%v)", again, err)
			}
		}
		if k.Public != code.Public {
			rt.Fatalf("expected the key that Derive returns, %x, found %x", code.Public, k.Public)
		}
	})
}

func TestExtendedKeysThatAreNoneAreRefused(t *testing.T) {
	raw := base58.Decode(vector2)
	with := func(change func(b []byte)) string {
		b := append([]byte(nil), raw[:extendedSize]...)
		change(b)
		return base58.Encode(append(b, checksum58(b)...))
	}
	for name, text := range map[string]string{
		"nothing":             "",
		"cut":                 vector2[:len(vector2)-1],
		"one character":       vector2[:50] + "1" + vector2[51:],
		"longer":              vector2 + "1",
		"leading 1":           "1" + vector2,
		"no base58":           strings.Replace(vector2, "x", "0", 1),
		"endless":             strings.Repeat("x", 1<<20),
		"secret":              "xprv9s21ZrQH143K31xYSDQpPDxsXRTUcvj2iNHm5NUtrGiGG5e2DtALGdso3pGz6ssrdK4PFmM8NSpSBHNqPqm55Qn3LqFtT2emdEXVYsCzC2U",
		"other version":       with(func(b []byte) { b[3]++ }),
		"no point":            with(func(b []byte) { b[45] = 5 }),
		"parent at depth 0":   with(func(b []byte) { b[5] = 1 }),
		"index at depth 0":    with(func(b []byte) { b[12] = 1 }),
		"secret under public": with(func(b []byte) { b[45] = 0 }),
	} {
		if k, _, err := ParseExtendedKey(text); err == nil {
			t.Errorf("%s: expected a refusal, found %+v", name, k)
		}
	}
	k, _, err := ParseExtendedKey(vector2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Child(firstHardened); err == nil {
		t.Error("expected a refusal of a hardened step")
	}
	k.Depth = 255
	if _, err := k.Child(0); err == nil {
		t.Error("expected a refusal of a step below depth 255")
	}
	if _, err := (ExtendedKey{Public: [33]byte{5}}).Child(0); err == nil {
		t.Error("expected a refusal of a key that is no point")
	}
}

func FuzzParseExtendedKey(f *testing.F) {
	f.Add(vector2)
	f.Add(vector2Child)
	f.Fuzz(func(t *testing.T, text string) {
		k, test, err := ParseExtendedKey(text)
		if err == nil && k.Text(test) != text {
			t.Fatalf("expected %s, found %s", text, k.Text(test))
		}
	})
}
