package book_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

const cooldown = 86_400

func TestTheGenesisOwnVersionHasNoCooldown(t *testing.T) {
	c := open(t)
	required := book.Begin(c).Required(0, math.MaxUint64)
	if len(required) != 1 || required[0].Root != book.Of(c) || !required[0].Newest {
		t.Errorf("expected the genesis's own version alone, found %v", required)
	}
}

func TestAnAdditionWaitsExactlyTheCooldown(t *testing.T) {
	c := open(t)
	r := second(c)
	v := record(t, book.Begin(c), c, r, now)
	for at, want := range map[canon.Time]bool{now: false, now + cooldown - 1: false, now + cooldown: true, now + 2*cooldown: true, now - 1: false} {
		if got := payable(v.Required(at, cooldown), r.Root); got != want {
			t.Errorf("at %d: address that version 2 adds: expected payable %v, found %v", at, want, got)
		}
		if !payable(v.Required(at, cooldown), book.Of(c).Hash, r.Root) {
			t.Errorf("at %d: address of both versions: expected payable, found %v", at, v.Required(at, cooldown))
		}
	}
	if got := v.Newest()[0].PayableAt(cooldown); got != now+cooldown {
		t.Errorf("expected %d, found %d", now+cooldown, got)
	}
}

func TestARemovalTakesEffectAtOnce(t *testing.T) {
	c := open(t)
	v := record(t, book.Begin(c), c, second(c), now)
	for _, at := range []canon.Time{0, now, now + cooldown} {
		if payable(v.Required(at, cooldown), book.Of(c).Hash) {
			t.Errorf("at %d: address that version 2 removes: expected it unpayable, found %v", at, v.Required(at, cooldown))
		}
	}
}

func TestACooldownBeyondAllTimeNeverEnds(t *testing.T) {
	c := open(t)
	r := second(c)
	v := record(t, book.Begin(c), c, r, now)
	for _, long := range []uint64{math.MaxUint64, math.MaxUint64 - uint64(now), math.MaxUint64 - uint64(now) + 1} {
		if payable(v.Required(math.MaxUint64-1, long), r.Root) {
			t.Errorf("cool-down %d: expected it to hold for ever, found %v", long, v.Required(now, long))
		}
	}
}

func TestOnlyTheFirstVersionIsWithoutCooldown(t *testing.T) {
	c := open(t)
	forged := &book.Version{Root: book.Root{Serial: 2, Size: 3, Hash: canon.Digest{2, 1}}} // without an update, as the genesis's own
	v := book.Begin(c).With(forged, now)
	if payable(v.Required(now, cooldown), forged.Hash) {
		t.Errorf("expected a cool-down, found %v", v.Required(now, cooldown))
	}
	g := chartertest.Genesis()
	g.Book.Serial = 3
	other := book.Begin(chartertest.Open(t, g)).Newest()[0]
	if v := book.Begin(c).With(other, now); payable(v.Required(now, cooldown), other.Hash) && len(v.Required(now, cooldown)) == 1 {
		t.Errorf("first version of another organisation: expected a cool-down, found %v", v.Required(now, cooldown))
	}
	again := book.Begin(c).With(book.Begin(c).Newest()[0], now)
	if len(again.Newest()) != 1 || again.Newest()[0].PayableAt(cooldown) != 0 {
		t.Errorf("expected the genesis's own version once and as it was, found %v", again.Newest())
	}
}

func TestOlderVersionsPayUntilTheCooldownOfNewerOnesIsOver(t *testing.T) {
	c := open(t)
	two := second(c)
	three := rootOf(c, 3, two.Root, 3)
	v := record(t, book.Begin(c), c, two, now)
	v = record(t, v, c, three, now+10)
	for at, want := range map[canon.Time][]uint64{
		now + 10: {3, 1}, now + cooldown - 1: {3, 1}, now + cooldown: {3, 2}, now + cooldown + 9: {3, 2}, now + cooldown + 10: {3},
	} {
		required := v.Required(at, cooldown)
		if got := serials(required); !slices.Equal(got, want) {
			t.Errorf("at %d: expected versions %v, found %v", at, want, got)
		}
		for i, r := range required {
			if r.Newest != (i == 0) || strings.Contains(r.String(), "cool-down") != (i > 0) {
				t.Errorf("at %d: expected the newest version first, found %q", at, r)
			}
		}
	}
}

func TestASkipIsTakenAndWhatWasSkippedIsNot(t *testing.T) {
	c := open(t)
	two := second(c)
	v := record(t, book.Begin(c), c, rootOf(c, 9, canon.Digest{77}, 9), now)
	if got := serials(v.Required(now, cooldown)); !slices.Equal(got, []uint64{9, 1}) {
		t.Errorf("expected versions 9 and 1, found %v", got)
	}
	_, _, err := v.Review(c, approved(t, c, two), now, nil)
	refused(t, err, "book", "root.serial")
}

func TestAReplayChangesNothing(t *testing.T) {
	c := open(t)
	two := second(c)
	three := rootOf(c, 3, two.Root, 3)
	v := record(t, record(t, book.Begin(c), c, two, now), c, three, now+1)
	for _, r := range []canon.BookRoot{two, three} {
		n, fresh, err := v.Review(c, approved(t, c, r), now+1000, nil)
		if err != nil || fresh || n.Serial != r.Serial || n.Seen > now+1 {
			t.Errorf("serial %d: expected the version that is known, found %v, %v, %v", r.Serial, n, fresh, err)
		}
		if again := v.With(n, now+1000); !slices.Equal(again.Required(now+cooldown+1, cooldown), v.Required(now+cooldown+1, cooldown)) {
			t.Errorf("serial %d: expected no change, found %v", r.Serial, again.Required(now+cooldown+1, cooldown))
		}
	}
	own := rootOf(c, 1, canon.Digest{}, 0)
	own.Size, own.Root = c.Genesis().Book.Size, c.Genesis().Book.Root
	if n, fresh, err := v.Review(c, update(t, c, own), now, nil); err != nil || fresh || n.Update != nil {
		t.Errorf("expected the genesis's own version, found %v, %v, %v", n, fresh, err)
	}
}

func TestRivalsWithOneSerialAreBothRequired(t *testing.T) {
	c := open(t)
	left, right := second(c), rootOf(c, 2, c.Genesis().Book.Root, 7)
	v := record(t, book.Begin(c), c, left, now)
	v = record(t, v, c, right, now+50)
	if got := serials(v.Required(now+cooldown, cooldown)); !slices.Equal(got, []uint64{2, 2}) {
		t.Errorf("expected both, found %v", got)
	}
	for _, alone := range []canon.Digest{left.Root, right.Root} {
		if payable(v.Required(now+3*cooldown, cooldown), alone, book.Of(c).Hash) {
			t.Errorf("expected an address in one of two rivals unpayable, found it payable")
		}
	}
	three := rootOf(c, 3, right.Root, 3)
	v = record(t, v, c, three, now+60)
	if got := serials(v.Required(now+cooldown, cooldown)); !slices.Equal(got, []uint64{3, 2, 2}) {
		t.Errorf("expected the next version and both rivals, found %v", got)
	}
	if got := serials(v.Required(now+60+cooldown, cooldown)); !slices.Equal(got, []uint64{3}) {
		t.Errorf("expected the next version to end it, found %v", got)
	}
}

func TestRivalsAreBounded(t *testing.T) {
	c := open(t)
	v := book.Begin(c)
	for i := range byte(8) {
		v = record(t, v, c, rootOf(c, 2, c.Genesis().Book.Root, 2+i), now)
	}
	_, _, err := v.Review(c, approved(t, c, rootOf(c, 2, c.Genesis().Book.Root, 99)), now, nil)
	refused(t, err, "book", "root.serial")
	record(t, v, c, rootOf(c, 3, canon.Digest{5, 1}, 3), now)
}

func TestRootsThatNoVersionCanHaveAreRefused(t *testing.T) {
	c := open(t)
	empty := build(t, nil).Root()
	for name, it := range map[string]struct {
		change      func(*canon.BookRoot)
		rule, field string
	}{
		"rival of the genesis":      {func(r *canon.BookRoot) { r.Serial = 1 }, "book", "root.serial"},
		"serial far beyond":         {func(r *canon.BookRoot) { r.Serial = 1 + 1<<20 + 1 }, "book", "root.serial"},
		"last of all serials":       {func(r *canon.BookRoot) { r.Serial = math.MaxUint64 }, "book", "root.serial"},
		"size beyond any tree's":    {func(r *canon.BookRoot) { r.Size = charter.MaxBook + 1 }, "book", "root.size"},
		"no entries but a root":     {func(r *canon.BookRoot) { r.Size = 0 }, "book", "root.root"},
		"entries but an empty root": {func(r *canon.BookRoot) { r.Root = empty }, "book", "root.root"},
		"no root":                   {func(r *canon.BookRoot) { r.Root = canon.Digest{} }, "book", "root.root"},
		"another organisation":      {func(r *canon.BookRoot) { r.Organisation[0] ^= 1 }, "organisation", "root.organisation"},
	} {
		t.Run(name, func(t *testing.T) {
			r := second(c)
			it.change(&r)
			_, _, err := book.Begin(c).Review(c, approved(t, c, r), now, nil)
			refused(t, err, it.rule, it.field)
		})
	}
	last := rootOf(c, 1+1<<20, canon.Digest{}, 5)
	record(t, book.Begin(c), c, last, now)
	for _, previous := range []canon.Digest{{}, {9}} { // whoever missed a rival cannot know it
		r := second(c)
		r.Previous = previous
		record(t, book.Begin(c), c, r, now)
	}
	emptied := second(c)
	emptied.Size, emptied.Root = 0, empty
	record(t, book.Begin(c), c, emptied, now)
}

func TestUpdatesAreDecodedStrictly(t *testing.T) {
	c := open(t)
	good := approved(t, c, second(c))
	other := canon.BookUpdate{Organisation: canon.Digest{1}, Root: encode(t, second(c))}
	nonsense := canon.BookUpdate{Organisation: c.Organisation(), Root: []byte{0xa0}}
	for name, it := range map[string]struct {
		update      []byte
		rule, field string
	}{
		"nothing":              {nil, "book", "update"},
		"a byte more":          {append(slices.Clone(good), 0), "book", "update"},
		"a byte less":          {good[:len(good)-1], "book", "update"},
		"too large":            {make([]byte, 256<<10+1), "book", "update"},
		"nonsense for a root":  {encode(t, nonsense), "book", "update.root"},
		"another organisation": {encode(t, other), "organisation", "update.organisation"},
	} {
		t.Run(name, func(t *testing.T) {
			_, fresh, err := book.Begin(c).Review(c, it.update, now, nil)
			refused(t, err, it.rule, it.field)
			if fresh {
				t.Error("expected nothing fresh, found a version")
			}
		})
	}
}

func TestAVersionKeepsItsOwnCopyOfTheUpdate(t *testing.T) {
	c := open(t)
	b := approved(t, c, second(c))
	n, _, err := book.Begin(c).Review(c, b, now, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(b)
	clear(b)
	if !slices.Equal(n.Update, want) || n.Digest != canon.KindBookRoot.Digest(encode(t, second(c))) {
		t.Error("expected the update as it was reviewed, found another")
	}
}

// Values that were taken before stay what they are, whoever adds to them, in whatever order.
func TestVersionsThatWereHandedOutStay(t *testing.T) {
	c := open(t)
	version := func(serial uint64, first byte) *book.Version {
		return &book.Version{Root: book.Root{Serial: serial, Size: 3, Hash: canon.Digest{first, 1}}}
	}
	var values []*book.Versions
	v := book.Begin(c)
	for serial := uint64(2); serial < 40; serial++ {
		values, v = append(values, v), v.With(version(serial, 1), now)
	}
	for i, old := range values {
		serial := uint64(i + 2)
		for _, first := range []byte{7, 8} {
			fork := old.With(version(serial, first), now+5)
			if n := fork.Newest(); len(n) != 1 || n[0].Hash != (canon.Digest{first, 1}) || !fork.Has(n[0].Root) || old.Has(n[0].Root) || v.Has(n[0].Root) {
				t.Errorf("serial %d: expected its own version %d, found %v", serial, first, n)
			}
		}
		if n := old.Newest(); len(n) != 1 || n[0].Serial != serial-1 {
			t.Errorf("expected serial %d, found %v", serial-1, n)
		}
	}
	for serial := uint64(2); serial < 40; serial++ {
		if !v.Has(version(serial, 1).Root) {
			t.Errorf("serial %d: expected it, found it gone", serial)
		}
	}
	v.Newest()[0] = nil
	if v.Newest()[0] == nil {
		t.Error("expected a list of its own, found one that others have")
	}
}
