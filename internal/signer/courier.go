package signer

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

const (
	// maxEntriesWaiting bounds the entries, and the versions of the book, that wait to be passed on to one peer. What does not fit, the peer
	// fetches.
	maxEntriesWaiting = 16
	// maxFollowed bounds the questions of one comparison: an answer may be cut, and a peer may have much to tell.
	maxFollowed = 64
)

// couriers pass entries of the charter's chain and versions of the address book on to the peers at once, fetch from each, now and then,
// what this signer lacks, and enact what enough signers have held. A peer that is slow or lies delays nothing but its own part.
type couriers struct {
	signer  *Signer
	all     []*courier
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// courier goes to one peer.
type courier struct {
	name    canon.Name
	client  strongroomv1.CharterServiceClient
	books   strongroomv1.BookServiceClient
	waiting chan []byte // entries
	updates chan []byte // of the address book
	hurry   chan struct{}

	met   bool                  // the peer answered before
	base  canon.Digest          // the charter in force for which known is
	known map[canon.Digest]bool // proposals of the peer that were taken
}

// newCouriers makes couriers that do nothing before start.
func newCouriers(s *Signer) *couriers {
	cs := &couriers{signer: s}
	for name, conn := range s.peers.connections {
		cs.all = append(cs.all, &courier{name: canon.Name(name), client: strongroomv1.NewCharterServiceClient(conn), books: strongroomv1.NewBookServiceClient(conn),
			waiting: make(chan []byte, maxEntriesWaiting), updates: make(chan []byte, maxEntriesWaiting), hurry: make(chan struct{}, 1),
			known: map[canon.Digest]bool{}})
	}
	return cs
}

func (cs *couriers) start() {
	ctx, cancel := context.WithCancel(context.Background())
	cs.cancel = cancel
	for _, c := range cs.all {
		cs.running.Go(func() { cs.pass(ctx, c) })
		cs.running.Go(func() { cs.passBook(ctx, c) })
		cs.running.Go(func() { cs.compareEver(ctx, c) })
	}
}

func (cs *couriers) close() {
	cs.cancel()
	cs.running.Wait()
}

// spread queues an entry for every peer but the one that brought it. It never waits.
func (cs *couriers) spread(entry []byte, from canon.Name) {
	for _, c := range cs.all {
		if c.name == from {
			continue
		}
		select {
		case c.waiting <- entry:
		default:
			cs.signer.config.Log.Warn("charter entry left for the peer to fetch", slog.String("peer", string(c.name)))
		}
	}
}

// wake has the peer, or every peer, asked soon.
func (cs *couriers) wake(peer canon.Name) {
	for _, c := range cs.all {
		if peer == "" || c.name == peer {
			c.soon()
		}
	}
}

func (c *courier) soon() {
	select {
	case c.hurry <- struct{}{}:
	default:
	}
}

// pass brings a peer what waits for it, and asks it then what it has to say to that.
func (cs *couriers) pass(ctx context.Context, c *courier) {
	for {
		select {
		case <-ctx.Done():
			return
		case entry := <-c.waiting:
			if err := submit(ctx, c, entry); err != nil && ctx.Err() == nil {
				cs.signer.config.Log.InfoContext(ctx, "charter entry not taken", slog.String("peer", string(c.name)), slog.String("error", err.Error()))
			}
			c.soon()
		}
	}
}

func submit(ctx context.Context, c *courier, entry []byte) error {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	_, err := c.client.SubmitCharterEntry(ctx, &strongroomv1.SubmitCharterEntryRequest{Entry: entry}, grpc.WaitForReady(true))
	return err
}

// compareEver asks the peer at once, then from time to time, not in step with others, and when there is reason to.
func (cs *couriers) compareEver(ctx context.Context, c *courier) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-c.hurry:
		}
		if err := cs.compare(ctx, c); err != nil && ctx.Err() == nil {
			cs.signer.config.Log.InfoContext(ctx, "charters not compared", slog.String("peer", string(c.name)), slog.String("error", err.Error()))
		}
		// After the charter: who may sign a version of the book depends on it.
		if err := cs.compareBook(ctx, c); err != nil && ctx.Err() == nil {
			cs.signer.config.Log.InfoContext(ctx, "address books not compared", slog.String("peer", string(c.name)), slog.String("error", err.Error()))
		}
		cs.signer.enactHeld(ctx)
		cs.signer.tryJoin(ctx)
		every := cs.signer.config.Gossip
		timer.Reset(every*3/4 + rand.N(every/2+1))
	}
}

// compare follows what the peer has and this signer lacks: first what comes after the charter in force, then, where that leaves a gap,
// everything, for the peer may be on another branch.
func (cs *couriers) compare(ctx context.Context, c *courier) error {
	from := nextOf(cs.signer.chain())
	for range maxFollowed {
		answer, err := fetch(ctx, c, from)
		if err != nil {
			return err
		}
		head := fromWire(answer.GetHead())
		cs.signer.heed(ctx, cs.signer.chain(), c.name, head, !c.met)
		c.met = true
		news, unfit := cs.follow(ctx, c, answer.GetEnacted())
		cs.proposals(ctx, c, answer.GetProposals())
		chain := cs.signer.chain()
		cs.signer.heed(ctx, chain, c.name, head, false)
		_, forked := chain.Forked()
		switch {
		case news:
			from = nextOf(chain)
		case from > 0 && (unfit != nil || !forked && isMember(chain, c.name) && !knows(chain, head)):
			from = 0
		default:
			return unfit
		}
	}
	return nil
}

// nextOf is the number from which on something can be new: the next one, or that of a fork.
func nextOf(chain *amendment.Chain) uint64 {
	if fork, ok := chain.Forked(); ok {
		return fork.Number
	}
	return chain.Current().Number() + 1
}

func fetch(ctx context.Context, c *courier, from uint64) (*strongroomv1.GetCharterChainResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	return c.client.GetCharterChain(ctx, &strongroomv1.GetCharterChainRequest{FromNumber: from}, grpc.WaitForReady(true))
}

// follow takes what verifies, and returns the first reason for which something does not.
func (cs *couriers) follow(ctx context.Context, c *courier, entries [][]byte) (news bool, unfit error) {
	for _, e := range entries {
		fresh, err := cs.signer.enact(ctx, e, c.name)
		news = news || fresh
		if err != nil && unfit == nil {
			unfit = err
		}
	}
	return news, unfit
}

// isMember reports whether the peer is in the roster: the word of others on the charter in force is nobody's.
func isMember(chain *amendment.Chain, peer canon.Name) bool {
	member, _ := chain.Current().Signer(peer)
	return member.Ledger
}

// knows reports whether a peer's head is a charter that is or was in force here. A peer that sees a fork has no head.
func knows(chain *amendment.Chain, head canon.Signed) bool {
	h, err := chain.OpenHead(head)
	if err != nil {
		return false
	}
	c, ok := chain.Charter(h.Number)
	return ok && c.Digest() == h.Charter
}

// proposals records what the peer has of proposals, and collects its word on those that it held. What was taken once is not
// verified again under the same charter; what was refused may fit later.
func (cs *couriers) proposals(ctx context.Context, c *courier, all []*strongroomv1.PendingAmendment) {
	if now := cs.signer.charter().Digest(); now != c.base {
		c.base = now
		clear(c.known)
	}
	for i, p := range all {
		if i == maxFollowed {
			return
		}
		id := canon.KindCharterEntry.Digest(p.GetEntry())
		if !c.known[id] && len(c.known) < maxFollowed*maxFollowed {
			if err := cs.signer.propose(ctx, p.GetEntry(), c.name); err != nil {
				cs.signer.config.Log.InfoContext(ctx, "proposal not taken", slog.String("peer", string(c.name)), slog.String("error", err.Error()))
			} else {
				c.known[id] = true
			}
		}
		for _, signed := range p.GetHeld() {
			cs.signer.collect(c.name, p.GetDigest(), fromWire(signed))
		}
	}
}
