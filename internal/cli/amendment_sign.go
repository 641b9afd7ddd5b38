package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/poolcheck"
	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

// Ballot says how an officer signs an amendment.
type Ballot struct {
	File     string
	Number   string        // typed on the terminal if empty
	Valid    time.Duration // beyond the time for which signers hold it
	Recovery bool          // with a recovery key, for officers who are lost
	Reason   string
}

// SignAmendment shows an amendment, has its number confirmed, and adds this officer's approval to the file.
func (s *Session) SignAmendment(b Ballot) error {
	d, err := s.votable(b.File)
	if err != nil {
		return err
	}
	if err := s.confirmNumber(d.Amendment.Number, b.Number); err != nil {
		return err
	}
	document, err := s.vote(d, b)
	if err != nil {
		return err
	}
	signer, err := s.signer()
	if err != nil {
		return err
	}
	if err := s.eligible(d, signer.Public(), b.Recovery); err != nil {
		return err
	}
	signed, err := signer.Sign(canon.KindApproval, document, approval.NamespaceApproval)
	if err != nil {
		return err
	}
	return s.addVote(b.File, d, signed)
}

// votable reads an amendment's file, shows it (beside a JSON result: on Err), and refuses it while the charter in force is in doubt, or if a pool of keys
// that it names does not fit.
func (s *Session) votable(path string) (*draft, error) {
	d, err := s.readDraft(path)
	if err != nil {
		return nil, err
	}
	var t text
	s.amendmentView(d).writeText(&t)
	out := s.Out
	if s.JSON {
		out = s.Err
	}
	if _, err := fmt.Fprintln(out, t.String()); err != nil {
		return nil, err
	}
	if err := s.settled(); err != nil {
		return nil, err
	}
	if err := poolcheck.Refused(s.checkPools(d.Next)); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

func (s *Session) confirmNumber(number uint64, given string) error {
	if given == "" {
		if s.Terminal == nil {
			return errors.New("number: expected --number with the amendment's number, as there is no terminal to type it on")
		}
		line, err := s.Terminal.Line("To approve, type the number of the amendment: ")
		if err != nil {
			return fmt.Errorf("number: %w", err)
		}
		given = line
	}
	if typed, err := strconv.ParseUint(strings.TrimSpace(given), 10, 64); err != nil || typed != number {
		return fmt.Errorf("%w: number: expected the amendment's, found %q", ErrRefused, given)
	}
	return nil
}

// vote encodes the approval. It lasts beyond the time for which signers hold the amendment, or they could not enact it.
func (s *Session) vote(d *draft, b Ballot) ([]byte, error) {
	officer, delay := s.Config.Name, d.Delay
	if b.Recovery {
		officer, delay = charter.RecoveryOfficer, max(amendment.Delay(s.Charter.Genesis(), d.Diff, true), delay)
	}
	begin := s.Now()
	if at := d.Amendment.NotBefore.At(); at.After(begin) {
		begin = at
	}
	return canon.Encode(canon.Approval{Organisation: s.Charter.Organisation(), Object: canon.ObjectAmendment, Digest: d.Digest, Decision: canon.Approve,
		Officer: officer, NotAfter: canon.TimeOf(begin.Add(time.Duration(delay)*time.Second + b.Valid)), Reason: canon.Text(b.Reason)})
}

// eligible refuses a key whose approval of this amendment would not verify as this person's.
func (s *Session) eligible(d *draft, public []byte, recovery bool) error {
	if recovery {
		if !slices.ContainsFunc(s.Charter.Genesis().Recovery, func(k []byte) bool { return string(k) == string(public) }) {
			return fmt.Errorf("%w: key: expected a recovery key of the charter, found another", ErrRefused)
		}
		return nil
	}
	first, _ := s.Chain.Charter(1)
	for _, c := range []*charter.Charter{s.Charter, d.Next, first} {
		if o, ok := c.OfficerByKey(public); ok && o.Name == s.Config.Name {
			return nil
		}
	}
	return fmt.Errorf("key: expected one that the charter gives to officer %q, found another", s.Config.Name)
}

// addVote verifies an approval, adds it to the file and prints the amendment. An earlier approval by the same officer goes.
func (s *Session) addVote(path string, d *draft, signed canon.Signed) error {
	by, err := s.voter(d.Proposal, signed)
	if err != nil {
		return err
	}
	e := canon.CharterEntry{Organisation: d.Amendment.Organisation, Step: canon.StepPropose, Amendment: d.Encoding, Approvals: []canon.Signed{}}
	for _, old := range d.Approvals {
		if who, err := s.voter(d.Proposal, old); err == nil && (who != by || by == charter.RecoveryOfficer) {
			e.Approvals = append(e.Approvals, old)
		}
	}
	e.Approvals = append(e.Approvals, signed)
	next, err := s.draft(e, nil)
	if err != nil {
		return err
	}
	if err := writeDraft(path, next); err != nil {
		return err
	}
	v := s.amendmentView(next)
	v.File = path
	return s.Print(votedView{v, string(by)})
}

// votedView is an amendment that was shown before, and who approved it just now.
type votedView struct {
	AmendmentView
	Voted string `json:"voted"`
}

func (v votedView) writeText(t *text) {
	t.say("approved by %s: amendment %s, number %s", v.Voted, v.Amendment[:16], v.Number)
	t.field("Approved by", v.approvedBy())
	t.field("File", v.File)
}

// ExportAmendment shows the amendment of a file and writes the message whose signature approves it.
func (s *Session) ExportAmendment(b Ballot, out string) error {
	d, err := s.votable(b.File)
	if err != nil {
		return err
	}
	document, err := s.vote(d, b)
	if err != nil {
		return err
	}
	if err := writeNew(out, canon.KindApproval.Message(document), 0o644); err != nil {
		return err
	}
	return s.Print(ExportView{Amendment: d.Digest.String(), File: out, Namespace: approval.NamespaceApproval, next: "amendment import " + b.File})
}

// ImportAmendment adds an approval that was signed elsewhere to the file.
func (s *Session) ImportAmendment(path, document, signature string) error {
	d, err := s.votable(path)
	if err != nil {
		return err
	}
	signed, err := readSignature(document, signature)
	if err != nil {
		return err
	}
	return s.addVote(path, d, signed)
}
