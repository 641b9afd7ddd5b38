package guard

import (
	"math/big"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/wire"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// withMoves adds wallets of other tiers, an omnibus wallet, a treasury desk and a rule that lets assets move between wallets.
func withMoves(g *canon.Genesis) {
	g.Clients = append(g.Clients,
		canon.Client{Name: "house", Label: "House", House: true, Keys: []canon.PublicKey{edPublic("house")}, Devices: []canon.PublicKey{edPublic("device house")}},
		canon.Client{Name: "desk", Label: "Desk", Treasury: true, Keys: []canon.PublicKey{edPublic("desk")}, Devices: []canon.PublicKey{edPublic("device desk")}})
	g.Accounts = append(g.Accounts, canon.Account{Name: "pool", Client: "house", Number: 50, Kind: canon.Pool},
		canon.Account{Name: "acme-part", Client: "acme", Number: 51, Kind: canon.Omnibus}, canon.Account{Name: "globex-part", Client: "globex", Number: 52, Kind: canon.Omnibus})
	segregated := []canon.Name{"acme-one", "acme-two"}
	omnibus := []canon.Name{"pool", "acme-part", "globex-part"}
	g.Wallets = append(g.Wallets,
		canon.Wallet{Name: "btc-warm", Chain: btcChain, Tier: canon.Warm, Scheme: canon.SchemeMPC, Key: "main", Number: 4, Accounts: segregated},
		canon.Wallet{Name: "btc-cold", Chain: btcChain, Tier: canon.Cold, Scheme: canon.SchemeMPC, Key: "vault", Number: 5, Accounts: segregated},
		canon.Wallet{Name: "btc-omnibus", Chain: btcChain, Tier: canon.Warm, Scheme: canon.SchemeMPC, Key: "main", Number: 6, Accounts: omnibus},
		canon.Wallet{Name: "evm-warm", Chain: evmChain, Tier: canon.Warm, Scheme: canon.SchemeMPC, Key: "main", Number: 7, Accounts: segregated},
		canon.Wallet{Name: "evm-omnibus", Chain: evmChain, Tier: canon.Warm, Scheme: canon.SchemeMPC, Key: "main", Number: 8, Accounts: omnibus})
	moves := rule("moves", canon.ActionAllow, 400_000_000, 50, canon.Quorum{})
	moves.Wallets = []canon.Name{"btc-warm", "btc-omnibus", "evm-warm", "evm-omnibus"}
	moves.To = []canon.Target{{Kind: canon.TargetWallet, Name: canon.Any}, {Kind: canon.TargetBook}}
	g.Rules = slices.Insert(g.Rules, 0, moves)
}

// site is where coins of ours lie.
type site struct {
	wallet          canon.Name
	account, holder canon.Name
	number, path    uint64 // of wallet and holder
}

var (
	warm    = site{wallet: "btc-warm", account: "acme-one", holder: "acme-one", number: 4, path: 1}
	omnibus = site{wallet: "btc-omnibus", account: "acme-part", holder: "pool", number: 6, path: 50}
)

// bitcoinMove moves 0.5 bitcoin from a wallet to an address of the account's own, with change, as the desk asks for it.
func (w *world) bitcoinMove(from site, own canon.OwnAddress, to []byte) *paper {
	p := &paper{client: edKey("desk"), rule: "moves",
		request: w.request(btcChain, from.wallet, canon.Output{Address: to, Asset: btc, Amount: canon.AmountOf(50_000_000), Own: &own}, canon.AmountOf(20_000))}
	p.request.Requester, p.request.Account = edPublic("desk"), from.account
	previous := wire.NewMsgTx(2)
	previous.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: [32]byte{9}}, Sequence: 0xffffffff})
	previous.AddTxOut(wire.NewTxOut(80_000_000, bitcoin.ScriptP2WPKH(w.child(1, from.number, from.path, 0, 2).Public)))
	p.previous = []*wire.MsgTx{previous}
	p.tx = wire.NewMsgTx(2)
	p.tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: previous.TxHash()}, Sequence: 0xfffffffd})
	p.tx.AddTxOut(wire.NewTxOut(50_000_000, to))
	p.tx.AddTxOut(wire.NewTxOut(29_990_000, bitcoin.ScriptP2WPKH(w.child(1, from.number, from.path, 1, 3).Public)))
	p.evidence.Inputs = []canon.OwnPath{{Account: from.holder, Index: 2}}
	p.evidence.Change = []canon.OwnPath{{Position: 1, Account: from.holder, Branch: 1, Index: 3}}
	return p
}

// evmMove moves 5 ether to the account's address in another wallet.
func (w *world) evmMove(from site, to [20]byte, own canon.OwnAddress) *paper {
	p := &paper{client: edKey("desk"), rule: "moves",
		request: w.request(evmChain, from.wallet, canon.Output{Address: to[:], Asset: eth, Amount: wei(5), Own: &own}, canon.AmountOf(4e15))}
	p.request.Requester, p.request.Account = edPublic("desk"), from.account
	p.evm = ethereum.BuildParams{ChainID: 1337, Nonce: 7, Tip: big.NewInt(1e9), FeeCap: big.NewInt(5e10), Gas: 60_000, To: to, Amount: wei(5).Int()}
	p.evidence.Inputs = []canon.OwnPath{{Account: from.holder}}
	return p
}

func TestOwnOutputsAreDerivedAndNotLookedUp(t *testing.T) {
	w := worldOf(t, bookEntries(), withMoves)
	hot := func(index uint64) []byte { return bitcoin.ScriptP2WPKH(w.child(1, 1, 1, 0, index).Public) }
	for name, c := range map[string]struct {
		paper *paper
		used  AddressUse // of the output
	}{
		"to the hot wallet":  {w.bitcoinMove(warm, canon.OwnAddress{Wallet: "btc-hot", Index: 7}, hot(7)), AddressUse{"btc-hot", "acme-one", 0, 7}},
		"as far as the gap":  {w.bitcoinMove(warm, canon.OwnAddress{Wallet: "btc-hot", Index: 104}, hot(104)), AddressUse{"btc-hot", "acme-one", 0, 104}},
		"to the cold wallet": {w.bitcoinMove(warm, canon.OwnAddress{Wallet: "btc-cold"}, bitcoin.ScriptP2WPKH(w.childOf(w.vault, 1, 5, 1, 0, 0).Public)), AddressUse{"btc-cold", "acme-one", 0, 0}},
		"within the wallet":  {w.bitcoinMove(warm, canon.OwnAddress{Wallet: "btc-warm", Index: 1}, bitcoin.ScriptP2WPKH(w.child(1, 4, 1, 0, 1).Public)), AddressUse{"btc-warm", "acme-one", 0, 1}},
		"within a pool":      {w.bitcoinMove(omnibus, canon.OwnAddress{Wallet: "btc-omnibus", Index: 9}, bitcoin.ScriptP2WPKH(w.child(1, 6, 50, 0, 9).Public)), AddressUse{"btc-omnibus", "pool", 0, 9}},
		"of an EVM account": {w.evmMove(site{wallet: "evm-warm", account: "acme-one", holder: "acme-one"}, ethereum.AddressOf(w.child(60, 2, 1, 0, 0).Public),
			canon.OwnAddress{Wallet: "evm-hot"}), AddressUse{"evm-hot", "acme-one", 0, 0}},
		"of an EVM pool": {w.evmMove(site{wallet: "evm-omnibus", account: "acme-part", holder: "pool"}, ethereum.AddressOf(w.child(60, 8, 50, 0, 0).Public),
			canon.OwnAddress{Wallet: "evm-omnibus"}), AddressUse{"evm-omnibus", "pool", 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			v := w.view()
			v.Book = nil // nothing is asked of it
			s, err := Check(w.encode(c.paper), v)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(s.Addresses(), c.used) {
				t.Errorf("expected %+v among the addresses that are used, found %+v", c.used, s.Addresses())
			}
			if err := s.CheckReservation(w.reservation(s), v); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhatIsCalledOwnAndIsNotIsRefused(t *testing.T) {
	hot := func(w *world, wallet, account, branch, index uint64) []byte {
		return bitcoin.ScriptP2WPKH(w.child(1, wallet, account, branch, index).Public)
	}
	own := canon.OwnAddress{Wallet: "btc-hot", Index: 7}
	for name, c := range map[string]struct {
		paper func(w *world) *paper
		field string
	}{
		"an address of somebody": {func(w *world) *paper { return w.bitcoinMove(warm, own, stranger) }, "outputs[0].address"},
		"an address of the book": {func(w *world) *paper { return w.bitcoinMove(warm, own, payee) }, "outputs[0].address"},
		"another account's":      {func(w *world) *paper { return w.bitcoinMove(warm, own, hot(w, 1, 2, 0, 7)) }, "outputs[0].address"},
		"another client's":       {func(w *world) *paper { return w.bitcoinMove(warm, own, hot(w, 1, 3, 0, 7)) }, "outputs[0].address"},
		"another index":          {func(w *world) *paper { return w.bitcoinMove(warm, own, hot(w, 1, 1, 0, 8)) }, "outputs[0].address"},
		"the change branch":      {func(w *world) *paper { return w.bitcoinMove(warm, own, hot(w, 1, 1, 1, 7)) }, "outputs[0].address"},
		"another wallet":         {func(w *world) *paper { return w.bitcoinMove(warm, own, hot(w, 4, 1, 0, 7)) }, "outputs[0].address"},
		"under another key": {func(w *world) *paper {
			return w.bitcoinMove(warm, canon.OwnAddress{Wallet: "btc-cold", Index: 7}, hot(w, 5, 1, 0, 7))
		}, "outputs[0].address"},
		"the part's own number": {func(w *world) *paper {
			return w.bitcoinMove(omnibus, canon.OwnAddress{Wallet: "btc-omnibus"}, hot(w, 6, 51, 0, 0))
		}, "outputs[0].address"},
		"beyond the gap": {func(w *world) *paper {
			return w.bitcoinMove(warm, canon.OwnAddress{Wallet: "btc-hot", Index: 105}, hot(w, 1, 1, 0, 105))
		}, "outputs[0].own.index"},
		"a wallet that holds it not": {func(w *world) *paper {
			return w.bitcoinMove(warm, canon.OwnAddress{Wallet: "btc-omnibus"}, hot(w, 6, 1, 0, 0))
		}, "outputs[0].own.wallet"},
		"a wallet of another chain": {func(w *world) *paper {
			return w.bitcoinMove(warm, canon.OwnAddress{Wallet: "evm-hot"}, hot(w, 2, 1, 0, 0))
		}, "outputs[0].own"},
		"input of the part's own number": {func(w *world) *paper {
			from := omnibus
			from.path = 51
			return w.bitcoinMove(from, canon.OwnAddress{Wallet: "btc-omnibus", Index: 9}, hot(w, 6, 50, 0, 9))
		}, "inputs[0].script"},
		"path that names the part": {func(w *world) *paper {
			from := omnibus
			from.holder = "acme-part"
			return w.bitcoinMove(from, canon.OwnAddress{Wallet: "btc-omnibus", Index: 9}, hot(w, 6, 50, 0, 9))
		}, "evidence.inputs[0].account"},
		"a second address of an EVM account": {func(w *world) *paper {
			return w.evmMove(site{wallet: "evm-warm", account: "acme-one", holder: "acme-one"}, ethereum.AddressOf(w.child(60, 2, 1, 0, 1).Public), canon.OwnAddress{Wallet: "evm-hot", Index: 1})
		}, "outputs[0].own.index"},
		"paid out by the desk": {func(w *world) *paper {
			p := w.bitcoinMove(warm, own, payee)
			p.request.Outputs[0].Own = nil
			return p
		}, "outputs[0].own"},
		"in a group": {func(w *world) *paper {
			p := w.bitcoinMove(warm, own, hot(w, 1, 1, 0, 7))
			p.onIntent = func(i *canon.Intent) { i.Destinations = []canon.Destination{{Recent: []canon.Name{"exchanges"}}} }
			return p
		}, "intent.destinations[0]"},
		"with a proof": {func(w *world) *paper {
			p := w.bitcoinMove(warm, own, hot(w, 1, 1, 0, 7))
			p.onEnd = func(e *canon.Evidence) { e.Addresses = proofs(btcChain, payee, w.book) }
			return p
		}, "evidence.addresses"},
	} {
		t.Run(name, func(t *testing.T) {
			w := worldOf(t, bookEntries(), withMoves)
			_, err := Check(w.encode(c.paper(w)), w.view())
			refused(t, err, c.field)
		})
	}
}

// Without the key of the wallet that it goes to a signer knows no address there.
func TestOwnOutputsNeedTheKeyOfTheWallet(t *testing.T) {
	w := worldOf(t, bookEntries(), withMoves)
	v := w.view()
	v.Key = func(n canon.Name) (GroupKey, bool) { return w.group, n == w.group.ID }
	p := w.bitcoinMove(warm, canon.OwnAddress{Wallet: "btc-cold"}, bitcoin.ScriptP2WPKH(w.childOf(w.vault, 1, 5, 1, 0, 0).Public))
	_, err := Check(w.encode(p), v)
	refused(t, err, "outputs[0].own.wallet.key")
}

// A payment beside a move needs its proof, and only that one.
func TestPaymentBesideAMoveIsLookedUp(t *testing.T) {
	w := worldOf(t, bookEntries(), withMoves)
	both := func() *paper {
		p := w.bitcoinMove(warm, canon.OwnAddress{Wallet: "btc-hot", Index: 7}, bitcoin.ScriptP2WPKH(w.child(1, 1, 1, 0, 7).Public))
		p.client, p.request.Requester = edKey("acme"), edPublic("acme")
		p.request.Outputs = append(p.request.Outputs, canon.Output{Address: payee, Asset: btc, Amount: canon.AmountOf(1_000_000)})
		p.tx.AddTxOut(wire.NewTxOut(1_000_000, payee))
		p.tx.TxOut[1].Value -= 1_000_000
		return p
	}
	if _, err := Check(w.encode(both()), w.view()); err != nil {
		t.Fatal(err)
	}
	p := both()
	p.onEnd = func(e *canon.Evidence) { e.Addresses = nil }
	_, err := Check(w.encode(p), w.view())
	refused(t, err, "outputs[1].address")
	if n := len(refusal.Of(err).Failures); n != 1 {
		t.Errorf("expected one failure, found %v", err)
	}
}
