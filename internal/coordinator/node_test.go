package coordinator

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// committee is what the nodes of a test have in common: the whole key, and the sessions that all participants must join.
type committee struct {
	*organisation
	now      func() time.Time
	mu       sync.Mutex
	sessions map[string]*session
	reserved []canon.Digest // every reservation asked for, in order
	attempts []string       // every session asked for
	cosigned []string       // every question to a device that it answered, in order
}

type session struct {
	joined map[canon.Name]bool
	full   chan struct{}
}

// node runs the guard on everything, as a signer does, and can be made to fail. It stands in for a signer process so that the
// coordinator can be tested without a protocol between several.
type node struct {
	strongroomv1.SignerServiceClient // methods that the coordinator does not call
	*committee
	name canon.Name

	mu      sync.Mutex
	down    bool
	refuse  *refusal.Refusal
	mangle  bool   // signatures that do not verify
	token   string // why its token cannot sign
	cannot  error  // what Cosign ends with
	bare    bool   // has no pools of keys
	highest map[branch]int64
	acks    map[canon.Digest]*strongroomv1.Signed
	anchors map[string]canon.Digest
	used    map[string]bool             // attempts
	seen    map[canon.Digest]canon.Time // intents, since when
	chain   *amendment.Chain
	entries [][]byte // enacted, and whatever else it shows
	pending []*strongroomv1.PendingAmendment
	books   *book.Versions
	shows   *strongroomv1.GetBookResponse        // instead of what it knows
	lies    func() *strongroomv1.GetBookResponse // instead of both
	held    map[canon.ChainID][]canon.Holding    // what it states as balances; none: it has no chain source
}

func (c *committee) node(name canon.Name) *node {
	chain, err := amendment.Open(c.genesis, c.charter.Organisation())
	if err != nil {
		panic(err) // the organisation made it
	}
	return &node{committee: c, name: name, chain: chain, books: book.Begin(c.charter), acks: map[canon.Digest]*strongroomv1.Signed{}, anchors: map[string]canon.Digest{}, used: map[string]bool{}, seen: map[canon.Digest]canon.Time{}, highest: map[branch]int64{}}
}

func (n *node) set(f func(*node)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f(n)
}

func (n *node) available() error {
	if n.down {
		return status.Error(codes.Unavailable, "connection refused")
	}
	return nil
}

func (c *committee) groupKey(name canon.Name) (guard.GroupKey, bool) {
	return guard.GroupKey{ID: "hot", Epoch: 1, Public: [33]byte(c.group.PubKey().SerializeCompressed())}, name == "hot"
}

func (n *node) view() guard.View {
	required := n.books.Required(canon.TimeOf(n.now()), n.chain.Current().Genesis().Delays.BookCooldown)
	return guard.View{Charter: n.chain.Current(), Book: required, Valid: n.chain.CheckValid, Now: n.now(), Key: n.groupKey, Pool: n.pool, HighestIndex: n.highestIndex,
		FirstSeen: func(intent canon.Digest) (canon.Time, bool) { t, ok := n.seen[intent]; return t, ok }}
}

func (n *node) signed(d canon.Document) (*strongroomv1.Signed, error) {
	b, err := canon.Encode(d)
	if err != nil {
		return nil, err
	}
	return &strongroomv1.Signed{Document: b, Scheme: uint32(canon.Ed25519), Signature: ed25519.Sign(n.nodes[n.name], d.Kind().Message(b))}, nil
}

func (n *node) status() *strongroomv1.KeyStatus {
	return &strongroomv1.KeyStatus{Key: "hot", Epoch: 1, PublicKey: n.group.PubKey().SerializeCompressed()}
}

func (n *node) GetSignerStatus(context.Context, *strongroomv1.GetSignerStatusRequest, ...grpc.CallOption) (*strongroomv1.GetSignerStatusResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.available(); err != nil {
		return nil, err
	}
	return &strongroomv1.GetSignerStatusResponse{Status: &strongroomv1.SignerStatus{Keys: []*strongroomv1.KeyStatus{n.status()}}, Devices: n.tokens()}, nil
}

func (n *node) Reserve(_ context.Context, r *strongroomv1.ReserveRequest, _ ...grpc.CallOption) (*strongroomv1.ReserveResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.available(); err != nil {
		return nil, err
	}
	rid := canon.KindReservation.Digest(r.GetReservation())
	n.committee.mu.Lock()
	n.reserved = append(n.reserved, rid)
	n.committee.mu.Unlock()
	if ack := n.acks[rid]; ack != nil {
		return &strongroomv1.ReserveResponse{Ack: ack}, nil
	}
	if n.refuse != nil {
		return nil, n.refuse
	}
	s, err := guard.Check(r.GetEvidence(), n.view())
	if err != nil {
		return nil, err
	}
	var doc canon.Reservation
	if err := canon.Decode(r.GetReservation(), &doc); err != nil {
		return nil, err
	}
	if err := s.CheckReservation(doc, n.view()); err != nil {
		if _, before := n.seen[doc.Intent]; !before && guard.OnlyDelayed(err) {
			n.seen[doc.Intent] = canon.TimeOf(n.now())
		}
		return nil, err
	}
	key := fmt.Sprintf("%s %x %d", doc.Anchor.Chain, doc.Anchor.Account, doc.Anchor.Number)
	if holder, ok := n.anchors[key]; ok && holder != doc.Withdrawal {
		return nil, refusal.New("held", "anchor", "one that no other withdrawal holds", key)
	}
	ack, err := n.signed(canon.Ack{Organisation: n.charter.Organisation(), Reservation: rid, Signer: n.name, Length: 1, Head: canon.Digest{1}, Incarnation: 1})
	if err != nil {
		return nil, err
	}
	n.acks[rid], n.anchors[key] = ack, doc.Withdrawal
	return &strongroomv1.ReserveResponse{Ack: ack}, nil
}

func (n *node) Sign(ctx context.Context, r *strongroomv1.SignRequest, _ ...grpc.CallOption) (*strongroomv1.SignResponse, error) {
	s, id, mangle, err := n.admit(r)
	if err != nil {
		return nil, err
	}
	if err := n.join(ctx, id, r.GetParticipants()); err != nil {
		return nil, err
	}
	out := &strongroomv1.SignResponse{}
	for _, in := range s.Signing() {
		digest, err := in.Digest.Bytes()
		if err != nil {
			return nil, err
		}
		var tweak btcec.ModNScalar
		tweak.SetBytes(&in.Tweak)
		child := btcec.PrivKeyFromScalar(tweak.Add(&n.group.Key))
		compact := ecdsa.SignCompact(child, digest[:], true)
		sig := append(compact[1:], compact[0]-31)
		if mangle {
			sig[40] ^= 1
		}
		out.Signatures, out.PublicKeys = append(out.Signatures, sig), append(out.PublicKeys, in.Public[:])
	}
	return out, nil
}

// admit makes a signer's checks. An attempt is used once.
func (n *node) admit(r *strongroomv1.SignRequest) (*guard.Signable, string, bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.available(); err != nil {
		return nil, "", false, err
	}
	if n.refuse != nil {
		return nil, "", false, n.refuse
	}
	doc, rid, _, err := guard.CheckCertificate(r.GetCertificate(), n.view())
	if err != nil {
		return nil, "", false, err
	}
	s, err := guard.Check(r.GetEvidence(), n.view())
	if err != nil {
		return nil, "", false, err
	}
	if err := s.CheckReservation(*doc, n.view()); err != nil {
		return nil, "", false, err
	}
	id := fmt.Sprintf("%s %v %d", rid, r.GetParticipants(), r.GetAttempt())
	if n.used[id] || !slices.IsSorted(r.GetParticipants()) || len(r.GetParticipants()) != 2 {
		return nil, "", false, refusal.New("session", "attempt", "a new one of two sorted participants", id)
	}
	if err := n.attested(s, rid, r.GetAttestations()); err != nil {
		return nil, "", false, err
	}
	n.used[id] = true
	return s, id, n.mangle, nil
}

// join waits until all participants are in the session.
func (n *node) join(ctx context.Context, id string, participants []string) error {
	n.committee.mu.Lock()
	s := n.sessions[id]
	if s == nil {
		s = &session{joined: map[canon.Name]bool{}, full: make(chan struct{})}
		n.sessions[id] = s
		n.attempts = append(n.attempts, id)
	}
	s.joined[n.name] = true
	if len(s.joined) == len(participants) {
		close(s.full)
	}
	n.committee.mu.Unlock()
	select {
	case <-s.full:
		return nil
	case <-ctx.Done():
		return status.Error(codes.Aborted, "a participant did not come")
	}
}

func (n *node) JoinKeygen(context.Context, *strongroomv1.JoinKeygenRequest, ...grpc.CallOption) (*strongroomv1.JoinKeygenResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.available(); err != nil {
		return nil, err
	}
	key := n.status()
	if n.mangle {
		key.PublicKey[0] ^= 1
	}
	return &strongroomv1.JoinKeygenResponse{Key: key}, nil
}

// GetCharterChain shows all entries from a number on; the head is not shown after a fork.
func (n *node) GetCharterChain(_ context.Context, r *strongroomv1.GetCharterChainRequest, _ ...grpc.CallOption) (*strongroomv1.GetCharterChainResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.available(); err != nil {
		return nil, err
	}
	out := &strongroomv1.GetCharterChainResponse{Proposals: n.pending}
	for _, b := range n.entries {
		var e canon.CharterEntry
		var a canon.Amendment
		if canon.Decode(b, &e) != nil || canon.Decode(e.Amendment, &a) != nil || a.Number >= r.GetFromNumber() {
			out.Enacted = append(out.Enacted, b)
		}
	}
	if head, err := n.chain.Head(n.name, canon.TimeOf(n.now())); err == nil {
		if out.Head, err = n.signed(head); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// SubmitCharterEntry follows what enacts and keeps what proposes.
func (n *node) SubmitCharterEntry(_ context.Context, r *strongroomv1.SubmitCharterEntryRequest, _ ...grpc.CallOption) (*strongroomv1.SubmitCharterEntryResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.available(); err != nil {
		return nil, err
	}
	var e canon.CharterEntry
	if err := canon.Decode(r.GetEntry(), &e); err != nil {
		return nil, err
	}
	now := canon.TimeOf(n.now())
	if e.Step == canon.StepPropose {
		chain, p, err := n.chain.Propose(r.GetEntry(), now, nil)
		if err != nil {
			return nil, err
		}
		n.chain, n.pending = chain, append(n.pending, &strongroomv1.PendingAmendment{Entry: r.GetEntry(), Digest: p.Digest.String(),
			FirstSeenTime: timestamppb.New(now.At()), ReadyTime: timestamppb.New((now + canon.Time(p.Delay)).At())})
	} else if err := n.enact(r.GetEntry()); err != nil {
		return nil, err
	}
	c := n.chain.Current()
	return &strongroomv1.SubmitCharterEntryResponse{Number: c.Number(), Digest: c.Digest().String(), RecordedBy: string(n.name)}, nil
}

// enact follows an entry; the node is locked.
func (n *node) enact(entry []byte) error {
	chain, err := n.chain.Follow(entry, canon.TimeOf(n.now()))
	if err != nil {
		return err
	}
	n.chain, n.entries = chain, append(n.entries, entry)
	return nil
}

// SubmitBookUpdate records a version with the second of the node's clock.
func (n *node) SubmitBookUpdate(_ context.Context, r *strongroomv1.SubmitBookUpdateRequest, _ ...grpc.CallOption) (*strongroomv1.SubmitBookUpdateResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.available(); err != nil {
		return nil, err
	}
	now := canon.TimeOf(n.now())
	v, fresh, err := n.books.Review(n.chain.Current(), r.GetUpdate(), now, nil)
	if err != nil {
		return nil, err
	}
	if fresh {
		n.books = n.books.With(v, now)
	}
	newest := n.books.Newest()[0]
	return &strongroomv1.SubmitBookUpdateResponse{Serial: newest.Serial, Root: newest.Hash[:], RecordedBy: string(n.name)}, nil
}

// GetBook shows the newest and the payable version.
func (n *node) GetBook(context.Context, *strongroomv1.GetBookRequest, ...grpc.CallOption) (*strongroomv1.GetBookResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.available(); err != nil {
		return nil, err
	}
	if n.lies != nil {
		return n.lies(), nil
	}
	if n.shows != nil {
		return n.shows, nil
	}
	cooldown := n.chain.Current().Genesis().Delays.BookCooldown
	newest, payable := n.books.Newest(), n.books.Payable(canon.TimeOf(n.now()), cooldown)
	out := &strongroomv1.GetBookResponse{}
	for _, v := range slices.Compact(append(slices.Clone(newest), payable...)) {
		shown := &strongroomv1.BookVersion{Serial: v.Serial, Size: v.Size, Root: v.Hash[:], Update: v.Update,
			Newest: slices.Contains(newest, v), Payable: slices.Contains(payable, v)}
		if v.Update != nil {
			shown.FirstSeenTime, shown.PayableTime = timestamppb.New(v.Seen.At()), timestamppb.New(v.PayableAt(cooldown).At())
		}
		out.Versions = append(out.Versions, shown)
	}
	return out, nil
}
