package cli

import (
	"fmt"
	"strings"
)

func (v ExplanationView) writeText(t *text) {
	t.field("Charter", v.Charter)
	v.Request.writeText(t)
	t.gap()
	verdict := map[string]string{"allow": "ALLOWED, without approval", "approve": "NEEDS APPROVAL", "deny": "DENIED"}[v.Verdict]
	if len(v.Held) > 0 {
		verdict = "HELD by the service; then " + verdict
	}
	t.field("Verdict", verdict)
	t.field("Rule", v.rule())
	v.writeReasons(t)
	if len(v.Missing) > 0 {
		t.gap()
		t.say("Nobody stated, and without it the rules have no answer:")
		for _, m := range v.Missing {
			t.say("  %s", m.String())
		}
	}
	if len(v.Held) > 0 {
		t.gap()
		t.say("Held while:")
		writeRefusals(t, 2, v.Held)
	}
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
		if v.Delay > 0 {
			t.field("Delay", seconds(v.Delay)+" from when a signer first saw it with all else passed")
		}
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
		name := d.Limit
		if d.Counter != "" {
			name += " (" + d.Counter + ")"
		}
		if d.Window == 0 {
			t.say("  %s:%s takes %s; each withdrawal has at most %s", name, mark, d.Takes.Amount, d.Most.Amount)
			continue
		}
		t.say("  %s:%s takes %s; any %s has at most %s, of which %s is left", name, mark, d.Takes.Amount, seconds(d.Window), d.Most.Amount, d.Left.Amount)
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
	if c.Time != "" {
		parts = append(parts, "asked from "+c.Time+" on")
	}
	for _, a := range c.Cleared {
		parts = append(parts, "cleared by "+a)
	}
	for _, a := range c.Attributes {
		parts = append(parts, "with "+a)
	}
	return strings.Join(parts, ", ")
}
