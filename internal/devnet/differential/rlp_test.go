//go:build chains

package differential

import (
	"encoding/binary"
	"math/big"
)

// rlpItem is a string, or a list of items, of RLP (Yellow Paper, appendix B), encoded in the canonical way or another.
type rlpItem struct {
	list  bool
	data  []byte
	items []*rlpItem
	// form, if set, puts another header before the content. The first header of short strings is 0x80, of short lists 0xc0.
	form func(first byte, content []byte) []byte
}

func str(b []byte) *rlpItem             { return &rlpItem{data: b} }
func number(n *big.Int) *rlpItem        { return str(n.Bytes()) }
func small(n uint64) *rlpItem           { return number(new(big.Int).SetUint64(n)) }
func list(items ...*rlpItem) *rlpItem   { return &rlpItem{list: true, items: items} }
func bigEndian(n uint64, w int) []byte  { return binary.BigEndian.AppendUint64(nil, n)[8-w:] }
func power(bits uint) *big.Int          { return new(big.Int).Lsh(big.NewInt(1), bits) }
func below(bits uint) *big.Int          { return new(big.Int).Sub(power(bits), big.NewInt(1)) }
func plus(n *big.Int, d int64) *big.Int { return new(big.Int).Add(n, big.NewInt(d)) }

// header is the shortest one for n bytes.
func header(first byte, n uint64) []byte {
	if n < 56 {
		return []byte{first + byte(n)}
	}
	w := (new(big.Int).SetUint64(n).BitLen() + 7) / 8
	return wideHeader(first, n, w)
}

// wideHeader takes w bytes for the length, needed or not.
func wideHeader(first byte, n uint64, w int) []byte {
	return append([]byte{first + 55 + byte(w)}, bigEndian(n, w)...)
}

func (i *rlpItem) encode() []byte {
	first, content := byte(0x80), i.data
	if i.list {
		first = 0xc0
		content = nil
		for _, item := range i.items {
			content = append(content, item.encode()...)
		}
	}
	if i.form != nil {
		return i.form(first, content)
	}
	if !i.list && len(content) == 1 && content[0] < 0x80 {
		return content
	}
	return append(header(first, uint64(len(content))), content...)
}

// longForm has a length of w bytes, with leading zeros where w is more than needed, even where none is needed.
func longForm(w int) func(byte, []byte) []byte {
	return func(first byte, content []byte) []byte {
		return append(wideHeader(first, uint64(len(content)), w), content...)
	}
}

// wrapped has a header even for a single byte that is its own encoding.
func wrapped(first byte, content []byte) []byte {
	return append(header(first, uint64(len(content))), content...)
}

// wrongLength says n for the length.
func wrongLength(n uint64) func(byte, []byte) []byte {
	return func(first byte, content []byte) []byte { return append(header(first, n), content...) }
}

// offByOne says one more or less than the length.
func offByOne(step int) func(byte, []byte) []byte {
	return func(first byte, content []byte) []byte {
		return append(header(first, uint64(max(0, len(content)+step))), content...)
	}
}
