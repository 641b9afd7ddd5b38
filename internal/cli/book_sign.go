package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
)

// BookBallot says how an officer signs a version of the address book.
type BookBallot struct {
	File     string
	Serial   string // with Word: both typed on the terminal if both are empty
	Word     string // the first of the 12 words: each draft of a version has others
	Evidence []string
	Valid    time.Duration
	Reason   string
}

// SignBook checks a change on this machine, shows it, has its serial and first word confirmed, and adds this officer's approval to the file.
func (s *Session) SignBook(ctx context.Context, b BookBallot) error {
	d, err := s.signable(ctx, b)
	if err != nil {
		return err
	}
	if err := s.confirmVersion(d, b.Serial, b.Word); err != nil {
		return err
	}
	document, err := s.bookVote(d, b)
	if err != nil {
		return err
	}
	signer, err := s.signer()
	if err != nil {
		return err
	}
	if err := s.mine(signer); err != nil {
		return err
	}
	signed, err := signer.Sign(canon.KindApproval, document, approval.NamespaceApproval)
	if err != nil {
		return err
	}
	return s.addBookVote(b.File, d, signed)
}

// signable checks a change, shows it (beside a JSON result: on Err), and refuses what nobody should sign.
func (s *Session) signable(ctx context.Context, b BookBallot) (*bookDraft, error) {
	d, err := s.examined(ctx, b.File, b.Evidence, nil)
	if err != nil {
		return nil, err
	}
	var t text
	s.bookChangeView(d).writeText(&t)
	out := s.Out
	if s.JSON {
		out = s.Err
	}
	if _, err := fmt.Fprintln(out, t.String()); err != nil {
		return nil, err
	}
	if d.problem != nil {
		return nil, fmt.Errorf("%s: %w", b.File, d.problem)
	}
	if err := s.trusted(); err != nil {
		return nil, err
	}
	if q := s.Charter.Genesis().Book.Quorum; !s.counts(q) {
		return nil, fmt.Errorf("%s: expected an officer of the groups in %q, found %q, whose approval would not count", b.File, quorumText(q), s.Config.Name)
	}
	return d, nil
}

// confirmVersion makes sure that the person knows which draft of which version it is.
func (s *Session) confirmVersion(d *bookDraft, serial, word string) error {
	if serial == "" && word == "" {
		if s.Terminal == nil {
			return errors.New("serial, word: expected --serial and --word with the version's, as there is no terminal to type them on")
		}
		line, err := s.Terminal.Line("To approve, type the number of the version and the first of its words: ")
		if err != nil {
			return fmt.Errorf("serial, word: %w", err)
		}
		serial, word, _ = strings.Cut(strings.TrimSpace(line), " ")
	}
	if typed, err := strconv.ParseUint(strings.TrimSpace(serial), 10, 64); err != nil || typed != d.root.Serial {
		return fmt.Errorf("%w: serial: expected the version's, found %q", ErrRefused, serial)
	}
	if words := d.digest.Words(); strings.ToLower(strings.TrimSpace(word)) != words[0] {
		return fmt.Errorf("%w: word: expected the first of the 12 words above, found %q", ErrRefused, word)
	}
	return nil
}

// bookVote encodes the approval.
func (s *Session) bookVote(d *bookDraft, b BookBallot) ([]byte, error) {
	return canon.Encode(canon.Approval{Organisation: s.Charter.Organisation(), Object: canon.ObjectBookRoot, Digest: d.digest, Decision: canon.Approve,
		Officer: s.Config.Name, NotAfter: canon.TimeOf(s.Now().Add(b.Valid)), Reason: canon.Text(b.Reason)})
}

// addBookVote verifies an approval and adds it to the file. An earlier approval by the same officer goes.
func (s *Session) addBookVote(path string, d *bookDraft, signed canon.Signed) error {
	a, err := approval.VerifyApproval(s.Charter, signed)
	if err != nil {
		return err
	}
	approvals := []canon.Signed{signed}
	for _, old := range d.approvals {
		if o, err := approval.VerifyApproval(s.Charter, old); err == nil && o.Officer != a.Officer {
			approvals = append(approvals, old)
		}
	}
	if s.count(d, approvals, nil); len(d.invalid) > 0 {
		return fmt.Errorf("%w: %s", ErrRefused, d.invalid[0])
	}
	encoded, err := d.encode(d.approvals)
	if err != nil {
		return err
	}
	if err := replace(path, encoded, modeOf(path)); err != nil {
		return err
	}
	v := s.bookChangeView(d)
	v.File = path
	return s.Print(bookVoted{v, string(a.Officer)})
}

// modeOf returns the mode of a file, so that it can be kept; that of a file for its owner only if there is none.
func modeOf(path string) os.FileMode {
	if info, err := os.Stat(path); err == nil {
		return info.Mode().Perm()
	}
	return 0o600
}

// bookVoted is a change that was shown before, and who approved it just now.
type bookVoted struct {
	BookChangeView
	Voted string `json:"voted"`
}

func (v bookVoted) writeText(t *text) {
	t.say("approved by %s: version %s of the address book, %s", v.Voted, v.Serial, v.BookRoot[:16])
	t.field("Approved by", v.approvedBy())
	t.field("File", v.File)
}

// ExportBook checks and shows the change of a file and writes the message whose signature approves it.
func (s *Session) ExportBook(ctx context.Context, b BookBallot, out string) error {
	d, err := s.signable(ctx, b)
	if err != nil {
		return err
	}
	document, err := s.bookVote(d, b)
	if err != nil {
		return err
	}
	if err := writeNew(out, canon.KindApproval.Message(document), 0o644); err != nil {
		return err
	}
	return s.Print(ExportView{BookRoot: d.digest.String(), File: out, Namespace: approval.NamespaceApproval, next: "book import " + b.File})
}

// ImportBook adds an approval that was signed elsewhere to the file.
func (s *Session) ImportBook(path, document, signature string) error {
	d, err := s.readBookDraft(path)
	if err != nil {
		return err
	}
	signed, err := readSignature(document, signature)
	if err != nil {
		return err
	}
	return s.addBookVote(path, d, signed)
}
