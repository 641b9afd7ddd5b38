package signer

import (
	"context"
	"fmt"
	"log/slog"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// maxCompared bounds the digests of one answer of CompareStatements.
const maxCompared = 4096

// ShareStatements takes statements that a peer has recorded. A peer has one such call at a time, so that it cannot keep more than one
// processor busy with signatures.
func (s *Signer) ShareStatements(ctx context.Context, r *strongroomv1.ShareStatementsRequest) (*strongroomv1.ShareStatementsResponse, error) {
	caller, ok := rpc.CallerFrom(ctx)
	if !ok {
		return nil, status.Error(codes.Unauthenticated, "expected a signer, found nobody")
	}
	if n := len(r.GetStatements()); n > maxPage {
		return nil, refusal.New("statements", "statements", fmt.Sprintf("at most %d", maxPage), fmt.Sprint(n))
	}
	done, err := s.gossip.turn(ctx, caller.Name)
	if err != nil {
		return nil, err
	}
	defer done()
	recorded, err := s.receive(ctx, caller.Name, r.GetStatements())
	if err != nil {
		s.logRefused(ctx, caller.Name, err)
		return nil, err
	}
	return &strongroomv1.ShareStatementsResponse{Recorded: recorded}, nil
}

// receive records what a peer brought. One that is refused keeps none of the others out; the refusal names all of those.
func (s *Signer) receive(ctx context.Context, from canon.Name, statements []*strongroomv1.Signed) (recorded uint32, err error) {
	var failures refusal.List
	for i, statement := range statements {
		signed := fromWire(statement)
		if s.knows(canon.KindStatement.Digest(signed.Document)) {
			continue
		}
		fresh, err := s.record(ctx, signed, from)
		r := refusal.Of(err)
		if err != nil && r == nil {
			return recorded, err
		}
		if r != nil {
			for _, f := range r.Failures {
				failures.Add(f.Rule, fmt.Sprintf("statements[%d].%s", i, f.Field), f.Expected, f.Found)
			}
		}
		if fresh {
			recorded++
		}
	}
	return recorded, failures.Err()
}

// logRefused logs the first of what may be hundreds of failures.
func (s *Signer) logRefused(ctx context.Context, peer canon.Name, err error) {
	failures := 1
	if r := refusal.Of(err); r != nil {
		failures, err = len(r.Failures), &refusal.Refusal{Failures: r.Failures[:1]}
	}
	s.config.Log.WarnContext(ctx, "statements refused", slog.String("peer", string(peer)), slog.Int("failures", failures), slog.String("error", err.Error()))
}

func (s *Signer) knows(id canon.Digest) bool {
	known := false
	// The callback returns no error.
	_ = s.config.Ledger.Read(func(x *ledger.Index) error { _, known = x.Set().Get(id); return nil })
	return known
}

// CompareStatements tells a peer which statements this signer has, if the peer does not have the same.
func (s *Signer) CompareStatements(_ context.Context, r *strongroomv1.CompareStatementsRequest) (*strongroomv1.CompareStatementsResponse, error) {
	theirs, err := digestOf("set", r.GetSet())
	if err != nil {
		return nil, err
	}
	after, err := digestOrNone("after", r.GetAfter())
	if err != nil {
		return nil, err
	}
	out := &strongroomv1.CompareStatementsResponse{}
	err = s.config.Ledger.Read(func(x *ledger.Index) error {
		if out.Same = x.Set().Digest() == theirs; out.Same {
			return nil
		}
		ids := x.Set().IDs(after, maxCompared+1)
		out.More = len(ids) > maxCompared
		for _, id := range ids[:min(len(ids), maxCompared)] {
			out.Statements = append(out.Statements, id[:])
		}
		return nil
	})
	return out, err
}

// FetchStatements hands a peer the statements that it asks for.
func (s *Signer) FetchStatements(_ context.Context, r *strongroomv1.FetchStatementsRequest) (*strongroomv1.FetchStatementsResponse, error) {
	if n := len(r.GetStatements()); n > maxPage {
		return nil, refusal.New("statements", "statements", fmt.Sprintf("at most %d", maxPage), fmt.Sprint(n))
	}
	out := &strongroomv1.FetchStatementsResponse{}
	err := s.config.Ledger.Read(func(x *ledger.Index) error {
		for i, b := range r.GetStatements() {
			id, err := digestOf(fmt.Sprintf("statements[%d]", i), b)
			if err != nil {
				return err
			}
			if recorded, known := x.Set().Get(id); known {
				out.Statements = append(out.Statements, wireSigned(recorded.Signed))
			}
		}
		return nil
	})
	return out, err
}
