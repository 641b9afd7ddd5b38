package coordinator

import (
	"fmt"
	"sync"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// keyring holds the public keys of groups. A key is known once f+1 of its holders gave the same: one of them is honest.
type keyring struct {
	charter func() *charter.Charter                  // in force
	pools   func(canon.Digest) (*keyset.Pool, error) // nil: there is no directory of pools
	mu      sync.Mutex
	known   map[canon.Name]keyset.GroupKey    // of the last epoch that is known
	said    map[epoch]map[canon.Name][33]byte // by holder
}

// epoch is a key as a certain set of holders has it.
type epoch struct {
	key    canon.Name
	number uint64
}

func newKeyring(charter func() *charter.Charter, pools func(canon.Digest) (*keyset.Pool, error)) *keyring {
	return &keyring{charter: charter, pools: pools, known: map[canon.Name]keyset.GroupKey{}, said: map[epoch]map[canon.Name][33]byte{}}
}

// unknownKeyError says that too few holders of a key have answered yet, or that it was not generated yet.
type unknownKeyError struct{ key canon.Name }

func (e *unknownKeyError) Error() string {
	return fmt.Sprintf("key %s: expected equal answers of f+1 holders, found fewer so far", e.key)
}

// learn notes what a signer says about its keys. It ignores keys that the signer does not hold and other epochs than the charter's.
func (k *keyring) learn(signer canon.Name, keys []*strongroomv1.KeyStatus) {
	c := k.charter()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range keys {
		key, ok := c.Key(canon.Name(s.GetKey()))
		if !ok || s.GetEpoch() != key.Epoch || len(s.GetPublicKey()) != 33 || !holds(key, signer) {
			continue
		}
		at := epoch{key.ID, key.Epoch}
		if k.said[at] == nil {
			k.said[at] = map[canon.Name][33]byte{}
		}
		k.said[at][signer] = [33]byte(s.GetPublicKey())
		k.settle(key, c.Genesis().Roster.Faults)
	}
}

func holds(key canon.Key, signer canon.Name) bool {
	for _, h := range key.Holders {
		if h == signer {
			return true
		}
	}
	return false
}

// settle accepts a public key that f+1 holders gave. What is known once does not change any more in this epoch.
func (k *keyring) settle(key canon.Key, faults uint64) {
	if known, ok := k.known[key.ID]; ok && known.Epoch == key.Epoch {
		return
	}
	votes := map[[33]byte]uint64{}
	for _, public := range k.said[epoch{key.ID, key.Epoch}] {
		votes[public]++
		if votes[public] == faults+1 {
			k.known[key.ID] = keyset.GroupKey{ID: key.ID, Epoch: key.Epoch, Public: public}
			return
		}
	}
}

// key returns a group key of the epoch that the charter in force names, false while it is unknown.
func (k *keyring) key(name canon.Name) (keyset.GroupKey, bool) {
	named, ok := k.charter().Key(name)
	if !ok {
		return keyset.GroupKey{}, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	g, ok := k.known[name]
	return g, ok && g.Epoch == named.Epoch
}

// missing returns the first key of a wallet on the chain that is not known. Wallets of scheme hsm have none.
func (k *keyring) missing(chain canon.ChainID) error {
	for _, w := range k.charter().Genesis().Wallets {
		if w.Chain != chain || w.Scheme == canon.SchemeHSM {
			continue
		}
		if _, ok := k.key(w.Key); !ok {
			return &unknownKeyError{w.Key}
		}
	}
	return nil
}

// missingPoolError says that the pool of a wallet cannot be read here. It is no refusal: once the file is there all goes on.
type missingPoolError struct {
	wallet canon.Name
	reason string
}

func (e *missingPoolError) Error() string {
	return fmt.Sprintf("wallet %s waits for its pool: %s", e.wallet, e.reason)
}

// pool returns the pool of a wallet, nil for one that has none.
func (k *keyring) pool(wallet canon.Wallet) (*keyset.Pool, error) {
	if len(wallet.Pool) != len(canon.Digest{}) {
		return nil, nil
	}
	digest := canon.Digest(wallet.Pool)
	if k.pools == nil {
		return nil, &missingPoolError{wallet.Name, fmt.Sprintf("pool %s: expected a directory of pools in the configuration, found none", digest)}
	}
	p, err := k.pools(digest)
	if err != nil {
		return nil, &missingPoolError{wallet.Name, err.Error()}
	}
	return p, nil
}

// set returns the keys of a wallet. The error passes: a key that is not known yet, or a pool that is not here.
func (k *keyring) set(wallet canon.Wallet) (keyset.Set, error) {
	c := k.charter()
	chain, ok := c.Chain(wallet.Chain)
	if !ok {
		return keyset.Set{}, fmt.Errorf("chain: expected one of the charter, found %s", wallet.Chain)
	}
	set := keyset.Set{Organisation: c.Organisation(), Chain: chain, Wallet: wallet}
	if wallet.Scheme != canon.SchemeHSM {
		group, ok := k.key(wallet.Key)
		if !ok {
			return set, &unknownKeyError{wallet.Key}
		}
		set.Group = group
	}
	var err error
	set.Pool, err = k.pool(wallet)
	return set, err
}

// at returns the address at a place and what it is made of. An error that is a *refusal.Refusal says that the wallet has no such address.
func (k *keyring) at(wallet canon.Wallet, account canon.Account, branch, index uint64) (keyset.Spot, error) {
	set, err := k.set(wallet)
	if err != nil {
		return keyset.Spot{}, err
	}
	return set.At(account, branch, index)
}

// derive returns the address at a place as canon.Output holds it, and what it is made of.
func (k *keyring) derive(wallet canon.Wallet, account canon.Account, branch, index uint64) ([]byte, keyset.Spot, error) {
	spot, err := k.at(wallet, account, branch, index)
	return spot.Address, spot, err
}
