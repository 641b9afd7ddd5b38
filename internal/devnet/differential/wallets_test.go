//go:build chains

package differential

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/wire"

	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/descriptor"
	"github.com/strongroom/strongroom/wallets/keyset"
)

const spends = 300 // transactions that wallets sign

// regtest is the chain of the wallets here.
var regtest = canon.Chain{ID: "bip122:0f9188f13cb7b2c71f2a335e3a4fc328", Kind: canon.Bitcoin, CoinType: 1, Depth: 1, HRP: "bcrt"}

// spend is a signed transaction in the form of a devnet report, which wallets.mjs checks.
type spend struct {
	Kind    string        `json:"kind"`
	Chain   canon.ChainID `json:"chain"`
	Raw     string        `json:"raw"`
	TxID    string        `json:"txid"`
	Outputs []paid        `json:"outputs"`
	Change  []paid        `json:"change"`
	Inputs  []spent       `json:"inputs"`
	Fee     string        `json:"fee"`
	Size    int           `json:"size"` // virtual bytes
}

type paid struct {
	Script  string `json:"script"`
	Address string `json:"address"`
	Amount  string `json:"amount"`
}

type spent struct {
	Value         string `json:"value"`
	Script        string `json:"script"`
	PublicKey     string `json:"publicKey,omitempty"`
	WitnessScript string `json:"witnessScript,omitempty"`
}

// described is a descriptor and what we say that it describes.
type described struct {
	Kind          string        `json:"kind"`
	Chain         canon.ChainID `json:"chain"`
	Text          string        `json:"text"`
	Index         *uint32       `json:"index,omitempty"` // of ranges
	Script        string        `json:"script"`
	Address       string        `json:"address"`
	WitnessScript string        `json:"witnessScript,omitempty"`
}

// holder is who can spend a coin.
type holder struct {
	keys   []*btcec.PrivateKey // in the order of the script; one without a script
	needed int
}

// newCoin draws a coin of one key, or of up to 16, and who holds it.
func newCoin(t *testing.T, r *rand.Rand) (bitcoin.Coin, holder) {
	t.Helper()
	h := holder{needed: 1}
	var publics [][33]byte
	for range one(r, 1, 1+r.IntN(3), 1+r.IntN(bitcoin.MaxMultisigKeys)) {
		key, public := btcec.PrivKeyFromBytes(randomBytes(r, 32))
		h.keys, publics = append(h.keys, key), append(publics, [33]byte(public.SerializeCompressed()))
	}
	c := bitcoin.Coin{Value: 200_000 + r.Int64N(1<<30), Account: "acme-main"}
	if len(publics) == 1 && r.IntN(2) == 0 {
		c.Script = bitcoin.ScriptP2WPKH(publics[0])
	} else {
		h.needed = 1 + r.IntN(len(publics))
		script, err := bitcoin.SortedMulti(h.needed, publics)
		if err != nil {
			t.Fatal(err)
		}
		c.Witness, c.Needed, c.Script = script, h.needed, bitcoin.ScriptP2WSH(script)
	}
	previous := wire.NewMsgTx(2)
	previous.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: [32]byte(randomBytes(r, 32))}, Sequence: r.Uint32()})
	previous.AddTxOut(wire.NewTxOut(c.Value, c.Script))
	raw, err := bitcoin.Encode(previous)
	if err != nil {
		t.Fatal(err)
	}
	c.Previous, c.Outpoint = raw, wire.OutPoint{Hash: previous.TxHash()}
	return c, h
}

// signInput signs with as many of the holder's keys as are needed, in any order.
func signInput(r *rand.Rand, c bitcoin.Coin, h holder, digest [32]byte) bitcoin.SignedInput {
	in := bitcoin.SignedInput{Witness: c.Witness}
	for _, at := range r.Perm(len(h.keys))[:h.needed] {
		in.Keys = append(in.Keys, [33]byte(h.keys[at].PubKey().SerializeCompressed()))
		in.Signatures = append(in.Signatures, [64]byte(ecdsa.SignCompact(h.keys[at], digest[:], true)[1:]))
	}
	return in
}

// newSpend builds and signs a payment out of several coins.
func newSpend(t *testing.T, r *rand.Rand) spend {
	t.Helper()
	holders := map[wire.OutPoint]holder{}
	p := bitcoin.BuildParams{ChangeScript: standardScript(r), FeeRate: 1000 + r.Int64N(20_000), FeeCap: 10_000_000, MaxInputs: 12}
	var most int64
	for range 1 + r.IntN(6) {
		c, h := newCoin(t, r)
		p.Coins, holders[c.Outpoint] = append(p.Coins, c), h
		most += c.Value
	}
	p.Payments = []canon.Output{{Address: standardScript(r), Amount: canon.AmountOf(uint64(1000 + r.Int64N(most*3/4)))}}
	u, err := bitcoin.Build(p)
	var funds *bitcoin.InsufficientFundsError
	if errors.As(err, &funds) { // the coins are there, but the fee takes too much of them
		p.Payments[0].Amount = canon.AmountOf(1000)
		u, err = bitcoin.Build(p)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signSpend(t, r, u, holders)
}

func signSpend(t *testing.T, r *rand.Rand, u *bitcoin.Unsigned, holders map[wire.OutPoint]holder) spend {
	t.Helper()
	var previous, scripts [][]byte
	for _, c := range u.Coins {
		previous, scripts = append(previous, c.Previous), append(scripts, c.Witness)
	}
	prevouts, err := bitcoin.Prevouts(u.Tx, previous)
	if err != nil {
		t.Fatal(err)
	}
	digests, err := bitcoin.Digests(u.Tx, prevouts, scripts)
	if err != nil {
		t.Fatal(err)
	}
	var inputs []bitcoin.SignedInput
	s := spend{Kind: "spend", Chain: regtest.ID, Fee: strconv.FormatInt(u.Fee, 10), Outputs: []paid{}, Change: []paid{}}
	for i, c := range u.Coins {
		in := signInput(r, c, holders[c.Outpoint], digests[i])
		inputs = append(inputs, in)
		of := spent{Value: strconv.FormatInt(c.Value, 10), Script: hex.EncodeToString(c.Script), WitnessScript: hex.EncodeToString(c.Witness)}
		if c.Witness == nil {
			of.PublicKey = hex.EncodeToString(in.Keys[0][:])
		}
		s.Inputs = append(s.Inputs, of)
	}
	tx, err := bitcoin.Finalise(u.Tx, prevouts, inputs)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := bitcoin.Encode(tx)
	if err != nil {
		t.Fatal(err)
	}
	s.Raw, s.TxID = hex.EncodeToString(raw), tx.TxHash().String()
	s.Size = (tx.SerializeSizeStripped()*3 + tx.SerializeSize() + 3) / 4
	for i, out := range tx.TxOut {
		o := paid{Script: hex.EncodeToString(out.PkScript), Amount: strconv.FormatInt(out.Value, 10), Address: addressOf(t, out.PkScript)}
		if i == u.Change {
			s.Change = append(s.Change, o)
		} else {
			s.Outputs = append(s.Outputs, o)
		}
	}
	bound, err := bitcoin.VirtualSize(scripts, tx.TxOut)
	if err != nil || int64(s.Size) > bound {
		t.Errorf("expected at most %d virtual bytes, found %d (%v)", bound, s.Size, err)
	}
	return s
}

func addressOf(t *testing.T, script []byte) string {
	t.Helper()
	text, err := wallets.AddressText(regtest, script)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// descriptors returns those of addresses and branches of wallets of every scheme.
func descriptors(t *testing.T) (list []described) {
	t.Helper()
	organisation := canon.Digest{7}
	_, public := btcec.PrivKeyFromBytes(organisation[:])
	group := keyset.GroupKey{ID: "hot", Epoch: 1, Public: [33]byte(public.SerializeCompressed())}
	recovery := chartertest.TokenKey("recovery", "vault").PubKey().SerializeCompressed()
	account := canon.Account{Name: "acme-main", Client: "acme", Number: 3, Kind: canon.Segregated}
	for _, c := range []struct {
		scheme   canon.WalletScheme
		needed   uint64
		recovery []byte
		devices  []canon.Name
	}{
		{canon.SchemeMPC, 0, nil, nil},
		{canon.SchemeCosign, 1, nil, []canon.Name{"vault-1"}},
		{canon.SchemeCosign, 1, recovery, []canon.Name{"vault-1"}},
		{canon.SchemeHSM, 1, nil, []canon.Name{"vault-1"}},
		{canon.SchemeHSM, 2, nil, []canon.Name{"vault-1", "vault-2", "vault-3"}},
		{canon.SchemeHSM, 3, nil, []canon.Name{"vault-5", "vault-4", "vault-3", "vault-2", "vault-1"}},
	} {
		set := keyset.Set{Organisation: organisation, Chain: regtest, Group: group, Wallet: canon.Wallet{Name: "vault", Chain: regtest.ID, Tier: canon.Warm, Scheme: c.scheme,
			Number: 7, Accounts: []canon.Name{account.Name}, Needed: c.needed, Recovery: c.recovery}}
		if c.scheme != canon.SchemeHSM {
			set.Wallet.Key = group.ID
		}
		if c.scheme != canon.SchemeMPC {
			set.Wallet.Backup = canon.BackupNone
			set.Pool = newPool(t, &set.Wallet, c.devices)
		}
		list = append(list, ofWallet(t, set, account)...)
	}
	return list
}

func newPool(t *testing.T, w *canon.Wallet, devices []canon.Name) *keyset.Pool {
	t.Helper()
	for _, d := range devices {
		w.Devices = append(w.Devices, canon.Device{Signer: d})
	}
	b, digest, err := canon.Seal(chartertest.Pool(*w))
	if err != nil {
		t.Fatal(err)
	}
	pool, err := keyset.OpenPool(b, digest)
	if err != nil {
		t.Fatal(err)
	}
	w.Pool = digest[:]
	return pool
}

// ofWallet describes the first addresses of a wallet one by one, and those of an MPC key by branch too.
func ofWallet(t *testing.T, set keyset.Set, account canon.Account) (list []described) {
	t.Helper()
	for branch := range uint64(2) {
		for index := range uint64(chartertest.PoolKeys) {
			spot, err := set.At(account, branch, index)
			if err != nil {
				t.Fatal(err)
			}
			d := described{Kind: "descriptor", Chain: regtest.ID, Script: hex.EncodeToString(spot.Address), Address: addressOf(t, spot.Address), WitnessScript: hex.EncodeToString(spot.Witness)}
			made, err := descriptor.OfAddress(set, account, branch, index)
			if err != nil {
				t.Fatal(err)
			}
			if d.Text, err = made.Text(); err != nil {
				t.Fatal(err)
			}
			list = append(list, d)
			if set.Wallet.Scheme != canon.SchemeMPC {
				continue
			}
			n := uint32(index)
			if made, err = descriptor.OfBranch(set, account, branch); err != nil {
				t.Fatal(err)
			}
			if d.Text, err = made.Text(); err != nil {
				t.Fatal(err)
			}
			d.Index = &n
			list = append(list, d)
		}
	}
	return list
}

// runWallets has the libraries of others read what our wallets signed and wrote.
func runWallets(t *testing.T, lines []any) (string, error) {
	t.Helper()
	var b strings.Builder
	for _, l := range lines {
		text, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(text, '\n'))
	}
	path := filepath.Join(t.TempDir(), "wallets.jsonl")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "wallets.mjs", path)
	cmd.Dir = "../peers"
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Two libraries verify every signature of ours, of one key and of several, and a third comes to the addresses that our descriptors are of.
func TestPeersAcceptWhatWalletsSignAndDescribe(t *testing.T) {
	t.Logf("seed %d", *seed) // shown when the test fails
	var lines []any
	shared := 0
	for n := range spends {
		s := newSpend(t, rand.New(rand.NewPCG(*seed, 3<<32|uint64(n))))
		if slices.ContainsFunc(s.Inputs, func(i spent) bool { return i.WitnessScript != "" }) {
			shared++
		}
		lines = append(lines, s)
	}
	if shared < spends/4 || shared > spends-spends/20 {
		t.Errorf("expected transactions of one key and of several, found %d of %d with several", shared, spends)
	}
	for _, d := range descriptors(t) {
		lines = append(lines, d)
	}
	out, err := runWallets(t, lines)
	if want := fmt.Sprintf("%d passed, 0 failed\n", len(lines)); err != nil || out != want {
		t.Errorf("libraries of others (`make peers` installs them): expected %q, found %v: %s", want, err, out)
	}
}

// Each leaf of a right line is altered, one at a time. The JSON of a signed transaction says some things that its bytes say too.
func TestEveryDisagreementAboutWalletsIsFound(t *testing.T) {
	var s spend
	for n := 0; len(s.Inputs) != 2 || s.Inputs[0].WitnessScript == "" || s.Inputs[1].PublicKey == "" || len(s.Change) == 0; n++ {
		s = newSpend(t, rand.New(rand.NewPCG(*seed, 4<<32|uint64(n))))
	}
	all := descriptors(t)
	isRange := func(d described) bool { return d.Index != nil }
	var lines []any
	for _, l := range []any{s, all[slices.IndexFunc(all, isRange)], all[len(all)-1]} {
		text, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; ; i++ {
			var altered any
			if err := json.Unmarshal(text, &altered); err != nil {
				t.Fatal(err)
			}
			left, path := i, ""
			if altered = alter(altered, &left, "", &path); path == "" {
				break
			}
			lines = append(lines, altered)
		}
	}
	out, err := runWallets(t, lines)
	if want := fmt.Sprintf("\n0 passed, %d failed\n", len(lines)); err == nil || !strings.HasSuffix(out, want) {
		t.Errorf("expected %q at the end and an error, found %v: %s", want, err, out)
	}
}
