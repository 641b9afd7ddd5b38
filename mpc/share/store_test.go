package share_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/strongroom/strongroom/mpc/mpctest"
	"github.com/strongroom/strongroom/mpc/share"
)

// gcm seals as a token would, with a key in memory.
type gcm struct{ aead cipher.AEAD }

func newGCM(t testing.TB) gcm {
	t.Helper()
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	return gcm{aead}
}

func (g gcm) Seal(_ context.Context, plaintext, aad []byte) ([]byte, error) {
	return g.aead.Seal(nil, nil, plaintext, aad), nil
}

func (g gcm) Open(_ context.Context, sealed, aad []byte) ([]byte, error) {
	return g.aead.Open(nil, nil, sealed, aad)
}

func newStore(t testing.TB, dir string, sealer share.Sealer, party string) *share.Store {
	t.Helper()
	st, err := share.NewStore(dir, sealer, mpctest.Organisation, party)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func privateDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "shares")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestStoreKeepsSharesSealed(t *testing.T) {
	dir, sealer, s := privateDir(t), newGCM(t), mpctest.Shares(t, 3, 2)[0]
	st := newStore(t, dir, sealer, "node-1")
	if _, err := st.LoadShare(t.Context(), "hot", 1); !errors.Is(err, share.ErrNotFound) {
		t.Fatalf("expected ErrNotFound, found %v", err)
	}
	if err := st.SaveShare(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	back, err := newStore(t, dir, sealer, "node-1").LoadShare(t.Context(), "hot", 1)
	if err != nil {
		t.Fatal(err)
	}
	if back.Secret.Cmp(s.Secret) != 0 || back.PublicKey != s.PublicKey {
		t.Fatal("another share came back")
	}
	if err := st.SaveShare(t.Context(), s); !errors.Is(err, share.ErrExists) {
		t.Fatalf("expected ErrExists, found %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Name() != "share-hot.1.sealed" {
		t.Fatalf("expected one file, found %v", entries)
	}
	info, err := entries[0].Info()
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("expected mode 0600, found %s", info.Mode())
	}
	b, err := os.ReadFile(filepath.Join(dir, entries[0].Name()))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, s.Secret.Bytes()) || bytes.Contains(b, s.PreParams.P.Bytes()) {
		t.Error("the file holds a secret in the clear")
	}
}

func TestStoreRefusesFilesOfAnotherPlace(t *testing.T) {
	dir, sealer, shares := privateDir(t), newGCM(t), mpctest.Shares(t, 3, 2)
	if err := newStore(t, dir, sealer, "node-1").SaveShare(t.Context(), shares[0]); err != nil {
		t.Fatal(err)
	}
	if err := newStore(t, dir, sealer, "node-2").SaveShare(t.Context(), shares[0]); err == nil {
		t.Error("a share of another party was saved")
	}
	if _, err := newStore(t, dir, sealer, "node-2").LoadShare(t.Context(), "hot", 1); err == nil {
		t.Error("a share of another party was loaded")
	}
	if _, err := newStore(t, dir, newGCM(t), "node-1").LoadShare(t.Context(), "hot", 1); err == nil {
		t.Error("a share was opened with another key")
	}
	st := newStore(t, dir, sealer, "node-1")
	file := filepath.Join(dir, "share-hot.1.sealed")
	for _, name := range []string{"share-hot.2.sealed", "share-cold.1.sealed", "pre-params-hot.sealed"} {
		if err := os.Link(file, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := st.LoadShare(t.Context(), "hot", 2); err == nil {
		t.Error("epoch 1 was loaded as epoch 2")
	}
	if _, err := st.LoadShare(t.Context(), "cold", 1); err == nil {
		t.Error("key hot was loaded as key cold")
	}
	if _, err := st.LoadPreParams(t.Context(), "hot"); err == nil {
		t.Error("a share was loaded as pre-params")
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := st.LoadShare(t.Context(), "hot", 1); err == nil {
		t.Error("a damaged file was loaded")
	}
	if _, err := st.LoadShare(t.Context(), "../hot", 1); err == nil {
		t.Error("a path was accepted as key id")
	}
}

func TestStoreParksPreParamsUntilTheyAreRemoved(t *testing.T) {
	st := newStore(t, privateDir(t), newGCM(t), "node-1")
	for i, name := range []string{"b", "a"} {
		if err := st.ParkPreParams(t.Context(), name, mpctest.PreParams(t, i)); err != nil {
			t.Fatal(err)
		}
	}
	names, err := st.ParkedPreParams()
	if err != nil || !slices.Equal(names, []string{"a", "b"}) {
		t.Fatalf("expected a and b, found %v (%v)", names, err)
	}
	p, err := st.LoadPreParams(t.Context(), "a")
	if err != nil || p.H1.Cmp(mpctest.PreParams(t, 1).H1) != 0 {
		t.Fatalf("expected set 1 (%v)", err)
	}
	if err := st.ParkPreParams(t.Context(), "a", p); !errors.Is(err, share.ErrExists) {
		t.Errorf("expected ErrExists, found %v", err)
	}
	if err := st.RemovePreParams("a"); err != nil {
		t.Fatal(err)
	}
	if _, err := st.LoadPreParams(t.Context(), "a"); !errors.Is(err, share.ErrNotFound) {
		t.Errorf("expected ErrNotFound, found %v", err)
	}
	if err := st.RemovePreParams("a"); !errors.Is(err, share.ErrNotFound) {
		t.Errorf("expected ErrNotFound, found %v", err)
	}
	p.Alpha.Add(p.Alpha, p.Beta)
	if err := st.ParkPreParams(t.Context(), "c", p); err == nil {
		t.Error("broken pre-params were parked")
	}
}

func TestStoreLetsOneOfManyWritersWin(t *testing.T) {
	dir, sealer, s := privateDir(t), newGCM(t), mpctest.Shares(t, 2, 2)[0]
	errs := make([]error, 3)
	var wg sync.WaitGroup
	for i := range errs {
		st := newStore(t, dir, sealer, "node-1")
		wg.Go(func() { errs[i] = st.SaveShare(t.Context(), s) })
	}
	wg.Wait()
	var won int
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, share.ErrExists) {
			t.Errorf("expected ErrExists, found %v", err)
		}
	}
	if won != 1 {
		t.Errorf("expected one to win, found %d", won)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("expected one file, found %v (%v)", entries, err)
	}
}

var errSealer = errors.New("token is gone")

type goneSealer struct{ share.Sealer }

func (goneSealer) Seal(context.Context, []byte, []byte) ([]byte, error) { return nil, errSealer }

func TestStoreWritesNothingWithoutItsSealer(t *testing.T) {
	dir := privateDir(t)
	st := newStore(t, dir, goneSealer{}, "node-1")
	if err := st.SaveShare(t.Context(), mpctest.Shares(t, 2, 2)[0]); !errors.Is(err, errSealer) {
		t.Fatalf("expected the sealer's error, found %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Fatalf("expected no files, found %v (%v)", entries, err)
	}
}

func TestStoreRefusesDirectoriesThatOthersCanEnter(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if _, err := share.NewStore(dir, newGCM(t), mpctest.Organisation, "node-1"); err == nil {
		t.Error("mode 0750 was accepted")
	}
	if _, err := share.NewStore(filepath.Join(dir, "none"), newGCM(t), mpctest.Organisation, "node-1"); err == nil {
		t.Error("a missing directory was accepted")
	}
}

// changed is a sealer whose key somebody else has too: what it opens is not what was sealed.
type changed struct {
	share.Sealer
	change func(plaintext []byte)
}

func (c *changed) Open(ctx context.Context, sealed, aad []byte) ([]byte, error) {
	plaintext, err := c.Sealer.Open(ctx, sealed, aad)
	if err == nil && c.change != nil {
		c.change(plaintext)
	}
	return plaintext, err
}

func TestWhatAStoreCheckedOnceItChecksAgainWhenItDiffers(t *testing.T) {
	sealer, s := &changed{Sealer: newGCM(t)}, mpctest.Shares(t, 3, 2)[0]
	st := newStore(t, privateDir(t), sealer, "node-1")
	if err := errors.Join(st.SaveShare(t.Context(), s), st.ParkPreParams(t.Context(), "a", s.PreParams)); err != nil {
		t.Fatal(err)
	}
	load := func() error {
		_, share := st.LoadShare(t.Context(), "hot", 1)
		_, set := st.LoadPreParams(t.Context(), "a")
		if (share == nil) != (set == nil) {
			t.Errorf("expected both or neither, found %v, %v", share, set)
		}
		return errors.Join(share, set)
	}
	for range 2 {
		if err := load(); err != nil {
			t.Fatal(err)
		}
	}
	beta := s.PreParams.Beta.Bytes()
	sealer.change = func(plaintext []byte) { // the secret number that is encoded last among those of the set
		at := bytes.LastIndex(plaintext, beta)
		plaintext[at+len(beta)-1] ^= 2
	}
	if err := load(); err == nil {
		t.Error("expected the changed number refused, found it taken")
	}
	sealer.change = nil
	if err := load(); err != nil {
		t.Errorf("expected what was sealed, found %v", err)
	}
}
