//go:build chains

package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/internal/coordinator"
	"github.com/strongroom/strongroom/internal/devnet"
	"github.com/strongroom/strongroom/internal/devnet/demo"
	"github.com/strongroom/strongroom/internal/devnet/hostile"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/bitcoin"
)

// TestAllocation lets a hot wallet outgrow its band: no refill is signed any more, whatever a hostile coordinator presents, and sweeps are.
func TestAllocation(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	d := up(ctx, t)
	report, err := demo.Treasury(ctx, d)
	if err != nil {
		t.Fatalf("%v\n%s", err, d.Logs())
	}
	states := map[string]int{}
	for _, row := range report.Rows {
		states[row.State]++
	}
	if states["denied"] != 1 || states["confirmed"] != 1 || len(report.Rows) != 2 {
		t.Errorf("expected a refill denied and a sweep confirmed, found %v", report.Rows)
	}
	refillWithinTheBand(ctx, t, d)
	address, _ := d.Deposit("btc-hot", "acme-main")
	if _, err := d.Bitcoin.Fund(ctx, address, 12*100_000_000); err != nil {
		t.Fatal(err)
	}
	if err := d.StopCoordinator(); err != nil {
		t.Fatal(err)
	}
	newWorld(t, d).refillsBeyondTheBand()
}

// refillWithinTheBand is signed: half a bitcoin from warm to hot, as long as the band holds afterwards.
func refillWithinTheBand(ctx context.Context, t *testing.T, d *devnet.Devnet) {
	t.Helper()
	var asked struct {
		ID           string `json:"id"`
		State        string `json:"state"`
		IntentDigest string `json:"intent_digest"`
		TxID         string `json:"txid"`
	}
	if err := d.Strongroom(ctx, d.Desk, &asked, "move", "--account", "acme-main", "--from-wallet", "btc-warm", "--to-wallet", "btc-hot", "--amount", "0.25 BTC", "--fee-cap", "0.0005 BTC"); err != nil {
		t.Fatal(err)
	}
	if asked.State != "awaiting-approval" {
		t.Fatalf("expected a refill within the band to wait for officers, found it %s", asked.State)
	}
	for _, officer := range d.Officers[:2] {
		if err := d.Strongroom(ctx, officer, nil, "approve", asked.IntentDigest, "--amount", "0.25 BTC"); err != nil {
			t.Fatal(err)
		}
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); asked.State != "confirmed"; {
		if time.Now().After(deadline) {
			t.Fatalf("expected the refill to be confirmed, found it %s", asked.State)
		}
		<-tick.C
		if err := d.Strongroom(ctx, d.Auditor, &asked, "withdrawal", "show", asked.ID); err != nil {
			t.Fatal(err)
		}
	}
}

// refillsBeyondTheBand has somebody with the coordinator's key, the desk's request and officers' approvals present one set of statements after the other.
// All signers but the one whose operator lies are honest; none of them acks a refill, and then what is allowed is acked by all.
func (w *world) refillsBeyondTheBand() {
	w.Helper()
	hot := must(wallets.ParseAddress(w.bitcoinChain(), must2(w.d.Deposit("btc-hot", "acme-main"))))(w.T)
	truth := w.breached()
	prices := w.prices()
	liar := w.names[3]
	lie := w.lies(liar, truth[liar])
	broken := canon.Signed{Document: lie.Document, Scheme: lie.Scheme, Signature: truth[liar].Signature}
	evm := w.stated(w.d.ETH.Chain())
	others := []canon.Signed{evm[w.names[0]], evm[w.names[1]]}
	for name, v := range map[string]struct {
		balances []canon.Signed
		rule     string
	}{
		"the truth":                               {[]canon.Signed{truth[w.names[0]], truth[w.names[1]]}, "allocation"},
		"one signer's lie beside the truth":       {[]canon.Signed{lie, truth[w.names[0]]}, "allocation"},
		"the lie alone":                           {[]canon.Signed{lie}, ""},
		"the lie twice":                           {[]canon.Signed{lie, lie}, ""},
		"the lie, and its author's other word":    {[]canon.Signed{lie, truth[liar]}, ""},
		"the lie in a statement that is unsigned": {[]canon.Signed{broken, truth[w.names[0]]}, "balances"},
		"nothing": {nil, ""},
	} {
		p := w.refill(hot, append(slices.Clone(v.balances), others...), prices)
		_, errs := w.reserveAt(w.Context(), must(w.build.Question(p))(w.T), w.names[:3]...)
		w.refused("refill with "+name, errs, cmpOr(v.rule, "allocation"), "")
	}
	// The same people and the same way, away from the network.
	sweep := w.move("btc-hot", "btc-cold", "sweep", w.coldAddress(), nil, nil)
	_, errs := w.reserveAt(w.Context(), must(w.build.Question(sweep))(w.T), w.names...)
	w.granted("sweep", errs)
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// must2 drops whether a deposit address is there: the devnet made it.
func must2(address string, ok bool) string {
	if !ok {
		return ""
	}
	return address
}

func (w *world) bitcoinChain() canon.Chain {
	c, _ := w.build.Charter.Chain(w.d.BTC.Chain())
	return c
}

func (w *world) coldAddress() []byte {
	w.Helper()
	return must(wallets.ParseAddress(w.bitcoinChain(), must2(w.d.Deposit("btc-cold", "acme-main"))))(w.T)
}

// stated asks every signer what it sees of a chain.
func (w *world) stated(chain canon.ChainID) map[canon.Name]canon.Signed {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	answers, errs := each(w.names, func(name canon.Name) (*pb.StateBalancesResponse, error) {
		return w.signers[name].StateBalances(ctx, &pb.StateBalancesRequest{Chain: string(chain)})
	})
	w.granted("balances of "+string(chain), errs)
	out := map[canon.Name]canon.Signed{}
	for name, a := range answers {
		out[name] = fromWire(a.GetBalances())
	}
	return out
}

// breached waits until every signer sees the deposit by which the hot wallet outgrew its band, and returns what they state.
func (w *world) breached() map[canon.Name]canon.Signed {
	w.Helper()
	var out map[canon.Name]canon.Signed
	w.until("signers see the deposit", func(context.Context) (bool, error) {
		out = w.stated(w.d.BTC.Chain())
		for _, signed := range out {
			var b canon.Balances
			if err := canon.Decode(signed.Document, &b); err != nil {
				return false, err
			}
			i := slices.IndexFunc(b.Holdings, func(h canon.Holding) bool { return h.Wallet == "btc-hot" })
			if i < 0 || b.Holdings[i].Amount.Int().Cmp(big.NewInt(12*100_000_000)) < 0 {
				return false, nil
			}
		}
		return true, nil
	})
	return out
}

// lies returns a statement by a signer whose operator lies: the hot wallet is nearly empty. The signature is true.
func (w *world) lies(liar canon.Name, truth canon.Signed) canon.Signed {
	w.Helper()
	var b canon.Balances
	if err := canon.Decode(truth.Document, &b); err != nil {
		w.Fatal(err)
	}
	for i := range b.Holdings {
		if b.Holdings[i].Wallet == "btc-hot" {
			b.Holdings[i].Amount = canon.AmountOf(1)
		}
	}
	document := must(canon.Encode(b))(w.T)
	n := w.d.Node(string(liar))
	w.d.KillNode(n)
	var signature []byte
	if err := w.d.WithToken(w.Context(), n, func(token hsm.Token) error {
		identity, err := token.Identity(w.Context(), "strongroom-identity")
		if err == nil {
			signature, err = identity.SignContext(w.Context(), canon.KindBalances.Message(document))
		}
		return err
	}); err != nil {
		w.Fatal(err)
	}
	if err := w.d.StartNode(w.Context(), n); err != nil {
		w.Fatal(err)
	}
	return canon.Signed{Document: document, Scheme: canon.Ed25519, Signature: signature}
}

// prices asks the authority, as the coordinator would.
func (w *world) prices() []canon.Signed {
	w.Helper()
	a := w.d.Authority("prices")
	cert := must(rpc.Certificate(must(coordinator.LoadKey(w.d.CoordinatorKey()))(w.T)))(w.T)
	server := canon.PublicKey(must(hex.DecodeString(a.TLS))(w.T))
	conn := must(rpc.Dial(a.Address, rpc.ClientTLS(cert, server), 0))(w.T)
	defer conn.Close()
	var out []canon.Signed
	for _, asset := range []canon.AssetID{w.d.BTC, w.d.ETH, w.d.USDX} {
		got := must(pb.NewAuthorityServiceClient(conn).StatePrice(w.Context(), &pb.StatePriceRequest{Asset: string(asset), Currency: "USD"}))(w.T)
		out = append(out, fromWire(got.GetPrice()))
	}
	return out
}

// refill is a move of half a bitcoin from warm to hot that the desk asked for and officers approved, with these statements.
func (w *world) refill(to []byte, balances, prices []canon.Signed) *hostile.Paper {
	w.Helper()
	return w.move("btc-warm", "btc-hot", "refill", to, balances, prices)
}

func (w *world) move(from, to, ruleName canon.Name, address []byte, balances, prices []canon.Signed) *hostile.Paper {
	w.Helper()
	desk := w.signingKey(w.d.Desk)
	key := canon.PublicKey(must(hex.DecodeString(w.d.Desk.Key))(w.T))
	rule, _ := w.build.Charter.Rule(ruleName)
	now := canon.TimeOf(time.Now())
	id := make([]byte, 8)
	if _, err := rand.Read(id); err != nil {
		w.Fatal(err)
	}
	r := canon.Request{
		Organisation: w.build.Charter.Organisation(), Requester: key, Client: "acme", Account: "acme-main", RequestID: "move-" + hex.EncodeToString(id),
		Chain: w.d.BTC.Chain(), Wallet: from, FeeCap: canon.AmountOf(50_000), NotBefore: now - 10, NotAfter: now + 1800,
		Outputs: []canon.Output{{Address: address, Asset: w.d.BTC, Amount: canon.AmountOf(50_000_000), Own: &canon.OwnAddress{Wallet: to}}},
	}
	p := &hostile.Paper{
		Request: r, Version: 1, Stamp: now, Until: now + 300,
		Intent: canon.Intent{
			Organisation: r.Organisation, Withdrawal: r.WithdrawalID(), Request: must(hostile.Sign(r, desk))(w.T), Rule: rule.Name, Quorum: rule.Quorum,
			CharterNumber: w.build.Charter.Number(), Charter: w.build.Charter.Digest(), Mode: canon.Template, FeeCap: r.FeeCap, NotAfter: r.NotAfter,
			Balances: balances, Prices: prices,
		},
	}
	if len(balances)+len(prices) > 0 {
		p.Intent.At = now
	}
	coin := must(w.coin(r, 51_000_000))(w.T)
	u := must(bitcoin.Build(bitcoin.BuildParams{Coins: []bitcoin.Coin{coin}, Payments: r.Outputs, ChangeScript: w.change(r), FeeRate: 5000, FeeCap: 50_000, MaxInputs: 1}))(w.T)
	if u.Change < 0 || !bytes.Equal(u.Tx.TxOut[0].PkScript, address) {
		w.Fatalf("expected a payment to %x and change, found %v", address, u.Tx.TxOut)
	}
	p.Bitcoin, p.Previous = u.Tx, [][]byte{coin.Previous}
	p.Inputs = []canon.OwnPath{{Account: r.Account}}
	p.Change = []canon.OwnPath{{Position: uint64(u.Change), Account: r.Account, Branch: wallets.BranchChange}}
	if err := w.approve(p, now+1200, "alice", "bob"); err != nil {
		w.Fatal(err)
	}
	return p
}

// change returns the script of the account's first change address in the wallet that pays.
func (w *world) change(r canon.Request) []byte {
	w.Helper()
	wallet, _ := w.build.Charter.Wallet(r.Wallet)
	account, _ := w.build.Charter.Account(r.Account)
	path := must(wallets.NewPath(w.bitcoinChain().CoinType, wallet.Number, account.Number, wallets.BranchChange, 0))(w.T)
	key := w.keys[wallet.Key]
	child := must(wallets.Derive(key.Public, wallets.ChainCode(w.build.Charter.Organisation(), key.ID, key.Public), path))(w.T)
	return bitcoin.ScriptP2WPKH(child.Public)
}
