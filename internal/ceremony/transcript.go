package ceremony

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// A transcript's file holds type string ‖ 0x00 ‖ document: the message that attendants sign. So
//
//	ssh-keygen -Y sign -n strongroom-ceremony@v1 -f KEY ceremony.transcript
//
// signs it without this program. The signature of an attendant lies beside it, in OpenSSH's text form, in the file SignatureFile.

const (
	maxTranscript = 16<<20 + 64
	maxArmor      = 8 << 10
)

// SignatureFile is the file with an attendant's signature of the transcript in a file.
func SignatureFile(transcript string, name canon.Name) string {
	return fmt.Sprintf("%s.%s.sig", transcript, name)
}

// transcript is a transcript as it was read; nothing of it is verified.
type transcript struct {
	canon.Transcript
	document []byte
	digest   canon.Digest
}

func readTranscript(path string) (*transcript, error) {
	message, err := readAtMost(path, maxTranscript)
	if err != nil {
		return nil, err
	}
	return parseTranscript(message)
}

func parseTranscript(message []byte) (*transcript, error) {
	document, ok := bytes.CutPrefix(message, canon.KindTranscript.Message(nil))
	if !ok {
		return nil, refusal.New("encoding", "transcript", fmt.Sprintf("%q and a zero byte", canon.KindTranscript), fmt.Sprintf("%.30q", message))
	}
	t := &transcript{document: document, digest: canon.KindTranscript.Digest(document)}
	if err := canon.Decode(document, &t.Transcript); err != nil {
		return nil, refusal.New("encoding", "transcript", "a canonical document", err.Error())
	}
	return t, nil
}

// readAtMost reads a file. One that is too large is a refusal.
func readAtMost(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, refusal.New("encoding", "size", fmt.Sprintf("at most %d bytes in %s", limit, path), "more")
	}
	return b, nil
}

func (t *transcript) attendant(name canon.Name) (canon.Attendant, error) {
	i := slices.IndexFunc(t.Present, func(a canon.Attendant) bool { return a.Name == name })
	if i < 0 {
		return canon.Attendant{}, refusal.New("transcript", "attendant", "one of those present", string(name))
	}
	return t.Present[i], nil
}

// Signing is an attendant about to sign a transcript: what he is to read first is Report.
type Signing struct {
	path   string
	name   canon.Name
	t      *transcript
	who    canon.Attendant
	Report *Report
	meant  bool // the signer knows the digest from elsewhere
}

// NewSigning reads a transcript and verifies all of it but the signatures. One that would not verify is not to be signed.
func NewSigning(path string, name canon.Name) (*Signing, error) {
	t, err := readTranscript(path)
	if err != nil {
		return nil, err
	}
	who, err := t.attendant(name)
	if err != nil {
		return nil, err
	}
	var l refusal.List
	classes := verifyDocument(&l, &t.Transcript)
	if l.Err() != nil {
		return nil, l.Err()
	}
	s := &Signing{path: path, name: name, t: t, who: who, Report: report(t, classes)}
	s.Report.all = true
	return s, nil
}

// noted is how many words of a digest somebody takes down in the room and types when he signs: 44 bits.
const noted = 4

// Meant is told the digest that the signer brought from the room, 64 hexadecimal digits, or the first four of its twelve words. Sign needs it: a transcript
// that was exchanged since looks as good as the right one.
func (s *Signing) Meant(digest string) error {
	typed, words := strings.Fields(strings.ToLower(digest)), s.t.digest.Words()
	switch {
	case len(typed) == 1 && typed[0] == s.t.digest.String():
	case len(typed) == noted && slices.Equal(typed, words[:noted]):
	default:
		return refusal.New("transcript", "digest", fmt.Sprintf("that of this transcript, or the first %d of its words, as noted in the room", noted), fmt.Sprintf("%.80q", digest))
	}
	s.meant = true
	return nil
}

// Public is the attendant's public key in SSH wire format.
func (s *Signing) Public() []byte { return s.who.Key }

// Sign signs the transcript and puts the signature beside it.
func (s *Signing) Sign(signer approval.Signer) error {
	if !s.meant {
		return refusal.New("transcript", "digest", "one that the signer brought", "none")
	}
	if !bytes.Equal(signer.Public(), s.who.Key) {
		return refusal.New("transcript", "signer", "the key of attendant "+string(s.name), "another")
	}
	signed, err := signer.Sign(canon.KindTranscript, s.t.document, approval.NamespaceCeremony)
	if err != nil {
		return err
	}
	return s.put(signed.Signature)
}

// Import verifies a signature in OpenSSH's text form, as `ssh-keygen -Y sign` makes it, and puts it beside the transcript.
func (s *Signing) Import(path string) error {
	text, err := readAtMost(path, maxArmor)
	if err != nil {
		return err
	}
	signed, err := approval.Import(canon.KindTranscript, s.t.document, approval.NamespaceCeremony, s.who.Key, text)
	if err != nil {
		return refusal.New("transcript", "signature", "one by "+string(s.name), err.Error())
	}
	return s.put(signed.Signature)
}

// put writes the signature. One that is there already and good may stay; a bad one is in the way of nobody.
func (s *Signing) put(signature []byte) error {
	path := SignatureFile(s.path, s.name)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return writeFile(path, approval.Armor(signature))
}
