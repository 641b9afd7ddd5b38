package coordinator

import (
	"fmt"
	"sync"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// keyring holds the public keys of groups. A key is known once f+1 of its holders gave the same: one of them is honest.
type keyring struct {
	charter func() *charter.Charter // in force
	mu      sync.Mutex
	known   map[canon.Name]guard.GroupKey     // of the last epoch that is known
	said    map[epoch]map[canon.Name][33]byte // by holder
}

// epoch is a key as a certain set of holders has it.
type epoch struct {
	key    canon.Name
	number uint64
}

func newKeyring(charter func() *charter.Charter) *keyring {
	return &keyring{charter: charter, known: map[canon.Name]guard.GroupKey{}, said: map[epoch]map[canon.Name][33]byte{}}
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
			k.known[key.ID] = guard.GroupKey{ID: key.ID, Epoch: key.Epoch, Public: public}
			return
		}
	}
}

// key returns a group key of the epoch that the charter in force names, false while it is unknown.
func (k *keyring) key(name canon.Name) (guard.GroupKey, bool) {
	named, ok := k.charter().Key(name)
	if !ok {
		return guard.GroupKey{}, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	g, ok := k.known[name]
	return g, ok && g.Epoch == named.Epoch
}

// missing returns the first key of a wallet on the chain that is not known.
func (k *keyring) missing(chain canon.ChainID) error {
	for _, w := range k.charter().Genesis().Wallets {
		if w.Chain != chain || w.Scheme != canon.SchemeMPC {
			continue
		}
		if _, ok := k.key(w.Key); !ok {
			return &unknownKeyError{w.Key}
		}
	}
	return nil
}

// derive returns the address at a place as canon.Output holds it, and its key.
func (k *keyring) derive(wallet canon.Wallet, account canon.Account, branch, index uint64) ([]byte, wallets.Child, error) {
	chain, ok := k.charter().Chain(wallet.Chain)
	if !ok {
		return nil, wallets.Child{}, fmt.Errorf("chain: expected one of the charter, found %s", wallet.Chain)
	}
	group, ok := k.key(wallet.Key)
	if !ok {
		return nil, wallets.Child{}, &unknownKeyError{wallet.Key}
	}
	path, err := wallets.NewPath(chain.CoinType, wallet.Number, account.Number, branch, index)
	if err != nil {
		return nil, wallets.Child{}, err
	}
	child, err := wallets.Derive(group.Public, wallets.ChainCode(k.charter().Organisation(), group.ID, group.Public), path)
	if err != nil {
		return nil, wallets.Child{}, err
	}
	if chain.Kind == canon.EVM {
		a := ethereum.AddressOf(child.Public)
		return a[:], child, nil
	}
	return bitcoin.ScriptP2WPKH(child.Public), child, nil
}
