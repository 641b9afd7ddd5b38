package clitest

import (
	"context"
	"crypto/ed25519"
	"errors"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// Amendments is what a server knows of the charter and of officers' statements. It decides by package amendment alone.
type Amendments struct {
	pb.UnimplementedCharterServiceServer

	// Now is its clock; nil for the real one.
	Now func() time.Time
	// Spoil may change what GetCharterChain answers.
	Spoil func(*pb.GetCharterChainResponse)

	mu      sync.Mutex
	signer  string // empty for a coordinator
	chain   *amendment.Chain
	set     *approval.Set
	seen    map[canon.Digest]canon.Time
	held    map[canon.Digest]canon.Signed
	enacted [][]byte
}

// begin puts the genesis in force.
func (a *Amendments) begin(o *Organisation, signer string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.chain != nil {
		return nil // it was served before
	}
	chain, err := amendment.Open(o.Genesis.Document, o.Genesis.Digest)
	if err != nil {
		return err
	}
	a.signer, a.chain, a.set = signer, chain, approval.NewSet()
	a.seen, a.held = map[canon.Digest]canon.Time{}, map[canon.Digest]canon.Signed{}
	return nil
}

func (a *Amendments) now() canon.Time {
	if a.Now == nil {
		return canon.TimeOf(time.Now())
	}
	return canon.TimeOf(a.Now())
}

// Chain returns the chain as it is.
func (a *Amendments) Chain() *amendment.Chain {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.chain
}

// Enacted returns the entries that were enacted.
func (a *Amendments) Enacted() [][]byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.enacted)
}

// SubmitCharterEntry implements pb.CharterServiceServer.
func (a *Amendments) SubmitCharterEntry(_ context.Context, r *pb.SubmitCharterEntryRequest) (*pb.SubmitCharterEntryResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var e canon.CharterEntry
	if err := canon.Decode(r.GetEntry(), &e); err != nil {
		return nil, err
	}
	var err error
	var next *amendment.Chain
	if e.Step == canon.StepPropose {
		var p *amendment.Proposal
		if next, p, err = a.chain.Propose(r.GetEntry(), a.now(), a.set); err == nil && a.seen[p.Digest] == 0 {
			a.seen[p.Digest] = a.now()
		}
	} else {
		next, err = a.chain.Enact(r.GetEntry(), a.now(), a.set)
	}
	if err != nil {
		return nil, rpc.ToStatus(err)
	}
	if e.Step != canon.StepPropose && next != a.chain {
		a.enacted = append(a.enacted, r.GetEntry())
	}
	a.chain = next
	current := a.chain.Current()
	return &pb.SubmitCharterEntryResponse{Number: current.Number(), Digest: current.Digest().String(), RecordedBy: a.signer}, nil
}

// GetCharterChain implements pb.CharterServiceServer, at most two entries an answer.
func (a *Amendments) GetCharterChain(_ context.Context, r *pb.GetCharterChainRequest) (*pb.GetCharterChainResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	reply := &pb.GetCharterChainResponse{}
	for _, b := range a.enacted {
		var e canon.CharterEntry
		var made canon.Amendment
		if err := errors.Join(canon.Decode(b, &e), canon.Decode(e.Amendment, &made)); err != nil {
			return nil, err
		}
		if made.Number >= r.GetFromNumber() && len(reply.Enacted) < 2 {
			reply.Enacted = append(reply.Enacted, b)
		}
	}
	for _, p := range a.chain.Proposals() {
		pending, err := a.pending(p)
		if err != nil {
			return nil, err
		}
		reply.Proposals = append(reply.Proposals, pending)
	}
	if a.signer != "" {
		if h, err := a.chain.Head(canon.Name(a.signer), a.now()); err == nil {
			reply.Head = Wire(SignAs(a.signer, *h))
		}
	}
	if a.Spoil != nil {
		a.Spoil(reply)
	}
	return reply, nil
}

func (a *Amendments) pending(p *amendment.Proposal) (*pb.PendingAmendment, error) {
	entry, err := p.Entry(nil)
	if err != nil {
		return nil, err
	}
	since := a.seen[p.Digest]
	out := &pb.PendingAmendment{Entry: entry, Digest: p.Digest.String(), FirstSeenTime: timestamppb.New(since.At()),
		ReadyTime: timestamppb.New(max(since+canon.Time(p.Delay), p.Amendment.NotBefore).At())}
	if _, ok := a.held[p.Digest]; !ok && a.signer != "" {
		if h, err := a.chain.Hold(p.Digest, canon.Name(a.signer), since, a.now(), a.set); err == nil {
			a.held[p.Digest] = SignAs(a.signer, *h)
		}
	}
	if h, ok := a.held[p.Digest]; ok {
		out.Held = []*pb.Signed{Wire(h)}
	}
	for _, s := range a.set.About(p.Digest) {
		var st canon.Statement
		if canon.Decode(s.Document, &st) == nil && st.Verb == canon.StateVeto {
			out.Vetoes = append(out.Vetoes, Wire(s))
		}
	}
	return out, nil
}

// record takes a statement into the set, as a signer does.
func (a *Amendments) record(wire *pb.Signed) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := canon.Signed{Document: wire.GetDocument(), Scheme: canon.Scheme(wire.GetScheme()), Signature: wire.GetSignature()}
	st, err := approval.OpenStatement(a.chain.Current(), s)
	if err != nil {
		return err
	}
	if err := a.set.Admit(st); err != nil {
		return err
	}
	if err := a.set.AdmitFreeze(st, a.now(), a.chain.Current().Genesis().Delays.FreezeLapse); err != nil {
		return err
	}
	_, err = a.set.Add(s, a.now())
	return err
}

// statements returns one page of two statements.
func (a *Amendments) statements(token []byte) *pb.ListStatementsResponse {
	a.mu.Lock()
	defer a.mu.Unlock()
	var after canon.Digest
	copy(after[:], token)
	reply := &pb.ListStatementsResponse{}
	ids := a.set.IDs(after, 2)
	for _, id := range ids {
		r, _ := a.set.Get(id)
		reply.Statements = append(reply.Statements, &pb.RecordedStatement{Statement: Wire(r.Signed), FirstSeen: timestamppb.New(r.Seen.At())})
	}
	if len(ids) == 2 {
		reply.NextPageToken = ids[1][:]
	}
	return reply
}

// SignAs returns a document signed under the identity of a node.
func SignAs(node string, d canon.Document) canon.Signed {
	b := must(canon.Encode(d))
	return canon.Signed{Document: b, Scheme: canon.Ed25519, Signature: ed25519.Sign(Key(node), d.Kind().Message(b))}
}
