package charter

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Charter is a charter in force, with its lists indexed. The zero Charter knows nobody; Open makes the first one, Succeed the next.
type Charter struct {
	genesis      canon.Genesis
	organisation canon.Digest
	number       uint64
	digest       canon.Digest
	index
	programs
}

type priceKey struct {
	asset    canon.AssetID
	currency canon.Currency
}

// index finds the entries of a genesis by name and by key.
type index struct {
	signers     map[canon.Name]canon.Signer
	officers    map[canon.Name]canon.Officer
	groups      map[canon.Name]canon.Group
	clients     map[canon.Name]canon.Client
	accounts    map[canon.Name]canon.Account
	chains      map[canon.ChainID]canon.Chain
	assets      map[canon.AssetID]canon.Asset
	keys        map[canon.Name]canon.Key
	wallets     map[canon.Name]canon.Wallet
	rules       map[canon.Name]canon.Rule
	limits      map[canon.Name]canon.Limit
	calls       map[canon.Name]canon.CallRule
	authorities map[canon.Name]canon.Authority
	prices      map[priceKey]canon.PriceSource
	native      map[canon.ChainID]canon.Asset
	signerKeys  map[canon.PublicKey]canon.Name
	coordinator map[canon.PublicKey]canon.Coordinator
	officerKeys map[string]canon.Name
	officerTLS  map[canon.PublicKey]canon.Name
	clientKeys  map[canon.PublicKey]canon.Name
	clientTLS   map[canon.PublicKey]canon.Name
	roster      uint64
}

// Open decodes the encoding of canon.Genesis, holds its digest against the pinned one and checks it with Lint. A broken rule or another
// digest is a *refusal.Refusal.
func Open(genesis []byte, pinned canon.Digest) (*Charter, error) {
	if found := canon.KindGenesis.Digest(genesis); found != pinned {
		return nil, refusal.New("charter", "genesis", "digest "+pinned.String(), found.String())
	}
	c := &Charter{organisation: pinned, number: 1, digest: pinned}
	if err := c.read(genesis); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Charter) read(state []byte) error {
	if err := canon.Decode(state, &c.genesis); err != nil {
		return fmt.Errorf("charter: %w", err)
	}
	if err := Lint(c.genesis); err != nil {
		return fmt.Errorf("charter: %w", err)
	}
	c.index = newIndex(&c.genesis)
	x, err := newPrograms(&c.genesis)
	if err != nil {
		return fmt.Errorf("charter: %w", err)
	}
	c.programs = x
	return nil
}

// by indexes list under the key that name takes from an entry; of two entries with one name the first stays.
func by[K comparable, V any](list []V, name func(V) K) map[K]V {
	m := make(map[K]V, len(list))
	for _, v := range list {
		if _, ok := m[name(v)]; !ok {
			m[name(v)] = v
		}
	}
	return m
}

func newIndex(g *canon.Genesis) index {
	x := index{
		signers:     by(g.Signers, func(s canon.Signer) canon.Name { return s.Name }),
		officers:    by(g.Officers, func(o canon.Officer) canon.Name { return o.Name }),
		groups:      by(g.Groups, func(v canon.Group) canon.Name { return v.Name }),
		clients:     by(g.Clients, func(v canon.Client) canon.Name { return v.Name }),
		accounts:    by(g.Accounts, func(v canon.Account) canon.Name { return v.Name }),
		chains:      by(g.Chains, func(v canon.Chain) canon.ChainID { return v.ID }),
		assets:      by(g.Assets, func(v canon.Asset) canon.AssetID { return v.ID }),
		keys:        by(g.Keys, func(v canon.Key) canon.Name { return v.ID }),
		wallets:     by(g.Wallets, func(v canon.Wallet) canon.Name { return v.Name }),
		rules:       by(g.Rules, func(v canon.Rule) canon.Name { return v.Name }),
		limits:      by(g.Limits, func(v canon.Limit) canon.Name { return v.Name }),
		calls:       by(g.Calls, func(v canon.CallRule) canon.Name { return v.Name }),
		authorities: by(g.Authorities, func(v canon.Authority) canon.Name { return v.Name }),
		prices:      by(g.Prices, func(v canon.PriceSource) priceKey { return priceKey{v.Asset, v.Currency} }),
		coordinator: by(g.Coordinator, func(v canon.Coordinator) canon.PublicKey { return v.TLS }),
		native:      map[canon.ChainID]canon.Asset{},
		signerKeys:  map[canon.PublicKey]canon.Name{},
		officerKeys: map[string]canon.Name{},
		officerTLS:  map[canon.PublicKey]canon.Name{},
		clientKeys:  map[canon.PublicKey]canon.Name{},
		clientTLS:   map[canon.PublicKey]canon.Name{},
	}
	for _, a := range g.Assets {
		if _, token := a.ID.Contract(); !token {
			x.native[a.ID.Chain()] = a
		}
	}
	x.indexKeys(g)
	return x
}

func (x *index) indexKeys(g *canon.Genesis) {
	for _, s := range g.Signers {
		x.signerKeys[s.Identity] = s.Name
		if s.Ledger {
			x.roster++
		}
	}
	for _, o := range g.Officers {
		for _, k := range o.Keys {
			x.officerKeys[string(k.Public)] = o.Name
		}
		for _, k := range o.Devices {
			x.officerTLS[k] = o.Name
		}
	}
	for _, v := range g.Clients {
		for _, k := range v.Keys {
			x.clientKeys[k] = v.Name
		}
		for _, k := range v.Devices {
			x.clientTLS[k] = v.Name
		}
	}
}

// Organisation returns the organisation's id, the digest of its genesis.
func (c *Charter) Organisation() canon.Digest { return c.organisation }

// Number returns the number of the charter: 1 for the genesis, one more with each amendment.
func (c *Charter) Number() uint64 { return c.number }

// Digest returns the digest of the charter: the organisation's id for the genesis, else that of the amendment that made it.
func (c *Charter) Digest() canon.Digest { return c.digest }

// Genesis returns what the charter says, read-only. Its form is that of the genesis whatever the charter's number.
func (c *Charter) Genesis() *canon.Genesis { return &c.genesis }

// RosterSize returns n, the number of signers that keep the ledger.
func (c *Charter) RosterSize() uint64 { return c.roster }

// CheckTime refuses times outside the charter's validity: an expired charter signs nothing.
func (c *Charter) CheckTime(now canon.Time) error {
	if now < c.genesis.NotBefore || now > c.genesis.NotAfter {
		return refusal.New("charter", "validity", fmt.Sprintf("a time from %d to %d", c.genesis.NotBefore, c.genesis.NotAfter),
			strconv.FormatUint(uint64(now), 10))
	}
	return nil
}

// Signer returns the signer of that name.
func (c *Charter) Signer(n canon.Name) (canon.Signer, bool) { v, ok := c.signers[n]; return v, ok }

// Officer returns the officer of that name.
func (c *Charter) Officer(n canon.Name) (canon.Officer, bool) { v, ok := c.officers[n]; return v, ok }

// Group returns the group of that name.
func (c *Charter) Group(n canon.Name) (canon.Group, bool) { v, ok := c.groups[n]; return v, ok }

// Client returns the client of that name.
func (c *Charter) Client(n canon.Name) (canon.Client, bool) { v, ok := c.clients[n]; return v, ok }

// Account returns the account of that name.
func (c *Charter) Account(n canon.Name) (canon.Account, bool) { v, ok := c.accounts[n]; return v, ok }

// Chain returns the chain of that id.
func (c *Charter) Chain(id canon.ChainID) (canon.Chain, bool) { v, ok := c.chains[id]; return v, ok }

// Asset returns the asset of that id.
func (c *Charter) Asset(id canon.AssetID) (canon.Asset, bool) { v, ok := c.assets[id]; return v, ok }

// NativeAsset returns the coin in which the chain takes its fees.
func (c *Charter) NativeAsset(id canon.ChainID) (canon.Asset, bool) {
	v, ok := c.native[id]
	return v, ok
}

// Key returns the MPC key of that name.
func (c *Charter) Key(n canon.Name) (canon.Key, bool) { v, ok := c.keys[n]; return v, ok }

// Wallet returns the wallet of that name.
func (c *Charter) Wallet(n canon.Name) (canon.Wallet, bool) { v, ok := c.wallets[n]; return v, ok }

// Rule returns the rule of that name.
func (c *Charter) Rule(n canon.Name) (canon.Rule, bool) { v, ok := c.rules[n]; return v, ok }

// Limit returns the limit of that name.
func (c *Charter) Limit(n canon.Name) (canon.Limit, bool) { v, ok := c.limits[n]; return v, ok }

// Call returns the contract call of that name that rules may let through.
func (c *Charter) Call(n canon.Name) (canon.CallRule, bool) { v, ok := c.calls[n]; return v, ok }

// Authority returns the outside authority of that name.
func (c *Charter) Authority(n canon.Name) (canon.Authority, bool) {
	v, ok := c.authorities[n]
	return v, ok
}

// PriceSource says whose prices of the asset in the currency count.
func (c *Charter) PriceSource(asset canon.AssetID, currency canon.Currency) (canon.PriceSource, bool) {
	v, ok := c.prices[priceKey{asset, currency}]
	return v, ok
}

// Holder returns the account on whose addresses in the wallet the account's assets lie: the account itself, or the wallet's pool for an omnibus
// account. Paths name the holder. It is false if the wallet does not hold the account, or has no pool for it.
func (c *Charter) Holder(w canon.Wallet, account canon.Name) (canon.Account, bool) {
	a, ok := c.Account(account)
	if !ok || !slices.Contains(w.Accounts, account) || a.Kind != canon.Omnibus {
		return a, ok && slices.Contains(w.Accounts, account)
	}
	for _, n := range w.Accounts {
		if pool, ok := c.Account(n); ok && pool.Kind == canon.Pool {
			return pool, true
		}
	}
	return canon.Account{}, false
}

// SignerByKey returns the signer with that identity.
func (c *Charter) SignerByKey(k canon.PublicKey) (canon.Signer, bool) {
	return c.Signer(c.signerKeys[k])
}

// CoordinatorByKey returns the coordinator with that TLS key.
func (c *Charter) CoordinatorByKey(k canon.PublicKey) (canon.Coordinator, bool) {
	v, ok := c.coordinator[k]
	return v, ok
}

// OfficerByKey returns the officer whose approval key this is, in SSH wire format, compared byte by byte.
func (c *Charter) OfficerByKey(sshWire []byte) (canon.Officer, bool) {
	return c.Officer(c.officerKeys[string(sshWire)])
}

// OfficerByDevice returns the officer whose device has that TLS key.
func (c *Charter) OfficerByDevice(k canon.PublicKey) (canon.Officer, bool) {
	return c.Officer(c.officerTLS[k])
}

// ClientByKey returns the client that signs requests with that key.
func (c *Charter) ClientByKey(k canon.PublicKey) (canon.Client, bool) {
	return c.Client(c.clientKeys[k])
}

// ClientByDevice returns the client whose device has that TLS key.
func (c *Charter) ClientByDevice(k canon.PublicKey) (canon.Client, bool) {
	return c.Client(c.clientTLS[k])
}
