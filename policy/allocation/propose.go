package allocation

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

// Source is what one account can move out of a wallet.
type Source struct {
	Wallet    canon.Name
	Account   canon.Name
	Asset     canon.AssetID
	Available *big.Int // base units that are not set aside for anything
	Fee       *big.Int // most that a move of it may cost, in base units of the chain's coin; for the coin itself it comes out of Available
	Least     *big.Int // smallest amount worth moving, at least the chain's dust
}

// Move is a proposal to move an amount between wallets of one account.
type Move struct {
	Kind    Kind
	Account canon.Name
	Client  canon.Name
	Asset   canon.AssetID
	From    canon.Name
	To      canon.Name
	Amount  *big.Int
	Fee     *big.Int
	Reason  string
}

// Kind tells sweeps from refills.
type Kind string

// Kinds of move.
const (
	Sweep  Kind = "sweep"  // to a colder tier
	Refill Kind = "refill" // to a hotter one
)

// planner holds what is left of the sources and how assets lie after the moves so far.
type planner struct {
	c     *charter.Charter
	now   *reading
	left  []Source
	moves []Move
}

// Propose returns moves that bring every band with a target to it: sweeps where the share is above the band, or with eager above the target, and
// refills where it is below the band's least. Refills are of one asset, since all assets together say nothing about which of them is short; a refill
// never goes further than every band lets it. Bands for which statements are missing, and assets of which no source is known, are left out. The
// largest sources move first; the same arguments give the same moves, in the same order. After each move, in that order and with its whole fee or
// none of it, Check lets the next one through.
func Propose(c *charter.Charter, balances []canon.Balances, prices []canon.Price, sources []Source, eager bool) []Move {
	p := &planner{c: c, now: read(c, balances, prices)}
	for _, s := range sources {
		s.Available, s.Fee, s.Least = orZero(s.Available), orZero(s.Fee), orZero(s.Least)
		p.left = append(p.left, s)
	}
	for _, band := range bandsInOrder(c) {
		var missing MissingError
		if p.now.require(band, &missing); missing.err() != nil || band.TargetPermill == 0 {
			continue
		}
		near, all := p.now.spread(band).within(band.Tier)
		switch {
		case !keeps(near, all, band.MaxPermill), eager && !keeps(near, all, band.TargetPermill):
			p.sweep(band, near, all)
		case band.Asset != "" && all.Sign() > 0 && permill(near, all) < band.MinPermill:
			p.refill(band, near, all)
		}
	}
	return p.moves
}

func orZero(n *big.Int) *big.Int {
	if n == nil {
		return new(big.Int)
	}
	return new(big.Int).Set(n)
}

// bandsInOrder returns bands of one asset before those of all, and hotter tiers before colder ones.
func bandsInOrder(c *charter.Charter) []canon.Allocation {
	out := slices.Clone(c.Genesis().Allocation)
	slices.SortStableFunc(out, func(a, b canon.Allocation) int {
		return cmp.Or(compareBool(a.Asset == "", b.Asset == ""), cmp.Compare(a.Tier, b.Tier))
	})
	return out
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// candidate is a source with the wallet that it would move to.
type candidate struct {
	source int
	from   canon.Wallet
	to     canon.Wallet
	size   *big.Int // for the order: base units, or value where the band is about all assets
}

// sweep moves assets out of a band until its share is at the target: the coldest of the wallets within it first, of those the largest source.
func (p *planner) sweep(band canon.Allocation, near, all *big.Int) {
	reason := fmt.Sprintf("%s: %s of the holdings, at most %s, target %s", Subject(p.c, band), shownShare(permill(near, all)), shownShare(band.MaxPermill), shownShare(band.TargetPermill))
	for _, x := range p.candidates(band, func(w canon.Wallet) bool { return w.Tier <= band.Tier }, func(w canon.Wallet) bool { return w.Tier > band.Tier }) {
		if p.now.holds(band, band.TargetPermill) {
			return
		}
		s := p.left[x.source]
		most := movable(p.c, s)
		enough := func(n *big.Int) bool { return p.after(s, x, n).holds(band, band.TargetPermill) }
		amount := smallest(s.Least, most, enough)
		if amount == nil {
			amount = most // all of it is not enough; the next source goes on
		}
		p.add(Sweep, x, amount, reason)
	}
}

// refill moves assets of a band towards the network until its share is at the target, from the hottest of the wallets outside it, of those from
// the largest source, and as far as every band still holds.
func (p *planner) refill(band canon.Allocation, near, all *big.Int) {
	reason := fmt.Sprintf("%s: %s of the holdings, at least %s, target %s", Subject(p.c, band), shownShare(permill(near, all)), shownShare(band.MinPermill), shownShare(band.TargetPermill))
	for _, x := range p.candidates(band, func(w canon.Wallet) bool { return w.Tier > band.Tier }, func(w canon.Wallet) bool { return w.Tier <= band.Tier }) {
		s := p.left[x.source]
		fits := func(n *big.Int) bool {
			after := p.after(s, x, n)
			return after.holds(band, band.TargetPermill) && p.allHold(x, after)
		}
		amount := largest(s.Least, movable(p.c, s), fits)
		if amount == nil {
			continue
		}
		p.add(Refill, x, amount, reason)
	}
}

// allHold reports whether every band that the move concerns holds, as Check asks.
func (p *planner) allHold(x candidate, after *reading) bool {
	for _, band := range p.c.Genesis().Allocation {
		if x.from.Tier <= band.Tier || x.to.Tier > band.Tier || band.Asset != "" && band.Asset != p.left[x.source].Asset {
			continue
		}
		var missing MissingError
		if after.require(band, &missing); missing.err() != nil || !after.holds(band, band.MaxPermill) {
			return false
		}
	}
	return true
}

// candidates returns the sources in wallets of one side of a band that have a wallet for the same account on the other side. A sweep goes to the coldest
// such wallet, a refill to the one nearest to the band's edge; both leave from the wallets nearest to that edge first.
func (p *planner) candidates(band canon.Allocation, from, to func(canon.Wallet) bool) []candidate {
	var out []candidate
	for i, s := range p.left {
		w, ok := p.c.Wallet(s.Wallet)
		if !ok || !ClientWallet(p.c, w) || !from(w) || s.Asset.Chain() != w.Chain || band.Asset != "" && band.Asset != s.Asset {
			continue
		}
		target, ok := p.target(w, s.Account, to, w.Tier <= band.Tier)
		size, priced := s.Available, true
		if band.Asset == "" {
			size, priced = p.now.worth(band.Currency, s.Asset, s.Available)
		}
		if ok && priced {
			out = append(out, candidate{source: i, from: w, to: target, size: size})
		}
	}
	slices.SortStableFunc(out, func(a, b candidate) int {
		x, y := p.left[a.source], p.left[b.source]
		return cmp.Or(distance(a.from, band)-distance(b.from, band), b.size.Cmp(a.size),
			cmp.Compare(x.Wallet, y.Wallet), cmp.Compare(x.Account, y.Account), cmp.Compare(x.Asset, y.Asset))
	})
	return out
}

// distance is how many tiers lie between a wallet and the edge of a band.
func distance(w canon.Wallet, band canon.Allocation) int {
	if w.Tier <= band.Tier {
		return int(band.Tier - w.Tier)
	}
	return int(w.Tier - band.Tier)
}

// target returns the wallet on the same chain that holds the account and lies farthest from the one that pays, or nearest to it; of several the
// charter's first.
func (p *planner) target(from canon.Wallet, account canon.Name, to func(canon.Wallet) bool, farthest bool) (canon.Wallet, bool) {
	var best canon.Wallet
	found := false
	for _, w := range p.c.Genesis().Wallets {
		if w.Chain != from.Chain || !to(w) || !ClientWallet(p.c, w) || !slices.Contains(w.Accounts, account) {
			continue
		}
		if further := span(from, w) - span(from, best); !found || farthest && further > 0 || !farthest && further < 0 {
			best, found = w, true
		}
	}
	return best, found
}

func span(a, b canon.Wallet) int {
	return max(int(a.Tier), int(b.Tier)) - min(int(a.Tier), int(b.Tier))
}

// movable returns what a source can move at most: of the coin what the fee leaves.
func movable(c *charter.Charter, s Source) *big.Int {
	if coin, ok := c.NativeAsset(s.Asset.Chain()); ok && coin.ID == s.Asset {
		return less(s.Available, s.Fee)
	}
	return s.Available
}

// after returns the reading as it is in the worst case when n of a source has moved: without the fee if it leaves from within the band, since what
// the fee takes away there makes the share look better, and with all of it if it leaves from outside.
func (p *planner) after(s Source, x candidate, n *big.Int) *reading {
	out := p.now.clone()
	out.move(s.Asset, n, x.from.Tier, x.to.Tier)
	if coin, ok := p.c.NativeAsset(s.Asset.Chain()); ok && x.from.Tier > x.to.Tier {
		out.move(coin.ID, s.Fee, x.from.Tier, outside)
	}
	return out
}

// add proposes a move and goes on from where it leads. Amounts below what is worth moving are left.
func (p *planner) add(kind Kind, x candidate, amount *big.Int, reason string) {
	s := &p.left[x.source]
	if amount.Sign() == 0 || amount.Cmp(s.Least) < 0 {
		return
	}
	account, _ := p.c.Account(s.Account)
	p.moves = append(p.moves, Move{
		Kind: kind, Account: s.Account, Client: account.Client, Asset: s.Asset, From: x.from.Name, To: x.to.Name,
		Amount: new(big.Int).Set(amount), Fee: new(big.Int).Set(s.Fee), Reason: reason,
	})
	p.now = p.after(*s, x, amount)
	s.Available = less(s.Available, amount)
	coin, _ := p.c.NativeAsset(s.Asset.Chain())
	for i := range p.left {
		if payer := &p.left[i]; payer.Wallet == s.Wallet && payer.Account == s.Account && payer.Asset == coin.ID {
			payer.Available = less(payer.Available, s.Fee)
		}
	}
}

// smallest returns the smallest n from least to most for which enough, which stays true from some n on, is true; nil if there is none.
func smallest(least, most *big.Int, enough func(*big.Int) bool) *big.Int {
	if least.Cmp(most) > 0 || !enough(most) {
		return nil
	}
	low, high := new(big.Int).Set(least), new(big.Int).Set(most)
	for low.Cmp(high) < 0 {
		middle := new(big.Int).Add(low, high)
		if middle.Rsh(middle, 1); enough(middle) {
			high = middle
		} else {
			low = middle.Add(middle, big.NewInt(1))
		}
	}
	return high
}

// largest returns the largest n from least to most for which fits, which stays false from some n on, is true; nil if there is none.
func largest(least, most *big.Int, fits func(*big.Int) bool) *big.Int {
	if least.Cmp(most) > 0 || !fits(least) {
		return nil
	}
	low, high := new(big.Int).Set(least), new(big.Int).Set(most)
	for low.Cmp(high) < 0 {
		middle := new(big.Int).Add(low, high)
		middle.Add(middle, big.NewInt(1))
		if middle.Rsh(middle, 1); fits(middle) {
			low = middle
		} else {
			high = middle.Sub(middle, big.NewInt(1))
		}
	}
	return low
}
