package signer

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/mpc"
	"github.com/strongroom/strongroom/mpc/share"
	"github.com/strongroom/strongroom/mpc/transport"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// Defaults of Config.
const (
	DefaultSessions = 16              // protocol sessions at once
	DefaultGossip   = 5 * time.Second // between comparisons of statements, of charters and of address books
	DefaultPoll     = 5 * time.Second // between readings of a Bitcoin chain
)

// Config is everything a signer works with. The caller closes what it opened, after Close.
type Config struct {
	// Charter is the genesis charter, as OpenLedger got it. What amendments made of it the ledger knows.
	Charter *charter.Charter
	// Self is this signer's name in the charter.
	Self canon.Name
	// Identity is the Ed25519 key that the charter gives this signer.
	Identity crypto.Signer
	Shares   *share.Store
	Ledger   *ledger.Ledger
	// Peers holds the addresses, host and port, of the other signers, of those to come too. Whom the charter in force does not name is not
	// talked to.
	Peers map[canon.Name]string
	Log   *slog.Logger
	// Engine runs the protocols; nil means mpc.GG18.
	Engine mpc.Engine
	// Parameters makes pre-parameters for key generation; nil means mpc.GeneratePreParams.
	Parameters func(context.Context) (*share.PreParams, error)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Sessions bounds concurrent protocol sessions; 0 means DefaultSessions.
	Sessions int
	// Bitcoin and EVM are this signer's own nodes, by chain. It states balances on chains that it has a node of, and signs without any.
	Bitcoin map[canon.ChainID]BitcoinSource
	EVM     map[canon.ChainID]EVMSource
	// Poll is how often a Bitcoin chain is read; 0 means DefaultPoll.
	Poll time.Duration
	// Gossip is how often, give or take a quarter, statements, charters and address books are compared with each peer; 0 means DefaultGossip.
	Gossip time.Duration
	// Minimum is the number of a charter that a person typed: a new signer begins with that one or a later one; 0 and 1 mean any.
	Minimum uint64
	// Build is the SHA-256 of the executable that runs this signer. Where the charter in force lists builds and not this one, the signer
	// promises nothing. That is about what an honest operator runs by mistake: a program that was patched to say yes to everything gives
	// whatever digest it likes, and what it says takes a quorum of others.
	Build canon.Digest
	// Pools returns the pool of keys in tokens with the digest, which the charter names, as keyset.OpenPool verified it. It keeps what it read and
	// looks again for what was not there (keyset.ErrNoPool), so that the pool of an amendment needs no restart; nil means that there are none.
	Pools func(canon.Digest) (*keyset.Pool, error)
	// Devices are this signer's tokens, by the wallet that each signs for. A signer without one signs for no device.
	Devices map[canon.Name]Device
}

// Signer implements the services of a signer. Its methods are safe for concurrent use.
type Signer struct {
	strongroomv1.UnimplementedSignerServiceServer
	strongroomv1.UnimplementedOfficerServiceServer
	strongroomv1.UnimplementedPeerServiceServer
	strongroomv1.UnimplementedCharterServiceServer
	strongroomv1.UnimplementedBookServiceServer

	config     Config
	peers      *peers
	gossip     *gossip
	couriers   *couriers
	sources    *sources
	learning   *learning
	tokens     *tokens
	joining    joining
	missed     missed
	waiting    waiting
	held       certificates
	mux        *transport.Mux
	parameters *parameters
	health     *health.Server
	slots      chan struct{} // one for each running session

	keygen chan struct{} // holds one while a key is generated or confirmed

	mu     sync.RWMutex
	shares map[canon.Name]*share.Share
	meant  map[canon.Name]strongroomv1.KeyState
}

// New checks the configuration, loads the shares and starts making pre-parameters for keys that are still to be generated.
func New(ctx context.Context, c Config) (*Signer, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	shares, err := loadShares(ctx, c)
	if err != nil {
		return nil, err
	}
	s := &Signer{config: c, shares: shares, slots: make(chan struct{}, c.Sessions), health: health.NewServer()}
	s.keygen, s.meant = make(chan struct{}, 1), make(map[canon.Name]strongroomv1.KeyState)
	if s.peers, err = newPeers(c); err != nil {
		return nil, err
	}
	s.mux, err = transport.NewMux(transport.Config{
		Organisation: c.Charter.Organisation(), Self: string(c.Self), Identity: c.Identity, Key: s.identityOf, Sender: s.peers, Now: c.Now,
	})
	if err != nil {
		return nil, errors.Join(err, s.peers.close())
	}
	s.parameters = newParameters(c, s.keysToCome)
	s.health.SetServingStatus("", grpc_health_v1.HealthCheckResponse_SERVING)
	s.begin()
	s.gossip = newGossip(s)
	s.couriers = newCouriers(s)
	s.couriers.start()
	s.sources = newSources(s)
	s.learning = newLearning()
	s.learning.start(s)
	s.tokens = newTokens(s)
	return s, nil
}

// Drain reports not serving to whoever watches the health service. Call it before the server is stopped.
func (s *Signer) Drain() { s.health.Shutdown() }

// Close stops the background work, reports not serving and closes the connections to peers. Stop the server before.
func (s *Signer) Close() error {
	s.health.Shutdown()
	s.parameters.close()
	s.gossip.close()
	s.couriers.close()
	s.sources.close()
	s.learning.close()
	s.tokens.close()
	return s.peers.close()
}

func (c Config) withDefaults() Config {
	if c.Engine == nil {
		c.Engine = mpc.GG18{}
	}
	if c.Parameters == nil {
		c.Parameters = func(ctx context.Context) (*share.PreParams, error) {
			return mpc.GeneratePreParams(ctx, rand.Reader, nil)
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Sessions == 0 {
		c.Sessions = DefaultSessions
	}
	if c.Gossip == 0 {
		c.Gossip = DefaultGossip
	}
	if c.Poll == 0 {
		c.Poll = DefaultPoll
	}
	return c
}

func (c Config) check() error {
	if c.Charter == nil || c.Identity == nil || c.Shares == nil || c.Ledger == nil || c.Log == nil {
		return errors.New("signer: expected charter, identity, shares, ledger and log, found one missing")
	}
	chain := c.Ledger.Chain()
	if chain == nil || chain.Current().Organisation() != c.Charter.Organisation() {
		return errors.New("signer: ledger: expected one that follows the charter, found another")
	}
	public, ok := c.Identity.Public().(ed25519.PublicKey)
	if !ok {
		return fmt.Errorf("signer: identity: expected an Ed25519 key, found %T", c.Identity.Public())
	}
	self, ok := chain.Current().Signer(c.Self)
	// Only an amendment that a new signer has yet to fetch can name it.
	if fresh := !began(c.Ledger); !ok && (!fresh || c.Minimum <= chain.Current().Number()) {
		return fmt.Errorf("signer: name: expected a signer of the charter, found %q", c.Self)
	}
	if ok && canon.PublicKey(public) != self.Identity {
		return fmt.Errorf("signer: identity of %s: expected %s, as the charter says, found %x", c.Self, self.Identity, c.Identity.Public())
	}
	if c.Gossip < 0 {
		return fmt.Errorf("signer: gossip: expected a time above zero, found %s", c.Gossip)
	}
	if c.Poll < 0 {
		return fmt.Errorf("signer: poll: expected a time above zero, found %s", c.Poll)
	}
	for wallet, device := range c.Devices {
		if device.Token == nil {
			return fmt.Errorf("signer: devices: expected a token for wallet %q, found none", wallet)
		}
	}
	for name := range c.Peers {
		if err := name.Check(); err != nil || name == canon.Any || name == c.Self {
			return fmt.Errorf("signer: peers: expected names of other signers, found %q", name)
		}
	}
	return nil
}

// loadShares opens the share of every key of the charter that this signer holds already.
func loadShares(ctx context.Context, c Config) (map[canon.Name]*share.Share, error) {
	shares := make(map[canon.Name]*share.Share)
	for _, k := range c.Ledger.Chain().Current().Genesis().Keys {
		if !slices.Contains(k.Holders, c.Self) {
			continue
		}
		sh, err := c.Shares.LoadShare(ctx, string(k.ID), k.Epoch)
		if errors.Is(err, share.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("signer: %w", err)
		}
		if want := c.committee(k); sh.Threshold != want.Threshold || !slices.Equal(sh.Parties, want.Parties) {
			return nil, fmt.Errorf("signer: share of key %s: expected %d of %v, found %d of %v", k.ID, want.Threshold, want.Parties, sh.Threshold, sh.Parties)
		}
		shares[k.ID] = sh
	}
	return shares, nil
}

// committee is who makes the key.
func (c Config) committee(k canon.Key) share.Committee {
	parties := make([]string, len(k.Holders))
	for i, h := range k.Holders {
		parties[i] = string(h)
	}
	slices.Sort(parties)
	return share.Committee{
		Organisation: c.Charter.Organisation(), KeyID: string(k.ID), Epoch: k.Epoch, Threshold: int(k.Threshold), Parties: parties,
	}
}

func (s *Signer) identityOf(party string) (ed25519.PublicKey, bool) {
	signer, ok := s.charter().Signer(canon.Name(party))
	return signer.Identity[:], ok
}

// share returns the share of a key unless it may be about to be set aside.
func (s *Signer) share(key canon.Name) (*share.Share, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	sh, ok := s.shares[key]
	return sh, ok && s.meant[key] != stateLeaving
}

// sign puts this signer's identity under a document.
func (s *Signer) sign(d canon.Document) (canon.Signed, error) {
	b, err := canon.Encode(d)
	if err != nil {
		return canon.Signed{}, err
	}
	signature, err := s.config.Identity.Sign(rand.Reader, d.Kind().Message(b), crypto.Hash(0))
	if err != nil {
		return canon.Signed{}, fmt.Errorf("signer: identity: %w", err)
	}
	return canon.Signed{Document: b, Scheme: canon.Ed25519, Signature: signature}, nil
}

func wireSigned(s canon.Signed) *strongroomv1.Signed {
	return &strongroomv1.Signed{Document: s.Document, Scheme: uint32(s.Scheme), Signature: s.Signature}
}

func fromWire(s *strongroomv1.Signed) canon.Signed {
	// A scheme beyond the type's range would be cut off to another one: 0 is none.
	if s.GetScheme() > 255 {
		return canon.Signed{Document: s.GetDocument(), Signature: s.GetSignature()}
	}
	return canon.Signed{Document: s.GetDocument(), Scheme: canon.Scheme(s.GetScheme()), Signature: s.GetSignature()}
}
