package main

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/strongroom/strongroom/hsm"
)

// sealedIdentity in the place of the identity's label says that the token has no Ed25519: the key is made here and sealed by the token.
const sealedIdentity = "sealed"

const (
	identityFile = "identity.sealed" // in the data directory
	maxIdentity  = 4 << 10
)

// identityAAD keeps the file from being taken for anything else that the token's key sealed.
var identityAAD = []byte("strongroom/node-identity/v1")

// memoryIdentity is an identity in this process's memory.
type memoryIdentity struct{ key ed25519.PrivateKey }

// Public is the public key as crypto.Signer wants it: an ed25519.PublicKey.
func (k memoryIdentity) Public() crypto.PublicKey { return k.key.Public() }

// Ed25519 is the public key.
func (k memoryIdentity) Ed25519() ed25519.PublicKey { return k.key.Public().(ed25519.PublicKey) }

// Sign signs a whole message: opts must ask for no hash and, if it is *ed25519.Options, for no context.
func (k memoryIdentity) Sign(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts == nil || opts.HashFunc() != 0 {
		return nil, fmt.Errorf("identity: %w: expected crypto.Hash(0), a whole message, found %v", hsm.ErrArgument, opts)
	}
	if o, ok := opts.(*ed25519.Options); ok && o.Context != "" {
		return nil, fmt.Errorf("identity: %w: expected no Ed25519ctx context, found %q", hsm.ErrArgument, o.Context)
	}
	return k.SignContext(context.Background(), message)
}

// SignContext signs a whole message.
func (k memoryIdentity) SignContext(_ context.Context, message []byte) ([]byte, error) {
	if len(message) > hsm.MaxMessage {
		return nil, fmt.Errorf("identity: %w: expected at most %d bytes, found %d", hsm.ErrArgument, hsm.MaxMessage, len(message))
	}
	return ed25519.Sign(k.key, message), nil
}

// String hides the key.
func (memoryIdentity) String() string { return "[redacted]" }

// GoString hides the key.
func (memoryIdentity) GoString() string { return "[redacted]" }

// openIdentity reads the sealed key and has the token open it.
func openIdentity(ctx context.Context, path string, sealer hsm.Sealer) (hsm.Identity, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	defer f.Close()
	sealed, err := io.ReadAll(io.LimitReader(f, maxIdentity))
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	seed, err := sealer.Open(ctx, sealed, identityAAD)
	if err != nil {
		return nil, fmt.Errorf("identity: %s: %w", path, err)
	}
	defer clear(seed)
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("identity: %s: expected %d bytes, found %d", path, ed25519.SeedSize, len(seed))
	}
	return memoryIdentity{key: ed25519.NewKeyFromSeed(seed)}, nil
}

// makeIdentity opens the sealed key, or makes one if there is none.
func makeIdentity(ctx context.Context, directory string, sealer hsm.Sealer) (hsm.Identity, error) {
	path := filepath.Join(directory, identityFile)
	if k, err := openIdentity(ctx, path, sealer); !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if err := privateDirectory(directory); err != nil {
		return nil, err
	}
	seed := make([]byte, ed25519.SeedSize)
	defer clear(seed)
	rand.Read(seed)
	sealed, err := sealer.Seal(ctx, seed, identityAAD)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	_, err = f.Write(sealed)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("identity: %w", err), os.Remove(path))
	}
	return openIdentity(ctx, path, sealer)
}
