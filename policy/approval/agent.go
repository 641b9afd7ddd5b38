package approval

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// FromAgent returns a Signer that signs through an ssh-agent with the key of that public key (SSH wire format), so with whatever the
// agent holds: files, FIDO keys, smartcards. The agent is trusted with nothing but the key: each of its signatures is verified.
func FromAgent(a agent.Agent, public []byte) (Signer, error) {
	key, err := charter.ParseOfficerKey(public)
	if err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	held, err := a.List()
	if err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	for _, k := range held {
		if bytes.Equal(k.Blob, public) {
			return &sshSigner{key: key, sign: func(data []byte) (*ssh.Signature, error) { return signWith(a, key, data) }}, nil
		}
	}
	return nil, fmt.Errorf("agent: expected key %s among its keys, found %d others", ssh.FingerprintSHA256(key), len(held))
}

func signWith(a agent.Agent, key ssh.PublicKey, data []byte) (*ssh.Signature, error) {
	if key.Type() != ssh.KeyAlgoRSA {
		return a.Sign(key, data)
	}
	extended, ok := a.(agent.ExtendedAgent)
	if !ok {
		return nil, errors.New("agent: expected one that signs RSA with SHA-512, found one that does not")
	}
	return extended.SignWithFlags(key, data, agent.SignatureFlagRsaSha512)
}

// equalEd25519 reports whether an SSH key's inner key is that Ed25519 key.
func equalEd25519(inner any, k canon.PublicKey) bool {
	e, ok := inner.(ed25519.PublicKey)
	return ok && bytes.Equal(e, k[:])
}
