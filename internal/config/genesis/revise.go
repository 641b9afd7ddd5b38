package genesis

import (
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Revise compiles the TOML of a charter that is to follow the one in force, and asks charter.Lint. What no TOML says stays as it is: serial, size
// and root of the address book, which change without amendments, confirmed and lifted freezes, and where it says nothing of recovery, how many
// recovery keys it takes and how long. Another salt or another serial of the book is refused. The result shares no memory with now and is what
// everybody will read from its encoding. Refusals are *refusal.Refusal, wrapped.
func Revise(text []byte, now *canon.Genesis) (*canon.Genesis, error) {
	next, err := read(text)
	if err != nil {
		return nil, err
	}
	var l refusal.List
	if next.Salt != now.Salt {
		l.Add("charter", "salt", now.Salt.String()+", that of the organisation", next.Salt.String())
	}
	if s := next.Book.Serial; s != 0 && s != now.Book.Serial {
		l.Add("book", "book.serial", fmt.Sprintf("%d as before: officers sign versions of the book instead", now.Book.Serial), fmt.Sprint(s))
	}
	if err := l.Err(); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	next.Book.Serial, next.Book.Size, next.Book.Root = now.Book.Serial, now.Book.Size, now.Book.Root
	next.Lifted, next.Confirmed = slices.Clone(now.Lifted), slices.Clone(now.Confirmed)
	if next.RecoveryCount == 0 {
		next.RecoveryCount, next.Delays.Recovery = now.RecoveryCount, now.Delays.Recovery
	}
	if err := charter.Lint(*next); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	b, err := canon.Encode(*next)
	if err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	var out canon.Genesis
	if err := canon.Decode(b, &out); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	return &out, nil
}
