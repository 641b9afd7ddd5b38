package coordinator

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// laggard is a signer that was away: it goes at most 100 beyond what it has seen.
type laggard struct {
	strongroomv1.SignerServiceClient
	highest map[uint64]int64 // by branch
	needs   []canon.OwnPath
	calls   int
	lost    bool     // does not answer when it is led
	asked   []uint64 // attempts
}

func (l *laggard) seen(branch uint64) int64 {
	if h, ok := l.highest[branch]; ok {
		return h
	}
	return -1
}

func (l *laggard) AttestAddress(_ context.Context, r *strongroomv1.AttestAddressRequest, _ ...grpc.CallOption) (*strongroomv1.AttestAddressResponse, error) {
	l.calls++
	if l.lost {
		return nil, status.Error(codes.Unavailable, "connection refused")
	}
	if most := l.seen(r.GetBranch()) + 100; int64(r.GetIndex()) > most {
		return nil, refusal.New("address", "index", fmt.Sprintf("at most %d", most), fmt.Sprint(r.GetIndex()))
	}
	l.highest[r.GetBranch()] = max(l.seen(r.GetBranch()), int64(r.GetIndex()))
	return &strongroomv1.AttestAddressResponse{Attestation: &strongroomv1.Signed{}}, nil
}

func (l *laggard) Reserve(context.Context, *strongroomv1.ReserveRequest, ...grpc.CallOption) (*strongroomv1.ReserveResponse, error) {
	for _, p := range l.needs {
		if most := l.seen(p.Branch) + 100; int64(p.Index) > most {
			return nil, refusal.New("index-gap", "evidence.change[0].index", fmt.Sprintf("at most %d", most), fmt.Sprint(p.Index))
		}
	}
	return &strongroomv1.ReserveResponse{Ack: &strongroomv1.Signed{}}, nil
}

func (l *laggard) Cosign(_ context.Context, r *strongroomv1.CosignRequest, _ ...grpc.CallOption) (*strongroomv1.CosignResponse, error) {
	l.asked = append(l.asked, r.GetAttempt())
	if _, err := l.Reserve(context.Background(), nil); err != nil {
		return nil, err
	}
	return &strongroomv1.CosignResponse{}, nil
}

// A device is outside the roster: nobody asked it about change before it is to sign for it.
func TestADeviceIsLedToTheAddressesInUse(t *testing.T) {
	prepared := &withdrawal.Prepared{Inputs: []canon.OwnPath{{Account: "a", Branch: 1, Index: 250}}, Change: []canon.OwnPath{{Position: 1, Account: "a", Branch: 1, Index: 251}}}
	l := &laggard{highest: map[uint64]int64{}, needs: append(prepared.Inputs, prepared.Change...)}
	if _, err := cosignFrom(t.Context(), l, withdrawal.Withdrawal{Wallet: "w", Prepared: prepared}, &strongroomv1.CosignRequest{Attempt: 7}); err != nil {
		t.Fatal(err)
	}
	if l.highest[1] != 251 || !slices.Equal(l.asked, []uint64{7, 7}) {
		t.Errorf("expected the device at 251, asked twice under one number, found %v, %v", l.highest, l.asked)
	}
}

func TestASignerThatIsLostOnTheWayRefusedNothing(t *testing.T) {
	prepared := &withdrawal.Prepared{Inputs: []canon.OwnPath{{Account: "a", Branch: 1, Index: 250}}}
	l := &laggard{highest: map[uint64]int64{}, needs: prepared.Inputs, lost: true}
	if _, err := cosignFrom(t.Context(), l, withdrawal.Withdrawal{Wallet: "w", Prepared: prepared}, &strongroomv1.CosignRequest{}); status.Code(err) != codes.Unavailable || refusal.Of(err) != nil {
		t.Errorf("expected no answer, found %v", err)
	}
}

func TestASignerThatWasAwayIsLedToTheAddressesInUse(t *testing.T) {
	prepared := &withdrawal.Prepared{
		Inputs: []canon.OwnPath{{Account: "a", Branch: 0, Index: 731}, {Position: 1, Account: "a", Branch: 1, Index: 12}},
		Change: []canon.OwnPath{{Position: 1, Account: "a", Branch: 1, Index: 450}},
	}
	l := &laggard{highest: map[uint64]int64{1: 20}, needs: append(prepared.Inputs, prepared.Change...)}
	if _, err := reserveFrom(t.Context(), l, withdrawal.Withdrawal{Wallet: "w", Prepared: prepared}, &strongroomv1.ReserveRequest{}); err != nil {
		t.Fatal(err)
	}
	if l.highest[0] != 731 || l.highest[1] != 450 {
		t.Errorf("expected the signer at 731 and 450, found %v", l.highest)
	}
	l.calls = 0
	if _, err := reserveFrom(t.Context(), l, withdrawal.Withdrawal{Wallet: "w", Prepared: prepared}, &strongroomv1.ReserveRequest{}); err != nil || l.calls != 0 {
		t.Errorf("expected an ack without detour, found %d calls and %v", l.calls, err)
	}
}

func TestOtherRefusalsAreNotWalkedAround(t *testing.T) {
	for _, err := range []error{nil, refusal.New("fee-cap", "transaction.fee", "less", "more"), context.Canceled} {
		if behind(err) {
			t.Errorf("%v: expected it not to be taken for a signer that was away", err)
		}
	}
}
