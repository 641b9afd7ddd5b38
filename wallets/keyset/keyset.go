package keyset

import (
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// GroupKey is the public key of an MPC key, compressed, and its epoch.
type GroupKey struct {
	ID     canon.Name
	Epoch  uint64
	Public [33]byte
}

// Set is the keys of one wallet.
type Set struct {
	Organisation canon.Digest
	Chain        canon.Chain
	Wallet       canon.Wallet
	Group        GroupKey // of the wallet's MPC key; not read for scheme hsm
	Pool         *Pool    // nil for schemes and chains without one
}

// DeviceKey is a key in a device's token.
type DeviceKey struct {
	Signer canon.Name
	Public [33]byte // compressed
	Label  string   // under which the token keeps it; see Label
}

// Spot is what an address is made of.
type Spot struct {
	// Address is what is paid to: a scriptPubKey, or the 20 bytes of an EVM address.
	Address []byte
	// Witness is the witness script behind a P2WSH address, nil for every other.
	Witness []byte
	// MPC says whether the MPC key signs, with Child.
	MPC   bool
	Child wallets.Child
	// Devices are the keys in tokens that may sign, in the order of the wallet's devices, and Needed how many of them must. For cosign on EVM chains
	// there are none: its devices attest.
	Devices []DeviceKey
	Needed  int
}

// Signatures returns how many signatures spend from the address: the devices', and one of the MPC key if that signs.
func (s Spot) Signatures() int {
	n := 0
	if len(s.Devices) > 0 {
		n = s.Needed
	}
	if s.MPC {
		n++
	}
	return n
}

// At returns the address of the account on whose addresses the assets lie (for an omnibus account the wallet's pool account), branch 0 receive or 1
// change, index. The error is a *refusal.Refusal where the wallet has no such address.
func (s Set) At(account canon.Account, branch, index uint64) (Spot, error) {
	if err := s.check(); err != nil {
		return Spot{}, err
	}
	if account.Kind == canon.Omnibus {
		return Spot{}, refusal.New("address", "account", "an account with addresses of its own, of an omnibus wallet its pool", string(account.Name))
	}
	if s.Chain.Kind == canon.EVM && (branch != wallets.BranchReceive || index != 0) {
		return Spot{}, refusal.New("address", "branch, index", "0 and 0: an account has one address on this chain", fmt.Sprintf("%d and %d", branch, index))
	}
	path, err := wallets.NewPath(s.Chain.CoinType, s.Wallet.Number, account.Number, branch, index)
	if err != nil {
		return Spot{}, refusal.New("address", "path", "elements below 2^31, branch 0 or 1", err.Error())
	}
	spot := Spot{Needed: int(s.Wallet.Needed)}
	if s.Wallet.Scheme != canon.SchemeHSM {
		spot.MPC = true
		if spot.Child, err = wallets.Derive(s.Group.Public, wallets.ChainCode(s.Organisation, s.Group.ID, s.Group.Public), path); err != nil {
			return Spot{}, refusal.New("address", "index", "an index that BIP-32 defines a key for", err.Error())
		}
	}
	if s.pooled() {
		if spot.Devices, err = s.devices(account.Name, branch, index); err != nil {
			return Spot{}, err
		}
	}
	if err := s.lock(&spot); err != nil {
		return Spot{}, err
	}
	return spot, nil
}

// check refuses key sets that are none of the forms that this package knows, whatever charter let them pass: of another form somebody else could spend.
func (s Set) check() error {
	w := s.Wallet
	if err := w.Check(); err != nil {
		return refusal.New("address", "wallet", "a wallet that a charter can have", err.Error())
	}
	if s.Chain.ID != w.Chain || s.Chain.Kind != canon.Bitcoin && s.Chain.Kind != canon.EVM {
		return refusal.New("address", "chain", "the wallet's chain "+string(w.Chain)+", a Bitcoin or EVM chain", fmt.Sprintf("%s of kind %d", s.Chain.ID, s.Chain.Kind))
	}
	bitcoinCosign := w.Scheme == canon.SchemeCosign && s.Chain.Kind == canon.Bitcoin
	if bitcoinCosign && len(w.Devices) != 1 {
		return refusal.New("address", "wallet.devices", "1 next to the MPC key, lest devices sign without it", fmt.Sprint(len(w.Devices)))
	}
	if len(w.Recovery) > 0 && !bitcoinCosign {
		return refusal.New("address", "wallet.recovery", "none but for scheme cosign on Bitcoin", fmt.Sprintf("%x", w.Recovery))
	}
	if s.Pool != nil && s.Pool.has(w.Recovery) {
		return refusal.New("address", "wallet.recovery", "a key that no token of the wallet has, lest one token be two of three", fmt.Sprintf("%x, a key of pool %s", w.Recovery, s.Pool.digest))
	}
	if w.Scheme == canon.SchemeHSM && s.Chain.Kind == canon.EVM && len(w.Devices) != 1 {
		return refusal.New("address", "wallet.devices", "1: an EVM address has one key", fmt.Sprint(len(w.Devices)))
	}
	if w.Scheme != canon.SchemeHSM && s.Group.ID != w.Key {
		return refusal.New("address", "wallet.key", "the public key of "+string(w.Key), fmt.Sprintf("that of %q", s.Group.ID))
	}
	return nil
}

// pooled reports whether the addresses depend on keys in tokens.
func (s Set) pooled() bool {
	return s.Wallet.Scheme == canon.SchemeHSM || s.Wallet.Scheme == canon.SchemeCosign && s.Chain.Kind == canon.Bitcoin
}

// devices returns the keys of the pool for an address. The pool must be the wallet's, with its devices in its order.
func (s Set) devices(account canon.Name, branch, index uint64) ([]DeviceKey, error) {
	if s.Pool == nil || !slices.Equal(s.Wallet.Pool, s.Pool.digest[:]) {
		return nil, refusal.New("pool", "wallet.pool", fmt.Sprintf("the pool of digest %x of wallet %s", s.Wallet.Pool, s.Wallet.Name), "none")
	}
	d := &s.Pool.document
	if d.Wallet != s.Wallet.Name || d.Chain != s.Wallet.Chain || !slices.EqualFunc(d.Devices, s.Wallet.Devices,
		func(a canon.PoolDevice, b canon.Device) bool { return a.Signer == b.Signer }) {
		return nil, refusal.New("pool", "pool", fmt.Sprintf("one of wallet %s on %s with its devices", s.Wallet.Name, s.Wallet.Chain), fmt.Sprintf("one of %s on %s", d.Wallet, d.Chain))
	}
	at, err := s.Pool.position(account, branch, index, s.Wallet.Scheme == canon.SchemeCosign)
	if err != nil {
		return nil, err
	}
	keys := make([]DeviceKey, len(d.Devices))
	account, branch, index = Position(d, at) // of a wallet whose addresses take the keys in turn, the first address of this one
	for i, device := range d.Devices {
		keys[i] = DeviceKey{Signer: device.Signer, Public: [33]byte(device.Keys[at]), Label: Label(d.Wallet, account, branch, index)}
	}
	return keys, nil
}

// lock fills in what is paid to.
func (s Set) lock(spot *Spot) error {
	switch {
	case s.Chain.Kind == canon.EVM && s.Wallet.Scheme == canon.SchemeHSM:
		a := ethereum.AddressOf(spot.Devices[0].Public)
		spot.Address = a[:]
		return nil
	case s.Chain.Kind == canon.EVM:
		a := ethereum.AddressOf(spot.Child.Public)
		spot.Address = a[:]
		return nil
	case s.Wallet.Scheme == canon.SchemeMPC:
		spot.Address = bitcoin.ScriptP2WPKH(spot.Child.Public)
		return nil
	case s.Wallet.Scheme == canon.SchemeHSM && len(spot.Devices) == 1:
		spot.Address = bitcoin.ScriptP2WPKH(spot.Devices[0].Public)
		return nil
	}
	needed, keys := spot.Needed, make([][33]byte, 0, len(spot.Devices)+2)
	if spot.MPC {
		needed, keys = needed+1, append(keys, spot.Child.Public)
	}
	for _, d := range spot.Devices {
		keys = append(keys, d.Public)
	}
	if len(s.Wallet.Recovery) > 0 {
		keys = append(keys, [33]byte(s.Wallet.Recovery))
	}
	var err error
	if spot.Witness, err = bitcoin.SortedMulti(needed, keys); err != nil {
		return refusal.New("address", "keys", "keys that make a sortedmulti script", err.Error())
	}
	spot.Address = bitcoin.ScriptP2WSH(spot.Witness)
	return nil
}
