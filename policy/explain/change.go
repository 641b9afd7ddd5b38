package explain

import (
	"math/big"
	"slices"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

// Bounds on the search for changes: how many are named, and how many are tried.
const (
	maxChanges = 6
	maxTries   = 2000
)

// Change is a small change of a request, and what then becomes of it. Fields that stay are empty.
type Change struct {
	Amount  *canon.AssetAmount // at most this, together
	Wallet  canon.Name
	Account canon.Name
	Book    bool              // an address of the client's in the address book
	At      canon.Time        // asked then, when a rule's hours are open
	Cleared []canon.Name      // by these authorities
	Said    []canon.Attribute // about the client; of a named authority, or as the charter says
	Action  canon.Action
	Rule    canon.Name

	fitted bool // the amount is what limits leave
}

// pass looks for changes of one field, then of two, after which a denied request passes, and one that needs approvals passes without. Each is held
// against Judge before it is named.
func pass(q Question, now Answer) []Change {
	s := &search{q: q, now: now}
	if now.Action == canon.ActionAllow {
		return nil
	}
	if q.Known != nil && now.Action == canon.ActionDeny {
		open := q
		open.Known = nil
		s.try(open, Change{Book: true})
	}
	s.statements()
	for _, t := range s.times() {
		s.with(Change{At: t})
	}
	amounts, wallets, accounts := s.amounts(), s.wallets(), s.accounts()
	for _, a := range amounts {
		s.with(Change{Amount: &a})
	}
	for _, w := range wallets {
		s.with(Change{Wallet: w})
	}
	for _, n := range accounts {
		s.with(Change{Account: n})
	}
	if len(s.found) > 0 {
		return s.found
	}
	for _, w := range wallets {
		for _, n := range accounts {
			s.with(Change{Wallet: w, Account: n})
		}
		for _, a := range amounts {
			s.with(Change{Wallet: w, Amount: &a})
		}
	}
	for _, n := range accounts {
		for _, a := range amounts {
			s.with(Change{Account: n, Amount: &a})
		}
	}
	return s.found
}

type search struct {
	q     Question
	now   Answer
	tries int
	found []Change
}

// with tries the request with the change.
func (s *search) with(change Change) {
	r := *s.q.Request
	if change.Wallet != "" {
		r.Wallet = change.Wallet
	}
	if change.Account != "" {
		r.Account = change.Account
	}
	if change.Amount != nil {
		first := slices.IndexFunc(r.Outputs, func(o canon.Output) bool { return o.Asset == change.Amount.Asset })
		o := r.Outputs[first]
		o.Amount = change.Amount.Amount
		r.Outputs = slices.DeleteFunc(slices.Clone(r.Outputs), func(o canon.Output) bool { return o.Asset == change.Amount.Asset })
		r.Outputs = append(r.Outputs, o)
	}
	q := s.q
	if change.At != 0 {
		if r.NotAfter != 0 {
			r.NotAfter += change.At - r.NotBefore
		}
		r.NotBefore, q.At = change.At, change.At
	}
	q.Request = &r
	a := s.try(q, change)
	if change.Amount == nil || change.fitted {
		return
	}
	for _, n := range s.fitting(a, *change.Amount) {
		change.Amount, change.fitted = &canon.AssetAmount{Asset: change.Amount.Asset, Amount: n}, true
		s.with(change)
	}
}

// fitting returns the amount less what is too much for the limits that count it, if that leaves anything.
func (s *search) fitting(a Answer, amount canon.AssetAmount) []canon.Amount {
	over := new(big.Int)
	for _, d := range a.Draws {
		if d.Fits {
			continue
		}
		n := new(big.Int).Sub(d.Amount.Int(), d.Left()) // the charge has the fee cap in it, where the coin is paid
		switch {
		case d.Limit.Unit == canon.UnitAsset && d.Limit.Asset == amount.Asset:
		case d.Limit.Unit == canon.UnitMoney:
			n = s.bought(n, amount.Asset, d.Limit.Currency, true)
		default:
			continue
		}
		if n != nil && n.Cmp(over) > 0 {
			over = n
		}
	}
	if over.Sign() == 0 || over.Cmp(amount.Amount.Int()) >= 0 {
		return nil
	}
	return []canon.Amount{over.Sub(amount.Amount.Int(), over).Bytes()}
}

// try keeps the change if what becomes of it is better.
func (s *search) try(q Question, change Change) Answer {
	if s.tries++; s.tries > maxTries || len(s.found) >= maxChanges {
		return Answer{}
	}
	a := Judge(q)
	if a.Action == canon.ActionAllow || a.Action == canon.ActionApprove && s.now.Action == canon.ActionDeny {
		change.Action, change.Rule = a.Action, a.Rule.Name
		if !slices.ContainsFunc(s.found, func(c Change) bool { return c.better(change) }) {
			s.found = append(s.found, change)
		}
	}
	return a
}

// better reports whether c leads as far as d with a larger amount and no other change.
func (c Change) better(d Change) bool {
	return c.Amount != nil && d.Amount != nil && c.Action == d.Action && c.At == d.At && c.Wallet == d.Wallet && c.Account == d.Account && c.Amount.Asset == d.Amount.Asset &&
		c.Amount.Amount.Int().Cmp(d.Amount.Amount.Int()) >= 0
}

// amounts returns smaller sums of the assets that the request pays that may pass, largest first: what rules match, and what limits leave.
func (s *search) amounts() []canon.AssetAmount {
	var out []canon.AssetAmount
	sums := map[canon.AssetID]*big.Int{}
	var order []canon.AssetID
	for _, o := range s.q.Request.Outputs {
		if sums[o.Asset] == nil {
			sums[o.Asset], order = new(big.Int), append(order, o.Asset)
		}
		sums[o.Asset].Add(sums[o.Asset], o.Amount.Int())
	}
	for _, id := range order {
		smaller := func(n *big.Int) {
			if n.Sign() > 0 && n.Cmp(sums[id]) < 0 && n.BitLen() <= 256 {
				out = append(out, canon.AssetAmount{Asset: id, Amount: canon.Amount(n.Bytes())})
			}
		}
		for _, rule := range s.q.Charter.Genesis().Rules {
			for _, a := range rule.Amounts {
				if a.Asset == id {
					smaller(a.Amount.Int())
				}
			}
			if v := rule.Value; v != nil && len(v.Max) > 0 {
				if n := s.bought(v.Max.Int(), id, v.Currency, false); n != nil {
					smaller(n)
				}
			}
		}
		if sums[id].BitLen() <= 256 {
			for _, n := range s.fitting(s.now, canon.AssetAmount{Asset: id, Amount: sums[id].Bytes()}) {
				smaller(n.Int())
			}
		}
	}
	slices.SortStableFunc(out, func(a, b canon.AssetAmount) int { return b.Amount.Int().Cmp(a.Amount.Int()) })
	return slices.CompactFunc(out, func(a, b canon.AssetAmount) bool {
		return a.Asset == b.Asset && a.Amount.Int().Cmp(b.Amount.Int()) == 0
	})
}

// wallets returns other wallets on the request's chain that some rule names.
func (s *search) wallets() (out []canon.Name) {
	g := s.q.Charter.Genesis()
	for _, w := range g.Wallets {
		names := func(r canon.Rule) bool { return charter.Covers(r.Wallets, w.Name) }
		if w.Chain == s.q.Request.Chain && w.Name != s.q.Request.Wallet && slices.ContainsFunc(g.Rules, names) {
			out = append(out, w.Name)
		}
	}
	return out
}

// accounts returns the client's other accounts.
func (s *search) accounts() (out []canon.Name) {
	for _, a := range s.q.Charter.Genesis().Accounts {
		if a.Client == s.q.Request.Client && a.Name != s.q.Request.Account {
			out = append(out, a.Name)
		}
	}
	return out
}
