package authority

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/grpc"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// grace is how long calls in progress may take when an authority stops.
const grace = 3 * time.Second

// maxQuestion is the largest question, in bytes: a request and its travel-rule data.
const maxQuestion = 256 << 10

// Serve answers questions until ctx ends. Once it listens it writes where to the configuration's address file, if there is one, and logs
// "listening".
func Serve(ctx context.Context, c *Config, log *slog.Logger) error {
	s, err := newService(c, log)
	if err != nil {
		return err
	}
	server, err := s.server(c)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	address := listener.Addr().String()
	if err := tell(c.AddressFile, address); err != nil {
		return errors.Join(err, listener.Close())
	}
	log.Info("listening", "address", address, "authority", string(c.Name), "purpose", c.Purpose, "key", canon.PublicKey(s.key.Public().(ed25519.PublicKey)).String())
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	log.Info("stopping")
	force := time.AfterFunc(grace, server.Stop)
	defer force.Stop()
	server.GracefulStop()
	return <-served
}

// newService opens everything that the configuration names. Facts that cannot be read stop it here rather than at the first question.
func newService(c *Config, log *slog.Logger) (*Service, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	opened, err := c.charter()
	if err != nil {
		return nil, err
	}
	key, err := config.Ed25519Key(c.Key)
	if err != nil {
		return nil, err
	}
	s := &Service{name: c.Name, purpose: c.Purpose, charter: opened, key: key, factsFile: c.Facts, now: time.Now, log: log}
	if c.decides() {
		if s.waits, err = openList(decisions(c.Decisions), log); err != nil {
			return nil, err
		}
	}
	s.compare()
	_, err = s.facts()
	return s, err
}

// compare holds the configuration against the charter that is at hand. An amendment may have made what it has not, so what differs is only logged.
func (s *Service) compare() {
	purposes := map[string]canon.Purpose{Prices: canon.PurposePrice, Attributes: canon.PurposeAttribute, Screening: canon.PurposeScreening, TravelRule: canon.PurposeTravelRule}
	named, ok := s.charter.Authority(s.name)
	if !ok || named.Purpose != purposes[s.purpose] || named.Key != canon.PublicKey(s.key.Public().(ed25519.PublicKey)) {
		s.log.Warn("the charter at hand names no such authority with this purpose and key: signers take its statements only if an amendment does", "authority", string(s.name))
	}
}

func (s *Service) server(c *Config) (*grpc.Server, error) {
	key, err := config.Ed25519Key(c.TLSKey)
	if err != nil {
		return nil, err
	}
	if s.key.Equal(key) {
		return nil, errors.New("tls_key: expected another key than signs statements, found the same")
	}
	certificate, err := rpc.Certificate(key)
	if err != nil {
		return nil, err
	}
	pinned, err := c.pinned()
	if err != nil {
		return nil, err
	}
	allowed := func(k canon.PublicKey) bool { return slices.Contains(pinned, k) }
	server, err := rpc.NewServer(rpc.ServerConfig{TLS: rpc.ServerTLS(certificate, allowed), Log: s.log, MaxMessage: maxQuestion, Access: rpc.Access{
		Methods: map[string][]rpc.Role{
			pb.AuthorityService_StatePrice_FullMethodName:      {rpc.Coordinator},
			pb.AuthorityService_StateAttribute_FullMethodName:  {rpc.Coordinator},
			pb.AuthorityService_DecideClearance_FullMethodName: {rpc.Coordinator},
		},
		Identify: func(ctx context.Context) []rpc.Caller {
			if k, ok := rpc.PeerKey(ctx); ok && allowed(k) {
				return []rpc.Caller{{Role: rpc.Coordinator, Name: "coordinator", Key: k}}
			}
			return nil
		},
	}})
	if err != nil {
		return nil, err
	}
	pb.RegisterAuthorityServiceServer(server, s)
	return server, nil
}

// NewKey writes a fresh Ed25519 key, PKCS#8 in PEM, to a file that must not exist, mode 0600, and returns its public key.
func NewKey(path string) (_ canon.PublicKey, err error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return canon.PublicKey{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return canon.PublicKey{}, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return canon.PublicKey{}, err
	}
	_, err = f.Write(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return canon.PublicKey{}, errors.Join(err, os.Remove(path))
	}
	return canon.PublicKey(public), nil
}

// tell writes a line to a file, which appears whole.
func tell(path, line string) error {
	if path == "" {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".address-")
	if err != nil {
		return err
	}
	_, err = f.WriteString(line + "\n")
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("address_file: %w", err), os.Remove(f.Name()))
	}
	return nil
}
