package cases

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/explain"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
)

// facts adds to the question what others state, as if each of them had signed it just now.
func (m *maker) facts(q *explain.Question, t caseText, field string) {
	m.prices(q, t.Prices, field)
	for j, a := range t.Attributes {
		at := fmt.Sprintf("%s.attributes[%d]", field, j)
		m.note(a.Name.Check(), "%s.name", at)
		a.Authority = m.authority(a.Authority, at+".authority", canon.PurposeAttribute)
		q.Attributes = append(q.Attributes, canon.Attribute{Organisation: q.Request.Organisation, Authority: a.Authority, Client: t.Client, Name: a.Name, Value: a.Value, At: q.At, NotAfter: q.At})
	}
	for j, a := range t.Clearances {
		at := fmt.Sprintf("%s.clearances[%d].authority", field, j)
		name := m.authority(a.Authority, at, canon.PurposeScreening, canon.PurposeTravelRule)
		q.Clearances = append(q.Clearances, canon.Clearance{Organisation: q.Request.Organisation, Authority: name, Cleared: !a.Refused, At: q.At, NotAfter: q.At, Reason: a.Reason})
	}
	q.Balances = m.balances(q, t.Balances, field)
	q.Destinations = m.destinations(q.Request, t)
	if c := t.Circumstances; c != nil {
		q.Circumstances = &policy.Circumstances{ClientIP: c.ClientIP, KnownIP: c.KnownIP, Requests: c.Requests, NewDestination: c.NewDestination}
	}
}

// authority looks up who states something; without a name it is the only one that may.
func (m *maker) authority(name canon.Name, field string, purposes ...canon.Purpose) canon.Name {
	var may []canon.Name
	for _, a := range m.c.Genesis().Authorities {
		if slices.Contains(purposes, a.Purpose) && (name == "" || name == a.Name) {
			may = append(may, a.Name)
		}
	}
	if len(may) != 1 {
		m.note(fmt.Errorf("expected the name of an authority of the charter for such statements, found %.80q for %d of them", name, len(may)), "%s", field)
		return name
	}
	return may[0]
}

// prices states those of the case, and of the file where the case says nothing of that asset and currency.
func (m *maker) prices(q *explain.Question, of []string, field string) {
	for i, list := range [][]string{of, m.File.prices} {
		own := len(q.Prices)
		for j, text := range list {
			p, err := m.price(text)
			at := fmt.Sprintf("%s.prices[%d]", field, j)
			if i > 0 {
				at = fmt.Sprintf("prices[%d]", j)
			}
			if !m.note(err, "%s", at) {
				continue
			}
			p.Organisation, p.At = q.Request.Organisation, q.At
			if i == 0 || !slices.ContainsFunc(q.Prices[:own], func(o canon.Price) bool { return o.Asset == p.Asset && o.Currency == p.Currency }) {
				q.Prices = append(q.Prices, p)
			}
		}
	}
}

// price reads "BTC 60000 USD": what one unit of an asset is worth.
func (m *maker) price(text string) (canon.Price, error) {
	words := strings.Split(text, " ")
	if len(words) != 3 {
		return canon.Price{}, fmt.Errorf("expected an asset, what one of it is worth, and a currency as in \"BTC 60000 USD\", found %.80q", text)
	}
	assets := m.assets[words[0]]
	currency := canon.Currency(words[2])
	if err := currency.Check(); err != nil {
		return canon.Price{}, err
	}
	if len(assets) != 1 {
		return canon.Price{}, fmt.Errorf("expected one asset of the charter, found %.80q for %d", words[0], len(assets))
	}
	source, ok := m.c.PriceSource(assets[0].ID, currency)
	if !ok || len(source.Authorities) == 0 {
		return canon.Price{}, fmt.Errorf("expected an asset and a currency of the charter's prices, found %.80q in %s", words[0], currency)
	}
	value, err := wallets.ParseAmount(words[1], canon.Asset{ID: assets[0].ID, Decimals: priceDecimals})
	if err == nil && (value.Int().Cmp(source.Min.Int()) < 0 || value.Int().Cmp(source.Max.Int()) > 0) {
		err = fmt.Errorf("expected a price within the bounds of the charter, found %.80q", text)
	}
	return canon.Price{Authority: source.Authorities[0], Asset: assets[0].ID, Currency: currency, Value: value}, err
}

// Decimals of prices and of amounts of money, as in canon.Price and canon.ValueRange.
const (
	priceDecimals = 12
	moneyDecimals = 6
)

// balances lets just enough signers state the same.
func (m *maker) balances(q *explain.Question, list []Holding, field string) []canon.Balances {
	if len(list) == 0 {
		return nil
	}
	on := map[canon.ChainID][]canon.Holding{}
	for j, h := range list {
		at := fmt.Sprintf("%s.balances[%d]", field, j)
		wallet, ok := m.c.Wallet(h.Wallet)
		if !m.known(ok, at+".wallet", "wallet", h.Wallet) {
			continue
		}
		a, err := m.amount(h.Amount, wallet.Chain)
		if err == nil && slices.ContainsFunc(on[wallet.Chain], func(o canon.Holding) bool { return o.Wallet == h.Wallet && o.Asset == a.Asset }) {
			err = errors.New("expected each wallet and asset once, found it twice")
		}
		m.note(err, "%s.amount", at)
		on[wallet.Chain] = append(on[wallet.Chain], canon.Holding{Wallet: h.Wallet, Asset: a.Asset, Amount: a.Amount})
	}
	g := m.c.Genesis()
	var out []canon.Balances
	left := g.Roster.Faults + 1
	for _, s := range g.Signers {
		if !s.Ledger || left == 0 {
			continue
		}
		left--
		for _, chain := range g.Chains {
			holdings := slices.SortedFunc(slices.Values(on[chain.ID]), func(a, b canon.Holding) int {
				return cmp.Or(strings.Compare(string(a.Wallet), string(b.Wallet)), strings.Compare(string(a.Asset), string(b.Asset)))
			})
			out = append(out, canon.Balances{Organisation: q.Request.Organisation, Signer: s.Name, Chain: chain.ID, At: q.At, Holdings: holdings})
		}
	}
	return out
}

// destinations are the groups of the file's book in which each payee is.
func (m *maker) destinations(r *canon.Request, t caseText) []canon.Destination {
	out, any := make([]canon.Destination, len(r.Outputs)), false
	for i, o := range r.Outputs {
		if o.Own != nil {
			continue
		}
		for _, e := range m.entriesOf(t, o.Address) {
			out[i].Groups = append(out[i].Groups, e.Groups...)
		}
		slices.Sort(out[i].Groups)
		out[i].Groups = slices.Compact(out[i].Groups)
		any = any || len(out[i].Groups) > 0
	}
	if !any {
		return nil
	}
	return out
}
