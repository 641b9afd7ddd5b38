package child_test

import (
	"context"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/child"
)

// faulty signs as the real token does, and then something happens. Identities with the label "well" work.
func faulty(happens func(context.Context, []byte) []byte) child.Opener {
	return func(ctx context.Context, o child.Opening) (hsm.Token, error) {
		token, err := openPKCS11(ctx, o)
		return faultyToken{token, happens}, err
	}
}

type faultyToken struct {
	hsm.Token
	happens func(context.Context, []byte) []byte
}

func (f faultyToken) Identity(ctx context.Context, label string) (hsm.Identity, error) {
	k, err := f.Token.Identity(ctx, label)
	if label != "well" && err == nil {
		return faultyIdentity{k, f.happens}, nil
	}
	return k, err
}

type faultyIdentity struct {
	hsm.Identity
	happens func(context.Context, []byte) []byte
}

func (f faultyIdentity) SignContext(ctx context.Context, m []byte) ([]byte, error) {
	signature, err := f.Identity.SignContext(ctx, m)
	if err != nil {
		return nil, err
	}
	return f.happens(ctx, signature), nil
}

// spoilingToken has the token seal as it should, and then memory is overwritten.
type spoilingToken struct{ hsm.Token }

func (s spoilingToken) CreateSealer(ctx context.Context, label string) (hsm.Sealer, error) {
	k, err := s.Token.CreateSealer(ctx, label)
	return spoilingSealer{k}, err
}

type spoilingSealer struct{ hsm.Sealer }

func (s spoilingSealer) Seal(ctx context.Context, plaintext, aad []byte) ([]byte, error) {
	sealed, err := s.Sealer.Seal(ctx, plaintext, aad)
	if err == nil {
		sealed[len(sealed)-1] ^= 1
	}
	return sealed, err
}
