package bitcoin

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
)

func TestParseReadsWhatBuildMakes(t *testing.T) {
	u := mustBuild(t, params(coinsOf(t, 30_000, 40_000)...))
	tx, err := Parse(u.Raw)
	if err != nil {
		t.Fatal(err)
	}
	if tx.TxHash() != u.Tx.TxHash() || len(tx.TxIn) != 2 || len(tx.TxOut) != 2 {
		t.Errorf("found another transaction: %+v", tx)
	}
}

func TestParseNamesTheFieldItRefuses(t *testing.T) {
	opReturn := append([]byte{0x6a, 4}, "data"...)
	for name, c := range map[string]struct {
		change func(*wire.MsgTx)
		field  string
	}{
		"version 1":           {func(tx *wire.MsgTx) { tx.Version = 1 }, "version: expected 2, found 1"},
		"version 3":           {func(tx *wire.MsgTx) { tx.Version = 3 }, "version: expected 2, found 3"},
		"lock time":           {func(tx *wire.MsgTx) { tx.LockTime = 500_000_000 }, "lock_time: expected 0, found 500000000"},
		"final sequence":      {func(tx *wire.MsgTx) { tx.TxIn[1].Sequence = 0xffffffff }, "inputs[1].sequence: expected 0xfffffffd, found 0xffffffff"},
		"relative lock":       {func(tx *wire.MsgTx) { tx.TxIn[0].Sequence = 144 }, "inputs[0].sequence"},
		"script sig":          {func(tx *wire.MsgTx) { tx.TxIn[0].SignatureScript = []byte{1, 2} }, "inputs[0].script_sig: expected empty, found 2 bytes"},
		"witness":             {func(tx *wire.MsgTx) { tx.TxIn[1].Witness = wire.TxWitness{{1}} }, "inputs[1].witness: expected none, found 1 items"},
		"no input":            {func(tx *wire.MsgTx) { tx.TxIn = nil }, "inputs: expected at least 1"},
		"duplicate input":     {func(tx *wire.MsgTx) { tx.TxIn[1].PreviousOutPoint = tx.TxIn[0].PreviousOutPoint }, "inputs[1].outpoint: expected distinct"},
		"coinbase":            {func(tx *wire.MsgTx) { tx.TxIn[0].PreviousOutPoint = wire.OutPoint{Index: 0xffffffff} }, "inputs[0].outpoint"},
		"no output":           {func(tx *wire.MsgTx) { tx.TxOut = nil }, "outputs: expected at least 1"},
		"zero value":          {func(tx *wire.MsgTx) { tx.TxOut[0].Value = 0 }, "outputs[0].value: expected above 0"},
		"negative value":      {func(tx *wire.MsgTx) { tx.TxOut[0].Value = -1 }, "outputs[0].value"},
		"more than all money": {func(tx *wire.MsgTx) { tx.TxOut[1].Value = maxMoney + 1 }, "outputs[1].value"},
		"sum":                 {func(tx *wire.MsgTx) { tx.TxOut[0].Value, tx.TxOut[1].Value = maxMoney, 1 }, "outputs: sum of values"},
		"overflow":            {func(tx *wire.MsgTx) { tx.TxOut[0].Value, tx.TxOut[1].Value = 1<<62, 1<<62 }, "outputs[0].value"},
		"data output":         {func(tx *wire.MsgTx) { tx.TxOut[0].PkScript = opReturn }, "outputs[0].script"},
		"empty script":        {func(tx *wire.MsgTx) { tx.TxOut[1].PkScript = nil }, "outputs[1].script"},
		"pay to key":          {func(tx *wire.MsgTx) { tx.TxOut[1].PkScript = append(append([]byte{33}, make([]byte, 33)...), 0xac) }, "outputs[1].script"},
		"pay to anchor":       {func(tx *wire.MsgTx) { tx.TxOut[1].PkScript = []byte{0x51, 2, 0x4e, 0x73} }, "outputs[1].script"},
		"too large": {func(tx *wire.MsgTx) {
			for range MaxUnsigned / 31 {
				tx.AddTxOut(tx.TxOut[0])
			}
		}, "size: expected at most 100000 bytes"},
	} {
		tx := mustBuild(t, params(coinsOf(t, 30_000, 40_000)...)).Tx.Copy()
		c.change(tx)
		raw, err := Encode(tx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(raw); err == nil || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%s: expected a refusal with %q, found %v", name, c.field, err)
		}
	}
}

func TestDecodersRefuseBytesOfAnotherForm(t *testing.T) {
	raw := mustBuild(t, params(coinsOf(t, 30_000, 40_000)...)).Raw
	for name, bad := range map[string][]byte{
		"nothing":             nil,
		"trailing byte":       append(bytes.Clone(raw), 0),
		"long count":          append(append(bytes.Clone(raw[:4]), 0xfd, 2, 0), raw[5:]...),
		"longer count":        append(append(bytes.Clone(raw[:4]), 0xfe, 2, 0, 0, 0), raw[5:]...),
		"longest count":       append(append(bytes.Clone(raw[:4]), 0xff, 2, 0, 0, 0, 0, 0, 0, 0), raw[5:]...),
		"count beyond bytes":  append(bytes.Clone(raw[:4]), 0xfe, 0xff, 0xff, 0xff, 0x00),
		"count of 2^64-1":     append(bytes.Clone(raw[:4]), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
		"marker without flag": append(append(bytes.Clone(raw[:4]), 0), raw[4:]...),
		"marker, no witness":  append(append(bytes.Clone(raw[:4]), 0, 1), raw[4:]...),
	} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%s: Parse expected a refusal", name)
		}
		if _, _, err := ParsePrevious(bad); err == nil {
			t.Errorf("%s: ParsePrevious expected a refusal", name)
		}
		if _, err := TxID(bad); err == nil {
			t.Errorf("%s: TxID expected a refusal", name)
		}
	}
	for n := range raw {
		if _, err := Parse(raw[:n]); err == nil {
			t.Errorf("the first %d of %d bytes were read", n, len(raw))
		}
	}
	// Marker and flag, but nothing in any witness (BIP-144 forbids it).
	empty := append(append(bytes.Clone(raw[:4]), 0, 1), raw[4:len(raw)-4]...)
	empty = append(append(empty, 0, 0), raw[len(raw)-4:]...)
	if _, _, err := ParsePrevious(empty); err == nil {
		t.Error("an empty witness was read")
	}
}

func TestPrevoutsComeFromWholePreviousTransactionsOnly(t *testing.T) {
	coins := coinsOf(t, 30_000, 40_000)
	u := mustBuild(t, params(coins...))
	foreign := coinOf(t, 9, 1_000_000).Previous
	first, second := u.Coins[0].Previous, u.Coins[1].Previous
	forged, _, err := ParsePrevious(first)
	if err != nil {
		t.Fatal(err)
	}
	forged.TxOut[1].Value *= 2
	lie, _ := Encode(forged)
	for name, c := range map[string]struct {
		previous [][]byte
		field    string
	}{
		"none":              {nil, "inputs[0].outpoint: expected the whole previous transaction"},
		"one missing":       {[][]byte{first}, "inputs[1].outpoint"},
		"amount changed":    {[][]byte{lie, second}, "inputs[0].outpoint"},
		"foreign instead":   {[][]byte{first, foreign}, "inputs[1].outpoint"},
		"one too many":      {[][]byte{first, second, foreign}, "previous: expected at most 2"},
		"twice":             {[][]byte{first, first}, "previous[1]: expected distinct"},
		"not a transaction": {[][]byte{first, {1, 2, 3}}, "previous[1]"},
		"too large":         {[][]byte{first, make([]byte, MaxPrevious+1)}, "size"},
	} {
		if _, err := Prevouts(u.Tx, c.previous); err == nil || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%s: expected a refusal with %q, found %v", name, c.field, err)
		}
	}
	beyond := u.Tx.Copy()
	beyond.TxIn[1].PreviousOutPoint.Index = 2
	if _, err := Prevouts(beyond, [][]byte{first, second}); err == nil || !strings.Contains(err.Error(), "expected an output below 2") {
		t.Errorf("an output that is not there: found %v", err)
	}
	single := u.Tx.Copy()
	single.TxIn[1].PreviousOutPoint = wire.OutPoint{Hash: single.TxIn[0].PreviousOutPoint.Hash}
	if outs, err := Prevouts(single, [][]byte{first}); err != nil || outs[1].Value != 1 {
		t.Errorf("two outputs of one transaction: found %v, %v", outs, err)
	}
	if _, err := Prevouts(single, [][]byte{first, second}); err == nil || !strings.Contains(err.Error(), "unused") {
		t.Errorf("a transaction that nothing spends from: found %v", err)
	}
}

func TestPreviousTransactionsWithAndWithoutWitnessHaveOneTxID(t *testing.T) {
	_, _, tx := completed(t)
	raw, _ := Encode(tx)
	stripped, err := WithoutWitness(raw)
	if err != nil || len(stripped) >= len(raw) {
		t.Fatalf("found %d bytes of %d, %v", len(stripped), len(raw), err)
	}
	_, id, err := ParsePrevious(raw)
	if err != nil {
		t.Fatal(err)
	}
	_, same, err := ParsePrevious(stripped)
	if err != nil || id != same || chainhash.Hash(id) != tx.TxHash() {
		t.Errorf("expected %s twice, found %x and %x, %v", tx.TxHash(), id, same, err)
	}
	text, err := TxID(raw)
	if err != nil || text != chainhash.Hash(id).String() {
		t.Errorf("found %s, %v", text, err)
	}
}

func TestTxIDOfTheFirstTransaction(t *testing.T) {
	// Block 0's coinbase.
	raw := unhex(t, "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000")
	if id, err := TxID(raw); err != nil || id != "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b" {
		t.Errorf("found %s, %v", id, err)
	}
}

func seeds(f *testing.F) {
	u := mustBuild(f, params(coinsOf(f, 30_000, 40_000)...))
	f.Add(u.Raw)
	f.Add(u.Coins[0].Previous)
	with := u.Tx.Copy()
	with.TxIn[0].Witness = wire.TxWitness{{1}, make([]byte, 300)}
	raw, _ := Encode(with)
	f.Add(raw)
	f.Add([]byte{2, 0, 0, 0, 0, 1})
	f.Add(binary.LittleEndian.AppendUint64([]byte{2, 0, 0, 0, 0xff}, 1<<63))
}

func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		tx, err := Parse(raw)
		if err != nil {
			return
		}
		again, err := encodeNoWitness(tx)
		if err != nil || !bytes.Equal(again, raw) {
			t.Fatalf("read %x, wrote %x, %v", raw, again, err)
		}
	})
}

// The bounds that are checked before decoding must not differ from what the decoder reads.
func FuzzParsePrevious(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		tx, id, err := ParsePrevious(raw)
		if err != nil {
			if accepts(raw) {
				t.Fatalf("wire reads %x canonically, but: %v", raw, err)
			}
			return
		}
		stripped, err := encodeNoWitness(tx)
		if err != nil {
			t.Fatal(err)
		}
		once := sha256.Sum256(stripped)
		if want := sha256.Sum256(once[:]); id != want {
			t.Fatalf("txid: expected %x, found %x", want, id)
		}
	})
}

// accepts reports whether the wire package alone reads raw as one transaction, writes it back the same, and it has inputs and money that
// can exist.
func accepts(raw []byte) bool {
	var tx wire.MsgTx
	r := bytes.NewReader(raw)
	if tx.Deserialize(r) != nil || r.Len() != 0 || len(tx.TxIn) == 0 {
		return false
	}
	again, err := Encode(&tx)
	if err != nil || !bytes.Equal(again, raw) {
		return false
	}
	_, err = sumOutputs(&tx)
	return err == nil
}
