package ledger

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

// The rules as the simulation works them out, from what it handed out and what was acknowledged, by nothing that members compute.

// meets reports whether distinct persons fill the quorum: it tries who fills which place.
func (w *world) meets(g *canon.Genesis, q canon.Quorum, keys []string) bool {
	return slices.ContainsFunc(q.AnyOf, func(parts []canon.Part) bool {
		var places []canon.Name
		for _, p := range parts {
			for range p.Count {
				places = append(places, p.Group)
			}
		}
		return w.fill(g, places, keys, nil)
	})
}

func (w *world) fill(g *canon.Genesis, places []canon.Name, keys, taken []string) bool {
	if len(places) == 0 {
		return true
	}
	for _, key := range keys {
		person := string(officerOf(key))
		if w.faults.byKeys {
			person = key
		}
		if !slices.Contains(taken, person) && belongs(g, places[0], key) && w.fill(g, places[1:], keys, append(slices.Clone(taken), person)) {
			return true
		}
	}
	return false
}

// belongs reports whether the key's officer is in the group and its class good enough for it.
func belongs(g *canon.Genesis, group canon.Name, key string) bool {
	i := slices.IndexFunc(g.Groups, func(x canon.Group) bool { return x.Name == group })
	o := slices.IndexFunc(g.Officers, func(x canon.Officer) bool { return x.Name == officerOf(key) })
	k := slices.IndexFunc(g.Officers[o].Keys, func(x canon.OfficerKey) bool { return bytes.Equal(x.Public, chartertest.SSH(key)) })
	return slices.Contains(g.Groups[i].Members, officerOf(key)) && g.Officers[o].Keys[k].Class <= g.Groups[i].Weakest
}

// votes returns whose keys approved an object and count with the member at that time.
func (w *world) votes(m *member, object canon.Digest, approvals []canon.Signed, at canon.Time) []string {
	var keys []string
	for _, s := range approvals {
		var a canon.Approval
		if err := canon.Decode(s.Document, &a); err != nil {
			w.t.Fatal(err)
		}
		key := signers[string(s.Signature)]
		stopped := m != nil && (w.has(m, canon.StateRevoke, approval.KeyDigest(chartertest.SSH(key)), "") || w.has(m, canon.StateWithdraw, object, a.Officer))
		if a.NotAfter >= at && !stopped {
			keys = append(keys, key)
		}
	}
	return keys
}

// has reports whether a member recorded such a statement; no officer means any.
func (w *world) has(m *member, verb canon.Verb, object canon.Digest, officer canon.Name) bool {
	for id := range m.known.said {
		if s := w.statements[id]; s.Verb == verb && s.Object == object && (officer == "" || s.Officer == officer) {
			return true
		}
	}
	return false
}

// quorum reports whether approvals carry the draft at that time, with what the member knows of withdrawals and revocations.
func (w *world) quorum(m *member, d *draft, approvals []canon.Signed, at canon.Time) bool {
	keys := w.votes(m, d.digest, approvals, at)
	if d.heals {
		first := w.members[0].genesis()
		return w.meets(first, first.Amendment, keys) && w.meets(d.under, d.under.Amendment, keys)
	}
	return w.meets(d.under, d.under.Amendment, keys) && (!d.loosens || w.meets(d.state, d.state.Amendment, keys))
}

func (m *member) genesis() *canon.Genesis {
	c, _ := m.ledger.Chain().Charter(1)
	return c.Genesis()
}

func (m *member) charter() *canon.Genesis { return m.ledger.Chain().Current().Genesis() }

// mayUpdate reports whether approvals carry the version of the book at a member now. Only officers whom the book's quorum asks are heard.
func (w *world) mayUpdate(m *member, b *bookDoc) bool {
	g := m.charter()
	for _, x := range g.Groups {
		asked := slices.ContainsFunc(slices.Concat(g.Book.Quorum.AnyOf...), func(p canon.Part) bool { return p.Group == x.Name })
		rejected := func(officer canon.Name) bool {
			return w.has(m, canon.StateReject, b.digest, officer) || w.has(m, canon.StateVeto, b.digest, officer)
		}
		if asked && slices.ContainsFunc(x.Members, rejected) {
			return false
		}
	}
	return w.meets(g, g.Book.Quorum, w.votes(m, b.digest, b.approvals, m.clock))
}

func (w *world) vetoed(m *member, d *draft) bool {
	if !w.faults.anyVeto {
		return w.has(m, canon.StateVeto, d.digest, "")
	}
	return slices.ContainsFunc(w.members, func(m *member) bool { return w.has(m, canon.StateVeto, d.digest, "") })
}

// stops reports whether the draft must not have that word.
func (d *draft) stops(s spoken) bool { return s.held < d.delay || s.stopped || s.vetoed && d.loosens }

// rival reports whether the member gave its word a short time ago for something else that still waits.
func (w *world) rival(m *member, d *draft) bool {
	for other, word := range m.known.words {
		var h canon.Held
		if err := canon.Decode(word.Document, &h); err != nil {
			w.t.Fatal(err)
		}
		if _, mine := m.known.words[d.digest]; !mine && other != d.digest && m.clock < h.Until+grace {
			return true
		}
	}
	return false
}

// forget drops what does not wait any more, after the charter changed.
func (w *world) forget(m *member) {
	c := m.ledger.Chain()
	f, forked := c.Forked()
	for id := range m.known.first {
		d := w.drafts[id]
		if d.heals && forked && d.doc.Number == f.Number+1 && !m.known.enacted[id] || !d.heals && !forked && d.doc.Previous == c.Current().Digest() {
			continue
		}
		delete(m.known.first, id)
		delete(m.known.approvals, id)
		delete(m.known.words, id)
	}
}

// admits reports whether a member records the statement now.
func (w *world) admits(m *member, s *statementDoc, peer bool) bool {
	_, known := m.known.said[s.id]
	switch {
	case known:
		return true
	case w.has(m, canon.StateRevoke, approval.KeyDigest(chartertest.SSH(s.key)), ""), s.NotAfter != 0 && m.clock > s.NotAfter:
		return false
	}
	live := func(id canon.Digest) bool {
		return w.statements[id] != nil && w.statements[id].Officer == s.Officer && contains(m.known.said, id)
	}
	return peer || s.Verb != canon.StateFreeze || !slices.ContainsFunc(w.live(m, m.clock), live)
}

func contains[K comparable, V any](m map[K]V, k K) bool {
	_, ok := m[k]
	return ok
}

// live returns the freezes that hold at a member at that time: an officer's from when it was first seen until it lapses or ends, unless one of the
// same officer held then; one that the charter lifts never; one that it confirms always.
func (w *world) live(m *member, now canon.Time) []canon.Digest {
	g := m.charter()
	by := map[canon.Name][]*statementDoc{}
	var out []canon.Digest
	for id := range m.known.said {
		if s := w.statements[id]; s.Verb == canon.StateFreeze && !slices.Contains(g.Lifted, id) && !slices.Contains(g.Confirmed, id) {
			by[s.Officer] = append(by[s.Officer], s)
		}
	}
	for _, freezes := range by {
		slices.SortFunc(freezes, func(a, b *statementDoc) int {
			return cmp.Or(cmp.Compare(m.known.said[a.id], m.known.said[b.id]), bytes.Compare(a.id[:], b.id[:]))
		})
		var free canon.Time
		for _, s := range freezes {
			since := m.known.said[s.id]
			until := since + canon.Time(g.Delays.FreezeLapse)
			if w.faults.lasting {
				until = late
			}
			if s.NotAfter != 0 {
				until = min(until, s.NotAfter+1)
			}
			if since < free || until <= since {
				continue
			}
			free = until
			if now < until {
				out = append(out, s.id)
			}
		}
	}
	return sortedDigests(append(out, g.Confirmed...))
}

func sortedDigests(all []canon.Digest) []canon.Digest {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b canon.Digest) int { return bytes.Compare(a[:], b[:]) })
	return all
}

// required returns the versions of the book that an address must be in at a member at that time.
func (w *world) required(m *member, now canon.Time) []book.Requirement {
	first := m.genesis().Book
	seen := maps.Clone(m.known.versions)
	seen[book.Root{Serial: first.Serial, Size: first.Size, Hash: first.Root}] = 0
	last, payable, cooldown := first.Serial, first.Serial, canon.Time(m.charter().Delays.BookCooldown)
	configured := cooldown
	if w.faults.warm {
		cooldown = 0
	}
	for r, at := range seen {
		last = max(last, r.Serial)
		if r.Serial > first.Serial && at+cooldown <= now {
			payable = max(payable, r.Serial)
		}
	}
	var out []book.Requirement
	for r := range seen {
		if r.Serial == last || r.Serial == payable {
			want := book.Requirement{Root: r, Newest: r.Serial == last}
			if want.Newest && r.Serial > first.Serial {
				want.PayableAt = seen[r] + configured
			}
			out = append(out, want)
		}
	}
	slices.SortFunc(out, func(a, b book.Requirement) int {
		return cmp.Or(cmp.Compare(b.Serial, a.Serial), bytes.Compare(a.Hash[:], b.Hash[:]))
	})
	return out
}
