package approval

import (
	"bytes"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/proto/canon"
)

func TestAttendantsSignTranscriptsAndNothingElsePassesForThat(t *testing.T) {
	_, alice, err := NewKeyFile([]byte("correct horse"), "")
	if err != nil {
		t.Fatal(err)
	}
	_, bob, err := NewKeyFile([]byte("correct horse"), "")
	if err != nil {
		t.Fatal(err)
	}
	document, err := canon.Encode(canon.Transcript{Purpose: canon.CeremonyGenerate, Present: []canon.Attendant{{Name: "alice", Key: alice.Public()}}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := alice.Sign(canon.KindTranscript, document, NamespaceCeremony)
	if err != nil {
		t.Fatal(err)
	}
	if err := VerifyAttendant(document, alice.Public(), s.Signature); err != nil {
		t.Errorf("a good signature: %v", err)
	}
	other := bytes.Clone(document)
	other[len(other)-1] ^= 1
	for name, c := range map[string]struct {
		document, public []byte
		want             string
	}{
		"another's key":       {document, bob.Public(), "by the attendant's key"},
		"another transcript":  {other, alice.Public(), "of the document by its key"},
		"an approval's bytes": {canon.KindApproval.Message(document), alice.Public(), "of the document by its key"},
	} {
		if err := VerifyAttendant(c.document, c.public, s.Signature); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := VerifyAttendant(document, alice.Public(), s.Signature[:20]); err == nil {
		t.Error("a signature that was cut was accepted")
	}
	// An officer's signature of an approval made with the same key says nothing about a transcript, and the other way round.
	for _, namespace := range []string{NamespaceApproval, NamespaceRequest, ""} {
		if _, err := alice.Sign(canon.KindTranscript, document, namespace); err == nil {
			t.Errorf("signed a transcript under namespace %q", namespace)
		}
	}
	approved := marshalSignature(alice.(*sshSigner).key, NamespaceApproval, must(alice.(*sshSigner).sign(toSign(NamespaceApproval, canon.KindTranscript.Message(document)))))
	if err := VerifyAttendant(document, alice.Public(), approved); err == nil || !strings.Contains(err.Error(), NamespaceCeremony) {
		t.Errorf("a signature under the namespace of approvals: %v", err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
