package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/keyset"
)

const (
	maxPoolFile = 16 << 20 // what canon reads of a KeyPool at most
	maxPools    = 256      // kept open: the wallets that a charter may have
)

// PoolFile returns the name of the file that holds the pool of keys with a digest.
func PoolFile(digest canon.Digest) string { return fmt.Sprintf("%x.pool", digest[:]) }

// Pools returns a function that finds the pool of a digest in the file PoolFile of the directory, reads it on its first use and verifies it with
// keyset.OpenPool; later calls get the same pool. Nothing is read before, so that the pool of a later charter may be put there at any time. A file that is
// missing, of another digest or with a bad proof is a *refusal.Refusal; of one that is missing it is keyset.ErrNoPool too. No error is remembered. The function is safe for concurrent use.
func Pools(dir string) func(canon.Digest) (*keyset.Pool, error) {
	return (&pools{dir: dir, open: map[canon.Digest]*openPool{}}).find
}

type pools struct {
	dir  string
	mu   sync.Mutex
	open map[canon.Digest]*openPool
}

// openPool lets whoever comes first read the file, while others of the same pool wait for it.
type openPool struct {
	mu   sync.Mutex
	pool *keyset.Pool
}

func (p *pools) find(digest canon.Digest) (*keyset.Pool, error) {
	entry := p.entry(digest)
	entry.mu.Lock()
	defer entry.mu.Unlock()
	if entry.pool != nil {
		return entry.pool, nil
	}
	pool, err := p.read(digest)
	if err != nil {
		p.forget(digest, entry)
		return nil, err
	}
	entry.pool = pool
	return pool, nil
}

// entry returns the entry of a digest. Charters change slowly: where too many are open, most of them are of former ones, and those in use come back.
func (p *pools) entry(digest canon.Digest) *openPool {
	p.mu.Lock()
	defer p.mu.Unlock()
	entry, ok := p.open[digest]
	if !ok {
		if len(p.open) >= maxPools {
			clear(p.open)
		}
		entry = &openPool{}
		p.open[digest] = entry
	}
	return entry
}

func (p *pools) forget(digest canon.Digest, entry *openPool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[digest] == entry {
		delete(p.open, digest)
	}
}

func (p *pools) read(digest canon.Digest) (*keyset.Pool, error) {
	if p.dir == "" { // else it would be the one that the process happens to be in
		return nil, refusal.New("pool", "pool", fmt.Sprintf("a directory of pools, with pool %s", digest), "none")
	}
	path := filepath.Join(p.dir, PoolFile(digest))
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", keyset.ErrNoPool, refusal.New("pool", "pool", fmt.Sprintf("pool %s in directory %s, file %s", digest, p.dir, PoolFile(digest)), "none"))
	} else if err != nil {
		return nil, fmt.Errorf("pool %s: %w", digest, err)
	}
	defer f.Close()
	b, err := limited(f, maxPoolFile)
	if err != nil {
		return nil, fmt.Errorf("pool %s: %s: %w", digest, path, err)
	}
	pool, err := keyset.OpenPool(b, digest)
	if err != nil {
		return nil, fmt.Errorf("pool %s: %s: %w", digest, path, err)
	}
	return pool, nil
}
