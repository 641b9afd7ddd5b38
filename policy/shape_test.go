package policy

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

func TestShapeRefusesWhatNoRuleCanLetThrough(t *testing.T) {
	g := worldGenesis()
	c := chartertest.Open(t, g)
	script := append([]byte{0, 20}, make([]byte, 20)...)
	bitcoin := func() *canon.Request {
		r := pays(btc, 10_000, 20_000)
		r.Outputs[0].Address, r.Outputs[1].Address = script, script
		return r
	}
	ethereum := func() *canon.Request {
		r := pays(usd, 1)
		r.Outputs[0].Address = make([]byte, 20)
		return r
	}
	for _, tt := range []struct {
		name   string
		of     func() *canon.Request
		change func(*canon.Request)
		fields []string
	}{
		{"bitcoin", bitcoin, func(*canon.Request) {}, nil},
		{"ethereum", ethereum, func(*canon.Request) {}, nil},
		{"call", ethereum, func(r *canon.Request) { r.Outputs, r.Call = nil, &canon.Call{To: make([]byte, 20)} }, nil},
		{"warm wallet", bitcoin, func(r *canon.Request) { r.Wallet = "btc-warm" }, nil},
		{"unknown wallet", bitcoin, func(r *canon.Request) { r.Wallet = "nothing" }, []string{"wallet"}},
		{"wallet of another chain", bitcoin, func(r *canon.Request) { r.Wallet = "eth-hot" }, []string{"chain"}},
		{"cold wallet", bitcoin, func(r *canon.Request) { r.Wallet = "btc-cold" }, []string{"wallet"}},
		{"unknown account", bitcoin, func(r *canon.Request) { r.Account = "nothing" }, []string{"account"}},
		{"account of another client", bitcoin, func(r *canon.Request) { r.Account = "beta-main" }, []string{"account"}},
		{"account in another wallet", bitcoin, func(r *canon.Request) { r.Wallet = "btc-house" }, []string{"account"}},
		{"dust", bitcoin, func(r *canon.Request) { r.Outputs[1].Amount = canon.AmountOf(1) }, []string{"outputs[1].amount"}},
		{"payment of nothing", bitcoin, func(r *canon.Request) { r.Outputs[1].Amount = nil }, []string{"outputs[1]"}},
		{"no standard script", bitcoin, func(r *canon.Request) { r.Outputs[0].Address = []byte{0xff} }, []string{"outputs[0].address"}},
		{"another asset than bitcoin", bitcoin, func(r *canon.Request) { r.Outputs[0].Asset = usd }, []string{"outputs[0].asset"}},
		{"impossible address", bitcoin, func(r *canon.Request) { r.Outputs[0].Address = make([]byte, 129) }, []string{"outputs[0]", "outputs[0].address"}},
		{"call on bitcoin", bitcoin, func(r *canon.Request) { r.Outputs, r.Call = nil, &canon.Call{To: make([]byte, 20)} }, []string{"call"}},
		{"impossible call", ethereum, func(r *canon.Request) { r.Outputs, r.Call = nil, &canon.Call{To: make([]byte, 19)} }, []string{"call"}},
		{"two payments on ethereum", ethereum, func(r *canon.Request) { r.Outputs = slices.Repeat(r.Outputs, 2) }, []string{"outputs"}},
		{"address of another size", ethereum, func(r *canon.Request) { r.Outputs[0].Address = bytes.Repeat([]byte{1}, 21) }, []string{"outputs[0].address"}},
	} {
		r := tt.of()
		tt.change(r)
		var fields []string
		if why := refusal.Of(Shape(c, r)); why != nil {
			for _, f := range why.Failures {
				fields = append(fields, f.Field)
			}
		}
		if diff := cmp.Diff(tt.fields, fields); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func TestNobodyWithdrawsFromAPool(t *testing.T) {
	g := worldGenesis()
	for i := range g.Accounts[:3] {
		g.Accounts[i].Kind = canon.Omnibus
	}
	g.Accounts = append(g.Accounts, canon.Account{Name: "pool", Client: "house", Number: 9, Kind: canon.Pool})
	for i := range g.Wallets {
		if slices.Contains(g.Wallets[i].Accounts, "acme-main") {
			g.Wallets[i].Accounts = append(slices.Clone(g.Wallets[i].Accounts), "pool")
		}
	}
	c := chartertest.Open(t, g)
	r := pays(btc, 10_000)
	r.Outputs[0].Address = append([]byte{0, 20}, make([]byte, 20)...)
	if err := Shape(c, r); err != nil {
		t.Errorf("expected an account of the pool to pay, found %v", err)
	}
	r.Outputs[0].Own = &canon.OwnAddress{Wallet: "btc-cold"}
	if err := payable(c, FactsOf(r)); err != nil {
		t.Errorf("expected the pool to be of no kind, found %v", err)
	}
	r.Client, r.Account = "house", "pool"
	if why := refusal.Of(Shape(c, r)); why == nil || why.Failures[0].Field != "account" {
		t.Errorf("expected a refusal of the account, found %v", why)
	}
}

// An allowance of an omnibus account would be one of the pool: the account would have what it gave away, and others would pay it.
func TestOmnibusAccountsCallNoContracts(t *testing.T) {
	g := worldGenesis()
	for i := range g.Accounts[:3] {
		g.Accounts[i].Kind = canon.Omnibus
	}
	g.Accounts = append(g.Accounts, canon.Account{Name: "pool", Client: "house", Number: 9, Kind: canon.Pool})
	for i := range g.Wallets {
		if slices.Contains(g.Wallets[i].Accounts, "acme-main") {
			g.Wallets[i].Accounts = append(slices.Clone(g.Wallets[i].Accounts), "pool")
		}
	}
	for kind, c := range map[string]*charter.Charter{"omnibus": chartertest.Open(t, g), "segregated": chartertest.Open(t, worldGenesis())} {
		r := pays(eth, 10)
		r.Outputs, r.Call = nil, &canon.Call{To: make([]byte, 20), Data: []byte{9, 0x5e, 0xa7, 0xb3}}
		why := refusal.Of(Shape(c, r))
		if refused := why != nil && why.Failures[0].Field == "call"; refused != (kind == "omnibus") {
			t.Errorf("%s: expected omnibus accounts alone to be refused a call, found %v", kind, why)
		}
	}
}

func TestAllocationIsAskedAfterTheRule(t *testing.T) {
	g := worldGenesis()
	g.Allocation = []canon.Allocation{{Asset: btc, Tier: canon.Hot, MaxPermill: 100}}
	c := chartertest.Open(t, g)
	r := pays(btc, 500)
	r.Wallet = "btc-warm"
	r.Outputs[0].Own = &canon.OwnAddress{Wallet: "btc-hot"}
	f := FactsOf(r)
	rules := []canon.Rule{everything()}
	v := newSubject(c, f).decide(rules)
	want := []Missing{{Purpose: canon.PurposeBalance, Chain: chartertest.Bitcoin, Signers: 2}}
	if diff := cmp.Diff(want, v.Missing); v.Action != canon.ActionDeny || v.Rule != &rules[0] || diff != "" {
		t.Errorf("expected balances to be missing, found %+v %s", v, diff)
	}
	state := func(warm uint64) {
		f.Balances = nil
		for _, signer := range []canon.Name{"node-1", "node-2"} {
			f.Balances = append(f.Balances, canon.Balances{Signer: signer, Chain: chartertest.Bitcoin,
				Holdings: []canon.Holding{{Wallet: "btc-warm", Asset: btc, Amount: canon.AmountOf(warm)}}})
		}
	}
	if state(5_000); newSubject(c, f).decide(rules).Action != canon.ActionAllow {
		t.Errorf("expected a tenth to be let through, found %+v", newSubject(c, f).decide(rules))
	}
	state(4_900)
	if v := newSubject(c, f).decide(rules); v.Action != canon.ActionDeny || len(v.Missing) > 0 || refusal.Of(v.Explanation).Failures[0].Rule != "allocation" {
		t.Errorf("expected a denial by the allocation, found %+v", v)
	}
}

// A rule that denies calls does so whatever they pay, if it says nothing of amounts.
func TestRulesThatDenyCalls(t *testing.T) {
	entry := canon.CallRule{Name: "pay-in"}
	any := []canon.Name{canon.Any}
	s := func(paid ...canon.AssetAmount) *subject {
		out := &subject{c: world(t), r: pays(eth), call: &MatchedCall{Rule: &entry, Paid: paid}}
		out.r.Call = &canon.Call{}
		out.sums, _ = sumUp(paid)
		return out
	}
	deny := canon.Rule{Name: "deny", Action: canon.ActionDeny, Clients: any, Accounts: any, Wallets: any, Calls: any}
	limited, above, named, others := deny, deny, deny, deny
	limited.Amounts = []canon.AssetAmount{amount(eth, 10)}
	above.Above = []canon.AssetAmount{amount(eth, 10)}
	named.Calls = []canon.Name{"pay-in"}
	others.Calls = []canon.Name{"pay-out"}
	for _, tt := range []struct {
		name string
		rule canon.Rule
		s    *subject
		want answer
	}{
		{"whatever is paid", deny, s(amount(eth, 1e18), amount(usd, 5)), yes},
		{"nothing is paid", deny, s(), yes},
		{"named", named, s(), yes},
		{"others", others, s(), no},
		{"up to an amount", limited, s(amount(eth, 10)), yes},
		{"some asset up to an amount", limited, s(amount(usd, 5), amount(eth, 10)), yes},
		{"over the amount", limited, s(amount(eth, 11)), no},
		{"nothing is paid, up to an amount", limited, s(), yes},
		{"above", above, s(amount(eth, 11)), yes},
		{"not above", above, s(amount(eth, 10)), no},
		{"nothing is paid, above", above, s(), no},
	} {
		if got := tt.s.judge(&tt.rule); got != tt.want || (got == yes) != (len(tt.s.mismatches(&tt.rule)) == 0) {
			t.Errorf("%s: expected %d, found %d: %v", tt.name, tt.want, got, tt.s.mismatches(&tt.rule))
		}
	}
}

// Wallets of every scheme pay, but for cold ones; those that one token alone could empty are cold in every charter that opens.
func TestShapeOfWalletsWithTokens(t *testing.T) {
	g := chartertest.WithDevices(chartertest.Genesis())
	c := chartertest.Open(t, g)
	for wallet, refused := range map[canon.Name]bool{"btc-cosign": false, "btc-recover": false, "eth-cosign": false, "btc-cold": true, "eth-cold": true} {
		r := pays(btc, 10_000)
		r.Outputs[0].Address = append([]byte{0, 20}, make([]byte, 20)...)
		if w, _ := c.Wallet(wallet); w.Chain != r.Chain {
			r = pays(usd, 1)
			r.Outputs[0].Address = make([]byte, 20)
		}
		r.Wallet = wallet
		why := refusal.Of(Shape(c, r))
		if (why != nil) != refused || refused && why.Failures[0].Field != "wallet" {
			t.Errorf("%s: expected a refusal of the wallet %t, found %v", wallet, refused, why)
		}
	}
}
