package chain

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"pgregory.net/rapid"
)

// branch is a BlockSource over blocks in memory; blocks that left it stay known unless forgetful.
type branch struct {
	blocks    []*wire.MsgBlock
	known     map[chainhash.Hash]*wire.MsgBlock
	forgetful bool
	nonce     uint32
}

func newBranch(n int) *branch {
	c := &branch{known: map[chainhash.Hash]*wire.MsgBlock{}}
	c.grow(n)
	return c
}

func (c *branch) grow(n int) {
	for range n {
		c.nonce++
		b := &wire.MsgBlock{Header: wire.BlockHeader{Nonce: c.nonce}}
		if len(c.blocks) > 0 {
			b.Header.PrevBlock = c.blocks[len(c.blocks)-1].BlockHash()
		}
		c.blocks, c.known[b.BlockHash()] = append(c.blocks, b), b
	}
}

func (c *branch) drop(n int) { c.blocks = c.blocks[:len(c.blocks)-n] }

func (c *branch) Tip(ctx context.Context) (Block, error) {
	h, err := c.HashAt(ctx, int64(len(c.blocks)-1))
	return Block{Height: int64(len(c.blocks) - 1), Hash: h}, err
}

func (c *branch) HashAt(_ context.Context, height int64) (chainhash.Hash, error) {
	if height < 0 || height >= int64(len(c.blocks)) {
		return chainhash.Hash{}, ErrNotFound
	}
	return c.blocks[height].BlockHash(), nil
}

func (c *branch) Parent(_ context.Context, hash chainhash.Hash) (chainhash.Hash, error) {
	b, ok := c.known[hash]
	if !ok || c.forgetful {
		return chainhash.Hash{}, ErrNotFound
	}
	return b.Header.PrevBlock, nil
}

func (c *branch) BlockAt(ctx context.Context, height int64) (*wire.MsgBlock, chainhash.Hash, error) {
	h, err := c.HashAt(ctx, height)
	if err != nil {
		return nil, h, err
	}
	return c.blocks[height], h, nil
}

// stack is a Sink that checks the order of the calls and remembers the hashes it was given.
type stack struct {
	first  int64
	hashes []chainhash.Hash
	fail   error
}

func (s *stack) Connect(_ context.Context, b Block, block *wire.MsgBlock) error {
	if s.fail != nil {
		return s.fail
	}
	if len(s.hashes) > 0 && (block.Header.PrevBlock != s.hashes[len(s.hashes)-1] || b.Height != s.first+int64(len(s.hashes))) {
		return fmt.Errorf("block %d does not follow", b.Height)
	}
	if b.Hash != block.BlockHash() {
		return errors.New("hash of another block")
	}
	s.hashes = append(s.hashes, b.Hash)
	return nil
}

func (s *stack) Disconnect(_ context.Context, b, parent Block) error {
	n := len(s.hashes)
	if n == 0 || s.hashes[n-1] != b.Hash || parent.Height != b.Height-1 || n > 1 && s.hashes[n-2] != parent.Hash {
		return fmt.Errorf("block %d is not the last one connected", b.Height)
	}
	s.hashes = s.hashes[:n-1]
	return nil
}

// remembering is a stack that offers Ancestry.
type remembering struct{ stack }

func (s *remembering) ConnectedHash(_ context.Context, height int64) (chainhash.Hash, bool, error) {
	if i := height - s.first; i >= 0 && i < int64(len(s.hashes)) {
		return s.hashes[i], true, nil
	}
	return chainhash.Hash{}, false, nil
}

// Whatever the chain does between calls, the sink ends with exactly the best chain, unless the node is behind it.
func TestFollowEndsWithTheBestChain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, s := newBranch(rapid.IntRange(1, 5).Draw(t, "length")), &stack{}
		var cursor Block
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			drop := rapid.IntRange(0, len(c.blocks)-1).Draw(t, "drop")
			c.drop(drop)
			c.grow(rapid.IntRange(0, 5).Draw(t, "grow"))
			next, err := Follow(context.Background(), c, cursor, s)
			if errors.Is(err, ErrBehind) {
				if len(c.blocks) >= len(s.hashes) {
					t.Fatalf("ErrBehind with %d blocks against %d", len(c.blocks), len(s.hashes))
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			cursor = next
			tip, err := c.Tip(context.Background())
			if err != nil || cursor != tip || len(s.hashes) != len(c.blocks) || s.hashes[len(s.hashes)-1] != tip.Hash {
				t.Fatalf("cursor %v, tip %v, %d blocks connected; expected the tip", cursor, tip, len(s.hashes))
			}
		}
	})
}

func TestFollowOnANodeThatForgotTheStaleBlocks(t *testing.T) {
	c := newBranch(5)
	plain, with := &stack{}, &remembering{}
	cursor, err := Follow(t.Context(), c, Block{}, plain)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Follow(t.Context(), c, Block{}, with); err != nil {
		t.Fatal(err)
	}
	c.drop(3)
	c.grow(4)
	c.forgetful = true
	if _, err := Follow(t.Context(), c, cursor, plain); !errors.Is(err, ErrNotFound) {
		t.Errorf("without a record of its own: %v; expected ErrNotFound", err)
	}
	if got, err := Follow(t.Context(), c, cursor, with); err != nil || got.Height != 5 {
		t.Errorf("with a record of its own: %v, %v; expected height 5", got, err)
	}
}

func TestFollowStopsAtADeepReorganisation(t *testing.T) {
	c, s := newBranch(maxReorg+2), &stack{}
	cursor, err := Follow(t.Context(), c, Block{}, s)
	if err != nil {
		t.Fatal(err)
	}
	c.drop(maxReorg + 1)
	c.grow(maxReorg + 5)
	if _, err := Follow(t.Context(), c, cursor, s); !errors.Is(err, ErrDeepReorg) || len(s.hashes) != maxReorg+2 {
		t.Errorf("%v with %d blocks left; expected ErrDeepReorg and nothing disconnected", err, len(s.hashes))
	}
}

func TestFollowReturnsTheCursorReachedWithTheSinksError(t *testing.T) {
	c, s := newBranch(3), &stack{}
	cursor, err := Follow(t.Context(), c, Block{}, s)
	if err != nil {
		t.Fatal(err)
	}
	c.grow(1)
	s.fail = errors.New("disk full")
	if got, err := Follow(t.Context(), c, cursor, s); !errors.Is(err, s.fail) || got != cursor {
		t.Errorf("%v, %v; expected the sink's error and the cursor unchanged", got, err)
	}
}
