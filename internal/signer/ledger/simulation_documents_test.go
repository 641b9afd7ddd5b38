package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

const (
	beginning = canon.Time(100_000) // of a simulation; the test charter is valid from second 1,000
	aDay      = 86_400
	soon      = beginning + aDay + 7200 // when approvals end that end early
	late      = beginning + 1000*aDay
)

// signatures are those that simulations made before, and who made them: the same document by the same key is signed once.
var (
	signatures = map[string]canon.Signed{}
	signers    = map[string]string{}
)

func signedOnce(t testing.TB, key string, d canon.Document) canon.Signed {
	t.Helper()
	document, err := canon.Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	id := key + string(d.Kind()) + string(document)
	s, ok := signatures[id]
	if !ok {
		s = signed(t, canon.Name(key), d)
		signatures[id], signers[string(s.Signature)] = s, key
	}
	return s
}

func wordOf(h canon.Held) (canon.Signed, error) {
	b, err := canon.Encode(h)
	return canon.Signed{Document: b, Scheme: canon.Ed25519, Signature: ed25519.Sign(chartertest.Key(string(h.Signer)), canon.KindHeld.Message(b))}, err
}

// draft is an amendment of a simulation, with what it changes as the test works it out.
type draft struct {
	encoding []byte
	doc      canon.Amendment
	digest   canon.Digest
	state    *canon.Genesis
	under    *canon.Genesis // the charter that it amends; of a heal the one that forked
	heals    bool
	loosens  bool
	delay    uint64
	entries  []proposedEntry
	drafter  *member
}

func (d *draft) String() string {
	return fmt.Sprintf("amendment %d (heals %t, loosens %t, %d seconds, quorum %s, then %s)", d.doc.Number, d.heals, d.loosens, d.delay, d.under.Amendment, d.state.Amendment)
}

// proposedEntry proposes a draft with the approvals of some officers.
type proposedEntry struct {
	encoding  []byte
	approvals []canon.Signed
}

// statementDoc is a statement of a simulation.
type statementDoc struct {
	canon.Statement
	id     canon.Digest
	key    string // that signed
	signed canon.Signed
}

// bookDoc is a version of the address book in a simulation.
type bookDoc struct {
	canon.BookRoot
	digest    canon.Digest
	approvals []canon.Signed
	encoding  []byte
}

// edit is what officers may want to change. Some tighten, some loosen, some confirm or lift a freeze, some are refused.
type edit func(w *world, g *canon.Genesis)

func amount(n uint64) edit {
	return func(_ *world, g *canon.Genesis) { g.Limits[0].Amount = canon.AmountOf(n) }
}

func quorumOf(n uint64, groups ...canon.Name) canon.Quorum {
	var parts []canon.Part
	for _, g := range groups {
		parts = append(parts, canon.Part{Group: g, Count: n})
	}
	return canon.Quorum{AnyOf: [][]canon.Part{parts}}
}

var edits = []edit{
	amount(3_000_000_000), amount(1_000_000_000), amount(2_000_000_000), amount(5),
	lift, confirm, lift,
	func(_ *world, g *canon.Genesis) { g.Confirmed = g.Confirmed[:max(len(g.Confirmed), 1)-1] },
	func(_ *world, g *canon.Genesis) { g.Book.Quorum = quorumOf(1, "officers", "security") },
	func(_ *world, g *canon.Genesis) { g.Book.Quorum = quorumOf(3, "officers") },
	func(_ *world, g *canon.Genesis) { g.Amendment = quorumOf(3, "officers") },
	func(_ *world, g *canon.Genesis) { g.Amendment = quorumOf(1, "officers", "security") },
	func(_ *world, g *canon.Genesis) { g.Amendment = quorumOf(2, "officers") },
	func(_ *world, g *canon.Genesis) { g.Groups[0].Members = []canon.Name{"alice", "carol"} },
	func(_ *world, g *canon.Genesis) { g.Groups[0].Members = []canon.Name{"alice", "bob", "carol"} },
	func(_ *world, g *canon.Genesis) { g.Groups[0].Weakest = canon.ClassToken },
	func(_ *world, g *canon.Genesis) { g.Delays.Loosening += 3600 },
	func(_ *world, g *canon.Genesis) { g.Delays.Loosening = max(3600, g.Delays.Loosening/2) },
	func(_ *world, g *canon.Genesis) { g.Delays.BookCooldown += 3600 },
	func(_ *world, g *canon.Genesis) { g.Delays.FreezeLapse /= 2 },
	func(_ *world, g *canon.Genesis) { g.Book.Root[0] ^= 1 },
	func(_ *world, g *canon.Genesis) { g.Builds = append(g.Builds, canon.Digest{byte(len(g.Builds) + 1)}) },
}

func lift(w *world, g *canon.Genesis) {
	id := w.freezeID()
	g.Confirmed = slices.DeleteFunc(g.Confirmed, func(d canon.Digest) bool { return d == id })
	g.Lifted = append(g.Lifted, id)
}

func confirm(w *world, g *canon.Genesis) { g.Confirmed = append(g.Confirmed, w.freezeID()) }

// freezeID is that of a freeze that officers may or may not have uttered.
func (w *world) freezeID() canon.Digest { return pick(w, "freeze", w.freezes()).id }

// freezes are those that officers may utter.
func (w *world) freezes() []*statementDoc {
	freeze := func(key string, serial uint64, notAfter canon.Time) *statementDoc {
		return w.statement(key, canon.Statement{Verb: canon.StateFreeze, Object: w.config.Organisation, Serial: serial, NotAfter: notAfter})
	}
	return []*statementDoc{
		freeze("alice", 1, 0), freeze("alice-token", 2, 0), freeze("bob", 1, 0), freeze("carol", 1, beginning+2*aDay), freeze("carol", 2, 0), freeze("dave", 1, 0),
	}
}

// revocations are of keys by other keys of the same officer, or by themselves.
func (w *world) revocations() []*statementDoc {
	revoke := func(key, of string) *statementDoc {
		return w.statement(key, canon.Statement{Verb: canon.StateRevoke, Object: approval.KeyDigest(chartertest.SSH(of)), Serial: 9})
	}
	return []*statementDoc{
		revoke("carol-token", "carol"), revoke("carol", "carol-token"), revoke("dave", "dave"), revoke("bob", "bob"), revoke("alice-token", "alice"),
	}
}

func (w *world) statement(key string, s canon.Statement) *statementDoc {
	s.Organisation, s.Officer = w.config.Organisation, officerOf(key)
	out := &statementDoc{Statement: s, key: key, signed: signedOnce(w.tb, key, s)}
	out.id = canon.KindStatement.Digest(out.signed.Document)
	return out
}

// officerOf returns whose key of chartertest it is: "alice-token" is alice's.
func officerOf(key string) canon.Name {
	name, _, _ := bytes.Cut([]byte(key), []byte("-"))
	return canon.Name(name)
}

func (w *world) encode(d canon.Document) []byte {
	b, err := canon.Encode(d)
	if err != nil {
		w.tb.Fatal(err)
	}
	return b
}

func (w *world) copied(g *canon.Genesis) *canon.Genesis {
	var out canon.Genesis
	if err := canon.Decode(w.encode(*g), &out); err != nil {
		w.tb.Fatal(err)
	}
	return &out
}

// draft writes an amendment that follows what a member has in force, or that heals the fork that it knows.
func (w *world) draft(m *member) *draft {
	c := m.ledger.Chain()
	base := c.Current().Genesis()
	d := &draft{under: base, drafter: m}
	d.doc = canon.Amendment{Organisation: w.config.Organisation, Number: c.Current().Number() + 1, Previous: c.Current().Digest()}
	if pick(w, "not before", []int{0, 0, 0, 1}) > 0 {
		d.doc.NotBefore = soon
	}
	var branches []*draft
	if f, forked := c.Forked(); forked {
		before, _ := c.Charter(f.Number - 1)
		d.under = before.Genesis()
		branches = w.branches(f, d)
		base = branches[0].state
	}
	d.state = w.copied(base)
	if !d.heals || w.one(2, "heal changes more") {
		w.change(d.state)
	}
	d.doc.State = w.encode(*d.state)
	d.encoding = w.encode(d.doc)
	d.digest = canon.KindAmendment.Digest(d.encoding)
	if known := w.drafts[d.digest]; known != nil {
		return known
	}
	w.judgeChange(d, branches)
	w.drafts[d.digest] = d
	w.order = append(w.order, d)
	return d
}

// change makes one edit that changes something, if it draws one in time.
func (w *world) change(g *canon.Genesis) {
	before := w.encode(*g)
	for tries := 0; tries < 3 && bytes.Equal(before, w.encode(*g)); tries++ {
		pick(w, "edit", edits)(w, g)
	}
}

// branches draws which two amendments of a fork a draft heals; it follows the first.
func (w *world) branches(f amendment.Fork, d *draft) []*draft {
	at := pick(w, "first branch", []int{0, 1})
	pair := []*draft{w.drafts[f.Amendments[at]], w.drafts[f.Amendments[1-at]]}
	if pair[0].heals {
		d.under = pair[0].under // heals of one fork, that fork in turn
	}
	d.heals, d.doc.Number, d.doc.Previous, d.doc.Heals = true, f.Number+1, pair[0].digest, f.Amendments[:2]
	return pair
}

// judgeChange works out what the draft loosens and for how long it must be held.
func (w *world) judgeChange(d *draft, branches []*draft) {
	if d.heals {
		d.loosens = !slices.ContainsFunc(branches, func(b *draft) bool { return !charter.Compare(b.state, d.state).Loosens() })
		if d.loosens {
			d.delay = d.under.Delays.Loosening
		}
		return
	}
	diff := charter.Compare(d.under, d.state)
	d.loosens = diff.Loosens()
	switch {
	case diff.OnlyUnfreezes():
		d.delay = d.under.Delays.Unfreeze
	case d.loosens:
		d.delay = d.under.Delays.Loosening
	}
}

// usual are keys that approve something together, and are enough under most charters.
var usual = [][]string{{"alice", "bob"}, {"bob", "carol"}, {"carol", "alice-token", "bob"}, {"alice", "bob", "carol-token"}, {"alice-token", "carol-token"}}

// approvers are others, and some that are not enough.
var approvers = [][]string{
	{"alice", "bob"}, {"carol", "alice-token", "bob"}, {"alice", "alice-token"}, {"alice"}, {"alice", "dave"}, {"carol-token", "bob"}, {"bob", "dave", "alice-token"},
}

func (w *world) approve(object canon.Object, id canon.Digest, keys []string) []canon.Signed {
	var out []canon.Signed
	for _, key := range keys {
		out = append(out, signedOnce(w.tb, key, canon.Approval{
			Organisation: w.config.Organisation, Object: object, Digest: id, Decision: canon.Approve, Officer: officerOf(key),
			NotAfter: pick(w, "approved up to", []canon.Time{late, late, late, soon}),
		}))
	}
	return out
}

// proposed lets officers approve the draft.
func (w *world) proposed(d *draft, keys []string) proposedEntry {
	e := proposedEntry{approvals: w.approve(canon.ObjectAmendment, d.digest, keys)}
	e.encoding = w.encode(canon.CharterEntry{Organisation: w.config.Organisation, Step: canon.StepPropose, Amendment: d.encoding, Approvals: e.approvals})
	if !slices.ContainsFunc(d.entries, func(x proposedEntry) bool { return bytes.Equal(x.encoding, e.encoding) }) {
		d.entries = append(d.entries, e)
	}
	return e
}

// enactment is an entry with approvals of the draft and the words there are.
func (w *world) enactment(d *draft) ([]byte, bool) {
	if len(d.entries) == 0 {
		return nil, false
	}
	e := canon.CharterEntry{Organisation: w.config.Organisation, Step: canon.StepEnact, Amendment: d.encoding}
	if d.heals {
		e.Step = canon.StepHeal
	}
	e.Approvals = pick(w, "approvals", d.entries).approvals
	for _, name := range slices.Sorted(maps.Keys(w.words[d.digest])) {
		e.Held = append(e.Held, w.words[d.digest][name])
	}
	if len(e.Held) > 3 {
		e.Held = e.Held[pick(w, "without", []int{0, 1}):]
	}
	if len(e.Held) == 2 {
		e.Held = append(e.Held, e.Held[0]) // one of them twice
	}
	return w.encode(e), len(e.Held) > 1
}

// bookDoc writes a version of the address book after the newest of a member: mostly the next, sometimes a rival of it, an old one or a later one.
func (w *world) bookDoc(m *member) *bookDoc {
	newest := m.ledger.Book().Newest()[0]
	b := &bookDoc{BookRoot: canon.BookRoot{Organisation: w.config.Organisation, Previous: newest.Hash, Size: 3}}
	b.Serial = newest.Serial + pick(w, "beyond", []uint64{1, 1, 0, 2})
	b.Root = sha256.Sum256(fmt.Append(nil, "book ", b.Serial, pick(w, "which", []int{0, 1, 2})))
	document := w.encode(b.BookRoot)
	b.digest = canon.KindBookRoot.Digest(document)
	b.approvals = w.approve(canon.ObjectBookRoot, b.digest, pick(w, "approvers", approvers))
	b.encoding = w.encode(canon.BookUpdate{Organisation: w.config.Organisation, Root: document, Approvals: b.approvals})
	return b
}
