package durable_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/child"
	"github.com/strongroom/strongroom/hsm/durable"
	"github.com/strongroom/strongroom/hsm/hsmtest"
	"github.com/strongroom/strongroom/hsm/pkcs11"
)

// load signs with many goroutines until it is stopped, each request over a digest of its own, and keeps count of what became of each.
type load struct {
	key      hsm.ECDSA
	stop     chan struct{}
	all      sync.WaitGroup
	asked    atomic.Int64
	signed   atomic.Int64
	failed   atomic.Int64
	mu       sync.Mutex
	digests  map[[32]byte]int // signatures that callers got
	problems []error
}

func startLoad(key hsm.ECDSA, workers int) *load {
	l := &load{key: key, stop: make(chan struct{}), digests: map[[32]byte]int{}}
	for range workers {
		l.all.Go(l.work)
	}
	return l
}

func (l *load) work() {
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		var digest [32]byte
		rand.Read(digest[:])
		l.asked.Add(1)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		signature, err := l.key.Sign(ctx, digest, nil)
		cancel()
		l.note(digest, signature, err)
	}
}

func (l *load) note(digest [32]byte, signature [64]byte, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.signed.Add(1)
		l.digests[digest]++
		if !verifies(l.key.Public(), digest, signature) {
			l.problems = append(l.problems, errors.New("a signature over another digest"))
		}
	case errors.Is(err, hsm.ErrTokenLost), errors.Is(err, hsm.ErrTimeout):
		l.failed.Add(1)
	default:
		l.failed.Add(1)
		l.problems = append(l.problems, err)
	}
}

func verifies(public [33]byte, digest [32]byte, signature [64]byte) bool {
	key, err := btcec.ParsePubKey(public[:])
	if err != nil {
		return false
	}
	var r, s btcec.ModNScalar
	if r.SetByteSlice(signature[:32]) || s.SetByteSlice(signature[32:]) {
		return false
	}
	return ecdsa.NewSignature(&r, &s).Verify(digest[:], key)
}

// more waits until there are some more signatures.
func (l *load) more(t *testing.T) {
	t.Helper()
	before := l.signed.Load()
	until(t, "some more signatures", func() bool { return l.signed.Load() > before+20 })
}

// end stops the load and checks that every request ended once.
func (l *load) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.all.Wait()
	if asked, signed, failed := l.asked.Load(), l.signed.Load(), l.failed.Load(); asked != signed+failed {
		t.Errorf("%d requests, %d signatures and %d errors: some were lost", asked, signed, failed)
	}
	for digest, n := range l.digests {
		if n != 1 {
			t.Errorf("digest %x was signed %d times", digest, n)
		}
	}
	for _, err := range l.problems {
		t.Errorf("an error of another kind: %v", err)
	}
}

// patient comes back quickly, and has callers wait for as long as that takes.
func patient() durable.Config {
	return durable.Config{Check: time.Second, Pause: 5 * time.Millisecond, LongestPause: 50 * time.Millisecond, Wait: time.Minute}
}

func TestATokenThatIsTakenAwayUnderLoadComesBack(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	token := startChild(t, inChild(cfg, "pkcs11"), patient())
	key := must[hsm.ECDSA](t)(token.CreateECDSA(t.Context(), "key", hsm.KeyClass{}))
	box := must[hsm.Sealer](t)(token.CreateSealer(t.Context(), "box"))
	sealed := must[[]byte](t)(box.Seal(t.Context(), []byte("share"), nil))
	stored := filepath.Join(filepath.Dir(os.Getenv(pkcs11.SoftHSMConf)), "tokens")
	l := startLoad(key, 12)
	for range 3 {
		l.more(t)
		before := token.Generation()
		must0(t, os.Rename(stored, stored+".away"))
		until(t, "the loss", func() bool { return token.Health() != nil })
		must0(t, os.Rename(stored+".away", stored))
		until(t, "the next generation", func() bool { return token.Generation() > before && token.Health() == nil })
		l.more(t)
	}
	l.end(t)
	if got := must[[]byte](t)(box.Open(t.Context(), sealed, nil)); string(got) != "share" {
		t.Errorf("opened %q", got)
	}
}

func must0(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAServerThatIsKilledOrHangsComesBack(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	cfg.Timeout = 2 * time.Second
	server, cfg := hsmtest.StartP11Kit(t, cfg)
	config := patient()
	config.CheckTimeout = 3 * time.Second
	token := startChild(t, inChild(cfg, "pkcs11", "P11_KIT_SERVER_ADDRESS"), config)
	key := must[hsm.ECDSA](t)(token.CreateECDSA(t.Context(), "key", hsm.KeyClass{}))
	l := startLoad(key, 6)
	l.more(t)
	before := token.Generation()
	server.Kill()
	until(t, "the loss", func() bool { return token.Health() != nil })
	server.Start()
	until(t, "the next generation", func() bool { return token.Generation() > before && token.Health() == nil })
	l.more(t)

	// Held up, the server answers nothing. The calls end at their limits, the canary's too, and the child is killed.
	before = token.Generation()
	server.Stop()
	until(t, "the loss", func() bool { return token.Health() != nil })
	server.Continue()
	until(t, "the next generation", func() bool { return token.Generation() > before && token.Health() == nil })
	l.more(t)
	l.end(t)
}

// Ends of generations and of tokens, clean or not, leave no goroutine behind.
func TestNoGoroutineIsLeft(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	before := runtime.NumGoroutine()
	for range 3 {
		var current *child.Token
		open := inChild(cfg, "pkcs11")
		token := must[*durable.Token](t)(durable.New(t.Context(), func(ctx context.Context) (hsm.Token, error) {
			token, err := open(ctx)
			if err == nil {
				current = token.(*child.Token)
			}
			return token, err
		}, patient()))
		must0(t, token.Check(t.Context()))
		current.Abandon()
		until(t, "the next generation", func() bool { return token.Check(t.Context()) == nil && token.Generation() == 2 })
		must0(t, token.Close())
	}
	until(t, fmt.Sprintf("the end of all but %d goroutines", before), func() bool { return runtime.NumGoroutine() <= before })
}

// The PIN was changed while the token was away: over all generations it is tried once. SoftHSM's flag says that a wrong PIN was tried, not how often, so
// the child's openings are counted.
func TestAPINThatBecameWrongIsTriedOnce(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	var opened, refused atomic.Int32
	open := inChild(cfg, "pkcs11")
	wrong := cfg
	wrong.PIN = hsm.PIN("271828")
	openWrong := inChild(wrong, "pkcs11")
	var current *child.Token
	token := startChild(t, func(ctx context.Context) (hsm.Token, error) {
		if opened.Add(1) > 1 {
			token, err := openWrong(ctx)
			if errors.Is(err, hsm.ErrPIN) {
				refused.Add(1)
			}
			return token, err
		}
		token, err := open(ctx)
		if err == nil {
			current = token.(*child.Token)
		}
		return token, err
	}, patient())
	key := must[hsm.ECDSA](t)(token.CreateECDSA(t.Context(), "key", hsm.KeyClass{}))
	current.Abandon()
	_, err := key.Sign(t.Context(), [32]byte{1}, nil)
	wantError(t, err, hsm.ErrTokenLost)
	for range 3 {
		_, err := key.Sign(t.Context(), [32]byte{1}, nil)
		wantError(t, err, hsm.ErrPIN)
	}
	if opened.Load() != 2 || refused.Load() != 1 {
		t.Errorf("opened %d times and refused %d times, want twice and once", opened.Load(), refused.Load())
	}
}
