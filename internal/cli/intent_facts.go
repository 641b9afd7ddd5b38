package cli

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/policy/money"
	"github.com/strongroom/strongroom/proto/canon"
)

// FactsView are the statements that an intent rests on. Each was verified by the key of who makes it; that it is true is for him to answer for.
type FactsView struct {
	// At is the time by which statements are judged, as the service says.
	At string `json:"at"`
	// Worth is what all payments are worth together, once for each currency in which there is a price of every asset; by the highest prices.
	Worth      []string         `json:"worth,omitempty"`
	Prices     []PriceView      `json:"prices,omitempty"`
	Attributes []AttributeView  `json:"attributes,omitempty"`
	Clearances []ClearanceView  `json:"clearances,omitempty"`
	Balances   []StatedBalances `json:"balances,omitempty"`
}

// PriceView is what somebody says one whole unit of an asset is worth.
type PriceView struct {
	Asset     string `json:"asset"`
	Symbol    string `json:"symbol"`
	Value     string `json:"value"` // with the currency
	Authority string `json:"authority"`
	Time      string `json:"time"`
}

// AttributeView is what somebody says of the client.
type AttributeView struct {
	Name       string `json:"name"`
	Value      string `json:"value"`
	Authority  string `json:"authority"`
	Time       string `json:"time"`
	ExpireTime string `json:"expire_time"`
}

// ClearanceView is an authority's decision about the request.
type ClearanceView struct {
	Authority string `json:"authority"`
	// Purpose is what the charter has the authority for: screening, or travel rule.
	Purpose    string `json:"purpose"`
	Cleared    bool   `json:"cleared"`
	Reason     string `json:"reason,omitempty"`
	Data       string `json:"data,omitempty"` // SHA-256 of the travel-rule data that it rests on
	Time       string `json:"time"`
	ExpireTime string `json:"expire_time"`
}

// StatedBalances is what a signer's chain source showed, by which the allocation was judged.
type StatedBalances struct {
	Signer   string          `json:"signer"`
	Chain    string          `json:"chain"`
	Height   uint64          `json:"height"`
	Block    string          `json:"block"` // its hash as the chain has it
	Time     string          `json:"time"`
	Holdings []StatedHolding `json:"holdings"`
}

// StatedHolding is what all accounts of a wallet have of an asset.
type StatedHolding struct {
	Wallet string `json:"wallet"`
	AmountView
}

// factsView renders the verified statements of an intent, nil if it rests on none.
func factsView(c *charter.Charter, review *guard.Review) (*FactsView, error) {
	f := review.Facts
	if len(f.Prices)+len(f.Attributes)+len(f.Clearances)+len(f.Balances) == 0 {
		return nil, nil
	}
	v := &FactsView{At: stamp(review.Intent.At)}
	for _, p := range f.Prices {
		v.Prices = append(v.Prices, PriceView{string(p.Asset), symbolOf(c, p.Asset), unitPrice(p.Value, p.Currency), string(p.Authority), stamp(p.At)})
	}
	for _, a := range f.Attributes {
		v.Attributes = append(v.Attributes, AttributeView{string(a.Name), string(a.Value), string(a.Authority), stamp(a.At), stamp(a.NotAfter)})
	}
	for _, d := range f.Clearances {
		authority, _ := c.Authority(d.Authority)
		v.Clearances = append(v.Clearances, ClearanceView{string(d.Authority), purposeText(authority.Purpose), d.Cleared, string(d.Reason), fmt.Sprintf("%x", d.Data), stamp(d.At), stamp(d.NotAfter)})
	}
	for _, b := range f.Balances {
		stated := StatedBalances{Signer: string(b.Signer), Chain: string(b.Chain), Height: b.Height, Block: b.Block.String(), Time: stamp(b.At), Holdings: []StatedHolding{}}
		for _, h := range b.Holdings {
			stated.Holdings = append(stated.Holdings, StatedHolding{string(h.Wallet), amountView(c, h.Asset, h.Amount)})
		}
		v.Balances = append(v.Balances, stated)
	}
	var err error
	v.Worth, err = worth(c, f)
	return v, err
}

// worth values all payments of a request together in every currency in which each of their assets has a price.
func worth(c *charter.Charter, f policy.Facts) (out []string, err error) {
	sums, err := totals(c, *f.Request)
	if err != nil {
		return nil, err
	}
	var currencies []canon.Currency
	for _, p := range f.Prices {
		if !slices.Contains(currencies, p.Currency) {
			currencies = append(currencies, p.Currency)
		}
	}
	for _, currency := range currencies {
		all := new(big.Int)
		for _, t := range sums {
			value, ok := money.Worth(c, f.Prices, currency, t.id, t.sum.Int())
			if !ok {
				all = nil
				break
			}
			all.Add(all, value)
		}
		if all != nil {
			out = append(out, money.Format(currency, all))
		}
	}
	return out, nil
}

func (v *FactsView) writeText(t *text) {
	if v == nil {
		return
	}
	if len(v.Worth) > 0 {
		t.field("Worth", strings.Join(v.Worth, ", ")+", all payments together")
	}
	for _, p := range v.Prices {
		t.field("Price", fmt.Sprintf("1 %s = %s, as %s stated at %s", p.Symbol, p.Value, p.Authority, clock(p.Time)))
	}
	for _, a := range v.Attributes {
		t.field("Client's", fmt.Sprintf("%s = %s, as %s stated at %s", a.Name, quoted(a.Value), a.Authority, clock(a.Time)))
	}
	for _, d := range v.Clearances {
		answer := "cleared by "
		if !d.Cleared {
			answer = "REFUSED by "
		}
		line := fmt.Sprintf("%s%s at %s, good until %s", answer, d.Authority, clock(d.Time), clock(d.ExpireTime))
		if d.Reason != "" {
			line += ": " + quoted(d.Reason)
		}
		t.field(strings.ToUpper(d.Purpose[:1])+d.Purpose[1:], line)
	}
	for _, b := range v.Balances {
		t.field("Balances", fmt.Sprintf("of %s at block %d, as %s stated at %s:", b.Chain, b.Height, b.Signer, clock(b.Time)))
		for _, h := range b.Holdings {
			t.say("             %s: %s", h.Wallet, h.Amount)
		}
	}
	t.field("Judged at", clock(v.At))
}

// OwnView places a payment in a wallet of the account itself.
type OwnView struct {
	Wallet string `json:"wallet"`
	Label  string `json:"label,omitempty"`
	Index  uint64 `json:"index"`
	Tier   string `json:"tier"`
}

// ownView returns where in the account's own wallets an output says that it goes; nil for one that goes outside.
func ownView(c *charter.Charter, o canon.Output) *OwnView {
	if o.Own == nil {
		return nil
	}
	w, _ := c.Wallet(o.Own.Wallet)
	return &OwnView{Wallet: string(o.Own.Wallet), Label: string(w.Label), Index: o.Own.Index, Tier: tierText(w.Tier)}
}

// purposeText names what an authority is for.
func purposeText(p canon.Purpose) string {
	return word(p, "prices", "screening", "travel rule", "balances", "attributes of clients")
}

// grouped adds to payments in which groups of the address book the intent says that their addresses are. Those that a proof of the newest version
// shows are marked; what is not shown here the signers check.
func grouped(list []PaymentView, f policy.Facts, entries map[string]entry) {
	for i := range list {
		if i >= len(f.Destinations) {
			return
		}
		shown := entries[string(f.Request.Outputs[i].Address)].groups
		list[i].Groups, list[i].RecentGroups = toStrings(f.Destinations[i].Groups), toStrings(f.Destinations[i].Recent)
		list[i].GroupsShown = !slices.ContainsFunc(f.Destinations[i].Groups, func(n canon.Name) bool { return !slices.Contains(shown, n) })
	}
}

// writeDestination says where a payment goes: to an own wallet, or how its address stands in the address book.
func writeDestination(t *text, p PaymentView, bookKnown bool) {
	if p.Own != nil {
		t.field("  which is", fmt.Sprintf("own wallet %s, %s, index %d; every signer derives it", labelled(canon.Name(p.Own.Wallet), canon.Text(p.Own.Label)), p.Own.Tier, p.Own.Index))
		return
	}
	writeStanding(t, KnownView{Label: p.Label, InBook: p.InBook, Payable: p.Payable, PayableFrom: p.PayableFrom}, bookKnown)
	if len(p.Groups) > 0 {
		by := ""
		if !p.GroupsShown {
			by = " (not shown here; every signer checks it)"
		}
		t.field("  in groups", strings.Join(p.Groups, ", ")+by)
	}
	if len(p.RecentGroups) > 0 {
		t.field("  lately in", strings.Join(p.RecentGroups, ", ")+", by some versions of the book")
	}
}

// dutiesOf are what must be done, beside approvals, before a withdrawal under the rule is signed.
func dutiesOf(r *canon.Rule) []string {
	if r == nil {
		return nil
	}
	return ruleDuties(*r)
}
