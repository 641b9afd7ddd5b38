package coordinator

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/chain"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// Signer is a connection to a signer of the charter.
type Signer struct {
	Client   strongroomv1.SignerServiceClient
	Charters strongroomv1.CharterServiceClient
	Books    strongroomv1.BookServiceClient
	// Wake makes a connection that waits before it tries again try at once. May be nil.
	Wake func()
}

// BitcoinNode is a Bitcoin chain that the service uses.
type BitcoinNode struct {
	Node         chain.Bitcoin
	StartHeight  int64 // first block that can pay the organisation
	TargetBlocks int   // for the fee estimate
}

// Parts is everything that a Service is made of.
type Parts struct {
	Charters *amendment.Chain // as OpenCharters gives it: what is in force at the start
	Genesis  []byte           // encoding of the first charter
	Books    *Books           // as OpenBooks gives it
	Store    store.Store
	// Connect returns a connection to a signer of the charter, which its identity there proves, or an error if the configuration has
	// no address for it. It does not wait for an answer.
	Connect func(canon.Signer) (Signer, error)
	Bitcoin map[canon.ChainID]BitcoinNode
	EVM     map[canon.ChainID]chain.EVM
	// Authorities are connections to the outside authorities that the charter names, as far as the configuration has an address for them. They
	// are trusted with nothing: every answer is verified by the key in the charter. May be nil.
	Authorities map[canon.Name]strongroomv1.AuthorityServiceClient
	// Pools returns the key pool of a digest, verified, as config.Pools finds it in a directory. A nil Pools has none: wallets with a pool wait.
	Pools func(canon.Digest) (*keyset.Pool, error)
	Key   ed25519.PrivateKey // signs checkpoints of the audit log; the charter names it as a coordinator's
	Log   *slog.Logger
	Now   func() time.Time
	// Parallel is how many withdrawals are worked on at the same time.
	Parallel int
	// Poll is how often chains and signers are asked for news.
	Poll time.Duration
	// KeepTravelData is how long after a withdrawal settled its travel-rule data is kept; 0 is for good.
	KeepTravelData time.Duration
	// CrashAt names the state or event after whose durable write the process kills itself; for tests, empty otherwise.
	CrashAt string
}

// Service is a coordinator. Its methods are safe for concurrent use.
type Service struct {
	Parts
	signers *signers
	keys    *keyring
	driver  *driver
	chains  map[canon.ChainID]*following
	current atomic.Pointer[amendment.Chain]
	heard   heard

	revocations *revocations
	inquiries   *inquiries
	unread      sync.Map // ids of rows that could not be read
	alarmed     sync.Map // what was logged as missing from wallets

	closing   chan struct{} // closed when Run ends
	closed    sync.Once
	allocated allocated

	issuing  sync.Mutex // one address at a time takes an index
	adopting sync.Mutex // one amendment at a time comes into force
	sealing  sync.Mutex // one checkpoint at a time
}

// New checks that the parts fit together, and reads which keys officers revoked.
func New(ctx context.Context, p Parts) (*Service, error) {
	if p.Charters == nil || p.Books == nil || p.Store == nil || p.Log == nil || p.Now == nil || p.Parallel < 1 || p.Poll <= 0 {
		return nil, errors.New("coordinator: expected all parts, found some missing")
	}
	if p.Connect == nil {
		return nil, errors.New("coordinator: signers: expected a way to connect to them, found none")
	}
	now := p.Charters.Current()
	g := now.Genesis()
	if found := canon.KindGenesis.Digest(p.Genesis); found != now.Organisation() {
		return nil, fmt.Errorf("coordinator: genesis: expected %s, found %s", now.Organisation(), found)
	}
	if _, ok := now.CoordinatorByKey(canon.PublicKey(p.Key.Public().(ed25519.PublicKey))); !ok {
		return nil, fmt.Errorf("coordinator: key: expected one that the charter names as a coordinator's, found %x", p.Key.Public())
	}
	s := &Service{Parts: p, closing: make(chan struct{}), chains: map[canon.ChainID]*following{}, heard: newHeard(), inquiries: newInquiries(),
		allocated: allocated{turn: make(chan struct{}, 1)}}
	s.current.Store(p.Charters)
	revoked, err := openRevocations(ctx, p.Store)
	if err != nil {
		return nil, err
	}
	s.revocations = revoked
	s.keys, s.signers = newKeyring(s.charter, p.Pools), newSigners(s.charter, p.Connect)
	s.driver = newDriver(p.Parallel, s.advance, p.Log)
	for _, c := range g.Chains {
		_, isBitcoin := p.Bitcoin[c.ID]
		_, isEVM := p.EVM[c.ID]
		if (c.Kind == canon.Bitcoin && !isBitcoin) || (c.Kind == canon.EVM && !isEVM) {
			return nil, fmt.Errorf("coordinator: chains: expected a node of %s, found none", c.ID)
		}
		s.chains[c.ID] = &following{chain: c}
	}
	s.changed(p.Charters)
	return s, nil
}

// Run works on withdrawals and follows the chains until ctx ends. Everything that was begun before is taken up again.
func (s *Service) Run(ctx context.Context) error {
	defer s.closed.Do(func() { close(s.closing) })
	defer s.inquiries.close()
	s.driver.start(ctx)
	defer s.driver.stop()
	open, err := s.unsettled(ctx)
	if err != nil {
		return err
	}
	for _, w := range open {
		s.driver.wake(w.ID)
	}
	var group sync.WaitGroup
	group.Go(func() { s.watchSigners(ctx) })
	group.Go(func() { s.watchCharters(ctx) })
	group.Go(func() { s.watchBooks(ctx) })
	group.Go(func() { s.watchAllocation(ctx) })
	group.Go(func() { s.forgetTravelData(ctx) })
	for _, f := range s.chains {
		group.Go(func() { s.watchChain(ctx, f) })
		group.Go(func() { s.watchAccounts(ctx, f) })
	}
	group.Wait()
	return ctx.Err()
}

// every calls work at once and then each interval until ctx ends.
func every(ctx context.Context, interval time.Duration, work func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		work()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (s *Service) now() canon.Time { return canon.TimeOf(s.Now()) }
