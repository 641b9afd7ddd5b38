package cases

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/explain"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
)

// spend makes an earlier reservation, each of another withdrawal.
func (m *maker) spend(q explain.Question, i int, t spendText, field string) policy.Spend {
	limit, ok := m.c.Limit(t.Limit)
	if !m.known(ok, field+".limit", "limit", t.Limit) {
		return policy.Spend{}
	}
	amount, err := m.takes(limit, t.Amount)
	m.note(err, "%s.amount", field)
	signing := uint64(0)
	if t.Signing != "" {
		signing, err = duration(t.Signing)
		m.note(err, "%s.signing", field)
	}
	stamp := m.ago(q.At, t.Ago, field)
	at := policy.IntervalOf(m.c, canon.Digest{0: 1, 30: byte(i >> 8), 31: byte(i)}, stamp, stamp+canon.Time(signing))
	return policy.Spend{Limit: t.Limit, Counter: m.counter(limit, q, t, field), Amount: amount, From: at.From, To: at.To, Withdrawal: at.Withdrawal}
}

// takes reads an amount in the limit's unit: of its asset, of money, or a count, which is 1 if nothing is said.
func (m *maker) takes(limit canon.Limit, text string) (*big.Int, error) {
	switch limit.Unit {
	case canon.UnitMoney:
		number, currency, _ := strings.Cut(text, " ")
		if canon.Currency(currency) != limit.Currency {
			return nil, fmt.Errorf("expected an amount of %s, the currency of limit %s, found %.80q", limit.Currency, limit.Name, text)
		}
		a, err := wallets.ParseAmount(number, canon.Asset{Symbol: canon.Text(currency), Decimals: moneyDecimals})
		return a.Int(), err
	case canon.UnitCount:
		if text == "" {
			return big.NewInt(1), nil
		}
		a, err := wallets.ParseAmount(text, canon.Asset{})
		return a.Int(), err
	}
	a, err := m.amount(text, limit.Asset.Chain())
	if err == nil && a.Asset != limit.Asset {
		err = fmt.Errorf("expected an amount of %s, that of limit %s, found %q", limit.Asset, limit.Name, text)
	}
	return a.Amount.Int(), err
}

// ago returns the second that long before now.
func (m *maker) ago(now canon.Time, text, field string) canon.Time {
	ago, err := duration(text)
	if err == nil && canon.Time(ago) > now {
		err = fmt.Errorf("expected a time after 1970, found %s before %s", text, now.At())
	}
	m.note(err, "%s.ago", field)
	return now - canon.Time(min(ago, uint64(now)))
}

// counter writes what counts apart as signers do: what a spend does not say is the request's own.
func (m *maker) counter(limit canon.Limit, q explain.Question, t spendText, field string) string {
	r := *q.Request
	if t.Client != "" {
		_, ok := m.c.Client(t.Client)
		m.known(ok, field+".client", "client", t.Client)
		r.Client = t.Client
	}
	if t.Account != "" {
		_, ok := m.c.Account(t.Account)
		m.known(ok, field+".account", "account", t.Account)
		r.Account = t.Account
	}
	if t.Wallet != "" {
		wallet, ok := m.c.Wallet(t.Wallet)
		m.known(ok, field+".wallet", "wallet", t.Wallet)
		r.Wallet, r.Chain = t.Wallet, wallet.Chain
	}
	var to canon.Output
	switch {
	case len(r.Outputs) > 0:
		to = r.Outputs[0]
	case r.Call != nil:
		to.Address = r.Call.To
	}
	if t.To != "" || t.ToWallet != "" {
		to = m.payee(r.Chain, t, field)
	}
	if t.Asset != "" {
		assets := m.assets[t.Asset]
		if len(assets) != 1 {
			m.note(fmt.Errorf("expected an asset of the charter, found %.80q for %d", t.Asset, len(assets)), "%s.asset", field)
			return ""
		}
		to.Asset = assets[0].ID
	}
	return counterOf(limit, &r, to)
}

// counterOf names the counter of a limit that a payment counts in, as canon.Charge has it.
func counterOf(limit canon.Limit, r *canon.Request, to canon.Output) string {
	destination := hex.EncodeToString(to.Address)
	if to.Own != nil {
		destination = "wallet:" + string(to.Own.Wallet)
	}
	of := map[canon.Dimension]string{canon.PerClient: "client=" + string(r.Client), canon.PerAccount: "account=" + string(r.Account),
		canon.PerWallet: "wallet=" + string(r.Wallet), canon.PerDestination: "destination=" + destination, canon.PerAsset: "asset=" + string(to.Asset)}
	words := make([]string, len(limit.Per))
	for i, d := range limit.Per {
		words[i] = of[d]
	}
	return strings.Join(words, " ")
}

func (m *maker) payee(chain canon.ChainID, t spendText, field string) canon.Output {
	if t.ToWallet != "" {
		_, ok := m.c.Wallet(t.ToWallet)
		m.known(ok, field+".to_wallet", "wallet", t.ToWallet)
		return canon.Output{Own: &canon.OwnAddress{Wallet: t.ToWallet}}
	}
	on, _ := m.c.Chain(chain)
	address, err := wallets.ParseAddress(on, t.To)
	m.note(err, "%s.to", field)
	return canon.Output{Address: address}
}

// taken is what a case took from limits.
type taken []explain.Draw

// follow makes spends of what another case took, if it was let through.
func (m *maker) follow(now canon.Time, t followText, field string) []policy.Spend {
	stamp := m.ago(now, t.Ago, field)
	if _, ran := m.taken[t.Case]; !ran {
		m.taken[t.Case] = nil // also if it makes no sense: it is asked once
		if at := slices.IndexFunc(m.Cases, func(k Case) bool { return k.Name == t.Case }); at >= 0 {
			before := len(m.errs)
			if q := m.ask(m.Cases[at]); len(m.errs) == before {
				m.remember(m.Cases[at], explain.Judge(q))
			}
		}
	}
	var out []policy.Spend
	for _, d := range m.taken[t.Case] {
		at := policy.IntervalOf(m.c, canon.KindRequest.Digest([]byte(t.Case)), stamp, stamp)
		out = append(out, policy.Spend{Limit: d.Limit.Name, Counter: d.Counter, Amount: d.Amount.Int(), From: at.From, To: at.To, Withdrawal: at.Withdrawal})
	}
	return out
}

// remember keeps what the case took for those that follow it.
func (m *maker) remember(k Case, a explain.Answer) {
	m.taken[k.Name] = nil
	if a.Action == canon.ActionAllow || a.Action == canon.ActionApprove {
		m.taken[k.Name] = a.Draws
	}
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

// units shows an amount as people write it.
func (m *maker) units(id canon.AssetID, n *big.Int) string {
	asset, _ := m.c.Asset(id)
	return wallets.FormatAmount(canon.Amount(n.Bytes()), asset)
}
