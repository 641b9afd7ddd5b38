package guard

import (
	"crypto/ed25519"
	"math/big"

	"github.com/strongroom/strongroom/proto/canon"
)

// withFacts adds what the rule "checked" reads, and that rule, which lets payments out of the warm wallet through: to an exchange, within a value,
// for clients whom the charter and an authority know, cleared by two authorities, drawing on a limit in money, and within an allocation.
func withFacts(action canon.Action) func(*canon.Genesis) {
	return func(g *canon.Genesis) {
		withMoves(g)
		g.Delays.Balances = 300
		for _, a := range []canon.Authority{{Name: "rival", Purpose: canon.PurposePrice}, {Name: "kyc-desk", Purpose: canon.PurposeAttribute},
			{Name: "screening", Purpose: canon.PurposeScreening}, {Name: "bridge", Purpose: canon.PurposeTravelRule}, {Name: "feed", Purpose: canon.PurposePrice}} {
			a.Key = edPublic(string(a.Name))
			g.Authorities = append(g.Authorities, a)
		}
		g.Prices = []canon.PriceSource{{Asset: btc, Currency: "USD", Authorities: []canon.Name{"feed"}, MaxAge: 300, Min: dollars(1000), Max: dollars(1_000_000)}}
		g.Clients[0].Attributes = []canon.ClientAttribute{{Name: "region", Value: "hk"}}
		g.Allocation = []canon.Allocation{{Asset: btc, Tier: canon.Hot, MaxPermill: 500}}
		anyone := []canon.Name{canon.Any}
		g.Limits = append(g.Limits, canon.Limit{Name: "money-day", Unit: canon.UnitMoney, Currency: "USD", Amount: canon.AmountOf(100_000e6), Window: 86400,
			Clients: anyone, Wallets: anyone, Per: []canon.Dimension{canon.PerClient, canon.PerWallet}})
		checked := rule("checked", action, 400_000_000, 1, canon.Quorum{})
		if action == canon.ActionApprove {
			checked.Quorum = two()
		}
		checked.Amounts, checked.FeeCaps = checked.Amounts[:1], checked.FeeCaps[:1]
		checked.Wallets = []canon.Name{"btc-warm"}
		checked.To = []canon.Target{{Kind: canon.TargetBook, Name: "exchanges"}}
		checked.Value = &canon.ValueRange{Currency: "USD", Above: canon.AmountOf(1000e6), Max: canon.AmountOf(90_000e6)}
		checked.Attributes = []canon.AttributeCondition{{Name: "region", Values: []canon.Text{"hk"}}, {Name: "kyc", Values: []canon.Text{"enhanced"}, Authority: "kyc-desk"}}
		checked.Clearances = []canon.Name{"screening", "bridge"}
		checked.Limits = []canon.Name{"btc-day", "money-day"}
		g.Rules = append([]canon.Rule{checked}, g.Rules...)
	}
}

// dollars is a price in 10^-12 of a dollar.
func dollars(n int64) canon.Amount {
	return canon.Amount(new(big.Int).Mul(big.NewInt(n), big.NewInt(1e12)).Bytes())
}

// exchange is the book's entry that the rule pays.
func exchange() canon.BookEntry {
	return canon.BookEntry{Chain: btcChain, Address: payee, Client: "acme", Account: canon.Any, Label: "exchange", Groups: []canon.Name{"exchanges"}}
}

// stated signs a statement in the name of an authority or signer.
func (w *world) stated(by string, d canon.Document) canon.Signed {
	w.t.Helper()
	document, err := canon.Encode(d)
	if err != nil {
		w.t.Fatal(err)
	}
	return canon.Signed{Document: document, Scheme: canon.Ed25519, Signature: ed25519.Sign(edKey(by), d.Kind().Message(document))}
}

// facts are what the service gathered for the intent.
func (w *world) facts(i *canon.Intent) {
	org, now := w.charter.Organisation(), canon.TimeOf(w.now)
	i.At, i.NotAfter = now, now+600 // as long as the rule gives for signing
	i.Destinations = []canon.Destination{{Groups: []canon.Name{"exchanges"}}}
	i.Prices = []canon.Signed{w.stated("feed", canon.Price{Organisation: org, Authority: "feed", Asset: btc, Currency: "USD", Value: dollars(100_000), At: now - 20})}
	i.Attributes = []canon.Signed{w.stated("kyc-desk", canon.Attribute{Organisation: org, Authority: "kyc-desk", Client: "acme", Name: "kyc", Value: "enhanced", At: now - 500, NotAfter: now + 3600})}
	var r canon.Request
	if err := canon.Decode(i.Request.Document, &r); err != nil {
		w.t.Fatal(err)
	}
	asked := canon.KindRequest.Digest(i.Request.Document)
	i.Clearances = []canon.Signed{
		w.stated("screening", canon.Clearance{Organisation: org, Authority: "screening", Request: asked, Cleared: true, At: now - 5, NotAfter: now + 3600}),
		w.stated("bridge", canon.Clearance{Organisation: org, Authority: "bridge", Request: asked, Cleared: true, At: now - 5, NotAfter: now + 3600, Data: r.TravelData})}
	i.Balances = nil
	for _, name := range []canon.Name{"node-1", "node-2"} {
		i.Balances = append(i.Balances, w.stated(string(name), canon.Balances{Organisation: org, Signer: name, Chain: btcChain, Height: 100, Block: canon.Digest{7}, At: now - 30,
			Holdings: []canon.Holding{{Wallet: "btc-hot", Asset: btc, Amount: canon.AmountOf(100_000_000)}, {Wallet: "btc-warm", Asset: btc, Amount: canon.AmountOf(900_000_000)}}}))
	}
}

// factPaper pays half a bitcoin to an exchange out of the warm wallet, by statements of everybody whom the rule asks.
func (w *world) factPaper(approve ...canon.Name) *paper {
	p := w.bitcoinMove(warm, canon.OwnAddress{Wallet: "btc-hot"}, payee)
	p.rule, p.approve, p.client = "checked", approve, edKey("acme")
	p.request.Requester, p.request.Outputs[0].Own = edPublic("acme"), nil
	p.request.TravelData = make([]byte, 32)
	p.onIntent = w.facts
	return p
}
