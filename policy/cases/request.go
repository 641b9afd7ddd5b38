package cases

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/explain"
	"github.com/strongroom/strongroom/policy/source"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
)

// maker makes questions of cases, and collects what is wrong with them.
type maker struct {
	*File
	c      *charter.Charter
	assets map[string][]canon.Asset
	taken  map[string]taken // by cases that ran
	errs   []error
}

func (m *maker) note(err error, format string, args ...any) bool {
	if err != nil {
		m.errs = append(m.errs, m.at(fmt.Sprintf(format, args...), err))
	}
	return err == nil
}

func newMaker(f *File, c *charter.Charter) *maker {
	m := &maker{File: f, c: c, assets: map[string][]canon.Asset{}, taken: map[string]taken{}}
	for _, a := range c.Genesis().Assets {
		m.assets[string(a.Symbol)] = append(m.assets[string(a.Symbol)], a)
		m.assets[string(a.ID)] = append(m.assets[string(a.ID)], a)
	}
	m.entries()
	return m
}

// Order is a request that somebody may make, as people write it, and what others state about it.
type Order struct {
	Client, Account, Wallet canon.Name
	Pays                    []Payment
	Call                    *Call  // instead of payments
	FeeCap                  string // empty: as much as the rule allows

	Groups     []canon.Name // of the address book, in which all payees are
	Prices     []string     // as in "BTC 60000 USD"
	Attributes []Attribute
	Clearances []Clearance
	Balances   []Holding
	// Circumstances are nil if nobody asks for them.
	Circumstances *policy.Circumstances
}

// Ask makes a question of an order that is made at a second. The error names every field that the charter cannot make sense of.
func Ask(c *charter.Charter, o Order, at canon.Time) (explain.Question, error) {
	m := newMaker(&File{where: source.New(nil)}, c)
	if (len(o.Pays) > 0) == (o.Call != nil) {
		return explain.Question{}, errors.New("request: expected payments or a call, found both or none")
	}
	q := m.question("request", caseText{Client: o.Client, Account: o.Account, Wallet: o.Wallet, Pays: o.Pays, Call: o.Call, FeeCap: o.FeeCap, At: at.At(),
		Prices: o.Prices, Attributes: o.Attributes, Clearances: o.Clearances, Balances: o.Balances})
	q.Circumstances = o.Circumstances
	if len(o.Groups) > 0 {
		q.Destinations = make([]canon.Destination, len(q.Request.Outputs))
		for i, out := range q.Request.Outputs {
			if out.Own == nil {
				q.Destinations[i].Groups = slices.Compact(slices.Sorted(slices.Values(o.Groups)))
			}
		}
	}
	return q, errors.Join(m.errs...)
}

// Question makes a question of the case, as Run does.
func (f *File) Question(c *charter.Charter, k Case) (explain.Question, error) {
	m := newMaker(f, c)
	q := m.ask(k)
	return q, errors.Join(m.errs...)
}

// ask makes the question of a case, with what the cases that it follows took from limits.
func (m *maker) ask(k Case) explain.Question {
	field := fmt.Sprintf("cases[%d]", k.index)
	q := m.question(field, k.text)
	for j, s := range k.text.Follows {
		q.Spends = append(q.Spends, m.follow(q.At, s, fmt.Sprintf("%s.follows[%d]", field, j))...)
	}
	return q
}

// question makes a question of what a case says by itself.
func (m *maker) question(field string, t caseText) explain.Question {
	g := m.c.Genesis()
	at := g.NotBefore + (g.NotAfter-g.NotBefore)/2
	if !t.At.IsZero() {
		at = canon.TimeOf(t.At)
	}
	r := &canon.Request{Organisation: m.c.Organisation(), Client: t.Client, Account: t.Account, Wallet: t.Wallet, RequestID: "case", NotBefore: at,
		FeeCap: canon.Amount(slices.Repeat([]byte{0xff}, 32))}
	q := explain.Question{Charter: m.c, Facts: policy.FactsOf(r), At: at, Known: m.payees(t)}
	client, ok := m.c.Client(t.Client)
	m.known(ok, field+".client", "client", t.Client)
	if len(client.Keys) > 0 {
		r.Requester = client.Keys[0]
	}
	_, ok = m.c.Account(t.Account)
	m.known(ok, field+".account", "account", t.Account)
	wallet, ok := m.c.Wallet(t.Wallet)
	if !m.known(ok, field+".wallet", "wallet", t.Wallet) {
		return q
	}
	r.Chain = wallet.Chain
	chain, _ := m.c.Chain(wallet.Chain)
	for j, p := range t.Pays {
		r.Outputs = append(r.Outputs, m.output(chain, p, fmt.Sprintf("%s.pays[%d]", field, j)))
	}
	if (t.Payment != Payment{}) {
		r.Outputs = append(r.Outputs, m.output(chain, t.Payment, field))
	}
	if t.Call != nil {
		r.Call = m.call(chain, *t.Call, field+".call")
	}
	if t.FeeCap != "" {
		a, err := m.amount(t.FeeCap, chain.ID)
		if coin, _ := m.c.NativeAsset(chain.ID); err == nil && a.Asset != coin.ID {
			err = fmt.Errorf("expected an amount of %s, in which %s takes fees, found %q", coin.Symbol, chain.ID, t.FeeCap)
		}
		m.note(err, "%s.fee_cap", field)
		r.FeeCap = a.Amount
	}
	m.facts(&q, t, field)
	for j, s := range t.Spends {
		q.Spends = append(q.Spends, m.spend(q, j, s, fmt.Sprintf("%s.spends[%d]", field, j)))
	}
	m.people(t, field)
	return q
}

func (m *maker) known(ok bool, field, kind string, name canon.Name) bool {
	if !ok {
		m.errs = append(m.errs, m.at(field, fmt.Errorf("expected a name that the charter gives to a %s, found %q", kind, name)))
	}
	return ok
}

// people demands that approvals are of officers or clients: a misspelt name would count for nobody and go unseen.
func (m *maker) people(t caseText, field string) {
	check := func(list string, names []canon.Name) {
		for j, n := range names {
			_, officer := m.c.Officer(n)
			_, client := m.c.Client(n)
			m.known(officer || client, fmt.Sprintf("%s.%s[%d]", field, list, j), "officer or client", n)
		}
	}
	check("approved_by", officers(t.Approved))
	check("rejected_by", t.Rejected)
}

func (m *maker) output(chain canon.Chain, p Payment, field string) canon.Output {
	out := canon.Output{}
	if p.ToWallet != "" {
		out.Address, out.Own = m.own(chain, p.ToWallet, field+".to_wallet"), &canon.OwnAddress{Wallet: p.ToWallet}
	} else {
		address, err := wallets.ParseAddress(chain, p.To)
		m.note(err, "%s.to", field)
		out.Address = address
	}
	a, err := m.amount(p.Amount, chain.ID)
	m.note(err, "%s.amount", field)
	out.Asset, out.Amount = a.Asset, a.Amount
	return out
}

// own stands for an address of the account's in a wallet: which one only those know who have the wallet's key, and no rule asks.
func (m *maker) own(chain canon.Chain, name canon.Name, field string) []byte {
	wallet, ok := m.c.Wallet(name)
	if !m.known(ok, field, "wallet", name) {
		return nil
	}
	if wallet.Chain != chain.ID {
		m.note(fmt.Errorf("expected a wallet on %s, found %s on %s", chain.ID, name, wallet.Chain), "%s", field)
	}
	hash := sha256.Sum256([]byte(name))
	if chain.Kind == canon.Bitcoin {
		return append([]byte{0, 20}, hash[:20]...)
	}
	return hash[:20]
}

// amount reads "0.5 BTC" or "0.5 bip122:.../slip44:0". A symbol stands for the asset of the chain.
func (m *maker) amount(text string, chain canon.ChainID) (canon.AssetAmount, error) {
	number, symbol, ok := strings.Cut(text, " ")
	found := m.assets[symbol]
	if chain != "" && !strings.Contains(symbol, "/") {
		found = slices.DeleteFunc(slices.Clone(found), func(a canon.Asset) bool { return a.ID.Chain() != chain })
	}
	if !ok || len(found) != 1 {
		return canon.AssetAmount{}, fmt.Errorf("expected a number and one asset of the charter as in \"0.5 BTC\", found %.80q for %d assets", text, len(found))
	}
	amount, err := wallets.ParseAmount(number, found[0])
	return canon.AssetAmount{Asset: found[0].ID, Amount: amount}, err
}
