package approval

import (
	"bytes"
	"fmt"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"golang.org/x/crypto/ssh"
)

// OpenApproval is VerifyApproval for those who count: it also returns the key that signed, as the charter names it.
func OpenApproval(c *charter.Charter, s canon.Signed) (*canon.Approval, canon.OfficerKey, error) {
	return verifyApproval(c, s)
}

// OpenRecovery verifies an approval by one of the charter's recovery keys: it names charter.RecoveryOfficer as its officer. It returns
// the key that signed, in SSH wire format. It does not judge time. The error is a *refusal.Refusal with every check that failed.
func OpenRecovery(c *charter.Charter, s canon.Signed) (*canon.Approval, []byte, error) {
	var a canon.Approval
	if err := canon.Decode(s.Document, &a); err != nil {
		return nil, nil, refusal.New("approval", "document", "a canonical approval", err.Error())
	}
	var l refusal.List
	if a.Organisation != c.Organisation() {
		l.Add("approval", "organisation", c.Organisation().String(), a.Organisation.String())
	}
	if a.Officer != charter.RecoveryOfficer {
		l.Add("approval", "officer", string(charter.RecoveryOfficer), string(a.Officer))
	}
	key, err := verifyRecoverySignature(c.Genesis().Recovery, s)
	if err != nil {
		l.Add("approval", "signature", "one by a recovery key", err.Error())
	}
	if err := l.Err(); err != nil {
		return nil, nil, err
	}
	return &a, key, nil
}

func verifyRecoverySignature(keys [][]byte, s canon.Signed) ([]byte, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	if s.Scheme != canon.SSHSig {
		return nil, fmt.Errorf("scheme %d, recovery keys sign with scheme %d (SSHSIG)", s.Scheme, canon.SSHSig)
	}
	sig, err := parseSignature(s.Signature)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if bytes.Equal(k, sig.wire) {
			return k, sig.verify(NamespaceApproval, canon.KindApproval.Message(s.Document))
		}
	}
	return nil, fmt.Errorf("a signature by %s, no recovery key", ssh.FingerprintSHA256(sig.key))
}
