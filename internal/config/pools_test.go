package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// poolOf returns the encoding and the digest of the pool of a wallet of chartertest.
func poolOf(t *testing.T, wallet canon.Name) ([]byte, canon.Digest) {
	t.Helper()
	for _, w := range chartertest.WithDevices(chartertest.Genesis()).Wallets {
		if w.Name == wallet {
			b, digest, err := canon.Seal(chartertest.Pool(w))
			if err != nil {
				t.Fatal(err)
			}
			return b, digest
		}
	}
	t.Fatalf("expected wallet %s, found none", wallet)
	return nil, canon.Digest{}
}

func writePool(t *testing.T, dir string, digest canon.Digest, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, config.PoolFile(digest)), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPoolsAreReadWhenTheyAreAskedFor(t *testing.T) {
	dir := t.TempDir()
	pools := config.Pools(dir)
	b, digest := poolOf(t, "btc-cold")
	_, err := pools(digest)
	if r := refusal.Of(err); !errors.Is(err, keyset.ErrNoPool) || r == nil || r.Failures[0].Rule != "pool" || !strings.Contains(err.Error(), digest.String()) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("no file yet: expected a refusal with digest and directory, found %v", err)
	}
	writePool(t, dir, digest, b)
	pool, err := pools(digest)
	if err != nil {
		t.Fatal(err)
	}
	if pool.Digest() != digest || pool.Document().Wallet != "btc-cold" {
		t.Errorf("expected the pool of btc-cold, found %s of %s", pool.Digest(), pool.Document().Wallet)
	}
	if err := os.Remove(filepath.Join(dir, config.PoolFile(digest))); err != nil {
		t.Fatal(err)
	}
	if again, err := pools(digest); err != nil || again != pool {
		t.Errorf("a second time: expected the same pool without its file, found %p and %p, %v", pool, again, err)
	}
}

func TestPoolsRefusesWhatIsNotThePool(t *testing.T) {
	cold, digest := poolOf(t, "btc-cold")
	other, _ := poolOf(t, "eth-cold")
	for name, content := range map[string][]byte{
		"the pool of another wallet": other,
		"nothing":                    nil,
		"a pool with another byte":   append(append([]byte{}, cold[:len(cold)-1]...), cold[len(cold)-1]^1),
		"a large file":               make([]byte, 16<<20+1),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			pools := config.Pools(dir)
			writePool(t, dir, digest, content)
			_, err := pools(digest)
			if err == nil || errors.Is(err, keyset.ErrNoPool) || !strings.Contains(err.Error(), digest.String()) || !strings.Contains(err.Error(), dir) {
				t.Fatalf("expected an error with digest and directory, found %v", err)
			}
			writePool(t, dir, digest, cold)
			if _, err := pools(digest); err != nil {
				t.Errorf("put right: %v", err)
			}
		})
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, config.PoolFile(digest)), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Pools(dir)(digest); err == nil || refusal.Of(err) != nil {
		t.Errorf("a file that cannot be read: expected an error that is no refusal, found %v", err)
	}
}

func TestPoolsReadsNoDirectoryButItsOwn(t *testing.T) {
	b, digest := poolOf(t, "eth-cold")
	dir := t.TempDir()
	writePool(t, dir, digest, b)
	t.Chdir(dir)
	if _, err := config.Pools("")(digest); refusal.Of(err) == nil {
		t.Errorf("no directory: expected a refusal, found %v", err)
	}
}

func TestPoolsServesManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	pools := config.Pools(dir)
	var digests []canon.Digest
	for _, w := range []canon.Name{"btc-cold", "eth-cold", "btc-cosign"} {
		b, digest := poolOf(t, w)
		writePool(t, dir, digest, b)
		digests = append(digests, digest)
	}
	var wg sync.WaitGroup
	found := make([]*keyset.Pool, 48)
	for i := range found {
		wg.Go(func() {
			var err error
			if found[i], err = pools(digests[i%3]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i, p := range found {
		if p != found[i%3] || p == nil || p.Digest() != digests[i%3] {
			t.Errorf("call %d: expected pool %s, once in memory, found another", i, digests[i%3])
		}
	}
}

func TestPoolsKeepsNoMoreThanACharterMayHave(t *testing.T) {
	dir := t.TempDir()
	pools := config.Pools(dir)
	w := canon.Wallet{Chain: chartertest.EVM, Accounts: []canon.Name{"acme-main"}, Devices: []canon.Device{{Signer: "vault-1"}}}
	var digests []canon.Digest
	var first *keyset.Pool
	for i := range 257 {
		w.Name = canon.Name(fmt.Sprintf("wallet-%d", i))
		b, digest, err := canon.Seal(chartertest.Pool(w))
		if err != nil {
			t.Fatal(err)
		}
		writePool(t, dir, digest, b)
		digests = append(digests, digest)
		pool, err := pools(digest)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = pool
		}
		if again, err := pools(digests[0]); i == 255 && (err != nil || again != first) {
			t.Errorf("with 256 pools: expected the first to be kept, found another, %v", err)
		}
	}
	if again, err := pools(digests[0]); err != nil || again == first || again.Digest() != digests[0] {
		t.Errorf("with 257 pools: expected the first to be read again, found the one that was kept, %v", err)
	}
}
