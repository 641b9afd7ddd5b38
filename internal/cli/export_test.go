package cli

import (
	"time"

	"github.com/strongroom/strongroom/internal/cli/desk"
)

// Decoders and an encoder for tests.
var (
	DecodeProof   = decodeProof
	DecodeEntries = decodeEntries
	EncodeEntries = encodeEntries
	ParseBook     = parseBook
	ParseProof    = parseBookProofFile
	DecodeBook    = ProofOfBook.proof
)

// OfficeOf returns the session as the desk uses it.
func OfficeOf(s *Session, all bool) desk.Office { return OfficeWithin(s, all, callTimeout) }

// OfficeWithin returns the session as a desk uses it that asks for so long.
func OfficeWithin(s *Session, all bool, patience time.Duration) desk.Office {
	return &office{s: s, all: all, patience: patience}
}
