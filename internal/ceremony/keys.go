package ceremony

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/ethereum"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// KindTest separates what keys sign in a ceremony from the digests of everything else, transactions among them.
const KindTest = canon.Kind("strongroom/ceremony-test/v1")

// testDigest is what a key signs to show that it works: it names token, ceremony, label and key, and can be no transaction's digest, since that would
// take a collision of SHA-256.
func testDigest(serial canon.Text, began canon.Time, label canon.Text, public []byte) canon.Digest {
	b := binary.BigEndian.AppendUint64(nil, uint64(began))
	for _, part := range [][]byte{[]byte(serial), []byte(label), public} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	return KindTest.Digest(b)
}

// sign has a key sign its test digest.
func (r *run) sign(ctx context.Context, token hsm.Token, info hsm.KeyInfo, k *canon.CeremonyKey) error {
	k.Message = testDigest(r.token.Serial, r.began, k.Label, k.Public)
	if len(info.Public) == ed25519.PublicKeySize {
		identity, err := token.Identity(ctx, info.Label)
		if err != nil {
			return err
		}
		k.Signature, err = identity.SignContext(ctx, k.Message[:])
		return err
	}
	class := hsm.KeyClass{Restorable: !is(k, "CKA_LOCAL") || is(k, "CKA_EXTRACTABLE"), Attended: is(k, "CKA_ALWAYS_AUTHENTICATE")}
	key, err := token.ECDSA(ctx, info.Label, class)
	if err != nil {
		return err
	}
	var pin hsm.PIN
	if class.Attended {
		pin = r.pin
	}
	signature, err := key.Sign(ctx, k.Message, pin)
	k.Signature = signature[:]
	return err
}

// inventory reads the attributes of the keys back from the token, and has each sign. A key that the token does not have, that its driver would not use, or
// that shares its label with another one of any kind, ends the ceremony.
func (r *run) inventory(ctx context.Context, token hsm.Token, keys []planned) ([]canon.CeremonyKey, error) {
	all, err := token.Inventory(ctx)
	if err != nil {
		return nil, err
	}
	byLabel := map[string][]hsm.KeyInfo{}
	for _, k := range all.Keys {
		byLabel[k.Label] = append(byLabel[k.Label], k)
	}
	var found []canon.CeremonyKey
	for _, want := range keys {
		info, err := want.one(byLabel[want.label])
		if err != nil {
			return nil, err
		}
		k := canon.CeremonyKey{Label: canon.Text(info.Label), Public: info.Public, Use: text(want.use), Address: want.address(r.plan, info.Public), Attributes: attributes(info)}
		if err := r.sign(ctx, token, info, &k); err != nil {
			return nil, fmt.Errorf("test signature of key %s: %w", want.label, err)
		}
		found = append(found, k)
	}
	return found, nil
}

// one is the only key with the label, of whatever kind: with two, a list of labels would not say which of them is meant.
func (w planned) one(infos []hsm.KeyInfo) (hsm.KeyInfo, error) {
	switch {
	case len(infos) == 0:
		return hsm.KeyInfo{}, refusal.New("ceremony", "keys", "key "+w.label+" in the token", "none")
	case len(infos) > 1:
		return hsm.KeyInfo{}, refusal.New("ceremony", "keys", "one key with the label "+w.label, fmt.Sprint(len(infos)))
	case infos[0].Refused != "":
		return hsm.KeyInfo{}, refusal.New("ceremony", "keys", "key "+w.label+" of a class that is used", infos[0].Refused)
	case infos[0].Kind != w.kind || infos[0].Public == nil:
		return hsm.KeyInfo{}, refusal.New("ceremony", "keys", "key "+w.label+" of kind "+w.kind, infos[0].Kind)
	}
	return infos[0], nil
}

func attributes(info hsm.KeyInfo) []canon.CeremonyAttribute {
	var all []canon.CeremonyAttribute
	for _, a := range info.Attributes {
		all = append(all, canon.CeremonyAttribute{Name: canon.Text(a.Name), Value: a.Value})
	}
	return all
}

// address is what a key is alone, where the plan says so.
func (w planned) address(p *Plan, public []byte) []byte {
	if p.Keys == nil || !p.Keys.SingleDevice || len(public) != 33 {
		return nil
	}
	if canon.ChainID(p.Keys.Chain)[:6] == "bip122" {
		return bitcoin.ScriptP2WPKH([33]byte(public))
	}
	a := ethereum.AddressOf([33]byte(public))
	return a[:]
}

// is reports whether a Boolean attribute was read back as true.
func is(k *canon.CeremonyKey, name canon.Text) bool {
	return bytes.Equal(attribute(k, name), []byte{1})
}

func attribute(k *canon.CeremonyKey, name canon.Text) []byte {
	for _, a := range k.Attributes {
		if a.Name == name {
			return a.Value
		}
	}
	return nil
}

// Classes of keys, as their attributes show them.
const (
	ClassNone     = "none"     // born in this token, never leaves it
	ClassWrap     = "wrap"     // born in this token, may leave it wrapped under a trusted key
	ClassRestored = "restored" // came in wrapped, never leaves
)

// required is what the attributes of every key of ours must read (PKCS#11 v2.40 sections 4.4 and 4.9), and what those of a class must.
var (
	required = map[canon.Text]bool{"CKA_TOKEN": true, "CKA_PRIVATE": true, "CKA_SENSITIVE": true, "CKA_SIGN": true, "CKA_DECRYPT": false,
		"CKA_UNWRAP": false, "CKA_DERIVE": false, "CKA_SIGN_RECOVER": false}
	ofClass = map[string]map[canon.Text]bool{
		ClassNone:     {"CKA_LOCAL": true, "CKA_ALWAYS_SENSITIVE": true, "CKA_EXTRACTABLE": false, "CKA_NEVER_EXTRACTABLE": true},
		ClassWrap:     {"CKA_LOCAL": true, "CKA_ALWAYS_SENSITIVE": true, "CKA_EXTRACTABLE": true, "CKA_NEVER_EXTRACTABLE": false, "CKA_WRAP_WITH_TRUSTED": true},
		ClassRestored: {"CKA_LOCAL": false, "CKA_ALWAYS_SENSITIVE": false, "CKA_EXTRACTABLE": false, "CKA_NEVER_EXTRACTABLE": false},
	}
)

// classOf is the class that a key's attributes show.
func classOf(k *canon.CeremonyKey) string {
	switch {
	case !is(k, "CKA_LOCAL"):
		return ClassRestored
	case is(k, "CKA_EXTRACTABLE"):
		return ClassWrap
	default:
		return ClassNone
	}
}

// checkKey refuses a key of a transcript whose attributes are those of no class, whose signature does not verify, or that is another address.
func checkKey(l *refusal.List, t *canon.Transcript, i int) (class string) {
	k := &t.Keys[i]
	at := fmt.Sprintf("keys[%d]", i)
	class = classOf(k)
	seen := map[canon.Text]bool{}
	for _, a := range k.Attributes {
		if seen[a.Name] {
			l.Add("attributes", at+".attributes", "each attribute once", string(a.Name)+" twice")
		}
		seen[a.Name] = true
	}
	for _, want := range []map[canon.Text]bool{required, ofClass[class]} {
		for _, name := range sortedNames(want) {
			value := byte(0)
			if want[name] {
				value = 1
			}
			if got := attribute(k, name); !bytes.Equal(got, []byte{value}) {
				l.Add("attributes", fmt.Sprintf("%s.attributes.%s", at, name), fmt.Sprintf("%02x for class %s", value, class), fmt.Sprintf("%x", got))
			}
		}
	}
	if want := testDigest(t.Token.Serial, t.Began, k.Label, k.Public); k.Message != want {
		l.Add("test-signature", at+".message", want.String(), k.Message.String())
	} else if err := checkTest(k); err != nil {
		l.Add("test-signature", at+".signature", "one by the key over its message", err.Error())
	}
	if !isAddress(k) {
		l.Add("address", at+".address", "the key's own P2WPKH script or EVM address, or none", fmt.Sprintf("%x", k.Address))
	}
	return class
}

func checkTest(k *canon.CeremonyKey) error {
	if len(k.Public) == ed25519.PublicKeySize {
		if !ed25519.Verify(k.Public, k.Message[:], k.Signature) {
			return fmt.Errorf("an Ed25519 signature that does not verify under %x", k.Public)
		}
		return nil
	}
	return keyset.Verify(k.Public, k.Message, k.Signature)
}

func isAddress(k *canon.CeremonyKey) bool {
	if len(k.Address) == 0 {
		return true
	}
	if len(k.Public) != 33 {
		return false
	}
	evm := ethereum.AddressOf([33]byte(k.Public))
	return bytes.Equal(k.Address, bitcoin.ScriptP2WPKH([33]byte(k.Public))) || bytes.Equal(k.Address, evm[:])
}
