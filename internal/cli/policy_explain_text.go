package cli

import (
	"fmt"
	"strings"
)

func (v ExplanationView) writeText(t *text) {
	t.field("Charter", v.Charter)
	v.Request.writeText(t)
	t.gap()
	t.field("Verdict", map[string]string{"allow": "ALLOWED, without approval", "approve": "NEEDS APPROVAL", "deny": "DENIED"}[v.Verdict])
	t.field("Rule", v.rule())
	v.writeReasons(t)
	v.writeTerms(t)
	if len(v.Pass) > 0 {
		t.gap()
		t.say("What would have passed, or passed with less:")
		for _, p := range v.Pass {
			t.say("  %s: %s", p.words(), map[string]string{"allow": "allowed by " + p.Rule, "approve": "needs approval, by " + p.Rule}[p.Verdict])
		}
	}
}

func (v ExplanationView) rule() string {
	for _, r := range v.Rules {
		if r.Matches {
			return fmt.Sprintf("%d. %s", r.Number, r.Rule)
		}
	}
	return "none matches, so it is denied"
}

// writeReasons says what every rule before the deciding one did not match, and what else is refused.
func (v ExplanationView) writeReasons(t *text) {
	rules := map[string]bool{}
	for _, r := range v.Rules {
		rules[r.Rule] = true
		if r.Matches {
			continue
		}
		t.gap()
		t.say("Rule %s does not match:", fmt.Sprintf("%d. %s", r.Number, r.Rule))
		for _, m := range r.Mismatches {
			t.say("  %s: expected %s, found %s", m.Field, m.Expected, m.Found)
		}
	}
	var rest []RefusalView
	for _, f := range v.Refusals {
		if !rules[f.Rule] && f.Rule != "default-deny" {
			rest = append(rest, f)
		}
	}
	if len(rest) > 0 {
		t.gap()
		t.say("Refused:")
		writeRefusals(t, 2, rest)
	}
}

// writeTerms says under which conditions the rule lets it through.
func (v ExplanationView) writeTerms(t *text) {
	if v.Quorum != "" {
		t.gap()
		t.field("Quorum", v.Quorum)
		for i, parts := range v.Seats {
			if i > 0 {
				t.say("  or")
			}
			for _, p := range parts {
				t.say("  %s of %s: %s", p.Count, p.Group, strings.Join(p.Eligible, ", "))
			}
		}
		t.say("  Each counts once; who asks does not count; one rejection ends it.")
	}
	if v.FeeCap != nil {
		t.gap()
		t.field("Fee", "at most "+v.FeeCap.Amount)
		t.field("Expires", "after "+seconds(v.Expiry))
	}
	if len(v.Limits) == 0 {
		return
	}
	t.gap()
	t.say("Limits, %s:", v.Spends)
	for _, d := range v.Limits {
		mark := ""
		if !d.Fits {
			mark = " TOO MUCH:"
		}
		t.say("  %s:%s takes %s; any %s has at most %s, of which %s is left", d.Limit, mark, d.Takes.Amount, seconds(d.Window), d.Most.Amount, d.Left.Amount)
	}
}

func (c ChangeView) words() string {
	var parts []string
	if c.Amount != nil {
		parts = append(parts, "at most "+c.Amount.Amount+" together")
	}
	if c.Wallet != "" {
		parts = append(parts, "from wallet "+c.Wallet)
	}
	if c.Account != "" {
		parts = append(parts, "of account "+c.Account)
	}
	if c.Book {
		parts = append(parts, "to addresses of the client's in the address book")
	}
	return strings.Join(parts, ", ")
}
