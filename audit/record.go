package audit

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"

	"github.com/fxamacker/cbor/v2"

	"github.com/strongroom/strongroom/proto/canon"
)

// Record is what a leaf says: an event, who caused it, and the digests of the documents that it brought.
//
// Evolution: keys are never reused; a new optional field gets a new key and is left out when empty, so old leaves keep their hash.
type Record struct {
	Organisation canon.Digest `cbor:"1,keyasint"`
	Time         canon.Time   `cbor:"2,keyasint"`
	Actor        Actor        `cbor:"3,keyasint"`
	Withdrawal   canon.Digest `cbor:"4,keyasint"` // wid; of the event "charter" the amendment, of "book" the book root, of "revocation" the statement
	Event        string       `cbor:"5,keyasint"`
	Before       string       `cbor:"6,keyasint,omitempty"` // state; empty for the first record of a withdrawal
	After        string       `cbor:"7,keyasint"`
	Objects      []Object     `cbor:"8,keyasint"` // sorted by name, then digest; distinct
}

// Object is a document that an event brought.
type Object struct {
	Name   string       `cbor:"1,keyasint"` // for example "intent"
	Digest canon.Digest `cbor:"2,keyasint"`
}

// KindRecord is the type string of Record, with which every leaf begins.
const KindRecord = canon.Kind("strongroom/record/v1")

// MaxLeaf is the size of the largest leaf that is accepted, in bytes.
const MaxLeaf = 64 << 10

// maxObjects bounds the documents of one record.
const maxObjects = 512

// ErrRecord is wrapped by every refusal of a leaf.
var ErrRecord = errors.New("not a canonical record")

// Actor is who caused an event: "coordinator", "chain", or a role and a name of the charter, such as "officer/alice".
type Actor string

// The actors that have no name in the charter.
const (
	Coordinator Actor = "coordinator"
	Chain       Actor = "chain"
)

// ActorOf returns the actor of that role and name.
func ActorOf(role string, name canon.Name) Actor { return Actor(role + "/" + string(name)) }

var (
	actorForm = regexp.MustCompile(`^[a-z]{1,16}(/[a-z0-9][a-z0-9-]{0,62})?$`)
	wordForm  = regexp.MustCompile(`^[a-z][a-z-]{0,31}$`)
)

// Check refuses anything but a role of 1 to 16 letters and, after a slash, a name as in the charter.
func (a Actor) Check() error {
	if !actorForm.MatchString(string(a)) {
		return fmt.Errorf("actor: expected a role or role/name, found %.100q", string(a))
	}
	return nil
}

// Check refuses records that no log may hold.
func (r Record) Check() error {
	if r.Organisation.IsZero() || r.Withdrawal.IsZero() {
		return errors.New("organisation, withdrawal: expected digests, found zero")
	}
	if err := r.Time.Check(); err != nil {
		return err
	}
	if err := r.Actor.Check(); err != nil {
		return err
	}
	if !wordForm.MatchString(r.Event) || !wordForm.MatchString(r.After) || (r.Before != "" && !wordForm.MatchString(r.Before)) {
		return fmt.Errorf("event, before, after: expected words of a-z and hyphen, found %.40q, %.40q, %.40q", r.Event, r.Before, r.After)
	}
	return checkObjects(r.Objects)
}

func checkObjects(objects []Object) error {
	if len(objects) > maxObjects {
		return fmt.Errorf("objects: expected at most %d, found %d", maxObjects, len(objects))
	}
	for i, o := range objects {
		if !wordForm.MatchString(o.Name) || o.Digest.IsZero() {
			return fmt.Errorf("objects[%d]: expected a word and a digest, found %.40q and %s", i, o.Name, o.Digest)
		}
		if i > 0 && CompareObjects(objects[i-1], o) >= 0 {
			return fmt.Errorf("objects[%d]: expected sorted and distinct, found %s after %s", i, o.Name, objects[i-1].Name)
		}
	}
	return nil
}

// CompareObjects orders objects as a record lists them.
func CompareObjects(a, b Object) int {
	if a.Name != b.Name {
		return bytes.Compare([]byte(a.Name), []byte(b.Name))
	}
	return bytes.Compare(a.Digest[:], b.Digest[:])
}

// Leaf checks r and returns its one leaf.
func (r Record) Leaf() ([]byte, error) {
	if err := r.Check(); err != nil {
		return nil, fmt.Errorf("audit: %w: %w", ErrRecord, err)
	}
	b, err := encMode.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("audit: %w: %w", ErrRecord, err)
	}
	leaf := KindRecord.Message(b)
	if len(leaf) > MaxLeaf {
		return nil, fmt.Errorf("audit: %w: size: expected at most %d bytes, found %d", ErrRecord, MaxLeaf, len(leaf))
	}
	return leaf, nil
}

// ParseLeaf reads a leaf and refuses everything but the one form of a valid record.
func ParseLeaf(leaf []byte) (Record, error) {
	if len(leaf) > MaxLeaf {
		return Record{}, fmt.Errorf("audit: %w: size: expected at most %d bytes, found %d", ErrRecord, MaxLeaf, len(leaf))
	}
	b, ok := bytes.CutPrefix(leaf, KindRecord.Message(nil))
	if !ok {
		return Record{}, fmt.Errorf("audit: %w: kind: expected %s, found another", ErrRecord, KindRecord)
	}
	var r Record
	if err := decMode.Unmarshal(b, &r); err != nil {
		return Record{}, fmt.Errorf("audit: %w: %w", ErrRecord, err)
	}
	again, err := r.Leaf()
	if err != nil {
		return Record{}, err
	}
	if !bytes.Equal(again, leaf) {
		return Record{}, fmt.Errorf("audit: %w: form: expected the shortest sorted encoding, found another", ErrRecord)
	}
	return r, nil
}

var encMode, decMode = modes()

// modes are the same as those of package canon, which explains them.
func modes() (cbor.EncMode, cbor.DecMode) {
	enc, err := cbor.EncOptions{
		Sort:          cbor.SortCoreDeterministic,
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
		MaxNestedLevels:   4,
		MaxArrayElements:  1024, // checkObjects bounds them more tightly
		MaxMapPairs:       16,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		UTF8:              cbor.UTF8RejectInvalid,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return enc, dec
}
