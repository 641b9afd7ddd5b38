package bitcoin

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
)

// Project Wycheproof's vectors for Bitcoin's variant of ECDSA: strict DER and low s. The digest goes through checkWitness, the way that a
// completed transaction takes.
func TestSignaturesOfProjectWycheproof(t *testing.T) {
	file, err := os.ReadFile("testdata/wycheproof-ecdsa-secp256k1-sha256-bitcoin.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		NumberOfTests int
		TestGroups    []struct {
			PublicKey string
			Tests     []struct {
				TCID                      int `json:"tcId"`
				Comment, Msg, Sig, Result string
			}
		}
	}
	if err := json.Unmarshal(file, &vectors); err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, group := range vectors.TestGroups {
		key, err := btcec.ParsePubKey(unhex(t, group.PublicKey))
		if err != nil {
			t.Fatal(err)
		}
		public := [33]byte(key.SerializeCompressed())
		for _, v := range group.Tests {
			count++
			digest := sha256.Sum256(unhex(t, v.Msg))
			witness := wire.TxWitness{append(unhex(t, v.Sig), byte(txscript.SigHashAll)), public[:]}
			err := checkWitness(witness, digest, ScriptP2WPKH(public))
			if valid := err == nil; valid != (v.Result == "valid") {
				t.Errorf("%d %s: expected %s, found %v", v.TCID, v.Comment, v.Result, err)
			}
		}
	}
	if count != vectors.NumberOfTests || count < 200 {
		t.Errorf("expected %d tests, found %d", vectors.NumberOfTests, count)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
