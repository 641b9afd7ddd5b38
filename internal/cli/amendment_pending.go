package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// proposal is an amendment that servers say may be enacted, with what verified of what they say.
type proposal struct {
	*draft
	signers []HolderView
	held    map[canon.Name]canon.Signed
	vetoes  []canon.Signed
	vetoers map[string]bool
}

// proposals returns the union of what coordinator and signers said when the session began, by digest. What does not follow the charter
// in force, as read from the bytes, is left out. statements are what officers are known to have said.
func (s *Session) proposals(statements amendment.Statements) []*proposal {
	entries := map[canon.Digest]*canon.CharterEntry{}
	reports := map[canon.Digest][]answer[*pb.PendingAmendment]{}
	for _, a := range s.news.answers {
		for _, pending := range a.Value.GetProposals() {
			var e canon.CharterEntry
			if canon.Decode(pending.GetEntry(), &e) != nil || e.Step != canon.StepPropose {
				continue
			}
			digest := canon.KindAmendment.Digest(e.Amendment)
			reports[digest] = append(reports[digest], answer[*pb.PendingAmendment]{Server: a.Server, Value: pending})
			if known := entries[digest]; known != nil {
				known.Approvals = unite(known.Approvals, e.Approvals)
			} else {
				entries[digest] = &e
			}
		}
	}
	var out []*proposal
	for digest, e := range entries {
		d, err := s.draft(*e, statements)
		if err != nil {
			continue // it cannot be enacted next
		}
		p := &proposal{draft: d, held: map[canon.Name]canon.Signed{}, vetoers: map[string]bool{}}
		for _, r := range reports[digest] {
			p.report(s, r)
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *proposal) int {
		return cmp.Or(cmp.Compare(a.Amendment.Number, b.Amendment.Number), bytes.Compare(a.Digest[:], b.Digest[:]))
	})
	return out
}

// maxUnited bounds the approvals that are kept of one amendment.
const maxUnited = 256

// unite returns all documents of both lists, each once for each signature.
func unite(a, b []canon.Signed) []canon.Signed {
	for _, s := range b {
		same := func(k canon.Signed) bool {
			return bytes.Equal(k.Document, s.Document) && bytes.Equal(k.Signature, s.Signature)
		}
		if len(a) < maxUnited && !slices.ContainsFunc(a, same) {
			a = append(a, s)
		}
	}
	return a
}

// report takes over what one server says of the amendment, as far as it is signed; the times are a signer's own word.
func (p *proposal) report(s *Session, r answer[*pb.PendingAmendment]) {
	for _, wire := range r.Value.GetHeld() {
		if signed, h, err := s.openHeld(wire, p.Digest); err == nil && p.longEnough(h, s) {
			p.held[h.Signer] = signed
		}
	}
	for _, wire := range r.Value.GetVetoes() {
		signed, err := signedOf(wire)
		if err != nil || s.verifyStatement(signed) != nil {
			continue
		}
		var st canon.Statement
		if canon.Decode(signed.Document, &st) == nil && st.Verb == canon.StateVeto && st.Object == p.Digest {
			p.vetoes = append(p.vetoes, signed)
			p.vetoers[string(st.Officer)] = true
		}
	}
	if r.Server != coordinatorName {
		_, held := p.held[canon.Name(r.Server)]
		p.signers = append(p.signers, HolderView{Signer: r.Server, FirstSeen: wireTime(r.Value.GetFirstSeenTime()), Ready: wireTime(r.Value.GetReadyTime()), Held: held})
	}
}

// longEnough reports whether the signer held the amendment for as long as the chain will ask for: one that did not would spoil what the
// others signed.
func (p *proposal) longEnough(h canon.Held, s *Session) bool {
	latest := s.now() + canon.Time(s.Charter.Genesis().Delays.ClockSkew)
	return h.Until-h.Since >= canon.Time(p.Delay) && h.Until >= p.Amendment.NotBefore && h.Until <= latest
}

// openHeld verifies that a member of the roster says it held the amendment.
func (s *Session) openHeld(wire *pb.Signed, digest canon.Digest) (canon.Signed, canon.Held, error) {
	var h canon.Held
	signed, err := signedOf(wire)
	if err != nil {
		return signed, h, err
	}
	if err := canon.Decode(signed.Document, &h); err != nil {
		return signed, h, err
	}
	member, ok := s.Charter.Signer(h.Signer)
	if !ok || !member.Ledger || h.Amendment != digest || h.Organisation != s.Charter.Organisation() || signed.Scheme != canon.Ed25519 ||
		!ed25519.Verify(member.Identity[:], canon.KindHeld.Message(signed.Document), signed.Signature) {
		return signed, h, fmt.Errorf("held: expected a statement about %s that a member of the roster signed, found another", digest)
	}
	return signed, h, nil
}

func (p *proposal) view(s *Session) AmendmentView {
	v := s.amendmentView(p.draft)
	v.Held = &HoldingView{Signers: p.signers, HeldBy: []string{}, Needed: s.Charter.Genesis().Roster.Quorum, VetoedBy: []string{}}
	for name := range p.held {
		v.Held.HeldBy = append(v.Held.HeldBy, string(name))
	}
	slices.Sort(v.Held.HeldBy)
	v.Held.VetoedBy = append(v.Held.VetoedBy, sortedKeys(p.vetoers)...)
	return v
}

// findProposal returns the one proposal that the digest or the beginning of it names.
func (s *Session) findProposal(name string) (*proposal, error) {
	return pick(s.proposals(nil), name)
}

func pick(all []*proposal, name string) (*proposal, error) {
	name, err := prefix(name)
	if err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(slices.Clone(all), func(p *proposal) bool { return !strings.HasPrefix(p.Digest.String(), name) })
	if len(found) != 1 {
		return nil, fmt.Errorf("digest: expected the beginning of one pending amendment's digest, found %q for %d of %d", name, len(found), len(all))
	}
	return found[0], nil
}

// findAmendment returns the digest of the one proposal that a name begins.
func (s *Session) findAmendment(name string) (canon.Digest, error) {
	p, err := s.findProposal(name)
	if err != nil {
		return canon.Digest{}, err
	}
	return p.Digest, nil
}

// AmendmentsView lists what waits to be enacted.
type AmendmentsView struct {
	Amendments  []AmendmentView   `json:"amendments"`
	Unreachable []UnreachableView `json:"unreachable,omitempty"`
}

func (v AmendmentsView) writeText(t *text) {
	if len(v.Amendments) == 0 {
		t.say("No amendment waits to be enacted.")
	}
	for i, a := range v.Amendments {
		if i > 0 {
			t.gap()
		}
		mark := ""
		if len(a.Held.VetoedBy) > 0 {
			mark = "  [vetoed by " + strings.Join(a.Held.VetoedBy, ", ") + "]"
		} else if uint64(len(a.Held.HeldBy)) >= a.Held.Needed {
			mark = "  [ready]"
		}
		t.say("%s  number %s%s", a.Amendment[:16], a.Number, mark)
		if a.Reason != "" {
			t.say("  reason: %s", a.Reason)
		}
		t.say("  %s looser, %s tighter; approved by %s", len(a.Looser), len(a.Tighter), strings.Join(a.ApprovedBy, ", "))
		writePoolDoubts(t, a.Pools...)
		t.say("  held by %s", a.Held.heldBy())
		for _, h := range a.Held.Signers {
			t.say("  %s: first seen %s, ready %s", h.Signer, h.FirstSeen, h.Ready)
		}
	}
	writeUnreachable(t, v.Unreachable)
}

// Amendments prints the union of what coordinator and signers say waits to be enacted.
func (s *Session) Amendments() error {
	v := AmendmentsView{Amendments: []AmendmentView{}, Unreachable: s.silent()}
	if len(v.Unreachable) == len(s.news.answers) {
		return fmt.Errorf("%w: %s", ErrUnreachable, firstError(v.Unreachable))
	}
	for _, p := range s.proposals(nil) {
		v.Amendments = append(v.Amendments, p.view(s))
	}
	return s.Print(v)
}

// silent returns who did not say what the charter is.
func (s *Session) silent() []UnreachableView {
	var out []UnreachableView
	for _, a := range s.news.answers {
		if a.Err != nil {
			out = append(out, unreachable(a))
		}
	}
	return out
}

// SubmissionView is what became of a proposal or an enactment.
type SubmissionView struct {
	Amendment string `json:"amendment"`
	Number    uint64 `json:"number"`
	Step      string `json:"step"`
	// RecordedBy are those that took it; for an enactment, those for which it is in force now.
	RecordedBy []string `json:"recorded_by"`
	// Needed is how many signers must have it before it can go on.
	Needed      uint64            `json:"needed"`
	Unreachable []UnreachableView `json:"unreachable,omitempty"`
}

func (v SubmissionView) writeText(t *text) {
	t.say("%s: amendment %s, number %s", v.Step, v.Amendment[:16], v.Number)
	t.field("Recorded by", strings.Join(v.RecordedBy, ", "))
	for _, u := range v.Unreachable {
		t.say("not recorded by %s: %s", u.Server, u.Error)
	}
	if n := signersOf(v.RecordedBy); n < v.Needed {
		t.say("WARNING: %s signers recorded this; %s must, or it cannot go on. Repeat the command when they are reachable.", n, v.Needed)
	}
}

// SubmitAmendment proposes an amendment to every signer and to the coordinator. Several files of one amendment, each signed by others,
// count together.
func (s *Session) SubmitAmendment(ctx context.Context, paths []string) error {
	var e canon.CharterEntry
	for i, path := range paths {
		d, err := s.readDraft(path)
		if err != nil {
			return err
		}
		if i == 0 {
			e = canon.CharterEntry{Organisation: s.Charter.Organisation(), Step: canon.StepPropose, Amendment: d.Encoding, Approvals: []canon.Signed{}}
		}
		if !bytes.Equal(e.Amendment, d.Encoding) {
			return fmt.Errorf("%s: expected the amendment of %s, found another", path, paths[0])
		}
		e.Approvals = unite(e.Approvals, d.Approvals)
	}
	heard, err := s.listen(ctx)
	if err != nil {
		return err
	}
	d, err := s.draft(e, heard.all)
	if err != nil {
		return err
	}
	if d.missing != nil {
		return fmt.Errorf("amendment %s: %w", d.Digest.String()[:16], d.missing)
	}
	if err := s.notePools(d.Next); err != nil {
		return fmt.Errorf("amendment %s: %w", d.Digest.String()[:16], err)
	}
	entry, err := d.Entry(nil)
	if err != nil {
		return err
	}
	return s.submitEntry(ctx, entry, SubmissionView{Amendment: d.Digest.String(), Number: d.Amendment.Number, Step: "proposed"}, s.Charter.Digest())
}

// submitEntry takes an entry to every signer and the coordinator. Whoever names another charter than the one expected after it did not
// take it.
func (s *Session) submitEntry(ctx context.Context, entry []byte, v SubmissionView, after canon.Digest) error {
	peers, err := s.signers()
	if err != nil {
		return err
	}
	v.RecordedBy, v.Needed = []string{}, s.Charter.Genesis().Roster.Quorum
	request := &pb.SubmitCharterEntryRequest{Entry: entry}
	answers := askSigners(ctx, peers, func(ctx context.Context, p signerPeer) (*pb.SubmitCharterEntryResponse, error) {
		return p.SubmitCharterEntry(ctx, request)
	})
	if s.Config.Coordinator != "" {
		a := answer[*pb.SubmitCharterEntryResponse]{Server: coordinatorName}
		c, err := s.coordinator()
		if err == nil {
			a.Value, err = call(ctx, c.SubmitCharterEntry, request)
		}
		a.Err = err
		answers = append(answers, a)
	}
	var refused *refusal.Refusal
	for _, a := range answers {
		if a.Err == nil && a.Value.GetDigest() != after.String() {
			a.Err = fmt.Errorf("expected charter %s after it, found number %d, %q", after, a.Value.GetNumber(), a.Value.GetDigest())
		}
		if a.Err != nil {
			refused = cmp.Or(refusal.Of(a.Err), refused)
			v.Unreachable = append(v.Unreachable, UnreachableView{a.Server, reasonText(a.Err)})
			continue
		}
		v.RecordedBy = append(v.RecordedBy, a.Server)
	}
	if err := s.Print(v); err != nil {
		return err
	}
	switch {
	case len(v.RecordedBy) > 0:
		return nil
	case refused != nil:
		return fmt.Errorf("nobody recorded the amendment: %w", refused)
	}
	return fmt.Errorf("%w: nobody recorded the amendment", ErrUnreachable)
}

// EnactAmendment puts together what enacts an amendment, from what signers signed, and takes it to everybody. It says what is missing.
func (s *Session) EnactAmendment(ctx context.Context, name string) error {
	heard, err := s.listen(ctx)
	if err != nil {
		return err
	}
	p, err := pick(s.proposals(heard.all), name)
	if err != nil {
		return err
	}
	if err := s.enactable(p, heard.all); err != nil {
		return fmt.Errorf("amendment %s: %w", p.Digest.String()[:16], err)
	}
	held := make([]canon.Signed, 0, len(p.held))
	for _, name := range sortedNames(p.held) {
		held = append(held, p.held[name])
	}
	entry, err := p.Entry(held)
	if err != nil {
		return err
	}
	next, err := s.Chain.Enact(entry, s.now(), heard.all)
	if err != nil {
		return fmt.Errorf("amendment %s: %w", p.Digest.String()[:16], err)
	}
	if next.Current().Digest() != p.Digest {
		return errors.New("amendment: expected it to be in force after its enactment, found a fork")
	}
	return s.submitEntry(ctx, entry, SubmissionView{Amendment: p.Digest.String(), Number: p.Amendment.Number, Step: "enacted"}, p.Digest)
}

// enactable refuses an amendment that signers did not hold for long enough, one that was vetoed, and one whose approvals are too few by
// now, and says all of that at once.
func (s *Session) enactable(p *proposal, all *approval.Set) error {
	var l refusal.List
	l.Join("approvals", "entry.approvals", p.missing)
	for _, v := range p.vetoes {
		if _, err := all.Add(v, s.now()); err != nil {
			return err
		}
	}
	if by := all.Vetoed(p.Digest); len(by) > 0 && p.Loosens && p.missing == nil {
		l.Add("veto", "amendment", "no veto", "one by "+names(by))
	}
	if q := s.Charter.Genesis().Roster.Quorum; uint64(len(p.held)) < q {
		var waits []string
		for _, h := range p.signers {
			if !h.Held {
				waits = append(waits, h.Signer+" is ready at "+h.Ready)
			}
		}
		for _, u := range s.silent() {
			waits = append(waits, u.Server+" did not answer")
		}
		l.Add("held", "entry.held", fmt.Sprintf("the word of %d signers that they held it", q),
			fmt.Sprintf("that of %d: %s; %s", len(p.held), names(sortedNames(p.held)), strings.Join(waits, "; ")))
	}
	return l.Err()
}

func sortedNames[V any](m map[canon.Name]V) []canon.Name {
	out := make([]canon.Name, 0, len(m))
	for n := range m {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}
