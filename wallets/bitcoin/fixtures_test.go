package bitcoin

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/strongroom/strongroom/proto/canon"
)

// keyOf returns a key that depends on n only.
func keyOf(n uint32) *btcec.PrivateKey {
	seed := sha256.Sum256(binary.BigEndian.AppendUint32([]byte("test key "), n))
	key, _ := btcec.PrivKeyFromBytes(seed[:])
	return key
}

func publicOf(n uint32) [33]byte { return [33]byte(keyOf(n).PubKey().SerializeCompressed()) }

// coinOf returns an output of value satoshis of key n, with a previous transaction around it.
func coinOf(t testing.TB, n uint32, value int64) Coin {
	t.Helper()
	previous := wire.NewMsgTx(2)
	previous.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: chainhash.Hash(sha256.Sum256(binary.BigEndian.AppendUint32(nil, n)))}, Sequence: 7})
	previous.AddTxOut(wire.NewTxOut(1, []byte{0x6a})) // a neighbour
	previous.AddTxOut(wire.NewTxOut(value, ScriptP2WPKH(publicOf(n))))
	raw, err := Encode(previous)
	if err != nil {
		t.Fatal(err)
	}
	return Coin{
		Outpoint: wire.OutPoint{Hash: previous.TxHash(), Index: 1}, Value: value, Script: ScriptP2WPKH(publicOf(n)), Previous: raw,
		Account: "main", Index: uint64(n),
	}
}

func coinsOf(t testing.TB, values ...int64) []Coin {
	t.Helper()
	coins := make([]Coin, len(values))
	for i, v := range values {
		coins[i] = coinOf(t, uint32(i), v)
	}
	return coins
}

func payment(n uint32, satoshis uint64) canon.Output {
	return canon.Output{Address: ScriptP2WPKH(publicOf(n)), Amount: canon.AmountOf(satoshis)}
}

// params pays 50,000 satoshis at 10 satoshis per virtual byte.
func params(coins ...Coin) BuildParams {
	return BuildParams{
		Coins: coins, Payments: []canon.Output{payment(1000, 50_000)}, ChangeScript: ScriptP2WPKH(publicOf(2000)),
		FeeRate: 10_000, FeeCap: 100_000, MaxInputs: 20,
	}
}

func mustBuild(t testing.TB, p BuildParams) *Unsigned {
	t.Helper()
	u, err := Build(p)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// prevoutsOf resolves the inputs by the previous transactions of the coins, as a signer does.
func prevoutsOf(t testing.TB, u *Unsigned) []*wire.TxOut {
	t.Helper()
	var previous [][]byte
	for _, c := range u.Coins {
		previous = append(previous, c.Previous)
	}
	prevouts, err := Prevouts(u.Tx, previous)
	if err != nil {
		t.Fatal(err)
	}
	return prevouts
}

// sign returns r ‖ s.
func sign(key *btcec.PrivateKey, digest [32]byte) [64]byte {
	return [64]byte(ecdsa.SignCompact(key, digest[:], true)[1:])
}

// signed returns what Finalise wants for the coins of u.
func signed(t testing.TB, u *Unsigned, prevouts []*wire.TxOut) (inputs []SignedInput) {
	t.Helper()
	digests, err := Digests(u.Tx, prevouts, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range u.Coins {
		n := uint32(c.Index)
		inputs = append(inputs, SignedInput{Keys: [][33]byte{publicOf(n)}, Signatures: [][64]byte{sign(keyOf(n), digests[i])}})
	}
	return inputs
}
