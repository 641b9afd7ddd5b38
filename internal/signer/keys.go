package signer

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/signer/holdings"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// groupKey returns the public key of an MPC key: that of this signer's share, or, for a signer that is to hold none, the one that every holder said it
// has.
func (s *Signer) groupKey(f facts, name canon.Name) (guard.GroupKey, bool) {
	if sh, ok := s.share(name); ok {
		return guard.GroupKey{ID: name, Epoch: sh.Epoch, Public: sh.PublicKey}, true
	}
	key, ok := f.Chain().Current().Key(name)
	if !ok || slices.Contains(key.Holders, s.config.Self) {
		return guard.GroupKey{}, false
	}
	public, ok := f.Confirmed(name, key.Epoch)
	if !ok {
		return guard.GroupKey{}, false
	}
	return guard.GroupKey{ID: name, Epoch: key.Epoch, Public: [33]byte(public)}, true
}

// pool returns the pool of keys in tokens with the digest.
func (s *Signer) pool(digest canon.Digest) (*keyset.Pool, error) {
	if s.config.Pools == nil {
		return nil, refusal.New("pool", "pool", "pool "+digest.String(), "a signer without pools")
	}
	return s.config.Pools(digest)
}

// poolError turns the lack of a pool into what it is, a matter of waiting: the file may come at any time, while a charter that names it is in force.
func poolError(err error) error {
	if errors.Is(err, keyset.ErrNoPool) {
		return status.Error(codes.Unavailable, err.Error())
	}
	return err
}

// checkWith runs a check with the view. Where nothing but pools that are not here stands against what is checked, the error is UNAVAILABLE.
func checkWith(v guard.View, check func(guard.View) error) error {
	var missing []error
	pool := v.Pool
	v.Pool = func(digest canon.Digest) (*keyset.Pool, error) {
		p, err := pool(digest)
		if errors.Is(err, keyset.ErrNoPool) {
			missing = append(missing, err)
		}
		return p, err
	}
	err := check(v)
	r := refusal.Of(err)
	if r == nil || len(missing) == 0 || len(r.Failures) != len(missing) || slices.ContainsFunc(r.Failures, func(f refusal.Failure) bool { return f.Rule != "pool" }) {
		return err
	}
	return poolError(missing[0])
}

// set returns the keys of a wallet, as far as this signer knows them.
func (s *Signer) set(c *charter.Charter, w canon.Wallet) (keyset.Set, error) {
	chain, ok := c.Chain(w.Chain)
	if !ok {
		return keyset.Set{}, refusal.New("address", "wallet", "a chain of the charter", string(w.Chain))
	}
	set := keyset.Set{Organisation: c.Organisation(), Chain: chain, Wallet: w}
	if w.Scheme != canon.SchemeHSM {
		if set.Group, ok = s.groupKey(s.config.Ledger, w.Key); !ok {
			return keyset.Set{}, refusal.New("address", "key", fmt.Sprintf("the public key of %s, without which the addresses of wallet %s are unknown here", w.Key, w.Name), "none")
		}
	}
	if len(w.Pool) != len(canon.Digest{}) {
		return set, nil
	}
	var err error
	set.Pool, err = s.pool(canon.Digest(w.Pool))
	return set, poolError(err)
}

// addressAt derives an address of ours from what this signer knows by itself.
func (s *Signer) addressAt(b holdings.Branch, index uint64) ([]byte, error) {
	c := s.charter()
	w, _ := c.Wallet(b.Wallet)
	holder, _ := c.Account(b.Holder)
	set, err := s.set(c, w)
	if err != nil {
		return nil, err
	}
	spot, err := set.At(holder, b.Number, index)
	return spot.Address, err
}

// addressesOf returns how many addresses a branch has: where tokens alone sign as many as there are keys in the pool, otherwise no end.
func (s *Signer) addressesOf(b holdings.Branch) (uint64, error) {
	w, ok := s.charter().Wallet(b.Wallet)
	if !ok || len(w.Pool) != len(canon.Digest{}) {
		return math.MaxUint64, nil
	}
	pool, err := s.pool(canon.Digest(w.Pool))
	if err != nil {
		return 0, poolError(err)
	}
	d := pool.Document()
	if !slices.Contains(d.Accounts, b.Holder) {
		return 0, nil // an account that came after the pool has no address yet
	}
	n := d.Receive
	if b.Number == wallets.BranchChange {
		n = d.Change
	}
	if w.Scheme == canon.SchemeCosign && n > 0 {
		return math.MaxUint64, nil
	}
	return n, nil
}
