package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/fxamacker/cbor/v2"

	"github.com/strongroom/strongroom/proto/canon"
)

// Layout of a record on disk:
//
//	length of payload  4 bytes, big-endian
//	kind               1 byte
//	previous hash      32 bytes, zero for the first record
//	header check       4 bytes, CRC-32C of the above
//	payload            deterministic CBOR
//	hash               SHA-256(domain ‖ all of the above)
//
// The header check tells a length that a bit flip changed from a record that a crash cut short: the first must not be repaired.
const (
	checkedHeader = 4 + 1 + sha256.Size
	headerSize    = checkedHeader + 4
	maxPayload    = 1 << 20
)

// format is the version of the payloads. Format 1 had no time in the records of statements.
const format = 2

const recordDomain = "strongroom/ledger-record/v1\x00"

// errTorn says that the file ends within a record.
var errTorn = errors.New("incomplete record")

// errZeros says that the file ends with zeros where a record would begin: a file system that had made room for a record when the power
// failed, and had not written it. It wraps ErrDamaged for whoever asks no further.
var errZeros = fmt.Errorf("%w: zeros instead of a record", ErrDamaged)

// ErrDamaged is wrapped by every refusal of a file that is not what this package wrote.
var ErrDamaged = errors.New("ledger: damaged")

type kind uint8

const (
	kindOpen        kind = 1
	kindReservation kind = 2
	kindAnswer      kind = 3
	kindHold        kind = 4
	kindSession     kind = 5
	kindCommitted   kind = 6
	kindStatement   kind = 7
	kindAddress     kind = 8
	kindConfirmed   kind = 9
	kindProposal    kind = 10
	kindEnacted     kind = 11
	kindHeld        kind = 12
	kindJoined      kind = 13
	kindBook        kind = 14
	kindIntent      kind = 15
)

// record is one entry; hash covers everything before it in the file.
type record struct {
	kind    kind
	payload []byte
	hash    canon.Digest
}

// Payloads. Keys are never reused.
type (
	// openRecord is the first record and says whose ledger this is.
	openRecord struct {
		Format       uint64       `cbor:"1,keyasint"` // see format
		Organisation canon.Digest `cbor:"2,keyasint"`
		Signer       canon.Name   `cbor:"3,keyasint"`
		Incarnation  uint64       `cbor:"4,keyasint"`
	}
	// reservationRecord is the promise behind an ack.
	reservationRecord struct {
		Reservation []byte       `cbor:"1,keyasint"` // encoding of canon.Reservation
		Intent      []byte       `cbor:"2,keyasint"` // encoding of canon.Intent
		Evidence    canon.Digest `cbor:"3,keyasint"`
	}
	// answerRecord keeps the ack's bytes. It follows its reservationRecord, whose hash the ack names.
	answerRecord struct {
		Reservation canon.Digest `cbor:"1,keyasint"`
		Ack         canon.Signed `cbor:"2,keyasint"`
	}
	// holdRecord keeps a certificate that this signer acts upon.
	holdRecord struct {
		Certificate []byte `cbor:"1,keyasint"` // encoding of canon.Certificate
		Intent      []byte `cbor:"2,keyasint"`
	}
	// sessionRecord uses up an attempt. It is written before the session's first message.
	sessionRecord struct {
		Session []byte `cbor:"1,keyasint"` // encoding of canon.Session
	}
	// committedRecord means that the signature exists, whatever came of the session.
	committedRecord struct {
		Reservation canon.Digest `cbor:"1,keyasint"`
		Attempt     uint64       `cbor:"2,keyasint"`
		Session     canon.Digest `cbor:"3,keyasint"`
	}
	// statementRecord is what an officer said. Where it stands among the commitments says what it could still stop.
	statementRecord struct {
		Statement canon.Signed `cbor:"1,keyasint"`
		Seen      canon.Time   `cbor:"2,keyasint"` // when it was recorded: a freeze lapses counting from here
	}
	// addressRecord is the first address seen of a block of addressBlock indexes; the others of the block make no record.
	addressRecord struct {
		Wallet  canon.Name `cbor:"1,keyasint"`
		Account canon.Name `cbor:"2,keyasint"`
		Branch  uint64     `cbor:"3,keyasint"`
		Index   uint64     `cbor:"4,keyasint"`
	}
	// confirmedRecord means that every holder of the key said that it has this public key.
	confirmedRecord struct {
		Key    canon.Name `cbor:"1,keyasint"`
		Epoch  uint64     `cbor:"2,keyasint"`
		Public []byte     `cbor:"3,keyasint"` // compressed
	}
	// proposalRecord is an amendment that officers proposed, or further approvals of one. How long it was held counts from the first.
	proposalRecord struct {
		Entry []byte     `cbor:"1,keyasint"` // encoding of canon.CharterEntry
		Seen  canon.Time `cbor:"2,keyasint"`
	}
	// enactedRecord changes the charter in force for everything that follows it.
	enactedRecord struct {
		Entry []byte     `cbor:"1,keyasint"` // encoding of canon.CharterEntry
		Time  canon.Time `cbor:"2,keyasint"` // at which it was verified
	}
	// heldRecord keeps this signer's word about a proposal.
	heldRecord struct {
		Held canon.Signed `cbor:"1,keyasint"` // of canon.Held
	}
	// joinedRecord means that a quorum of the signers said that this charter is in force, when this one was new.
	joinedRecord struct {
		Number  uint64       `cbor:"1,keyasint"`
		Charter canon.Digest `cbor:"2,keyasint"`
	}
	// bookRecord is a version of the address book. What it adds is paid no sooner than a cool-down after Seen, here.
	bookRecord struct {
		Update []byte     `cbor:"1,keyasint"` // encoding of canon.BookUpdate
		Seen   canon.Time `cbor:"2,keyasint"`
	}
	// intentRecord names an intent whose rule has a delay, when everything else was in order for the first time: the delay counts from Seen, here.
	intentRecord struct {
		Intent     canon.Digest `cbor:"1,keyasint"` // of the intent
		Withdrawal canon.Digest `cbor:"2,keyasint"`
		Seen       canon.Time   `cbor:"3,keyasint"`
		End        canon.Time   `cbor:"4,keyasint"` // the intent's NotAfter: nobody needs the record after it
	}
)

var encMode, decMode = modes()

func modes() (cbor.EncMode, cbor.DecMode) {
	enc, err := cbor.EncOptions{
		Sort: cbor.SortCoreDeterministic, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		NilContainers: cbor.NilContainerAsEmpty,
	}.EncMode()
	if err != nil {
		panic(err) // the options are constants: only a changed library can get here
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

// newRecord encodes v as the record after previous.
func newRecord(k kind, previous canon.Digest, v any) (record, []byte, error) {
	payload, err := encMode.Marshal(v)
	if err != nil {
		return record{}, nil, fmt.Errorf("ledger: encode: %w", err)
	}
	if len(payload) > maxPayload {
		return record{}, nil, fmt.Errorf("ledger: payload: expected at most %d bytes, found %d", maxPayload, len(payload))
	}
	b := make([]byte, 0, headerSize+len(payload)+sha256.Size)
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	b = append(b, byte(k))
	b = append(b, previous[:]...)
	b = binary.BigEndian.AppendUint32(b, headerCheck(b))
	b = append(b, payload...)
	hash := recordHash(b)
	return record{kind: k, payload: payload, hash: hash}, append(b, hash[:]...), nil
}

func headerCheck(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func recordHash(b []byte) canon.Digest {
	h := sha256.New()
	h.Write([]byte(recordDomain))
	h.Write(b)
	return canon.Digest(h.Sum(nil))
}

// readRecord reads the record after previous and returns its size on disk. It returns io.EOF at the end of the file, errTorn within a record
// that the end of the file cuts short, errZeros for nothing but zeros to the end, and ErrDamaged for anything else that newRecord would not
// have written.
func readRecord(r io.Reader, previous canon.Digest) (record, int64, error) {
	head := make([]byte, headerSize)
	if n, err := io.ReadFull(r, head); err != nil {
		return record{}, int64(n), endOf(err)
	}
	if allZero(head) {
		return record{}, 0, zerosToEnd(r)
	}
	length := binary.BigEndian.Uint32(head)
	if found := binary.BigEndian.Uint32(head[checkedHeader:]); found != headerCheck(head[:checkedHeader]) {
		return record{}, 0, fmt.Errorf("%w: header check: expected %08x, found %08x", ErrDamaged, headerCheck(head[:checkedHeader]), found)
	}
	if length > maxPayload {
		return record{}, 0, fmt.Errorf("%w: length: expected at most %d, found %d", ErrDamaged, maxPayload, length)
	}
	if !bytes.Equal(head[5:checkedHeader], previous[:]) {
		return record{}, 0, fmt.Errorf("%w: previous hash: expected %s, found %x", ErrDamaged, previous, head[5:checkedHeader])
	}
	rest := make([]byte, int(length)+sha256.Size)
	if n, err := io.ReadFull(r, rest); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return record{}, int64(headerSize + n), endOf(err)
	}
	payload, stored := rest[:length], canon.Digest(rest[length:])
	if hash := recordHash(append(head, payload...)); hash != stored {
		return record{}, 0, fmt.Errorf("%w: record hash: expected %s, found %s", ErrDamaged, hash, stored)
	}
	return record{kind: kind(head[4]), payload: payload, hash: stored}, int64(headerSize + len(rest)), nil
}

// zerosToEnd returns errZeros, or ErrDamaged if anything but zeros follows. No record begins with a header of zeros: its check is not zero.
func zerosToEnd(r io.Reader) error {
	b := make([]byte, 1<<16)
	for {
		n, err := r.Read(b)
		if !allZero(b[:n]) {
			return fmt.Errorf("%w: header: expected a record or the end, found zeros with something behind", ErrDamaged)
		}
		if errors.Is(err, io.EOF) {
			return errZeros
		}
		if err != nil {
			return endOf(err)
		}
	}
}

func allZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

func endOf(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errTorn
	}
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return fmt.Errorf("ledger: read: %w", err)
}

// decode reads a payload strictly.
func decode(payload []byte, v any) error {
	if err := decMode.Unmarshal(payload, v); err != nil {
		return fmt.Errorf("%w: payload: %w", ErrDamaged, err)
	}
	again, err := encMode.Marshal(v)
	if err != nil || !bytes.Equal(again, payload) {
		return fmt.Errorf("%w: payload: expected the deterministic encoding, found another", ErrDamaged)
	}
	return nil
}
