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

// Decide tries the charter's rules in order on a verified request; the first that matches decides, none matching is a denial. Payments
// of one asset are summed, all payments must be of known assets on the request's chain, and contract calls are always denied. The
// explanation of a denial names for every rule that was tried the fields that did not match, and last what denied.
func Decide(c *charter.Charter, r *canon.Request) Verdict {
	if r.Call != nil {
		return denied(nil, refusal.New(charter.RuleContractCall, "call", "payments only", "a contract call"))
	}
	sums, err := sumOutputs(c, r)
	if err != nil {
		return denied(nil, err)
	}
	var why refusal.List
	rules := c.Genesis().Rules
	for i := range rules {
		rule := &rules[i]
		failures := mismatches(c, rule, r, sums)
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

// assetSum is what a request pays of one asset.
type assetSum struct {
	asset canon.Asset
	sum   *big.Int
}

// sumOutputs adds up the payments of each asset, in the order in which assets first appear.
func sumOutputs(c *charter.Charter, r *canon.Request) ([]assetSum, error) {
	var sums []assetSum
	var l refusal.List
	if len(r.Outputs) == 0 {
		l.Add(charter.RuleOutputs, "outputs", "at least one payment", "none")
	}
	at := map[canon.AssetID]int{}
	for i, o := range r.Outputs {
		asset, known := c.Asset(o.Asset)
		if !known || o.Asset.Chain() != r.Chain {
			l.Add(charter.RuleOutputs, fmt.Sprintf("outputs[%d].asset", i), "an asset of the charter on "+string(r.Chain), string(o.Asset))
			continue
		}
		j, seen := at[o.Asset]
		if !seen {
			j = len(sums)
			at[o.Asset] = j
			sums = append(sums, assetSum{asset: asset, sum: new(big.Int)})
		}
		sums[j].sum.Add(sums[j].sum, o.Amount.Int())
	}
	return sums, l.Err()
}

// mismatches returns the fields of the request that keep the rule from matching; none means that it matches.
func mismatches(c *charter.Charter, rule *canon.Rule, r *canon.Request, sums []assetSum) []refusal.Failure {
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
	if len(sums) == 0 {
		add("outputs", "at least one payment", "none")
	}
	for _, s := range sums {
		most, listed := amountOf(rule.Amounts, s.asset.ID)
		if !listed {
			add("asset", oneOf(assetsOf(rule.Amounts)), string(s.asset.ID))
		} else if s.sum.Cmp(most.Int()) > 0 {
			add("amount", "at most "+shown(s.asset, most.Int()), shown(s.asset, s.sum))
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
	names := make([]string, 0, maxListed)
	for _, n := range list[:min(len(list), maxListed)] {
		names = append(names, string(n))
	}
	text := "one of " + strings.Join(names, ", ")
	if more := len(list) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// shown writes an amount for people, in whole units with the asset's symbol.
func shown(asset canon.Asset, n *big.Int) string {
	return wallets.FormatAmount(canon.Amount(n.Bytes()), asset)
}
