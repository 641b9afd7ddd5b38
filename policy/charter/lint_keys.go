package charter

import (
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
)

// sharedKeys demands signers that hold shares of the keys of several wallets at once: for a payment to a wallet of the account's own q that have one of both
// keys, for the balances that allocations ask for f+1 that have one of every wallet's key on the chain. Those who hold none learn a key's public key once
// every holder confirmed it, and derive addresses like the others; but until they did they refuse, and no lone holder that is switched off shall keep
// enough signers from it. Addresses of wallets whose keys are in tokens alone are in their pools, which everybody can read.
func (l *linter) sharedKeys() {
	for _, c := range l.Chains {
		all := map[canon.Name][]canon.Name{} // keys by account
		var keys []canon.Name
		for _, w := range l.Wallets {
			if w.Chain != c.ID || w.Scheme == canon.SchemeHSM {
				continue
			}
			keys = append(keys, w.Key)
			for _, a := range w.Accounts {
				all[a] = append(all[a], w.Key)
			}
		}
		for _, a := range l.Accounts { // in the charter's order
			if own := distinct(all[a.Name]); len(own) > 1 {
				found := l.holdersOfAll(own)
				l.need(found >= l.Roster.Quorum, "holders", at("accounts", a.Name), fmt.Sprintf("q=%d signers that hold the keys of all its wallets on %s: %v",
					l.Roster.Quorum, c.ID, own), found)
			}
		}
		if own := distinct(keys); len(l.Allocation) > 0 && len(own) > 0 {
			found := l.holdersOfAll(own)
			l.need(found > l.Roster.Faults, "holders", at("chains", c.ID), fmt.Sprintf("f+1=%d signers that hold the keys of all its wallets, whose balances allocations need: %v",
				l.Roster.Faults+1, own), found)
		}
	}
}

// holdersOfAll counts the signers with a ledger that hold every one of the keys.
func (l *linter) holdersOfAll(keys []canon.Name) uint64 {
	count := uint64(0)
	for _, s := range l.Signers {
		lacks := func(k canon.Name) bool { return !slices.Contains(l.x.keys[k].Holders, s.Name) }
		if s.Ledger && !slices.ContainsFunc(keys, lacks) {
			count++
		}
	}
	return count
}

// distinct returns the names sorted, each once.
func distinct(names []canon.Name) []canon.Name {
	slices.Sort(names)
	return slices.Compact(names)
}
