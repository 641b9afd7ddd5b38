package ethereum

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// MaxWords is how many 32-byte arguments a contract call may have.
const MaxWords = 16

// Type is an elementary static type of the Solidity ABI: address, bool, uint8 to uint256, int8 to int256, bytes1 to bytes32. Each takes one
// word. The zero Type is none of them and fits no word. ParseType makes one.
type Type struct {
	form form
	size int // bits of a number, bytes of a string of bytes
}

// form is a family of types.
type form uint8

const (
	formAddress form = iota + 1
	formBool
	formUint
	formInt
	formBytes
)

// Address is the type of addresses.
var Address = Type{form: formAddress}

var sizedForm = regexp.MustCompile(`^(uint|int|bytes)([1-9][0-9]{0,2})$`)

// ParseType reads the canonical name of a type, as it stands in signatures. Short forms (uint, int, byte), dynamic types, arrays, tuples,
// fixed-point numbers and function types are refused.
func ParseType(name string) (Type, error) {
	switch name {
	case "address":
		return Address, nil
	case "bool":
		return Type{form: formBool}, nil
	}
	m := sizedForm.FindStringSubmatch(name)
	if m == nil {
		return Type{}, fmt.Errorf("type: expected address, bool, or uint, int or bytes with a size, found %.20q", name)
	}
	size, err := strconv.Atoi(m[2])
	if err != nil {
		return Type{}, fmt.Errorf("type: %w", err)
	}
	if m[1] == "bytes" {
		if size > 32 {
			return Type{}, fmt.Errorf("type: expected bytes1 to bytes32, found %s", name)
		}
		return Type{form: formBytes, size: size}, nil
	}
	if size%8 != 0 || size > 256 {
		return Type{}, fmt.Errorf("type: expected a size of 8 to 256 bits in steps of 8, found %s", name)
	}
	if m[1] == "int" {
		return Type{form: formInt, size: size}, nil
	}
	return Type{form: formUint, size: size}, nil
}

// String returns the canonical name.
func (t Type) String() string {
	switch t.form {
	case formAddress:
		return "address"
	case formBool:
		return "bool"
	case formUint:
		return fmt.Sprintf("uint%d", t.size)
	case formInt:
		return fmt.Sprintf("int%d", t.size)
	case formBytes:
		return fmt.Sprintf("bytes%d", t.size)
	}
	return "no type"
}

// IsNumber reports whether words of the type are numbers, signed or not.
func (t Type) IsNumber() bool { return t.form == formUint || t.form == formInt }

// Check refuses a word that is not the one encoding of a value of the type: an address behind 12 zero bytes, a bool of 0 or 1, a number that is
// filled up with zeros or its sign, bytes followed by zeros.
func (t Type) Check(word [32]byte) error {
	wrong := func(expected string) error { return fmt.Errorf("%s: expected %s, found %x", t, expected, word) }
	switch t.form {
	case formAddress:
		if !filled(word[:12], 0) {
			return wrong("12 zero bytes before the address")
		}
	case formBool:
		if !filled(word[:31], 0) || word[31] > 1 {
			return wrong("0 or 1")
		}
	case formUint:
		if !filled(word[:32-t.size/8], 0) {
			return wrong(fmt.Sprintf("a number below 2^%d", t.size))
		}
	case formInt:
		head := 32 - t.size/8
		if !filled(word[:head], signOf(word[head])) {
			return wrong(fmt.Sprintf("a number of %d bits with its sign before it", t.size))
		}
	case formBytes:
		if !filled(word[t.size:], 0) {
			return wrong(fmt.Sprintf("zeros after %d bytes", t.size))
		}
	default:
		return wrong("a type")
	}
	return nil
}

// signOf returns what two's complement fills up with before b.
func signOf(b byte) byte {
	if b >= 0x80 {
		return 0xff
	}
	return 0
}

func filled(b []byte, with byte) bool { return bytes.Count(b, []byte{with}) == len(b) }

// Number returns the number that the word is, false unless the type is a number and the word one of its encodings.
func (t Type) Number(word [32]byte) (*big.Int, bool) {
	if !t.IsNumber() || t.Check(word) != nil {
		return nil, false
	}
	n := new(big.Int).SetBytes(word[:])
	if t.form == formInt && word[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), 256))
	}
	return n, true
}

// Address returns the address that the word is, false unless the type is an address and the word one of its encodings.
func (t Type) Address(word [32]byte) ([20]byte, bool) {
	if t != Address || t.Check(word) != nil {
		return [20]byte{}, false
	}
	return [20]byte(word[12:]), true
}

// Text writes the word as a value of the type: a number in decimal, an address or bytes in hexadecimal. A word that is no value of the type
// is written whole, with a note.
func (t Type) Text(word [32]byte) string {
	if t.Check(word) != nil {
		return fmt.Sprintf("0x%x, which is no %s", word, t)
	}
	switch t.form {
	case formBool:
		return strconv.FormatBool(word[31] == 1)
	case formUint, formInt:
		n, _ := t.Number(word)
		return n.String()
	case formBytes:
		return fmt.Sprintf("0x%x", word[:t.size])
	}
	return fmt.Sprintf("0x%x", word[12:])
}

// Function is a function of a contract whose arguments are all of elementary static types.
type Function struct {
	Name     string
	Types    []Type
	Selector [4]byte // first 4 bytes of Keccak-256 of the signature
}

var functionForm = regexp.MustCompile(`^([A-Za-z_$][A-Za-z0-9_$]{0,63})\(([a-z0-9,]*)\)$`)

// ParseSignature reads a canonical signature, for example "approve(address,uint256)": a name and up to MaxWords types, without spaces and
// names of arguments.
func ParseSignature(signature string) (Function, error) {
	m := functionForm.FindStringSubmatch(signature)
	if m == nil {
		return Function{}, fmt.Errorf("signature: expected a name and types in brackets, found %.80q", signature)
	}
	f := Function{Name: m[1], Selector: [4]byte(keccakOf(signature))}
	if m[2] == "" {
		return f, nil
	}
	names := strings.Split(m[2], ",")
	if len(names) > MaxWords {
		return Function{}, fmt.Errorf("signature: expected at most %d arguments, found %d", MaxWords, len(names))
	}
	for i, name := range names {
		t, err := ParseType(name)
		if err != nil {
			return Function{}, fmt.Errorf("signature: argument %d: %w", i, err)
		}
		f.Types = append(f.Types, t)
	}
	return f, nil
}

func keccakOf(text string) []byte {
	d := keccak([]byte(text))
	return d[:4]
}

// String returns the canonical signature.
func (f Function) String() string {
	names := make([]string, len(f.Types))
	for i, t := range f.Types {
		names[i] = t.String()
	}
	return f.Name + "(" + strings.Join(names, ",") + ")"
}

// ErrOtherFunction says that call data has another selector.
var ErrOtherFunction = errors.New("call data of another function")

// Check refuses a call of another function, with another number of arguments, or with a word that is no value of its type; the error
// names the argument, counted from 0.
func (f Function) Check(c *ContractCall) error {
	if c.Selector != f.Selector {
		return fmt.Errorf("selector: expected %x of %s, found %x: %w", f.Selector, f, c.Selector, ErrOtherFunction)
	}
	if len(c.Words) != len(f.Types) {
		return fmt.Errorf("arguments: expected %d for %s, found %d", len(f.Types), f, len(c.Words))
	}
	for i, t := range f.Types {
		if err := t.Check(c.Words[i]); err != nil {
			return fmt.Errorf("arguments[%d]: %w", i, err)
		}
	}
	return nil
}
