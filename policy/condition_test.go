package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

const (
	btc = chartertest.BTC
	eth = chartertest.ETH
	usd = chartertest.USD
)

// whens are the expressions of these tests.
var whens = []string{`total("BTC") > amount("0.00000100 BTC")`, `attribute("nothing") == "x"`, `worth("USD") > money("50 USD")`,
	`payments.exists(p, "exchanges" in p.groups)`, `payments[0].amount > amount("1 ETH")`}

// Each case changes a rule that allows everything and a request of 500 base units, and says what becomes of it.
func TestConditionsNarrowARule(t *testing.T) {
	c := world(t, whens...)
	own := func(wallet canon.Name) func(*Facts) {
		return func(f *Facts) { f.Request.Outputs[0].Own = &canon.OwnAddress{Wallet: wallet} }
	}
	groups := func(names, recent []canon.Name) func(*Facts) {
		return func(f *Facts) { f.Destinations = []canon.Destination{{Groups: names, Recent: recent}} }
	}
	target := func(kind canon.TargetKind, name canon.Name) func(*canon.Rule) {
		return func(r *canon.Rule) { r.To = []canon.Target{{Kind: kind, Name: name}} }
	}
	denies := func(change func(*canon.Rule)) func(*canon.Rule) {
		return func(r *canon.Rule) { r.Action = canon.ActionDeny; change(r) }
	}
	priced := func(prices ...canon.Price) func(*Facts) { return func(f *Facts) { f.Prices = prices } }
	stated := func(values ...string) func(*Facts) {
		return func(f *Facts) {
			for i, v := range values {
				f.Attributes = append(f.Attributes, canon.Attribute{Authority: "kyc-desk", Client: "acme", Name: "risk", Value: canon.Text(v), At: worldTime + canon.Time(i)})
			}
		}
	}
	value := func(above, max uint64) func(*canon.Rule) {
		return func(r *canon.Rule) {
			r.Value = &canon.ValueRange{Currency: "USD", Above: canon.AmountOf(above * 1e6), Max: canon.AmountOf(max * 1e6)}
		}
	}
	attribute := func(name, authority canon.Name, values ...canon.Text) func(*canon.Rule) {
		return func(r *canon.Rule) {
			r.Attributes = append(r.Attributes, canon.AttributeCondition{Name: name, Authority: authority, Values: values})
		}
	}
	hours := func(from, to uint64, zone string, days ...uint64) func(*canon.Rule) {
		return func(r *canon.Rule) {
			r.Hours = append(r.Hours, canon.Hours{Days: days, From: from, To: to, Zone: zone})
		}
	}
	when := func(i int) func(*canon.Rule) { return func(r *canon.Rule) { r.When = whens[i] } }
	amounts := func(r *canon.Rule) { r.Amounts = []canon.AssetAmount{amount(btc, 499)} }
	anyAmount := func(r *canon.Rule) { r.Amounts, r.AnyAmount = nil, true }
	above := func(n uint64) func(*canon.Rule) {
		return func(r *canon.Rule) { r.Above = []canon.AssetAmount{amount(btc, n), amount(eth, 1)} }
	}
	both := func(changes ...func(*canon.Rule)) func(*canon.Rule) {
		return func(r *canon.Rule) {
			for _, change := range changes {
				change(r)
			}
		}
	}
	same := func(*Facts) {}
	for _, tt := range []struct {
		name  string
		rule  func(*canon.Rule)
		facts func(*Facts)
		want  answer
		field string // of the only mismatch
	}{
		{"nothing", func(*canon.Rule) {}, same, yes, ""},
		{"client", func(r *canon.Rule) { r.Clients = []canon.Name{"beta"} }, same, no, "client"},
		{"account", func(r *canon.Rule) { r.Accounts = []canon.Name{"beta-main"} }, same, no, "account"},
		{"wallet", func(r *canon.Rule) { r.Wallets = []canon.Name{"eth-hot"} }, same, no, "wallet"},
		{"tier", func(r *canon.Rule) { r.Tiers = []canon.Tier{canon.Hot} }, same, yes, ""},
		{"other tier", func(r *canon.Rule) { r.Tiers = []canon.Tier{canon.Warm, canon.Cold} }, same, no, "tier"},
		{"amount", amounts, same, no, "amount"},
		{"asset", func(r *canon.Rule) { r.Amounts = []canon.AssetAmount{amount(eth, 1000)} }, same, no, "asset"},
		{"any amount in a rule that allows", anyAmount, same, no, "asset"},
		{"above", above(499), same, yes, ""},
		{"at the floor", above(500), same, no, "above"},
		{"denies any amount", denies(anyAmount), same, yes, ""},
		{"denies amount", denies(amounts), same, no, "amount"},
		{"denies above any amount", denies(both(anyAmount, above(499))), same, yes, ""},
		{"denies at the floor", denies(both(anyAmount, above(500))), same, no, "above"},
		{"denies above of another asset", denies(both(anyAmount, func(r *canon.Rule) { r.Above = []canon.AssetAmount{amount(eth, 1)} })), same, no, "above"},

		{"book", target(canon.TargetBook, ""), same, yes, ""},
		{"book, own wallet", target(canon.TargetBook, ""), own("btc-cold"), no, "to"},
		{"group", target(canon.TargetBook, "exchanges"), groups([]canon.Name{"otc", "exchanges"}, nil), yes, ""},
		{"other group", target(canon.TargetBook, "exchanges"), groups([]canon.Name{"otc"}, nil), no, "to"},
		{"no groups", target(canon.TargetBook, "exchanges"), same, no, "to"},
		{"group of some version only", target(canon.TargetBook, "exchanges"), groups(nil, []canon.Name{"exchanges"}), unknown, "to"},
		{"denies group of some version only", denies(target(canon.TargetBook, "exchanges")), groups(nil, []canon.Name{"exchanges"}), yes, ""},
		{"denies other group", denies(target(canon.TargetBook, "exchanges")), groups([]canon.Name{"otc"}, nil), no, "to"},
		{"own wallet", target(canon.TargetWallet, "btc-cold"), own("btc-cold"), yes, ""},
		{"other own wallet", target(canon.TargetWallet, "btc-warm"), own("btc-cold"), no, "to"},
		{"any own wallet", target(canon.TargetWallet, canon.Any), own("btc-cold"), yes, ""},
		{"any own wallet, outside", target(canon.TargetWallet, canon.Any), same, no, "to"},
		{"tier of own wallet", target(canon.TargetTier, "cold"), own("btc-cold"), yes, ""},
		{"other tier of own wallet", target(canon.TargetTier, "warm"), own("btc-cold"), no, "to"},
		{"tier, outside", target(canon.TargetTier, "hot"), same, no, "to"},
		{"anywhere, own wallet", target(canon.TargetAny, ""), own("btc-warm"), yes, ""},
		{"target of unknown kind", target(9, ""), same, no, "to"},

		{"from", func(r *canon.Rule) { r.From = worldTime }, same, yes, ""},
		{"too early", func(r *canon.Rule) { r.From = worldTime + 1 }, same, no, "from"},
		{"before", func(r *canon.Rule) { r.Before = worldTime + 1 }, same, yes, ""},
		{"too late", func(r *canon.Rule) { r.Before = worldTime }, same, no, "before"},
		{"hours", hours(120, 180, "UTC", 5), same, yes, ""},
		{"hours of another zone", hours(1260, 1320, "America/New_York", 4), same, yes, ""},
		{"hours overnight", hours(1380, 180, "UTC", 4), same, yes, ""},
		{"one of several hours", both(hours(0, 60, "UTC", 5), hours(120, 180, "UTC", 5)), same, yes, ""},
		{"other hours", hours(180, 240, "UTC", 5), same, no, "hours"},
		{"other day", hours(120, 180, "UTC", 1, 2, 3, 4), same, no, "hours"},

		{"attribute", attribute("kyc", "", "basic", "enhanced"), same, yes, ""},
		{"other value of an attribute", attribute("kyc", "", "basic"), same, no, "attributes.kyc"},
		{"no such attribute", attribute("nothing", "", "basic"), same, no, "attributes.nothing"},
		{"one of two attributes", both(attribute("kyc", "", "enhanced"), attribute("risk", "", "high")), same, no, "attributes.risk"},
		{"attribute of an authority", attribute("risk", "kyc-desk", "low"), stated("low"), yes, ""},
		{"no statement", attribute("risk", "kyc-desk", "low"), same, unknown, "attributes.risk"},
		{"the latest statement", attribute("risk", "kyc-desk", "low"), stated("low", "high"), no, "attributes.risk"},
		{"statement about another client", attribute("risk", "kyc-desk", "low"), func(f *Facts) {
			stated("low")(f)
			f.Attributes[0].Client = "beta"
		}, unknown, "attributes.risk"},
		{"statements that contradict each other", attribute("risk", "kyc-desk", "low"), func(f *Facts) {
			stated("low", "high")(f)
			f.Attributes[1].At = f.Attributes[0].At
		}, unknown, "attributes.risk"},
		{"statements that contradict each other about what is not asked", attribute("risk", "kyc-desk", "medium"), func(f *Facts) {
			stated("low", "high")(f)
			f.Attributes[1].At = f.Attributes[0].At
		}, no, "attributes.risk"},
		{"denies by statements that contradict each other", denies(attribute("risk", "kyc-desk", "low")), func(f *Facts) {
			stated("low", "high")(f)
			f.Attributes[1].At = f.Attributes[0].At
		}, yes, ""},
		{"missing statement where something else does not match", both(attribute("risk", "kyc-desk", "low"), func(r *canon.Rule) { r.Clients = []canon.Name{"beta"} }),
			same, no, "client"},

		// 500 satoshi at 20,000,000 USD are 100 USD.
		{"value", value(99, 100), priced(price(btc, "USD", 20_000_000)), yes, ""},
		{"value at its floor", value(100, 200), priced(price(btc, "USD", 20_000_000)), no, "value"},
		{"value above its end", value(0, 99), priced(price(btc, "USD", 20_000_000)), no, "value"},
		{"value without end", value(99, 0), priced(price(btc, "USD", 20_000_000)), yes, ""},
		{"of several prices the highest", value(0, 100), priced(price(btc, "USD", 20_000_000), price(btc, "USD", 20_000_001), price(btc, "USD", 1)), no, "value"},
		{"no price", value(99, 100), same, unknown, "value"},
		{"price in another currency", value(99, 100), priced(price(btc, "EUR", 20_000_000)), unknown, "value"},
		{"price of another asset", value(99, 100), priced(price(eth, "USD", 20_000_000)), unknown, "value"},
		{"denies without a price", denies(value(99, 0)), same, unknown, "value"},

		{"expression", when(0), same, yes, ""},
		{"expression that is false", both(when(0)), func(f *Facts) { f.Request.Outputs[0].Amount = canon.AmountOf(100) }, no, "when"},
		{"expression that fails", when(1), same, unknown, "when"},
		{"expression about another asset", when(4), same, unknown, "when"},
		{"expression about a value", when(2), priced(price(btc, "USD", 20_000_000)), yes, ""},
		{"expression about a value without a price", when(2), same, unknown, "when"},
		{"expression about groups", when(3), groups([]canon.Name{"exchanges"}, nil), yes, ""},
		{"expression about groups of some version only", when(3), groups(nil, []canon.Name{"exchanges"}), unknown, "when"},
		{"denies by an expression about groups of some version only", denies(when(3)), groups(nil, []canon.Name{"exchanges"}), unknown, "when"},
		{"expression about another group of some version only", when(3), groups([]canon.Name{"exchanges"}, []canon.Name{"otc"}), yes, ""},
		{"expression that no charter has", func(r *canon.Rule) { r.When = "false" }, same, unknown, "when"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := FactsOf(pays(btc, 500))
			tt.facts(&f)
			rule := everything()
			tt.rule(&rule)
			s := newSubject(c, f)
			mismatches := s.mismatches(&rule)
			if got := s.judge(&rule); got != tt.want || (got == yes) != (len(mismatches) == 0) {
				t.Errorf("expected %d, found %d: %v", tt.want, got, mismatches)
			}
			for _, m := range mismatches {
				if m.Field != tt.field || m.Rule != "everything" || m.Expected == "" || m.Found == "" {
					t.Errorf("expected a mismatch of %s, found %v", tt.field, m)
				}
			}
		})
	}
}

func TestEveryPaymentMustBeCoveredToAllowAndAnyToDeny(t *testing.T) {
	c := world(t)
	r := pays(btc, 400, 400, 100)
	r.Outputs[1].Own = &canon.OwnAddress{Wallet: "btc-cold"}
	f := FactsOf(r)
	f.Destinations = []canon.Destination{{Groups: []canon.Name{"exchanges"}}, {}, {}}
	for _, tt := range []struct {
		to          []canon.Target
		allow, deny answer
	}{
		{anywhere, yes, yes},
		{[]canon.Target{{Kind: canon.TargetBook}}, no, yes},
		{[]canon.Target{{Kind: canon.TargetBook}, {Kind: canon.TargetTier, Name: "cold"}}, yes, yes},
		{[]canon.Target{{Kind: canon.TargetBook, Name: "exchanges"}, {Kind: canon.TargetTier, Name: "cold"}}, no, yes},
		{[]canon.Target{{Kind: canon.TargetWallet, Name: "btc-warm"}}, no, no},
		{nil, no, no},
	} {
		rule := everything()
		rule.To = tt.to
		if got := newSubject(c, f).judge(&rule); got != tt.allow {
			t.Errorf("to %v: expected %d to allow, found %d", tt.to, tt.allow, got)
		}
		rule.Action = canon.ActionDeny
		if got := newSubject(c, f).judge(&rule); got != tt.deny {
			t.Errorf("to %v: expected %d to deny, found %d", tt.to, tt.deny, got)
		}
	}
	rule := everything()
	rule.Action, rule.To, rule.Amounts = canon.ActionDeny, []canon.Target{{Kind: canon.TargetTier, Name: "cold"}}, []canon.AssetAmount{amount(btc, 899)}
	if newSubject(c, f).judge(&rule) != no {
		t.Error("expected the sum of all payments of an asset to count, also of those to other targets")
	}
}

func TestRulesStopWhereNobodyCanTell(t *testing.T) {
	c := world(t, whens...)
	f := FactsOf(pays(btc, 500))
	first, last := everything(), everything()
	first.Name = "first"
	for name, tt := range map[string]struct {
		change func(*canon.Rule)
		want   []Missing
	}{
		"statement": {func(r *canon.Rule) {
			r.Attributes = []canon.AttributeCondition{{Name: "risk", Authority: "kyc-desk", Values: []canon.Text{"low"}}}
		}, []Missing{{Purpose: canon.PurposeAttribute, Authority: "kyc-desk", Attribute: "risk"}}},
		"price": {func(r *canon.Rule) { r.Value = &canon.ValueRange{Currency: "EUR", Max: canon.AmountOf(1)} },
			[]Missing{{Purpose: canon.PurposePrice, Asset: btc, Currency: "EUR"}}},
		"price for an expression": {func(r *canon.Rule) { r.When = whens[2] }, []Missing{{Purpose: canon.PurposePrice, Asset: btc, Currency: "USD"}}},
		"everything at once": {func(r *canon.Rule) {
			r.When, r.Value = whens[2], &canon.ValueRange{Currency: "USD", Max: canon.AmountOf(1)}
			r.Attributes = []canon.AttributeCondition{{Name: "risk", Authority: "kyc-desk", Values: []canon.Text{"low"}}}
		}, []Missing{{Purpose: canon.PurposePrice, Asset: btc, Currency: "USD"}, {Purpose: canon.PurposeAttribute, Authority: "kyc-desk", Attribute: "risk"}}},
		"expression that fails": {func(r *canon.Rule) { r.When = whens[1] }, nil},
	} {
		for _, action := range []canon.Action{canon.ActionAllow, canon.ActionDeny} {
			stops := first
			stops.Action = action
			tt.change(&stops)
			rules := []canon.Rule{stops, last}
			v := newSubject(c, f).decide(rules)
			why := refusal.Of(v.Explanation)
			if v.Action != canon.ActionDeny || v.Rule != &rules[0] || why == nil || why.Failures[len(why.Failures)-1].Rule != "first" {
				t.Errorf("%s: expected a denial at the first rule, found %+v", name, v)
			}
			if diff := cmp.Diff(tt.want, v.Missing); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	}
}

func TestOwnWalletsMustHoldTheAccountOnTheChainAndBeOfTheSameKind(t *testing.T) {
	c := world(t)
	house := pays(btc, 500)
	house.Client, house.Account, house.Wallet = "house", "house-main", "btc-house"
	for _, tt := range []struct {
		r      *canon.Request
		wallet canon.Name
		reason string
	}{
		{pays(btc, 500), "btc-cold", ""},
		{pays(btc, 500), "btc-hot", ""},
		{house, "btc-house", ""},
		{pays(btc, 500), "nothing", "a wallet of the charter"},
		{pays(btc, 500), "eth-hot", "a wallet on " + string(chartertest.Bitcoin)},
		{pays(btc, 500), "btc-house", "a wallet of clients alone"},
		{house, "btc-hot", "a wallet of the house alone"},
	} {
		tt.r.Outputs[0].Own = &canon.OwnAddress{Wallet: tt.wallet}
		rules := []canon.Rule{everything()}
		err := payable(c, FactsOf(tt.r))
		if tt.reason == "" {
			if v := newSubject(c, FactsOf(tt.r)).decide(rules); err != nil || v.Action != canon.ActionAllow {
				t.Errorf("%s: expected it to be allowed, found %v, %v", tt.wallet, err, v.Explanation)
			}
			continue
		}
		if why := refusal.Of(err); why == nil || !strings.Contains(err.Error(), tt.reason) || why.Failures[0].Field != "outputs[0].own.wallet" {
			t.Errorf("%s: expected a refusal with %q, found %v", tt.wallet, tt.reason, err)
		}
		if v := Decide(c, FactsOf(tt.r)); v.Action != canon.ActionDeny {
			t.Errorf("%s: expected a denial, found %d", tt.wallet, v.Action)
		}
	}
}

func TestNoRequestIsDenied(t *testing.T) {
	if v := Decide(world(t), Facts{}); v.Action != canon.ActionDeny || refusal.Of(v.Explanation) == nil {
		t.Errorf("expected a denial, found %+v", v)
	}
}

func TestDestinationsMustFitTheOutputs(t *testing.T) {
	f := FactsOf(pays(btc, 1, 2))
	f.Destinations = []canon.Destination{{}}
	if v := Decide(world(t), f); v.Action != canon.ActionDeny || refusal.Of(v.Explanation).Failures[0].Field != "destinations" {
		t.Errorf("expected a denial by destinations, found %+v", v)
	}
}
