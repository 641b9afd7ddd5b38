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

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
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
	approvals  []vote
	objections []objection
	rejected   []canon.Name                 // who rejected it and is an officer no more
	proofs     map[string][]canon.BookProof // by address; none of them is checked yet
	sources    []string
	box        *inbox
}

// add examines a document unless it was seen already, and notes who had it.
func (s *Session) add(known map[canon.Digest]*pending, document []byte, source string) *pending {
	digest := canon.KindIntent.Digest(document)
	p := known[digest]
	if p == nil {
		p = &pending{digest: digest, document: document, proofs: map[string][]canon.BookProof{}}
		p.review, p.refused = guard.Examine(document, s.view())
		known[digest] = p
	}
	if !slices.Contains(p.sources, source) {
		p.sources = append(p.sources, source)
	}
	return p
}

// take keeps of what the coordinator says beside the intent what verifies: officers' decisions about this intent, and proofs about its
// addresses, for its client and account. Under which version of the book a proof counts is seen when it is shown.
func (p *pending) take(s *Session, from *pb.PendingIntent) {
	for _, wire := range from.GetApprovals() {
		if signed, err := signedOf(wire); err == nil {
			p.takeApproval(s.Charter, signed)
		}
	}
	for _, wire := range from.GetStatements() {
		if signed, err := signedOf(wire); err == nil {
			p.takeStatement(s.Charter, signed)
		}
	}
	if p.review == nil {
		return
	}
	for _, b := range from.GetAddressProofs() {
		proof, err := decodeProof(b)
		if err != nil {
			continue
		}
		var e canon.BookEntry
		if canon.Decode(proof.Entry, &e) == nil && p.pays(e) && len(p.proofs[string(e.Address)]) < maxProofs {
			p.proofs[string(e.Address)] = append(p.proofs[string(e.Address)], proof)
		}
	}
}

// maxProofs bounds the proofs that are kept of one address: one for each version that some signer may ask for.
const maxProofs = 16

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
	if m := p.review.Call; m != nil {
		return slices.ContainsFunc(m.Book, func(a policy.Argument) bool { return bytes.Equal(a.Address[:], e.Address) })
	}
	return slices.ContainsFunc(r.Outputs, func(o canon.Output) bool { return bytes.Equal(o.Address, e.Address) })
}

// vote is an approval that verified.
type vote struct {
	canon.Approval
	key    canon.Digest // that signed it
	signed canon.Signed
}

// takeApproval keeps an approval of this intent. Of one officer, key and decision the one that is valid longest is enough: nobody can fill
// the inbox with more.
func (p *pending) takeApproval(c *charter.Charter, signed canon.Signed) {
	a, key, err := approval.OpenApproval(c, signed)
	if err != nil || a.Object != canon.ObjectIntent || a.Digest != p.digest {
		return
	}
	v := vote{*a, approval.KeyDigest(key.Public), signed}
	same := func(o vote) bool { return o.Officer == v.Officer && o.Decision == v.Decision && o.key == v.key }
	switch i := slices.IndexFunc(p.approvals, same); {
	case i < 0:
		p.approvals = append(p.approvals, v)
	case v.NotAfter > p.approvals[i].NotAfter:
		p.approvals[i] = v
	}
}

// objection is a rejection, or a withdrawal of an approval, that verified.
type objection struct {
	canon.Statement
	signed canon.Signed
}

// takeStatement keeps what an officer of the charter in force stated against this intent, each officer's objection once.
func (p *pending) takeStatement(c *charter.Charter, signed canon.Signed) {
	st, err := approval.VerifyStatement(c, signed)
	if err != nil || !p.concerns(st.Object) || st.Verb != canon.StateReject && st.Verb != canon.StateWithdraw {
		return
	}
	same := func(o objection) bool { return o.Officer == st.Officer && o.Verb == st.Verb }
	if !slices.ContainsFunc(p.objections, same) {
		p.objections = append(p.objections, objection{*st, signed})
	}
}

// concerns reports whether a statement about the object is one about this intent: it names the intent or its withdrawal.
func (p *pending) concerns(object canon.Digest) bool {
	return object == p.digest || (p.review != nil && object == p.review.Intent.Withdrawal)
}

// hear takes over what signers recorded of officers' statements: rejections that a coordinator may withhold, and revoked keys. A statement
// by somebody who is an officer no more, or by a revoked key, counts if it was recorded in time. Only signers can say that it was, so it
// takes the word of more of them than may lie: else one of them, with a key that was stolen and revoked, could reject everything here.
func (p *pending) hear(s *Session, box *inbox) {
	p.box = box
	objects := []canon.Digest{p.digest}
	if p.review != nil {
		objects = append(objects, p.review.Intent.Withdrawal)
	}
	for _, object := range objects {
		for _, signed := range box.said.all.About(object) {
			id := canon.KindStatement.Digest(signed.Document)
			st, err := approval.OpenStatement(s.Charter, signed)
			if (err != nil || box.said.all.Revoked(st.Key)) && uint64(len(box.said.holders(id))) <= s.Charter.Genesis().Roster.Faults {
				continue
			}
			if r, _ := box.said.all.Get(id); err != nil && r.Verb == canon.StateReject {
				p.rejected = append(p.rejected, r.Officer)
			}
			p.takeStatement(s.Charter, signed)
		}
	}
}

// tally counts the decisions against the quorum. A rejection counts whoever made it; an approval by a revoked key does not.
func (p *pending) tally(s *Session) (approval.Result, error) {
	count := approval.Count{Charter: s.Charter, About: approval.Subject{Intent: p.digest, Withdrawal: p.review.Intent.Withdrawal}, Quorum: p.review.Intent.Quorum,
		Requester: p.review.Request.Requester, Revoked: p.box.said.all.Revoked, Now: s.now()}
	for _, v := range p.approvals {
		count.Approvals = append(count.Approvals, v.signed)
	}
	for _, o := range p.objections {
		count.Statements = append(count.Statements, o.signed)
	}
	result, err := count.Tally()
	if err != nil {
		return result, fmt.Errorf("approvals: %w", err)
	}
	result.RejectedBy = append(result.RejectedBy, p.rejected...)
	slices.Sort(result.RejectedBy)
	result.RejectedBy = slices.Compact(result.RejectedBy)
	result.Met = result.Met && len(result.RejectedBy) == 0
	return result, nil
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
		return s.closedIntent(ctx, box, name)
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("digest: expected the beginning of one pending intent's digest, found %q for %d of %d", name, len(found), len(box.intents))
	}
	return found[0], nil
}

// closedIntent asks the coordinator for an intent that no longer waits.
func (s *Session) closedIntent(ctx context.Context, box *inbox, digest string) (*pending, error) {
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
	p.hear(s, box)
	return p, nil
}

// decided returns what this person has said about the intent: "approved", "rejected", "withdrawn", or nothing.
func (s *Session) decided(p *pending) string {
	mine := func(verb canon.Verb) bool {
		return slices.ContainsFunc(p.objections, func(o objection) bool { return o.Officer == s.Config.Name && o.Verb == verb })
	}
	voted := func(d canon.Decision) bool {
		return slices.ContainsFunc(p.approvals, func(v vote) bool {
			return v.Officer == s.Config.Name && v.Decision == d && (d != canon.Approve || v.NotAfter >= s.now())
		})
	}
	switch {
	case mine(canon.StateReject) || voted(canon.Reject):
		return "rejected"
	case mine(canon.StateWithdraw) || voted(canon.Withdraw):
		return "withdrawn"
	case voted(canon.Approve):
		return "approved"
	}
	return ""
}

// expiringSoon reports whether less than a quarter of the time from request to expiry is left, or less than a quarter of an hour.
func (s *Session) expiringSoon(r *guard.Review) bool {
	left := s.until(r.Intent.NotAfter)
	life := r.Intent.NotAfter.At().Sub(r.Request.NotBefore.At())
	return left < max(life/4, 15*time.Minute)
}
