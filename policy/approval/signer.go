package approval

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"golang.org/x/crypto/ssh"
)

// Signer signs documents with a key of an officer or a client.
type Signer interface {
	// Public returns the public key in SSH wire format.
	Public() []byte
	// Sign signs kind ‖ 0x00 ‖ document under the namespace, which must be the kind's own. It refuses bytes that are no canonical
	// document of the kind, and verifies the signature before it returns it.
	Sign(k canon.Kind, document []byte, namespace string) (canon.Signed, error)
}

// checkDocument refuses what nobody should sign: another kind, the wrong namespace, or bytes that no verifier would take.
func checkDocument(k canon.Kind, document []byte, namespace string) error {
	var d canon.Document
	want := NamespaceApproval
	switch k {
	case canon.KindApproval:
		d = new(canon.Approval)
	case canon.KindStatement:
		d = new(canon.Statement)
	case canon.KindRequest:
		d, want = new(canon.Request), NamespaceRequest
	case canon.KindTranscript:
		d, want = new(canon.Transcript), NamespaceCeremony
	default:
		return fmt.Errorf("sign: kind: expected a request, an approval, a statement or a ceremony's transcript, found %q", k)
	}
	if namespace != want {
		return fmt.Errorf("sign: namespace: expected %s for %s, found %q", want, k, namespace)
	}
	return canon.Decode(document, d)
}

// rawSigner signs requests in the raw scheme.
type rawSigner struct{ key ed25519.PrivateKey }

// NewRawSigner returns a Signer for programs of clients: raw Ed25519, requests only. A key of the wrong size signs nothing.
func NewRawSigner(key ed25519.PrivateKey) Signer { return rawSigner{key} }

// Public implements Signer.
func (s rawSigner) Public() []byte {
	if len(s.key) != ed25519.PrivateKeySize {
		return nil
	}
	return ed25519Wire(s.key[ed25519.PrivateKeySize-ed25519.PublicKeySize:])
}

// Sign implements Signer.
func (s rawSigner) Sign(k canon.Kind, document []byte, namespace string) (canon.Signed, error) {
	if err := checkDocument(k, document, namespace); err != nil {
		return canon.Signed{}, err
	}
	if k != canon.KindRequest {
		return canon.Signed{}, fmt.Errorf("sign: kind: expected a request, since officers sign in OpenSSH's format, found %q", k)
	}
	if len(s.key) != ed25519.PrivateKeySize {
		return canon.Signed{}, fmt.Errorf("sign: key: expected %d bytes, found %d", ed25519.PrivateKeySize, len(s.key))
	}
	message := k.Message(document)
	sig := ed25519.Sign(s.key, message)
	if !ed25519.Verify(ed25519.PublicKey(s.key[ed25519.PrivateKeySize-ed25519.PublicKeySize:]), message, sig) {
		return canon.Signed{}, errors.New("sign: expected a signature that verifies, found one that does not")
	}
	return canon.Signed{Document: document, Scheme: canon.Ed25519, Signature: sig}, nil
}

// sshSigner signs in OpenSSH's format; sign makes the signature over the bytes it is given.
type sshSigner struct {
	key  ssh.PublicKey
	sign func(data []byte) (*ssh.Signature, error)
}

// Public implements Signer.
func (s *sshSigner) Public() []byte { return s.key.Marshal() }

// Sign implements Signer.
func (s *sshSigner) Sign(k canon.Kind, document []byte, namespace string) (canon.Signed, error) {
	if err := checkDocument(k, document, namespace); err != nil {
		return canon.Signed{}, err
	}
	message := k.Message(document)
	made, err := s.sign(toSign(namespace, message))
	if err != nil {
		return canon.Signed{}, fmt.Errorf("sign: %w", err)
	}
	if made == nil {
		return canon.Signed{}, errors.New("sign: expected a signature, found none")
	}
	return own(s.key, k, document, namespace, marshalSignature(s.key, namespace, made))
}

// own verifies a signature that was just made or brought in, under the key it should be by.
func own(key ssh.PublicKey, k canon.Kind, document []byte, namespace string, binary []byte) (canon.Signed, error) {
	sig, err := parseSignature(binary)
	if err != nil {
		return canon.Signed{}, fmt.Errorf("sign: %w", err)
	}
	if !bytes.Equal(sig.wire, key.Marshal()) {
		return canon.Signed{}, fmt.Errorf("sign: expected a signature by %s, found one by %s", ssh.FingerprintSHA256(key), ssh.FingerprintSHA256(sig.key))
	}
	if err := sig.verify(namespace, k.Message(document)); err != nil {
		return canon.Signed{}, fmt.Errorf("sign: %w", err)
	}
	return canon.Signed{Document: document, Scheme: canon.SSHSig, Signature: binary}, nil
}

// Import takes a signature that `ssh-keygen -Y sign` made over kind ‖ 0x00 ‖ document with the key of that public key (SSH wire format),
// in its text form, and verifies it.
func Import(k canon.Kind, document []byte, namespace string, public, armored []byte) (canon.Signed, error) {
	if err := checkDocument(k, document, namespace); err != nil {
		return canon.Signed{}, err
	}
	key, err := charter.ParseOfficerKey(public)
	if err != nil {
		return canon.Signed{}, err
	}
	binary, err := Unarmor(armored)
	if err != nil {
		return canon.Signed{}, err
	}
	return own(key, k, document, namespace, binary)
}

// Bounds of key files.
const (
	maxKeyFile    = 16 << 10
	minPassphrase = 8
	keyFileType   = "OPENSSH PRIVATE KEY"
)

// LoadKeyFile opens a private key file in OpenSSH's own format under its passphrase. Files without encryption are refused, as are the
// older PEM formats, whose key derivation is weak, and keys that officers may not have.
func LoadKeyFile(text, passphrase []byte) (Signer, error) {
	if len(text) > maxKeyFile {
		return nil, fmt.Errorf("key file: expected at most %d bytes, found %d", maxKeyFile, len(text))
	}
	if block, _ := pem.Decode(text); block == nil || block.Type != keyFileType {
		return nil, fmt.Errorf("key file: expected a PEM block %q, found none", keyFileType)
	}
	var locked *ssh.PassphraseMissingError
	if _, err := ssh.ParseRawPrivateKey(text); err == nil {
		return nil, errors.New("key file: expected one that is encrypted under a passphrase, found a plain one")
	} else if !errors.As(err, &locked) {
		return nil, fmt.Errorf("key file: %w", err)
	}
	key, err := ssh.ParseRawPrivateKeyWithPassphrase(text, passphrase)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	return fromKey(key)
}

func fromKey(key any) (Signer, error) {
	inner, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	public, err := charter.ParseOfficerKey(inner.PublicKey().Marshal())
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	s := &sshSigner{key: public, sign: func(data []byte) (*ssh.Signature, error) { return inner.Sign(rand.Reader, data) }}
	if public.Type() == ssh.KeyAlgoRSA {
		rsa, ok := inner.(ssh.AlgorithmSigner)
		if !ok {
			return nil, errors.New("key file: expected an RSA key that signs with SHA-512, found one that does not")
		}
		s.sign = func(data []byte) (*ssh.Signature, error) {
			return rsa.SignWithAlgorithm(rand.Reader, data, ssh.KeyAlgoRSASHA512)
		}
	}
	return s, nil
}

// NewKeyFile makes an Ed25519 key and returns it as a private key file in OpenSSH's format, encrypted under the passphrase of at least 8
// bytes, with a Signer for it. The comment is readable only with the passphrase.
func NewKeyFile(passphrase []byte, comment string) (text []byte, s Signer, err error) {
	if len(passphrase) < minPassphrase {
		return nil, nil, fmt.Errorf("key file: expected a passphrase of at least %d bytes, found a shorter one", minPassphrase)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("key file: %w", err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, comment, passphrase)
	if err != nil {
		return nil, nil, fmt.Errorf("key file: %w", err)
	}
	if s, err = fromKey(key); err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(block), s, nil
}
