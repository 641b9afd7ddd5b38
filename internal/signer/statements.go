package signer

import (
	"context"
	"fmt"
	"log/slog"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// maxPage bounds the statements of one message, with room below the limit of messages: a statement with its signature has at most 6 KiB.
const maxPage = 256

// SubmitSignerStatement records what an officer says; from then on it has its effect here: nothing that rests on a rejected intent, a
// withdrawn approval or a revoked key is acked or signed, and under a freeze nothing at all. Any officer's device may bring it: statements
// speak for themselves and can only stop things.
func (s *Signer) SubmitSignerStatement(ctx context.Context, r *strongroomv1.SubmitSignerStatementRequest) (*strongroomv1.SubmitSignerStatementResponse, error) {
	if _, err := s.record(ctx, fromWire(r.GetStatement()), ""); err != nil {
		return nil, err
	}
	return &strongroomv1.SubmitSignerStatementResponse{Signer: string(s.config.Self)}, nil
}

// record verifies a statement, makes it durable and passes it on; from is the peer that brought it, none for an officer. fresh reports
// one that was not known.
func (s *Signer) record(ctx context.Context, signed canon.Signed, from canon.Name) (fresh bool, err error) {
	statement, err := approval.OpenStatement(s.charter(), signed)
	if err != nil {
		return false, err
	}
	fresh, err = s.config.Ledger.Record(signed, s.now, func(x *ledger.Index, now canon.Time) error {
		var failures refusal.List
		// The charter's validity is no matter: what officers stop must stay stopped, also while a charter that expired is replaced.
		if end := statement.NotAfter; end != 0 && now > end {
			failures.Add("statement", "not_after", fmt.Sprintf("at least %d", now), fmt.Sprint(end))
		}
		failures.Join("statement", "signature", x.Set().Admit(statement))
		if from == "" {
			failures.Join("statement", "officer", x.Freezes().AdmitFreeze(statement, now, s.freezeLapse()))
		}
		return failures.Err()
	})
	if err != nil {
		return false, s.noted(err)
	}
	if fresh {
		s.gossip.spread(signed, from)
		s.config.Log.InfoContext(ctx, "statement", slog.String("officer", string(statement.Officer)), slog.Uint64("verb", uint64(statement.Verb)),
			slog.String("object", statement.Object.String()), slog.String("from", string(from)))
	}
	return fresh, nil
}

// ListStatements hands out what officers said, page by page in the order of digests.
func (s *Signer) ListStatements(_ context.Context, r *strongroomv1.ListStatementsRequest) (*strongroomv1.ListStatementsResponse, error) {
	after, err := digestOrNone("page_token", r.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := maxPage
	if n := r.GetPageSize(); n > 0 {
		size = int(min(n, maxPage))
	}
	out := &strongroomv1.ListStatementsResponse{}
	err = s.config.Ledger.Read(func(x *ledger.Index) error {
		ids := x.Set().IDs(after, size+1)
		for _, id := range ids[:min(len(ids), size)] {
			recorded, _ := x.Set().Get(id)
			out.Statements = append(out.Statements, &strongroomv1.RecordedStatement{
				Statement: wireSigned(recorded.Signed), FirstSeen: timestamppb.New(recorded.Seen.At())})
		}
		if len(ids) > size {
			out.NextPageToken = ids[size-1][:]
		}
		return nil
	})
	return out, err
}

// freezes returns the freezes that hold now. One that was confirmed has no end, and no officer if its statement is not recorded here.
func (s *Signer) freezes() ([]*strongroomv1.Freeze, error) {
	var all []*strongroomv1.Freeze
	err := s.config.Ledger.Read(func(x *ledger.Index) error {
		for _, f := range x.Freezes().Live(canon.TimeOf(s.config.Now()), s.freezeLapse()) {
			freeze := &strongroomv1.Freeze{Officer: string(f.Officer), Statement: f.Statement[:], Since: timestamppb.New(f.Since.At())}
			if f.Until != 0 {
				freeze.Until = timestamppb.New(f.Until.At())
			}
			all = append(all, freeze)
		}
		return nil
	})
	return all, err
}

// digestOrNone reads a digest that may be left out.
func digestOrNone(field string, b []byte) (canon.Digest, error) {
	if len(b) == 0 {
		return canon.Digest{}, nil
	}
	return digestOf(field, b)
}

func digestOf(field string, b []byte) (canon.Digest, error) {
	if len(b) != len(canon.Digest{}) {
		return canon.Digest{}, refusal.New("statements", field, "32 bytes", fmt.Sprint(len(b)))
	}
	return canon.Digest(b), nil
}
