package share

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"

	"github.com/fxamacker/cbor/v2"
)

// ErrEncoding is wrapped by every refusal of a decoder in this package.
var ErrEncoding = errors.New("not a valid encoding")

const (
	version = 1
	// maxEncoded bounds an encoded share (16 parties need about 20 KB) and an encoded set of pre-parameters (about 2 KB).
	maxEncoded = 64 << 10
)

var encMode, decMode = modes()

func modes() (cbor.EncMode, cbor.DecMode) {
	enc, err := cbor.EncOptions{
		Sort: cbor.SortCoreDeterministic, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		NilContainers: cbor.NilContainerAsEmpty,
	}.EncMode()
	if err != nil {
		panic(err) // the options above are constants: only a changed library can get here
	}
	dec, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		MaxNestedLevels: 4, MaxArrayElements: 16, MaxMapPairs: 16, ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		UTF8: cbor.UTF8RejectInvalid,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return enc, dec
}

// decode reads b into v and refuses every encoding but the one that Marshal writes.
func decode(b []byte, v any) error {
	if len(b) > maxEncoded {
		return fmt.Errorf("%w: size: expected at most %d bytes, found %d", ErrEncoding, maxEncoded, len(b))
	}
	if err := decMode.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	again, err := encMode.Marshal(v)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	defer clear(again)
	if !bytes.Equal(b, again) {
		return fmt.Errorf("%w: form: expected the shortest sorted encoding, found another", ErrEncoding)
	}
	return nil
}

func checkVersion(what string, v uint64) error {
	if v != version {
		return fmt.Errorf("%s: %w: version: expected %d, found %d", what, ErrEncoding, version, v)
	}
	return nil
}

// number reads a big-endian number without leading zeros.
func number(name string, b []byte, maxBits int) (*big.Int, error) {
	n := new(big.Int).SetBytes(b)
	if len(b) == 0 || b[0] == 0 || n.BitLen() > maxBits {
		return nil, fmt.Errorf("%w: %s: expected 1 to %d bits without leading zero bytes, found %d bytes", ErrEncoding, name, maxBits, len(b))
	}
	return n, nil
}

type preParamsWire struct {
	Version uint64   `cbor:"1,keyasint"`
	Numbers [][]byte `cbor:"2,keyasint"`
}

// Encode checks p and returns its encoding, which is secret: seal it, then clear it.
func (p *PreParams) Encode() ([]byte, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	w := p.wire()
	return encMode.Marshal(w)
}

func (p *PreParams) wire() preParamsWire {
	w := preParamsWire{Version: version}
	for _, f := range p.fields() {
		w.Numbers = append(w.Numbers, f.value.Bytes())
	}
	return w
}

// DecodePreParams reads what Encode wrote and checks all of it.
func DecodePreParams(b []byte) (*PreParams, error) {
	p, err := decodePreParams(b)
	if err != nil {
		return nil, err
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	return p, nil
}

func decodePreParams(b []byte) (*PreParams, error) {
	var w preParamsWire
	if err := decode(b, &w); err != nil {
		return nil, fmt.Errorf("pre-params: %w", err)
	}
	return w.preParams()
}

func (w preParamsWire) preParams() (*PreParams, error) {
	if err := checkVersion("pre-params", w.Version); err != nil {
		return nil, err
	}
	fields := (&PreParams{}).fields()
	if len(w.Numbers) != len(fields) {
		return nil, fmt.Errorf("pre-params: %w: expected %d numbers, found %d", ErrEncoding, len(fields), len(w.Numbers))
	}
	n := make([]*big.Int, len(fields))
	for i, f := range fields {
		var err error
		if n[i], err = number(f.name, w.Numbers[i], f.maxBits); err != nil {
			return nil, fmt.Errorf("pre-params: %w", err)
		}
	}
	return &PreParams{PaillierP: n[0], PaillierQ: n[1], P: n[2], Q: n[3], H1: n[4], H2: n[5], Alpha: n[6], Beta: n[7]}, nil
}
