package cli

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/descriptor"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// DescriptorsView is the addresses of a Bitcoin wallet as output script descriptors (BIP-380).
type DescriptorsView struct {
	Wallet string `json:"wallet"`
	Chain  string `json:"chain"`
	// Key is the public key from which addresses follow, and AttestedBy the signers who gave it, of whom Needed must agree; none where tokens alone sign.
	Key         *GroupKey        `json:"key,omitempty"`
	AttestedBy  []string         `json:"attested_by,omitempty"`
	Needed      uint64           `json:"needed,omitempty"`
	Pool        string           `json:"pool,omitempty"` // digest of the pool of keys
	Descriptors []DescriptorView `json:"descriptors"`
}

// DescriptorView is a descriptor of one address, or of all of a branch.
type DescriptorView struct {
	Account string `json:"account"`
	Branch  uint64 `json:"branch"` // 0 receive, 1 change
	// Index and Address are those of the one address; none for a whole branch.
	Index      *uint64 `json:"index,omitempty"`
	Address    string  `json:"address,omitempty"`
	Descriptor string  `json:"descriptor"`
}

func (v DescriptorsView) writeText(t *text) {
	t.field("Wallet", v.Wallet)
	t.field("Chain", v.Chain)
	if v.Key != nil {
		v.Key.writeText(t)
		t.field("Given by", fmt.Sprintf("%s (%d needed)", names(v.AttestedBy), v.Needed))
	}
	if v.Pool != "" {
		t.field("Pool of keys", v.Pool)
	}
	for _, d := range v.Descriptors {
		place := fmt.Sprintf("%s, %s", d.Account, word(uint8(d.Branch)+1, "receive", "change"))
		if d.Index != nil {
			place += fmt.Sprintf(" %d, %s", *d.Index, d.Address)
		}
		t.gap()
		t.say("%s", place)
		t.line("%s", d.Descriptor)
	}
}

// Export says what of a wallet to write as descriptors.
type Export struct {
	Wallet  string
	Account string // one of the wallet's; empty for all
	Count   uint64 // addresses of each branch, for wallets whose addresses have a descriptor each; a pool's end ends it before
	Pools   string // directory; empty for that of the configuration
}

// maxDescriptors bounds what one export writes for each branch.
const maxDescriptors = 10_000

// Descriptors prints the descriptors of a Bitcoin wallet. They follow from the charter, from the public key of the wallet's MPC key as more signers than may
// lie give it from here, and from the pool of keys whose digest the charter names: the coordinator is not asked.
func (s *Session) Descriptors(ctx context.Context, e Export) error {
	wallet, ok := s.Charter.Wallet(canon.Name(e.Wallet))
	if !ok {
		return fmt.Errorf("wallet: expected one of the charter, found %q", e.Wallet)
	}
	chain, _ := s.Charter.Chain(wallet.Chain)
	if chain.Kind != canon.Bitcoin {
		return fmt.Errorf("wallet: expected one on a Bitcoin chain, found %s on %s: descriptors are Bitcoin's", wallet.Name, wallet.Chain)
	}
	if e.Count < 1 || e.Count > maxDescriptors {
		return fmt.Errorf("count: expected 1 to %d, found %d", maxDescriptors, e.Count)
	}
	v := DescriptorsView{Wallet: string(wallet.Name), Chain: string(chain.ID), Descriptors: []DescriptorView{}}
	set := keyset.Set{Organisation: s.Charter.Organisation(), Chain: chain, Wallet: wallet}
	var err error
	if wallet.Scheme != canon.SchemeHSM {
		if set.Group, err = s.groupOf(ctx, wallet.Key, &v); err != nil {
			return err
		}
	}
	if len(wallet.Pool) > 0 {
		if set.Pool, err = s.poolOf(wallet, e.Pools); err != nil {
			return err
		}
		v.Pool = set.Pool.Digest().String()
	}
	if err := s.describe(set, e, &v); err != nil {
		return err
	}
	return s.Print(v)
}

// poolOf returns the pool that the charter names for a wallet.
func (s *Session) poolOf(wallet canon.Wallet, dir string) (*keyset.Pool, error) {
	find := s.pools(dir)
	if find == nil {
		return nil, refusal.New("pool", "wallet.pool", fmt.Sprintf("pool %x in a directory, by --pools or the configuration", wallet.Pool), "no directory")
	}
	return find(canon.Digest(wallet.Pool))
}

// groupOf asks the signers that the configuration names for the public key of an MPC key. f+1 of its holders must give the same: one of them is honest.
func (s *Session) groupOf(ctx context.Context, name canon.Name, v *DescriptorsView) (keyset.GroupKey, error) {
	key, _ := s.Charter.Key(name)
	peers, err := s.signers()
	if err != nil {
		return keyset.GroupKey{}, err
	}
	votes := map[[33]byte][]string{}
	for _, a := range askSigners(ctx, peers, func(ctx context.Context, p signerPeer) (*pb.GetSignerStatusResponse, error) {
		return p.GetSignerStatus(ctx, &pb.GetSignerStatusRequest{})
	}) {
		if a.Err != nil || !slices.Contains(key.Holders, canon.Name(a.Server)) {
			continue
		}
		if public, ok := publicKeyOf(a.Value, key); ok {
			votes[public] = append(votes[public], a.Server)
		}
	}
	v.Needed = s.Charter.Genesis().Roster.Faults + 1
	if len(votes) > 1 {
		s.Note("WARNING: signers give different public keys for %s: %s", key.ID, fmt.Sprint(slices.Collect(maps.Values(votes))))
	}
	group, found := keyset.GroupKey{ID: key.ID, Epoch: key.Epoch}, 0
	for public, by := range votes {
		if found = max(found, len(by)); uint64(len(by)) < v.Needed {
			continue
		}
		if v.Key != nil {
			return group, refusal.New("key", "public_key", "one that more signers give than may lie", fmt.Sprintf("%s and %x", v.Key.PublicKey, public))
		}
		group.Public, v.AttestedBy = public, slices.Sorted(slices.Values(by))
		v.Key = &GroupKey{Key: string(key.ID), Epoch: key.Epoch, PublicKey: hex.EncodeToString(public[:])}
	}
	if v.Key != nil {
		return group, nil
	}
	return group, fmt.Errorf("%w: key %s: expected the same public key from %d holders that the configuration names, found it from %d", ErrUnreachable, key.ID, v.Needed, found)
}

// publicKeyOf returns what a signer says of a key of the charter, false if it does not have it in this epoch.
func publicKeyOf(status *pb.GetSignerStatusResponse, key canon.Key) ([33]byte, bool) {
	for _, said := range status.GetStatus().GetKeys() {
		if said.GetKey() == string(key.ID) && said.GetEpoch() == key.Epoch && len(said.GetPublicKey()) == 33 {
			return [33]byte(said.GetPublicKey()), true
		}
	}
	return [33]byte{}, false
}

// describe adds the descriptors of every account that has addresses in the wallet. What the pool of keys has none for is noted, and keeps nothing else from
// being written.
func (s *Session) describe(set keyset.Set, e Export, v *DescriptorsView) error {
	var missing []canon.Name
	if set.Pool != nil {
		missing = s.Charter.MissingFrom(set.Wallet, set.Pool.Document())
	}
	for _, name := range set.Wallet.Accounts {
		account, ok := s.Charter.Holder(set.Wallet, name)
		if !ok || account.Name != name || e.Account != "" && e.Account != string(name) {
			continue // its assets lie on the addresses of a pool
		}
		if slices.Contains(missing, name) {
			s.Note("account %s is left out: pool %s has no keys for it", name, set.Pool.Digest())
			continue
		}
		for branch := range uint64(2) {
			if set.Pool != nil && keysOf(set.Pool, branch) == 0 {
				s.Note("account %s, %s is left out: pool %s has no keys for it", name, word(uint8(branch)+1, "receive", "change"), set.Pool.Digest())
				continue
			}
			if err := describeBranch(set, account, branch, e.Count, v); err != nil {
				return err
			}
		}
	}
	if len(v.Descriptors) == 0 {
		return fmt.Errorf("account: expected one with addresses of its own in wallet %s, found %q", set.Wallet.Name, e.Account)
	}
	return nil
}

// keysOf returns how many keys a pool has for each account on a branch.
func keysOf(pool *keyset.Pool, branch uint64) uint64 {
	if branch == wallets.BranchChange {
		return pool.Document().Change
	}
	return pool.Document().Receive
}

func describeBranch(set keyset.Set, account canon.Account, branch, count uint64, v *DescriptorsView) error {
	if set.Wallet.Scheme == canon.SchemeMPC {
		d, err := descriptor.OfBranch(set, account, branch)
		if err != nil {
			return err
		}
		text, err := d.Text()
		v.Descriptors = append(v.Descriptors, DescriptorView{Account: string(account.Name), Branch: branch, Descriptor: text})
		return err
	}
	for index := range count {
		spot, err := set.At(account, branch, index)
		if set.Wallet.Scheme == canon.SchemeHSM && refusal.Of(err) != nil && index > 0 {
			return nil // the pool ends here
		}
		if err != nil {
			return err
		}
		d, err := descriptor.OfAddress(set, account, branch, index)
		if err != nil {
			return err
		}
		text, err := d.Text()
		if err != nil {
			return err
		}
		address, err := wallets.AddressText(set.Chain, spot.Address)
		if err != nil {
			return err
		}
		v.Descriptors = append(v.Descriptors, DescriptorView{Account: string(account.Name), Branch: branch, Index: &index, Address: address, Descriptor: text})
	}
	return nil
}
