package cli

// Decoders and an encoder for tests.
var (
	DecodeProof   = decodeProof
	DecodeEntries = decodeEntries
	EncodeEntries = encodeEntries
)
