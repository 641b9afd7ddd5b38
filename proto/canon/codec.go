package canon

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/fxamacker/cbor/v2"
)

// Kind is the type string of a document; it separates the digests and signatures of one kind from those of every other.
type Kind string

// Document is a struct of this package that has a digest of its own.
type Document interface {
	// Kind returns the document's type string, for example "strongroom/intent/v1".
	Kind() Kind
	// limit returns the largest encoding that is accepted, in bytes.
	limit() int
}

// ErrEncoding is wrapped by every refusal of Decode and Encode.
var ErrEncoding = errors.New("not a canonical document")

const (
	kib = 1 << 10
	mib = 1 << 20
	// maxNesting is the depth of maps and arrays within each other that Decode accepts.
	maxNesting = 12
	// maxElements bounds every array and map before anything is allocated for it.
	maxElements = 10_000
)

var encMode, decMode = modes()

func modes() (cbor.EncMode, cbor.DecMode) {
	enc, err := cbor.EncOptions{
		Sort:          cbor.SortCoreDeterministic,
		ShortestFloat: cbor.ShortestFloat16,
		InfConvert:    cbor.InfConvertReject,
		NaNConvert:    cbor.NaNConvertReject,
		IndefLength:   cbor.IndefLengthForbidden,
		NilContainers: cbor.NilContainerAsEmpty,
		TagsMd:        cbor.TagsForbidden,
	}.EncMode()
	if err != nil {
		panic(err) // the options above are constants: only a changed library can get here
	}
	dec, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		MaxNestedLevels:   maxNesting,
		MaxArrayElements:  maxElements,
		MaxMapPairs:       64,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		UTF8:              cbor.UTF8RejectInvalid,
		NaN:               cbor.NaNDecodeForbidden,
		Inf:               cbor.InfDecodeForbidden,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return enc, dec
}

// Encode checks d and returns its one encoding.
func Encode(d Document) ([]byte, error) {
	if err := check(reflect.ValueOf(d), ""); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", d.Kind(), ErrEncoding, err)
	}
	b, err := encMode.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", d.Kind(), ErrEncoding, err)
	}
	if len(b) > d.limit() {
		return nil, fmt.Errorf("%s: %w: size: expected at most %d bytes, found %d", d.Kind(), ErrEncoding, d.limit(), len(b))
	}
	return b, nil
}

// Decode reads b into d, a pointer to the kind that the caller expects, and refuses everything but the one encoding of a valid
// document. On error d holds nothing of use.
func Decode(b []byte, d Document) error {
	if len(b) > d.limit() {
		return fmt.Errorf("%s: %w: size: expected at most %d bytes, found %d", d.Kind(), ErrEncoding, d.limit(), len(b))
	}
	if err := decMode.Unmarshal(b, d); err != nil {
		return fmt.Errorf("%s: %w: %w", d.Kind(), ErrEncoding, err)
	}
	again, err := Encode(d)
	if err != nil {
		return err
	}
	if !bytes.Equal(b, again) {
		return fmt.Errorf("%s: %w: form: expected the shortest sorted encoding, found another", d.Kind(), ErrEncoding)
	}
	return nil
}

// Digest returns SHA-256(kind ‖ 0x00 ‖ b) for the encoding b of a document of this kind.
func (k Kind) Digest(b []byte) Digest {
	return sha256.Sum256(k.Message(b))
}

// Message returns kind ‖ 0x00 ‖ b: the bytes that a signature over the document covers.
func (k Kind) Message(b []byte) []byte {
	m := make([]byte, 0, len(k)+1+len(b))
	m = append(m, k...)
	m = append(m, 0)
	return append(m, b...)
}

// Seal encodes d and returns the encoding with its digest.
func Seal(d Document) ([]byte, Digest, error) {
	b, err := Encode(d)
	if err != nil {
		return nil, Digest{}, err
	}
	return b, d.Kind().Digest(b), nil
}

// checker is a type with rules of its own beyond what CBOR says.
type checker interface{ Check() error }

// check walks v and asks every value that has rules whether it keeps them.
func check(v reflect.Value, path string) error {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return check(v.Elem(), path)
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if strings.HasSuffix(f.Tag.Get("cbor"), ",omitempty") && v.Field(i).IsZero() {
				continue // it is left out; whether it may be is the struct's question
			}
			if err := check(v.Field(i), path+"/"+f.Name); err != nil {
				return err
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			for i := range v.Len() {
				if err := check(v.Index(i), fmt.Sprintf("%s[%d]", path, i)); err != nil {
					return err
				}
			}
		}
	}
	if c, ok := v.Interface().(checker); ok {
		if err := c.Check(); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}
