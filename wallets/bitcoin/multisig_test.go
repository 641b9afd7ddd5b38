package bitcoin

import (
	"bytes"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"pgregory.net/rapid"
)

// multiOf returns the script that needs so many of the numbered keys.
func multiOf(t testing.TB, needed int, keys ...uint32) []byte {
	t.Helper()
	publics := make([][33]byte, len(keys))
	for i, n := range keys {
		publics[i] = publicOf(n)
	}
	script, err := SortedMulti(needed, publics)
	if err != nil {
		t.Fatal(err)
	}
	return script
}

// unsortedOf returns a script with its first two keys swapped.
func unsortedOf(t testing.TB, script []byte) []byte {
	t.Helper()
	if len(script) < 3+2*34 {
		t.Fatal("expected a script of two keys")
	}
	return slices.Concat(script[:1], script[35:69], script[1:35], script[69:])
}

// sharedCoin returns an output that the numbered keys hold together.
func sharedCoin(t testing.TB, value int64, needed int, keys ...uint32) Coin {
	t.Helper()
	c := coinOf(t, keys[0], value)
	c.Witness, c.Needed = multiOf(t, needed, keys...), needed
	c.Script = ScriptP2WSH(c.Witness)
	previous, _, err := ParsePrevious(c.Previous)
	if err != nil {
		t.Fatal(err)
	}
	previous.TxOut[1].PkScript = c.Script
	if c.Previous, err = Encode(previous); err != nil {
		t.Fatal(err)
	}
	c.Outpoint.Hash = previous.TxHash()
	return c
}

// signedBy returns what Finalise wants: coins with a script are signed by its keys at these positions, the others by their own.
func signedBy(t testing.TB, u *Unsigned, prevouts []*wire.TxOut, positions ...int) (inputs []SignedInput) {
	t.Helper()
	scripts := make([][]byte, len(u.Coins))
	for i, c := range u.Coins {
		scripts[i] = c.Witness
	}
	digests, err := Digests(u.Tx, prevouts, scripts)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range u.Coins {
		in := SignedInput{Witness: c.Witness, Keys: [][33]byte{publicOf(uint32(c.Index))}}
		if c.Witness != nil {
			in.Keys = nil
			_, keys, err := ParseSortedMulti(c.Witness)
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range positions {
				in.Keys = append(in.Keys, keys[at])
			}
		}
		for _, key := range in.Keys {
			in.Signatures = append(in.Signatures, sign(secretOf(t, key), digests[i]))
		}
		inputs = append(inputs, in)
	}
	return inputs
}

// secretOf finds the numbered key behind a public one.
func secretOf(t testing.TB, public [33]byte) *btcec.PrivateKey {
	t.Helper()
	for n := range uint32(64) {
		if publicOf(n) == public {
			return keyOf(n)
		}
	}
	t.Fatalf("expected one of the first keys, found %x", public)
	return nil
}

// BIP-67, test vectors.
func TestSortedMultiOfBIP67(t *testing.T) {
	for _, v := range []struct {
		keys   []string
		script string
	}{
		{[]string{"02ff12471208c14bd580709cb2358d98975247d8765f92bc25eab3b2763ed605f8", "02fe6f0a5a297eb38c391581c4413e084773ea23954d93f7753db7dc0adc188b2f"},
			"522102fe6f0a5a297eb38c391581c4413e084773ea23954d93f7753db7dc0adc188b2f2102ff12471208c14bd580709cb2358d98975247d8765f92bc25eab3b2763ed605f852ae"},
		{[]string{"02632b12f4ac5b1d1b72b2a3b508c19172de44f6f46bcee50ba33f3f9291e47ed0", "027735a29bae7780a9755fae7a1c4374c656ac6a69ea9f3697fda61bb99a4f3e77",
			"02e2cc6bd5f45edd43bebe7cb9b675f0ce9ed3efe613b177588290ad188d11b404"},
			"522102632b12f4ac5b1d1b72b2a3b508c19172de44f6f46bcee50ba33f3f9291e47ed021027735a29bae7780a9755fae7a1c4374c656ac6a69ea9f3697fda61bb99a4f3e77" +
				"2102e2cc6bd5f45edd43bebe7cb9b675f0ce9ed3efe613b177588290ad188d11b40453ae"},
		{[]string{"030000000000000000000000000000000000004141414141414141414141414141", "020000000000000000000000000000000000004141414141414141414141414141",
			"020000000000000000000000000000000000004141414141414141414141414140", "030000000000000000000000000000000000004141414141414141414141414140"},
			"522102000000000000000000000000000000000000414141414141414141414141414021020000000000000000000000000000000000004141414141414141414141414141" +
				"210300000000000000000000000000000000000041414141414141414141414141402103000000000000000000000000000000000000414141414141414141414141414154ae"},
		{[]string{"022df8750480ad5b26950b25c7ba79d3e37d75f640f8e5d9bcd5b150a0f85014da", "03e3818b65bcc73a7d64064106a859cc1a5a728c4345ff0b641209fba0d90de6e9",
			"021f2f6e1e50cb6a953935c3601284925decd3fd21bc445712576873fb8c6ebc18"},
			"5221021f2f6e1e50cb6a953935c3601284925decd3fd21bc445712576873fb8c6ebc1821022df8750480ad5b26950b25c7ba79d3e37d75f640f8e5d9bcd5b150a0f85014da" +
				"2103e3818b65bcc73a7d64064106a859cc1a5a728c4345ff0b641209fba0d90de6e953ae"},
	} {
		var keys [][33]byte
		for _, k := range v.keys {
			keys = append(keys, [33]byte(unhex(t, k)))
		}
		script, err := SortedMulti(2, keys)
		if err != nil || hex.EncodeToString(script) != v.script {
			t.Errorf("expected %s, found %x (%v)", v.script, script, err)
		}
	}
}

func TestSortedMultiIsReadBackAndNothingElseIs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, MaxMultisigKeys).Draw(rt, "keys")
		needed := rapid.IntRange(1, n).Draw(rt, "needed")
		keys := make([][33]byte, n)
		for i := range keys {
			keys[i] = publicOf(uint32(i))
		}
		script, err := SortedMulti(needed, rapid.Permutation(keys).Draw(rt, "order"))
		if err != nil {
			rt.Fatal(err)
		}
		again, sorted, err := ParseSortedMulti(script)
		if err != nil || again != needed || len(sorted) != n || !slices.IsSortedFunc(sorted, func(a, b [33]byte) int { return bytes.Compare(a[:], b[:]) }) {
			rt.Fatalf("expected %d of %d keys in their order, found %d of %x (%v)", needed, n, again, sorted, err)
		}
		at := rapid.IntRange(0, len(script)-1).Draw(rt, "byte")
		changed := bytes.Clone(script)
		changed[at] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		if again, keys, err := ParseSortedMulti(changed); err == nil {
			// Another point, or another count: but then it is the script of that.
			if same, err := SortedMulti(again, keys); err != nil || !bytes.Equal(same, changed) {
				rt.Fatalf("byte %d: expected a refusal, found %d of %x", at, again, keys)
			}
		}
	})
	script := multiOf(t, 2, 1, 2, 3)
	for name, bad := range map[string][]byte{
		"nothing":         nil,
		"cut":             script[:len(script)-1],
		"longer":          append(bytes.Clone(script), txscript.OP_NOP),
		"out of order":    unsortedOf(t, script),
		"one key twice":   slices.Concat(script[:1], script[1:35], script[1:35], script[69:]),
		"none needed":     append([]byte{txscript.OP_0}, script[1:]...),
		"more than all":   append([]byte{txscript.OP_4}, script[1:]...),
		"another count":   slices.Concat(script[:len(script)-2], []byte{txscript.OP_4, txscript.OP_CHECKMULTISIG}),
		"verify":          slices.Concat(script[:len(script)-1], []byte{txscript.OP_CHECKMULTISIGVERIFY}),
		"a longer push":   slices.Concat(script[:1], []byte{txscript.OP_PUSHDATA1}, script[1:]),
		"uncompressed":    slices.Concat([]byte{txscript.OP_1, 65}, keyOf(1).PubKey().SerializeUncompressed(), []byte{txscript.OP_1, txscript.OP_CHECKMULTISIG}),
		"hybrid prefix":   slices.Concat(script[:2], []byte{6}, script[3:]),
		"no keys":         {txscript.OP_1, txscript.OP_0, txscript.OP_CHECKMULTISIG},
		"a single OP_1":   {txscript.OP_1},
		"P2WPKH's script": ScriptP2WPKH(publicOf(1)),
	} {
		if needed, keys, err := ParseSortedMulti(bad); err == nil {
			t.Errorf("%s: expected a refusal, found %d of %x", name, needed, keys)
		}
	}
}

func TestSortedMultiRefusesWhatNoScriptCanHave(t *testing.T) {
	many := make([][33]byte, MaxMultisigKeys+1)
	for i := range many {
		many[i] = publicOf(uint32(i))
	}
	for name, c := range map[string]struct {
		needed int
		keys   [][33]byte
	}{
		"no keys": {1, nil}, "none needed": {0, many[:2]}, "more than all": {3, many[:2]}, "too many keys": {2, many}, "negative": {-1, many[:2]},
		"a key twice": {1, [][33]byte{many[0], many[1], many[0]}}, "no point": {1, [][33]byte{many[0], {5}}},
	} {
		if script, err := SortedMulti(c.needed, c.keys); err == nil {
			t.Errorf("%s: expected a refusal, found %x", name, script)
		}
	}
}

// What is read as a script of ours is what SortedMulti makes of its keys.
func FuzzParseSortedMulti(f *testing.F) {
	f.Add(multiOf(f, 2, 1, 2, 3))
	f.Add(multiOf(f, 1, 1))
	f.Add([]byte{txscript.OP_1})
	f.Fuzz(func(t *testing.T, script []byte) {
		needed, keys, err := ParseSortedMulti(script)
		if err != nil {
			return
		}
		if again, err := SortedMulti(needed, keys); err != nil || !bytes.Equal(again, script) {
			t.Fatalf("expected %x again, found %x (%v)", script, again, err)
		}
	})
}
