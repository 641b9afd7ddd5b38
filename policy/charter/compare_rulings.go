package charter

import (
	"bytes"
	"reflect"
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
)

type leafRuling func(c *comparison, p spot, old, new reflect.Value) effect

// leafRulings says of which fields one direction tightens. A field that is not here loosens whatever it becomes: among them the roster's
// numbers and thresholds, on which the signers' promises to each other rest, the clock skew, which errs in both directions, labels,
// decimals, paths, identities and the address book's root.
var leafRulings = map[string]leafRuling{
	"Genesis.NotBefore":     higher,
	"Genesis.NotAfter":      lower,
	"Genesis.RecoveryCount": recoveryCount,
	"OfficerKey.Class":      higher, // of a weaker class: counts in fewer groups
	"Group.Weakest":         lower,
	"Rule.Action":           stricterAction,
	"Rule.Expiry":           unlessDenied(lower),
	"Rule.Signing":          unlessDenied(lower),
	"Rule.Amounts.Amount":   matchesLess,
	"Rule.Above.Amount":     floorLess,
	"Rule.AnyAmount":        anyAmount,
	"Rule.Value":            valueRange,
	"Rule.Tiers":            fewerTiers,
	"Rule.From":             laterBegin,
	"Rule.Before":           earlierEnd,
	"Rule.When":             anotherWhen,
	"Rule.Delay":            unlessDenied(higher),
	"Hold.Deny":             higher,
	"Rule.FeeCaps.Amount":   feeCap,
	"Limit.Amount":          lower,
	"Limit.Window":          higher, // what keeps to the amount in every longer window keeps to it in every shorter one
	"Limit.Exact":           higher,
	"Limit.Tiers":           fewerTiers,
	"Authority.MaxAge":      authorityAge,
	"PriceSource.MaxAge":    lower, // fewer prices count: without one nothing is let through
	"PriceSource.Min":       higher,
	"PriceSource.Max":       lower,
	"Allocation.MaxPermill": lower,
	// What these lead to is proposed, and asked for like any other withdrawal.
	"Allocation.TargetPermill": alwaysLeaf(neutral),
	"Allocation.MinPermill":    alwaysLeaf(neutral),
	"Book.Owned":               higher,
	"Delays.Balances":          balancesAge,
	"Delays.Loosening":         higher,
	"Delays.Unfreeze":          higher,
	"Delays.FreezeLapse":       higher, // a freeze stops for longer
	"Delays.BookCooldown":      higher,
	"Delays.Recovery":          recoveryDelay,
	"CallRule.Payable":         lower,
	"ArgumentRule.Max":         argumentMax,
	"Wallet.Needed":            attestationsNeeded,
}

// listRuling says what it does to add an entry to a list and to remove one.
type listRuling struct {
	added, removed func(c *comparison, q spot) effect
}

// listRulings says which lists may grow or shrink without loosening. Lists that are not here loosen either way.
var listRulings = map[string]listRuling{
	"Genesis.Signers":     {always(looser), signerRemoved},
	"Genesis.Coordinator": shrinks,
	"Genesis.Officers":    shrinks,
	"Genesis.Groups":      shrinks,
	"Genesis.Clients":     shrinks,
	"Genesis.Accounts":    shrinks,
	"Genesis.Chains":      shrinks,
	"Genesis.Assets":      shrinks,
	"Genesis.Keys":        shrinks,
	"Genesis.Wallets":     shrinks,
	"Genesis.Rules":       {ruleAdded, ruleRemoved},
	"Genesis.Limits":      {always(tighter), limitRemoved},
	"Genesis.Allocation":  {always(tighter), allocationRemoved},
	"Genesis.Recovery":    shrinks,
	"Genesis.Lifted":      shrinks, // a freeze that is no longer lifted holds again
	"Genesis.Confirmed":   {always(tighter), confirmationRemoved},
	"Genesis.Builds":      {buildAdded, buildRemoved},
	"Genesis.Calls":       shrinks,
	"Genesis.Prices":      shrinks, // what has no price any more is refused where one is asked for

	"PriceSource.Authorities":   shrinks,
	"Rule.To":                   {targetAdded, targetRemoved},
	"Rule.Above":                {inScope, leavesScope},
	"Rule.Hours":                {inScope, leavesScope},
	"Rule.Attributes":           {leavesScope, inScope}, // all of them must hold
	"AttributeCondition.Values": {inScope, leavesScope},
	"Rule.Clearances":           {unlessDeniedEntry(tighter), unlessDeniedEntry(looser)},
	"Rule.Holds":                {unlessDeniedEntry(tighter), unlessDeniedEntry(looser)},
	"Limit.Accounts":            {inScope, outOfScope},
	"Limit.To":                  {targetAdded, targetRemoved},
	"ArgumentRule.Values":       {always(looser), valueRemoved},
	"Officer.Keys":              shrinks,
	"Officer.Devices":           shrinks,
	"Client.Keys":               shrinks,
	"Client.Devices":            shrinks,
	"Group.Members":             shrinks,
	"Wallet.Accounts":           shrinks,
	"Wallet.Devices":            {always(looser), deviceRemoved},
	"Rule.Clients":              {inScope, outOfScope},
	"Rule.Accounts":             {inScope, outOfScope},
	"Rule.Wallets":              {inScope, outOfScope},
	"Rule.Calls":                {inScope, callOutOfScope},
	"Limit.Clients":             {inScope, outOfScope},
	"Limit.Wallets":             {inScope, outOfScope},
	"Rule.Amounts":              {assetAdded, assetOutOfScope},
	"Rule.FeeCaps":              {unlessDeniedEntry(looser), unlessDeniedEntry(tighter)},
	"Rule.Limits":               {unlessDeniedEntry(tighter), ruleLimitRemoved},
}

// scopes are the lists of names in which Any stands for all.
var scopes = map[string]bool{
	"Rule.Clients": true, "Rule.Accounts": true, "Rule.Wallets": true, "Rule.Calls": true, "Limit.Clients": true, "Limit.Wallets": true,
}

// conditions are the lists that narrow where they have entries.
var conditions = map[string]bool{"Rule.Above": true, "Rule.Hours": true, "Limit.Accounts": true, "Limit.To": true}

var shrinks = listRuling{always(looser), always(tighter)}

func always(e effect) func(*comparison, spot) effect {
	return func(*comparison, spot) effect { return e }
}

// higher rules that only more tightens, lower that only less does.
func higher(_ *comparison, _ spot, old, new reflect.Value) effect { return ordered(old, new) }
func lower(_ *comparison, _ spot, old, new reflect.Value) effect  { return ordered(new, old) }

// ordered says tighter if b is above a.
func ordered(a, b reflect.Value) effect {
	var above bool
	switch a.Kind() {
	case reflect.Uint8, reflect.Uint64:
		above = b.Uint() > a.Uint()
	case reflect.Bool:
		above = b.Bool() && !a.Bool()
	case reflect.Slice: // canon.Amount: big-endian without leading zeros
		above = b.Len() > a.Len() || b.Len() == a.Len() && bytes.Compare(b.Bytes(), a.Bytes()) > 0
	}
	if above {
		return tighter
	}
	return looser
}

func recoveryCount(_ *comparison, _ spot, old, new reflect.Value) effect {
	if new.Uint() == 0 || old.Uint() > 0 && new.Uint() > old.Uint() {
		return tighter // recovery keys have no say, or more of them must sign
	}
	return looser
}

func recoveryDelay(c *comparison, _ spot, old, new reflect.Value) effect {
	if c.new.RecoveryCount == 0 {
		return neutral
	}
	if old.Uint() == 0 {
		return looser
	}
	return ordered(old, new)
}

func signerRemoved(_ *comparison, q spot) effect {
	if q.old.Interface().(canon.Signer).Ledger {
		return looser // n changes, on which the roster's safety rests
	}
	return tighter
}

// Rules. The first that matches decides, so a rule that matches more takes requests from later ones, and one that matches less leaves
// them to later ones.

func oldRule(p spot) canon.Rule { return p.old.Interface().(canon.Rule) }
func newRule(p spot) canon.Rule { return p.new.Interface().(canon.Rule) }

// strictness orders actions.
var strictness = map[canon.Action]int{canon.ActionAllow: 1, canon.ActionApprove: 2, canon.ActionDeny: 3}

func stricterAction(_ *comparison, p spot, _, _ reflect.Value) effect {
	if strictness[newRule(p).Action] > strictness[oldRule(p).Action] {
		return tighter
	}
	return looser
}

// unlessDenied rules on what has no effect in a rule that denies.
func unlessDenied(r leafRuling) leafRuling {
	return func(c *comparison, p spot, old, new reflect.Value) effect {
		if newRule(p).Action == canon.ActionDeny {
			return neutral
		}
		return r(c, p, old, new)
	}
}

func unlessDeniedEntry(e effect) func(*comparison, spot) effect {
	return func(_ *comparison, q spot) effect {
		if newRule(*q.owner).Action == canon.ActionDeny {
			return neutral
		}
		return e
	}
}

func feeCap(c *comparison, p spot, old, new reflect.Value) effect {
	return unlessDenied(lower)(c, *p.owner, old, new)
}

func matchesLess(c *comparison, p spot, old, new reflect.Value) effect {
	if ordered(old, new) == tighter { // the amount is higher
		return c.widened(*p.owner)
	}
	return c.narrowed(*p.owner)
}

func inScope(c *comparison, q spot) effect { return c.widened(*q.owner) }

// outOfScope rules on a name that leaves a scope: nothing happens if it leaves the charter.
func outOfScope(c *comparison, q spot) effect {
	if c.gone(q.old.Interface().(canon.Name)) {
		return neutral
	}
	return c.narrowed(*q.owner)
}

// assetAdded rules on an asset that a rule matches. One that denies calls and lists none denies them whatever they pay.
func assetAdded(c *comparison, q spot) effect {
	if old := oldRule(*q.owner); len(old.Amounts) == 0 && old.Action == canon.ActionDeny {
		return looser
	}
	return c.widened(*q.owner)
}

func assetOutOfScope(c *comparison, q spot) effect {
	if newRule(*q.owner).AnyAmount {
		return neutral
	}
	if _, ok := c.newX.assets[q.old.Interface().(canon.AssetAmount).Asset]; !ok {
		return neutral
	}
	return c.narrowed(*q.owner)
}

// gone reports whether nothing has the name any more that scopes could mean.
func (c *comparison) gone(n canon.Name) bool {
	_, client := c.newX.clients[n]
	_, account := c.newX.accounts[n]
	_, wallet := c.newX.wallets[n]
	return n != canon.Any && !client && !account && !wallet
}

func (c *comparison) allGone(list []canon.Name) bool {
	return !slices.ContainsFunc(list, func(n canon.Name) bool { return !c.gone(n) })
}

// matcher returns the rule or limit that something stands in.
func matcher(p spot) spot {
	for p.kind != "Rule" && p.kind != "Limit" && p.owner != nil {
		p = *p.owner
	}
	return p
}

// widened rules on a rule that matches more, or a limit that counts more.
func (c *comparison) widened(p spot) effect {
	p = matcher(p)
	if p.kind == "Limit" || newRule(p).Action == canon.ActionDeny {
		return tighter
	}
	return looser
}

// narrowed rules on a rule that matches less, or a limit that counts less. What a rule leaves goes on to the rules after it and at last
// is denied; it tightens if each of those that could match it denies, or is as strict as this one was.
func (c *comparison) narrowed(p spot) effect {
	p = matcher(p)
	if p.kind == "Limit" || oldRule(p).Action == canon.ActionDeny {
		return looser
	}
	return c.leaves(oldRule(p))
}

func (c *comparison) leaves(r canon.Rule) effect {
	for _, later := range c.after(r.Name) {
		if later.Action != canon.ActionDeny && overlap(r, later) && !asStrict(later, r) {
			return looser
		}
	}
	return tighter
}

// after returns the new charter's rules after the one of that name, or after where it was.
func (c *comparison) after(name canon.Name) []canon.Rule {
	at := slices.IndexFunc(c.old.Rules, func(r canon.Rule) bool { return r.Name == name })
	for ; at >= 0; at-- {
		before := c.old.Rules[at].Name
		if i := slices.IndexFunc(c.new.Rules, func(r canon.Rule) bool { return r.Name == before }); i >= 0 {
			return c.new.Rules[i+1:]
		}
	}
	return c.new.Rules
}

// overlap reports whether a request could match both. Rules with calls match calls only, and those without payments only. What narrows rules besides
// names, assets and targets is passed over: two rules that it keeps apart may be told to overlap.
func overlap(a, b canon.Rule) bool {
	meet := func(x, y []canon.Name) bool {
		return isAny(x) && len(y) > 0 || isAny(y) && len(x) > 0 || slices.ContainsFunc(x, func(n canon.Name) bool { return slices.Contains(y, n) })
	}
	assets := slices.ContainsFunc(a.Amounts, func(x canon.AssetAmount) bool {
		return slices.ContainsFunc(b.Amounts, func(y canon.AssetAmount) bool { return x.Asset == y.Asset })
	})
	if assets = assets || a.AnyAmount || b.AnyAmount; len(a.Calls) > 0 || len(b.Calls) > 0 {
		assets = meet(a.Calls, b.Calls) // a call may pay nothing
	} else if !targetsMeet(a.To, b.To) {
		return false
	}
	return assets && meet(a.Clients, b.Clients) && meet(a.Accounts, b.Accounts) && meet(a.Wallets, b.Wallets)
}

// asStrict reports whether what rule a lets through rule b would have let through too, on no harder terms. People who must approve make up
// for longer times, nothing makes up for higher fee caps and missing limits.
func asStrict(a, b canon.Rule) bool {
	if strictness[a.Action] < strictness[b.Action] {
		return false
	}
	if a.Action == b.Action && (a.Expiry > b.Expiry || a.Signing > b.Signing || !implies(a.Quorum, b.Quorum)) {
		return false
	}
	caps := map[canon.AssetID]canon.Amount{}
	for _, f := range b.FeeCaps {
		caps[f.Asset] = f.Amount
	}
	for _, f := range a.FeeCaps {
		if most, ok := caps[f.Asset]; !ok || f.Amount.Int().Cmp(most.Int()) > 0 {
			return false
		}
	}
	return keepsTerms(a, b) && !slices.ContainsFunc(b.Limits, func(n canon.Name) bool { return !slices.Contains(a.Limits, n) })
}

func ruleAdded(_ *comparison, q spot) effect {
	if newRule(q).Action == canon.ActionDeny {
		return tighter // wherever it stands: what it matches goes no further
	}
	return looser
}

func ruleRemoved(c *comparison, q spot) effect {
	r := oldRule(q)
	if c.allGone(r.Clients) || c.allGone(r.Accounts) || c.allGone(r.Wallets) {
		return neutral
	}
	return c.narrowed(q)
}

// ruleLimitRemoved rules on a limit that a rule no longer draws on. One that the charter no longer has is judged where it goes.
func ruleLimitRemoved(c *comparison, q spot) effect {
	if _, ok := c.newX.limits[q.old.Interface().(canon.Name)]; !ok || newRule(*q.owner).Action == canon.ActionDeny {
		return neutral
	}
	return looser
}

func limitRemoved(c *comparison, q spot) effect {
	v := q.old.Interface().(canon.Limit)
	if _, ok := c.newX.assets[v.Asset]; v.Asset != "" && !ok || c.allGone(v.Clients) || c.allGone(v.Wallets) {
		return neutral
	}
	return looser
}

func allocationRemoved(c *comparison, q spot) effect {
	a := q.old.Interface().(canon.Allocation)
	if _, ok := c.newX.assets[a.Asset]; a.Asset != "" && !ok {
		return neutral
	}
	return looser
}
