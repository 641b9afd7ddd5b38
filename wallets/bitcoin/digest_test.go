package bitcoin

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"pgregory.net/rapid"
)

// BIP-143, section "Native P2WPKH", second input. Its digest does not depend on the first input's prevout, P2PK in the standard, which
// this package does not sign.
func TestDigestOfBIP143(t *testing.T) {
	raw := unhex(t, "0100000002fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f0000000000eeffffff"+
		"ef51e1b804cc89d182d279655c3aa89e815b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976a914"+
		"8280b37df378db99f66f85c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988ac11000000")
	public := [33]byte(unhex(t, "025476c2e83188368da1ff3e292e7acafcdb3566bb0ad253f62fc70f07aeee6357"))
	script := ScriptP2WPKH(public)
	if want := "00141d0f172a0ecb48aee1be1f2687d2963ae33f71a1"; hex.EncodeToString(script) != want {
		t.Fatalf("script: expected %s, found %x", want, script)
	}
	tx, _, err := ParsePrevious(raw)
	if err != nil {
		t.Fatal(err)
	}
	digests, err := Digests(tx, []*wire.TxOut{wire.NewTxOut(625_000_000, script), wire.NewTxOut(600_000_000, script)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := "c37af31116d1b27caf68aae9e3ac82f1477929014d5b917657d0eb49478cb670"; hex.EncodeToString(digests[1][:]) != want {
		t.Errorf("digest: expected %s, found %x", want, digests[1])
	}
	sig := unhex(t, "304402203609e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a0220573a954c4518331561406f90300e8f3358f51928d43c212a8caed02de67eebee01")
	if err := checkWitness(wire.TxWitness{sig, public[:]}, digests[1], script); err != nil {
		t.Errorf("the signature of the standard: %v", err)
	}
}

func TestTransactionsGoFromCoinsToVerified(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var coins []Coin
		for i := range rapid.IntRange(1, 4).Draw(rt, "coins") {
			coins = append(coins, coinOf(t, uint32(i), rapid.Int64Range(60_000, 1e10).Draw(rt, "value")))
		}
		u := mustBuild(t, params(coins...))
		prevouts := prevoutsOf(t, u)
		tx, err := Finalise(u.Tx, prevouts, signed(t, u, prevouts))
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
		id, _ := TxID(raw)
		if want, _ := TxID(u.Raw); id != want || id != tx.TxHash().String() {
			rt.Fatalf("txid changed from %s to %s", want, id)
		}
		bound, err := VirtualSize(make([][]byte, len(tx.TxIn)), tx.TxOut)
		if err != nil {
			rt.Fatal(err)
		}
		found := sizeOf(tx)
		if found > bound || found < bound-int64(len(tx.TxIn)) {
			rt.Fatalf("expected at most %d virtual bytes and not less by more than one for each input, found %d", bound, found)
		}
		fee, err := Fee(tx, prevouts)
		if err != nil || fee != u.Fee {
			rt.Fatalf("fee: expected %d, found %d, %v", u.Fee, fee, err)
		}
	})
}

// sizeOf returns the virtual bytes of a signed transaction (BIP-141).
func sizeOf(tx *wire.MsgTx) int64 {
	return int64(tx.SerializeSizeStripped()*3+tx.SerializeSize()+3) / 4
}

// completed returns a transaction of two inputs that verifies.
func completed(t *testing.T) (*Unsigned, []*wire.TxOut, *wire.MsgTx) {
	t.Helper()
	u := mustBuild(t, params(coinsOf(t, 30_000, 40_000)...))
	prevouts := prevoutsOf(t, u)
	tx, err := Finalise(u.Tx, prevouts, signed(t, u, prevouts))
	if err != nil {
		t.Fatal(err)
	}
	return u, prevouts, tx
}

func TestVerifyRefusesEveryTamperedField(t *testing.T) {
	_, prevouts, tx := completed(t)
	resign := func(tx *wire.MsgTx, hashType txscript.SigHashType) {
		for i := range tx.TxIn {
			hashes := txscript.NewTxSigHashes(tx, fetcher(tx, prevouts))
			sig, err := txscript.RawTxInWitnessSignature(tx, hashes, i, prevouts[i].Value, prevouts[i].PkScript, hashType, keyOf(uint32(1-i)))
			if err != nil {
				t.Fatal(err)
			}
			tx.TxIn[i].Witness[0] = sig
		}
	}
	check := func(tx *wire.MsgTx) error { return Verify(tx, prevouts) }
	same := tx.Copy()
	resign(same, txscript.SigHashAll)
	if err := check(same); err != nil {
		t.Fatalf("signed again: %v", err)
	}
	for name, change := range map[string]func(*wire.MsgTx){
		"version":                 func(tx *wire.MsgTx) { tx.Version = 1 },
		"version, signed":         func(tx *wire.MsgTx) { tx.Version = 1; resign(tx, txscript.SigHashAll) },
		"lock time":               func(tx *wire.MsgTx) { tx.LockTime = 1 },
		"lock time, signed":       func(tx *wire.MsgTx) { tx.LockTime = 1; resign(tx, txscript.SigHashAll) },
		"sequence":                func(tx *wire.MsgTx) { tx.TxIn[0].Sequence-- },
		"sequence, signed":        func(tx *wire.MsgTx) { tx.TxIn[0].Sequence--; resign(tx, txscript.SigHashAll) },
		"outpoint":                func(tx *wire.MsgTx) { tx.TxIn[1].PreviousOutPoint.Index++ },
		"amount":                  func(tx *wire.MsgTx) { tx.TxOut[0].Value-- },
		"destination":             func(tx *wire.MsgTx) { tx.TxOut[0].PkScript[5] ^= 1 },
		"change":                  func(tx *wire.MsgTx) { tx.TxOut[1].PkScript[5] ^= 1 },
		"output dropped":          func(tx *wire.MsgTx) { tx.TxOut = tx.TxOut[:1] },
		"outputs swapped":         func(tx *wire.MsgTx) { tx.TxOut[0], tx.TxOut[1] = tx.TxOut[1], tx.TxOut[0] },
		"script sig":              func(tx *wire.MsgTx) { tx.TxIn[0].SignatureScript = []byte{0x51} },
		"no witness":              func(tx *wire.MsgTx) { tx.TxIn[0].Witness = nil },
		"witness item added":      func(tx *wire.MsgTx) { tx.TxIn[0].Witness = append(tx.TxIn[0].Witness, []byte{1}) },
		"witnesses swapped":       func(tx *wire.MsgTx) { tx.TxIn[0].Witness, tx.TxIn[1].Witness = tx.TxIn[1].Witness, tx.TxIn[0].Witness },
		"signature":               func(tx *wire.MsgTx) { tx.TxIn[0].Witness[0][20] ^= 1 },
		"hash type byte":          func(tx *wire.MsgTx) { w := tx.TxIn[0].Witness[0]; w[len(w)-1] = 2 },
		"signed for NONE":         func(tx *wire.MsgTx) { resign(tx, txscript.SigHashNone) },
		"signed for SINGLE":       func(tx *wire.MsgTx) { resign(tx, txscript.SigHashSingle) },
		"signed for ANYONECANPAY": func(tx *wire.MsgTx) { resign(tx, txscript.SigHashAll|txscript.SigHashAnyOneCanPay) },
		"high s":                  func(tx *wire.MsgTx) { tx.TxIn[0].Witness[0] = highS(t, tx.TxIn[0].Witness[0]) },
	} {
		changed := tx.Copy()
		change(changed)
		if err := check(changed); err == nil {
			t.Errorf("%s: expected a refusal", name)
		}
	}
	for i := range prevouts {
		lied := []*wire.TxOut{wire.NewTxOut(prevouts[0].Value, prevouts[0].PkScript), wire.NewTxOut(prevouts[1].Value, prevouts[1].PkScript)}
		lied[i].Value++
		if err := Verify(tx, lied); err == nil {
			t.Errorf("prevouts[%d].value: expected a refusal of another amount", i)
		}
	}
}

// highS replaces s by n - s, which verifies just as well.
func highS(t *testing.T, witness []byte) []byte {
	t.Helper()
	sig, err := ecdsa.ParseDERSignature(witness[:len(witness)-1])
	if err != nil {
		t.Fatal(err)
	}
	r, s := sig.R(), sig.S()
	s.Negate()
	rb, sb := r.Bytes(), s.Bytes()
	integer := func(b []byte) []byte {
		b = bytes.TrimLeft(b, "\x00")
		if b[0] >= 0x80 {
			b = append([]byte{0}, b...)
		}
		return append([]byte{2, byte(len(b))}, b...)
	}
	body := append(integer(rb[:]), integer(sb[:])...)
	return append(append([]byte{0x30, byte(len(body))}, body...), 1)
}

func TestFinaliseRefusesSignaturesThatDoNotFit(t *testing.T) {
	u := mustBuild(t, params(coinsOf(t, 30_000, 40_000)...))
	prevouts := prevoutsOf(t, u)
	for name, c := range map[string]struct {
		change func(in []SignedInput) []SignedInput
		field  string
	}{
		"too few": {func(in []SignedInput) []SignedInput { return in[:1] }, "inputs"},
		"swapped": {func(in []SignedInput) []SignedInput {
			in[0].Signatures, in[1].Signatures = in[1].Signatures, in[0].Signatures
			return in
		}, "inputs[0].signature"},
		"foreign key": {func(in []SignedInput) []SignedInput { in[1].Keys[0] = publicOf(77); return in }, "inputs[1].key"},
		"no key":      {func(in []SignedInput) []SignedInput { in[1].Keys = nil; return in }, "inputs[1].signatures, keys"},
		"two of one": {func(in []SignedInput) []SignedInput {
			in[0].Keys, in[0].Signatures = append(in[0].Keys, in[0].Keys[0]), append(in[0].Signatures, in[0].Signatures[0])
			return in
		}, "inputs[0].signatures, keys"},
		"witness script": {func(in []SignedInput) []SignedInput { in[0].Witness = multiOf(t, 1, 0, 1); return in }, "inputs[0].witness script"},
		"high s": {func(in []SignedInput) []SignedInput {
			var n btcec.ModNScalar
			n.SetByteSlice(in[1].Signatures[0][32:])
			b := n.Negate().Bytes()
			copy(in[1].Signatures[0][32:], b[:])
			return in
		}, "inputs[1].signature.s"},
		"zero r":         {func(in []SignedInput) []SignedInput { clear(in[0].Signatures[0][:32]); return in }, "inputs[0].signature.r"},
		"zero s":         {func(in []SignedInput) []SignedInput { clear(in[0].Signatures[0][32:]); return in }, "inputs[0].signature.s"},
		"r beyond order": {func(in []SignedInput) []SignedInput { fill(in[0].Signatures[0][:32]); return in }, "inputs[0].signature.r"},
	} {
		tx, err := Finalise(u.Tx, prevouts, c.change(signed(t, u, prevouts)))
		if err == nil || tx != nil || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%s: expected a refusal of %s, found %v", name, c.field, err)
		}
	}
	before := bytes.Clone(u.Raw)
	if _, err := Finalise(u.Tx, prevouts, signed(t, u, prevouts)); err != nil {
		t.Fatal(err)
	}
	if after, _ := Encode(u.Tx); !bytes.Equal(before, after) {
		t.Error("the unsigned transaction was changed")
	}
}

func fill(b []byte) {
	for i := range b {
		b[i] = 0xff
	}
}

func TestVerifyRawRefusesAnotherTransaction(t *testing.T) {
	u, prevouts, tx := completed(t)
	raw, _ := Encode(tx)
	if _, err := VerifyRaw(raw, u.Raw, prevouts); err != nil {
		t.Fatal(err)
	}
	p := params(coinsOf(t, 30_000, 40_000)...)
	p.FeeRate++
	other := mustBuild(t, p)
	for name, pair := range map[string][2][]byte{
		"other unsigned": {raw, other.Raw},
		"not signed":     {u.Raw, u.Raw},
		"trailing byte":  {append(bytes.Clone(raw), 0), u.Raw},
		"cut":            {raw[:len(raw)-1], u.Raw},
		"empty":          {nil, nil},
	} {
		if _, err := VerifyRaw(pair[0], pair[1], prevouts); err == nil {
			t.Errorf("%s: expected a refusal", name)
		}
	}
}

func TestDigestsSignOurFormsOnly(t *testing.T) {
	u := mustBuild(t, params(coinsOf(t, 90_000)...))
	script := multiOf(t, 2, 1, 2, 3)
	of := func(script []byte) []*wire.TxOut { return []*wire.TxOut{wire.NewTxOut(90_000, script)} }
	for name, c := range map[string]struct {
		prevouts []*wire.TxOut
		witness  [][]byte
	}{
		"P2PKH":                      {of(append(append([]byte{0x76, 0xa9, 20}, make([]byte, 20)...), 0x88, 0xac)), nil},
		"P2SH":                       {of(append(append([]byte{0xa9, 20}, make([]byte, 20)...), 0x87)), nil},
		"P2TR":                       {of(append([]byte{0x51, 32}, unhex(t, "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")...)), nil},
		"P2WSH without a script":     {of(ScriptP2WSH(script)), nil},
		"P2WSH of another script":    {of(ScriptP2WSH(script)), [][]byte{multiOf(t, 1, 1, 2, 3)}},
		"P2WSH of an empty script":   {of(ScriptP2WSH(nil)), [][]byte{{}}},
		"P2WSH of OP_TRUE":           {of(ScriptP2WSH([]byte{txscript.OP_TRUE})), [][]byte{{txscript.OP_TRUE}}},
		"P2WSH of keys out of order": {of(ScriptP2WSH(unsortedOf(t, script))), [][]byte{unsortedOf(t, script)}},
		"P2WPKH with a script":       {of(u.Coins[0].Script), [][]byte{script}},
		"more scripts than inputs":   {of(u.Coins[0].Script), [][]byte{nil, nil}},
		"no previous output":         {[]*wire.TxOut{}, nil},
		"fewer satoshis than paid":   {[]*wire.TxOut{wire.NewTxOut(10, u.Coins[0].Script)}, nil},
		"negative amount":            {[]*wire.TxOut{wire.NewTxOut(-1, u.Coins[0].Script)}, nil},
	} {
		if d, err := Digests(u.Tx, c.prevouts, c.witness); err == nil {
			t.Errorf("%s: found digest %x", name, d)
		}
	}
}
