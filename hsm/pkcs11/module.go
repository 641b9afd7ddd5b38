package pkcs11

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
)

// cryptoki is the part of *p11.Ctx that this package uses.
type cryptoki interface {
	Initialize(opts ...p11.InitializeOption) error
	Finalize() error
	GetInfo() (p11.Info, error)
	GetSlotList(tokenPresent bool) ([]uint, error)
	GetTokenInfo(slot uint) (p11.TokenInfo, error)
	InitToken(slot uint, soPIN, label string) error
	InitPIN(s p11.SessionHandle, pin string) error
	OpenSession(slot, flags uint) (p11.SessionHandle, error)
	CloseSession(s p11.SessionHandle) error
	Login(s p11.SessionHandle, user uint, pin string) error
	Logout(s p11.SessionHandle) error
	FindObjectsInit(s p11.SessionHandle, template []*p11.Attribute) error
	FindObjects(s p11.SessionHandle, most int) ([]p11.ObjectHandle, bool, error)
	FindObjectsFinal(s p11.SessionHandle) error
	GetAttributeValue(s p11.SessionHandle, o p11.ObjectHandle, a []*p11.Attribute) ([]*p11.Attribute, error)
	CreateObject(s p11.SessionHandle, template []*p11.Attribute) (p11.ObjectHandle, error)
	DestroyObject(s p11.SessionHandle, o p11.ObjectHandle) error
	WrapKey(s p11.SessionHandle, m []*p11.Mechanism, wrapping, key p11.ObjectHandle) ([]byte, error)
	UnwrapKey(s p11.SessionHandle, m []*p11.Mechanism, unwrapping p11.ObjectHandle, wrapped []byte, template []*p11.Attribute) (p11.ObjectHandle, error)
	GenerateKey(s p11.SessionHandle, m []*p11.Mechanism, template []*p11.Attribute) (p11.ObjectHandle, error)
	GenerateKeyPair(s p11.SessionHandle, m []*p11.Mechanism, public, private []*p11.Attribute) (p11.ObjectHandle, p11.ObjectHandle, error)
	SignInit(s p11.SessionHandle, m []*p11.Mechanism, key p11.ObjectHandle) error
	Sign(s p11.SessionHandle, message []byte) ([]byte, error)
	EncryptInit(s p11.SessionHandle, m []*p11.Mechanism, key p11.ObjectHandle) error
	Encrypt(s p11.SessionHandle, plaintext []byte) ([]byte, error)
	DecryptInit(s p11.SessionHandle, m []*p11.Mechanism, key p11.ObjectHandle) error
	Decrypt(s p11.SessionHandle, ciphertext []byte) ([]byte, error)
}

// process holds the modules of this process. C_Initialize and C_Login act on a whole process, so their state does too.
var process = newModules(func(path string) (cryptoki, error) {
	if c := p11.New(path); c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("pkcs11: %w: %s: not a loadable PKCS#11 module", hsm.ErrNoModule, path)
})

// modules shares each module among the tokens opened from it.
type modules struct {
	load   func(path string) (cryptoki, error)
	lock   chan struct{} // holds one element while somebody opens or closes a token; a mutex that gives way to a context
	pinKey [32]byte      // makes PIN fingerprints useless outside this process
	byPath map[string]*module
}

// module is one loaded module. It is never unloaded: vendors' libraries do not survive that. Its fields are read and
// written under modules.lock.
type module struct {
	cryptoki
	path   string
	tokens int // how many open tokens, and calls that did not return, need the module initialised
	owned  bool
	stuck  error
	logins map[uint]*login // by slot
}

// login is the one login that all tokens opened on a slot share.
type login struct {
	pin    [sha256.Size]byte
	tokens int
}

func newModules(load func(string) (cryptoki, error)) *modules {
	r := &modules{load: load, lock: make(chan struct{}, 1), byPath: map[string]*module{}}
	rand.Read(r.pinKey[:])
	return r
}

// with runs f on the initialised module while nobody else opens or closes a token. Afterwards the module stays initialised
// only if a token is open on it.
func (r *modules) with(ctx context.Context, path string, limit time.Duration, f func(*module) error) error {
	if err := r.enter(ctx); err != nil {
		return err
	}
	defer r.leave()
	m, err := r.get(ctx, path, limit)
	if err != nil {
		return err
	}
	if m.stuck != nil {
		return fmt.Errorf("pkcs11: %w: %s: an earlier call never returned: %w", hsm.ErrDevice, path, m.stuck)
	}
	err = f(m)
	return errors.Join(err, m.settle(ctx, limit, err))
}

func (r *modules) enter(ctx context.Context) error {
	select {
	case r.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return gaveUp("waiting for another token to open or close", ctx)
	}
}

func (r *modules) leave() { <-r.lock }

// get finds or loads the module and initialises it if no token has done so.
func (r *modules) get(ctx context.Context, path string, limit time.Duration) (*module, error) {
	// Two names of one file are one module to the dynamic linker.
	file, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("pkcs11: %w: %w", hsm.ErrNoModule, err)
	}
	m := r.byPath[file]
	if m == nil {
		c, err := step(ctx, "loading "+path, limit, func() (cryptoki, error) { return r.load(file) })
		if err != nil {
			return nil, err
		}
		m = &module{cryptoki: c, path: file, logins: map[uint]*login{}}
		r.byPath[file] = m
	}
	if m.tokens > 0 || m.stuck != nil {
		return m, nil
	}
	err = do(ctx, "C_Initialize", limit, func() error { return m.Initialize() })
	already := returned(err, p11.CKR_CRYPTOKI_ALREADY_INITIALIZED)
	// If it is initialised already, then by somebody else in this process who will finalise it; or by us, and finalising it was refused.
	m.owned = err == nil || already && m.owned
	if already {
		err = nil
	}
	if err != nil {
		m.noteStuck(err)
		return nil, err
	}
	return m, nil
}

// settle follows an operation that ended in err: it finalises a module that nobody uses, unless a call is still inside.
func (m *module) settle(ctx context.Context, limit time.Duration, err error) error {
	m.noteStuck(err)
	if m.tokens > 0 || m.stuck != nil || !m.owned {
		return nil
	}
	// The module must not stay initialised because a caller's context ended.
	err = do(context.WithoutCancel(ctx), "C_Finalize", limit, m.Finalize)
	m.noteStuck(err)
	m.owned = err != nil
	return err
}

func (m *module) noteStuck(err error) {
	if m.stuck == nil && errors.Is(err, errInFlight) {
		m.stuck = err
	}
}

// logIn logs the application in to the slot unless it is already. Cryptoki accepts any PIN from an application that is
// logged in, so a second PIN is compared with the first one here.
func (r *modules) logIn(ctx context.Context, m *module, slot uint, s p11.SessionHandle, cfg Config) error {
	fingerprint := hmac.New(sha256.New, r.pinKey[:])
	fingerprint.Write(cfg.PIN)
	sum := [sha256.Size]byte(fingerprint.Sum(nil))
	if l := m.logins[slot]; l != nil {
		if !hmac.Equal(l.pin[:], sum[:]) {
			return fmt.Errorf("pkcs11: %w: token %q is open in this process with another PIN", hsm.ErrPIN, cfg.TokenLabel)
		}
		l.tokens++
		return nil
	}
	if ctx.Err() != nil {
		return gaveUp("C_Login", ctx)
	}
	if cfg.LoggingIn != nil {
		if err := cfg.LoggingIn(); err != nil {
			return fmt.Errorf("pkcs11: before the login: %w: %w", hsm.ErrDevice, err)
		}
	}
	pin := string(cfg.PIN)
	err := do(context.WithoutCancel(ctx), "C_Login", cfg.Timeout, func() error { return m.Login(s, p11.CKU_USER, pin) })
	switch {
	case err == nil, returned(err, p11.CKR_USER_ALREADY_LOGGED_IN):
	case errors.Is(err, hsm.ErrPIN):
		return err
	default:
		return fmt.Errorf("%w: %w", hsm.ErrLogin, err)
	}
	m.logins[slot] = &login{pin: sum, tokens: 1}
	return nil
}

// logOut undoes logIn for one token.
func (m *module) logOut(ctx context.Context, slot uint, s p11.SessionHandle, limit time.Duration) error {
	l := m.logins[slot]
	if l.tokens--; l.tokens > 0 {
		return nil
	}
	delete(m.logins, slot)
	if !m.owned {
		return nil
	}
	return do(ctx, "C_Logout", limit, func() error { return m.Logout(s) })
}
