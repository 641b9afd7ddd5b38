package signer_test

import (
	"context"
	"sync"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/internal/signer"
)

// faulty is a real token with a fault that no real one has when a test wants it to.
type faulty struct {
	signer.Token

	mu     sync.Mutex
	lookUp func() error                            // before a key is looked up
	lost   string                                  // label of a key that is gone
	class  *hsm.KeyClass                           // that keys must be of
	before func()                                  // a signature
	sign   func([64]byte, error) ([64]byte, error) // what comes of a signature
	public *[33]byte                               // that keys say they have
}

func (f *faulty) set(change func(*faulty)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lookUp, f.lost, f.class, f.before, f.sign, f.public = nil, "", nil, nil, nil, nil
	change(f)
}

func (f *faulty) ECDSA(ctx context.Context, label string, class hsm.KeyClass) (hsm.ECDSA, error) {
	f.mu.Lock()
	lookUp, lost := f.lookUp, f.lost
	if f.class != nil {
		class = *f.class
	}
	f.mu.Unlock()
	if lookUp != nil {
		if err := lookUp(); err != nil {
			return nil, err
		}
	}
	if label == lost {
		return nil, hsm.ErrNoKey
	}
	key, err := f.Token.ECDSA(ctx, label, class)
	if err != nil {
		return nil, err
	}
	return faultyKey{key, f}, nil
}

type faultyKey struct {
	hsm.ECDSA
	token *faulty
}

func (k faultyKey) Public() [33]byte {
	k.token.mu.Lock()
	defer k.token.mu.Unlock()
	if k.token.public != nil {
		return *k.token.public
	}
	return k.ECDSA.Public()
}

func (k faultyKey) Sign(ctx context.Context, digest [32]byte, pin hsm.PIN) ([64]byte, error) {
	k.token.mu.Lock()
	before, sign := k.token.before, k.token.sign
	k.token.mu.Unlock()
	if before != nil {
		before()
	}
	signature, err := k.ECDSA.Sign(ctx, digest, pin)
	if sign != nil {
		return sign(signature, err)
	}
	return signature, err
}
