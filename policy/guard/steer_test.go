package guard

import (
	"testing"
	"time"

	"github.com/strongroom/strongroom/proto/canon"
)

// denyAll is a rule that denies whatever it matches.
func denyAll(name canon.Name) canon.Rule {
	all := []canon.Name{canon.Any}
	return canon.Rule{Name: name, Action: canon.ActionDeny, Clients: all, Accounts: all, Wallets: all, AnyAmount: true, To: []canon.Target{{Kind: canon.TargetAny}}}
}

// Who completes the request chooses whether a group that every version of the book shows is said of all of them or of some, and may say more of some
// than any shows. No choice leads to a rule that the truth does not lead to.
func TestNoSplitOfGroupsLeadsToALaxerRule(t *testing.T) {
	first := func(r canon.Rule) func(*canon.Genesis) {
		return func(g *canon.Genesis) { g.Rules = append([]canon.Rule{r}, g.Rules...) }
	}
	when := func(r canon.Rule, text string) canon.Rule {
		r.When = text
		return r
	}
	people := rule("people", canon.ActionApprove, 400_000_000, 50, two())
	risky := people
	risky.To = []canon.Target{{Kind: canon.TargetBook, Name: "risky"}}
	type names = []canon.Name
	for name, c := range map[string]struct {
		change func(*canon.Genesis)
		truth  names
		field  string
	}{
		"people for a group":                 {first(risky), names{"risky"}, "to"},
		"people by an expression":            {first(when(people, `payments.exists(p, "risky" in p.groups)`)), names{"risky"}, "when"},
		"people by one of two":               {first(when(people, `payments.exists(p, "risky" in p.groups && !("other" in p.groups))`)), names{"risky"}, "when"},
		"people by their number":             {first(when(people, `payments.exists(p, size(p.groups) == 1)`)), names{"risky"}, "when"},
		"people by all of them":              {first(when(people, `payments.exists(p, p.groups.all(g, g == "risky"))`)), names{"risky"}, "when"},
		"people by the first of them":        {first(when(people, `payments.exists(p, p.groups[0] == "risky")`)), names{"risky"}, "when"},
		"allowed but to a group":             {func(g *canon.Genesis) { g.Rules[0].When = `!payments.exists(p, "risky" in p.groups)` }, names{"risky"}, "when"},
		"denied unless to a group, invented": {first(when(denyAll("only"), `!payments.all(p, "risky" in p.groups)`)), nil, "when"},
		"denied but to some, invented":       {first(when(denyAll("only"), `payments.exists(p, size(p.groups) == 0)`)), nil, "when"},
	} {
		t.Run(name, func(t *testing.T) {
			e := canon.BookEntry{Chain: evmChain, Address: evmPayee, Client: "acme", Account: canon.Any, Label: "x", Groups: c.truth}
			w := worldOf(t, []canon.BookEntry{e}, c.change)
			for n, said := range []canon.Destination{{Groups: c.truth}, {Recent: names{"risky"}}, {Recent: names{"other", "risky"}}, {Groups: c.truth, Recent: names{"other"}}} {
				p := w.evmPaper(usd)
				p.onIntent = func(i *canon.Intent) { i.Destinations = []canon.Destination{said} }
				if _, err := Check(w.encode(p), w.view()); err == nil {
					t.Errorf("%v: expected a refusal, found none", said)
				} else if n == 1 {
					refused(t, err, c.field)
				}
			}
		})
	}
}

// A beginning that is long past opens no hours, wherever in the rules they stand: what lets through without people must do so by the signer's clock.
func TestBeginningThatIsPastOpensNoHours(t *testing.T) {
	daytime := canon.Hours{Days: []uint64{1, 2, 3, 4, 5}, From: 11 * 60, To: 13 * 60, Zone: "UTC"}
	night := canon.Hours{Days: []uint64{1, 2, 3, 4, 5, 6, 7}, From: 18 * 60, To: 8 * 60, Zone: "UTC"}
	for name, change := range map[string]func(*canon.Genesis){
		"hours of the rule":          func(g *canon.Genesis) { g.Rules[0].Hours = []canon.Hours{daytime} },
		"hours of its expression":    func(g *canon.Genesis) { g.Rules[0].When = `hour("UTC") >= 11 && hour("UTC") < 13` },
		"weekdays of its expression": func(g *canon.Genesis) { g.Rules[0].When = `weekday("UTC") == 1 && hour("UTC") < 22` },
		"denied at night": func(g *canon.Genesis) {
			d := denyAll("night")
			d.Hours = []canon.Hours{night}
			g.Rules = append([]canon.Rule{d}, g.Rules...)
		},
		"denied from then on": func(g *canon.Genesis) {
			d := denyAll("stop")
			d.From = canon.TimeOf(start) + 3600
			g.Rules = append([]canon.Rule{d}, g.Rules...)
		},
		"people at night": func(g *canon.Genesis) {
			r := g.Rules[0]
			r.Name, r.Action, r.Quorum, r.Hours = "night", canon.ActionApprove, two(), []canon.Hours{night}
			g.Rules = append([]canon.Rule{r}, g.Rules...)
		},
		"people until then": func(g *canon.Genesis) {
			r := g.Rules[0]
			r.Name, r.Before = "early", canon.TimeOf(start)+3600
			g.Rules[0].Action, g.Rules[0].Quorum = canon.ActionApprove, two()
			g.Rules = append([]canon.Rule{r}, g.Rules...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := worldOf(t, bookEntries(), func(g *canon.Genesis) {
				g.Rules[0].Expiry = 86400
				change(g)
			})
			p := w.evmPaper(usd)
			p.request.NotAfter = p.request.NotBefore + 80_000
			p.rule = w.charter.Genesis().Rules[0].Name
			if name == "denied at night" || name == "denied from then on" || name == "people at night" {
				p.rule = w.charter.Genesis().Rules[1].Name
			}
			p.onIntent = func(i *canon.Intent) { i.NotAfter = p.request.NotAfter }
			evidence := w.encode(p)
			if _, err := Check(evidence, w.view()); err != nil {
				t.Errorf("at noon: %v", err)
			}
			w.now = w.now.Add(10 * time.Hour) // Monday 22:00
			_, err := Check(evidence, w.view())
			field := "rule"
			if name == "hours of the rule" {
				field = "rule.hours"
			} else if name == "people until then" {
				field = "rule.before"
			}
			refusedBy(t, err, "hours", field, "")
		})
	}
}

// What was stated long ago lets nothing through without people, and what counts until some time nothing later.
func TestStatementsThatEndedLetNothingThrough(t *testing.T) {
	w := worldOf(t, []canon.BookEntry{exchange()}, func(g *canon.Genesis) {
		withFacts(canon.ActionAllow)(g)
		g.Rules[0].Clearances, g.Rules[0].Expiry = nil, 86400
	})
	p := w.factPaper()
	p.request.NotAfter = p.request.NotBefore + 80_000
	p.onIntent = func(i *canon.Intent) {
		w.facts(i)
		i.Clearances, i.At, i.NotAfter = nil, p.request.NotBefore, p.request.NotAfter
	}
	evidence := w.encode(p)
	for _, later := range []time.Duration{0, 20 * time.Hour} {
		v := w.view()
		v.Now = w.now.Add(later)
		_, err := Check(evidence, v)
		refusedBy(t, err, "expiry", "intent.not_after", "")
	}
}
