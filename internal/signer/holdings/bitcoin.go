package holdings

import (
	"cmp"
	"context"
	"fmt"
	"math/big"
	"sync/atomic"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/chain"
)

// gap is how far beyond the highest index in use addresses are watched: as far as signers let them lie ahead.
const gap = 100

// remembered is how many blocks can be undone: more than chain.Follow undoes.
const remembered = 128

// BitcoinNode is what a source needs of a node; *chain.BitcoinNode is one.
type BitcoinNode interface {
	chain.BlockSource
	Close()
}

// Bitcoin says what a Bitcoin chain shows.
type Bitcoin struct {
	Config
	dial  func(context.Context) (BitcoinNode, error)
	start int64

	turn chan struct{} // holds one for whoever reads the chain; the fields below are his
	node BitcoinNode
	last State

	watched map[string]place   // by script
	ahead   map[stretch]uint64 // first index that is not watched
	coins   map[wire.OutPoint]coin
	cursor  chain.Block
	undo    []connected // of the last blocks
	newest  chain.Block // whose time is newestAt
	// newestAt is the time in the block that was the node's last when it was read.
	newestAt canon.Time

	height atomic.Int64 // of the cursor
	ready  atomic.Bool  // everything was read once
}

// stretch is a branch with the keys of one pool: with another its addresses may be others.
type stretch struct {
	Branch
	pool string // digest, empty for none
}

type place struct {
	Branch
	index uint64
}

// coin is an output that nobody spent.
type coin struct {
	wallet canon.Name
	value  int64 // satoshi
}

// connected is what a block did.
type connected struct {
	chain.Block
	made  []wire.OutPoint
	spent map[wire.OutPoint]coin
}

// NewBitcoin returns a source that dials its node when it is first needed, and again until that works, and reads the blocks from start on.
func NewBitcoin(c Config, start int64, dial func(context.Context) (BitcoinNode, error)) *Bitcoin {
	c.StaleAfter = cmp.Or(c.StaleAfter, BitcoinStaleAfter)
	b := &Bitcoin{Config: c, dial: dial, start: start, turn: make(chan struct{}, 1), watched: map[string]place{}, ahead: map[stretch]uint64{}}
	b.rescan()
	return b
}

// rescan forgets what was read. Scripts stay watched.
func (b *Bitcoin) rescan() {
	b.coins, b.cursor, b.undo = map[wire.OutPoint]coin{}, chain.Block{Height: b.start}, nil
	b.height.Store(b.start)
	b.ready.Store(false)
}

// Close implements Source.
func (b *Bitcoin) Close() {
	b.turn <- struct{}{}
	defer func() { <-b.turn }()
	if b.node != nil {
		b.node.Close()
	}
}

// State implements Source. Before everything was read once it refuses at once, and where the node's last block is too old.
func (b *Bitcoin) State(ctx context.Context) (State, error) {
	if !b.ready.Load() {
		return State{}, refusal.New("balances", "chain", "a chain that was read to its end", fmt.Sprintf("one that is being read, at block %d", b.height.Load()))
	}
	if err := b.take(ctx); err != nil {
		return State{}, err
	}
	defer func() { <-b.turn }()
	if b.last.At != b.Now() {
		if err := b.read(ctx); err != nil {
			return State{}, err
		}
	}
	if err := b.fresh(b.last.At, b.newestAt); err != nil {
		return State{}, err
	}
	return b.last, nil
}

// Follow implements Source.
func (b *Bitcoin) Follow(ctx context.Context) error {
	if err := b.take(ctx); err != nil {
		return err
	}
	defer func() { <-b.turn }()
	return b.read(ctx)
}

func (b *Bitcoin) take(ctx context.Context) error {
	select {
	case b.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// read brings what is known up to the last block that is deep enough.
func (b *Bitcoin) read(ctx context.Context) (err error) {
	if b.node == nil {
		if b.node, err = b.dial(ctx); err != nil {
			b.node = nil // an interface around a nil pointer is not nil
			return err
		}
	}
	opened, now := b.Charter(), b.Now()
	named, ok := opened.Chain(b.Chain)
	coin, hasCoin := opened.NativeAsset(b.Chain)
	if !ok || !hasCoin {
		return refusal.New("balances", "chain", "a chain of the charter, with its coin", string(b.Chain))
	}
	if err := b.watchAll(opened); err != nil {
		return err
	}
	if b.cursor, err = chain.Follow(ctx, buried{b.node, int64(named.Depth)}, b.cursor, sink{b}); err != nil {
		return err
	}
	if b.cursor.Hash == (chainhash.Hash{}) {
		return refusal.New("balances", "chain", fmt.Sprintf("a chain of at least %d blocks", b.start+1), "a shorter one")
	}
	if err := b.date(ctx); err != nil {
		return err
	}
	b.last = State{Height: uint64(b.cursor.Height), Block: canon.Digest(b.cursor.Hash), At: now, Holdings: b.total(opened, coin.ID)}
	b.ready.Store(true)
	return nil
}

// date learns the time in the node's last block, unless it was read.
func (b *Bitcoin) date(ctx context.Context) error {
	tip, err := b.node.Tip(ctx)
	if err != nil || tip == b.newest {
		return err
	}
	block, hash, err := b.node.BlockAt(ctx, tip.Height)
	if err != nil {
		return err
	}
	b.dated(chain.Block{Height: tip.Height, Hash: hash}, block)
	return nil
}

func (b *Bitcoin) dated(at chain.Block, block *wire.MsgBlock) {
	b.newest, b.newestAt = at, canon.TimeOf(block.Header.Timestamp)
}

// total adds up the coins of the wallets that the charter names.
func (b *Bitcoin) total(opened *charter.Charter, asset canon.AssetID) []canon.Holding {
	total := sums{}
	for _, c := range b.coins {
		if _, named := opened.Wallet(c.wallet); named {
			total.add(c.wallet, asset, big.NewInt(c.value))
		}
	}
	return total.sorted()
}

// watchAll watches every branch of the charter in force up to gap beyond the highest index that the signer has seen. Where that index has an address and
// was not watched, blocks that paid it may have gone by, and everything is read again. That happens only to a signer that learns of many addresses
// at once, of an account after its addresses, or of another pool: what nobody attested to this signer is found when it starts the next time.
func (b *Bitcoin) watchAll(opened *charter.Charter) error {
	for _, branch := range b.branches(opened, wallets.BranchReceive, wallets.BranchChange) {
		highest := b.HighestIndex(branch)
		end, err := b.end(branch, uint64(highest+1)+gap)
		if err != nil {
			return err
		}
		wallet, _ := opened.Wallet(branch.Wallet)
		ahead := b.ahead[stretch{branch, string(wallet.Pool)}]
		if began := b.cursor.Hash != (chainhash.Hash{}); began && highest >= int64(ahead) && ahead < end {
			b.rescan()
		}
		if err := b.watch(opened, branch, end); err != nil {
			return err
		}
	}
	return nil
}

// watch derives the addresses of a branch below end, as far as it has any. What is watched of a former pool stays so.
func (b *Bitcoin) watch(opened *charter.Charter, branch Branch, end uint64) error {
	wallet, ok := opened.Wallet(branch.Wallet)
	if !ok {
		return nil // an amendment took it away: what is watched stays watched
	}
	end, err := b.end(branch, end)
	if err != nil {
		return err
	}
	at := stretch{branch, string(wallet.Pool)}
	for i := b.ahead[at]; i < end; i++ {
		script, err := b.Address(branch, i)
		if err != nil {
			return err
		}
		b.watched[string(script)] = place{branch, i}
		b.ahead[at] = i + 1
	}
	return nil
}

// buried is a node of which nothing is seen but the blocks that are deep enough.
type buried struct {
	chain.BlockSource
	depth int64
}

// Tip implements chain.BlockSource.
func (s buried) Tip(ctx context.Context) (chain.Block, error) {
	tip, err := s.BlockSource.Tip(ctx)
	if err != nil || s.depth == 1 {
		return tip, err
	}
	height := tip.Height - s.depth + 1
	if height < 0 {
		return chain.Block{}, refusal.New("balances", "chain", fmt.Sprintf("at least %d blocks", s.depth), fmt.Sprint(tip.Height+1))
	}
	hash, err := s.HashAt(ctx, height)
	return chain.Block{Height: height, Hash: hash}, err
}

// sink takes blocks in.
type sink struct{ *Bitcoin }

// Connect implements chain.Sink.
func (s sink) Connect(_ context.Context, b chain.Block, block *wire.MsgBlock) error {
	credits, debits, err := s.effects(b, block)
	if err != nil {
		return err
	}
	s.dated(b, block)
	did := connected{Block: b, spent: map[wire.OutPoint]coin{}}
	for _, c := range credits {
		if c.Value > 0 {
			did.made = append(did.made, c.OutPoint)
			s.coins[c.OutPoint] = coin{s.watched[string(c.PkScript)].Wallet, c.Value}
		}
	}
	for _, d := range debits {
		if c, ours := s.coins[d.OutPoint]; ours {
			did.spent[d.OutPoint] = c
			delete(s.coins, d.OutPoint)
		}
	}
	if s.undo = append(s.undo, did); len(s.undo) > remembered {
		s.undo = append([]connected(nil), s.undo[1:]...)
	}
	s.height.Store(b.Height)
	return nil
}

// effects reads a block until what is found in it lets no further addresses be watched.
func (s sink) effects(b chain.Block, block *wire.MsgBlock) ([]chain.Credit, []chain.Debit, error) {
	for {
		watched := len(s.watched)
		credits, debits := chain.Effects(block, b.Height, func(script []byte) bool { _, ok := s.watched[string(script)]; return ok })
		for _, c := range credits {
			p := s.watched[string(c.PkScript)]
			if err := s.watch(s.Charter(), p.Branch, p.index+1+gap); err != nil {
				return nil, nil, err
			}
		}
		if len(s.watched) == watched {
			return credits, debits, nil
		}
	}
}

// Disconnect implements chain.Sink.
func (s sink) Disconnect(_ context.Context, b, parent chain.Block) error {
	last := len(s.undo) - 1
	if last < 0 || s.undo[last].Block != b {
		return fmt.Errorf("holdings: expected block %d %s as the last one connected, found another", b.Height, b.Hash)
	}
	for op, c := range s.undo[last].spent {
		s.coins[op] = c
	}
	for _, op := range s.undo[last].made { // after those spent: a block may spend what it makes
		delete(s.coins, op)
	}
	s.undo = s.undo[:last]
	s.height.Store(parent.Height)
	return nil
}

// ConnectedHash implements chain.Ancestry.
func (s sink) ConnectedHash(_ context.Context, height int64) (chainhash.Hash, bool, error) {
	for _, c := range s.undo {
		if c.Height == height {
			return c.Hash, true, nil
		}
	}
	return chainhash.Hash{}, false, nil
}
