package hostile

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/btcsuite/btcd/wire"
	"google.golang.org/grpc"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/chain"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// Config is what a compromised coordinator has, and the honest people whose signatures it misuses.
type Config struct {
	Charter *charter.Charter
	Book    *book.Tree
	TLS     tls.Certificate       // the coordinator's
	Signers map[canon.Name]string // addresses of the roster's signers, and of others whose tokens sign
	// Pool finds the lists of keys in tokens; nil where no wallet has one.
	Pool    func(canon.Digest) (*keyset.Pool, error)
	Bitcoin chain.Bitcoin
	EVM     chain.EVM
	Client  approval.Signer
	// Stating holds the keys of authorities and signers that state facts, and Desk is a treasury desk. Without them the attacks that need those
	// are left out.
	Stating map[canon.Name]ed25519.PrivateKey
	Desk    approval.Signer
	// Prices asks the authorities that the charter takes prices from; nil where it takes none.
	Prices func(context.Context) ([]canon.Signed, error)
	// Officers approve; there must be enough of them for the rule's quorum.
	Officers map[canon.Name]approval.Signer
	// Devices are TLS identities of some of these officers. One of them rejects an intent and tells the signers himself.
	Devices map[canon.Name]tls.Certificate
	// Avoid names coins that must not be touched, for example those that withdrawals on their way hold. May be nil.
	Avoid []wire.OutPoint
}

// Attack is what came of one attack.
type Attack struct {
	Name string
	// Refusals has for each signer that was asked the failure that names the altered field.
	Refusals map[canon.Name]refusal.Failure
	// Signed says that the honest transaction of this attack was signed, once. Run fails if anything else is.
	Signed bool
	// Broadcast is that transaction, handed to the chain's node. Nil where nothing was signed.
	Broadcast *Payment
}

// Payment is a signed transaction.
type Payment struct {
	TxID    string
	Raw     []byte
	Signers []canon.Name // that took part in its signature
	// Paper is the withdrawal that it pays.
	Paper *Paper
}

// Coordinator is a compromised coordinator.
type Coordinator struct {
	Builder
	config      Config
	names       []canon.Name // of the roster's signers, sorted
	signers     map[canon.Name]pb.SignerServiceClient
	connections []*grpc.ClientConn
	keys        map[canon.Name]guard.GroupKey
	attempts    uint64
}

// New connects to every signer and asks for the group keys, in which all must agree. Close ends the connections.
func New(ctx context.Context, config Config) (*Coordinator, error) {
	if err := config.check(); err != nil {
		return nil, fmt.Errorf("hostile coordinator: %w", err)
	}
	c := &Coordinator{
		config: config, signers: map[canon.Name]pb.SignerServiceClient{}, keys: map[canon.Name]guard.GroupKey{},
	}
	c.Builder = Builder{Charter: config.Charter, Book: config.Book, Client: config.Client, Officers: config.Officers, Pool: config.Pool, Now: time.Now, Stating: config.Stating, Desk: config.Desk,
		Key: func(n canon.Name) (guard.GroupKey, bool) { k, ok := c.keys[n]; return k, ok }}
	for _, name := range slices.Sorted(maps.Keys(config.Signers)) {
		conn, err := c.dial(name, config.TLS)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c.signers[name] = pb.NewSignerServiceClient(conn)
		if member, _ := config.Charter.Signer(name); member.Ledger {
			c.names = append(c.names, name)
		}
	}
	if err := c.learnKeys(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("hostile coordinator: %w", err), c.Close())
	}
	return c, nil
}

func (c *Config) check() error {
	if c.Charter == nil || c.Book == nil || c.Bitcoin == nil || c.EVM == nil || c.Client == nil {
		return errors.New("configuration: expected charter, book, chains and client, found fewer")
	}
	for _, s := range c.Charter.Genesis().Signers {
		if s.Ledger && c.Signers[s.Name] == "" {
			return fmt.Errorf("signers: expected the address of %s, found none", s.Name)
		}
	}
	for name := range c.Signers {
		if _, ok := c.Charter.Signer(name); !ok {
			return fmt.Errorf("signers: expected those of the charter, found %s", name)
		}
	}
	if len(c.Devices) == 0 {
		return errors.New("devices: expected that of one officer at least, found none")
	}
	for name := range c.Devices {
		if c.Officers[name] == nil {
			return fmt.Errorf("devices: expected those of officers whose keys are given, found that of %s", name)
		}
	}
	return nil
}

// Close ends the connections.
func (c *Coordinator) Close() error {
	var errs []error
	for _, conn := range c.connections {
		errs = append(errs, conn.Close())
	}
	c.connections = nil
	return errors.Join(errs...)
}

// dial returns a connection to a signer, pinned to its identity.
func (c *Coordinator) dial(name canon.Name, as tls.Certificate) (*grpc.ClientConn, error) {
	signer, ok := c.Charter.Signer(name)
	if !ok {
		return nil, fmt.Errorf("hostile coordinator: signers: expected one of the charter, found %s", name)
	}
	conn, err := rpc.Dial(c.config.Signers[name], rpc.ClientTLS(as, signer.Identity), rpc.MaxEvidence)
	if err != nil {
		return nil, err
	}
	c.connections = append(c.connections, conn)
	return conn, nil
}

// learnKeys asks every signer for its status.
func (c *Coordinator) learnKeys(ctx context.Context) error {
	answers := ask(ctx, c.names, shortCall, func(ctx context.Context, name canon.Name) (*pb.GetSignerStatusResponse, error) {
		return c.signers[name].GetSignerStatus(ctx, &pb.GetSignerStatusRequest{})
	})
	for _, name := range c.names {
		if err := answers[name].err; err != nil {
			return fmt.Errorf("status of %s: %w", name, err)
		}
		for _, k := range answers[name].value.GetStatus().GetKeys() {
			if err := c.learnKey(name, k); err != nil {
				return err
			}
		}
	}
	for _, key := range c.Charter.Genesis().Keys {
		if _, ok := c.keys[key.ID]; !ok {
			return fmt.Errorf("key %s: expected its public key from a signer, found none", key.ID)
		}
	}
	return nil
}

func (c *Coordinator) learnKey(signer canon.Name, k *pb.KeyStatus) error {
	if len(k.GetPublicKey()) != 33 {
		return fmt.Errorf("key %s: expected 33 bytes from %s, found %d", k.GetKey(), signer, len(k.GetPublicKey()))
	}
	found := guard.GroupKey{ID: canon.Name(k.GetKey()), Epoch: k.GetEpoch(), Public: [33]byte(k.GetPublicKey())}
	if known, ok := c.keys[found.ID]; ok && known != found {
		return fmt.Errorf("key %s: expected the same from every signer, found another from %s", found.ID, signer)
	}
	c.keys[found.ID] = found
	return nil
}
