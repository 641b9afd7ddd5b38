package keypool

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Join makes one pool of what several tokens made, with their devices in the order given, which must be that of the wallet's devices in the charter. It
// refuses parts for another wallet, chain, accounts, counts or backup, two of one signer or identity, parts that their signer's identity did not sign, and
// everything else that no charter's pool may be.
func Join(parts ...canon.KeyPool) (canon.KeyPool, error) {
	if len(parts) == 0 {
		return canon.KeyPool{}, refusal.New("pool", "parts", "at least 1", "none")
	}
	var l refusal.List
	pool := parts[0]
	pool.Accounts, pool.Devices = slices.Clone(pool.Accounts), nil
	identities := map[canon.PublicKey]canon.Name{}
	for i, p := range parts {
		if p.Wallet != pool.Wallet || p.Chain != pool.Chain || !slices.Equal(p.Accounts, pool.Accounts) || p.Receive != pool.Receive || p.Change != pool.Change {
			l.Add("pool", fmt.Sprintf("parts[%d]", i), shown(pool), shown(p))
		}
		for _, d := range p.Devices {
			if other, taken := identities[d.Identity]; taken {
				l.Add("pool", fmt.Sprintf("parts[%d]", i), "signers with an identity of their own", fmt.Sprintf("%s with that of %s", d.Signer, other))
			}
			identities[d.Identity] = d.Signer
			if first := parts[0].Devices; len(first) > 0 && d.Backup != first[0].Backup {
				l.Add("pool", fmt.Sprintf("parts[%d]", i), fmt.Sprintf("keys with backup %d, as those of %s", first[0].Backup, first[0].Signer), fmt.Sprint(d.Backup))
			}
		}
		pool.Devices = append(pool.Devices, p.Devices...)
	}
	if err := l.Err(); err != nil {
		return canon.KeyPool{}, err
	}
	if _, _, err := seal(pool); err != nil {
		return canon.KeyPool{}, err
	}
	return pool, nil
}

// shown describes what the parts of one pool have in common.
func shown(p canon.KeyPool) string {
	return fmt.Sprintf("a part for wallet %s on %s with %d and %d keys for each of %.200q", p.Wallet, p.Chain, p.Receive, p.Change, fmt.Sprint(p.Accounts))
}

// Write verifies a pool and writes it to the directory, whole or not at all, in the file config.PoolFile. It returns the digest that the charter is to
// name. Others may read the file: there is no secret in it.
func Write(dir string, pool canon.KeyPool) (canon.Digest, error) {
	b, digest, err := seal(pool)
	if err != nil {
		return canon.Digest{}, err
	}
	if err := writeFile(filepath.Join(dir, config.PoolFile(digest)), b); err != nil {
		return canon.Digest{}, err
	}
	return digest, nil
}

// WritePart verifies a pool, commonly a part of one, and writes it to a file of any name, whole or not at all.
func WritePart(path string, pool canon.KeyPool) error {
	b, _, err := seal(pool)
	if err != nil {
		return err
	}
	return writeFile(path, b)
}

// writeFile puts a file in the place of whatever has its name. It is on the disk when writeFile returns.
func writeFile(path string, b []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".pool-*")
	if err != nil {
		return fmt.Errorf("pool: %w", err)
	}
	defer os.Remove(f.Name()) // does nothing once the file has its name
	_, err = f.Write(b)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("pool: %w", err)
	}
	return nil
}

// syncDir makes the name of a file durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
