package genesis

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
)

// Charter is a compiled genesis: its encoding, its digest, which is the organisation's id, and the entries that its book's root
// commits to.
type Charter struct {
	Genesis  canon.Genesis
	Document []byte
	Digest   canon.Digest
	Entries  []canon.BookEntry
}

// Build compiles the TOML of a genesis and of its address book, and asks charter.Lint. What Lint refuses comes back as its
// *refusal.Refusal, wrapped.
func Build(from, entries []byte) (*Charter, error) {
	c, err := compile(from, entries)
	if err != nil {
		return nil, err
	}
	if err := charter.Lint(c.Genesis); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	if c.Document, c.Digest, err = canon.Seal(c.Genesis); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	return c, nil
}

// compile does all of Build but ask whether the charter makes sense.
func compile(from, entries []byte) (*Charter, error) {
	g, err := read(from)
	if err != nil {
		return nil, err
	}
	list, err := ReadBook(entries, g.Chains)
	if err != nil {
		return nil, err
	}
	tree, err := book.Build(list)
	if err != nil {
		return nil, fmt.Errorf("book: %w", err)
	}
	g.Book.Size, g.Book.Root = tree.Size(), tree.Root()
	return &Charter{Genesis: *g, Entries: list}, nil
}

// read compiles everything but the book's size and root.
func read(from []byte) (*canon.Genesis, error) {
	var f file
	if err := decode(from, &f, maxText); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	return compiled(f)
}

// compiled is read without the decoding.
func compiled(f file) (*canon.Genesis, error) {
	c := &compiler{assets: map[string][]canon.Asset{}}
	g := c.genesis(f)
	if err := errors.Join(c.errs...); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	return &g, nil
}

// compiler collects every error, so that the author sees all of them at once.
type compiler struct {
	assets map[string][]canon.Asset // by symbol and by id
	errs   []error
}

// note keeps err under the field's place in the TOML.
func (c *compiler) note(err error, format string, args ...any) {
	if err != nil {
		c.errs = append(c.errs, &FieldError{fmt.Sprintf(format, args...), err})
	}
}

func (c *compiler) genesis(f file) canon.Genesis {
	g := canon.Genesis{
		Version: 1, Label: f.Label, Salt: canon.Digest(f.Salt),
		NotBefore: canon.Time(f.NotBefore), NotAfter: canon.Time(f.NotAfter),
		Roster: canon.Roster(f.Roster),
		Delays: canon.Delays{Loosening: uint64(f.Delays.Loosening), Unfreeze: uint64(f.Delays.Unfreeze),
			FreezeLapse: uint64(f.Delays.FreezeLapse), BookCooldown: uint64(f.Delays.BookCooldown), ClockSkew: uint64(f.Delays.ClockSkew),
			Recovery: uint64(f.Delays.Recovery), Balances: uint64(f.Delays.Balances)},
		Amendment: quorum(f.Amendment),
		Book:      canon.Book{Serial: f.Book.Serial, Quorum: quorum(f.Book.Quorum), Owned: f.Book.Owned},
	}
	if g.Salt.IsZero() {
		c.note(errors.New("expected 64 random hexadecimal digits, found none"), "salt")
	}
	for _, k := range f.Recovery {
		g.Recovery = append(g.Recovery, k)
	}
	g.RecoveryCount = f.RecoveryCount
	for _, d := range f.Builds {
		g.Builds = append(g.Builds, canon.Digest(d))
	}
	c.chains(f, &g)
	c.people(f, &g)
	c.custody(f, &g)
	c.rules(f, &g)
	c.limits(f, &g)
	c.prices(f, &g)
	c.allocation(f, &g)
	c.calls(f, &g)
	return g
}

// chains comes first: amounts need the assets' decimals.
func (c *compiler) chains(f file, g *canon.Genesis) {
	for i, t := range f.Chains {
		kind, err := word[canon.ChainKind]("kind", t.Kind, "bitcoin", "evm")
		c.note(err, "chains[%d]", i)
		g.Chains = append(g.Chains, canon.Chain{ID: t.ID, Kind: kind, CoinType: t.CoinType, Depth: t.Depth, HRP: t.HRP})
	}
	for _, t := range f.Assets {
		a := canon.Asset(t)
		g.Assets = append(g.Assets, a)
		c.assets[string(a.Symbol)] = append(c.assets[string(a.Symbol)], a)
		c.assets[string(a.ID)] = append(c.assets[string(a.ID)], a)
	}
}

func (c *compiler) people(f file, g *canon.Genesis) {
	for _, t := range f.Signers {
		g.Signers = append(g.Signers, canon.Signer{Name: t.Name, Operator: t.Operator, Identity: canon.PublicKey(t.Identity),
			Ledger: t.Ledger, Jurisdiction: t.Jurisdiction})
	}
	for _, t := range f.Coordinators {
		g.Coordinator = append(g.Coordinator, canon.Coordinator{Name: t.Name, TLS: canon.PublicKey(t.TLS)})
	}
	for i, t := range f.Officers {
		o := canon.Officer{Name: t.Name, Label: t.Label, Devices: publicKeys(t.Devices)}
		for j, k := range t.Keys {
			class, err := word[canon.KeyClass]("class", k.Class, "presence", "token", "file")
			c.note(err, "officers[%d].keys[%d]", i, j)
			o.Keys = append(o.Keys, canon.OfficerKey{Public: k.Public, Class: class})
		}
		g.Officers = append(g.Officers, o)
	}
	for i, t := range f.Groups {
		weakest, err := word[canon.KeyClass]("weakest", t.Weakest, "presence", "token", "file")
		c.note(err, "groups[%d]", i)
		g.Groups = append(g.Groups, canon.Group{Name: t.Name, Members: t.Members, Weakest: weakest})
	}
	for _, t := range f.Clients {
		v := canon.Client{Name: t.Name, Label: t.Label, House: t.House, Keys: publicKeys(t.Keys), Devices: publicKeys(t.Devices), Treasury: t.Treasury}
		for _, name := range slices.Sorted(maps.Keys(t.Attributes)) {
			v.Attributes = append(v.Attributes, canon.ClientAttribute{Name: name, Value: t.Attributes[name]})
		}
		g.Clients = append(g.Clients, v)
	}
	for i, t := range f.Accounts {
		kind, err := word[canon.AccountKind]("kind", t.Kind, "segregated", "omnibus", "pool")
		c.note(err, "accounts[%d]", i)
		g.Accounts = append(g.Accounts, canon.Account{Name: t.Name, Client: t.Client, Number: t.Number, Kind: kind})
	}
	for i, t := range f.Authorities {
		purpose, err := word[canon.Purpose]("purpose", t.Purpose, "price", "screening", "travel-rule", "balance", "attribute")
		c.note(err, "authorities[%d]", i)
		g.Authorities = append(g.Authorities, canon.Authority{Name: t.Name, Purpose: purpose, Key: canon.PublicKey(t.Key), MaxAge: uint64(t.MaxAge)})
	}
}

func (c *compiler) custody(f file, g *canon.Genesis) {
	for i, t := range f.Keys {
		algorithm, err := word[canon.Algorithm]("algorithm", t.Algorithm, "ecdsa-secp256k1", "eddsa-25519")
		c.note(err, "keys[%d]", i)
		g.Keys = append(g.Keys, canon.Key{ID: t.ID, Algorithm: algorithm, Threshold: t.Threshold, Holders: t.Holders, Epoch: t.Epoch})
	}
	for i, t := range f.Wallets {
		scheme, err := word[canon.WalletScheme]("scheme", t.Scheme, "mpc", "hsm", "cosign")
		c.note(err, "wallets[%d]", i)
		w := canon.Wallet{Name: t.Name, Label: t.Label, Chain: t.Chain, Tier: c.tier(t.Tier, "wallets[%d]", i),
			Scheme: scheme, Key: t.Key, Number: t.Number, Accounts: t.Accounts, StartNonce: t.StartNonce}
		c.devices(i, t, &w)
		g.Wallets = append(g.Wallets, w)
	}
}

func (c *compiler) tier(text, format string, args ...any) canon.Tier {
	tier, err := word[canon.Tier]("tier", text, "hot", "warm", "cold")
	c.note(err, format, args...)
	return tier
}

func (c *compiler) amounts(in []string, format string, args ...any) []canon.AssetAmount {
	var out []canon.AssetAmount
	for _, text := range in {
		a, err := c.amount(text)
		c.note(err, format, args...)
		out = append(out, a)
	}
	return out
}

// amount reads "0.5 BTC" or "0.5 bip122:.../slip44:0".
func (c *compiler) amount(text string) (canon.AssetAmount, error) {
	number, symbol, ok := strings.Cut(text, " ")
	if !ok {
		return canon.AssetAmount{}, fmt.Errorf("expected a number and an asset as in \"0.5 BTC\", found %q", text)
	}
	asset, err := c.asset(symbol)
	if err != nil {
		return canon.AssetAmount{}, err
	}
	amount, err := wallets.ParseAmount(number, asset)
	return canon.AssetAmount{Asset: asset.ID, Amount: amount}, err
}

// asset finds the one asset of a symbol or CAIP-19 id.
func (c *compiler) asset(name string) (canon.Asset, error) {
	found := c.assets[name]
	switch len(found) {
	case 0:
		return canon.Asset{}, fmt.Errorf("asset: expected a symbol or id of [[assets]], found %q", name)
	case 1:
		return found[0], nil
	}
	return canon.Asset{}, fmt.Errorf("asset: expected a symbol of one asset, found %q for %d of them: write the CAIP-19 id", name, len(found))
}

func quorum(t quorumText) canon.Quorum {
	var q canon.Quorum
	for _, alternative := range t.AnyOf {
		parts := make([]canon.Part, len(alternative))
		for i, p := range alternative {
			parts[i] = canon.Part(p)
		}
		q.AnyOf = append(q.AnyOf, parts)
	}
	return q
}
