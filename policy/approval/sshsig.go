package approval

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/strongroom/strongroom/policy/charter"
	"golang.org/x/crypto/ssh"
)

// What OpenSSH's PROTOCOL.sshsig fixes, and the one hash that we accept of its two.
const (
	sigMagic   = "SSHSIG"
	sigVersion = 1
	sigHash    = "sha512"
)

// Sizes of untrusted input in bytes; canon has the same bound on binary signatures.
const (
	maxSignature = 4096
	maxArmor     = 8192
)

// userPresence is the flag bit that an authenticator sets when somebody touched it (OpenSSH PROTOCOL.u2f, CTAP1 section 5.4).
const userPresence = 0x01

// sigBlob is the binary signature; field order is the format.
type sigBlob struct {
	Magic         [6]byte
	Version       uint32
	PublicKey     string
	Namespace     string
	Reserved      string
	HashAlgorithm string
	Signature     []byte
}

// sigMessage is what the key signs.
type sigMessage struct {
	Magic         [6]byte
	Namespace     string
	Reserved      string
	HashAlgorithm string
	Hash          []byte
}

// signature is a parsed OpenSSH signature; nothing of it is verified.
type signature struct {
	wire      []byte // public key, SSH wire format
	key       ssh.PublicKey
	namespace string
	sig       ssh.Signature
}

// toSign returns the bytes that an OpenSSH signature of the message under the namespace covers.
func toSign(namespace string, message []byte) []byte {
	hash := sha512.Sum512(message)
	return ssh.Marshal(sigMessage{Magic: [6]byte([]byte(sigMagic)), Namespace: namespace, HashAlgorithm: sigHash, Hash: hash[:]})
}

// parseSignature reads a binary OpenSSH signature strictly: known key type, hash sha512, nothing reserved, no byte too many.
func parseSignature(b []byte) (*signature, error) {
	if len(b) > maxSignature {
		return nil, fmt.Errorf("expected at most %d bytes, found %d", maxSignature, len(b))
	}
	var blob sigBlob
	if err := ssh.Unmarshal(b, &blob); err != nil {
		return nil, fmt.Errorf("expected an OpenSSH signature: %w", err)
	}
	switch {
	case string(blob.Magic[:]) != sigMagic || blob.Version != sigVersion:
		return nil, fmt.Errorf("expected %s version %d, found %q version %d", sigMagic, sigVersion, blob.Magic[:], blob.Version)
	case blob.Reserved != "":
		return nil, fmt.Errorf("expected nothing reserved, found %d bytes", len(blob.Reserved))
	case blob.HashAlgorithm != sigHash:
		return nil, fmt.Errorf("expected hash %s, found %q", sigHash, blob.HashAlgorithm)
	}
	s := &signature{wire: []byte(blob.PublicKey), namespace: blob.Namespace}
	var err error
	if s.key, err = charter.ParseOfficerKey(s.wire); err != nil {
		return nil, err
	}
	if err := ssh.Unmarshal(blob.Signature, &s.sig); err != nil {
		return nil, fmt.Errorf("expected a signature of format and blob: %w", err)
	}
	return s, s.checkForm()
}

// checkForm demands the signature format that belongs to the key type, and for sk- keys flags with user presence and a counter.
func (s *signature) checkForm() error {
	want := []string{s.key.Type()}
	if s.key.Type() == ssh.KeyAlgoRSA {
		want = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256} // never ssh-rsa, which hashes with SHA-1 (RFC 8332)
	}
	if s.sig.Format != want[0] && s.sig.Format != want[len(want)-1] {
		return fmt.Errorf("expected signature format %s, found %q", want[0], s.sig.Format)
	}
	hardware := s.key.Type() == ssh.KeyAlgoSKED25519 || s.key.Type() == ssh.KeyAlgoSKECDSA256
	if !hardware && len(s.sig.Rest) != 0 {
		return fmt.Errorf("expected nothing after the signature, found %d bytes", len(s.sig.Rest))
	}
	if hardware && len(s.sig.Rest) != 5 {
		return fmt.Errorf("expected flags and counter in 5 bytes, found %d", len(s.sig.Rest))
	}
	if hardware && s.sig.Rest[0]&userPresence == 0 {
		return errors.New("expected the user-presence flag, found it not set: nobody touched the key")
	}
	return nil
}

// verify checks the signature over the message under exactly this namespace.
func (s *signature) verify(namespace string, message []byte) error {
	if s.namespace != namespace {
		return fmt.Errorf("expected namespace %s, found %q", namespace, s.namespace)
	}
	if err := s.key.Verify(toSign(namespace, message), &s.sig); err != nil {
		return fmt.Errorf("expected a signature of the document by its key: %w", err)
	}
	return nil
}

// marshalSignature returns the binary form of a signature that key made over toSign.
func marshalSignature(key ssh.PublicKey, namespace string, sig *ssh.Signature) []byte {
	return ssh.Marshal(sigBlob{
		Magic:         [6]byte([]byte(sigMagic)),
		Version:       sigVersion,
		PublicKey:     string(key.Marshal()),
		Namespace:     namespace,
		HashAlgorithm: sigHash,
		Signature:     ssh.Marshal(sig),
	})
}

// Lines of the text form, and their length as ssh-keygen writes them.
const (
	armorBegin = "-----BEGIN SSH SIGNATURE-----"
	armorEnd   = "-----END SSH SIGNATURE-----"
	armorLine  = 70
)

// Armor returns the text form of a binary OpenSSH signature, as `ssh-keygen -Y sign` writes it.
func Armor(signature []byte) []byte {
	text := base64.StdEncoding.EncodeToString(signature)
	var b bytes.Buffer
	b.WriteString(armorBegin + "\n")
	for len(text) > 0 {
		n := min(len(text), armorLine)
		b.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	b.WriteString(armorEnd + "\n")
	return b.Bytes()
}

// Unarmor reads the text form of an OpenSSH signature, with white space around it but nothing else, and returns the binary form after
// checking that it is one this package could verify.
func Unarmor(text []byte) ([]byte, error) {
	if len(text) > maxArmor {
		return nil, fmt.Errorf("ssh signature: expected at most %d bytes of text, found %d", maxArmor, len(text))
	}
	body, begins := bytes.CutPrefix(bytes.TrimSpace(text), []byte(armorBegin))
	body, ends := bytes.CutSuffix(body, []byte(armorEnd))
	if !begins || !ends {
		return nil, fmt.Errorf("ssh signature: expected text from %q to %q", armorBegin, armorEnd)
	}
	b, err := base64.StdEncoding.Strict().DecodeString(string(body)) // the decoder passes over line ends
	if err != nil {
		return nil, fmt.Errorf("ssh signature: %w", err)
	}
	if _, err := parseSignature(b); err != nil {
		return nil, fmt.Errorf("ssh signature: %w", err)
	}
	return b, nil
}
