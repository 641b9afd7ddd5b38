package mpc

import (
	"github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	"github.com/bnb-chain/tss-lib/v2/ecdsa/signing"
	"github.com/bnb-chain/tss-lib/v2/tss"
)

// messageType is one of the library's messages. Whether it goes to all or to one follows from the type, never from what a peer says.
type messageType struct {
	name      string
	broadcast bool
	// maxSize is four times the largest encoding that was measured.
	maxSize int
	empty   func() tss.MessageContent
}

// stage is one round of the library: what every party sends in it.
type stage []messageType

// keygenStages are the rounds of ecdsa/keygen.
func keygenStages() []stage {
	return []stage{
		{{"keygen/1", true, 4 * 133_753, func() tss.MessageContent { return new(keygen.KGRound1Message) }}},
		{
			{"keygen/2/share", false, 4 * 3_720, func() tss.MessageContent { return new(keygen.KGRound2Message1) }},
			{"keygen/2/open", true, 4 * 41_965, func() tss.MessageContent { return new(keygen.KGRound2Message2) }},
		},
		{{"keygen/3", true, 4 * 3_435, func() tss.MessageContent { return new(keygen.KGRound3Message) }}},
	}
}

// signStages are the rounds of ecdsa/signing.
func signStages() []stage {
	return []stage{
		{
			{"sign/1/mta", false, 4 * 2_332, func() tss.MessageContent { return new(signing.SignRound1Message1) }},
			{"sign/1/commit", true, 4 * 105, func() tss.MessageContent { return new(signing.SignRound1Message2) }},
		},
		{{"sign/2", false, 4 * 6_859, func() tss.MessageContent { return new(signing.SignRound2Message) }}},
		{{"sign/3", true, 4 * 104, func() tss.MessageContent { return new(signing.SignRound3Message) }}},
		{{"sign/4", true, 4 * 275, func() tss.MessageContent { return new(signing.SignRound4Message) }}},
		{{"sign/5", true, 4 * 104, func() tss.MessageContent { return new(signing.SignRound5Message) }}},
		{{"sign/6", true, 4 * 479, func() tss.MessageContent { return new(signing.SignRound6Message) }}},
		{{"sign/7", true, 4 * 104, func() tss.MessageContent { return new(signing.SignRound7Message) }}},
		{{"sign/8", true, 4 * 241, func() tss.MessageContent { return new(signing.SignRound8Message) }}},
		{{"sign/9", true, 4 * 104, func() tss.MessageContent { return new(signing.SignRound9Message) }}},
	}
}

const (
	// echoType carries the digest of all broadcasts of a round that its sender has seen, itself included.
	echoType = "echo"
	// abortType says that its sender gave the session up.
	abortType = "abort"
)
