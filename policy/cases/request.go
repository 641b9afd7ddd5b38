package cases

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/explain"
	"github.com/strongroom/strongroom/policy/source"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// maker makes questions of cases, and collects what is wrong with them.
type maker struct {
	*File
	c      *charter.Charter
	assets map[string][]canon.Asset
	errs   []error
}

func (m *maker) note(err error, format string, args ...any) bool {
	if err != nil {
		m.errs = append(m.errs, m.at(fmt.Sprintf(format, args...), err))
	}
	return err == nil
}

func newMaker(f *File, c *charter.Charter) *maker {
	m := &maker{File: f, c: c, assets: map[string][]canon.Asset{}}
	for _, a := range c.Genesis().Assets {
		m.assets[string(a.Symbol)] = append(m.assets[string(a.Symbol)], a)
		m.assets[string(a.ID)] = append(m.assets[string(a.ID)], a)
	}
	m.entries()
	return m
}

// Order is a request that somebody may make, as people write it.
type Order struct {
	Client, Account, Wallet canon.Name
	Pays                    []Payment
	Call                    *Call  // instead of payments
	FeeCap                  string // empty: as much as the rule allows
}

// Ask makes a question of an order that is made at a second. The error names every field that the charter cannot make sense of.
func Ask(c *charter.Charter, o Order, at canon.Time) (explain.Question, error) {
	m := newMaker(&File{where: source.New(nil)}, c)
	if (len(o.Pays) > 0) == (o.Call != nil) {
		return explain.Question{}, errors.New("request: expected payments or a call, found both or none")
	}
	q := m.question("request", caseText{Client: o.Client, Account: o.Account, Wallet: o.Wallet, Pays: o.Pays, Call: o.Call, FeeCap: o.FeeCap, At: at.At()})
	return q, errors.Join(m.errs...)
}

// Question makes a question of the case, as Run does.
func (f *File) Question(c *charter.Charter, k Case) (explain.Question, error) {
	m := newMaker(f, c)
	q := m.question(fmt.Sprintf("cases[%d]", k.index), k.text)
	return q, errors.Join(m.errs...)
}

// question looks up in the charter what a case names.
func (m *maker) question(field string, t caseText) explain.Question {
	g := m.c.Genesis()
	at := g.NotBefore + (g.NotAfter-g.NotBefore)/2
	if !t.At.IsZero() {
		at = canon.TimeOf(t.At)
	}
	r := &canon.Request{Organisation: m.c.Organisation(), Client: t.Client, Account: t.Account, Wallet: t.Wallet, RequestID: "case", NotBefore: at,
		FeeCap: canon.Amount(slices.Repeat([]byte{0xff}, 32))}
	client, ok := m.c.Client(t.Client)
	m.known(ok, field+".client", "client", t.Client)
	if len(client.Keys) > 0 {
		r.Requester = client.Keys[0]
	}
	_, ok = m.c.Account(t.Account)
	m.known(ok, field+".account", "account", t.Account)
	wallet, ok := m.c.Wallet(t.Wallet)
	q := explain.Question{Charter: m.c, Request: r, At: at, Known: m.payees(t)}
	if !m.known(ok, field+".wallet", "wallet", t.Wallet) {
		return q
	}
	r.Chain = wallet.Chain
	chain, _ := m.c.Chain(wallet.Chain)
	pays := t.Pays
	if t.To != "" || t.Amount != "" {
		pays = []Payment{{t.To, t.Amount}}
	}
	for j, p := range pays {
		at := fmt.Sprintf("%s.pays[%d]", field, j)
		if len(t.Pays) == 0 {
			at = field
		}
		r.Outputs = append(r.Outputs, m.output(chain, p, at))
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
	for j, s := range t.Spends {
		q.Spends = append(q.Spends, m.spend(at, j, s, fmt.Sprintf("%s.spends[%d]", field, j)))
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
	for name, list := range map[string][]canon.Name{"approved_by": t.Approved, "rejected_by": t.Rejected} {
		for j, n := range list {
			_, officer := m.c.Officer(n)
			_, client := m.c.Client(n)
			m.known(officer || client, fmt.Sprintf("%s.%s[%d]", field, name, j), "officer or client", n)
		}
	}
}

func (m *maker) output(chain canon.Chain, p Payment, field string) canon.Output {
	address, err := wallets.ParseAddress(chain, p.To)
	m.note(err, "%s.to", field)
	a, err := m.amount(p.Amount, chain.ID)
	m.note(err, "%s.amount", field)
	return canon.Output{Address: address, Asset: a.Asset, Amount: a.Amount}
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

// call makes a call by an entry of the charter, or by contract and signature: also one that no charter lets through.
func (m *maker) call(chain canon.Chain, t Call, field string) *canon.Call {
	out := &canon.Call{}
	signature := t.Signature
	var rules []canon.ArgumentRule
	if t.Name != "" {
		entry, ok := m.c.Call(t.Name)
		if !m.known(ok, field+".name", "contract call", t.Name) {
			return out
		}
		if t.Contract != "" || t.Signature != "" {
			m.note(errors.New("expected a name, or contract and signature, found both"), "%s", field)
		}
		out.To, signature, rules = entry.Contract, entry.Signature, entry.Arguments
	} else {
		address, err := wallets.ParseAddress(chain, t.Contract)
		m.note(err, "%s.contract", field)
		out.To = address
	}
	f, err := ethereum.ParseSignature(signature)
	if !m.note(err, "%s.signature", field) {
		return out
	}
	if len(t.Arguments) != len(f.Types) {
		m.note(fmt.Errorf("expected %d, one for each of %s, found %d", len(f.Types), f, len(t.Arguments)), "%s.arguments", field)
		return out
	}
	call := &ethereum.ContractCall{Selector: f.Selector}
	for i, text := range t.Arguments {
		w, err := m.word(chain, f.Types[i], rules, i, text)
		m.note(err, "%s.arguments[%d]", field, i)
		call.Words = append(call.Words, w)
	}
	out.Data = call.Data()
	if t.Value != "" {
		a, err := m.amount(t.Value, chain.ID)
		if coin, _ := m.c.NativeAsset(chain.ID); err == nil && a.Asset != coin.ID {
			err = fmt.Errorf("expected an amount of %s, found %q", coin.Symbol, t.Value)
		}
		m.note(err, "%s.value", field)
		out.Value = a.Amount
	}
	return out
}

// word reads an argument; a number that the charter counts as an asset may be an amount of it.
func (m *maker) word(chain canon.Chain, kind ethereum.Type, rules []canon.ArgumentRule, i int, text string) ([32]byte, error) {
	if !kind.IsNumber() || !strings.Contains(text, " ") {
		return kind.ParseWord(text, chain)
	}
	var w [32]byte
	a, err := m.amount(text, chain.ID)
	if err != nil {
		return w, err
	}
	if i < len(rules) && len(rules[i].Pays) == 1 && rules[i].Pays[0] != a.Asset {
		return w, fmt.Errorf("expected an amount of %s, found %q", rules[i].Pays[0], text)
	}
	a.Amount.Int().FillBytes(w[:])
	return w, kind.Check(w)
}

// spend makes an earlier reservation, each of another withdrawal.
func (m *maker) spend(now canon.Time, i int, t spendText, field string) policy.Spend {
	limit, ok := m.c.Limit(t.Limit)
	if !m.known(ok, field+".limit", "limit", t.Limit) {
		return policy.Spend{}
	}
	a, err := m.amount(t.Amount, limit.Asset.Chain())
	if err == nil && a.Asset != limit.Asset {
		err = fmt.Errorf("expected an amount of %s, that of limit %s, found %q", limit.Asset, limit.Name, t.Amount)
	}
	m.note(err, "%s.amount", field)
	ago, err := duration(t.Ago)
	if err == nil && canon.Time(ago) > now {
		err = fmt.Errorf("expected a time after 1970, found %s before %s", t.Ago, now.At())
	}
	m.note(err, "%s.ago", field)
	signing, err := uint64(0), error(nil)
	if t.Signing != "" {
		signing, err = duration(t.Signing)
	}
	m.note(err, "%s.signing", field)
	stamp := now - canon.Time(min(ago, uint64(now)))
	at := policy.IntervalOf(m.c, canon.Digest{0: 1, 30: byte(i >> 8), 31: byte(i)}, stamp, stamp+canon.Time(signing))
	return policy.Spend{Limit: t.Limit, Amount: a.Amount.Int(), From: at.From, To: at.To, Withdrawal: at.Withdrawal}
}

// maxDuration is more than any window, so that no sum of times overflows.
const maxDuration = 100 * 366 * 24 * time.Hour

func duration(text string) (uint64, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d%time.Second != 0 || d > maxDuration {
		return 0, fmt.Errorf("expected whole seconds with a unit as in \"72h\", found %.80q", text)
	}
	return uint64(d / time.Second), nil
}

// payees answers from the file's book; without one nobody asks.
func (m *maker) payees(t caseText) func([]byte) bool {
	if len(m.book) == 0 {
		return nil
	}
	wallet, _ := m.c.Wallet(t.Wallet)
	chain, _ := m.c.Chain(wallet.Chain)
	return func(address []byte) bool {
		return slices.ContainsFunc(m.book, func(e entryText) bool {
			a, err := wallets.ParseAddress(chain, e.Address)
			return err == nil && slices.Equal(a, address) && e.Client == t.Client && (e.Account == "" || e.Account == canon.Any || e.Account == t.Account)
		})
	}
}

// entries demands addresses that some chain of the charter has, and clients and accounts that the charter names.
func (m *maker) entries() {
	for i, e := range m.book {
		field := fmt.Sprintf("book[%d]", i)
		reads := func(c canon.Chain) bool { _, err := wallets.ParseAddress(c, e.Address); return err == nil }
		if !slices.ContainsFunc(m.c.Genesis().Chains, reads) {
			m.note(fmt.Errorf("expected an address of one of the charter's chains, found %.100q", e.Address), "%s.address", field)
		}
		_, ok := m.c.Client(e.Client)
		m.known(ok, field+".client", "client", e.Client)
		if e.Account != "" && e.Account != canon.Any {
			_, ok := m.c.Account(e.Account)
			m.known(ok, field+".account", "account", e.Account)
		}
	}
}

// units shows an amount as people write it.
func (m *maker) units(id canon.AssetID, n *big.Int) string {
	asset, _ := m.c.Asset(id)
	return wallets.FormatAmount(canon.Amount(n.Bytes()), asset)
}
