package signer

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// maxListed bounds the intents of one answer, in bytes.
const maxListed = 8 << 20

// ListSeenIntents returns the intents that this signer acked or held, or whose delay it counts, and that have not expired, the last to expire first.
// Of those whose delay it counts it lists what it was asked for since it started; see waiting.
func (s *Signer) ListSeenIntents(context.Context, *strongroomv1.ListSeenIntentsRequest) (*strongroomv1.ListSeenIntentsResponse, error) {
	var all [][]byte
	err := s.config.Ledger.Read(func(x *ledger.Index) error { all = x.Intents(); return nil })
	if err != nil {
		return nil, err
	}
	all = append(all, s.waiting.besides(all)...)
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
