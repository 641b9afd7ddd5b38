package cli

// DecodeProof is decodeProof for tests.
var DecodeProof = decodeProof
