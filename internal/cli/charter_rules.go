package cli

import (
	"fmt"
	"strings"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
)

func ruleEntries(c *charter.Charter) (out []EntryView) {
	for i, r := range c.Genesis().Rules {
		to := "to " + targetsText(r.To) + "; "
		if len(r.To) == 0 && len(r.Calls) > 0 {
			to = "" // a call goes to the contract of its entry
		}
		e := EntryView{Name: fmt.Sprintf("%d. %s: %s", i+1, r.Name, ruleAction(r)), Lines: []string{
			fmt.Sprintf("clients %s; accounts %s; wallets %s", scope(r.Clients), scope(r.Accounts), scope(r.Wallets)),
			to + ruleAmounts(c, r),
		}}
		if len(r.Calls) > 0 {
			e.Lines = append(e.Lines, "contract calls "+scope(r.Calls))
		}
		e.Lines = append(e.Lines, ruleConditions(c, r)...)
		if r.Action != canon.ActionDeny {
			e.Lines = append(e.Lines, "fee at most "+amountsText(c, r.FeeCaps), fmt.Sprintf("intents expire after %s, signing takes at most %s", exactly(r.Expiry), exactly(r.Signing)),
				"draws on limits: "+scope(r.Limits))
		}
		e.Lines = append(e.Lines, ruleDuties(r)...)
		out = append(out, e)
	}
	return out
}

func ruleAction(r canon.Rule) string {
	switch r.Action {
	case canon.ActionAllow:
		return "allowed without approval"
	case canon.ActionApprove:
		return "needs " + quorumText(r.Quorum)
	}
	return "denied"
}

// ruleAmounts says how much a rule is about.
func ruleAmounts(c *charter.Charter, r canon.Rule) string {
	if r.AnyAmount {
		return "whatever is paid"
	}
	return "at most " + amountsText(c, r.Amounts)
}

// targetsText writes where payments go, as charters do.
func targetsText(list []canon.Target) string {
	if len(list) == 0 {
		return "nowhere"
	}
	out := make([]string, len(list))
	for i, t := range list {
		out[i] = t.String()
		if t.Kind == canon.TargetAny {
			out[i] = "any"
		}
	}
	return strings.Join(out, ", ")
}

// ruleConditions are what narrows a rule further.
func ruleConditions(c *charter.Charter, r canon.Rule) (out []string) {
	if len(r.Above) > 0 {
		out = append(out, "only if one asset's sum is above "+strings.ReplaceAll(amountsText(c, r.Above), ", ", " or "))
	}
	if v := r.Value; v != nil {
		out = append(out, "only if all payments are worth "+rangeText(*v))
	}
	if len(r.Tiers) > 0 {
		out = append(out, "only from "+tiersText(r.Tiers)+" wallets")
	}
	for i, h := range r.Hours {
		begin := "only for requests that begin "
		if i > 0 {
			begin = "or "
		}
		out = append(out, begin+charter.HoursText(h))
	}
	if r.From != 0 {
		out = append(out, "only for requests that begin at "+stamp(r.From)+" or later")
	}
	if r.Before != 0 {
		out = append(out, "only for requests that begin before "+stamp(r.Before))
	}
	for _, a := range r.Attributes {
		by := "in this charter"
		if a.Authority != "" {
			by = "as " + string(a.Authority) + " states"
		}
		values := make([]string, len(a.Values))
		for i, v := range a.Values {
			values[i] = quoted(string(v))
		}
		out = append(out, fmt.Sprintf("only if the client's %s is %s, %s", a.Name, strings.Join(values, " or "), by))
	}
	if r.When != "" {
		out = append(out, "only if "+r.When)
	}
	return out
}

// ruleDuties are what must be done before a withdrawal that a rule lets through is signed.
func ruleDuties(r canon.Rule) (out []string) {
	if r.Delay > 0 {
		out = append(out, "signed no sooner than "+exactly(r.Delay)+" after a signer first saw it approved")
	}
	if len(r.Clearances) > 0 {
		out = append(out, "must be cleared by "+strings.Join(toStrings(r.Clearances), " and by "))
	}
	for _, h := range r.Holds {
		then := "held while "
		if h.Deny {
			then = "denied if "
		}
		out = append(out, "by the coordinator "+then+h.When)
	}
	return out
}

func rangeText(v canon.ValueRange) string {
	switch {
	case len(v.Max) == 0:
		return "more than " + charter.MoneyText(v.Above, v.Currency)
	case len(v.Above) == 0:
		return "at most " + charter.MoneyText(v.Max, v.Currency)
	}
	return "more than " + charter.MoneyText(v.Above, v.Currency) + " and at most " + charter.MoneyText(v.Max, v.Currency)
}

func tierText(t canon.Tier) string { return word(t, "hot", "warm", "cold") }

func tiersText(list []canon.Tier) string {
	out := make([]string, len(list))
	for i, t := range list {
		out[i] = tierText(t)
	}
	return strings.Join(out, " or ")
}

func limitEntries(c *charter.Charter) (out []EntryView) {
	for _, l := range c.Genesis().Limits {
		kind := "held exactly by all signers together"
		if !l.Exact {
			kind = "held by each signer alone, so that all together may go beyond it"
		}
		e := EntryView{string(l.Name), []string{
			fmt.Sprintf("%s in %s, %s", limitAmount(c, l), windowText(l.Window), kind),
			fmt.Sprintf("clients %s; wallets %s", scope(l.Clients), scope(l.Wallets))}}
		if len(l.Per) > 0 {
			per := make([]string, len(l.Per))
			for i, d := range l.Per {
				per[i] = "each " + word(d, "client", "account", "wallet", "destination", "asset")
			}
			e.Lines = append(e.Lines, "counted apart for "+strings.Join(per, ", "))
		}
		if len(l.Accounts) > 0 {
			e.Lines = append(e.Lines, "only accounts "+scope(l.Accounts))
		}
		if len(l.Tiers) > 0 {
			e.Lines = append(e.Lines, "only from "+tiersText(l.Tiers)+" wallets")
		}
		if len(l.To) > 0 {
			e.Lines = append(e.Lines, "only payments to "+targetsText(l.To)+", and their fees")
		}
		out = append(out, e)
	}
	return out
}

// limitAmount writes a limit's amount in its unit.
func limitAmount(c *charter.Charter, l canon.Limit) string {
	switch l.Unit {
	case canon.UnitMoney:
		return charter.MoneyText(l.Amount, l.Currency)
	case canon.UnitCount:
		text := l.Amount.String() + " withdrawals"
		if l.Asset != "" {
			text += " that pay " + symbolOf(c, l.Asset)
		}
		return text
	}
	return amountView(c, l.Asset, l.Amount).Amount
}

func windowText(window uint64) string {
	if window == 0 {
		return "each withdrawal by itself"
	}
	return "any " + exactly(window)
}

// symbolOf names an asset; one that the charter does not know by its id.
func symbolOf(c *charter.Charter, id canon.AssetID) string {
	if asset, ok := c.Asset(id); ok {
		return string(asset.Symbol)
	}
	return string(id)
}

func priceEntries(c *charter.Charter) (out []EntryView) {
	for _, p := range c.Genesis().Prices {
		out = append(out, EntryView{fmt.Sprintf("%s in %s", symbolOf(c, p.Asset), p.Currency), []string{
			"as stated by " + names(p.Authorities) + "; of several the highest counts",
			fmt.Sprintf("at most %s old, from %s to %s", exactly(p.MaxAge), unitPrice(p.Min, p.Currency), unitPrice(p.Max, p.Currency)),
			"of " + string(p.Asset)}})
	}
	return out
}

// unitPrice writes what one whole unit of an asset is worth; a price has twelve decimals.
func unitPrice(value canon.Amount, currency canon.Currency) string {
	return wallets.FormatAmount(value, canon.Asset{Symbol: canon.Text(currency), Decimals: 12})
}

func allocationEntries(c *charter.Charter) (out []EntryView) {
	for _, a := range c.Genesis().Allocation {
		name := "all assets together, by value in " + string(a.Currency)
		if a.Asset != "" {
			name = symbolOf(c, a.Asset)
		}
		where := word(a.Tier, "hot wallets", "hot and warm wallets", "all wallets")
		e := EntryView{name, []string{fmt.Sprintf("at most %s of what clients have lies in %s", permill(a.MaxPermill), where)}}
		if a.Asset != "" {
			e.Lines = append(e.Lines, "of "+string(a.Asset))
		}
		if a.TargetPermill > 0 || a.MinPermill > 0 {
			e.Lines = append(e.Lines, fmt.Sprintf("sweeps and refills are proposed towards %s, refills below %s", permill(a.TargetPermill), permill(a.MinPermill)))
		}
		if a.Asset != "" && a.Currency != "" {
			e.Lines = append(e.Lines, "valued in "+string(a.Currency))
		}
		out = append(out, e)
	}
	return out
}

func permill(n uint64) string { return fmt.Sprintf("%d.%d%%", n/10, n%10) }

func amountsText(c *charter.Charter, list []canon.AssetAmount) string {
	if len(list) == 0 {
		return "nothing"
	}
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = amountView(c, a.Asset, a.Amount).Amount
	}
	return strings.Join(out, ", ")
}

// scope writes a list of names; an empty one matches nothing.
func scope(list []canon.Name) string {
	switch {
	case len(list) == 0:
		return "none"
	case len(list) == 1 && list[0] == canon.Any:
		return "any"
	}
	return names(list)
}

func callEntries(c *charter.Charter) []EntryView {
	out := []EntryView{}
	for _, r := range c.Genesis().Calls {
		coin := "carries no coin"
		if r.Payable {
			coin = "may carry the chain's coin, which counts as a payment"
		}
		e := EntryView{labelled(r.Name, r.Label), []string{fmt.Sprintf("%s of contract %s on %s; %s", r.Signature, contractText(c, r), r.Chain, coin)}}
		for i, a := range r.Arguments {
			e.Lines = append(e.Lines, fmt.Sprintf("argument %d: %s", i+1, argumentText(c, a)))
		}
		out = append(out, e)
	}
	return out
}

func contractText(c *charter.Charter, r canon.CallRule) string {
	chain, _ := c.Chain(r.Chain)
	if address, err := wallets.AddressText(chain, r.Contract); err == nil {
		return address
	}
	return fmt.Sprintf("%x", r.Contract)
}

// argumentText says what an argument of a call may be.
func argumentText(c *charter.Charter, a canon.ArgumentRule) string {
	switch {
	case a.Allow == canon.ArgumentEqual:
		values := make([]string, len(a.Values))
		for i, v := range a.Values {
			values[i] = fmt.Sprintf("0x%x", v)
		}
		return "one of " + strings.Join(values, ", ")
	case a.Allow == canon.ArgumentAtMost && len(a.Pays) == 1:
		return "at most " + amountView(c, a.Pays[0], a.Max).Amount + ", which counts as a payment"
	case a.Allow == canon.ArgumentAtMost:
		return "a number of at most " + a.Max.String()
	}
	return word(a.Allow, "anything", "", "", "the address that calls", "an address of the client's in the book")
}
