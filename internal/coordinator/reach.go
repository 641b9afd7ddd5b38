package coordinator

import (
	"context"
	"slices"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// stride is how far beyond the highest index that it has seen a signer goes at once.
const stride = 100

// behind reports whether a signer refused because an index lies too far beyond those that it has seen: it was away while others took part.
func behind(err error) bool {
	r := refusal.Of(err)
	return r != nil && slices.ContainsFunc(r.Failures, func(f refusal.Failure) bool {
		return f.Rule == "index-gap" || (f.Rule == "address" && f.Field == "index")
	})
}

// bring leads a signer up to an address in steps that it takes, and returns its attestation of the last.
func bring(ctx context.Context, c strongroomv1.SignerServiceClient, to store.Place) (*strongroomv1.AttestAddressResponse, error) {
	request := func(index uint64) *strongroomv1.AttestAddressRequest {
		return &strongroomv1.AttestAddressRequest{Wallet: string(to.Wallet), Account: string(to.Account), Branch: to.Branch, Index: index}
	}
	for index := uint64(stride - 1); index < to.Index; index += stride {
		if _, err := c.AttestAddress(ctx, request(index)); err != nil {
			return nil, err
		}
	}
	return c.AttestAddress(ctx, request(to.Index))
}

// attestFrom asks one signer for an attestation, and leads it there if it is behind.
func attestFrom(ctx context.Context, c strongroomv1.SignerServiceClient, place store.Place) (*strongroomv1.AttestAddressResponse, error) {
	reply, err := c.AttestAddress(ctx, &strongroomv1.AttestAddressRequest{Wallet: string(place.Wallet), Account: string(place.Account), Branch: place.Branch, Index: place.Index})
	if behind(err) {
		return bring(ctx, c, place)
	}
	return reply, err
}

// reserveFrom asks one signer for an ack, and once more if it was behind and could be led to the addresses that the transaction touches.
func reserveFrom(ctx context.Context, c strongroomv1.SignerServiceClient, w withdrawal.Withdrawal, request *strongroomv1.ReserveRequest) (*strongroomv1.ReserveResponse, error) {
	reply, err := c.Reserve(ctx, request)
	if !behind(err) {
		return reply, err
	}
	for _, p := range slices.Concat(w.Prepared.Inputs, w.Prepared.Change) {
		if _, failed := bring(ctx, c, store.Place{Wallet: w.Wallet, Account: p.Account, Branch: p.Branch, Index: p.Index}); failed != nil {
			return nil, err
		}
	}
	return c.Reserve(ctx, request)
}
