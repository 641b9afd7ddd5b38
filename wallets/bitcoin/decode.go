package bitcoin

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/btcsuite/btcd/wire"
)

// Sizes in bytes.
const (
	// MaxUnsigned is the largest unsigned transaction that Parse reads, and well within the standard weight of 400,000.
	MaxUnsigned = 100_000
	// MaxPrevious is the largest previous transaction that ParsePrevious reads. One with a larger witness goes without it: see
	// WithoutWitness.
	MaxPrevious = 1 << 20
	// maxBlockWeight bounds any serialised transaction (BIP-141).
	maxBlockWeight = 4_000_000
)

// cursor walks over a serialised transaction, so that counts are held against the bytes there are before anything is allocated.
type cursor struct {
	rest []byte
	err  error
}

func (c *cursor) fail(field, format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...))
	}
	c.rest = nil
}

func (c *cursor) take(field string, n uint64) []byte {
	if uint64(len(c.rest)) < n {
		c.fail(field, "expected %d more bytes, found %d", n, len(c.rest))
		return nil
	}
	b := c.rest[:n]
	c.rest = c.rest[n:]
	return b
}

// count reads a CompactSize, the number of items of at least size bytes each.
func (c *cursor) count(field string, size uint64) uint64 {
	first := c.take(field, 1)
	if first == nil {
		return 0
	}
	n := uint64(first[0])
	if first[0] >= 0xfd {
		width := uint64(1) << (first[0] - 0xfc)
		wide := make([]byte, 8)
		copy(wide, c.take(field, width))
		n = binary.LittleEndian.Uint64(wide)
		if least := uint64(1) << (4 * width); n < 0xfd || width > 2 && n < least {
			c.fail(field, "expected the shortest CompactSize, found %d in %d bytes", n, width+1)
			return 0
		}
	}
	if n > uint64(len(c.rest))/size {
		c.fail(field, "expected at most %d, found %d", uint64(len(c.rest))/size, n)
		return 0
	}
	return n
}

func (c *cursor) bytes(field string) []byte { return c.take(field, c.count(field, 1)) }

// walk checks that raw has the shape of exactly one transaction, with a witness or without.
func walk(raw []byte) error {
	c := &cursor{rest: raw}
	c.take("version", 4)
	witness := len(c.rest) >= 2 && c.rest[0] == 0 && c.rest[1] == 1 // BIP-144 marker and flag
	if witness {
		c.take("marker", 2)
	}
	inputs := c.count("inputs", 41)
	if inputs == 0 {
		c.fail("inputs", "expected at least 1, found 0")
	}
	for i := range inputs {
		field := fmt.Sprintf("inputs[%d]", i)
		c.take(field, 36)
		c.bytes(field + ".script_sig")
		c.take(field+".sequence", 4)
	}
	outputs := c.count("outputs", 9)
	for i := range outputs {
		field := fmt.Sprintf("outputs[%d]", i)
		c.take(field, 8)
		c.bytes(field + ".script")
	}
	if witness {
		for i := range inputs {
			field := fmt.Sprintf("inputs[%d].witness", i)
			for range c.count(field, 1) {
				c.bytes(field)
			}
		}
	}
	c.take("lock_time", 4)
	if len(c.rest) != 0 {
		c.fail("transaction", "expected no trailing bytes, found %d", len(c.rest))
	}
	return c.err
}

// decode reads one transaction of at most limit bytes and refuses bytes that would not come out the same again.
func decode(raw []byte, limit int) (*wire.MsgTx, error) {
	if len(raw) > limit {
		return nil, fmt.Errorf("size: expected at most %d bytes, found %d", limit, len(raw))
	}
	if err := walk(raw); err != nil {
		return nil, err
	}
	tx := new(wire.MsgTx)
	if err := tx.Deserialize(bytes.NewReader(raw)); err != nil {
		return nil, fmt.Errorf("transaction: %w", err)
	}
	again, err := Encode(tx)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(raw, again) {
		return nil, fmt.Errorf("transaction: expected the canonical serialisation of %d bytes, found %d other bytes", len(again), len(raw))
	}
	return tx, nil
}

// Encode returns the serialisation of tx, with the witness if it has one (BIP-144).
func Encode(tx *wire.MsgTx) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(tx.SerializeSize())
	if err := tx.Serialize(&b); err != nil {
		return nil, fmt.Errorf("transaction: %w", err)
	}
	return b.Bytes(), nil
}

func encodeNoWitness(tx *wire.MsgTx) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(tx.SerializeSizeStripped())
	if err := tx.SerializeNoWitness(&b); err != nil {
		return nil, fmt.Errorf("transaction: %w", err)
	}
	return b.Bytes(), nil
}

// WithoutWitness returns a transaction of up to 4 MB without its witness, which the txid does not cover. Evidence is smaller so.
func WithoutWitness(raw []byte) ([]byte, error) {
	tx, err := decode(raw, maxBlockWeight)
	if err != nil {
		return nil, err
	}
	return encodeNoWitness(tx)
}

// TxID returns the txid of a transaction, signed or not, in the byte order that explorers show.
func TxID(raw []byte) (string, error) {
	tx, err := decode(raw, maxBlockWeight)
	if err != nil {
		return "", err
	}
	return tx.TxHash().String(), nil
}
