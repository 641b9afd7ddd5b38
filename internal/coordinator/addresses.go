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

// CreateAddress derives the next receive address of an account and has at least f+1 signers attest it, for scheme cosign also the signers of as many
// devices as the wallet needs. The same request id gives the same address. A pool whose keys are all given out is an error FAILED_PRECONDITION that names it.
// On EVM chains an account has one address, at index 0, whatever the request id. An account of an omnibus wallet gets the next address
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
		return store.Address{}, unready(wallet, err)
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

// unready gives an error that time heals its code, and one of a pool that has no such key.
func unready(wallet canon.Wallet, err error) error {
	var unknown *unknownKeyError
	var missing *missingPoolError
	switch r := refusal.Of(err); {
	case errors.As(err, &unknown) || errors.As(err, &missing):
		return status.Error(codes.Unavailable, err.Error())
	case r != nil:
		return status.Errorf(codes.FailedPrecondition, "wallet %s: %s", wallet.Name, r)
	}
	return err
}

// witnesses are the signers who can attest addresses of a wallet: any f+1 of most, and needed of devices.
type witnesses struct {
	most    []canon.Name // the holders of the MPC key; of scheme hsm, whose addresses everybody derives from the pool, the roster
	devices []canon.Name // of scheme cosign
	needed  int
}

func witnessesOf(c *charter.Charter, wallet canon.Wallet) witnesses {
	var w witnesses
	if wallet.Scheme == canon.SchemeHSM {
		w.most = rosterOf(c)
	} else {
		key, _ := c.Key(wallet.Key)
		w.most = key.Holders
	}
	if wallet.Scheme == canon.SchemeCosign {
		w.devices, w.needed = deviceSigners(wallet), int(wallet.Needed)
	}
	return w
}

func (w witnesses) all() []canon.Name {
	out := slices.Clone(w.most)
	for _, name := range w.devices {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// of counts the signers of a list that attested.
func (w witnesses) of(list []canon.Name, attested map[canon.Name]canon.Signed) int {
	n := 0
	for _, name := range list {
		if _, ok := attested[name]; ok {
			n++
		}
	}
	return n
}

// choose returns enough attestations and no more, or none and what is missing.
func (w witnesses) choose(want int, attested map[canon.Name]canon.Signed) ([]canon.Signed, string) {
	if n := w.of(w.most, attested); n < want {
		return nil, fmt.Sprintf("expected %d of distinct signers, found %d", want, n)
	}
	if n := w.of(w.devices, attested); n < w.needed {
		return nil, fmt.Sprintf("expected %d of devices %v, found %d", w.needed, w.devices, n)
	}
	var out []canon.Signed
	used := map[canon.Name]bool{}
	take := func(list []canon.Name, n int) {
		for _, name := range list {
			if signed, ok := attested[name]; ok && n > 0 {
				if n--; !used[name] {
					used[name] = true
					out = append(out, signed)
				}
			}
		}
	}
	take(w.most, want)
	take(w.devices, w.needed)
	return out, ""
}

// deviceSigners returns the signers whose tokens sign for a wallet.
func deviceSigners(wallet canon.Wallet) []canon.Name {
	out := make([]canon.Name, len(wallet.Devices))
	for i, d := range wallet.Devices {
		out[i] = d.Signer
	}
	return out
}

// attest asks signers until enough of them derived the same address.
func (s *Service) attest(ctx context.Context, c *charter.Charter, wallet canon.Wallet, account canon.Account, place store.Place, address []byte) ([]canon.Signed, error) {
	want, witnesses := int(c.Genesis().Roster.Faults+1), witnessesOf(c, wallet)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := ask(ctx, s.signers, witnesses.all(), reserveTimeout, func(ctx context.Context, signer Signer) (*strongroomv1.AttestAddressResponse, error) {
		return attestFrom(ctx, signer.Client, place)
	})
	got := map[canon.Name]canon.Signed{}
	var failures []error
	_, short := witnesses.choose(want, got)
	for a := range answers {
		err := a.err
		if err == nil {
			signed := fromSigned(a.value.GetAttestation())
			if err = checkAttestation(c, signed, a.signer, wallet, account, place, address); err == nil {
				got[a.signer] = signed
			}
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", a.signer, err))
		}
		var enough []canon.Signed
		if enough, short = witnesses.choose(want, got); enough != nil {
			return enough, nil
		}
	}
	s.Log.Warn("address without attestations", "wallet", string(place.Wallet), "account", string(place.Account), "error", errors.Join(failures...).Error())
	return nil, status.Errorf(codes.Unavailable, "attestations: %s", short)
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
