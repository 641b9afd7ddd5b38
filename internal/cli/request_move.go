package cli

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/ivms101"
	"github.com/strongroom/strongroom/proto/refusal"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
)

// place finds where an order to an own wallet pays: it has an address derived there, and verifies what the signers attest as VerifyAddress does. The
// same request id gives the same address.
func (s *Session) place(ctx context.Context, o *Order) error {
	if len(o.To) > 0 || len(o.Amounts) != 1 || o.Call != "" {
		return errors.New("to-wallet: expected one amount and neither an address nor a call, found otherwise")
	}
	from, ok := s.Charter.Wallet(canon.Name(o.Wallet))
	to, known := s.Charter.Wallet(canon.Name(o.ToWallet))
	if !ok || !known || from.Chain != to.Chain || from.Name == to.Name {
		return fmt.Errorf("to-wallet: expected another wallet of the charter on the chain of %q, found %q", o.Wallet, o.ToWallet)
	}
	holder, ok := s.Charter.Holder(to, canon.Name(o.Account))
	if !ok {
		return fmt.Errorf("to-wallet: expected one that holds account %q, found %q", o.Account, o.ToWallet)
	}
	if o.RequestID == "" {
		id, err := randomID()
		if err != nil {
			return err
		}
		o.RequestID = id
	}
	c, err := s.coordinator()
	if err != nil {
		return err
	}
	got, err := call(ctx, c.CreateAddress, &pb.CreateAddressRequest{Parent: accountName(o.ToWallet, o.Account), RequestId: o.RequestID})
	if err != nil {
		return err
	}
	v, err := verifyAddress(s.Charter, fileOf(got), s.pools(""))
	if err != nil {
		return err
	}
	if v.Wallet != o.ToWallet || v.Account != string(holder.Name) {
		return refusal.New("attestation", "wallet, account", o.ToWallet+", "+string(holder.Name), v.Wallet+", "+v.Account)
	}
	o.own = &v
	return nil
}

// ownOutput is the one payment of an order that was placed.
func (s *Session) ownOutput(chain canon.Chain, o Order) ([]canon.Output, error) {
	asset, amount, err := parseAmount(s.Charter, chain.ID, o.Amounts[0])
	if err != nil {
		return nil, err
	}
	address, err := wallets.ParseAddress(chain, o.own.Address)
	if err != nil {
		return nil, fmt.Errorf("to-wallet: %w", err)
	}
	own := &canon.OwnAddress{Wallet: canon.Name(o.own.Wallet), Index: o.own.Path[len(o.own.Path)-1]}
	return []canon.Output{{Address: address, Asset: asset, Amount: amount, Own: own}}, nil
}

// travelData reads IVMS101 data, checks it, and returns it with the digest that a request binds. Errors quote nothing of it. The bytes are sent as they
// are, since the digest is of them.
func (s *Session) travelData(path string) (data, digest []byte, err error) {
	if path == "" {
		return nil, nil, nil
	}
	if data, err = s.read(path, ivms101.MaxSize); err != nil {
		return nil, nil, err
	}
	p, err := ivms101.Decode(data)
	if err == nil {
		err = p.BornBefore(s.Now())
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	sum := sha256.Sum256(data)
	return data, sum[:], nil
}
