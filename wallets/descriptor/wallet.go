package descriptor

import (
	"bytes"
	"fmt"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// mainHRP is the BIP-173 prefix of Bitcoin's main chain, of which extended keys are xpubs.
const mainHRP = "bc"

// OfAddress returns the descriptor of one address of a Bitcoin wallet of any scheme, with its keys as they are in the script. The account is the one on whose
// addresses the assets lie, as for keyset.Set.At.
func OfAddress(s keyset.Set, account canon.Account, branch, index uint64) (Descriptor, error) {
	if s.Chain.Kind != canon.Bitcoin {
		return Descriptor{}, fmt.Errorf("descriptor: expected a Bitcoin wallet, found one on %s", s.Chain.ID)
	}
	spot, err := s.At(account, branch, index)
	if err != nil {
		return Descriptor{}, err
	}
	d := Descriptor{}
	switch {
	case spot.Witness != nil:
		needed, keys, err := bitcoin.ParseSortedMulti(spot.Witness)
		if err != nil {
			return Descriptor{}, fmt.Errorf("descriptor: %w", err)
		}
		d.Needed = needed
		for _, k := range keys {
			d.Keys = append(d.Keys, Key{Public: k})
		}
	case spot.MPC:
		d.Keys = []Key{{Public: spot.Child.Public}}
	default:
		d.Keys = []Key{{Public: spot.Devices[0].Public}}
	}
	return d, d.describes(spot.Address, 0)
}

// OfBranch returns the descriptor of all addresses of a branch of an account, for Bitcoin wallets of scheme mpc: those of other schemes hold keys that
// nobody derives. The extended key in it is the account's, so that it tells of no other account.
func OfBranch(s keyset.Set, account canon.Account, branch uint64) (Descriptor, error) {
	if s.Chain.Kind != canon.Bitcoin || s.Wallet.Scheme != canon.SchemeMPC {
		return Descriptor{}, fmt.Errorf("descriptor: expected a Bitcoin wallet of scheme mpc, found %s on %s: each of its addresses has a descriptor", s.Wallet.Name, s.Chain.ID)
	}
	spot, err := s.At(account, branch, 0) // which holds the elements of the path to be in range
	if err != nil {
		return Descriptor{}, err
	}
	key := wallets.ExtendedKey{Public: s.Group.Public, ChainCode: wallets.ChainCode(s.Organisation, s.Group.ID, s.Group.Public)}
	origin := &Origin{Fingerprint: key.Fingerprint(), Path: []uint32{uint32(s.Chain.CoinType), uint32(s.Wallet.Number), uint32(account.Number)}}
	for _, step := range origin.Path {
		if key, err = key.Child(step); err != nil {
			return Descriptor{}, fmt.Errorf("descriptor: %w", err)
		}
	}
	d := Descriptor{Keys: []Key{{Range: &Range{Origin: origin, Key: key, Test: s.Chain.HRP != mainHRP, Path: []uint32{uint32(branch)}}}}}
	return d, d.describes(spot.Address, 0)
}

// describes holds what the descriptor says against an address that was derived without it.
func (d Descriptor) describes(address []byte, index uint32) error {
	script, _, err := d.Script(index)
	if err != nil {
		return err
	}
	if !bytes.Equal(script, address) {
		return fmt.Errorf("descriptor: expected script %x at index %d, found %x", address, index, script)
	}
	return nil
}
