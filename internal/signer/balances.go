package signer

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/signer/holdings"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// BitcoinSource is this signer's own node of a Bitcoin chain.
type BitcoinSource struct {
	// Dial connects to the node, when it is first needed and again until that works.
	Dial func(context.Context) (holdings.BitcoinNode, error)
	// StartHeight is the first block that can pay the organisation.
	StartHeight int64
	// StaleAfter is how old the node's last block may be; see holdings.Config.
	StaleAfter time.Duration
}

// EVMSource is this signer's own node of an EVM chain; see BitcoinSource.
type EVMSource struct {
	Dial       func(context.Context) (holdings.EVMNode, error)
	StaleAfter time.Duration
}

// sources are what this signer knows of chains by itself.
type sources struct {
	chains  map[canon.ChainID]holdings.Source
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// newSources starts reading the chains that this signer has nodes of.
func newSources(s *Signer) *sources {
	ctx, cancel := context.WithCancel(context.Background())
	all := &sources{chains: map[canon.ChainID]holdings.Source{}, cancel: cancel}
	for id, node := range s.config.Bitcoin {
		all.chains[id] = holdings.NewBitcoin(s.holdingsOn(id, node.StaleAfter), node.StartHeight, node.Dial)
	}
	for id, node := range s.config.EVM {
		all.chains[id] = holdings.NewEVM(s.holdingsOn(id, node.StaleAfter), node.Dial)
	}
	for id, source := range all.chains {
		all.running.Go(func() { s.followEver(ctx, id, source) })
	}
	return all
}

func (a *sources) close() {
	a.cancel()
	a.running.Wait()
	for _, source := range a.chains {
		source.Close()
	}
}

func (s *Signer) holdingsOn(id canon.ChainID, staleAfter time.Duration) holdings.Config {
	return holdings.Config{
		Chain: id, Charter: s.charter, Now: s.now, Address: s.addressAt, Addresses: s.addressesOf, StaleAfter: staleAfter,
		HighestIndex: func(b holdings.Branch) int64 { return s.config.Ledger.HighestIndex(b.Wallet, b.Holder, b.Number) },
	}
}

// followEver reads a chain at once and then from time to time. What keeps it from that is logged when it changes.
func (s *Signer) followEver(ctx context.Context, id canon.ChainID, source holdings.Source) {
	ticker := time.NewTicker(s.config.Poll)
	defer ticker.Stop()
	last := ""
	for {
		found := ""
		if err := source.Follow(ctx); err != nil {
			found = err.Error()
		}
		if found != last && ctx.Err() == nil {
			s.config.Log.InfoContext(ctx, "own source of a chain", slog.String("chain", string(id)), slog.String("error", found))
			last = found
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// StateBalances says what this signer's own source of a chain shows of the charter's wallets. It is refused where there is no source, and as long
// as the source has not read the chain to its end or its node stands still; a node that does not answer makes it unavailable.
func (s *Signer) StateBalances(ctx context.Context, r *strongroomv1.StateBalancesRequest) (*strongroomv1.StateBalancesResponse, error) {
	if err := s.mayPromise(s.chain()); err != nil {
		return nil, err
	}
	c, id := s.charter(), canon.ChainID(r.GetChain())
	_, named := c.Chain(id)
	source, ok := s.sources.chains[id]
	if !named || !ok {
		return nil, refusal.New("balances", "chain", "a chain of the charter that this signer has a node of", fmt.Sprintf("%.70q", r.GetChain()))
	}
	state, err := source.State(ctx)
	if err != nil {
		if refusal.Of(err) == nil {
			err = status.Error(codes.Unavailable, err.Error())
		}
		return nil, err
	}
	signed, err := s.sign(canon.Balances{
		Organisation: c.Organisation(), Signer: s.config.Self, Chain: id, Height: state.Height, Block: state.Block, At: state.At, Holdings: state.Holdings,
	})
	if err != nil {
		return nil, err
	}
	return &strongroomv1.StateBalancesResponse{Balances: wireSigned(signed)}, nil
}
