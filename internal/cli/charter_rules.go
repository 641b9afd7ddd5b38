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
		e := EntryView{Name: fmt.Sprintf("%d. %s: %s", i+1, r.Name, ruleAction(r)), Lines: []string{
			fmt.Sprintf("clients %s; accounts %s; wallets %s", scope(r.Clients), scope(r.Accounts), scope(r.Wallets)),
			"at most " + amountsText(c, r.Amounts),
		}}
		if len(r.Calls) > 0 {
			e.Lines = append(e.Lines, "contract calls "+scope(r.Calls))
		}
		if r.Action != canon.ActionDeny {
			e.Lines = append(e.Lines, "fee at most "+amountsText(c, r.FeeCaps), fmt.Sprintf("intents expire after %s, signing takes at most %s", seconds(r.Expiry), seconds(r.Signing)),
				"draws on limits: "+scope(r.Limits))
		}
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

func limitEntries(c *charter.Charter) (out []EntryView) {
	for _, l := range c.Genesis().Limits {
		kind := "held exactly by all signers together"
		if !l.Exact {
			kind = "held by each signer alone, so that all together may go beyond it"
		}
		out = append(out, EntryView{string(l.Name), []string{
			fmt.Sprintf("%s in any %s, %s", amountView(c, l.Asset, l.Amount).Amount, seconds(l.Window), kind),
			fmt.Sprintf("clients %s; wallets %s", scope(l.Clients), scope(l.Wallets))}})
	}
	return out
}

func allocationEntries(c *charter.Charter) (out []EntryView) {
	for _, a := range c.Genesis().Allocation {
		symbol := string(a.Asset)
		if asset, ok := c.Asset(a.Asset); ok {
			symbol = string(asset.Symbol)
		}
		out = append(out, EntryView{symbol, []string{fmt.Sprintf("at most %d.%d%% of all holdings in %s wallets", a.MaxPermill/10, a.MaxPermill%10, word(a.Tier, "hot", "warm", "cold"))}})
	}
	return out
}

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
