package approval

import (
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// KindOfficerKey is the type string under which statements name an officer's key.
const KindOfficerKey = canon.Kind("strongroom/officer-key/v1")

// KeyDigest returns the name of an officer's key in statements, from its SSH wire format.
func KeyDigest(wire []byte) canon.Digest { return KindOfficerKey.Digest(wire) }

// Statement is a statement whose signature was verified.
type Statement struct {
	canon.Statement
	ID     canon.Digest // of the document
	Key    canon.Digest // of the key that signed, see KeyDigest
	Signed canon.Signed
}

// VerifyStatement verifies a statement: the signature by a key of the officer that it names, the organisation, and that the object suits
// the verb: for freeze the organisation, for revoke one of the officer's own keys, for the others neither. Only a freeze may have a
// not-after, the last second at which it holds; whatever else stops something stops it for good. Time is not judged, nor whether the
// key was revoked: see Set.Admit. The error is a *refusal.Refusal with every check that failed.
func VerifyStatement(c *charter.Charter, s canon.Signed) (*canon.Statement, error) {
	st, err := OpenStatement(c, s)
	if err != nil {
		return nil, err
	}
	return &st.Statement, nil
}

// OpenStatement is VerifyStatement for those who record statements.
func OpenStatement(c *charter.Charter, s canon.Signed) (*Statement, error) {
	st := Statement{ID: canon.KindStatement.Digest(s.Document), Signed: s}
	if err := canon.Decode(s.Document, &st.Statement); err != nil {
		return nil, refusal.New("statement", "document", "a canonical statement", err.Error())
	}
	key, err := verifyOfficer(c, s, "statement", canon.KindStatement, st.Organisation, st.Officer)
	if err != nil {
		return nil, err
	}
	st.Key = KeyDigest(key.Public)
	var l refusal.List
	checkObject(&l, c, &st.Statement)
	if st.NotAfter != 0 && st.Verb != canon.StateFreeze {
		l.Add("statement", "not_after", "none, except in a freeze", fmt.Sprint(st.NotAfter))
	}
	if err := l.Err(); err != nil {
		return nil, err
	}
	return &st, nil
}

// checkObject holds the object against the verb, as far as the charter tells.
func checkObject(l *refusal.List, c *charter.Charter, st *canon.Statement) {
	officer, _ := c.Officer(st.Officer)
	ownKey := slices.ContainsFunc(officer.Keys, func(k canon.OfficerKey) bool { return KeyDigest(k.Public) == st.Object })
	organisation := st.Object == c.Organisation()
	found := st.Object.String()
	switch st.Verb {
	case canon.StateFreeze:
		if !organisation {
			l.Add("statement", "object", "the organisation, "+c.Organisation().String(), found)
		}
	case canon.StateRevoke:
		if !ownKey {
			l.Add("statement", "object", "a key of officer "+string(st.Officer), found)
		}
	case canon.StateReject, canon.StateWithdraw, canon.StateVeto:
		if organisation || ownKey || st.Object.IsZero() {
			l.Add("statement", "object", "the digest of an intent, an amendment or the like", found+", the organisation, a key or nothing")
		}
	default:
		l.Add("statement", "verb", "1 to 5", fmt.Sprint(st.Verb))
	}
}
