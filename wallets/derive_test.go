package wallets

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/strongroom/strongroom/proto/canon"
	"pgregory.net/rapid"
)

func privateKeys() *rapid.Generator[*btcec.PrivateKey] {
	return rapid.Custom(func(t *rapid.T) *btcec.PrivateKey {
		var k btcec.ModNScalar
		b := rapid.SliceOfN(rapid.Byte(), 32, 32).Filter(func(b []byte) bool {
			return !k.SetByteSlice(b) && !k.IsZero()
		}).Draw(t, "key")
		key, _ := btcec.PrivKeyFromBytes(b)
		return key
	})
}

func chainCodes() *rapid.Generator[[32]byte] {
	return rapid.Map(rapid.SliceOfN(rapid.Byte(), 32, 32), func(b []byte) [32]byte { return [32]byte(b) })
}

func paths() *rapid.Generator[Path] {
	element := rapid.Uint32Range(0, firstHardened-1)
	return rapid.Custom(func(t *rapid.T) (p Path) {
		for i := range p {
			p[i] = element.Draw(t, "element")
		}
		return p
	})
}

func TestDeriveAgreesWithHDKeychain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := privateKeys().Draw(t, "private")
		code, path := chainCodes().Draw(t, "chainCode"), paths().Draw(t, "path")
		group := [33]byte(key.PubKey().SerializeCompressed())

		child, err := Derive(group, code, path)
		if err != nil {
			t.Fatal(err)
		}
		peer := hdkeychain.NewExtendedKey([]byte{4, 0x88, 0xb2, 0x1e}, group[:], code[:], make([]byte, 4), 0, 0, false)
		for _, index := range path {
			if peer, err = peer.Derive(index); err != nil {
				t.Fatal(err)
			}
		}
		want, err := peer.ECPubKey()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(child.Public[:], want.SerializeCompressed()) {
			t.Fatalf("path %s: hdkeychain has %x, found %x", path, want.SerializeCompressed(), child.Public)
		}
	})
}

// The tweak is what an MPC session adds to the group's secret: the sum must be the secret of the child.
func TestTweakLeadsFromGroupSecretToChildSecret(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := privateKeys().Draw(t, "private")
		child, err := Derive([33]byte(key.PubKey().SerializeCompressed()), chainCodes().Draw(t, "chainCode"), paths().Draw(t, "path"))
		if err != nil {
			t.Fatal(err)
		}
		var tweak, secret btcec.ModNScalar
		tweak.SetBytes(&child.Tweak)
		secret.Add2(&key.Key, &tweak)
		found := btcec.PrivKeyFromScalar(&secret).PubKey().SerializeCompressed()
		if !bytes.Equal(found, child.Public[:]) {
			t.Fatalf("expected the key of group secret + tweak, %x, found %x", found, child.Public)
		}
	})
}

// BIP-32, test vector 2, chain m/0.
func TestOneStepGivesBIP32Vector2(t *testing.T) {
	parent, err := hdkeychain.NewKeyFromString("xpub661MyMwAqRbcFW31YEwpkMuc5THy2PSt5bDMsktWQcFF8syAmRUapSCGu8ED9W6oDMSgv6Zz8idoc4a6mr8BDzTJY47LJhkJ8UB7WEGuduB")
	if err != nil {
		t.Fatal(err)
	}
	want, err := hdkeychain.NewKeyFromString("xpub69H7F5d8KSRgmmdJg2KhpAK8SR3DjMwAdkxj3ZuxV27CprR9LgpeyGmXUbC6wb7ERfvrnKZjXoUmmDznezpbZb7ap6r1D3tgFxHmwMkQTPH")
	if err != nil {
		t.Fatal(err)
	}
	parentKey, _ := parent.ECPubKey()
	wantKey, _ := want.ECPubKey()
	step, code, err := childStep([33]byte(parentKey.SerializeCompressed()), [32]byte(parent.ChainCode()), 0)
	if err != nil {
		t.Fatal(err)
	}
	var point btcec.JacobianPoint
	parentKey.AsJacobian(&point)
	found, err := addBase(&point, &step)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(found[:], wantKey.SerializeCompressed()) || !bytes.Equal(code[:], want.ChainCode()) {
		t.Fatalf("expected key %x and chain code %x, found %x and %x", wantKey.SerializeCompressed(), want.ChainCode(), found, code)
	}
}

func TestDeriveRefusesWhatBIP32Leaves(t *testing.T) {
	key, _ := btcec.NewPrivateKey()
	group := [33]byte(key.PubKey().SerializeCompressed())
	if _, err := Derive(group, [32]byte{}, Path{0, 0, 0, 0, firstHardened}); err == nil {
		t.Error("a hardened index was derived")
	}
	for _, bad := range [][33]byte{{}, {5}, {2, 32: 5}} { // there is no point with x = 5
		if _, err := Derive(bad, [32]byte{}, Path{}); err == nil {
			t.Errorf("group key %x: expected a refusal", bad)
		}
	}

	var sum [64]byte // IL = n is not below n
	n, _ := hex.DecodeString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
	copy(sum[:], n)
	if _, _, err := splitMAC(sum); !errors.Is(err, ErrUnusableChild) {
		t.Errorf("IL = n: expected ErrUnusableChild, found %v", err)
	}
	sum[31]--
	if _, _, err := splitMAC(sum); err != nil {
		t.Errorf("IL = n-1: %v", err)
	}

	var point btcec.JacobianPoint
	key.PubKey().AsJacobian(&point)
	minus := new(btcec.ModNScalar).NegateVal(&key.Key)
	if _, err := addBase(&point, minus); !errors.Is(err, ErrUnusableChild) {
		t.Errorf("K - kG: expected ErrUnusableChild, found %v", err)
	}
}

func TestNewPathNamesTheElementOutOfRange(t *testing.T) {
	p, err := NewPath(60, 1, 2, 1, firstHardened-1)
	if err != nil || p.String() != "60/1/2/1/2147483647" {
		t.Errorf("found %s, %v", p, err)
	}
	for i, bad := range [][5]uint64{{firstHardened}, {0, firstHardened}, {0, 0, 1 << 40}, {0, 0, 0, 2}, {0, 0, 0, 0, firstHardened}} {
		if _, err := NewPath(bad[0], bad[1], bad[2], bad[3], bad[4]); err == nil {
			t.Errorf("case %d: %v was accepted", i, bad)
		}
	}
}

func TestChainCodeDependsOnEveryPart(t *testing.T) {
	group := [33]byte{2, 1}
	base := ChainCode(canon.Digest{1}, "main", group)
	// SHA-256 over the concatenation, computed with sha256sum.
	const want = "de731977d6edbb98c965dfc8d8984527c4cdaa29557286af6f8d5cff2592f1bc"
	if hex.EncodeToString(base[:]) != want {
		t.Errorf("expected %s, found %x", want, base)
	}
	others := map[string][32]byte{
		"organisation": ChainCode(canon.Digest{2}, "main", group),
		"key":          ChainCode(canon.Digest{1}, "main2", group),
		"group":        ChainCode(canon.Digest{1}, "main", [33]byte{3, 1}),
	}
	for part, other := range others {
		if other == base {
			t.Errorf("another %s gives the same chain code", part)
		}
	}
}
