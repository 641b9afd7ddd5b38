package signer

import (
	"context"

	"github.com/strongroom/strongroom/internal/signer/holdings"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// Heed has the signer take a peer's word on the charter in force as the first of that peer.
func (s *Signer) Heed(ctx context.Context, peer canon.Name, head canon.Signed) {
	s.heed(ctx, s.chain(), peer, head, true)
}

// Collect has the signer take a peer's word that it held an amendment.
func (s *Signer) Collect(peer canon.Name, amendment canon.Digest, held canon.Signed) {
	s.collect(peer, amendment.String(), held)
}

// EnactHeld has the signer enact what enough signers held.
func (s *Signer) EnactHeld(ctx context.Context) { s.enactHeld(ctx) }

// Missed is what a signer that knows no more of the address book than here remembers of one peer's answer.
func Missed(answer []*strongroomv1.BookVersion, here *book.Versions) []book.Root {
	var m missed
	m.note("node-2", answer, here)
	return m.by["node-2"]
}

// AddressesOf is how many addresses a branch has.
func (s *Signer) AddressesOf(wallet, holder canon.Name, branch uint64) (uint64, error) {
	return s.addressesOf(holdings.Branch{Wallet: wallet, Holder: holder, Number: branch})
}
