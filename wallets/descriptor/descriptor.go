package descriptor

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/btcec/v2"

	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/bitcoin"
)

// Key is a key expression: a key as it is, or, if Range is not nil, all keys under another.
type Key struct {
	Public [33]byte // compressed
	Range  *Range
}

// Range is every child of a key that Path leads to, under an extended key.
type Range struct {
	Origin *Origin // nil if it is not said
	Key    wallets.ExtendedKey
	Test   bool     // a key of another chain than Bitcoin's main chain
	Path   []uint32 // not hardened
}

// Origin says where an extended key came from: under the key of a fingerprint, by a path. Elements from 2^31 are hardened.
type Origin struct {
	Fingerprint [4]byte
	Path        []uint32
}

// Descriptor describes one output script, or, if a key in it is a range, one for each index.
type Descriptor struct {
	Needed int // how many of Keys must sign, by sortedmulti; 0 for wpkh of the one key
	Keys   []Key
}

// firstHardened is the first hardened index of BIP-32.
const firstHardened = 1 << 31

// maxPath bounds the steps above and below an extended key.
const maxPath = 16

// Ranged reports whether the descriptor has a script for each index.
func (d Descriptor) Ranged() bool {
	return slices.ContainsFunc(d.Keys, func(k Key) bool { return k.Range != nil })
}

// check refuses what has no text or no script.
func (d Descriptor) check() error {
	if d.Needed == 0 && len(d.Keys) != 1 {
		return fmt.Errorf("descriptor: expected 1 key for wpkh, found %d", len(d.Keys))
	}
	if d.Needed < 0 || d.Needed > len(d.Keys) || len(d.Keys) > bitcoin.MaxMultisigKeys {
		return fmt.Errorf("descriptor: expected 1 to %d keys and 1 to as many signatures, found %d and %d", bitcoin.MaxMultisigKeys, len(d.Keys), d.Needed)
	}
	for i, k := range d.Keys {
		if err := k.check(); err != nil {
			return fmt.Errorf("descriptor: keys[%d].%w", i, err)
		}
	}
	return nil
}

func (k Key) check() error {
	if k.Range == nil {
		if _, err := btcec.ParsePubKey(k.Public[:]); err != nil {
			return fmt.Errorf("public: expected a compressed point of secp256k1: %w", err)
		}
		return nil
	}
	if k.Public != [33]byte{} {
		return fmt.Errorf("public: expected none next to a range, found %x", k.Public)
	}
	r := k.Range
	if len(r.Path) > maxPath || r.Origin != nil && len(r.Origin.Path) > maxPath {
		return fmt.Errorf("path: expected at most %d steps, found more", maxPath)
	}
	if i := slices.IndexFunc(r.Path, func(n uint32) bool { return n >= firstHardened }); i >= 0 {
		return fmt.Errorf("path[%d]: expected below 2^31, found %d", i, r.Path[i])
	}
	if _, err := btcec.ParsePubKey(r.Key.Public[:]); err != nil {
		return fmt.Errorf("range.key: expected a compressed point of secp256k1: %w", err)
	}
	return nil
}

// Script returns the output script at an index, which is 0 for descriptors without ranges, and the witness script behind it, nil for P2WPKH.
func (d Descriptor) Script(index uint32) (script, witness []byte, err error) {
	if err := d.check(); err != nil {
		return nil, nil, err
	}
	if index >= firstHardened || index > 0 && !d.Ranged() {
		return nil, nil, fmt.Errorf("descriptor: expected an index below 2^31, of one address 0, found %d", index)
	}
	keys := make([][33]byte, len(d.Keys))
	for i, k := range d.Keys {
		if keys[i], err = k.at(index); err != nil {
			return nil, nil, fmt.Errorf("descriptor: keys[%d]: %w", i, err)
		}
	}
	if d.Needed == 0 {
		return bitcoin.ScriptP2WPKH(keys[0]), nil, nil
	}
	if witness, err = bitcoin.SortedMulti(d.Needed, keys); err != nil {
		return nil, nil, fmt.Errorf("descriptor: %w", err)
	}
	return bitcoin.ScriptP2WSH(witness), witness, nil
}

func (k Key) at(index uint32) ([33]byte, error) {
	if k.Range == nil {
		return k.Public, nil
	}
	key := k.Range.Key
	for _, step := range append(slices.Clone(k.Range.Path), index) {
		var err error
		if key, err = key.Child(step); err != nil {
			return [33]byte{}, err
		}
	}
	return key.Public, nil
}

// Text returns the descriptor with its checksum. Keys are written in the order that they have.
func (d Descriptor) Text() (string, error) {
	if err := d.check(); err != nil {
		return "", err
	}
	keys := make([]string, len(d.Keys))
	for i, k := range d.Keys {
		keys[i] = k.text()
	}
	script := "wpkh(" + keys[0] + ")"
	if d.Needed > 0 {
		script = fmt.Sprintf("wsh(sortedmulti(%d,%s))", d.Needed, strings.Join(keys, ","))
	}
	sum, err := checksum(script)
	if err != nil {
		return "", err
	}
	return script + "#" + sum, nil
}

func (k Key) text() string {
	if k.Range == nil {
		return hex.EncodeToString(k.Public[:])
	}
	var b strings.Builder
	if o := k.Range.Origin; o != nil {
		fmt.Fprintf(&b, "[%x", o.Fingerprint)
		for _, n := range o.Path {
			if n >= firstHardened {
				fmt.Fprintf(&b, "/%dh", n-firstHardened)
			} else {
				fmt.Fprintf(&b, "/%d", n)
			}
		}
		b.WriteByte(']')
	}
	b.WriteString(k.Range.Key.Text(k.Range.Test))
	for _, n := range k.Range.Path {
		fmt.Fprintf(&b, "/%d", n)
	}
	b.WriteString("/*")
	return b.String()
}
