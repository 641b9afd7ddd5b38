package allocation

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/money"
	"github.com/strongroom/strongroom/proto/canon"
)

// MissingError says which statements there are too few of for an answer.
type MissingError struct {
	Chains []canon.ChainID // balances of f+1 distinct signers, sorted
	Prices []MissingPrice  // sorted
	Needed uint64          // distinct signers for each chain
}

// MissingPrice is a price that no statement gives.
type MissingPrice struct {
	Asset    canon.AssetID
	Currency canon.Currency
}

// Error lists what is missing.
func (e *MissingError) Error() string {
	var words []string
	for _, id := range e.Chains {
		words = append(words, fmt.Sprintf("balances on %s of %d signers", id, e.Needed))
	}
	for _, p := range e.Prices {
		words = append(words, fmt.Sprintf("the price of %s in %s", p.Asset, p.Currency))
	}
	return "allocation: expected " + strings.Join(words, ", ") + ", found too few statements"
}

func (e *MissingError) chain(id canon.ChainID) {
	if !slices.Contains(e.Chains, id) {
		e.Chains = append(e.Chains, id)
	}
}

func (e *MissingError) price(asset canon.AssetID, currency canon.Currency) {
	if p := (MissingPrice{asset, currency}); !slices.Contains(e.Prices, p) {
		e.Prices = append(e.Prices, p)
	}
}

// err returns e with its lists in order, or nil if nothing is missing.
func (e *MissingError) err() error {
	if len(e.Chains)+len(e.Prices) == 0 {
		return nil
	}
	slices.Sort(e.Chains)
	slices.SortFunc(e.Prices, func(a, b MissingPrice) int {
		return strings.Compare(string(a.Asset)+" "+string(a.Currency), string(b.Asset)+" "+string(b.Currency))
	})
	return e
}

// ClientWallet reports whether a wallet holds assets of clients: some account in it, a pool aside, is none of the house's. A wallet of a pool alone
// counts as one.
func ClientWallet(c *charter.Charter, w canon.Wallet) bool {
	for _, n := range w.Accounts {
		a, ok := c.Account(n)
		if client, known := c.Client(a.Client); ok && known && client.House && a.Kind != canon.Pool {
			return false
		}
	}
	return true
}

// holding is what the statements say of an asset in a tier: the most and the least that client wallets of the tier have of it, wallet by wallet.
type holding struct {
	most, least *big.Int
}

// reading is what all statements together say.
type reading struct {
	c       *charter.Charter
	prices  []canon.Price
	needed  uint64
	stated  map[canon.ChainID]bool // f+1 signers did
	tiers   map[canon.AssetID]map[canon.Tier]holding
	wallets map[canon.ChainID]bool // chains with client wallets
}

// read gathers what the statements say. Statements of who keeps no ledger do not count, nor what one says of other chains' wallets and assets.
func read(c *charter.Charter, balances []canon.Balances, prices []canon.Price) *reading {
	r := &reading{
		c: c, prices: prices, needed: c.Genesis().Roster.Faults + 1, stated: map[canon.ChainID]bool{},
		tiers: map[canon.AssetID]map[canon.Tier]holding{}, wallets: map[canon.ChainID]bool{},
	}
	by := map[canon.ChainID][]canon.Balances{}
	for _, b := range balances {
		if s, ok := c.Signer(b.Signer); ok && s.Ledger {
			by[b.Chain] = append(by[b.Chain], b)
		}
	}
	for chain, statements := range by {
		signers := map[canon.Name]bool{}
		for _, b := range statements {
			signers[b.Signer] = true
		}
		r.stated[chain] = uint64(len(signers)) >= r.needed
	}
	for _, w := range c.Genesis().Wallets {
		if !ClientWallet(c, w) {
			continue
		}
		r.wallets[w.Chain] = true
		for _, a := range c.Genesis().Assets {
			if a.ID.Chain() == w.Chain {
				r.count(w, a.ID, by[w.Chain])
			}
		}
	}
	return r
}

// count adds what the statements say of one wallet and asset.
func (r *reading) count(w canon.Wallet, asset canon.AssetID, statements []canon.Balances) {
	var most, least *big.Int
	for _, b := range statements {
		n := held(b, w.Name, asset)
		if most == nil || n.Cmp(most) > 0 {
			most = n
		}
		if least == nil || n.Cmp(least) < 0 {
			least = n
		}
	}
	if most == nil {
		return
	}
	h := r.at(asset, w.Tier)
	r.set(asset, w.Tier, holding{most: new(big.Int).Add(h.most, most), least: new(big.Int).Add(h.least, least)})
}

func held(b canon.Balances, wallet canon.Name, asset canon.AssetID) *big.Int {
	for _, h := range b.Holdings {
		if h.Wallet == wallet && h.Asset == asset {
			return h.Amount.Int()
		}
	}
	return new(big.Int)
}

// at returns what a tier has of an asset; not to be changed in place.
func (r *reading) at(asset canon.AssetID, tier canon.Tier) holding {
	if h, ok := r.tiers[asset][tier]; ok {
		return h
	}
	return holding{most: new(big.Int), least: new(big.Int)}
}

func (r *reading) set(asset canon.AssetID, tier canon.Tier, h holding) {
	if r.tiers[asset] == nil {
		r.tiers[asset] = map[canon.Tier]holding{}
	}
	r.tiers[asset][tier] = h
}

// clone returns a copy whose holdings can be moved without changing r's.
func (r *reading) clone() *reading {
	out := *r
	out.tiers = make(map[canon.AssetID]map[canon.Tier]holding, len(r.tiers))
	for asset, tiers := range r.tiers {
		for tier, h := range tiers {
			out.set(asset, tier, h)
		}
	}
	return &out
}

// outside is the tier that payments to others go to.
const outside = canon.Tier(0)

// move takes an amount from one tier, as far as it goes, and brings it to another, or to others.
func (r *reading) move(asset canon.AssetID, amount *big.Int, from, to canon.Tier) {
	if from != outside {
		h := r.at(asset, from)
		r.set(asset, from, holding{most: less(h.most, amount), least: less(h.least, amount)})
	}
	if to != outside {
		h := r.at(asset, to)
		r.set(asset, to, holding{most: new(big.Int).Add(h.most, amount), least: new(big.Int).Add(h.least, amount)})
	}
}

// less returns a-b, or 0 if b is more.
func less(a, b *big.Int) *big.Int {
	if a.Cmp(b) < 0 {
		return new(big.Int)
	}
	return new(big.Int).Sub(a, b)
}

// assets returns the assets that a band is about, in the charter's order.
func (r *reading) assets(band canon.Allocation) []canon.AssetID {
	if band.Asset != "" {
		return []canon.AssetID{band.Asset}
	}
	var out []canon.AssetID
	for _, a := range r.c.Genesis().Assets {
		out = append(out, a.ID)
	}
	return out
}

// require notes what is missing to judge a band.
func (r *reading) require(band canon.Allocation, missing *MissingError) {
	missing.Needed = r.needed
	for _, asset := range r.assets(band) {
		if r.wallets[asset.Chain()] && !r.stated[asset.Chain()] {
			missing.chain(asset.Chain())
			continue
		}
		if band.Asset != "" {
			continue
		}
		for _, tier := range tiers {
			if _, ok := r.worth(band.Currency, asset, r.at(asset, tier).most); !ok {
				missing.price(asset, band.Currency)
			}
		}
	}
}

// worth values an amount by the highest of the prices. Nothing is worth nothing at any price: an asset that nobody holds needs none.
func (r *reading) worth(currency canon.Currency, asset canon.AssetID, amount *big.Int) (*big.Int, bool) {
	if amount.Sign() == 0 {
		return new(big.Int), true
	}
	return money.Worth(r.c, r.prices, currency, asset, amount)
}

// leastWorth values an amount by the lowest of the prices.
func (r *reading) leastWorth(currency canon.Currency, asset canon.AssetID, amount *big.Int) (*big.Int, bool) {
	if amount.Sign() == 0 {
		return new(big.Int), true
	}
	return money.LeastWorth(r.c, r.prices, currency, asset, amount)
}

var tiers = []canon.Tier{canon.Hot, canon.Warm, canon.Cold}

// spread is how what a band is about lies in the tiers, in base units of its asset or in millionths of its currency's unit.
type spread struct {
	tier [canon.Cold + 1]*big.Int
}

// spread reads a band for which nothing is missing: tiers within it at their most and by the highest prices, those outside at their least and by the
// lowest.
func (r *reading) spread(band canon.Allocation) spread {
	var s spread
	for _, tier := range tiers {
		s.tier[tier] = new(big.Int)
		for _, asset := range r.assets(band) {
			n, worth := r.at(asset, tier).least, r.leastWorth
			if tier <= band.Tier {
				n, worth = r.at(asset, tier).most, r.worth
			}
			if band.Asset == "" {
				n, _ = worth(band.Currency, asset, n)
			}
			if n != nil {
				s.tier[tier].Add(s.tier[tier], n)
			}
		}
	}
	return s
}

// within returns what lies within a band, and all.
func (s spread) within(band canon.Tier) (near, all *big.Int) {
	near, all = new(big.Int), new(big.Int)
	for _, tier := range tiers {
		if tier <= band {
			near.Add(near, s.tier[tier])
		}
		all.Add(all, s.tier[tier])
	}
	return near, all
}

// keeps reports whether near is at most the permill of all.
func keeps(near, all *big.Int, permill uint64) bool {
	have := new(big.Int).Mul(near, big.NewInt(1000))
	return have.Cmp(new(big.Int).Mul(all, new(big.Int).SetUint64(permill))) <= 0
}

// permill returns the share in thousandths, rounded up, so that a share is above a band iff its number is; 0 of nothing.
func permill(near, all *big.Int) uint64 {
	if all.Sign() == 0 {
		return 0
	}
	n := new(big.Int).Mul(near, big.NewInt(1000))
	n.Add(n, new(big.Int).Sub(all, big.NewInt(1)))
	return n.Div(n, all).Uint64()
}

// holds reports whether a band's share is at most permill.
func (r *reading) holds(band canon.Allocation, permill uint64) bool {
	near, all := r.spread(band).within(band.Tier)
	return keeps(near, all, permill)
}
