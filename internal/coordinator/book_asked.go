package coordinator

import (
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// maxAsked bounds the versions of one answer: an honest signer has at most eight with each of two serials.
const maxAsked = 16

// asked is which versions of the book a signer asks for, as it said when it was last asked. Nobody else's versions are judged by it.
type asked struct {
	newest  []awaited
	payable []book.Root
}

// awaited is a version with the second from which it is payable there.
type awaited struct {
	book.Root
	from canon.Time
}

// readAsked reads a signer's answer.
func readAsked(r *strongroomv1.GetBookResponse) (*asked, error) {
	if n := len(r.GetVersions()); n > maxAsked {
		return nil, fmt.Errorf("versions: expected at most %d, found %d", maxAsked, n)
	}
	a := &asked{}
	for i, v := range r.GetVersions() {
		if len(v.GetRoot()) != len(canon.Digest{}) || v.GetSize() > charter.MaxBook {
			return nil, fmt.Errorf("versions[%d]: expected a root of 32 bytes and at most %d entries, found %d and %d", i, uint64(charter.MaxBook), len(v.GetRoot()), v.GetSize())
		}
		root := book.Root{Serial: v.GetSerial(), Size: v.GetSize(), Hash: canon.Digest(v.GetRoot())}
		if v.GetNewest() {
			at := awaited{Root: root}
			if t := v.GetPayableTime(); t.IsValid() && t.GetSeconds() > 0 {
				at.from = canon.Time(t.GetSeconds())
			}
			a.newest = append(a.newest, at)
		}
		if v.GetPayable() {
			a.payable = append(a.payable, root)
		}
	}
	if len(a.newest) == 0 || len(a.payable) == 0 {
		return nil, fmt.Errorf("versions: expected a newest and a payable one, found %d and %d", len(a.newest), len(a.payable))
	}
	return a, nil
}

// askedHere returns what a signer would ask for that knows what is known here, since the same second.
func askedHere(v *book.Versions, now canon.Time, cooldown uint64) *asked {
	a := &asked{}
	for _, n := range v.Newest() {
		a.newest = append(a.newest, awaited{Root: n.Root, from: n.PayableAt(cooldown)})
	}
	for _, n := range v.Payable(now, cooldown) {
		a.payable = append(a.payable, n.Root)
	}
	return a
}

// roots returns all versions of the answer. The signer's clock decides which of them it asks for, so proofs are given under each.
func (a *asked) roots() []book.Root {
	out := slices.Clone(a.payable)
	for _, n := range a.newest {
		if !slices.Contains(out, n.Root) {
			out = append(out, n.Root)
		}
	}
	return out
}

// required returns what the signer asks for now: an answer grows old while a cool-down ends.
func (a *asked) required(now canon.Time) []book.Requirement {
	var out []book.Requirement
	over := false
	for _, n := range a.newest {
		out = append(out, book.Requirement{Root: n.Root, Newest: true})
		over = over || n.from <= now
	}
	for _, r := range a.payable {
		isNewest := slices.ContainsFunc(a.newest, func(n awaited) bool { return n.Root == r })
		if !over && !isNewest {
			out = append(out, book.Requirement{Root: r})
		}
	}
	return out
}

// from returns the second from which the newest version is payable there, the first if there are several.
func (a *asked) from() canon.Time {
	return slices.MinFunc(a.newest, func(x, y awaited) int { return int(int64(x.from) - int64(y.from)) }).from
}

// serial returns the newest serial.
func (a *asked) serial() uint64 { return a.newest[0].Serial }

// lacks reports whether the signer has not heard of a version that is not older than its own.
func (a *asked) lacks(v *book.Version) bool {
	return v.Serial > a.serial() || v.Serial == a.serial() && !slices.ContainsFunc(a.newest, func(n awaited) bool { return n.Hash == v.Hash })
}
