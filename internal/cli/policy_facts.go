package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/cases"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/fact"
	"github.com/strongroom/strongroom/policy/money"
	"github.com/strongroom/strongroom/proto/canon"
)

// Supposed is what is taken to be stated about a request, and known of it.
type Supposed struct {
	Prices     []string // "BTC 60000 USD"
	Attributes []string // "kyc=enhanced", or "kyc=enhanced by kyc-desk"
	Clear      []string // authorities
	Balances   []string // "btc-hot 10 BTC"
	Groups     []string // of the address book, in which all payees are
	// Circumstances are nil if nobody asks for them.
	Circumstances *policy.Circumstances
}

// into adds what is supposed to an order.
func (u Supposed) into(o *cases.Order) error {
	o.Prices, o.Circumstances = u.Prices, u.Circumstances
	for _, text := range u.Attributes {
		said, authority, _ := strings.Cut(text, " by ")
		name, value, ok := strings.Cut(said, "=")
		if !ok {
			return fmt.Errorf("attribute: expected a name and a value as in \"kyc=enhanced\" or \"kyc=enhanced by kyc-desk\", found %q", text)
		}
		o.Attributes = append(o.Attributes, cases.Attribute{Name: canon.Name(name), Value: canon.Text(value), Authority: canon.Name(authority)})
	}
	for _, name := range u.Clear {
		o.Clearances = append(o.Clearances, cases.Clearance{Authority: canon.Name(name)})
	}
	for _, text := range u.Balances {
		wallet, amount, ok := strings.Cut(text, " ")
		if !ok {
			return fmt.Errorf("balance: expected a wallet and an amount as in \"btc-hot 10 BTC\", found %q", text)
		}
		o.Balances = append(o.Balances, cases.Holding{Wallet: canon.Name(wallet), Amount: amount})
	}
	for _, name := range u.Groups {
		if err := canon.Name(name).Check(); err != nil {
			return fmt.Errorf("group: %w", err)
		}
		o.Groups = append(o.Groups, canon.Name(name))
	}
	return nil
}

// factsOf returns the facts that an intent rests on, verified under the charter in force; without an intent, or where its statements do not verify, the
// request alone.
func (s *Session) factsOf(i *canon.Intent, r *canon.Request) policy.Facts {
	if i == nil {
		return policy.FactsOf(r)
	}
	f, err := fact.OfIntent(s.Charter, i, r)
	if err != nil {
		s.Note("left out: statements of an intent that do not verify under the charter in force: %s", reasonText(err))
		return policy.FactsOf(r)
	}
	return f
}

// under keeps of facts what counts under a charter that need not be the one in force: its own authorities, price sources and signers.
func under(c *charter.Charter, f policy.Facts) policy.Facts {
	f.Prices = slices.DeleteFunc(slices.Clone(f.Prices), func(p canon.Price) bool {
		source, ok := c.PriceSource(p.Asset, p.Currency)
		return !ok || !slices.Contains(source.Authorities, p.Authority) || p.Value.Int().Cmp(source.Min.Int()) < 0 || p.Value.Int().Cmp(source.Max.Int()) > 0
	})
	f.Attributes = slices.DeleteFunc(slices.Clone(f.Attributes), func(a canon.Attribute) bool { return !states(c, a.Authority, canon.PurposeAttribute) })
	f.Clearances = slices.DeleteFunc(slices.Clone(f.Clearances), func(v canon.Clearance) bool {
		return !states(c, v.Authority, canon.PurposeScreening) && !states(c, v.Authority, canon.PurposeTravelRule)
	})
	f.Balances = slices.DeleteFunc(slices.Clone(f.Balances), func(b canon.Balances) bool {
		signer, ok := c.Signer(b.Signer)
		return !ok || !signer.Ledger
	})
	return f
}

func states(c *charter.Charter, name canon.Name, purpose canon.Purpose) bool {
	a, ok := c.Authority(name)
	return ok && a.Purpose == purpose
}

// MissingView is a statement that nobody made, for want of which a request is denied.
type MissingView struct {
	Purpose   string `json:"purpose"`
	Authority string `json:"authority,omitempty"`
	Attribute string `json:"attribute,omitempty"`
	Asset     string `json:"asset,omitempty"`
	Currency  string `json:"currency,omitempty"`
}

func missingViews(c *charter.Charter, list []policy.Missing) (out []MissingView) {
	for _, m := range list {
		v := MissingView{Purpose: purposeText(m.Purpose), Authority: string(m.Authority), Attribute: string(m.Attribute), Currency: string(m.Currency)}
		if m.Asset != "" {
			v.Asset = symbolOf(c, m.Asset)
		}
		out = append(out, v)
	}
	return out
}

// String says what would have to be stated, and by whom.
func (m MissingView) String() string {
	words := []string{m.Purpose}
	for _, w := range []string{m.Attribute, m.Asset} {
		if w != "" {
			words = append(words, w)
		}
	}
	if m.Currency != "" {
		words = append(words, "in "+m.Currency)
	}
	if m.Authority != "" {
		words = append(words, "by "+m.Authority)
	}
	return strings.Join(words, " ")
}

// MeasureView is an amount in the unit of a limit.
type MeasureView struct {
	// Amount is text with the asset's symbol or the currency; a count is a number alone.
	Amount string `json:"amount"`
	Asset  string `json:"asset,omitempty"`
	// Currency is set of money, whose base units are millionths.
	Currency  string `json:"currency,omitempty"`
	BaseUnits string `json:"base_units"`
}

func measureView(c *charter.Charter, limit canon.Limit, amount canon.Amount) MeasureView {
	switch limit.Unit {
	case canon.UnitMoney:
		return MeasureView{Amount: money.Format(limit.Currency, amount.Int()), Currency: string(limit.Currency), BaseUnits: amount.String()}
	case canon.UnitCount:
		return MeasureView{Amount: amount.String(), BaseUnits: amount.String()}
	}
	v := amountView(c, limit.Asset, amount)
	return MeasureView{Amount: v.Amount, Asset: v.Asset, BaseUnits: v.BaseUnits}
}
