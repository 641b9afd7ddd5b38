package charter

import (
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Succeed returns the charter that an amendment makes of c: state is the encoding of canon.Genesis that the amendment carries, digest the
// amendment's. It checks form, Lint, that salt and address book stay, that shares stay usable, that wallets keep their addresses and that limits count
// what they counted, and nothing else: callers must only put verified amendments in force.
func (c *Charter) Succeed(state []byte, digest canon.Digest) (*Charter, error) {
	next := &Charter{organisation: c.organisation, number: c.number + 1, digest: digest}
	if err := next.read(state); err != nil {
		return nil, err
	}
	if next.genesis.Salt != c.genesis.Salt {
		return nil, refusal.New("charter", "state.salt", c.genesis.Salt.String(), next.genesis.Salt.String())
	}
	if err := c.keepsBook(next); err != nil {
		return nil, err
	}
	if err := c.keepsShares(next); err != nil {
		return nil, err
	}
	if err := c.keepsAddresses(next); err != nil {
		return nil, err
	}
	if err := c.keepsLimits(next); err != nil {
		return nil, err
	}
	return next, nil
}

// keepsBook refuses another address book than that of the genesis: the versions that follow it have a cool-down, which an amendment would get around.
func (c *Charter) keepsBook(next *Charter) error {
	was, is := c.genesis.Book, next.genesis.Book
	if was.Serial == is.Serial && was.Size == is.Size && was.Root == is.Root {
		return nil
	}
	shown := func(b canon.Book) string {
		return fmt.Sprintf("serial %d, size %d and root %s", b.Serial, b.Size, b.Root)
	}
	return refusal.New("book", "state.book", shown(was)+" as before: officers sign versions of the book instead", shown(is))
}

// keepsShares refuses another set of holders, threshold or algorithm for an epoch of a key whose shares exist: no signer could use its share
// any more. An epoch only goes up.
func (c *Charter) keepsShares(next *Charter) error {
	var l refusal.List
	for i, k := range next.genesis.Keys {
		old, ok := c.Key(k.ID)
		if !ok {
			continue
		}
		field := fmt.Sprintf("state.keys[%d]", i)
		if k.Epoch < old.Epoch {
			l.Add("key", field+".epoch", fmt.Sprintf("at least %d", old.Epoch), fmt.Sprint(k.Epoch))
		}
		same := k.Threshold == old.Threshold && k.Algorithm == old.Algorithm && slices.Equal(k.Holders, old.Holders)
		if k.Epoch == old.Epoch && !same {
			l.Add("key", field, fmt.Sprintf("%d of %v as in epoch %d", old.Threshold, old.Holders, old.Epoch), fmt.Sprintf("%d of %v", k.Threshold, k.Holders))
		}
	}
	return l.Err()
}

// keepsAddresses refuses, for a wallet of the same name, what would give it other addresses, so that nobody could spend what lies on those it has: another
// chain, scheme, MPC key or number, and where the keys of tokens stand in its scripts another number of them or another recovery key; another form, coin
// type or prefix of its chain; and, for an account that stays in it, another number, or another account on whose
// addresses its assets lie. Other devices and another pool it lets pass: a token that was restored from a backup belongs to another signer, and a larger pool has another digest. Whether
// the new pool has the old keys no charter says; keyset.Extends tells those who approve it.
func (c *Charter) keepsAddresses(next *Charter) error {
	var l refusal.List
	for i, w := range next.genesis.Wallets {
		old, ok := c.Wallet(w.Name)
		if !ok {
			continue
		}
		field := fmt.Sprintf("state.wallets[%d]", i)
		was, is := c.addressed(old), next.addressed(w)
		if was != is {
			l.Add("wallets", field, was+" as before: a wallet of other addresses needs another name", is)
		}
		for _, a := range old.Accounts {
			was, is := c.addressedFor(old, a), next.addressedFor(w, a)
			if slices.Contains(w.Accounts, a) && was != is {
				l.Add("wallets", at(field+".accounts", a), was+" as before: an account of other addresses needs another name", is)
			}
		}
	}
	return l.Err()
}

// addressed says what a wallet's addresses are made of, but for its pool and its accounts.
func (c *Charter) addressed(w canon.Wallet) string {
	chain, _ := c.Chain(w.Chain)
	text := fmt.Sprintf("chain %s of kind %d, coin type %d and prefix %q, scheme %d, key %q, number %d", w.Chain, chain.Kind, chain.CoinType, chain.HRP, w.Scheme, w.Key, w.Number)
	if w.Scheme == canon.SchemeMPC || chain.Kind != canon.Bitcoin {
		return text
	}
	return text + fmt.Sprintf(", %d of %d devices, recovery key %x", w.Needed, len(w.Devices), w.Recovery)
}

// addressedFor says on whose addresses in a wallet an account's assets lie.
func (c *Charter) addressedFor(w canon.Wallet, account canon.Name) string {
	holder, _ := c.Holder(w, account)
	return fmt.Sprintf("assets on the addresses of account %q with number %d", holder.Name, holder.Number)
}

// keepsLimits refuses another unit, asset, currency or set of counters for a limit of the same name: what is recorded under it would count as
// something else. A limit of another name counts from nothing.
func (c *Charter) keepsLimits(next *Charter) error {
	var l refusal.List
	for i, v := range next.genesis.Limits {
		old, ok := c.Limit(v.Name)
		if !ok {
			continue
		}
		shown := func(v canon.Limit) string {
			return fmt.Sprintf("unit %d, asset %q, currency %q and per %v", v.Unit, v.Asset, v.Currency, v.Per)
		}
		if v.Unit != old.Unit || v.Asset != old.Asset || v.Currency != old.Currency || !slices.Equal(v.Per, old.Per) {
			l.Add("limits", fmt.Sprintf("state.limits[%d]", i), shown(old)+" as before: give another limit another name", shown(v))
		}
	}
	return l.Err()
}
