package guard

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/wire"

	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/ethereum"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// childSecret is the MPC key's secret at an input, which nobody holds outside tests.
func childSecret(in Input) *btcec.PrivateKey {
	seed := sha256Of("group")
	var secret, tweak btcec.ModNScalar
	secret.SetByteSlice(seed[:])
	tweak.SetByteSlice(in.Tweak[:])
	return btcec.PrivKeyFromScalar(secret.Add(&tweak))
}

// Each input says who signs it and what; with those signatures, and no fewer, the chain's rules are met.
func TestInputsSayWhoSigns(t *testing.T) {
	for _, c := range []struct {
		wallet  canon.Name
		mpc     bool
		devices []canon.Name
		needed  int
	}{
		{"btc-cosign", true, []canon.Name{"vault-1"}, 1},
		{"btc-recover", true, []canon.Name{"vault-2"}, 1},
		{"btc-tokens", false, []canon.Name{"vault-1", "vault-2", "vault-3"}, 2},
	} {
		t.Run(string(c.wallet), func(t *testing.T) {
			w := deviceWorld(t)
			p := w.devicePaper(c.wallet)
			s, err := Check(w.encode(p), w.view())
			if err != nil {
				t.Fatal(err)
			}
			if s.Wallet().Name != c.wallet || s.NeedsAttestations() != 0 || (s.Key() != GroupKey{}) != c.mpc {
				t.Errorf("expected wallet %s, no attestations, the MPC key %t, found %s, %d, %+v", c.wallet, c.mpc, s.Wallet().Name, s.NeedsAttestations(), s.Key())
			}
			scripts := [][]byte{w.witness(c.wallet, 0, 0), w.witness(c.wallet, 0, 1)}
			want, err := bitcoin.Digests(p.tx, p.prevouts(), scripts)
			if err != nil {
				t.Fatal(err)
			}
			var signed []bitcoin.SignedInput
			for i, in := range s.Signing() {
				digest, err := in.Digest.Bytes()
				if err != nil || digest != want[i] {
					t.Errorf("input %d: expected digest %x, found %x (%v)", i, want[i], digest, err)
				}
				if in.MPC != c.mpc || in.Needed != c.needed || !bytes.Equal(in.Witness, scripts[i]) {
					t.Errorf("input %d: expected %d devices and the MPC key %t, found %+v", i, c.needed, c.mpc, in)
				}
				one := bitcoin.SignedInput{Witness: in.Witness}
				if in.MPC {
					one.Keys, one.Signatures = append(one.Keys, in.Public), append(one.Signatures, chartertest.TokenSign(childSecret(in), digest))
				}
				var names []canon.Name
				for _, d := range in.Devices {
					names = append(names, d.Signer)
					if len(names) <= in.Needed {
						key := chartertest.TokenKey(d.Signer, d.Label)
						one.Keys, one.Signatures = append(one.Keys, d.Public), append(one.Signatures, chartertest.TokenSign(key, digest))
					}
				}
				if !slices.Equal(names, c.devices) {
					t.Errorf("input %d: expected devices %v, found %v", i, c.devices, names)
				}
				signed = append(signed, one)
			}
			if _, err := bitcoin.Finalise(p.tx, p.prevouts(), signed); err != nil {
				t.Error(err)
			}
			last := &signed[1]
			last.Keys, last.Signatures = last.Keys[:1], last.Signatures[:1]
			if _, err := bitcoin.Finalise(p.tx, p.prevouts(), signed); err == nil {
				t.Error("expected one signature to be too few")
			}
		})
	}
}

func TestEVMInputOfCosignNamesNoDeviceKeys(t *testing.T) {
	w := deviceWorld(t)
	p := w.attestedPaper()
	s, err := Check(w.encode(p), w.view())
	if err != nil {
		t.Fatal(err)
	}
	in := s.Signing()[0]
	digest, err := in.Digest.Bytes()
	if err != nil || digest != ethereum.Digest(p.evidence.Transaction) || !in.MPC || in.Devices != nil || in.Witness != nil || in.Needed != 2 || s.NeedsAttestations() != 2 {
		t.Errorf("expected the payload's digest for the MPC key, and 2 attestations, found %+v (%v)", in, err)
	}
	sender := ethereum.AddressOf(w.child(60, 14, 1, 0, 0).Public)
	if !bytes.Equal(s.Anchor().Account, sender[:]) {
		t.Errorf("expected sender %x, found %x", sender, s.Anchor().Account)
	}
}

// A digest leaves the guard minted or not at all: whoever adds a field of plain bytes must say here why.
func TestInputsHoldNoPlainDigest(t *testing.T) {
	known := []string{"Digest", "MPC", "Tweak", "Public", "Witness", "Devices", "Needed"}
	for i := range reflect.TypeFor[Input]().NumField() {
		if f := reflect.TypeFor[Input]().Field(i); !slices.Contains(known, f.Name) || (f.Name == "Digest") != (f.Type == reflect.TypeFor[Digest]()) {
			t.Errorf("%s %s: expected a field that is known to hold no digest", f.Name, f.Type)
		}
	}
}

func TestTamperedDeviceWithdrawalIsRefused(t *testing.T) {
	outOf := func(w *world, wallet canon.Name, branch, index uint64) []byte {
		return bitcoin.ScriptP2WSH(w.witness(wallet, branch, index))
	}
	for _, wallet := range []canon.Name{"btc-cosign", "btc-tokens", "btc-recover"} {
		for name, c := range map[string]struct {
			field string
			do    func(w *world, p *paper)
		}{
			"change of another wallet": {"outputs[1].script", func(w *world, p *paper) {
				others := map[canon.Name]canon.Name{"btc-cosign": "btc-recover", "btc-recover": "btc-tokens", "btc-tokens": "btc-cosign"}
				p.tx.TxOut[1].PkScript = outOf(w, others[wallet], 1, 5)
			}},
			"change of the MPC key alone": {"outputs[1].script", func(w *world, p *paper) {
				p.tx.TxOut[1].PkScript = bitcoin.ScriptP2WPKH(w.child(1, deviceNumbers[wallet], 1, 1, 5).Public)
			}},
			"change of a token alone": {"outputs[1].script", func(_ *world, p *paper) {
				p.tx.TxOut[1].PkScript = bitcoin.ScriptP2WPKH(tokenKey("vault-1", wallet, 1, 5))
			}},
			"change that one of the keys spends": {"outputs[1].script", func(w *world, p *paper) {
				_, keys, err := bitcoin.ParseSortedMulti(w.witness(wallet, 1, 5))
				if err != nil {
					w.t.Fatal(err)
				}
				script, err := bitcoin.SortedMulti(1, keys)
				if err != nil {
					w.t.Fatal(err)
				}
				p.tx.TxOut[1].PkScript = bitcoin.ScriptP2WSH(script)
			}},
			"change with a stranger's key": {"outputs[1].script", func(w *world, p *paper) {
				_, keys, err := bitcoin.ParseSortedMulti(w.witness(wallet, 1, 5))
				if err != nil {
					w.t.Fatal(err)
				}
				script, err := bitcoin.SortedMulti(2, append(keys[:1], publicOf("stranger")))
				if err != nil {
					w.t.Fatal(err)
				}
				p.tx.TxOut[1].PkScript = bitcoin.ScriptP2WSH(script)
			}},
			"change at another index": {"outputs[1].script", func(w *world, p *paper) { p.tx.TxOut[1].PkScript = outOf(w, wallet, 1, 6) }},
			"change on the receive branch": {"evidence.change[0].branch", func(w *world, p *paper) {
				p.tx.TxOut[1].PkScript = outOf(w, wallet, 0, 5)
				p.evidence.Change[0].Branch = 0
			}},
			"input of another index": {"inputs[1].script", func(_ *world, p *paper) { p.evidence.Inputs[1].Index = 3 }},
			"input of a stranger":    {"inputs[0].script", func(_ *world, p *paper) { p.tx.TxIn[0].PreviousOutPoint.Index = 0 }},
		} {
			t.Run(fmt.Sprintf("%s: %s", wallet, name), func(t *testing.T) {
				w := deviceWorld(t)
				p := w.devicePaper(wallet)
				c.do(w, p)
				_, err := Check(w.encode(p), w.view())
				refused(t, err, c.field)
			})
		}
	}
}

// Beyond its pool a wallet of tokens has no addresses; one with an MPC key takes the tokens' keys in turn.
func TestChangeBeyondThePoolIsRefusedForTokensAlone(t *testing.T) {
	w := deviceWorld(t)
	p := w.devicePaper("btc-tokens")
	p.evidence.Change[0].Index = chartertest.PoolKeys
	_, err := Check(w.encode(p), w.view())
	refused(t, err, "evidence.change[0].index")
	p = w.devicePaper("btc-cosign")
	p.evidence.Change[0].Index = chartertest.PoolKeys + 2
	p.tx.TxOut[1].PkScript = bitcoin.ScriptP2WSH(w.witness("btc-cosign", 1, chartertest.PoolKeys+2))
	s, err := Check(w.encode(p), w.view())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(s.Addresses(), AddressUse{"btc-cosign", "acme-one", 1, chartertest.PoolKeys + 2}) {
		t.Errorf("expected the change among the addresses, found %+v", s.Addresses())
	}
}

// Without the pool a signer knows no address, whatever anybody calls one.
func TestWithoutThePoolNothingIsSigned(t *testing.T) {
	w := deviceWorld(t)
	var digests []canon.Digest
	for _, v := range w.genesis.Wallets {
		if v.Name == "btc-tokens" || v.Name == "btc-cosign" {
			digests = append(digests, canon.Digest(v.Pool))
		}
	}
	lookups := map[string]func(canon.Digest) (*keyset.Pool, error){
		"none":           nil,
		"error":          func(canon.Digest) (*keyset.Pool, error) { return nil, errors.New("no such file") },
		"nothing":        func(canon.Digest) (*keyset.Pool, error) { return nil, nil },
		"another pool":   func(d canon.Digest) (*keyset.Pool, error) { return w.pools[digests[0]], nil },
		"the other pool": func(d canon.Digest) (*keyset.Pool, error) { return w.pools[digests[1]], nil },
	}
	for name, pool := range lookups {
		for at, wallet := range []canon.Name{"btc-cosign", "btc-tokens"} {
			if name == "another pool" && at == 0 || name == "the other pool" && at == 1 {
				continue
			}
			t.Run(name+" "+string(wallet), func(t *testing.T) {
				v := w.view()
				v.Pool = pool
				_, err := Check(w.encode(w.devicePaper(wallet)), v)
				refusedBy(t, err, "pool", "wallet.pool", digests[at].String())
				own := canon.OwnAddress{Wallet: wallet, Index: 2}
				_, err = Check(w.encode(w.moveTo(own, bitcoin.ScriptP2WSH(w.witness(wallet, 0, 2)))), v)
				refusedBy(t, err, "pool", "outputs[0].own.wallet.pool", digests[at].String())
			})
		}
	}
}

// A wallet of tokens ends with its pool, so that no index there is out of anybody's reach; one that a key derives addresses for has no such end.
func TestGapIsAskedWhereAddressesHaveNoEnd(t *testing.T) {
	w := deviceWorld(t)
	v := w.view()
	v.HighestIndex = func(_, _ canon.Name, _ uint64) int64 { return -maxGap - 1 } // as far as it gets with a pool that is not large
	if _, err := Check(w.encode(w.devicePaper("btc-tokens")), v); err != nil {
		t.Error(err)
	}
	_, err := Check(w.encode(w.devicePaper("btc-cosign")), v)
	refused(t, err, "evidence.inputs[0].index")
}

// Assets may go to own addresses of every scheme, those of cold wallets too.
func TestOwnOutputsGoToWalletsOfEveryScheme(t *testing.T) {
	w := deviceWorld(t)
	for wallet, address := range map[canon.Name][]byte{
		"btc-cosign":  bitcoin.ScriptP2WSH(w.witness("btc-cosign", 0, 2)),
		"btc-recover": bitcoin.ScriptP2WSH(w.witness("btc-recover", 0, 2)),
		"btc-tokens":  bitcoin.ScriptP2WSH(w.witness("btc-tokens", 0, 2)),
		"btc-vault":   bitcoin.ScriptP2WPKH(tokenKey("vault-3", "btc-vault", 0, 2)),
		"evm-cosign":  w.evmAddress(w.child(60, 14, 1, 0, 0).Public),
		"evm-vault":   w.evmAddress(tokenKey("vault-3", "evm-vault", 0, 0)),
	} {
		t.Run(string(wallet), func(t *testing.T) {
			own := canon.OwnAddress{Wallet: wallet, Index: 2}
			if len(address) == 20 {
				own.Index = 0
			}
			s, err := Check(w.encode(w.moveTo(own, address)), w.view())
			if err != nil {
				t.Fatal(err)
			}
			if want := (AddressUse{wallet, "acme-one", 0, own.Index}); !slices.Contains(s.Addresses(), want) {
				t.Errorf("expected %+v among the addresses, found %+v", want, s.Addresses())
			}
			wrong := bytes.Clone(address)
			wrong[len(wrong)-1] ^= 1
			_, err = Check(w.encode(w.moveTo(own, wrong)), w.view())
			refused(t, err, "outputs[0].address")
		})
	}
	own := canon.OwnAddress{Wallet: "btc-tokens", Index: chartertest.PoolKeys}
	_, err := Check(w.encode(w.moveTo(own, payee)), w.view())
	refused(t, err, "outputs[0].own.index")
}

// Of a cold wallet a transaction is signed only as it was approved; a single token's input is P2WPKH, or the sender itself.
func TestSingleTokensSignExactTransactionsOnly(t *testing.T) {
	w := deviceWorld(t)
	vault := func() *paper {
		p := w.bitcoinPaper()
		p.request.Wallet = "btc-vault"
		for i, previous := range p.previous {
			previous.TxOut[1].PkScript = bitcoin.ScriptP2WPKH(tokenKey("vault-3", "btc-vault", 0, uint64(i)))
			p.tx.TxIn[i].PreviousOutPoint.Hash = previous.TxHash()
		}
		p.tx.TxOut[1].PkScript = bitcoin.ScriptP2WPKH(tokenKey("vault-3", "btc-vault", 1, 5))
		return p
	}
	ether := func() *paper {
		p := w.evmPaper(eth)
		p.request.Wallet = "evm-vault"
		return p
	}
	for wallet, paperOf := range map[canon.Name]func() *paper{"btc-vault": vault, "evm-vault": ether} {
		_, err := Check(w.encode(paperOf()), w.view())
		refusedBy(t, err, "source", "intent.mode", "exact")
		p := paperOf()
		p.onIntent = w.exact(paperOf())
		s, err := Check(w.encode(p), w.view())
		if err != nil {
			t.Fatalf("%s: %v", wallet, err)
		}
		for i, in := range s.Signing() {
			want := keyset.DeviceKey{Signer: "vault-3", Public: tokenKey("vault-3", wallet, 0, uint64(i)), Label: keyset.Label(wallet, "acme-one", 0, uint64(i))}
			if in.MPC || in.Witness != nil || in.Needed != 1 || len(in.Devices) != 1 || in.Devices[0] != want {
				t.Errorf("%s: expected %+v alone, found %+v", wallet, want, in)
			}
		}
	}
}

// Where tokens alone sign a reservation names no MPC key.
func TestReservationsOfTokensNameNoKey(t *testing.T) {
	w := deviceWorld(t)
	s, err := Check(w.encode(w.devicePaper("btc-tokens")), w.view())
	if err != nil {
		t.Fatal(err)
	}
	r := w.reservation(s)
	if r.Key != "" || r.KeyEpoch != 0 {
		t.Fatalf("expected no key, found %s in epoch %d", r.Key, r.KeyEpoch)
	}
	if err := s.CheckReservation(r, w.view()); err != nil {
		t.Error(err)
	}
	named, epoch := r, r
	named.Key, epoch.KeyEpoch = "main", 1
	refused(t, s.CheckReservation(named, w.view()), "reservation.key")
	refused(t, s.CheckReservation(epoch, w.view()), "reservation.key_epoch")
	c, err := Check(w.encode(w.devicePaper("btc-cosign")), w.view())
	if err != nil {
		t.Fatal(err)
	}
	nameless := w.reservation(c)
	nameless.Key, nameless.KeyEpoch = "", 0
	refused(t, c.CheckReservation(nameless, w.view()), "reservation.key")
}

// The MPC key alone makes no difference to tokens: a signer without it signs for them.
func TestTokensNeedNoGroupKey(t *testing.T) {
	w := deviceWorld(t)
	v := w.view()
	v.Key = func(canon.Name) (GroupKey, bool) { return GroupKey{}, false }
	if _, err := Check(w.encode(w.devicePaper("btc-tokens")), v); err != nil {
		t.Error(err)
	}
	_, err := Check(w.encode(w.devicePaper("btc-cosign")), v)
	refused(t, err, "wallet.key")
	if r := refusal.Of(err); r != nil && len(r.Failures) != 1 {
		t.Errorf("expected one failure, found %v", err)
	}
}

// More inputs than one session signs are refused before any is looked at, whoever signs them.
func TestMostInputsHoldForTokensToo(t *testing.T) {
	w := deviceWorld(t)
	p := w.devicePaper("btc-tokens")
	for i := range MaxInputs - 1 {
		p.tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: [32]byte{9}, Index: uint32(i)}, Sequence: 0xfffffffd})
	}
	_, err := Check(w.encode(p), w.view())
	refused(t, err, "transaction.inputs")
}
