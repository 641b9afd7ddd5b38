package guard

import (
	"bytes"
	"fmt"
	"math/big"
	"reflect"
	"regexp"
	"testing"

	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/fxamacker/cbor/v2"

	"github.com/strongroom/strongroom/proto/canon"
)

// tamperer walks a value and everything encoded within it, and changes one thing at a time. It knows types, not documents: a field
// that is added to a document is changed like the others.
type tamperer struct {
	t      testing.TB
	pool   map[reflect.Type][]reflect.Value // values that make sense somewhere: the charter's names, digests and the like
	codecs map[string]codec                 // by place, for bytes that are the encoding of something
	want   func(place, change string) bool  // nil for everything
	fields map[string]int                   // changes made in or below each field
	types  map[string]bool                  // structs walked through
}

// emitter is called while a change is in place. It reports whether the bytes differ from those before.
type emitter func(place, change string) bool

// codec opens bytes that are the encoding of something.
type codec struct {
	decode func([]byte) (any, error) // a pointer
	encode func(any) ([]byte, error)
}

// rawMode writes what canon would, but does not ask whether the values are allowed: nothing keeps a hostile coordinator from sending them.
var rawMode = func() cbor.EncMode {
	m, err := cbor.EncOptions{Sort: cbor.SortCoreDeterministic, NilContainers: cbor.NilContainerAsEmpty}.EncMode()
	if err != nil {
		panic(err)
	}
	return m
}()

func document[T any, P interface {
	*T
	canon.Document
}]() codec {
	return codec{
		decode: func(b []byte) (any, error) { d := P(new(T)); return d, canon.Decode(b, d) },
		encode: func(d any) ([]byte, error) { return rawMode.Marshal(d) },
	}
}

var bitcoinCodec = codec{
	decode: func(b []byte) (any, error) { tx := new(wire.MsgTx); return tx, tx.Deserialize(bytes.NewReader(b)) },
	encode: func(d any) ([]byte, error) {
		var b bytes.Buffer
		err := d.(*wire.MsgTx).Serialize(&b)
		return b.Bytes(), err
	},
}

// unsignedFields is how many fields of an EIP-1559 transaction come before its signature.
const unsignedFields = 9

// unsignedType has the fields of go-ethereum's transaction without the signature: what the payload is the RLP list of.
func unsignedType() reflect.Type {
	whole := reflect.TypeFor[types.DynamicFeeTx]()
	list := make([]reflect.StructField, unsignedFields)
	for i := range list {
		list[i] = reflect.StructField{Name: whole.Field(i).Name, Type: whole.Field(i).Type}
	}
	return reflect.StructOf(list)
}

var evmCodec = codec{
	decode: func(b []byte) (any, error) {
		if len(b) == 0 || b[0] != types.DynamicFeeTxType {
			return nil, fmt.Errorf("expected an EIP-1559 payload, found %x", b)
		}
		list, tx := reflect.New(unsignedType()), new(types.DynamicFeeTx)
		if err := rlp.DecodeBytes(b[1:], list.Interface()); err != nil {
			return nil, err
		}
		for i := range unsignedFields {
			reflect.ValueOf(tx).Elem().Field(i).Set(list.Elem().Field(i))
		}
		return tx, nil
	},
	// A transaction with any part of a signature is encoded with all three.
	encode: func(d any) ([]byte, error) {
		tx := d.(*types.DynamicFeeTx)
		v, n := reflect.ValueOf(tx).Elem(), unsignedFields
		if tx.V != nil || tx.R != nil || tx.S != nil {
			n = v.NumField()
		}
		list := make([]any, n)
		for i := range list {
			list[i] = v.Field(i).Interface()
		}
		b, err := rlp.EncodeToBytes(list)
		return append([]byte{types.DynamicFeeTxType}, b...), err
	},
}

// callData is call data as its words.
type callData struct {
	Selector [4]byte
	Words    [][32]byte
}

var callDataCodec = codec{
	decode: func(b []byte) (any, error) {
		if len(b) < 4 || (len(b)-4)%32 != 0 {
			return nil, fmt.Errorf("expected a selector and words, found %d bytes", len(b))
		}
		d := &callData{Selector: [4]byte(b)}
		for at := 4; at < len(b); at += 32 {
			d.Words = append(d.Words, [32]byte(b[at:]))
		}
		return d, nil
	},
	encode: func(d any) ([]byte, error) {
		c := d.(*callData)
		b := bytes.Clone(c.Selector[:])
		for _, w := range c.Words {
			b = append(b, w[:]...)
		}
		return b, nil
	},
}

// codecs returns what bytes are the encoding of something, with the transactions of one kind of chain.
func codecs(transaction codec) map[string]codec {
	return map[string]codec{
		"Evidence.Intent":                                           document[canon.Intent](),
		"Evidence.Intent>Intent.Request.Document":                   document[canon.Request](),
		"Evidence.Intent>Intent.Request.Document>Request.Call.Data": callDataCodec,
		"Evidence.Intent>Intent.Prices[].Document":                  document[canon.Price](),
		"Evidence.Intent>Intent.Attributes[].Document":              document[canon.Attribute](),
		"Evidence.Intent>Intent.Clearances[].Document":              document[canon.Clearance](),
		"Evidence.Intent>Intent.Balances[].Document":                document[canon.Balances](),
		"Evidence.Transaction>DynamicFeeTx.Data":                    callDataCodec,
		"Evidence.Approvals[].Document":                             document[canon.Approval](),
		"Evidence.Statements[].Document":                            document[canon.Statement](),
		"Evidence.Addresses[].Entry":                                document[canon.BookEntry](),
		"Evidence.Transaction":                                      transaction,
		"Evidence.Previous[]":                                       bitcoinCodec,
		"Certificate.Reservation":                                   document[canon.Reservation](),
		"Certificate.Acks[].Document":                               document[canon.Ack](),
		"Signed.Document":                                           document[canon.Attestation](),
	}
}

var position = regexp.MustCompile(`\[\d+\]`)

// document changes everything in d, a pointer, one thing at a time.
func (w *tamperer) document(d any, emit emitter) {
	v := reflect.ValueOf(d).Elem()
	w.walk(v, v.Type().Name(), emit)
}

func (w *tamperer) walk(v reflect.Value, place string, emit emitter) {
	before := reflect.New(v.Type()).Elem()
	before.Set(v)
	for _, c := range w.changes(v) {
		if w.want == nil || w.want(place, c.name) {
			v.Set(c.to)
			emit(place, c.name)
			v.Set(before)
		}
	}
	w.inside(v, place, emit)
	if inner, ok := w.codecs[position.ReplaceAllString(place, "[]")]; ok {
		w.encoded(inner, v, place, emit)
	}
}

// inside walks through fields and elements.
func (w *tamperer) inside(v reflect.Value, place string, emit emitter) {
	if v.Type() == reflect.TypeFor[*big.Int]() {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(w.sample(v.Type()))
			defer v.SetZero()
		}
		w.inside(v.Elem(), place, emit)
	case reflect.Struct:
		w.types[v.Type().Name()] = true
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			key := v.Type().Name() + "." + name
			w.fields[key] += 0
			w.walk(v.Field(i), place+"."+name, func(place, change string) bool {
				changed := emit(place, change)
				if changed {
					w.fields[key]++
				}
				return changed
			})
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		if v.Len() == 0 { // what an element more could say
			v.Set(reflect.Append(v, w.sample(v.Type().Elem())))
			defer v.SetZero()
		}
		for i := range v.Len() {
			e := v.Index(i)
			if e.Kind() == reflect.Pointer {
				e = e.Elem() // a list without the element is a change of the list
			}
			w.walk(e, fmt.Sprintf("%s[%d]", place, i), emit)
		}
	}
}

// encoded walks through what bytes are the encoding of. Bytes that an earlier change made unreadable stay as they are.
func (w *tamperer) encoded(c codec, v reflect.Value, place string, emit emitter) {
	d, err := c.decode(v.Bytes())
	if err != nil {
		return
	}
	inner := reflect.ValueOf(d).Elem()
	w.walk(inner, place+">"+inner.Type().Name(), func(place, change string) bool {
		b, err := c.encode(d)
		if err != nil {
			w.t.Fatalf("%s: %s: %v", place, change, err)
		}
		before := v.Bytes()
		v.SetBytes(b)
		defer v.SetBytes(before)
		return emit(place, change)
	})
}

// rawDecode reads what rawMode wrote, allowed or not.
func rawDecode(b []byte, d any) error { return cbor.Unmarshal(b, d) }
