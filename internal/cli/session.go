package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/grpc"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/poolcheck"
	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
)

// Session is a configuration with the charter that follows from the genesis that it pins, and the connections made so far.
type Session struct {
	*App
	Config *Config
	// Chain is how the charter came to be, as far as it could be followed; Charter is the one in force.
	Chain   *amendment.Chain
	Charter *charter.Charter

	path        string
	news        news
	front       *coordinator
	peers       []signerPeer
	poolFiles   *poolcheck.Directory
	connections []*grpc.ClientConn
}

// maxGenesis is the largest genesis that canon reads.
const maxGenesis = 1 << 20

// Open loads the configuration, verifies the genesis against the pinned digest and follows the entries that a file holds. It asks nobody:
// see Connect. The caller closes the session.
func (a *App) Open() (*Session, error) {
	path, err := ConfigPath(a.ConfigFile)
	if err != nil {
		return nil, err
	}
	c, err := LoadConfig(path)
	if err != nil {
		return nil, err
	}
	pinned, err := canon.ParseDigest(c.Organisation)
	if err != nil {
		return nil, fmt.Errorf("configuration: %s: organisation: %w", path, err)
	}
	genesis, err := readFile(c.Genesis, maxGenesis)
	if err != nil {
		return nil, err
	}
	s := &Session{App: a, Config: c, path: path}
	chain, err := amendment.Open(genesis, pinned)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Genesis, err)
	}
	s.adopt(chain)
	if c.CharterEntries != "" {
		if err := s.followFile(c.CharterEntries); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Connect is Open, and unless the app is offline it then asks coordinator and signers for what the charter has become.
func (a *App) Connect(ctx context.Context) (*Session, error) {
	s, err := a.Open()
	if err != nil {
		return nil, err
	}
	if !a.Offline {
		s.update(ctx)
	}
	for i, peer := range s.Config.Signers {
		if _, ok := s.Charter.Signer(peer.Name); ok {
			continue
		}
		if !s.wasSigner(peer.Name) {
			s.Close()
			return nil, fmt.Errorf("configuration: %s: signers[%d]: expected a signer of the charter, found %q", s.path, i, peer.Name)
		}
		s.Note("%s is no signer any more, and is not asked; the configuration still names it.", peer.Name)
	}
	return s, nil
}

// wasSigner reports whether an earlier charter names the signer.
func (s *Session) wasSigner(name canon.Name) bool {
	return slices.ContainsFunc(s.Chain.History(), func(l amendment.Link) bool {
		c, _ := s.Chain.Charter(l.Number)
		_, ok := c.Signer(name)
		return ok
	})
}

// pools returns how to find key pools in a directory, empty for that of the configuration. Without either there are none.
func (s *Session) pools(dir string) poolSource {
	if dir = cmp.Or(dir, s.Config.Pools); dir == "" {
		return nil
	}
	return config.Pools(dir)
}

// adopt makes the chain's charter the session's.
func (s *Session) adopt(chain *amendment.Chain) { s.Chain, s.Charter = chain, chain.Current() }

// Close ends the session's connections.
func (s *Session) Close() {
	for _, c := range s.connections {
		_ = c.Close() // nothing is in flight, and nothing is left to do about an error
	}
	s.connections, s.front, s.peers = nil, nil, nil
}

// view is what the guard may know here: the charter, those before it, and the clock.
func (s *Session) view() guard.View {
	return guard.View{Charter: s.Charter, Valid: s.Chain.CheckValid, Now: s.Now()}
}

func (s *Session) now() canon.Time { return canon.TimeOf(s.Now()) }

// until returns how long it is from now to t; negative if t has passed.
func (s *Session) until(t canon.Time) time.Duration { return t.At().Sub(s.Now()) }

// readFile reads a file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, path, limit)
}

func readAll(r io.Reader, name string, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: size: expected at most %d bytes, found more", name, limit)
	}
	return b, nil
}

// read reads a file, or standard input for "-".
func (a *App) read(path string, limit int64) ([]byte, error) {
	if path == "-" {
		return readAll(a.In, "standard input", limit)
	}
	return readFile(path, limit)
}

// writeNew writes a file that must not exist yet, and leaves none behind that is incomplete.
func writeNew(path string, content []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		_ = os.Remove(path)
	}
	return err
}

// replace writes a file in the place of one that exists: whoever reads it finds the old content or the new, never a part.
func replace(path string, content []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // what counts is the first error
	}
	return err
}
