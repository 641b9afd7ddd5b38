package charter_test

import (
	"testing"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

func TestHolderIsTheAccountItselfOrThePoolOfItsWallet(t *testing.T) {
	c := chartertest.Open(t, withConditions(withCalls()))
	for _, tt := range []struct {
		wallet, account, want canon.Name
	}{
		{"btc-hot", "acme-main", "acme-main"}, {"btc-pool", "acme-part", "pool"}, {"btc-pool", "beta-part", "pool"}, {"btc-pool", "pool", "pool"},
		{"btc-pool", "acme-main", ""}, {"btc-hot", "acme-part", ""}, {"btc-hot", "nobody", ""}, {"nowhere", "acme-main", ""},
	} {
		w, _ := c.Wallet(tt.wallet)
		got, ok := c.Holder(w, tt.account)
		if ok != (tt.want != "") || ok && got.Name != tt.want {
			t.Errorf("%s in %s: expected %q, found %q, %v", tt.account, tt.wallet, tt.want, got.Name, ok)
		}
	}
}

func TestAuthoritiesAndPricesAreFoundByWhatTheyAreFor(t *testing.T) {
	c := chartertest.Open(t, withConditions(withCalls()))
	if a, ok := c.Authority("kyc-desk"); !ok || a.Purpose != canon.PurposeAttribute {
		t.Errorf("expected an authority of attributes, found %+v, %v", a, ok)
	}
	if p, ok := c.PriceSource(chartertest.ETH, "USD"); !ok || p.Asset != chartertest.ETH {
		t.Errorf("expected the source of ether's price, found %+v, %v", p, ok)
	}
	if _, ok := c.PriceSource(chartertest.ETH, "EUR"); ok {
		t.Error("price in another currency: expected none, found one")
	}
	for name, want := range map[canon.Name]canon.Tier{"hot": canon.Hot, "warm": canon.Warm, "cold": canon.Cold, "tepid": 0, "": 0, canon.Any: 0} {
		if got, ok := charter.TierOf(name); got != want || ok != (want != 0) {
			t.Errorf("%q: expected tier %d, found %d, %v", name, want, got, ok)
		}
	}
}

// Expressions are compiled with the charter: whoever decides finds each that a rule has, and no other.
func TestExpressionsAreCompiledWithTheCharter(t *testing.T) {
	g := withConditions(withCalls())
	c := chartertest.Open(t, g)
	if p, ok := c.When(g.Rules[guarded].When); !ok || p == nil {
		t.Error("condition of a rule: expected a program, found none")
	}
	for _, h := range g.Rules[guarded].Holds {
		if p, ok := c.HoldWhen(h.When); !ok || p == nil {
			t.Errorf("%s: expected a program, found none", h.When)
		}
		if _, ok := c.When(h.When); ok {
			t.Errorf("%s: expected no condition of a rule, found one", h.When)
		}
	}
	if _, ok := c.When("true"); ok {
		t.Error("expression of no rule: expected none, found one")
	}
}
