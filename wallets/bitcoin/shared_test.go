package bitcoin

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"pgregory.net/rapid"
)

// drawCoins returns coins of both forms, and who signs for the scripts: as many of the keys as are needed, in any order.
func drawCoins(rt *rapid.T, t testing.TB) (coins []Coin, positions []int) {
	n := rapid.IntRange(1, MaxMultisigKeys).Draw(rt, "keys")
	needed := rapid.IntRange(1, n).Draw(rt, "needed")
	all := make([]int, n)
	keys := make([]uint32, n)
	for i := range all {
		all[i] = i
	}
	for i := range rapid.IntRange(1, 4).Draw(rt, "coins") {
		value := rapid.Int64Range(60_000, 1e10).Draw(rt, "value")
		if rapid.Bool().Draw(rt, "single") {
			coins = append(coins, coinOf(t, uint32(i), value))
			continue
		}
		for j := range keys {
			keys[j] = uint32(20 + (i+j)%40) // coin i begins at another key
		}
		coins = append(coins, sharedCoin(t, value, needed, keys...))
	}
	return coins, rapid.Permutation(all).Draw(rt, "order")[:needed]
}

func TestSharedCoinsGoFromCoinsToVerified(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		coins, positions := drawCoins(rt, t)
		p := params(coins...)
		p.FeeRate = 2_000
		u := mustBuild(t, p)
		prevouts := prevoutsOf(t, u)
		tx, err := Finalise(u.Tx, prevouts, signedBy(t, u, prevouts, positions...))
		if err != nil {
			rt.Fatal(err)
		}
		raw, err := Encode(tx)
		if err != nil {
			rt.Fatal(err)
		}
		if _, err := VerifyRaw(raw, u.Raw, prevouts); err != nil {
			rt.Fatal(err)
		}
		scripts, signatures := make([][]byte, len(u.Coins)), int64(0)
		for i, c := range u.Coins {
			scripts[i] = c.Witness
			signatures += int64(max(c.Needed, 1))
			if got := len(tx.TxIn[i].Witness); c.Witness != nil && got != c.Needed+2 {
				rt.Fatalf("inputs[%d]: expected an empty item, %d signatures and the script, found %d items", i, c.Needed, got)
			}
		}
		bound, err := VirtualSize(scripts, tx.TxOut)
		if err != nil {
			rt.Fatal(err)
		}
		// DER saves a byte for about every second r, and rarely more.
		if found := sizeOf(tx); found > bound || found < bound-1-signatures {
			rt.Fatalf("expected at most %d virtual bytes and not less by more than one for each of %d signatures, found %d", bound, signatures, found)
		}
		if least, ok := feeFor(bound, p.FeeRate); !ok || u.Fee < least {
			rt.Fatalf("fee: expected at least %d, found %d", least, u.Fee)
		}
	})
}

// shared returns a transaction of a coin of 2 of 3 keys and one of a single key, and what signs it.
func shared(t *testing.T, positions ...int) (*Unsigned, []*wire.TxOut, []SignedInput) {
	t.Helper()
	u := mustBuild(t, params(sharedCoin(t, 40_000, 2, 1, 2, 3), coinOf(t, 9, 30_000)))
	prevouts := prevoutsOf(t, u)
	return u, prevouts, signedBy(t, u, prevouts, positions...)
}

func TestFinaliseRefusesSharesThatDoNotFit(t *testing.T) {
	for name, c := range map[string]struct {
		positions []int
		change    func(t *testing.T, in *SignedInput)
		field     string
	}{
		"one signature":    {[]int{0}, nil, "inputs[0].signatures, keys"},
		"three signatures": {[]int{0, 1, 2}, nil, "inputs[0].signatures, keys"},
		"one key twice":    {[]int{1, 1}, nil, "inputs[0].keys[1]"},
		"fewer keys":       {[]int{0, 1}, func(_ *testing.T, in *SignedInput) { in.Keys = in.Keys[:1] }, "inputs[0].signatures, keys"},
		"foreign key":      {[]int{0, 1}, func(_ *testing.T, in *SignedInput) { in.Keys[1] = publicOf(9) }, "inputs[0].keys[1]"},
		"keys swapped":     {[]int{0, 1}, func(_ *testing.T, in *SignedInput) { in.Keys[0], in.Keys[1] = in.Keys[1], in.Keys[0] }, "inputs[0].signature"},
		"another digest":   {[]int{0, 2}, func(_ *testing.T, in *SignedInput) { in.Signatures[1] = sign(keyOf(1), [32]byte{1}) }, "inputs[0].signature"},
		"high s": {[]int{0, 2}, func(_ *testing.T, in *SignedInput) {
			var n btcec.ModNScalar
			n.SetByteSlice(in.Signatures[0][32:])
			b := n.Negate().Bytes()
			copy(in.Signatures[0][32:], b[:])
		}, "inputs[0].signature.s"},
		"no script":      {[]int{0, 1}, func(_ *testing.T, in *SignedInput) { in.Witness = nil }, "inputs[0].witness script"},
		"another script": {[]int{0, 1}, func(t *testing.T, in *SignedInput) { in.Witness = multiOf(t, 2, 1, 2, 4) }, "inputs[0].witness script"},
		"fewer needed":   {[]int{0, 1}, func(t *testing.T, in *SignedInput) { in.Witness = multiOf(t, 1, 1, 2, 3) }, "inputs[0].witness script"},
	} {
		t.Run(name, func(t *testing.T) {
			u, prevouts, inputs := shared(t, c.positions...)
			if c.change != nil {
				c.change(t, &inputs[0])
			}
			tx, err := Finalise(u.Tx, prevouts, inputs)
			if err == nil || tx != nil || !strings.Contains(err.Error(), c.field) {
				t.Errorf("expected a refusal of %s, found %v", c.field, err)
			}
		})
	}
}

func TestVerifyRefusesEveryTamperedShare(t *testing.T) {
	u, prevouts, inputs := shared(t, 2, 0)
	tx, err := Finalise(u.Tx, prevouts, inputs)
	if err != nil {
		t.Fatal(err)
	}
	digests, err := Digests(u.Tx, prevouts, [][]byte{u.Coins[0].Witness, u.Coins[1].Witness})
	if err != nil {
		t.Fatal(err)
	}
	resigned := func(hashType txscript.SigHashType) []byte {
		hashes := txscript.NewTxSigHashes(tx, fetcher(tx, prevouts))
		_, keys, err := ParseSortedMulti(tx.TxIn[0].Witness[3])
		if err != nil {
			t.Fatal(err)
		}
		sig, err := txscript.RawTxInWitnessSignature(tx, hashes, 0, prevouts[0].Value, tx.TxIn[0].Witness[3], hashType, secretOf(t, keys[0]))
		if err != nil {
			t.Fatal(err)
		}
		return sig
	}
	same := tx.Copy()
	same.TxIn[0].Witness[1] = resigned(txscript.SigHashAll)
	if err := Verify(same, prevouts); err != nil {
		t.Fatalf("signed again: %v", err)
	}
	for name, change := range map[string]func(w wire.TxWitness) wire.TxWitness{
		"no witness":           func(wire.TxWitness) wire.TxWitness { return nil },
		"script alone":         func(w wire.TxWitness) wire.TxWitness { return w[3:] },
		"no script":            func(w wire.TxWitness) wire.TxWitness { return w[:3] },
		"script is empty":      func(w wire.TxWitness) wire.TxWitness { w[3] = nil; return w },
		"first item not empty": func(w wire.TxWitness) wire.TxWitness { w[0] = []byte{1}; return w },
		"no first item":        func(w wire.TxWitness) wire.TxWitness { return w[1:] },
		"one signature":        func(w wire.TxWitness) wire.TxWitness { return slices.Delete(w, 1, 2) },
		"a signature too many": func(w wire.TxWitness) wire.TxWitness { return slices.Insert(w, 1, w[1]) },
		"empty signature":      func(w wire.TxWitness) wire.TxWitness { w[1] = nil; return w },
		"one signature twice":  func(w wire.TxWitness) wire.TxWitness { w[2] = w[1]; return w },
		"signatures swapped":   func(w wire.TxWitness) wire.TxWitness { w[1], w[2] = w[2], w[1]; return w },
		"one bit":              func(w wire.TxWitness) wire.TxWitness { w[2][20] ^= 1; return w },
		"high s":               func(w wire.TxWitness) wire.TxWitness { w[1] = highS(t, w[1]); return w },
		"another script":       func(w wire.TxWitness) wire.TxWitness { w[3] = multiOf(t, 1, 1, 2, 3); return w },
		"keys out of order":    func(w wire.TxWitness) wire.TxWitness { w[3] = unsortedOf(t, w[3]); return w },
		"hash type byte":       func(w wire.TxWitness) wire.TxWitness { w[1][len(w[1])-1] = 2; return w },
		"NONE":                 func(w wire.TxWitness) wire.TxWitness { w[1] = resigned(txscript.SigHashNone); return w },
		"SINGLE":               func(w wire.TxWitness) wire.TxWitness { w[1] = resigned(txscript.SigHashSingle); return w },
		"ANYONECANPAY": func(w wire.TxWitness) wire.TxWitness {
			w[1] = resigned(txscript.SigHashAll | txscript.SigHashAnyOneCanPay)
			return w
		},
		"a P2WPKH's witness":   func(wire.TxWitness) wire.TxWitness { return tx.TxIn[1].Witness },
		"an annex at the end":  func(w wire.TxWitness) wire.TxWitness { return append(w, []byte{0x50}) },
		"bytes behind the DER": func(w wire.TxWitness) wire.TxWitness { w[1] = slices.Insert(w[1], len(w[1])-1, 0); return w },
		"a script of OP_TRUE":  func(wire.TxWitness) wire.TxWitness { return wire.TxWitness{{}, {1}, {txscript.OP_TRUE}} },
	} {
		changed := tx.Copy()
		changed.TxIn[0].Witness = change(changed.TxIn[0].Witness)
		if err := Verify(changed, prevouts); err == nil {
			t.Errorf("%s: expected a refusal", name)
		}
		if err := checkWitness(changed.TxIn[0].Witness, digests[0], prevouts[0].PkScript); err == nil {
			t.Errorf("%s: expected a refusal before the script engine is asked", name)
		}
	}
	for i := range prevouts {
		lied := []*wire.TxOut{wire.NewTxOut(prevouts[0].Value, prevouts[0].PkScript), wire.NewTxOut(prevouts[1].Value, prevouts[1].PkScript)}
		lied[i].Value++
		if err := Verify(tx, lied); err == nil {
			t.Errorf("prevouts[%d].value: expected a refusal of another amount", i)
		}
	}
	if err := Verify(tx, prevouts[:1]); err == nil {
		t.Error("expected a refusal of one previous output for two inputs")
	}
}

// Scripts that anybody can satisfy, or others than the keys, are none of ours, whatever the engine says.
func TestVerifyRefusesScriptsThatAreNotOurs(t *testing.T) {
	multi := multiOf(t, 2, 1, 2, 3)
	for name, script := range map[string][]byte{
		"OP_TRUE":       {txscript.OP_TRUE},
		"one key alone": slices.Concat([]byte{33}, keyOf(1).PubKey().SerializeCompressed(), []byte{txscript.OP_CHECKSIG}),
		"key order":     unsortedOf(t, multi),
	} {
		c := sharedCoin(t, 90_000, 2, 1, 2, 3)
		u := mustBuild(t, params(c))
		prevouts := []*wire.TxOut{wire.NewTxOut(90_000, ScriptP2WSH(script))}
		tx := u.Tx.Copy()
		hashes := txscript.NewTxSigHashes(tx, fetcher(tx, prevouts))
		witness := wire.TxWitness{}
		if name != "OP_TRUE" {
			sign := func(n uint32) []byte {
				sig, err := txscript.RawTxInWitnessSignature(tx, hashes, 0, 90_000, script, txscript.SigHashAll, keyOf(n))
				if err != nil {
					t.Fatal(err)
				}
				return sig
			}
			witness = wire.TxWitness{sign(1)}
			if name == "key order" {
				keys := [][33]byte{[33]byte(script[2:35]), [33]byte(script[36:69])}
				witness = wire.TxWitness{{}}
				for _, k := range keys {
					for n := uint32(1); n <= 3; n++ {
						if publicOf(n) == k {
							witness = append(witness, sign(n))
						}
					}
				}
			}
		}
		tx.TxIn[0].Witness = append(witness, script)
		engine, err := txscript.NewEngine(prevouts[0].PkScript, tx, 0, txscript.StandardVerifyFlags, nil, txscript.NewTxSigHashes(tx, fetcher(tx, prevouts)), 90_000, fetcher(tx, prevouts))
		if err != nil || engine.Execute() != nil {
			t.Fatalf("%s: expected a script that the engine takes, found %v", name, err)
		}
		if err := Verify(tx, prevouts); err == nil {
			t.Errorf("%s: expected a refusal", name)
		}
	}
}

func TestBuildRefusesCoinsThatSayTwoThings(t *testing.T) {
	for name, c := range map[string]struct {
		change func(c *Coin)
		field  string
	}{
		"too few needed":   {func(c *Coin) { c.Needed = 1 }, "coins[0].needed"},
		"none needed":      {func(c *Coin) { c.Needed = 0 }, "coins[0].needed"},
		"no script":        {func(c *Coin) { c.Witness = nil }, "coins[0].witness script"},
		"another script":   {func(c *Coin) { c.Witness = multiOf(t, 2, 1, 2, 4) }, "coins[0].witness script"},
		"script of P2WPKH": {func(c *Coin) { c.Script = ScriptP2WPKH(publicOf(1)) }, "coins[0].witness script"},
		"two for P2WPKH":   {func(c *Coin) { c.Script, c.Witness = ScriptP2WPKH(publicOf(1)), nil }, "coins[0].needed"},
		"P2TR":             {func(c *Coin) { c.Script = append([]byte{0x51, 32}, c.Witness[3:35]...) }, "coins[0].script"},
	} {
		coin := sharedCoin(t, 90_000, 2, 1, 2, 3)
		c.change(&coin)
		if _, err := Build(params(coin)); err == nil || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%s: expected a refusal of %s, found %v", name, c.field, err)
		}
	}
}

// A coin that several sign for adds less, since its witness costs more.
func TestSelectionPrefersWhatAddsMore(t *testing.T) {
	plain, shared := coinOf(t, 9, 100_000), sharedCoin(t, 100_500, 8, 1, 2, 3, 4, 5, 6, 7, 8)
	u := mustBuild(t, params(shared, plain))
	if len(u.Coins) != 1 || u.Coins[0].Outpoint != plain.Outpoint {
		t.Errorf("expected the coin of one key alone, found %+v", u.Coins)
	}
}

// Nodes relay no transaction beyond the standard weight, however many inputs the caller allows.
func TestBuildKeepsToTheStandardWeight(t *testing.T) {
	keys := make([]uint32, MaxMultisigKeys)
	for i := range keys {
		keys[i] = uint32(i)
	}
	coins := make([]Coin, 300)
	one := sharedCoin(t, 10_000, MaxMultisigKeys, keys...)
	for i := range coins {
		coins[i] = one
		coins[i].Outpoint.Index = uint32(i)
	}
	p := params(coins...)
	p.MaxInputs, p.FeeRate, p.FeeCap = maxInputs, 1_000, 10_000_000
	p.Payments[0] = payment(1000, 1_500_000)
	u := mustBuild(t, p)
	scripts := make([][]byte, len(u.Coins))
	for i, c := range u.Coins {
		scripts[i] = c.Witness
	}
	if size, err := VirtualSize(scripts, u.Tx.TxOut); err != nil || size > maxStandardSize {
		t.Errorf("expected at most %d virtual bytes, found %d (%v)", maxStandardSize, size, err)
	}
	p.Payments[0] = payment(1000, 2_800_000)
	if _, err := Build(p); err == nil || !strings.Contains(err.Error(), "size") {
		t.Errorf("expected a refusal of the size, found %v", err)
	}
}

// Whatever stands in the witness of a shared coin, what verifies is the approved transaction with exactly the signatures that are needed.
func FuzzVerifyShares(f *testing.F) {
	u := mustBuild(f, params(sharedCoin(f, 90_000, 2, 1, 2, 3)))
	prevouts := prevoutsOf(f, u)
	tx, err := Finalise(u.Tx, prevouts, signedBy(f, u, prevouts, 0, 2))
	if err != nil {
		f.Fatal(err)
	}
	w := tx.TxIn[0].Witness
	f.Add(w[0], w[1], w[2], w[3])
	f.Add(w[0], w[2], w[1], w[3])
	f.Add([]byte{1}, w[1], w[1], []byte{txscript.OP_TRUE})
	f.Fuzz(func(t *testing.T, first, second, third, script []byte) {
		changed := tx.Copy()
		changed.TxIn[0].Witness = wire.TxWitness{first, second, third, script}
		raw, err := Encode(changed)
		if err != nil {
			t.Fatal(err)
		}
		got, err := VerifyRaw(raw, u.Raw, prevouts)
		if err != nil {
			return
		}
		if got.TxHash() != tx.TxHash() || len(first) != 0 || bytes.Equal(second, third) || !bytes.Equal(script, w[3]) {
			t.Fatalf("expected a refusal, found %x", got.TxIn[0].Witness)
		}
	})
}
