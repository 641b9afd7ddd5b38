package amendment_test

import (
	"slices"
	"testing"

	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/proto/canon"
	"pgregory.net/rapid"
)

// member is a simulated signer of the roster: its chain, when it first saw each proposal, and the vetoes that reached it.
type member struct {
	name   string
	chain  *amendment.Chain
	since  map[canon.Digest]canon.Time
	vetoed map[canon.Digest]bool
}

func (m *member) Vetoed(d canon.Digest) []canon.Name {
	if m.vetoed[d] {
		return []canon.Name{"carol"}
	}
	return nil
}
func (m *member) Withdrawn(canon.Digest, canon.Name) bool { return false }
func (m *member) Revoked(canon.Digest) bool               { return false }

// proposed is an amendment of the simulation with everything that was ever said about it.
type proposed struct {
	amendment []byte
	digest    canon.Digest
	entry     []byte
	honest    bool // alice and bob approved it
	held      map[string]canon.Signed
	first     map[string]canon.Time // when each member saw it first
	spoke     map[string]canon.Time // when each member said that it held it
	vetoes    map[string]bool       // by member: a veto had reached it when it spoke
}

// world is the organisation: four members of whom node-4 lies, officers who approve, a courier who delivers what and when he likes.
type world struct {
	t         *rapid.T
	tb        testing.TB
	now       canon.Time
	members   []*member
	proposals []*proposed
	entries   [][]byte // that some member enacted, or that node-4 made up
	hasty     bool     // the negative control: members do not wait
}

func newWorld(t *rapid.T, tb testing.TB, hasty bool) *world {
	w := &world{t: t, tb: tb, now: start, hasty: hasty}
	for _, n := range []string{"node-1", "node-2", "node-3"} {
		w.members = append(w.members, &member{
			name: n, chain: openChain(tb, genesis()), since: map[canon.Digest]canon.Time{}, vetoed: map[canon.Digest]bool{},
		})
	}
	return w
}

func (w *world) member() *member { return rapid.SampledFrom(w.members).Draw(w.t, "member") }

// edits are what officers may want to change; some tighten, some loosen, some confirm or lift a freeze, some are refused.
var edits = []func(*canon.Genesis){
	raise, lower, lowerTo(5),
	func(g *canon.Genesis) { g.Limits[0].Amount = canon.AmountOf(8_000_000_000) },
	func(g *canon.Genesis) { g.Lifted = append(g.Lifted, canon.Digest{byte(len(g.Lifted) + 1)}) },
	func(g *canon.Genesis) {
		g.Confirmed = append(g.Confirmed, canon.Digest{0, byte(len(g.Confirmed) + len(g.Lifted) + 1)})
	},
	liftConfirmed,
	func(g *canon.Genesis) { g.Confirmed = g.Confirmed[:max(len(g.Confirmed), 1)-1] },
	bookQuorum(1, "officers", "security"), bookQuorum(2, "officers"), bookQuorum(3, "officers"), bookQuorum(2, "officers", "security"),
	func(g *canon.Genesis) { g.Book.Serial++ },
	func(g *canon.Genesis) { g.Book.Root[0] ^= 1 },
	func(g *canon.Genesis) { g.Builds = append(g.Builds, canon.Digest{byte(len(g.Builds) + 1)}) },
	func(g *canon.Genesis) { g.Builds = g.Builds[:max(len(g.Builds), 1)-1] },
	func(g *canon.Genesis) { g.Delays.Loosening += 3600 },
	func(g *canon.Genesis) { g.Delays.Loosening = max(3600, g.Delays.Loosening/2) },
	func(g *canon.Genesis) { g.Officers[0].Devices = nil },
	func(g *canon.Genesis) { g.Rules[1].Expiry--; g.Rules[2].FeeCaps[0].Amount = canon.AmountOf(77) },
	func(g *canon.Genesis) {
		g.Limits[1].Amount, g.Limits[2].Amount = canon.AmountOf(1), canon.AmountOf(16e18)
	},
}

// liftConfirmed lifts a freeze that was confirmed.
func liftConfirmed(g *canon.Genesis) {
	if len(g.Confirmed) == 0 {
		return
	}
	g.Lifted, g.Confirmed = append(g.Lifted, g.Confirmed[0]), g.Confirmed[1:]
}

// bookQuorum asks for so many of each group under a new root of the book.
func bookQuorum(n uint64, groups ...canon.Name) func(*canon.Genesis) {
	return func(g *canon.Genesis) {
		var parts []canon.Part
		for _, name := range groups {
			parts = append(parts, canon.Part{Group: name, Count: n})
		}
		g.Book.Quorum = canon.Quorum{AnyOf: [][]canon.Part{parts}}
	}
}

// propose lets officers approve an amendment of a member's charter; sometimes too few of them.
func (w *world) propose(*rapid.T) {
	w.draft(rapid.SampledFrom([][]string{twoOfficers, twoOfficers, {"alice"}, {"alice", "alice-token"}, {"alice", "dave"}}).Draw(w.t, "approvers"))
}

func (w *world) draft(keys []string) *proposed {
	c := w.member().chain
	change := rapid.SampledFrom(edits).Draw(w.t, "edit")
	a := amend(w.tb, c, change)
	if f, ok := c.Forked(); ok {
		heads := rapid.SliceOfNDistinct(rapid.SampledFrom(f.Amendments), 2, 2, rapid.ID).Draw(w.t, "heals")
		if a = w.heal(c, heads, change); a == nil {
			return nil
		}
	}
	p := &proposed{
		amendment: a, digest: canon.KindAmendment.Digest(a), entry: proposal(w.tb, c, a, keys...), honest: slices.Equal(keys, twoOfficers),
		held: map[string]canon.Signed{}, first: map[string]canon.Time{}, spoke: map[string]canon.Time{}, vetoes: map[string]bool{},
	}
	if known := w.find(p.digest); known != nil {
		return known
	}
	w.proposals = append(w.proposals, p)
	return p
}

func (w *world) heal(c *amendment.Chain, heads []canon.Digest, change func(*canon.Genesis)) []byte {
	for _, e := range w.entries { // its state is that of the branch that it follows
		var entry canon.CharterEntry
		var a canon.Amendment
		if canon.Decode(e, &entry) != nil || canon.Decode(entry.Amendment, &a) != nil || canon.KindAmendment.Digest(entry.Amendment) != heads[0] {
			continue
		}
		var g canon.Genesis
		if err := canon.Decode(a.State, &g); err != nil {
			w.t.Fatal(err)
		}
		if rapid.Bool().Draw(w.t, "heal changes more") {
			change(&g)
		}
		return encode(w.tb, canon.Amendment{
			Organisation: a.Organisation, Number: a.Number + 1, Previous: heads[0], State: encode(w.tb, g), Heals: sorted(heads[0], heads[1]),
		})
	}
	return nil
}

// inapplicable has rapid draw another action, because this one needs something that is not there yet. No test is skipped by it.
func (w *world) inapplicable(reason string) { w.t.Skip(reason) }

func (w *world) proposal() *proposed {
	if len(w.proposals) == 0 {
		w.inapplicable("no proposal yet")
	}
	return rapid.SampledFrom(w.proposals).Draw(w.t, "proposal")
}

func (w *world) deliverProposal(*rapid.T) {
	w.offer(w.member(), w.proposal())
}

func (w *world) offer(m *member, p *proposed) {
	next, _, err := m.chain.Propose(p.entry, w.now, m)
	if err != nil {
		return
	}
	m.chain = next
	if _, ok := m.since[p.digest]; !ok {
		m.since[p.digest], p.first[m.name] = w.now, w.now
	}
}

func (w *world) veto(*rapid.T) { w.member().vetoed[w.proposal().digest] = true }

// round lets a proposal go its usual way, with some members left out.
func (w *world) round(*rapid.T) {
	p := w.draft(twoOfficers)
	if p == nil {
		return
	}
	for i := len(w.members) - 1; i >= 0; i-- {
		if rapid.IntRange(0, 9).Draw(w.t, "reaches") > 0 {
			w.offer(w.members[i], p)
		}
	}
	if rapid.IntRange(0, 5).Draw(w.t, "vetoed") == 0 {
		w.member().vetoed[p.digest] = true
	}
	w.wait(w.t)
	for _, m := range w.members {
		w.say(m, p)
	}
	for _, m := range w.members {
		if rapid.IntRange(0, 3).Draw(w.t, "assembles") > 0 {
			w.enact(m, p)
		}
	}
}

func (w *world) wait(*rapid.T) {
	w.now += canon.Time(rapid.SampledFrom([]uint64{1, 3599, 3600, day / 2, day}).Draw(w.t, "seconds"))
}

// hold lets a member say that it held a proposal, when its own clock says so; node-4 says it at once.
func (w *world) hold(*rapid.T) { w.say(w.member(), w.proposal()) }

func (w *world) say(m *member, p *proposed) {
	since, ok := m.since[p.digest]
	if !ok {
		return
	}
	now := w.now
	if w.hasty {
		now += 500 * day
	}
	h, err := m.chain.Hold(p.digest, canon.Name(m.name), since, now, m)
	if err != nil {
		return
	}
	if _, spoken := p.spoke[m.name]; !spoken {
		p.spoke[m.name], p.vetoes[m.name] = w.now, m.vetoed[p.digest]
	}
	p.held[m.name] = sealed(h, w.tb, m.name)
	lie := *h
	lie.Signer = "node-4"
	p.held["node-4"] = sealed(&lie, w.tb, "node-4")
}

// assemble makes an entry of what signers said, and delivers it to a member.
func (w *world) assemble(*rapid.T) { w.enact(w.member(), w.proposal()) }

func (w *world) enact(m *member, p *proposed) {
	var statements []canon.Signed
	for _, n := range []string{"node-1", "node-2", "node-3", "node-4"} {
		if s, ok := p.held[n]; ok {
			statements = append(statements, s)
		}
	}
	var e canon.CharterEntry
	if err := canon.Decode(p.entry, &e); err != nil {
		w.t.Fatal(err)
	}
	var a canon.Amendment
	if err := canon.Decode(p.amendment, &a); err != nil {
		w.t.Fatal(err)
	}
	e.Step, e.Held = canon.StepEnact, statements
	if len(a.Heals) > 0 {
		e.Step = canon.StepHeal
	}
	b := encode(w.tb, e)
	if w.take(m, b) && !slices.ContainsFunc(w.entries, func(x []byte) bool { return string(x) == string(b) }) {
		w.entries = append(w.entries, b)
	}
}

func (w *world) deliverEntry(*rapid.T) {
	if len(w.entries) == 0 {
		w.inapplicable("no entry yet")
	}
	w.take(w.member(), rapid.SampledFrom(w.entries).Draw(w.t, "entry"))
}

// take offers an entry to a member; hasty ones have clocks that run ahead.
func (w *world) take(m *member, entry []byte) bool {
	now := w.now
	if w.hasty {
		now += 500 * day
	}
	next, err := m.chain.Enact(entry, now, m)
	if err != nil {
		return false
	}
	m.chain = next
	return true
}
