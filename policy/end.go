package policy

import (
	"math"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

// End returns the last second of an intent under the rule: within the request's own time, the rule's expiry counted from the request's beginning, the
// time for which the authorities that the rule names have cleared it, and that for which the attributes among the facts count. What a rule lets through
// without people on prices, attributes or balances is signed while they are fresh: within the rule's delay and time for signing from when the
// statements were judged. Where people approve, they read the statements, and their approval takes the time that it takes.
func End(c *charter.Charter, rule *canon.Rule, f Facts) canon.Time {
	end := min(f.Request.NotAfter, f.Request.NotBefore+canon.Time(rule.Expiry))
	for _, name := range rule.Clearances {
		for _, v := range f.Clearances {
			if v.Authority == name {
				end = min(end, CountsUntil(c, name, v.At, v.NotAfter))
			}
		}
	}
	// Those too that only earlier rules read: without them those rules would not have been passed over.
	for _, a := range f.Attributes {
		end = min(end, CountsUntil(c, a.Authority, a.At, a.NotAfter))
	}
	if rule.Action == canon.ActionAllow && len(f.Prices)+len(f.Attributes)+len(f.Balances) > 0 {
		end = min(end, f.At+canon.Time(rule.Delay)+canon.Time(rule.Signing))
	}
	return end
}

// CountsUntil returns the last second at which an attribute or clearance counts that an authority stated at one time until another: the charter may
// bound how old it gets.
func CountsUntil(c *charter.Charter, authority canon.Name, at, notAfter canon.Time) canon.Time {
	a, ok := c.Authority(authority)
	if !ok || a.MaxAge == 0 || at > math.MaxUint64-canon.Time(a.MaxAge) {
		return notAfter
	}
	return min(notAfter, at+canon.Time(a.MaxAge))
}
