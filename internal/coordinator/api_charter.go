package coordinator

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// charterAPI is CharterService. Nobody takes the coordinator's word for anything here: entries carry their proof, and signers are asked
// directly by those who have to be sure that nothing is kept back.
type charterAPI struct {
	strongroomv1.UnimplementedCharterServiceServer
	*Service
}

// GetCharterChain implements the service, from what is stored and what signers said when they were last asked. An answer that would not
// fit into one message is cut: whoever follows asks again from the number that he has reached.
func (a *charterAPI) GetCharterChain(ctx context.Context, r *strongroomv1.GetCharterChainRequest) (*strongroomv1.GetCharterChainResponse, error) {
	entries, err := a.Store.CharterEntries(ctx)
	if err != nil {
		return nil, err
	}
	out := &strongroomv1.GetCharterChainResponse{}
	room := roomInMessage
	for _, e := range entries {
		if e.Number < r.GetFromNumber() {
			continue
		}
		if room -= len(e.Entry); room < 0 && len(out.Enacted) > 0 {
			return out, nil
		}
		out.Enacted = append(out.Enacted, e.Entry)
	}
	for _, p := range a.pending() {
		if room -= len(p.Entry); room < 0 {
			break
		}
		out.Proposals = append(out.Proposals, p)
	}
	return out, nil
}

// SubmitCharterEntry implements the service: it hands the entry to every signer of the charter, and follows what is enacted by it. It
// fails if no signer took it, with what they said, and the entry is not in force either.
func (a *charterAPI) SubmitCharterEntry(ctx context.Context, r *strongroomv1.SubmitCharterEntryRequest) (*strongroomv1.SubmitCharterEntryResponse, error) {
	var e canon.CharterEntry
	if err := canon.Decode(r.GetEntry(), &e); err != nil {
		return nil, invalid(refusal.New("entry", "entry", "a canonical charter entry", err.Error()))
	}
	if e.Organisation != a.organisation() {
		return nil, invalid(refusal.New("entry", "entry.organisation", a.organisation().String(), e.Organisation.String()))
	}
	taken, err := a.passOn(ctx, r.GetEntry())
	if e.Step != canon.StepPropose {
		if _, unfit := a.adopt(ctx, r.GetEntry()); unfit == nil {
			taken++
		} else {
			err = errors.Join(err, unfit)
		}
	}
	a.learnCharters(ctx)
	if taken == 0 {
		return nil, untaken(err)
	}
	now := a.charter()
	return &strongroomv1.SubmitCharterEntryResponse{Number: now.Number(), Digest: now.Digest().String()}, nil
}

// passOn hands an entry to all signers and returns how many took it, and why others did not.
func (s *Service) passOn(ctx context.Context, entry []byte) (taken int, failures error) {
	answers := ask(ctx, s.signers, s.members(), reserveTimeout, func(ctx context.Context, signer Signer) (*strongroomv1.SubmitCharterEntryResponse, error) {
		return signer.Charters.SubmitCharterEntry(ctx, &strongroomv1.SubmitCharterEntryRequest{Entry: entry})
	})
	var r round
	for a := range answers {
		if a.err == nil {
			taken++
		} else {
			r.note(a.signer, a.err)
		}
	}
	return taken, r.err()
}

// untaken gives the failure of all signers to take an entry its code.
func untaken(err error) error {
	if refusal.Of(err) != nil {
		return invalid(refusal.Of(err))
	}
	return status.Errorf(codes.Unavailable, "signers: expected one that takes the entry, found none: %s", clean(fmt.Sprint(err)))
}

// pending is the union of the proposals that signers have, by digest. What does not verify is left out: one signer that lies must not
// spoil what the others say.
func (s *Service) pending() []*strongroomv1.PendingAmendment {
	all := s.inForce()
	merged := map[canon.Digest]*merging{}
	s.heard.mu.Lock()
	heard := maps.Clone(s.heard.proposals)
	s.heard.mu.Unlock()
	for _, name := range s.members() {
		for _, said := range heard[name] {
			var e canon.CharterEntry
			if canon.Decode(said.GetEntry(), &e) != nil || e.Step != canon.StepPropose {
				continue
			}
			digest := canon.KindAmendment.Digest(e.Amendment)
			m := merged[digest]
			if m == nil {
				p, err := all.Review(e.Amendment)
				if err != nil {
					continue
				}
				m = &merging{all: all, roster: roster(all), proposal: p}
				merged[digest] = m
			}
			m.add(e, said)
		}
	}
	var out []*strongroomv1.PendingAmendment
	for _, d := range slices.SortedFunc(maps.Keys(merged), func(a, b canon.Digest) int { return bytes.Compare(a[:], b[:]) }) {
		if p, ok := merged[d].pending(); ok {
			out = append(out, p)
		}
	}
	return out
}

// roster returns the charter whose signers hold what is proposed now: the one in force, or the one before a fork.
func roster(all *amendment.Chain) *charter.Charter {
	if fork, ok := all.Forked(); ok {
		if before, ok := all.Charter(fork.Number - 1); ok {
			return before
		}
	}
	return all.Current()
}

// merging is one proposal as several signers have it.
type merging struct {
	all                     *amendment.Chain
	roster                  *charter.Charter // whose signers hold it
	proposal                *amendment.Proposal
	approvals, held, vetoes []canon.Signed
	seen, ready             []time.Time
}

func (m *merging) add(e canon.CharterEntry, said *strongroomv1.PendingAmendment) {
	for _, a := range e.Approvals {
		m.approvals = include(m.approvals, a, m.approves)
	}
	for _, h := range said.GetHeld() {
		m.held = include(m.held, fromSigned(h), m.holds)
	}
	for _, v := range said.GetVetoes() {
		m.vetoes = include(m.vetoes, fromSigned(v), m.vetoed)
	}
	if t := said.GetFirstSeenTime(); t.IsValid() {
		m.seen = append(m.seen, t.AsTime())
	}
	if t := said.GetReadyTime(); t.IsValid() {
		m.ready = append(m.ready, t.AsTime())
	}
}

// maxSaid bounds approvals, statements of signers and vetoes of one proposal.
const maxSaid = 256

// include adds a document that verifies, once.
func include(list []canon.Signed, s canon.Signed, verifies func(canon.Signed) bool) []canon.Signed {
	same := func(k canon.Signed) bool {
		return bytes.Equal(k.Document, s.Document) && bytes.Equal(k.Signature, s.Signature)
	}
	if len(list) >= maxSaid || slices.ContainsFunc(list, same) || !verifies(s) {
		return list
	}
	return append(list, s)
}

// approves reports whether it is an approval of the amendment by somebody whom the charter, or the one that it makes, names.
func (m *merging) approves(s canon.Signed) bool {
	a, _, err := approval.OpenApproval(m.all.Current(), s)
	if err != nil {
		a, _, err = approval.OpenRecovery(m.all.Current(), s)
	}
	if err != nil {
		a, _, err = approval.OpenApproval(m.proposal.Next, s)
	}
	return err == nil && a.Object == canon.ObjectAmendment && a.Digest == m.proposal.Digest && a.Decision == canon.Approve
}

// holds reports whether it is a roster member's statement about the amendment.
func (m *merging) holds(s canon.Signed) bool {
	var h canon.Held
	if canon.Decode(s.Document, &h) != nil || h.Amendment != m.proposal.Digest {
		return false
	}
	member, ok := m.roster.Signer(h.Signer)
	return ok && member.Ledger && s.Scheme == canon.Ed25519 && ed25519.Verify(member.Identity[:], canon.KindHeld.Message(s.Document), s.Signature)
}

func (m *merging) vetoed(s canon.Signed) bool {
	v, err := approval.VerifyStatement(m.all.Current(), s)
	return err == nil && v.Verb == canon.StateVeto && v.Object == m.proposal.Digest
}

// pending shows the proposal: first seen by any signer, ready when q of them say so. It is left out if no approval of it verifies.
func (m *merging) pending() (*strongroomv1.PendingAmendment, bool) {
	p := *m.proposal
	p.Approvals = m.approvals
	entry, err := p.Entry(nil)
	if err != nil || len(m.approvals) == 0 {
		return nil, false
	}
	out := &strongroomv1.PendingAmendment{Entry: entry, Digest: p.Digest.String(), Held: toSigneds(m.held), Vetoes: toSigneds(m.vetoes)}
	slices.SortFunc(m.seen, time.Time.Compare)
	slices.SortFunc(m.ready, time.Time.Compare)
	if len(m.seen) > 0 {
		out.FirstSeenTime = timestamppb.New(m.seen[0])
	}
	if q := int(m.roster.Genesis().Roster.Quorum); len(m.ready) >= q {
		out.ReadyTime = timestamppb.New(m.ready[q-1])
	}
	return out, true
}
