package cli

import (
	"context"
	"time"

	"github.com/strongroom/strongroom/internal/cli/desk"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/guard"
)

// Decoders and an encoder for tests.
var (
	DecodeProof   = decodeProof
	DecodeEntries = decodeEntries
	EncodeEntries = encodeEntries
	ParseBook     = parseBook
	ParseProof    = parseBookProofFile
	DecodeBook    = ProofOfBook.proof
	Counts        = counts
)

// CharterViewOf is what charter show prints.
func CharterViewOf(c *charter.Charter) CharterView { return charterView(c) }

// Found is an intent of the inbox, for tests that change what was examined of it.
type Found struct{ p *pending }

// Find looks an intent up.
func Find(ctx context.Context, s *Session, name string) (Found, error) {
	p, err := s.find(ctx, name)
	return Found{p}, err
}

// Review is what was examined.
func (f Found) Review() *guard.Review { return f.p.review }

// Shown renders what was examined; nothing of it is a digest of the whole.
func (f Found) Shown(s *Session) (IntentView, error) {
	var v IntentView
	err := s.fill(&v, f.p)
	return v, err
}

// OfficeOf returns the session as the desk uses it.
func OfficeOf(s *Session, all bool) desk.Office { return OfficeWithin(s, all, callTimeout) }

// OfficeWithin returns the session as a desk uses it that asks for so long.
func OfficeWithin(s *Session, all bool, patience time.Duration) desk.Office {
	return &office{s: s, all: all, patience: patience}
}
