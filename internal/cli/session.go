package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"google.golang.org/grpc"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
)

// Session is a configuration with the charter that it pins, and the connections made so far.
type Session struct {
	*App
	Config  *Config
	Charter *charter.Charter

	front       *coordinator
	peers       []signerPeer
	connections []*grpc.ClientConn
}

// maxGenesis is the largest genesis that canon reads.
const maxGenesis = 1 << 20

// Open loads the configuration and verifies the genesis against the pinned digest. The caller closes the session.
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
	s := &Session{App: a, Config: c}
	if s.Charter, err = charter.Open(genesis, pinned); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Genesis, err)
	}
	for i, peer := range c.Signers {
		if _, ok := s.Charter.Signer(peer.Name); !ok {
			return nil, fmt.Errorf("configuration: %s: signers[%d]: expected a signer of the charter, found %q", path, i, peer.Name)
		}
	}
	return s, nil
}

// Close ends the session's connections.
func (s *Session) Close() {
	for _, c := range s.connections {
		_ = c.Close() // nothing is in flight, and nothing is left to do about an error
	}
}

// view is what the guard may know here: the charter and the clock.
func (s *Session) view() guard.View {
	return guard.View{Charter: s.Charter, Now: s.Now()}
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
