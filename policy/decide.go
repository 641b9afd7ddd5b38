package policy

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
)

// Verdict is what the rules say. The zero Verdict is no verdict: Decide always sets Action.
type Verdict struct {
	Action      canon.Action
	Rule        *canon.Rule // the rule that decided, read-only; nil when none matched
	Explanation error       // a *refusal.Refusal when Action is canon.ActionDeny, else nil
}

// Decide tries the charter's rules in order on a verified request; the first that matches decides, none matching is a denial. What is paid of
// one asset is summed, and must be of known assets on the request's chain. A contract call pays the coin that it sends and what the
// arguments say that the charter counts as payments; it matches only rules that name its entry of the charter's calls, and payments only
// rules that name none. The explanation of a denial names what is wrong with a call, then for every rule that was tried the fields that did not
// match, and last what denied.
func Decide(c *charter.Charter, r *canon.Request) Verdict {
	if err := payable(c, r); err != nil {
		return denied(nil, err)
	}
	var why refusal.List
	var call *MatchedCall
	if r.Call != nil {
		var err error
		call, err = CallOf(c, r)
		why.Join(charter.RuleContractCall, "call", err)
	}
	rules := c.Genesis().Rules
	for i := range rules {
		rule := &rules[i]
		failures := mismatches(c, rule, r, call)
		if len(failures) > 0 {
			for _, f := range failures {
				why.Add(f.Rule, f.Field, f.Expected, f.Found)
			}
			continue
		}
		if rule.Action == canon.ActionAllow || rule.Action == canon.ActionApprove {
			return Verdict{Action: rule.Action, Rule: rule}
		}
		why.Add(string(rule.Name), "action", "a rule that allows", "this rule matches and denies")
		return denied(rule, why.Err())
	}
	why.Add(charter.RuleDefaultDeny, "rules", "a rule that matches", fmt.Sprintf("none of %d", len(rules)))
	return denied(nil, why.Err())
}

func denied(rule *canon.Rule, why error) Verdict {
	return Verdict{Action: canon.ActionDeny, Rule: rule, Explanation: why}
}

// payable demands payments of known assets on the request's chain, or a call alone.
func payable(c *charter.Charter, r *canon.Request) error {
	var l refusal.List
	if r.Call != nil && len(r.Outputs) > 0 {
		l.Add(charter.RuleContractCall, "call", "payments or a contract call", "both")
	}
	if r.Call == nil && len(r.Outputs) == 0 {
		l.Add(charter.RuleOutputs, "outputs", "at least one payment", "none")
	}
	for i, o := range r.Outputs {
		if _, known := c.Asset(o.Asset); !known || o.Asset.Chain() != r.Chain {
			l.Add(charter.RuleOutputs, fmt.Sprintf("outputs[%d].asset", i), "an asset of the charter on "+string(r.Chain), string(o.Asset))
		}
	}
	return l.Err()
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

// assetSum is what a request pays of one asset.
type assetSum struct {
	asset canon.AssetID
	sum   *big.Int
}

// sumUp adds up the payments of each asset, in the order in which assets first appear.
func sumUp(paid []canon.AssetAmount) []assetSum {
	var sums []assetSum
	at := map[canon.AssetID]int{}
	for _, p := range paid {
		j, seen := at[p.Asset]
		if !seen {
			j = len(sums)
			at[p.Asset] = j
			sums = append(sums, assetSum{asset: p.Asset, sum: new(big.Int)})
		}
		sums[j].sum.Add(sums[j].sum, p.Amount.Int())
	}
	return sums
}

// mismatches returns the fields of the request that keep the rule from matching; none means that it matches.
func mismatches(c *charter.Charter, rule *canon.Rule, r *canon.Request, call *MatchedCall) []refusal.Failure {
	var out []refusal.Failure
	add := func(field, expected, found string) {
		out = append(out, refusal.Failure{Rule: string(rule.Name), Field: field, Expected: expected, Found: found})
	}
	scope := func(field string, list []canon.Name, found canon.Name) {
		if !charter.Covers(list, found) {
			add(field, oneOf(list), string(found))
		}
	}
	scope("client", rule.Clients, r.Client)
	scope("account", rule.Accounts, r.Account)
	scope("wallet", rule.Wallets, r.Wallet)
	switch {
	case r.Call != nil && len(rule.Calls) == 0:
		add("call", "payments only", "a contract call")
	case r.Call != nil && call == nil:
		add("call", "a contract call, "+oneOf(rule.Calls), "one that the charter does not allow")
	case r.Call != nil && !charter.Covers(rule.Calls, call.Rule.Name):
		add("call", "a contract call, "+oneOf(rule.Calls), string(call.Rule.Name))
	case r.Call == nil && len(rule.Calls) > 0:
		add("call", "a contract call, "+oneOf(rule.Calls), "a payment")
	case r.Call == nil && len(r.Outputs) == 0:
		add("outputs", "at least one payment", "none")
	}
	for _, s := range sumUp(paid(r, call)) {
		most, listed := amountOf(rule.Amounts, s.asset)
		asset, known := c.Asset(s.asset)
		if !listed || !known {
			add("asset", oneOf(assetsOf(rule.Amounts)), string(s.asset))
		} else if s.sum.Cmp(most.Int()) > 0 {
			add("amount", "at most "+shown(asset, most.Int()), shown(asset, s.sum))
		}
	}
	return out
}

func amountOf(list []canon.AssetAmount, id canon.AssetID) (canon.Amount, bool) {
	for _, a := range list {
		if a.Asset == id {
			return a.Amount, true
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

// maxListed is how many names a refusal spells out.
const maxListed = 8

// oneOf says what a list would have accepted.
func oneOf[N ~string](list []N) string {
	if len(list) == 0 {
		return "nothing: the list is empty"
	}
	names := make([]string, len(list))
	for i, n := range list {
		names[i] = string(n)
	}
	return "one of " + listed(names)
}

func listed(names []string) string {
	shown := names[:min(len(names), maxListed)]
	text := strings.Join(shown, ", ")
	if more := len(names) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// shown writes an amount for people, in whole units with the asset's symbol.
func shown(asset canon.Asset, n *big.Int) string {
	return wallets.FormatAmount(canon.Amount(n.Bytes()), asset)
}
