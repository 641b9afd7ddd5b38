package coordinator

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
)

var requestIDForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$`)

// CreateAddress derives the next receive address of an account and has at least f+1 signers attest it. The same request id gives the
// same address. On EVM chains an account has one address, at index 0, whatever the request id. An account of an omnibus wallet gets the next address
// of the wallet's pool, which is its own from then on; on EVM chains that of the pool, which is everybody's.
func (s *Service) CreateAddress(ctx context.Context, wallet canon.Wallet, account canon.Account, requestID string) (store.Address, error) {
	if !requestIDForm.MatchString(requestID) {
		return store.Address{}, status.Error(codes.InvalidArgument, "request_id: expected 1 to 64 of letters, digits, dot, underscore, colon, hyphen")
	}
	s.issuing.Lock()
	defer s.issuing.Unlock()
	c := s.charter()
	chain, _ := c.Chain(wallet.Chain)
	old, err := s.issued(ctx, c, chain, wallet, account, requestID)
	var missing *store.NotFoundError
	if err == nil || !errors.As(err, &missing) {
		return old, err
	}
	holder, ok := c.Holder(wallet, account.Name)
	if !ok || account.Kind == canon.Pool {
		return store.Address{}, status.Errorf(codes.FailedPrecondition, "account: expected one that has addresses in wallet %s, found %s", wallet.Name, account.Name)
	}
	index, owner := uint64(0), holder.Name
	if chain.Kind == canon.Bitcoin {
		owner = account.Name
		if index, err = s.Store.NextIndex(ctx, wallet.Name, holder.Name, wallets.BranchReceive); err != nil {
			return store.Address{}, err
		}
	}
	place := store.Place{Wallet: wallet.Name, Account: holder.Name, Branch: wallets.BranchReceive, Index: index}
	address, _, err := s.keys.derive(wallet, holder, place.Branch, index)
	if err != nil {
		return store.Address{}, unready(err)
	}
	attestations, err := s.attest(ctx, c, wallet, holder, place, address)
	if err != nil {
		return store.Address{}, err
	}
	stored, _, err := s.Store.AddAddress(ctx, store.Address{Place: place, Owner: owner, Chain: wallet.Chain, Bytes: address, Attestations: attestations,
		RequestID: requestID, Created: s.Now()})
	return stored, err
}

// issued returns the address that was given out for the request id before, or a *store.NotFoundError.
func (s *Service) issued(ctx context.Context, c *charter.Charter, chain canon.Chain, wallet canon.Wallet, account canon.Account, requestID string) (store.Address, error) {
	if chain.Kind == canon.EVM {
		holder, ok := c.Holder(wallet, account.Name)
		if !ok {
			return store.Address{}, &store.NotFoundError{What: "address", Name: string(account.Name)}
		}
		return s.Store.AddressAt(ctx, store.Place{Wallet: wallet.Name, Account: holder.Name})
	}
	return s.Store.AddressByRequest(ctx, wallet.Name, account.Name, requestID)
}

// unready gives an error that time heals its code.
func unready(err error) error {
	var unknown *unknownKeyError
	if errors.As(err, &unknown) {
		return status.Error(codes.Unavailable, err.Error())
	}
	return err
}

// attest asks the holders of the wallet's key until f+1 of them derived the same address.
func (s *Service) attest(ctx context.Context, c *charter.Charter, wallet canon.Wallet, account canon.Account, place store.Place, address []byte) ([]canon.Signed, error) {
	key, _ := c.Key(wallet.Key)
	want := int(c.Genesis().Roster.Faults + 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := ask(ctx, s.signers, key.Holders, reserveTimeout, func(ctx context.Context, signer Signer) (*strongroomv1.AttestAddressResponse, error) {
		return attestFrom(ctx, signer.Client, place)
	})
	var got []canon.Signed
	var failures []error
	for a := range answers {
		err := a.err
		if err == nil {
			signed := fromSigned(a.value.GetAttestation())
			if err = checkAttestation(c, signed, a.signer, wallet, account, place, address); err == nil {
				got = append(got, signed)
			}
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", a.signer, err))
		}
		if len(got) == want {
			return got, nil
		}
	}
	s.Log.Warn("address without attestations", "wallet", string(place.Wallet), "account", string(place.Account), "error", errors.Join(failures...).Error())
	return nil, status.Errorf(codes.Unavailable, "attestations: expected %d of distinct signers, found %d", want, len(got))
}

// checkAttestation compares what a signer signed with the charter and with this service's own derivation.
func checkAttestation(c *charter.Charter, signed canon.Signed, signer canon.Name, wallet canon.Wallet, account canon.Account, place store.Place, address []byte) error {
	var a canon.Address
	if err := canon.Decode(signed.Document, &a); err != nil {
		return err
	}
	who, ok := c.Signer(signer)
	if !ok || signed.Scheme != canon.Ed25519 || !ed25519.Verify(who.Identity[:], canon.KindAddress.Message(signed.Document), signed.Signature) {
		return refusal.New("attestation", "signature", "one of "+string(signer), "another")
	}
	chain, _ := c.Chain(wallet.Chain)
	key, _ := c.Key(wallet.Key)
	path := []uint64{chain.CoinType, wallet.Number, account.Number, place.Branch, place.Index}
	var l refusal.List
	for _, f := range []struct{ field, want, got string }{
		{"organisation", c.Organisation().String(), a.Organisation.String()},
		{"signer", string(signer), string(a.Signer)},
		{"chain", string(wallet.Chain), string(a.Chain)},
		{"wallet", string(wallet.Name), string(a.Wallet)},
		{"account", string(account.Name), string(a.Account)},
		{"key", fmt.Sprintf("%s, epoch %d", wallet.Key, key.Epoch), fmt.Sprintf("%s, epoch %d", a.Key, a.KeyEpoch)},
	} {
		if f.want != f.got {
			l.Add("attestation", f.field, f.want, f.got)
		}
	}
	if !slices.Equal(path, a.Path) {
		l.Add("attestation", "path", fmt.Sprint(path), fmt.Sprint(a.Path))
	}
	if !bytes.Equal(address, a.Address) {
		l.Add("attestation", "address", fmt.Sprintf("%x", address), fmt.Sprintf("%x", a.Address))
	}
	return l.Err()
}

func fromSigned(s *strongroomv1.Signed) canon.Signed {
	return canon.Signed{Document: s.GetDocument(), Scheme: canon.Scheme(min(s.GetScheme(), 255)), Signature: s.GetSignature()}
}

func toSigned(s canon.Signed) *strongroomv1.Signed {
	return &strongroomv1.Signed{Document: s.Document, Scheme: uint32(s.Scheme), Signature: s.Signature}
}
