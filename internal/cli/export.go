package cli

import (
	"bytes"
	"context"
	"fmt"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
)

// ExportView is a message to be signed elsewhere.
type ExportView struct {
	Intent    string `json:"intent,omitempty"`
	Amendment string `json:"amendment,omitempty"`
	BookRoot  string `json:"book_root,omitempty"`
	File      string `json:"file"`
	Namespace string `json:"namespace"`

	next string // the command that takes the signature
}

func (v ExportView) writeText(t *text) {
	t.say("Written to %s. Sign it with the officer's key, and only if the above is right:", v.File)
	t.line("  ssh-keygen -Y sign -n %s -f KEY %s", v.Namespace, v.File)
	t.say("and hand in the result:")
	t.line("  strongroom %s --document %s --signature %s.sig", v.next, v.File, v.File)
}

// Export shows the intent and writes the message whose signature approves it.
func (s *Session) Export(ctx context.Context, name, out, reason string) error {
	p, err := s.approvable(ctx, name)
	if err != nil {
		return err
	}
	document, err := s.approvalFor(p, reason)
	if err != nil {
		return err
	}
	if err := writeNew(out, canon.KindApproval.Message(document), 0o644); err != nil {
		return err
	}
	return s.Print(ExportView{Intent: p.digest.String(), File: out, Namespace: approval.NamespaceApproval, next: "import"})
}

// maxApproval is more than the message of any approval, and more than any signature, in bytes.
const maxApproval = 16 << 10

// ApprovalView is an approval whose signature verifies.
type ApprovalView struct {
	Intent   string   `json:"intent"`
	Words    []string `json:"words"`
	Officer  string   `json:"officer"`
	Decision string   `json:"decision"`
	NotAfter string   `json:"not_after"`
	Reason   string   `json:"reason,omitempty"`
}

func (v ApprovalView) writeText(t *text) {
	t.say("The signature is %s's.", v.Officer)
	t.field("Intent", v.Intent)
	t.field("Decision", v.Decision)
	t.field("Valid until", v.NotAfter)
	if v.Reason != "" {
		t.field("Reason", v.Reason)
	}
}

// Import verifies an approval that was signed elsewhere and hands it in. With checkOnly nothing is sent and no server is asked.
func (s *Session) Import(ctx context.Context, document, signature string, checkOnly bool) error {
	signed, a, err := s.importFiles(document, signature)
	if err != nil {
		return err
	}
	if checkOnly {
		words := a.Digest.Words()
		return s.Print(ApprovalView{Intent: a.Digest.String(), Words: words[:], Officer: string(a.Officer), Decision: "approve",
			NotAfter: stamp(a.NotAfter), Reason: string(a.Reason)})
	}
	p, err := s.approvable(ctx, a.Digest.String())
	if err != nil {
		return err
	}
	return s.submitApproval(ctx, p, signed)
}

func (s *Session) importFiles(document, signature string) (canon.Signed, *canon.Approval, error) {
	signed, err := readSignature(document, signature)
	if err != nil {
		return signed, nil, err
	}
	a, err := approval.VerifyApproval(s.Charter, signed)
	if err != nil {
		return signed, nil, err
	}
	if a.Object != canon.ObjectIntent || a.Decision != canon.Approve || a.Officer != s.Config.Name {
		return signed, nil, fmt.Errorf("%w: %s: expected an approval of an intent by %q, found object %d, decision %d, officer %q",
			ErrRefused, document, s.Config.Name, a.Object, a.Decision, a.Officer)
	}
	return signed, a, nil
}

// readSignature reads the message of an approval and the signature that ssh-keygen made of it. It verifies nothing.
func readSignature(document, signature string) (canon.Signed, error) {
	message, err := readFile(document, maxApproval)
	if err != nil {
		return canon.Signed{}, err
	}
	armored, err := readFile(signature, maxApproval)
	if err != nil {
		return canon.Signed{}, err
	}
	bare, ok := bytes.CutPrefix(message, canon.KindApproval.Message(nil))
	if !ok {
		return canon.Signed{}, fmt.Errorf("%w: %s: expected the message of an approval, found another file", ErrRefused, document)
	}
	blob, err := approval.Unarmor(armored)
	if err != nil {
		return canon.Signed{}, fmt.Errorf("%s: %w", signature, err)
	}
	return canon.Signed{Document: bare, Scheme: canon.SSHSig, Signature: blob}, nil
}
