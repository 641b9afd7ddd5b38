package coordinator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
)

// Books is the address book with its entries. The genesis's own version comes from a file, every later one from a stored change. Trees are
// kept in memory of the versions that addresses must be proven in, a few of 200 bytes an entry; another is built anew when it is wanted. It is
// safe for concurrent use.
type Books struct {
	load  func() (*book.Tree, error)
	store store.Books

	recording sync.Mutex                  // one change at a time
	building  sync.Mutex                  // one tree at a time
	lone      canon.Time                  // when a tree was built last for few signers; guarded by building
	failed    map[canon.Digest]canon.Time // when trees could not be built; guarded by building

	mu       sync.RWMutex
	versions *book.Versions
	links    map[canon.Digest]link                      // by root
	recorded map[book.Root]bool                         // versions whose changes are here
	missed   map[canon.Digest]map[canon.Name]canon.Time // since when which signers ask for roots whose entries are not here
	genesis  canon.Digest                               // root of the first version
	trees    map[canon.Digest]*book.Tree
	asked    map[canon.Name]*asked // what signers ask for
}

// link says how the first version with a root came about.
type link struct {
	document canon.Digest // what officers approved
	base     canon.Digest // root that the change applies to
}

// OpenBooks rebuilds the book from the genesis's own version and what was stored. load builds that version; it is called again when a
// version is wanted that is no longer in memory, so it must give the same again.
func OpenBooks(ctx context.Context, charters *amendment.Chain, load func() (*book.Tree, error), changes store.Books, now time.Time) (*Books, error) {
	first, ok := charters.Charter(1)
	if !ok {
		return nil, fmt.Errorf("coordinator: book: expected the genesis in the chain of charters, found none")
	}
	b := &Books{store: changes, failed: map[canon.Digest]canon.Time{}, versions: book.Begin(first), links: map[canon.Digest]link{}, recorded: map[book.Root]bool{}, missed: map[canon.Digest]map[canon.Name]canon.Time{}, genesis: book.Of(first).Hash,
		trees: map[canon.Digest]*book.Tree{}, asked: map[canon.Name]*asked{}}
	want := book.Of(first)
	b.load = func() (*book.Tree, error) {
		t, err := load()
		if err != nil {
			return nil, err
		}
		if t.Root() != want.Hash || t.Size() != want.Size {
			return nil, fmt.Errorf("coordinator: book: expected root %s of %d entries as in the genesis, found %s of %d", want.Hash, want.Size, t.Root(), t.Size())
		}
		return t, nil
	}
	base, err := b.load() // also where it is not needed: a file that does not fit is noticed at once
	if err != nil {
		return nil, err
	}
	b.trees[base.Root()] = base
	err = changes.BookChanges(ctx, func(c store.BookChange) error {
		v, err := readVersion(c.Change)
		if err != nil {
			return err
		}
		b.include(v, canon.TimeOf(c.Time))
		return nil
	})
	if err != nil {
		return nil, err
	}
	at := canon.TimeOf(now)
	cooldown := charters.Current().Genesis().Delays.BookCooldown
	return b, b.keep(ctx, func() map[canon.Digest]bool { return b.here(at, cooldown) }, at)
}

// readVersion reads the version that the encoding of a canon.BookChange makes. It verifies nothing.
func readVersion(change []byte) (*book.Version, error) {
	var c canon.BookChange
	var u canon.BookUpdate
	v := &book.Version{}
	if err := canon.Decode(change, &c); err != nil {
		return nil, err
	}
	if err := canon.Decode(c.Update, &u); err != nil {
		return nil, err
	}
	if err := canon.Decode(u.Root, &v.Document); err != nil {
		return nil, err
	}
	v.Digest, v.Update = canon.KindBookRoot.Digest(u.Root), c.Update
	v.Root = book.Root{Serial: v.Document.Serial, Size: v.Document.Size, Hash: v.Document.Root}
	return v, nil
}

// include takes a version into the list.
func (b *Books) include(v *book.Version, seen canon.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.links[v.Hash]; !known && v.Hash != b.genesis {
		b.links[v.Hash] = link{document: v.Digest, base: b.baseOf(v)}
	}
	b.recorded[v.Root] = true
	delete(b.missed, v.Hash)
	b.versions = b.versions.With(v, seen)
}

// baseOf returns the root that the change which makes a version applies to: the one that it names, or of a version that skipped others
// the newest here.
func (b *Books) baseOf(v *book.Version) canon.Digest {
	if b.known(v.Document.Previous) {
		return v.Document.Previous
	}
	return b.versions.Newest()[0].Hash
}

// known reports whether the entries of a root are here. The caller holds mu.
func (b *Books) known(root canon.Digest) bool {
	_, ok := b.links[root]
	return ok || root == b.genesis
}

// holds reports whether a version is here that is not the genesis's own.
func (b *Books) holds(r book.Root) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.recorded[r]
}

// all returns the versions as they are now.
func (b *Books) all() *book.Versions {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.versions
}

// tree returns the tree of a root, nil if it is not in memory.
func (b *Books) tree(root canon.Digest) *book.Tree {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.trees[root]
}

// loneBuild is how often, in seconds, a tree is built that too few signers ask for to be believed: a book of 10^6 entries takes half a
// minute, and one signer could ask for another version every time.
const loneBuild = 600

// buildAgain is how long, in seconds, a tree is not tried again that could not be built.
const buildAgain = 60

// keep builds the trees of the roots that want returns, if their entries are here, and lets go of all others. A root that maps to false is
// built only now and then. One that cannot be built keeps nothing from the others. want is asked once nothing else is being built.
func (b *Books) keep(ctx context.Context, want func() map[canon.Digest]bool, now canon.Time) error {
	b.building.Lock()
	defer b.building.Unlock()
	wanted := want()
	// A version is built from one before it, so those with shorter chains come first.
	order := slices.SortedFunc(maps.Keys(wanted), func(x, y canon.Digest) int { return len(b.chain(x)) - len(b.chain(y)) })
	var failures []error
	for _, root := range order {
		if b.tree(root) != nil || !b.has(root) || b.resting(root, now, !wanted[root]) {
			continue
		}
		t, err := b.build(ctx, root)
		if err != nil {
			failures = append(failures, err)
			if ctx.Err() == nil {
				b.failed[root] = now
			}
			continue
		}
		delete(b.failed, root)
		b.mu.Lock()
		b.trees[root] = t
		b.mu.Unlock()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.trees, func(root canon.Digest, _ *book.Tree) bool { _, ok := wanted[root]; return !ok })
	return errors.Join(failures...)
}

// resting reports whether a tree is not to be built now: it could not be a moment ago, or too few signers ask for it and one of those was
// built not long ago. If not, it counts as built. The caller holds building.
func (b *Books) resting(root canon.Digest, now canon.Time, lone bool) bool {
	if at, ok := b.failed[root]; ok && now >= at && now < at+buildAgain {
		return true
	}
	if lone && now >= b.lone && now < b.lone+loneBuild {
		return true
	}
	if lone {
		b.lone = now
	}
	return false
}

// has reports whether the entries of a root are here.
func (b *Books) has(root canon.Digest) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.known(root)
}

// here returns the roots in which addresses must be proven by what is known here.
func (b *Books) here(now canon.Time, cooldown uint64) map[canon.Digest]bool {
	out := map[canon.Digest]bool{}
	for _, r := range b.all().Required(now, cooldown) {
		out[r.Hash] = true
	}
	return out
}

// chain returns the changes that lead to a root from one whose tree is in memory, or from the genesis's own, the last one first.
func (b *Books) chain(root canon.Digest) []link {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out []link
	// A link was made when its base was known, so following them comes to an end.
	for b.trees[root] == nil && root != b.genesis {
		l := b.links[root]
		out, root = append(out, l), l.base
	}
	return out
}

// build makes the tree of a root whose entries are here, all changes at once.
func (b *Books) build(ctx context.Context, root canon.Digest) (*book.Tree, error) {
	chain := b.chain(root)
	start := b.genesis
	on := map[canon.Digest]bool{}
	for _, l := range chain {
		on[l.document], start = true, l.base
	}
	base := b.tree(start)
	if base == nil {
		var err error
		if base, err = b.load(); err != nil {
			return nil, err
		}
	}
	if len(chain) == 0 {
		return base, nil
	}
	n := folded{keys: map[string]canon.BookKey{}, last: map[string]*canon.BookEntry{}}
	err := b.store.BookChanges(ctx, func(c store.BookChange) error {
		if !on[c.Root] {
			return nil
		}
		return n.apply(c.Change)
	})
	if err != nil {
		return nil, err
	}
	t, err := n.on(base)
	if err == nil && t.Root() != root {
		err = fmt.Errorf("coordinator: book: expected root %s from the stored changes, found %s", root, t.Root())
	}
	return t, err
}

// folded is what several changes come to.
type folded struct {
	keys map[string]canon.BookKey
	last map[string]*canon.BookEntry // nil for an entry that is removed
}

func (n *folded) apply(change []byte) error {
	var c canon.BookChange
	if err := canon.Decode(change, &c); err != nil {
		return err
	}
	for _, k := range c.Remove {
		n.put(k, nil)
	}
	for _, e := range c.Add {
		n.put(canon.BookKey{Chain: e.Chain, Address: e.Address, Client: e.Client}, &e)
	}
	return nil
}

func (n *folded) put(k canon.BookKey, e *canon.BookEntry) {
	name := fmt.Sprintf("%s %x %s", k.Chain, k.Address, k.Client)
	n.keys[name], n.last[name] = k, e
}

// on applies the net change to a tree.
func (n *folded) on(t *book.Tree) (*book.Tree, error) {
	var remove []canon.BookKey
	var add []canon.BookEntry
	for name, k := range n.keys {
		if _, found := t.Find(k); found {
			remove = append(remove, k)
		}
		if e := n.last[name]; e != nil {
			add = append(add, *e)
		}
	}
	return t.Apply(remove, add)
}

// record stores a change that was verified, durably, with the tree that it makes, and takes it into the list.
func (b *Books) record(ctx context.Context, change []byte, v *book.Version, t *book.Tree, at time.Time) error {
	if _, err := b.store.AddBookChange(ctx, change, at); err != nil {
		return err
	}
	b.building.Lock() // nobody lets go of the tree before the version is seen
	defer b.building.Unlock()
	b.mu.Lock()
	b.trees[t.Root()] = t
	b.mu.Unlock()
	b.include(v, canon.TimeOf(at))
	return nil
}

// base returns the tree that the change which makes a version applies to.
func (b *Books) base(ctx context.Context, v *book.Version) (*book.Tree, error) {
	b.building.Lock()
	defer b.building.Unlock()
	b.mu.RLock()
	root := b.baseOf(v)
	b.mu.RUnlock()
	if t := b.tree(root); t != nil {
		return t, nil
	}
	return b.build(ctx, root)
}
