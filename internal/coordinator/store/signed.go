package store

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"github.com/strongroom/strongroom/proto/canon"
)

// maxSigned bounds what DecodeSigned reads, in bytes, and how many signed documents a list has.
const (
	maxSigned     = 1 << 20
	maxSignedList = 256
)

// EncodeSigned returns a list of signed documents for a row.
func EncodeSigned(list []canon.Signed) ([]byte, error) {
	if len(list) > maxSignedList {
		return nil, fmt.Errorf("store: signed documents: expected at most %d, found %d", maxSignedList, len(list))
	}
	for i, s := range list {
		if err := s.Check(); err != nil {
			return nil, fmt.Errorf("store: signed documents: [%d]: %w", i, err)
		}
	}
	b, err := cbor.Marshal(list)
	if err == nil && len(b) > maxSigned {
		err = fmt.Errorf("expected at most %d bytes, found %d", maxSigned, len(b))
	}
	if err != nil {
		return nil, fmt.Errorf("store: signed documents: %w", err)
	}
	return b, nil
}

// DecodeSigned reads what EncodeSigned wrote.
func DecodeSigned(b []byte) ([]canon.Signed, error) {
	if len(b) > maxSigned {
		return nil, fmt.Errorf("store: signed documents: expected at most %d bytes, found %d", maxSigned, len(b))
	}
	var list []canon.Signed
	if err := signedMode.Unmarshal(b, &list); err != nil {
		return nil, fmt.Errorf("store: signed documents: %w", err)
	}
	for i, s := range list {
		if err := s.Check(); err != nil {
			return nil, fmt.Errorf("store: signed documents: [%d]: %w", i, err)
		}
	}
	return list, nil
}

var signedMode = func() cbor.DecMode {
	m, err := cbor.DecOptions{DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		MaxNestedLevels: 4, MaxArrayElements: maxSignedList, MaxMapPairs: 16, ExtraReturnErrors: cbor.ExtraDecErrorUnknownField}.DecMode()
	if err != nil {
		panic(err) // the options above are constants: only a changed library can get here
	}
	return m
}()
