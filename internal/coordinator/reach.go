package coordinator

import (
	"context"
	"slices"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
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

// reserveFrom asks one signer for an ack, and once more if it was behind.
func reserveFrom(ctx context.Context, c strongroomv1.SignerServiceClient, w withdrawal.Withdrawal, request *strongroomv1.ReserveRequest) (*strongroomv1.ReserveResponse, error) {
	return led(ctx, c, w, func() (*strongroomv1.ReserveResponse, error) { return c.Reserve(ctx, request) })
}

// cosignFrom asks a device, and once more if it was behind: it is outside the roster, so that nobody asked it about change before. What it refuses for that
// it refuses before it takes the attempt, which is the same one then.
func cosignFrom(ctx context.Context, c strongroomv1.SignerServiceClient, w withdrawal.Withdrawal, request *strongroomv1.CosignRequest) (*strongroomv1.CosignResponse, error) {
	return led(ctx, c, w, func() (*strongroomv1.CosignResponse, error) { return c.Cosign(ctx, request) })
}

// led asks a signer, and once more if it was behind and was led to the addresses that the transaction touches. Where it does not follow is for it to say
// then; one that stopped answering on the way refused nothing.
func led[T any](ctx context.Context, c strongroomv1.SignerServiceClient, w withdrawal.Withdrawal, call func() (T, error)) (T, error) {
	reply, err := call()
	if !behind(err) {
		return reply, err
	}
	for _, place := range touched(w) {
		if _, err := bring(ctx, c, place); err != nil && refusal.Of(err) == nil {
			return reply, err
		}
	}
	return call()
}

// touched returns the addresses of ours in a transaction on a Bitcoin chain: inputs, change, and the request's own outputs.
func touched(w withdrawal.Withdrawal) []store.Place {
	var out []store.Place
	for _, p := range slices.Concat(w.Prepared.Inputs, w.Prepared.Change) {
		out = append(out, store.Place{Wallet: w.Wallet, Account: p.Account, Branch: p.Branch, Index: p.Index})
	}
	var r canon.Request
	if err := canon.Decode(w.Request.Document, &r); err != nil {
		return out // it is said where the request is needed
	}
	for _, o := range r.Outputs {
		if o.Own != nil {
			out = append(out, store.Place{Wallet: o.Own.Wallet, Account: w.Account, Branch: wallets.BranchReceive, Index: o.Own.Index})
		}
	}
	return out
}
