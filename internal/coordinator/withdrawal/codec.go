package withdrawal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"github.com/strongroom/strongroom/proto/refusal"
)

// MaxEncoded is the size of the largest encoded withdrawal, in bytes.
const MaxEncoded = 64 << 20

// ErrEncoding is wrapped by every refusal of Decode.
var ErrEncoding = errors.New("not an encoded withdrawal")

// Encode returns w for a store's row. Nobody signs these bytes; fields go by their Go names, so new ones may be added and old rows
// still decode, but none may be renamed without a migration.
func Encode(w Withdrawal) ([]byte, error) {
	b, err := encMode.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("withdrawal %s: %w", w.ID, err)
	}
	if len(b) > MaxEncoded {
		return nil, fmt.Errorf("withdrawal %s: size: expected at most %d bytes, found %d", w.ID, MaxEncoded, len(b))
	}
	return b, nil
}

// Decode reads what Encode wrote, and refuses unknown fields, unknown states and anything after the end.
func Decode(b []byte) (Withdrawal, error) {
	if len(b) > MaxEncoded {
		return Withdrawal{}, fmt.Errorf("%w: size: expected at most %d bytes, found %d", ErrEncoding, MaxEncoded, len(b))
	}
	var w Withdrawal
	if err := decMode.Unmarshal(b, &w); err != nil {
		return Withdrawal{}, fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	if _, err := ParseState(string(w.State)); err != nil {
		return Withdrawal{}, fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	w.Created, w.Updated = w.Created.UTC(), w.Updated.UTC()
	return w, nil
}

var encMode, decMode = modes()

func modes() (cbor.EncMode, cbor.DecMode) {
	enc, err := cbor.EncOptions{Sort: cbor.SortCoreDeterministic, Time: cbor.TimeRFC3339NanoUTC, IndefLength: cbor.IndefLengthForbidden,
		TagsMd: cbor.TagsForbidden}.EncMode()
	if err != nil {
		panic(err) // the options above are constants: only a changed library can get here
	}
	dec, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		MaxNestedLevels:   12,
		MaxArrayElements:  10_000,
		MaxMapPairs:       256,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
		UTF8:              cbor.UTF8RejectInvalid,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return enc, dec
}

// EncodeRefusals returns reasons as JSON, for a store's event row. No reasons are no bytes.
func EncodeRefusals(list []refusal.Failure) ([]byte, error) {
	if len(list) == 0 {
		return nil, nil
	}
	return json.Marshal(list)
}

// DecodeRefusals reads what EncodeRefusals wrote.
func DecodeRefusals(b []byte) ([]refusal.Failure, error) {
	if len(b) == 0 {
		return nil, nil
	}
	var list []refusal.Failure
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("refusals: %w", err)
	}
	return list, nil
}
