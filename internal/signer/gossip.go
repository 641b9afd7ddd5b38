package signer

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

const (
	// exchangeTimeout bounds a call to a peer, with the wait for one that comes back.
	exchangeTimeout = 10 * time.Second
	// maxWaiting bounds the statements that wait to be passed on to one peer. What does not fit, the peer fetches.
	maxWaiting = 1024
	// maxFetched bounds the statements that one comparison fetches. The next goes on where it ended, so that statements which this
	// signer refuses for good keep no others away.
	maxFetched = 4 * maxPage
)

// gossip passes statements on to the peers at once, and fetches from each, now and then, what this signer lacks. A peer that is slow
// or lies delays nothing but its own part.
type gossip struct {
	signer     *Signer
	neighbours []*neighbour
	cancel     context.CancelFunc
	running    sync.WaitGroup

	mu    sync.Mutex
	turns map[canon.Name]chan struct{} // of calls to this signer
}

// neighbour is a peer as gossip sees it.
type neighbour struct {
	name    canon.Name
	client  strongroomv1.PeerServiceClient
	waiting chan canon.Signed
	after   canon.Digest // where the next comparison begins
}

func newGossip(s *Signer) *gossip {
	ctx, cancel := context.WithCancel(context.Background())
	g := &gossip{signer: s, cancel: cancel, turns: make(map[canon.Name]chan struct{})}
	for name, conn := range s.peers.connections {
		n := &neighbour{name: canon.Name(name), client: strongroomv1.NewPeerServiceClient(conn), waiting: make(chan canon.Signed, maxWaiting)}
		g.neighbours = append(g.neighbours, n)
		g.running.Go(func() { g.pass(ctx, n) })
		g.running.Go(func() { g.compareEver(ctx, n) })
	}
	return g
}

func (g *gossip) close() {
	g.cancel()
	g.running.Wait()
}

// turn waits until no other call of the peer is at work.
func (g *gossip) turn(ctx context.Context, peer canon.Name) (done func(), err error) {
	g.mu.Lock()
	turn, ok := g.turns[peer]
	if !ok {
		turn = make(chan struct{}, 1)
		g.turns[peer] = turn
	}
	g.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// spread queues a statement for every peer but the one that brought it. It never waits.
func (g *gossip) spread(signed canon.Signed, from canon.Name) {
	for _, n := range g.neighbours {
		if n.name == from {
			continue
		}
		select {
		case n.waiting <- signed:
		default:
			g.signer.config.Log.Warn("statement left for the peer to fetch", slog.String("peer", string(n.name)), slog.Int("waiting", maxWaiting))
		}
	}
}

// pass brings a peer what waits for it, as much in one call as there is.
func (g *gossip) pass(ctx context.Context, n *neighbour) {
	for {
		var request strongroomv1.ShareStatementsRequest
		select {
		case <-ctx.Done():
			return
		case signed := <-n.waiting:
			request.Statements = append(request.Statements, wireSigned(signed))
		}
		for more := true; more && len(request.GetStatements()) < maxPage; {
			select {
			case signed := <-n.waiting:
				request.Statements = append(request.Statements, wireSigned(signed))
			default:
				more = false
			}
		}
		if err := g.share(ctx, n, &request); err != nil && ctx.Err() == nil {
			g.signer.config.Log.WarnContext(ctx, "statements not passed on", slog.String("peer", string(n.name)), slog.String("error", err.Error()))
		}
	}
}

func (g *gossip) share(ctx context.Context, n *neighbour, request *strongroomv1.ShareStatementsRequest) error {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	_, err := n.client.ShareStatements(ctx, request, grpc.WaitForReady(true))
	return err
}

// compareEver compares with the peer at once, and then from time to time, not in step with others.
func (g *gossip) compareEver(ctx context.Context, n *neighbour) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if err := g.compare(ctx, n); err != nil && ctx.Err() == nil {
			g.signer.config.Log.InfoContext(ctx, "statements not compared", slog.String("peer", string(n.name)), slog.String("error", err.Error()))
		}
		every := g.signer.config.Gossip
		timer.Reset(every*3/4 + rand.N(every/2+1))
	}
}

// compare fetches what the peer has and this signer lacks.
func (g *gossip) compare(ctx context.Context, n *neighbour) error {
	for fetched := 0; fetched < maxFetched; {
		set, err := g.set()
		if err != nil {
			return err
		}
		answer, err := g.ask(ctx, n, set)
		if err != nil {
			return err
		}
		lacking, last, err := g.lacking(n.after, answer, maxFetched-fetched)
		if err != nil {
			return err
		}
		if err := g.fetch(ctx, n, lacking); err != nil {
			return err
		}
		fetched += len(lacking)
		// Where the list ends, or gives nothing, the next comparison begins at the start.
		if n.after = last; last.IsZero() {
			return nil
		}
	}
	return nil
}

func (g *gossip) set() (set canon.Digest, err error) {
	err = g.signer.config.Ledger.Read(func(x *ledger.Index) error { set = x.Set().Digest(); return nil })
	return set, err
}

func (g *gossip) ask(ctx context.Context, n *neighbour, set canon.Digest) (*strongroomv1.CompareStatementsResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	request := &strongroomv1.CompareStatementsRequest{Set: set[:]}
	if !n.after.IsZero() {
		request.After = n.after[:]
	}
	return n.client.CompareStatements(ctx, request, grpc.WaitForReady(true))
}

// lacking picks up to most digests out of an answer that this signer has no statement of, and says where to go on; zero means that the
// list is at its end.
func (g *gossip) lacking(after canon.Digest, answer *strongroomv1.CompareStatementsResponse, most int) (lacking []canon.Digest, last canon.Digest, err error) {
	if n := len(answer.GetStatements()); n > maxCompared {
		return nil, last, fmt.Errorf("signer: statements: expected at most %d, found %d", maxCompared, n)
	}
	for i, b := range answer.GetStatements() {
		id, err := digestOf("statements", b)
		if err != nil {
			return nil, last, err
		}
		if bytes.Compare(id[:], after[:]) <= 0 {
			return nil, last, fmt.Errorf("signer: statements[%d]: expected one after %s, found %s", i, after, id)
		}
		if after = id; g.signer.knows(id) {
			continue
		}
		if lacking = append(lacking, id); len(lacking) == most {
			return lacking, id, nil
		}
	}
	if answer.GetMore() && len(answer.GetStatements()) > 0 {
		last = after
	}
	return lacking, last, nil
}

// fetch gets statements and records them. Those that are refused are the peer's affair or an old key's, and no reason to stop.
func (g *gossip) fetch(ctx context.Context, n *neighbour, ids []canon.Digest) error {
	for len(ids) > 0 {
		batch := ids[:min(len(ids), maxPage)]
		ids = ids[len(batch):]
		statements, err := g.fetchBatch(ctx, n, batch)
		if err != nil {
			return err
		}
		if _, err := g.signer.receive(ctx, n.name, statements); err != nil {
			g.signer.logRefused(ctx, n.name, err)
		}
	}
	return nil
}

func (g *gossip) fetchBatch(ctx context.Context, n *neighbour, ids []canon.Digest) ([]*strongroomv1.Signed, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	request := &strongroomv1.FetchStatementsRequest{}
	for _, id := range ids {
		request.Statements = append(request.Statements, id[:])
	}
	answer, err := n.client.FetchStatements(ctx, request, grpc.WaitForReady(true))
	if err != nil {
		return nil, err
	}
	if len(answer.GetStatements()) > len(ids) {
		return nil, fmt.Errorf("signer: statements: expected at most the %d asked for, found %d", len(ids), len(answer.GetStatements()))
	}
	return answer.GetStatements(), nil
}
