package approval_test

import (
	"crypto/sha256"
	"crypto/sha512"

	"github.com/strongroom/strongroom/policy/approval"
	"golang.org/x/crypto/ssh"
)

// blob is PROTOCOL.sshsig written down a second time, for tests that change one field of it.
type blob struct {
	Magic     [6]byte
	Version   uint32
	PublicKey string
	Namespace string
	Reserved  string
	Hash      string
	Format    string // of the signature; empty: as made
	Rest      []byte // after the signature
	Trailing  []byte // after everything
}

func newBlob(wire []byte) blob {
	return blob{Magic: [6]byte([]byte("SSHSIG")), Version: 1, PublicKey: string(wire), Namespace: approval.NamespaceApproval, Hash: "sha512"}
}

func (b blob) toSign(message []byte) []byte {
	sum512, sum256 := sha512.Sum512(message), sha256.Sum256(message)
	digest := sum512[:]
	if b.Hash == "sha256" {
		digest = sum256[:]
	}
	return append([]byte("SSHSIG"), ssh.Marshal(struct {
		Namespace, Reserved, Hash string
		Digest                    []byte
	}{b.Namespace, b.Reserved, b.Hash, digest})...)
}

func (b blob) marshal(sig *ssh.Signature) []byte {
	if b.Format != "" {
		sig.Format = b.Format
	}
	sig.Rest = append(sig.Rest, b.Rest...)
	out := ssh.Marshal(struct {
		Magic                                [6]byte
		Version                              uint32
		PublicKey, Namespace, Reserved, Hash string
		Signature                            []byte
	}{b.Magic, b.Version, b.PublicKey, b.Namespace, b.Reserved, b.Hash, ssh.Marshal(sig)})
	return append(out, b.Trailing...)
}
