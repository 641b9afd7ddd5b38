package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// pending is an intent as servers hand it out, with what was verified of it. Nothing of a server's own words is kept.
type pending struct {
	digest     canon.Digest
	document   []byte
	review     *guard.Review
	refused    error // why the guard refuses it; then review is nil
	approvals  []canon.Signed
	statements []canon.Signed
	labels     map[string]canon.Text // by address, proven
	sources    []string
}

// inbox is what servers say waits for approval.
type inbox struct {
	intents     []*pending
	unreachable []UnreachableView
	asked       int
}

// gather asks the coordinator and all signers for intents and verifies each of them. It fails only if nobody answered.
func (s *Session) gather(ctx context.Context) (*inbox, error) {
	box := &inbox{}
	byDigest := map[canon.Digest]*pending{}
	if s.Config.Coordinator != "" {
		box.asked++
		list, err := s.coordinatorIntents(ctx)
		if err != nil {
			box.unreachable = append(box.unreachable, UnreachableView{coordinatorName, errorText(err)})
		}
		for _, p := range list {
			s.add(byDigest, p.GetIntent(), coordinatorName).take(s, p)
		}
	}
	if err := s.gatherSeen(ctx, box, byDigest); err != nil {
		return nil, err
	}
	s.askDecisions(ctx, box, byDigest)
	if len(box.unreachable) == box.asked {
		return nil, fmt.Errorf("%w: %s", ErrUnreachable, firstError(box.unreachable))
	}
	for _, p := range byDigest {
		box.intents = append(box.intents, p)
	}
	slices.SortFunc(box.intents, oldestFirst)
	return box, nil
}

const coordinatorName = "coordinator"

func firstError(list []UnreachableView) string {
	if len(list) == 0 {
		return "expected a coordinator or signers in the configuration, found none"
	}
	return list[0].Server + ": " + list[0].Error
}

func (s *Session) gatherSeen(ctx context.Context, box *inbox, byDigest map[canon.Digest]*pending) error {
	peers, err := s.signers()
	if err != nil {
		return err
	}
	answers := askSigners(ctx, peers, func(ctx context.Context, p signerPeer) (*pb.ListSeenIntentsResponse, error) {
		return p.ListSeenIntents(ctx, &pb.ListSeenIntentsRequest{})
	})
	for _, a := range answers {
		box.asked++
		if a.Err != nil {
			box.unreachable = append(box.unreachable, unreachable(a))
			continue
		}
		for _, document := range a.Value.GetIntents() {
			s.add(byDigest, document, a.Server)
		}
	}
	return nil
}

// askDecisions asks the coordinator what officers decided about intents that only signers listed: those are often long approved. A
// coordinator that does not answer leaves them as they are, waiting.
func (s *Session) askDecisions(ctx context.Context, box *inbox, byDigest map[canon.Digest]*pending) {
	heard := !slices.ContainsFunc(box.unreachable, func(u UnreachableView) bool { return u.Server == coordinatorName })
	if s.Config.Coordinator == "" || !heard {
		return
	}
	c, err := s.coordinator()
	if err != nil {
		return
	}
	for _, p := range byDigest {
		if slices.Contains(p.sources, coordinatorName) || p.review == nil || len(p.review.Intent.Quorum.AnyOf) == 0 {
			continue
		}
		got, err := call(ctx, c.GetIntent, &pb.GetIntentRequest{Name: "intents/" + p.digest.String()})
		if err == nil {
			p.take(s, got)
		}
	}
}

func (s *Session) coordinatorIntents(ctx context.Context) ([]*pb.PendingIntent, error) {
	c, err := s.coordinator()
	if err != nil {
		return nil, err
	}
	return pages(func(token string) ([]*pb.PendingIntent, string, error) {
		r, err := call(ctx, c.ListPendingIntents, &pb.ListPendingIntentsRequest{PageSize: 100, PageToken: token})
		return r.GetIntents(), r.GetNextPageToken(), err
	})
}

// add examines a document unless it was seen already, and notes who had it.
func (s *Session) add(known map[canon.Digest]*pending, document []byte, source string) *pending {
	digest := canon.KindIntent.Digest(document)
	p := known[digest]
	if p == nil {
		p = &pending{digest: digest, document: document, labels: map[string]canon.Text{}}
		p.review, p.refused = guard.Examine(document, s.view())
		known[digest] = p
	}
	if !slices.Contains(p.sources, source) {
		p.sources = append(p.sources, source)
	}
	return p
}

// take keeps of what the coordinator says beside the intent what verifies: officers' decisions about this intent, and proofs that
// its addresses are in the book, for its client and account.
func (p *pending) take(s *Session, from *pb.PendingIntent) {
	p.takeDecisions(s, from.GetApprovals(), from.GetStatements())
	if p.review == nil {
		return
	}
	for _, b := range from.GetAddressProofs() {
		proof, err := decodeProof(b)
		if err != nil {
			continue
		}
		e, err := s.Charter.CheckBookProof(proof)
		if err != nil || !p.pays(e) {
			continue
		}
		p.labels[string(e.Address)] = e.Label
	}
}

// maxProof is more than the encoding of any proof: an entry of 1 KiB and 63 hashes.
const maxProof = 8 << 10

// decodeProof reads the encoding of a book proof. It need not be strict: what counts is that its hashes lead to the charter's root.
func decodeProof(b []byte) (canon.BookProof, error) {
	var proof canon.BookProof
	if len(b) > maxProof {
		return proof, fmt.Errorf("address proof: expected at most %d bytes, found %d", maxProof, len(b))
	}
	if err := cbor.Unmarshal(b, &proof); err != nil {
		return proof, fmt.Errorf("address proof: %w", err)
	}
	return proof, proof.Check()
}

func (p *pending) pays(e canon.BookEntry) bool {
	r := p.review.Request
	if e.Chain != r.Chain || e.Client != r.Client || (e.Account != canon.Any && e.Account != r.Account) {
		return false
	}
	return slices.ContainsFunc(r.Outputs, func(o canon.Output) bool { return bytes.Equal(o.Address, e.Address) })
}

func (p *pending) takeDecisions(s *Session, approvals, statements []*pb.Signed) {
	for _, wire := range approvals {
		signed, err := signedOf(wire)
		if err != nil {
			continue
		}
		if a, err := approval.VerifyApproval(s.Charter, signed); err == nil && a.Object == canon.ObjectIntent && a.Digest == p.digest {
			p.approvals = append(p.approvals, signed)
		}
	}
	for _, wire := range statements {
		signed, err := signedOf(wire)
		if err != nil {
			continue
		}
		if st, err := approval.VerifyStatement(s.Charter, signed); err == nil && p.concerns(st.Object) {
			p.statements = append(p.statements, signed)
		}
	}
}

// concerns reports whether a statement about the object is one about this intent: it names the intent or its withdrawal.
func (p *pending) concerns(object canon.Digest) bool {
	return object == p.digest || (p.review != nil && object == p.review.Intent.Withdrawal)
}

// oldestFirst orders by the signed start of the request; what the guard refuses comes last.
func oldestFirst(a, b *pending) int {
	if (a.review == nil) != (b.review == nil) {
		return cmp.Compare(boolRank(a.review == nil), boolRank(b.review == nil))
	}
	if a.review != nil {
		if c := cmp.Compare(a.review.Request.NotBefore, b.review.Request.NotBefore); c != 0 {
			return c
		}
	}
	return bytes.Compare(a.digest[:], b.digest[:])
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// minPrefix is the shortest part of a digest that names an intent, in hexadecimal digits.
const minPrefix = 8

// find returns the one intent that the whole digest or the beginning of it names.
func (s *Session) find(ctx context.Context, name string) (*pending, error) {
	name, err := prefix(name)
	if err != nil {
		return nil, err
	}
	box, err := s.gather(ctx)
	if err != nil {
		return nil, err
	}
	var found []*pending
	for _, p := range box.intents {
		if strings.HasPrefix(p.digest.String(), name) {
			found = append(found, p)
		}
	}
	if len(found) == 0 && len(name) == 64 {
		return s.closedIntent(ctx, name)
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("digest: expected the beginning of one pending intent's digest, found %q for %d of %d", name, len(found), len(box.intents))
	}
	return found[0], nil
}

// closedIntent asks the coordinator for an intent that no longer waits.
func (s *Session) closedIntent(ctx context.Context, digest string) (*pending, error) {
	c, err := s.coordinator()
	if err != nil {
		return nil, err
	}
	got, err := call(ctx, c.GetIntent, &pb.GetIntentRequest{Name: "intents/" + digest})
	if err != nil {
		return nil, err
	}
	p := s.add(map[canon.Digest]*pending{}, got.GetIntent(), coordinatorName)
	if found := hex.EncodeToString(p.digest[:]); found != digest {
		return nil, fmt.Errorf("%w: coordinator: expected the intent %s, found %s", ErrRefused, digest, found)
	}
	p.take(s, got)
	return p, nil
}

// decided returns what this person has said about the intent: "approved", "rejected", or nothing.
func (s *Session) decided(p *pending) string {
	said := ""
	for _, signed := range p.approvals {
		if a, err := approval.VerifyApproval(s.Charter, signed); err == nil && a.Officer == s.Config.Name {
			switch {
			case a.Decision == canon.Reject:
				return "rejected"
			case a.Decision == canon.Approve && a.NotAfter >= s.now():
				said = "approved"
			}
		}
	}
	for _, signed := range p.statements {
		if st, err := approval.VerifyStatement(s.Charter, signed); err == nil && st.Officer == s.Config.Name && st.Verb == canon.StateReject {
			return "rejected"
		}
	}
	return said
}

// expiringSoon reports whether less than a quarter of the time from request to expiry is left, or less than a quarter of an hour.
func (s *Session) expiringSoon(r *guard.Review) bool {
	left := s.until(r.Intent.NotAfter)
	life := r.Intent.NotAfter.At().Sub(r.Request.NotBefore.At())
	return left < max(life/4, 15*time.Minute)
}
