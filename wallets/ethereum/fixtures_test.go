package ethereum

import (
	"encoding/hex"
	"math/big"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"pgregory.net/rapid"
)

var (
	receiver = [20]byte{0xaa, 19: 0x01}
	token    = [20]byte{0xcc, 19: 0x02}
	gwei     = big.NewInt(1_000_000_000)
)

func key() *btcec.PrivateKey {
	k, _ := btcec.PrivKeyFromBytes([]byte("a key for the tests of ethereum."))
	return k
}

func publicOf(k *btcec.PrivateKey) [33]byte { return [33]byte(k.PubKey().SerializeCompressed()) }

// sign returns r ‖ s ‖ recovery id.
func sign(k *btcec.PrivateKey, digest [32]byte) (sig [65]byte) {
	compact := ecdsa.SignCompact(k, digest[:], false)
	copy(sig[:], compact[1:])
	sig[64] = compact[0] - 27
	return sig
}

func native() BuildParams {
	return BuildParams{ChainID: 1, Nonce: 7, Tip: gwei, FeeCap: new(big.Int).Mul(gwei, big.NewInt(30)), Gas: 21_000, To: receiver, Value: big.NewInt(15e15)}
}

func erc20() BuildParams {
	p := native()
	p.Gas, p.Value, p.Token, p.Amount = 65_000, nil, &token, big.NewInt(2_500_000)
	return p
}

// call is approve(receiver, 5) on the token.
func call() BuildParams {
	p := native()
	word := func(b ...byte) []byte { return append(make([]byte, 32-len(b)), b...) }
	p.Gas, p.To, p.Value, p.Data = 65_000, token, nil, slices.Concat([]byte{0x09, 0x5e, 0xa7, 0xb3}, word(receiver[:]...), word(5))
	return p
}

func mustBuild(t testing.TB, p BuildParams) []byte {
	t.Helper()
	payload, err := Build(p)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func words(bits int) *rapid.Generator[*big.Int] {
	return rapid.Custom(func(t *rapid.T) *big.Int {
		n := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 0, bits/8).Draw(t, "word"))
		return n
	})
}

func addresses() *rapid.Generator[[20]byte] {
	return rapid.Map(rapid.SliceOfN(rapid.Byte(), 20, 20), func(b []byte) [20]byte { return [20]byte(b) }).
		Filter(func(a [20]byte) bool { return a != [20]byte{} })
}

// drawParams draws parameters that Build accepts.
func drawParams(t *rapid.T) BuildParams {
	p := BuildParams{
		ChainID: rapid.Uint64Range(1, 1<<63).Draw(t, "chainID"),
		Nonce:   rapid.Uint64Range(0, 1<<64-2).Draw(t, "nonce"),
		FeeCap:  words(128).Filter(func(n *big.Int) bool { return n.Sign() > 0 }).Draw(t, "feeCap"),
		Gas:     rapid.Uint64Range(MinGas, MaxGas).Draw(t, "gas"),
		To:      addresses().Draw(t, "to"),
	}
	p.Tip = new(big.Int).Mod(words(128).Draw(t, "tip"), p.FeeCap)
	switch rapid.IntRange(0, 2).Draw(t, "sort") {
	case 0:
		contract := addresses().Draw(t, "contract")
		p.Token, p.Amount = &contract, words(256).Draw(t, "amount")
	case 1:
		n := 4 + 32*rapid.IntRange(0, MaxWords).Draw(t, "words")
		p.Data = rapid.SliceOfN(rapid.Byte(), n, n).Filter(func(b []byte) bool { return !isTransfer(b) }).Draw(t, "data")
		p.Value = words(248).Draw(t, "value")
	default:
		p.Value = words(248).Draw(t, "value")
	}
	return p
}
