package child

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/hsm"
)

func frameOf(t testing.TB, message any) []byte {
	t.Helper()
	frame, err := encode(message)
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

func TestFramesOfAWrongSizeAreRefused(t *testing.T) {
	long := binary.BigEndian.AppendUint32(nil, maxFrame+1)
	for name, b := range map[string][]byte{
		"empty": {0, 0, 0, 0}, "too long": append(long, make([]byte, maxFrame+1)...), "cut off": {0, 0, 0, 9, 1, 2},
	} {
		if _, err := readFrame(bytes.NewReader(b)); !errors.Is(err, errFrame) {
			t.Errorf("%s: got %v, want errFrame", name, err)
		}
	}
	if _, err := readFrame(bytes.NewReader(nil)); !errors.Is(err, io.EOF) || errors.Is(err, errFrame) {
		t.Errorf("got %v, want the end of the stream", err)
	}
	if _, err := readFrame(strings.NewReader("\x00\x00")); err == nil {
		t.Error("a cut length was accepted")
	}
	if _, err := encode(request{Data: make([]byte, maxFrame)}); !errors.Is(err, errFrame) {
		t.Errorf("got %v, want errFrame", err)
	}
}

func TestMessagesAreDecodedStrictly(t *testing.T) {
	good := frameOf(t, request{ID: 1, Op: opCheck})[frameHead:]
	var q request
	if err := decode(good, &q); err != nil || q.ID != 1 || q.Op != opCheck {
		t.Fatalf("own encoding: %+v, %v", q, err)
	}
	for name, b := range map[string][]byte{
		"another message": frameOf(t, reply{ID: 1})[frameHead:], "more after it": append(bytes.Clone(good), 0),
		"cut off": good[:len(good)-1], "indefinite": append([]byte{0x9f}, append(bytes.Clone(good[1:]), 0xff)...), "nothing": nil,
	} {
		if err := decode(b, &request{}); !errors.Is(err, errFrame) {
			t.Errorf("%s: got %v, want errFrame", name, err)
		}
	}
}

func TestEveryKindOfErrorCrossesTheSocket(t *testing.T) {
	for _, kind := range kinds {
		var r reply
		r.fail(fmt.Errorf("device\tsays: %w", kind))
		var got reply
		if err := decode(frameOf(t, r)[frameHead:], &got); err != nil {
			t.Fatal(err)
		}
		err := got.failure()
		if !errors.Is(err, kind) || !strings.Contains(err.Error(), "device?says") {
			t.Errorf("%v arrived as %v", kind, err)
		}
		for _, other := range kinds {
			if errors.Is(err, other) != errors.Is(kind, other) {
				t.Errorf("%v arrived as %v", kind, other)
			}
		}
	}
	var unknown reply
	unknown.fail(errors.New(strings.Repeat("x", maxText+9)))
	if err := unknown.failure(); !errors.Is(err, hsm.ErrDevice) || len(err.Error()) != maxText {
		t.Errorf("an error of no kind: %d bytes, %v", len(err.Error()), errors.Is(err, hsm.ErrDevice))
	}
	if err := (&reply{Kinds: []byte{255}}).failure(); !errors.Is(err, hsm.ErrDevice) {
		t.Errorf("an unknown number: %v", err)
	}
	if err := (&reply{Data: []byte{1}}).failure(); err != nil {
		t.Errorf("no error: %v", err)
	}
}

// listing is a token with very many keys and nothing else.
type listing struct {
	hsm.Token
	keys   int
	closed chan struct{}
}

func (l listing) Info() hsm.Info { return hsm.Info{Label: "many"} }

func (l listing) Inventory(context.Context) (hsm.Inventory, error) {
	all := hsm.Inventory{Info: l.Info(), Library: "library"}
	for i := range l.keys {
		all.Keys = append(all.Keys, hsm.KeyInfo{Label: fmt.Sprint("key-", i), Attributes: []hsm.Attribute{{Name: "CKA_LOCAL", Value: []byte{1}}}})
	}
	return all, nil
}

func (l listing) Close() error { close(l.closed); return nil }

// inMemory connects both sides without a process.
func inMemory(t *testing.T, token hsm.Token) *Token {
	t.Helper()
	mine, its := net.Pipe()
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = serve(context.Background(), its, its, func(context.Context, Opening) (hsm.Token, error) { return token, nil })
	}()
	cfg, err := Config{}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{peer: mine, exited: exited, state: "ended"}
	p.kill = func() { _, _ = mine.Close(), its.Close() }
	parent := newToken(p, cfg)
	if err := parent.open(t.Context(), Opening{}); err != nil {
		t.Fatal(err)
	}
	return parent
}

func TestALongInventoryComesInParts(t *testing.T) {
	for _, n := range []int{0, 1, maxListed, maxListed + 1, 3*maxListed + 5} {
		closed := make(chan struct{})
		token := inMemory(t, listing{keys: n, closed: closed})
		all, err := token.Inventory(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(all.Keys) != n || all.Library != "library" || all.Label != "many" {
			t.Errorf("%d keys: found %d of %q", n, len(all.Keys), all.Label)
		}
		for i, k := range all.Keys {
			if k.Label != fmt.Sprint("key-", i) || k.Attributes[0].Name != "CKA_LOCAL" {
				t.Fatalf("key %d: found %+v", i, k)
			}
		}
		token.Abandon()
		<-closed
	}
}

// A child with overwritten memory must not fill the parent's.
func TestAnInventoryWithoutEndIsRefused(t *testing.T) {
	long := inMemory(t, listing{keys: 3*maxListed + 5, closed: make(chan struct{})})
	long.largest = 2 * maxListed * 16
	_, err := long.Inventory(t.Context())
	if !errors.Is(err, hsm.ErrTokenLost) {
		t.Errorf("too many bytes: got %v, want ErrTokenLost", err)
	}
	mine, its := net.Pipe()
	go func() { // one key in a frame, and always more of them
		defer its.Close()
		frame := func(r reply) { _, _ = its.Write(frameOf(t, r)) }
		frame(reply{Stage: stageHardened})
		if _, err := readFrame(its); err != nil {
			return
		}
		frame(reply{Token: &inventory{}})
		for id := uint64(1); ; id++ {
			if _, err := readFrame(its); err != nil {
				return
			}
			frame(reply{ID: id, Token: &inventory{Keys: []hsm.KeyInfo{{Label: "k"}}}, More: true})
		}
	}()
	exited := make(chan struct{})
	close(exited)
	cfg, err := Config{}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	thin := newToken(&process{peer: mine, exited: exited, state: "ended", kill: func() { _ = mine.Close() }}, cfg)
	if err := thin.open(t.Context(), Opening{}); err != nil {
		t.Fatal(err)
	}
	if _, err := thin.Inventory(t.Context()); !errors.Is(err, hsm.ErrTokenLost) {
		t.Errorf("thin frames: got %v, want ErrTokenLost", err)
	}
}

// A stage is announced once, in its order and at its time.
func TestStagesComeInOrder(t *testing.T) {
	for name, c := range map[string]struct {
		opening bool
		stages  []stage
		good    bool
	}{
		"hardened": {false, []stage{stageHardened}, true}, "twice": {false, []stage{stageHardened, stageHardened}, false},
		"login first": {true, []stage{stageLoggingIn}, false}, "login untold": {false, []stage{stageHardened, stageLoggingIn}, false},
		"hardened late": {true, []stage{stageHardened}, false}, "none such": {false, []stage{stageLoggingIn + 1}, false},
	} {
		token := &Token{ready: make(chan struct{}), pending: map[uint64]chan<- reply{}}
		if c.opening {
			token.pending[0] = nil
		}
		var err error
		for _, s := range c.stages {
			err = token.deliver(reply{Stage: s})
		}
		if c.good != (err == nil) || err != nil && !errors.Is(err, errFrame) {
			t.Errorf("%s: expected success %v, found %v", name, c.good, err)
		}
	}
}

func TestWhatTheChildIsAskedWronglyItRefuses(t *testing.T) {
	token := inMemory(t, listing{closed: make(chan struct{})})
	defer token.Abandon()
	for name, q := range map[string]request{
		"no such operation": {Op: opOpen + 1}, "no operation": {}, "no such key": {Op: opSeal, Key: 7, Data: []byte{1}}, "key 0": {Op: opSignDigest},
		"inventory": {Op: opInventory, Key: 9},
	} {
		if _, err := token.call(t.Context(), q); !errors.Is(err, hsm.ErrArgument) && !errors.Is(err, hsm.ErrNoKey) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// FuzzAnswers feeds the parent what a child with overwritten memory may send.
func FuzzAnswers(f *testing.F) {
	f.Add(frameOf(f, reply{ID: 1, Data: []byte("signature")}))
	f.Add(frameOf(f, reply{Token: &inventory{Info: hsm.Info{Label: "x"}, Keys: []hsm.KeyInfo{{Label: "k"}}}, More: true}))
	f.Add(append(frameOf(f, reply{ID: 1, Kinds: []byte{1, 200}, Text: "x"}), frameOf(f, reply{ID: 1})...))
	f.Add([]byte{0, 0, 0, 1, 0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		token := &Token{pending: map[uint64]chan<- reply{0: nil, 1: make(chan reply, 1), 2: nil}}
		r := bufio.NewReader(bytes.NewReader(b))
		for {
			answer, err := readReply(r)
			if err != nil {
				return
			}
			_ = answer.failure()
			if err := token.deliver(answer); err != nil && !errors.Is(err, errFrame) {
				t.Fatalf("untyped error %v", err)
			}
		}
	})
}

// FuzzRequests feeds the child what no parent sends.
func FuzzRequests(f *testing.F) {
	open := frameOf(f, opening{Version: protocolVersion, Module: "/m", TokenLabel: "l", PIN: []byte("1234"), Sessions: 4, Timeout: 1})
	f.Add(open)
	f.Add(append(bytes.Clone(open), frameOf(f, request{ID: 1, Op: opInventory})...))
	f.Add(append(bytes.Clone(open), frameOf(f, request{ID: 1, Op: opSignDigest, Key: 1, Data: []byte("short")})...))
	f.Add(append(bytes.Clone(open), frameOf(f, request{Op: opCancel, Key: 1 << 63})...))
	f.Add(frameOf(f, opening{Version: 2}))
	f.Fuzz(func(t *testing.T, b []byte) {
		token := refusing{}
		_ = serve(t.Context(), bytes.NewReader(b), io.Discard, func(context.Context, Opening) (hsm.Token, error) { return token, nil })
	})
}

// refusing is a token without keys.
type refusing struct{}

var errNone = fmt.Errorf("none: %w", hsm.ErrNoKey)

func (refusing) Info() hsm.Info                                               { return hsm.Info{} }
func (refusing) Close() error                                                 { return nil }
func (refusing) Check(context.Context) error                                  { return nil }
func (refusing) Inventory(context.Context) (hsm.Inventory, error)             { return hsm.Inventory{}, nil }
func (refusing) Identity(context.Context, string) (hsm.Identity, error)       { return nil, errNone }
func (refusing) CreateIdentity(context.Context, string) (hsm.Identity, error) { return nil, errNone }
func (refusing) Sealer(context.Context, string) (hsm.Sealer, error)           { return nil, errNone }
func (refusing) CreateSealer(context.Context, string) (hsm.Sealer, error)     { return nil, errNone }
func (refusing) ECDSA(context.Context, string, hsm.KeyClass) (hsm.ECDSA, error) {
	return nil, errNone
}
func (refusing) CreateECDSA(context.Context, string, hsm.KeyClass) (hsm.ECDSA, error) {
	return nil, errNone
}

func TestOnlyTheSignalOfLastWordsIsKept(t *testing.T) {
	for text, want := range map[string]string{
		"SIGSEGV: segmentation violation\nPC=0x40e8ce m=0\nrax 0x1\n": ": SIGSEGV",
		"library: PIN is 1234\nSIGABRT: abort\nSIGBUS: bus\n":         ": SIGABRT",
		"SIG1234: no\nSIGSEGV without a colon\n":                      "",
		"panic: PIN 1234\n" + strings.Repeat("x", 9000):               "",
	} {
		for _, size := range []int{1, 7, len(text)} {
			var w lastWords
			for rest := []byte(text); len(rest) > 0; rest = rest[min(size, len(rest)):] {
				if n, err := w.Write(rest[:min(size, len(rest))]); n != min(size, len(rest)) || err != nil {
					t.Fatalf("wrote %d, %v", n, err)
				}
			}
			if got := w.cause(); got != want || len(w.line) > maxWord {
				t.Errorf("%.20q in pieces of %d: kept %q, want %q", text, size, got, want)
			}
		}
	}
}
