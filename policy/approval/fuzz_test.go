package approval_test

import (
	"bytes"
	"testing"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// FuzzSignature changes signatures of a genuine approval: nothing but the genuine one ever verifies.
func FuzzSignature(f *testing.F) {
	c := open(f)
	good := sign(f, signer(f, "alice"), baseApproval(c, "alice"))
	f.Add(good.Signature)
	f.Add(good.Signature[:len(good.Signature)-1])
	f.Add(append(bytes.Clone(good.Signature), 0))
	f.Add(forgeSK("alice", "ssh:", approval.NamespaceApproval, canon.KindApproval.Message(good.Document), 1))
	f.Add([]byte("SSHSIG"))
	f.Fuzz(func(t *testing.T, signature []byte) {
		_, err := approval.VerifyApproval(c, canon.Signed{Document: good.Document, Scheme: canon.SSHSig, Signature: signature})
		if (err == nil) != bytes.Equal(signature, good.Signature) {
			t.Errorf("expected the genuine signature alone to verify, found %v for %x", err, signature)
		}
		if err != nil && refusal.Of(err) == nil {
			t.Errorf("expected a refusal, found %v", err)
		}
	})
}

func FuzzUnarmor(f *testing.F) {
	c := open(f)
	f.Add(approval.Armor(sign(f, signer(f, "alice"), baseApproval(c, "alice")).Signature))
	f.Add([]byte("-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----"))
	f.Add([]byte("-----BEGIN SSH SIGNATURE-----"))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := approval.Unarmor(text)
		if err != nil {
			return
		}
		again, err := approval.Unarmor(approval.Armor(b))
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("expected %x back, found %x, %v", b, again, err)
		}
	})
}
