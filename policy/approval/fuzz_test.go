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

// FuzzStatement changes documents of statements: none but the genuine one is ever opened, and no set takes what does not decode.
func FuzzStatement(f *testing.F) {
	c := open(f)
	good := say(f, c, "alice", "alice", canon.StateRevoke, keyOf("alice-token"))
	f.Add(good.Document)
	f.Add(say(f, c, "alice", "alice", canon.StateFreeze, c.Organisation()).Document)
	f.Add(say(f, c, "bob", "bob", canon.StateReject, intent).Document)
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, document []byte) {
		changed := canon.Signed{Document: document, Scheme: good.Scheme, Signature: good.Signature}
		st, err := approval.OpenStatement(c, changed)
		if (err == nil) != bytes.Equal(document, good.Document) || (err == nil) != (st != nil) || (err != nil && refusal.Of(err) == nil) {
			t.Errorf("expected the genuine document alone to verify, found %v for %x", err, document)
		}
		set := approval.NewSet()
		fresh, err := set.Add(changed, now)
		if fresh != (err == nil) || set.Len() != len(set.IDs(canon.Digest{}, 2)) || fresh != (set.Len() == 1) {
			t.Errorf("expected a statement or an error, found %v, %v and %d statements", fresh, err, set.Len())
		}
		_, _ = set.Frozen(now, 1<<64-1)
	})
}
