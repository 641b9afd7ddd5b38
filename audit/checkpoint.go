package audit

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/proto/canon"
)

// MaxCheckpoint is the size of the largest signed checkpoint that is accepted, in bytes.
const MaxCheckpoint = 16 << 10

// ErrCheckpoint is wrapped by every refusal of a checkpoint.
var ErrCheckpoint = errors.New("not a valid checkpoint")

// Origin is the first line of an organisation's checkpoints and the name of the key that signs them.
func Origin(organisation canon.Digest) string { return "strongroom/audit/" + organisation.String() }

// FormatTree returns the text of a checkpoint: origin, size in decimal, root in base64, each on a line (C2SP tlog-checkpoint).
func FormatTree(origin string, t Tree) string {
	return fmt.Sprintf("%s\n%d\n%s\n", origin, t.Size, base64.StdEncoding.EncodeToString(t.Root[:]))
}

// ParseTree reads the text of a checkpoint of that origin. Extension lines are refused: this log writes none.
func ParseTree(origin, text string) (Tree, error) {
	if len(text) > MaxCheckpoint {
		return Tree{}, fmt.Errorf("audit: %w: size: expected at most %d bytes, found %d", ErrCheckpoint, MaxCheckpoint, len(text))
	}
	lines := strings.Split(text, "\n")
	if len(lines) != 4 {
		return Tree{}, fmt.Errorf("audit: %w: expected 3 lines, found %d", ErrCheckpoint, len(lines)-1)
	}
	if lines[0] != origin {
		return Tree{}, fmt.Errorf("audit: %w: origin: expected %q, found %.100q", ErrCheckpoint, origin, lines[0])
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return Tree{}, fmt.Errorf("audit: %w: size: expected a decimal number, found %.40q", ErrCheckpoint, lines[1])
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != 32 {
		return Tree{}, fmt.Errorf("audit: %w: root: expected 32 bytes in base64, found %.60q", ErrCheckpoint, lines[2])
	}
	t := Tree{Size: size, Root: [32]byte(root)}
	if size < 0 || FormatTree(origin, t) != text {
		return Tree{}, fmt.Errorf("audit: %w: expected the shortest form, found %.200q", ErrCheckpoint, text)
	}
	return t, nil
}

// SignCheckpoint returns the signed checkpoint of t.
func SignCheckpoint(origin string, t Tree, signers ...note.Signer) ([]byte, error) {
	if len(signers) == 0 {
		return nil, errors.New("audit: checkpoint: expected at least one signer, found none")
	}
	msg, err := note.Sign(&note.Note{Text: FormatTree(origin, t)}, signers...)
	return msg, wrap("checkpoint", err)
}

// OpenCheckpoint verifies a signed checkpoint of that origin and returns its tree. The log's own signature, under the origin's name,
// must be there; signatures by keys that are not known are ignored.
func OpenCheckpoint(msg []byte, origin string, known ...note.Verifier) (Tree, error) {
	if len(msg) > MaxCheckpoint {
		return Tree{}, fmt.Errorf("audit: %w: size: expected at most %d bytes, found %d", ErrCheckpoint, MaxCheckpoint, len(msg))
	}
	n, err := note.Open(msg, note.VerifierList(known...))
	if err != nil {
		return Tree{}, fmt.Errorf("audit: %w: %w", ErrCheckpoint, err)
	}
	t, err := ParseTree(origin, n.Text)
	if err != nil {
		return Tree{}, err
	}
	for _, s := range n.Sigs {
		if s.Name == origin {
			return t, nil
		}
	}
	return Tree{}, fmt.Errorf("audit: %w: signature: expected one of %q, found none", ErrCheckpoint, origin)
}

// NewSigner returns a note signer of that name for an Ed25519 key that can be anywhere, a token included.
func NewSigner(name string, key crypto.Signer) (note.Signer, error) {
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok || len(public) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("audit: signer %q: expected an Ed25519 key, found %T", name, key.Public())
	}
	v, err := NewVerifier(name, canon.PublicKey(public))
	if err != nil {
		return nil, err
	}
	return &signer{Verifier: v, key: key}, nil
}

// NewVerifier returns the note verifier of that name and key.
func NewVerifier(name string, key canon.PublicKey) (note.Verifier, error) {
	text, err := note.NewEd25519VerifierKey(name, key[:])
	if err != nil {
		return nil, fmt.Errorf("audit: verifier %q: %w", name, err)
	}
	v, err := note.NewVerifier(text)
	if err != nil {
		return nil, fmt.Errorf("audit: verifier %q: %w", name, err)
	}
	return v, nil
}

type signer struct {
	note.Verifier
	key crypto.Signer
}

// Sign implements note.Signer. What the key returned is verified before it is let out.
func (s *signer) Sign(msg []byte) ([]byte, error) {
	sig, err := s.key.Sign(rand.Reader, bytes.Clone(msg), crypto.Hash(0))
	if err != nil {
		return nil, fmt.Errorf("audit: signer %q: %w", s.Name(), err)
	}
	if !s.Verify(msg, sig) {
		return nil, fmt.Errorf("audit: signer %q: expected a signature that verifies, found another", s.Name())
	}
	return sig, nil
}
