package signer

import (
	"context"

	"github.com/strongroom/strongroom/proto/canon"
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
