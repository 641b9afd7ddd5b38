package book

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

const (
	// maxRivals bounds the versions with one serial that are kept: each took a quorum.
	maxRivals = 8
	// MaxSkip bounds how far a serial may lie beyond the newest: nobody misses that many versions, and one with the last of all numbers would
	// be the last of all versions.
	MaxSkip = 1 << 20
)

// Version is a root that officers approved, or the genesis's own.
type Version struct {
	Root
	Digest    canon.Digest   // of the canon.BookRoot: what officers approved; zero for the genesis's own
	Document  canon.BookRoot // zero for the genesis's own
	Update    []byte         // encoding of canon.BookUpdate; none for the genesis's own
	Approvers []canon.Name   // sorted
	Seen      canon.Time     // when whoever holds the versions first recorded it; 0 for the genesis's own
	first     bool           // the genesis's own; a version that came from anywhere else has a cool-down
}

// PayableAt returns the first second at which what is in it may be paid: 0 for the genesis's own version.
func (v *Version) PayableAt(cooldown uint64) canon.Time {
	switch {
	case v.first:
		return 0
	case cooldown > math.MaxUint64-uint64(v.Seen):
		return math.MaxUint64
	}
	return v.Seen + canon.Time(cooldown)
}

// Statements are what officers said, as far as whoever holds the versions recorded it; *approval.Set is one.
type Statements interface {
	About(object canon.Digest) []canon.Signed
	Revoked(key canon.Digest) bool
}

// Versions are all versions of the book that somebody recorded, each with when that was. They never change: With returns others. What
// they hand out is read-only.
type Versions struct {
	all  []*Version    // by serial and root, so that nothing depends on the order in which they came
	used *atomic.Int64 // how much of the array behind all is taken, by this value or by one that came of it
}

func versionsOf(all []*Version) *Versions {
	v := &Versions{all: all, used: new(atomic.Int64)}
	v.used.Store(int64(len(all)))
	return v
}

// Begin returns the versions of who knows the genesis only.
func Begin(genesis *charter.Charter) *Versions {
	return versionsOf([]*Version{{Root: Of(genesis), first: true}})
}

// Review reads the encoding of a canon.BookUpdate and decides whether it is a version that may be recorded now, under the charter in
// force: approved by the book's quorum, distinct persons with keys that nobody revoked, rejected by nobody whom that quorum asks, and with a
// serial beyond the newest. See Tally for how approvals count. One with the newest's serial and another root is taken too: what may be paid is
// less then, not more. Which version it follows is for those to check who have the entries: whoever missed one of two with one serial could take
// no version after it. If its root is known already, with its serial, fresh is false and the approvals do not matter. The error is a
// *refusal.Refusal.
func (v *Versions) Review(c *charter.Charter, update []byte, now canon.Time, said Statements) (version *Version, fresh bool, err error) {
	n, approvals, err := read(c, update)
	if err != nil {
		return nil, false, err
	}
	if at, known := v.find(n.Root); known {
		return v.all[at], false, nil
	}
	var l refusal.List
	checkSize(&l, n.Root)
	v.checkPlace(&l, n.Root)
	if err := l.Err(); err != nil {
		return nil, false, err
	}
	if n.Approvers, err = approved(c, n.Digest, approvals, now, said); err != nil {
		return nil, false, err
	}
	return n, true, nil
}

// read decodes an update of the charter's organisation.
func read(c *charter.Charter, update []byte) (*Version, []canon.Signed, error) {
	var u canon.BookUpdate
	if err := canon.Decode(update, &u); err != nil {
		return nil, nil, refusal.New("book", "update", "a canonical document", err.Error())
	}
	n := &Version{Digest: canon.KindBookRoot.Digest(u.Root), Update: bytes.Clone(update)}
	if err := canon.Decode(u.Root, &n.Document); err != nil {
		return nil, nil, refusal.New("book", "update.root", "a canonical document", err.Error())
	}
	n.Root = Root{Serial: n.Document.Serial, Size: n.Document.Size, Hash: n.Document.Root}
	var l refusal.List
	org := c.Organisation()
	if u.Organisation != org {
		l.Add("organisation", "update.organisation", org.String(), u.Organisation.String())
	}
	if n.Document.Organisation != org {
		l.Add("organisation", "root.organisation", org.String(), n.Document.Organisation.String())
	}
	return n, u.Approvals, l.Err()
}

// find returns where a root with its serial is, or where it would be.
func (v *Versions) find(r Root) (int, bool) {
	return slices.BinarySearchFunc(v.all, r, func(a *Version, b Root) int {
		return cmp.Or(cmp.Compare(a.Serial, b.Serial), bytes.Compare(a.Hash[:], b.Hash[:]), cmp.Compare(a.Size, b.Size))
	})
}

// Has reports whether that version was recorded.
func (v *Versions) Has(r Root) bool {
	_, known := v.find(r)
	return known
}

// checkSize refuses what no tree has.
func checkSize(l *refusal.List, r Root) {
	if r.Size > charter.MaxBook {
		l.Add("book", "root.size", fmt.Sprintf("at most %d", uint64(charter.MaxBook)), fmt.Sprint(r.Size))
	}
	empty := canon.Digest(sha256.Sum256(nil)) // RFC 6962 section 2.1
	if (r.Size == 0) != (r.Hash == empty) || r.Hash.IsZero() {
		l.Add("book", "root.root", "SHA-256 of nothing for size 0, else the root of a tree", fmt.Sprintf("%s for size %d", r.Hash, r.Size))
	}
}

// checkPlace holds a version that is not known against the newest.
func (v *Versions) checkPlace(l *refusal.List, n Root) {
	newest := v.Newest()
	last := newest[0].Serial
	switch {
	case n.Serial < last || n.Serial == last && newest[0].first:
		l.Add("book", "root.serial", fmt.Sprintf("above %d, the newest version's", last), fmt.Sprint(n.Serial))
	case n.Serial == last && len(newest) >= maxRivals:
		l.Add("book", "root.serial", fmt.Sprintf("above %d, which %d versions have", last, len(newest)), fmt.Sprint(n.Serial))
	case n.Serial > last && n.Serial-last > MaxSkip:
		l.Add("book", "root.serial", fmt.Sprintf("at most %d beyond the newest version's, %d", MaxSkip, last), fmt.Sprint(n.Serial))
	}
}

// With returns the versions with one more, that Review found fresh. One whose root is known with its serial changes nothing. One that comes
// last, as almost all do, takes no copy of the others.
func (v *Versions) With(n *Version, seen canon.Time) *Versions {
	at, found := v.find(n.Root)
	if found {
		return v
	}
	recorded := *n
	recorded.Seen, recorded.first = seen, false
	size := len(v.all)
	if at < size || size == cap(v.all) {
		// Twice the room, so that all copies together are no more than a few of the last.
		all := append(make([]*Version, 0, 2*size+1), v.all[:at]...)
		return versionsOf(append(append(all, &recorded), v.all[at:]...))
	}
	// The next place belongs to the first that takes it: whoever else adds to this value copies.
	if !v.used.CompareAndSwap(int64(size), int64(size)+1) {
		return versionsOf(append(slices.Clone(v.all), &recorded))
	}
	return &Versions{all: append(v.all, &recorded), used: v.used}
}

// Newest returns the version with the highest serial; several, by root, if a quorum signed several.
func (v *Versions) Newest() []*Version { return v.withSerial(v.all[len(v.all)-1].Serial) }

// Payable returns the newest version whose cool-down, in seconds, is over; several with one serial if one of them is so far. A clock that
// went back makes an older one payable, never more than is in the newest.
func (v *Versions) Payable(now canon.Time, cooldown uint64) []*Version {
	for _, n := range slices.Backward(v.all) {
		if n.PayableAt(cooldown) <= now {
			return v.withSerial(n.Serial)
		}
	}
	return nil // not while there is a genesis
}

func (v *Versions) withSerial(serial uint64) []*Version {
	from, _ := slices.BinarySearchFunc(v.all, serial, func(n *Version, s uint64) int { return cmp.Compare(n.Serial, s) })
	to := from
	for to < len(v.all) && v.all[to].Serial == serial {
		to++
	}
	return slices.Clone(v.all[from:to])
}

// Requirement is a version that an address must be in to be paid.
type Requirement struct {
	Root
	Newest    bool       // else the newest whose cool-down is over
	PayableAt canon.Time // of a newest one that is recorded here: when its cool-down is over; else 0
}

// String says what the version is, for refusals.
func (r Requirement) String() string {
	if r.Newest {
		return fmt.Sprintf("the newest version of the address book, %d", r.Serial)
	}
	return fmt.Sprintf("version %d of the address book, the newest whose cool-down is over", r.Serial)
}

// Required returns the versions that an address must be in to be paid now: the newest and the payable ones, each once.
func (v *Versions) Required(now canon.Time, cooldown uint64) []Requirement {
	var out []Requirement
	for _, n := range v.Newest() {
		out = append(out, Requirement{Root: n.Root, Newest: true, PayableAt: n.PayableAt(cooldown)})
	}
	for _, n := range v.Payable(now, cooldown) {
		if n.Serial != out[0].Serial {
			out = append(out, Requirement{Root: n.Root})
		}
	}
	return out
}
