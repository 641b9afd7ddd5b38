package charter

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// UnlimitedAllowance returns the least allowance that tokens in use take for one without end, 2^96-1: COMP and UNI read 2^256-1 as
// type(uint96).max and never lower either; others do so with type(uint256).max (OpenZeppelin Contracts, ERC20._spendAllowance) or numbers in between.
func UnlimitedAllowance() *big.Int {
	return new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 96), big.NewInt(1))
}

// calls checks the contract calls that rules may let through. A call falls under one entry at most: whoever reads that one knows all.
func (l *linter) calls() {
	unique(l, "calls", pick(l.Calls, func(r canon.CallRule) canon.Name { return r.Name }))
	type target struct {
		chain    canon.ChainID
		contract string
		selector [4]byte
	}
	taken := map[target]canon.Name{}
	for _, r := range l.Calls {
		field := at("calls", r.Name)
		if refers(l, field+".chain", r.Chain, l.x.chains) {
			l.need(l.x.chains[r.Chain].Kind == canon.EVM, "call", field+".chain", "an EVM chain", r.Chain)
		}
		l.need(len(r.Contract) == 20 && !zeros(r.Contract), "call", field+".contract", "the address of a contract, 20 bytes", fmt.Sprintf("0x%x", r.Contract))
		if why, ok := ForbiddenCall(r.Signature); ok {
			l.Add("call", field+".signature", "a function that a charter may let through", r.Signature+", which "+why)
		}
		f, err := ethereum.ParseSignature(r.Signature)
		if err != nil {
			l.Add("call", field+".signature", "a canonical signature with elementary static types", err.Error())
			continue
		}
		t := target{r.Chain, string(r.Contract), f.Selector}
		other, found := taken[t]
		l.need(!found, "call", field+".signature", "one entry for each function of a contract", fmt.Sprintf("%s, whose selector %s has too", r.Signature, other))
		taken[t] = r.Name
		l.arguments(field, r, f)
		l.tokenCall(field, r, f)
	}
}

// arguments demands one rule for each argument, and a check that fits its type.
func (l *linter) arguments(field string, r canon.CallRule, f ethereum.Function) {
	if len(r.Arguments) != len(f.Types) {
		l.Add("call", field+".arguments", fmt.Sprintf("%d, one for each of %s", len(f.Types), f), fmt.Sprint(len(r.Arguments)))
		return
	}
	for i, a := range r.Arguments {
		l.argument(fmt.Sprintf("%s.arguments[%d]", field, i), r.Chain, a, f.Types[i])
	}
	if r.Signature == ApproveSignature {
		l.allowance(field, r)
	}
}

func (l *linter) argument(field string, chain canon.ChainID, a canon.ArgumentRule, t ethereum.Type) {
	switch a.Allow {
	case canon.ArgumentAny:
		l.need(t != ethereum.Address, "call", field+".allow", "equal, self or book for an argument of type address: who gets what it gives must be known", "any")
	case canon.ArgumentEqual:
		l.need(len(a.Values) > 0, "call", field+".values", "at least one value", "none")
		seen := map[string]bool{}
		for _, v := range a.Values {
			l.need(!seen[string(v)], "call", field+".values", "distinct values", fmt.Sprintf("%x twice", v))
			seen[string(v)] = true
			if len(v) != 32 {
				l.Add("call", field+".values", "words of 32 bytes", fmt.Sprintf("%d bytes", len(v)))
			} else if err := t.Check([32]byte(v)); err != nil {
				l.Add("call", field+".values", "values of type "+t.String(), err.Error())
			}
		}
	case canon.ArgumentAtMost:
		l.need(strings.HasPrefix(t.String(), "uint"), "call", field+".allow", "a maximum of a number without sign only", t)
		most := a.Max.Int()
		fits := most.Sign() > 0 && most.BitLen() <= 256 && t.Check([32]byte(most.FillBytes(make([]byte, 32)))) == nil
		l.need(fits, "call", field+".max", "a number above 0 of type "+t.String(), a.Max)
	case canon.ArgumentSelf, canon.ArgumentBook:
		l.need(t == ethereum.Address, "call", field+".allow", "an own or known address of an argument of type address only", t)
	}
	for _, id := range a.Pays {
		refers(l, field+".pays", id, l.x.assets)
		l.need(id.Chain() == chain, "call", field+".pays", "an asset of "+string(chain), id)
	}
}

// allowance demands named spenders and a bound: an approval of tokens is worth what it allows.
func (l *linter) allowance(field string, r canon.CallRule) {
	spender, amount := r.Arguments[0], r.Arguments[1]
	l.need(spender.Allow == canon.ArgumentEqual, "call", field+".arguments[0]", "named spenders", "others")
	most := amount.Max.Int()
	bounded := amount.Allow == canon.ArgumentAtMost && most.Sign() > 0 && most.Cmp(UnlimitedAllowance()) < 0
	l.need(bounded, "call", field+".arguments[1]", "at most a number above 0 and below 2^96-1, which tokens take for unlimited", shownBound(amount))
	if token, ok := l.token(r); ok {
		l.need(slices.Equal(amount.Pays, []canon.AssetID{token}), "call", field+".arguments[1].pays", "the token, "+string(token), amount.Pays)
	}
}

func shownBound(a canon.ArgumentRule) string {
	if a.Allow != canon.ArgumentAtMost {
		return "no maximum"
	}
	return a.Max.String()
}

// token returns the token of the charter whose contract it is.
func (l *linter) token(r canon.CallRule) (canon.AssetID, bool) {
	for _, a := range l.Assets {
		if c, ok := a.ID.Contract(); ok && a.ID.Chain() == r.Chain && string(c[:]) == string(r.Contract) {
			return a.ID, true
		}
	}
	return "", false
}

// tokenCall refuses what takes tokens of the charter away without a payment: by name, and because whatever number a token's contract is given may
// be an amount, every number that is not one of named values must count as one.
func (l *linter) tokenCall(field string, r canon.CallRule, f ethereum.Function) {
	token, ok := l.token(r)
	if !ok {
		return
	}
	if why := tokenDangers[plainName(r.Signature)]; why != "" {
		l.Add("call", field+".signature", "a function that a charter may let through of its token "+string(token), r.Signature+", which "+why)
	}
	for i, a := range r.Arguments[:min(len(r.Arguments), len(f.Types))] {
		if !isNumber(f.Types[i]) || a.Allow == canon.ArgumentEqual {
			continue
		}
		counted := a.Allow == canon.ArgumentAtMost && slices.Equal(a.Pays, []canon.AssetID{token})
		l.need(counted, "call", fmt.Sprintf("%s.arguments[%d]", field, i), "named values, or a maximum that counts as a payment of the token, "+string(token), "another rule for a number")
	}
}

func isNumber(t ethereum.Type) bool {
	return strings.HasPrefix(t.String(), "uint") || strings.HasPrefix(t.String(), "int")
}

func zeros(b []byte) bool { return !slices.ContainsFunc(b, func(x byte) bool { return x != 0 }) }

// ruleCalls checks what a rule says of contract calls: they take a quorum, and never come out of a cold wallet.
func (l *linter) ruleCalls(field string, r canon.Rule) {
	if len(r.Calls) == 0 {
		return
	}
	scope(l, field+".calls", r.Calls, l.x.calls)
	l.need(r.Action != canon.ActionAllow, "call", field+".action", "approve or deny: contract calls take a quorum", "2 (allow)")
	if r.Action == canon.ActionDeny {
		return
	}
	for _, n := range r.Wallets {
		l.need(l.x.wallets[n].Tier != canon.Cold, "call", field+".wallets", "no cold wallet: those make no contract calls", n)
	}
}

// callChains returns the chains of a rule's calls.
func (l *linter) callChains(r canon.Rule) []canon.ChainID {
	var out []canon.ChainID
	for _, n := range r.Calls {
		for _, v := range l.Calls {
			if (n == canon.Any || n == v.Name) && !slices.Contains(out, v.Chain) {
				out = append(out, v.Chain)
			}
		}
	}
	return out
}
