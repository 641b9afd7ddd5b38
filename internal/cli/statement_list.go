package cli

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// said is what officers said, as far as the signers that answered have recorded it and as it verified.
type said struct {
	all         *approval.Set            // each with the earliest time at which a signer recorded it
	sets        map[string]*approval.Set // by signer
	unreachable []UnreachableView
	refused     map[string]int // by signer: statements that did not verify
	asked       int
}

// listen asks every signer for the statements that it has recorded.
func (s *Session) listen(ctx context.Context) (*said, error) {
	peers, err := s.signers()
	if err != nil {
		return nil, err
	}
	out := &said{all: approval.NewSet(), sets: map[string]*approval.Set{}, refused: map[string]int{}, asked: len(peers)}
	answers := askSigners(ctx, peers, func(ctx context.Context, p signerPeer) ([]*pb.RecordedStatement, error) {
		return pages(func(token string) ([]*pb.RecordedStatement, string, error) {
			r, err := p.ListStatements(ctx, &pb.ListStatementsRequest{PageToken: []byte(token)})
			return r.GetStatements(), string(r.GetNextPageToken()), err
		})
	})
	for _, a := range answers {
		if a.Err != nil {
			out.unreachable = append(out.unreachable, unreachable(a))
			continue
		}
		set := approval.NewSet()
		out.sets[a.Server] = set
		for _, r := range a.Value {
			if err := s.take(out.all, set, r); err != nil {
				out.refused[a.Server]++
			}
		}
	}
	return out, nil
}

// take adds a recorded statement to both sets if it verifies.
func (s *Session) take(all, set *approval.Set, r *pb.RecordedStatement) error {
	signed, err := signedOf(r.GetStatement())
	if err != nil {
		return err
	}
	if err := s.verifyStatement(signed); err != nil {
		return err
	}
	if !r.GetFirstSeen().IsValid() {
		return fmt.Errorf("first_seen: expected a time, found none")
	}
	seen := canon.TimeOf(r.GetFirstSeen().AsTime())
	if _, err := all.Add(signed, seen); err != nil {
		return err
	}
	_, err = set.Add(signed, seen)
	return err
}

// verifyStatement verifies a statement by the charter in force, or by one before it: what an officer said stays said when he leaves.
func (s *Session) verifyStatement(signed canon.Signed) error {
	_, first := approval.VerifyStatement(s.Charter, signed)
	for n := s.Charter.Number() - 1; first != nil && n > 0; n-- {
		c, _ := s.Chain.Charter(n)
		if _, err := approval.VerifyStatement(c, signed); err == nil {
			return nil
		}
	}
	return first
}

// StatementsView is what officers said.
type StatementsView struct {
	Freezes     []FreezeView      `json:"freezes"` // that hold now
	Statements  []RecordedView    `json:"statements"`
	Refused     []UnreachableView `json:"refused,omitempty"`
	Unreachable []UnreachableView `json:"unreachable,omitempty"`
}

// FreezeView is a freeze that holds now at a signer.
type FreezeView struct {
	Statement string `json:"statement"`
	Officer   string `json:"officer,omitempty"` // empty if no signer that answered recorded it
	// Confirmed says that a quorum confirmed it by an amendment: it holds until another amendment lifts it.
	Confirmed bool     `json:"confirmed,omitempty"`
	Lapses    string   `json:"lapses,omitempty"` // at the last of the signers; empty if it does not
	LapsesIn  string   `json:"lapses_in,omitempty"`
	HeldBy    []string `json:"held_by"`
}

// text says in one line what is frozen.
func (f FreezeView) text() string {
	held := strings.Join(f.HeldBy, ", ")
	switch {
	case f.Officer == "":
		return fmt.Sprintf("FROZEN by statement %s, confirmed by a quorum until an amendment lifts it; no signer that answered recorded it", f.Statement[:16])
	case f.Confirmed:
		return fmt.Sprintf("FROZEN by %s, confirmed by a quorum until an amendment lifts it, at %s", f.Officer, held)
	}
	return fmt.Sprintf("FROZEN by %s, for another %s, at %s", f.Officer, f.LapsesIn, held)
}

// RecordedView is a statement that verified.
type RecordedView struct {
	Statement  string   `json:"statement"`
	Verb       string   `json:"verb"`
	Officer    string   `json:"officer"`
	Object     string   `json:"object"`
	Reason     string   `json:"reason,omitempty"`
	NotAfter   string   `json:"not_after,omitempty"`
	FirstSeen  string   `json:"first_seen"` // at the first of the signers
	RecordedBy []string `json:"recorded_by"`
}

func (v StatementsView) writeText(t *text) {
	for _, f := range v.Freezes {
		t.say("%s", f.text())
	}
	if len(v.Freezes) > 0 {
		t.gap()
	}
	if len(v.Statements) == 0 {
		t.say("No officer said anything.")
	}
	for _, r := range v.Statements {
		t.say("%s  %s by %s, first recorded %s", r.Statement[:16], r.Verb, r.Officer, r.FirstSeen)
		t.say("  about %s", r.Object)
		if r.Reason != "" {
			t.say("  reason: %s", r.Reason)
		}
		t.say("  recorded by %s", strings.Join(r.RecordedBy, ", "))
	}
	for _, r := range v.Refused {
		t.say("WARNING: %s: %s", r.Server, r.Error)
	}
	writeUnreachable(t, v.Unreachable)
}

// Statements prints what officers said, from every signer that answers.
func (s *Session) Statements(ctx context.Context) error {
	heard, err := s.listen(ctx)
	if err != nil {
		return err
	}
	if len(heard.unreachable) == heard.asked {
		return fmt.Errorf("%w: %s", ErrUnreachable, firstError(heard.unreachable))
	}
	v := StatementsView{Freezes: s.liveFreezes(heard), Statements: []RecordedView{}, Unreachable: heard.unreachable}
	for _, signer := range sortedKeys(heard.refused) {
		v.Refused = append(v.Refused, UnreachableView{signer, fmt.Sprintf("%d statements do not verify", heard.refused[signer])})
	}
	for _, id := range heard.all.IDs(canon.Digest{}, heard.all.Len()) {
		r, _ := heard.all.Get(id)
		item := RecordedView{Statement: id.String(), Verb: verbText(r.Verb), Officer: string(r.Officer), Object: r.Object.String(), Reason: string(r.Reason),
			FirstSeen: stamp(r.Seen), RecordedBy: heard.holders(id)}
		if r.NotAfter != 0 {
			item.NotAfter = stamp(r.NotAfter)
		}
		v.Statements = append(v.Statements, item)
	}
	slices.SortStableFunc(v.Statements, func(a, b RecordedView) int { return cmp.Compare(a.FirstSeen, b.FirstSeen) })
	return s.Print(v)
}

// holders returns the signers that recorded the statement, sorted.
func (h *said) holders(id canon.Digest) []string {
	out := []string{}
	for _, signer := range sortedKeys(h.sets) {
		if _, ok := h.sets[signer].Get(id); ok {
			out = append(out, signer)
		}
	}
	return out
}

// liveFreezes returns what holds now at any signer, by the time at which that signer recorded it, and was not lifted; and what a quorum
// confirmed.
func (s *Session) liveFreezes(h *said) []FreezeView {
	byStatement := map[canon.Digest]*FreezeView{}
	view := func(id canon.Digest) *FreezeView {
		if byStatement[id] == nil {
			byStatement[id] = &FreezeView{Statement: id.String(), HeldBy: []string{}}
		}
		return byStatement[id]
	}
	for _, signer := range sortedKeys(h.sets) {
		for _, f := range s.freezesAt(h.sets[signer]) {
			v := view(f.Statement)
			v.Officer, v.HeldBy = string(f.Officer), append(v.HeldBy, signer)
			if at := stamp(f.Until); at > v.Lapses {
				v.Lapses, v.LapsesIn = at, span(s.until(f.Until))
			}
		}
	}
	for _, id := range s.confirmed() {
		v := view(id)
		v.Confirmed, v.Lapses, v.LapsesIn = true, "", ""
		v.HeldBy = h.holders(id)
		if r, ok := h.all.Get(id); ok {
			v.Officer = string(r.Officer)
		}
	}
	out := []FreezeView{}
	for _, id := range slices.SortedFunc(maps.Keys(byStatement), func(a, b canon.Digest) int { return bytes.Compare(a[:], b[:]) }) {
		out = append(out, *byStatement[id])
	}
	return out
}

// confirmed returns the freezes that the charter in force confirms and does not lift.
func (s *Session) confirmed() []canon.Digest {
	g := s.Charter.Genesis()
	return slices.DeleteFunc(slices.Clone(g.Confirmed), func(id canon.Digest) bool { return slices.Contains(g.Lifted, id) })
}

// freezesAt returns the freezes that hold now by what one signer recorded. They are counted as signers count them: one that was lifted is
// one that was never there, so that what its officer froze after it holds.
func (s *Session) freezesAt(recorded *approval.Set) []approval.Freeze {
	g := s.Charter.Genesis()
	counted := approval.NewSet()
	for _, id := range recorded.IDs(canon.Digest{}, recorded.Len()) {
		r, _ := recorded.Get(id)
		if r.Verb == canon.StateFreeze && !slices.Contains(g.Lifted, id) {
			_, _ = counted.Add(r.Signed, r.Seen) // it was decoded before
		}
	}
	return counted.Live(s.now(), g.Delays.FreezeLapse)
}
