package guard

import (
	"testing"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
)

// What the intent says of groups must be what every signer can vouch for, whichever versions of the book it asks for: no group too many where
// rules allow by it, none too few where they deny.
func TestGroupsOfTheIntentAreHeldAgainstTheBook(t *testing.T) {
	entry := func(groups ...canon.Name) canon.BookEntry {
		return canon.BookEntry{Chain: evmChain, Address: evmPayee, Client: "acme", Account: canon.Any, Label: "x", Groups: groups}
	}
	said := func(groups, recent []canon.Name) []canon.Destination {
		return []canon.Destination{{Groups: groups, Recent: recent}}
	}
	type names = []canon.Name
	for name, c := range map[string]struct {
		old, new canon.BookEntry
		said     []canon.Destination
		field    string // none: signable
	}{
		"in none":                     {entry(), entry(), nil, ""},
		"in none, said so":            {entry(), entry(), said(nil, nil), ""},
		"in both":                     {entry("a", "b"), entry("a", "b"), said(names{"a", "b"}, nil), ""},
		"in both, one only recent":    {entry("a", "b"), entry("a", "b"), said(names{"a"}, names{"b"}), ""},
		"more recent ones":            {entry("a"), entry("a"), said(names{"a"}, names{"z"}), ""},
		"joined lately":               {entry("a"), entry("a", "b"), said(names{"a"}, names{"b"}), ""},
		"left lately":                 {entry("a", "b"), entry("a"), said(names{"a"}, names{"b"}), ""},
		"unsaid":                      {entry("a"), entry("a"), nil, "intent.destinations[0].recent"},
		"one unsaid":                  {entry("a", "b"), entry("a", "b"), said(names{"a"}, nil), "intent.destinations[0].recent"},
		"joined lately, unsaid":       {entry("a"), entry("a", "b"), said(names{"a"}, nil), "intent.destinations[0].recent"},
		"left lately, unsaid":         {entry("a", "b"), entry("a"), said(names{"a"}, nil), "intent.destinations[0].recent"},
		"joined lately, said at once": {entry("a"), entry("a", "b"), said(names{"a", "b"}, nil), "intent.destinations[0].groups"},
		"left lately, said still":     {entry("a", "b"), entry("a"), said(names{"a", "b"}, nil), "intent.destinations[0].groups"},
		"invented":                    {entry("a"), entry("a"), said(names{"a", "c"}, nil), "intent.destinations[0].groups"},
		"instead of another":          {entry("a"), entry("a"), said(names{"c"}, names{"a"}), "intent.destinations[0].groups"},
		"for too many outputs":        {entry("a"), entry("a"), append(said(names{"a"}, nil), said(nil, nil)...), "intent.destinations"},
	} {
		t.Run(name, func(t *testing.T) {
			w := worldOf(t, []canon.BookEntry{c.old}, nil)
			c.new.Label = "y" // another tree, even where nothing else differs
			v, newest := w.versions(c.new)
			p := w.evmPaper(eth)
			p.onIntent = func(i *canon.Intent) { i.Destinations = c.said }
			p.onEnd = func(e *canon.Evidence) { e.Addresses = proofs(evmChain, evmPayee, newest, w.book) }
			_, err := Check(w.encode(p), v)
			if c.field != "" {
				refused(t, err, c.field)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// A signer that asks for one version and one that asks for two come to the same about what suits both.
func TestRecentGroupsSuitSignersThatAskForOneVersion(t *testing.T) {
	entry := canon.BookEntry{Chain: evmChain, Address: evmPayee, Client: "acme", Account: canon.Any, Label: "x", Groups: []canon.Name{"a"}}
	w := worldOf(t, []canon.BookEntry{entry}, nil)
	entry.Groups = []canon.Name{"a", "b"}
	two, newest := w.versions(entry)
	one := two
	one.Book = []book.Requirement{two.Book[0]}
	one.Book[0].PayableAt = 0
	p := w.evmPaper(eth)
	p.onIntent = func(i *canon.Intent) {
		i.Destinations = []canon.Destination{{Groups: []canon.Name{"a"}, Recent: []canon.Name{"b"}}}
	}
	p.onEnd = func(e *canon.Evidence) { e.Addresses = proofs(evmChain, evmPayee, newest, w.book) }
	evidence := w.encode(p)
	for name, v := range map[string]View{"both": two, "the newest": one} {
		if _, err := Check(evidence, v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Where the charter says so only addresses with evidence that they are the client's are paid (REGULATION.md R5).
func TestOwnedBookPaysNothingWithoutEvidence(t *testing.T) {
	bare := canon.BookEntry{Chain: evmChain, Address: evmPayee, Client: "acme", Account: canon.Any, Label: "x"}
	shown := bare
	shown.Proof, shown.Evidence = 1, make([]byte, 32)
	for name, c := range map[string]struct {
		old, new canon.BookEntry
		owned    bool
		found    string // none: signable
		waits    bool
	}{
		"evidence in both":       {shown, shown, true, "", false},
		"evidence not asked for": {bare, bare, false, "", false},
		"none in either":         {bare, bare, true, "without evidence", false},
		"in the newest only":     {bare, shown, true, "without evidence", true},
		"in the payable only":    {shown, bare, true, "without evidence", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := worldOf(t, []canon.BookEntry{c.old}, func(g *canon.Genesis) { g.Book.Owned = c.owned })
			c.new.Label = "y" // another tree, even where nothing else differs
			v, newest := w.versions(c.new)
			p := w.evmPaper(eth)
			p.onEnd = func(e *canon.Evidence) { e.Addresses = proofs(evmChain, evmPayee, newest, w.book) }
			_, err := Check(w.encode(p), v)
			if c.found == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			refusedBy(t, err, "whitelist", "outputs[0].address", "with evidence that it is")
			if at, waits := untilOf(err); waits != c.waits || waits && at != uint64(payableAt) {
				t.Errorf("expected to wait until %d: %t, found %d, %t", payableAt, c.waits, at, waits)
			}
		})
	}
}
