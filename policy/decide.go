package policy

import (
	"cmp"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/strongroom/strongroom/policy/allocation"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
)

// Verdict is what the rules say. The zero Verdict is no verdict: Decide always sets Action.
type Verdict struct {
	Action      canon.Action
	Rule        *canon.Rule // the rule that decided, or at which the rules stopped, read-only; nil when none matched
	Explanation error       // when Action is canon.ActionDeny, else nil; refusal.Of returns its refusal
	Missing     []Missing   // statements for want of which it is a denial; with them it may still be one
}

// Decide tries the charter's rules in order on a verified request; the first that matches decides, none matching is a denial. What is paid of
// one asset is summed, and must be of known assets on the request's chain. A contract call pays the coin that it sends and what the
// arguments say that the charter counts as payments; it matches only rules that name its entry of the charter's calls, and payments only
// rules that name none.
//
// Where all that keeps a rule from matching may be a statement that is missing, or an expression that fails, the rules stop there: it is a denial, and
// no later rule is asked. What a rule lets through must besides be cleared by the authorities that it names, must be priced where its limits count
// money, and must keep to the charter's allocation.
//
// The explanation of a denial names what is wrong with a call, then for every rule that was tried the fields that did not match, and last what denied. It
// is put into words when it is first read; until then the facts must not be changed.
func Decide(c *charter.Charter, f Facts) Verdict {
	if err := payable(c, f); err != nil {
		return denied(nil, err)
	}
	return newSubject(c, f).decide(c.Genesis().Rules)
}

func (s *subject) decide(rules []canon.Rule) Verdict {
	for i := range rules {
		switch s.judge(&rules[i]) {
		case yes:
			return s.matched(rules, i)
		case unknown:
			return s.stopped(rules, i)
		}
	}
	return denied(nil, explained(func() refusal.List {
		why := s.tried(rules)
		why.Add(charter.RuleDefaultDeny, "rules", "a rule that matches", fmt.Sprintf("none of %d", len(rules)))
		return why
	}))
}

func denied(rule *canon.Rule, why error) Verdict {
	return Verdict{Action: canon.ActionDeny, Rule: rule, Explanation: why}
}

// tried says why none of the rules matches.
func (s *subject) tried(rules []canon.Rule) refusal.List {
	var why refusal.List
	why.Join(charter.RuleContractCall, "call", s.callErr)
	for i := range rules {
		addAll(&why, s.mismatches(&rules[i]))
	}
	return why
}

func addAll(l *refusal.List, failures []refusal.Failure) {
	for _, f := range failures {
		l.AddUntil(f.Until, f.Rule, f.Field, f.Expected, f.Found)
	}
}

// stopped denies at rule n, of which nobody can tell whether it matches.
func (s *subject) stopped(rules []canon.Rule, n int) Verdict {
	rule := &rules[n]
	v := denied(rule, explained(func() refusal.List {
		why := s.tried(rules[:n])
		addAll(&why, s.mismatches(rule))
		return why
	}))
	v.Missing = inOrder(s.missing(rule))
	return v
}

// matched is the verdict where rule n is the first that matches.
func (s *subject) matched(rules []canon.Rule, n int) Verdict {
	rule := &rules[n]
	if rule.Action != canon.ActionAllow && rule.Action != canon.ActionApprove {
		return denied(rule, explained(func() refusal.List {
			why := s.tried(rules[:n])
			why.Add(string(rule.Name), "action", "a rule that allows", "this rule matches and denies")
			return why
		}))
	}
	var why refusal.List
	var missing []Missing
	final := s.cleared(rule, &why, &missing)
	s.priced(rule, &why, &missing)
	final = s.allocated(&why, &missing) || final
	if err := why.Err(); err != nil {
		v := denied(rule, err)
		if !final {
			v.Missing = inOrder(missing)
		}
		return v
	}
	return Verdict{Action: rule.Action, Rule: rule}
}

// cleared asks whether every authority that the rule names has cleared the request. Of several decisions of one authority the latest counts, and of
// two of one second the one that refuses. It returns whether one refused, which no statement mends.
func (s *subject) cleared(rule *canon.Rule, why *refusal.List, missing *[]Missing) (refused bool) {
	for _, name := range rule.Clearances {
		var last *canon.Clearance
		for i := range s.f.Clearances {
			v := &s.f.Clearances[i]
			if v.Authority == name && (last == nil || v.At > last.At || v.At == last.At && worse(v, last)) {
				last = v
			}
		}
		switch {
		case last == nil:
			why.Add(string(rule.Name), "clearances."+string(name), "a clearance of authority "+string(name), "none")
			purpose := canon.PurposeScreening
			if a, ok := s.c.Authority(name); ok {
				purpose = a.Purpose
			}
			*missing = append(*missing, Missing{Purpose: purpose, Authority: name})
		case !last.Cleared:
			why.Add(string(rule.Name), "clearances."+string(name), "a clearance of authority "+string(name), refusalText(last))
			refused = true
		}
	}
	return refused
}

// worse orders decisions of one second: what refuses comes before what clears, then by reason, so that their order does not matter.
func worse(a, b *canon.Clearance) bool {
	if a.Cleared != b.Cleared {
		return !a.Cleared
	}
	return a.Reason < b.Reason
}

func refusalText(v *canon.Clearance) string {
	if v.Reason == "" {
		return "its refusal, without a reason"
	}
	return "its refusal: " + wallets.EscapeText(string(v.Reason))
}

// priced demands prices of all that the rule's limits count in money, so that whoever asks learns of all that is missing at once.
func (s *subject) priced(rule *canon.Rule, why *refusal.List, missing *[]Missing) {
	counts := func(n canon.Name) bool { l, ok := s.c.Limit(n); return ok && l.Unit == canon.UnitMoney }
	if !slices.ContainsFunc(rule.Limits, counts) {
		return
	}
	_, absent := s.charges(rule, feeCapOf(s.c, rule, s.r))
	for _, m := range absent {
		if !slices.Contains(*missing, m) {
			why.Add(string(rule.Name), "limits", "a price of "+string(m.Asset)+" in "+string(m.Currency), "none")
			*missing = append(*missing, m)
		}
	}
}

// feeCapOf returns the most that an intent under the rule may pay as fee.
func feeCapOf(c *charter.Charter, rule *canon.Rule, r *canon.Request) canon.Amount {
	coin, _ := c.NativeAsset(r.Chain)
	most, listed := amountOf(rule.FeeCaps, coin.ID)
	if listed && !more(r.FeeCap, most) {
		return r.FeeCap
	}
	return most // none where the rule lists none
}

// allocated holds the request against the charter's allocation. It returns whether that refuses, which no statement mends.
func (s *subject) allocated(why *refusal.List, missing *[]Missing) (refused bool) {
	if len(s.c.Genesis().Allocation) == 0 {
		return false
	}
	err := allocation.Check(s.c, s.r, s.f.Balances, s.f.Prices)
	var few *allocation.MissingError
	if !errors.As(err, &few) {
		why.Join("allocation", "balances", err)
		return err != nil
	}
	for _, chain := range few.Chains {
		why.Add("allocation", "balances", fmt.Sprintf("statements of %d signers on %s", few.Needed, chain), "fewer")
		*missing = append(*missing, Missing{Purpose: canon.PurposeBalance, Chain: chain, Signers: few.Needed})
	}
	for _, p := range few.Prices {
		why.Add("allocation", "prices", "a price of "+string(p.Asset)+" in "+string(p.Currency), "none")
		*missing = append(*missing, Missing{Purpose: canon.PurposePrice, Asset: p.Asset, Currency: p.Currency})
	}
	return false
}

// inOrder returns a list sorted, each entry once.
func inOrder(list []Missing) []Missing {
	slices.SortFunc(list, func(a, b Missing) int {
		return cmp.Or(cmp.Compare(a.Purpose, b.Purpose), cmp.Compare(a.Authority, b.Authority), cmp.Compare(a.Attribute, b.Attribute),
			cmp.Compare(a.Asset, b.Asset), cmp.Compare(a.Currency, b.Currency), cmp.Compare(a.Chain, b.Chain))
	})
	return slices.Compact(list)
}

// payable demands payments of known assets on the request's chain, or a call alone; facts that fit them; and own wallets that hold the account.
func payable(c *charter.Charter, f Facts) error {
	r := f.Request
	if r == nil {
		return refusal.New(charter.RuleOutputs, "request", "one", "none")
	}
	var l refusal.List
	if r.Call != nil && len(r.Outputs) > 0 {
		l.Add(charter.RuleContractCall, "call", "payments or a contract call", "both")
	}
	if r.Call == nil && len(r.Outputs) == 0 {
		l.Add(charter.RuleOutputs, "outputs", "at least one payment", "none")
	}
	if n := len(f.Destinations); n > 0 && n != len(r.Outputs) {
		l.Add(charter.RuleOutputs, "destinations", fmt.Sprintf("one for each of %d outputs, or none", len(r.Outputs)), fmt.Sprint(n))
	}
	for i, o := range r.Outputs {
		if _, known := c.Asset(o.Asset); !known || o.Asset.Chain() != r.Chain {
			l.Add(charter.RuleOutputs, fmt.Sprintf("outputs[%d].asset", i), "an asset of the charter on "+string(r.Chain), string(o.Asset))
		}
		if o.Own != nil {
			ownWallet(&l, c, r, fmt.Sprintf("outputs[%d].own.wallet", i), o.Own.Wallet)
		}
	}
	return l.Err()
}

// ownWallet demands a wallet on the request's chain that holds its account, and in which house and clients are not together.
func ownWallet(l *refusal.List, c *charter.Charter, r *canon.Request, field string, name canon.Name) {
	w, ok := c.Wallet(name)
	if !ok {
		l.Add(charter.RuleOutputs, field, "a wallet of the charter", string(name))
		return
	}
	if w.Chain != r.Chain {
		l.Add(charter.RuleOutputs, field, "a wallet on "+string(r.Chain), string(name)+" on "+string(w.Chain))
	}
	if _, ok := c.Holder(w, r.Account); !ok {
		l.Add(charter.RuleOutputs, field, "a wallet that holds account "+string(r.Account), string(name))
	}
	house := isHouse(c, r.Account)
	for _, n := range w.Accounts {
		if a, ok := c.Account(n); ok && a.Kind != canon.Pool && isHouse(c, n) != house {
			l.Add(charter.RuleOutputs, field, "a wallet of "+kindText(house)+" alone, as account "+string(r.Account)+" is",
				fmt.Sprintf("%s with account %s of %s", name, n, kindText(!house)))
			return
		}
	}
}

func isHouse(c *charter.Charter, account canon.Name) bool {
	a, _ := c.Account(account)
	client, ok := c.Client(a.Client)
	return ok && client.House
}

func kindText(house bool) string {
	if house {
		return "the house"
	}
	return "clients"
}

// paid returns what a request pays: its outputs, or what an entry counts of its call.
func paid(r *canon.Request, call *MatchedCall) []canon.AssetAmount {
	if call != nil {
		return call.Paid
	}
	out := make([]canon.AssetAmount, len(r.Outputs))
	for i, o := range r.Outputs {
		out[i] = canon.AssetAmount{Asset: o.Asset, Amount: o.Amount}
	}
	return out
}

func amountOf(list []canon.AssetAmount, id canon.AssetID) (canon.Amount, bool) {
	for i := range list {
		if list[i].Asset == id {
			return list[i].Amount, true
		}
	}
	return nil, false
}

func assetsOf(list []canon.AssetAmount) []canon.AssetID {
	ids := make([]canon.AssetID, len(list))
	for i, a := range list {
		ids[i] = a.Asset
	}
	return ids
}

// shown writes an amount for people, in whole units with the asset's symbol.
func shown(asset canon.Asset, n *big.Int) string {
	return wallets.FormatAmount(canon.Amount(n.Bytes()), asset)
}
