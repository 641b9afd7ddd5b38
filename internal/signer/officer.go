package signer

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// maxListed bounds the intents of one answer, in bytes.
const maxListed = 8 << 20

// SubmitSignerStatement records an officer's rejection; from then on nothing that rests on the object is acked or signed here. Any
// officer's device may bring it: statements speak for themselves and can only stop things.
func (s *Signer) SubmitSignerStatement(ctx context.Context, r *strongroomv1.SubmitSignerStatementRequest) (*strongroomv1.SubmitSignerStatementResponse, error) {
	signed := fromWire(r.GetStatement())
	statement, err := approval.VerifyStatement(s.config.Charter, signed)
	if err != nil {
		return nil, err
	}
	// The guard acts on rejections only: taking another verb would tell an officer that something was stopped.
	if statement.Verb != canon.StateReject {
		return nil, refusal.New("statement", "verb", fmt.Sprintf("%d, reject", canon.StateReject), fmt.Sprint(statement.Verb))
	}
	if err := s.config.Ledger.Record(signed); err != nil {
		return nil, s.noted(err)
	}
	s.config.Log.InfoContext(ctx, "statement", slog.String("officer", string(statement.Officer)), slog.String("object", statement.Object.String()))
	return &strongroomv1.SubmitSignerStatementResponse{Signer: string(s.config.Self)}, nil
}

// ListSeenIntents returns the intents that this signer acked or held and that have not expired, the last to expire first.
func (s *Signer) ListSeenIntents(context.Context, *strongroomv1.ListSeenIntentsRequest) (*strongroomv1.ListSeenIntentsResponse, error) {
	var all [][]byte
	err := s.config.Ledger.Read(func(x *ledger.Index) error { all = x.Intents(); return nil })
	if err != nil {
		return nil, err
	}
	type seen struct {
		encoding []byte
		notAfter canon.Time
	}
	var open []seen
	for _, b := range all {
		var i canon.Intent
		if err := canon.Decode(b, &i); err != nil {
			return nil, fmt.Errorf("signer: intent in the ledger: %w", err)
		}
		if i.NotAfter >= canon.TimeOf(s.config.Now()) {
			open = append(open, seen{b, i.NotAfter})
		}
	}
	slices.SortFunc(open, func(a, b seen) int {
		return cmp.Or(cmp.Compare(b.notAfter, a.notAfter), bytes.Compare(a.encoding, b.encoding))
	})
	out, size := &strongroomv1.ListSeenIntentsResponse{}, 0
	for _, i := range open {
		if size += len(i.encoding); size > maxListed {
			break
		}
		out.Intents = append(out.Intents, i.encoding)
	}
	return out, nil
}
