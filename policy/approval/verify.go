package approval

import (
	"bytes"
	"crypto/ed25519"
	"fmt"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"golang.org/x/crypto/ssh"
)

// Namespaces of OpenSSH signatures: a signature made under one is never valid under another.
const (
	NamespaceApproval = "strongroom-approval@v1" // approvals and statements
	NamespaceRequest  = "strongroom-request@v1"
)

// VerifyRequest verifies a client's request: the signature by the requester, raw or in OpenSSH's format, that the requester may ask for it, that
// the account is the client's and not the pool of an omnibus wallet, that the wallet is on the request's chain and holds the account, and that
// every output said to be the account's own names such a wallet too; whether its address is, package guard derives. The requester is a key of
// the client, or one of a treasury desk, which moves assets between wallets of one account and asks for nothing else. It does not judge time: see
// CheckRequestTime. The error is a *refusal.Refusal with every check that failed.
func VerifyRequest(c *charter.Charter, s canon.Signed) (*canon.Request, error) {
	const rule = "request"
	var r canon.Request
	if err := canon.Decode(s.Document, &r); err != nil {
		return nil, refusal.New(rule, "document", "a canonical request", err.Error())
	}
	var l refusal.List
	if err := verifyClientSignature(s, r.Requester); err != nil {
		l.Add(rule, "signature", "one by the requester "+r.Requester.String(), err.Error())
	}
	if r.Organisation != c.Organisation() {
		l.Add(rule, "organisation", c.Organisation().String(), r.Organisation.String())
	}
	verifyRequester(&l, c, &r)
	a, ok := c.Account(r.Account)
	if !ok || a.Client != r.Client {
		l.Add(rule, "account", "an account of client "+string(r.Client), describe(a.Client, string(r.Account)))
	}
	if a.Kind == canon.Pool {
		l.Add(rule, "account", "an account whose assets somebody owns", "the pool "+string(a.Name)+", from which nobody withdraws")
	}
	verifyWallet(&l, c, &r, "", r.Wallet)
	for i, o := range r.Outputs {
		if o.Own != nil {
			verifyWallet(&l, c, &r, fmt.Sprintf("outputs[%d].own.", i), o.Own.Wallet)
		}
	}
	if err := l.Err(); err != nil {
		return nil, err
	}
	return &r, nil
}

// verifyRequester asks whether the requester is a key of the client's, or of a desk that may ask for what the request asks for.
func verifyRequester(l *refusal.List, c *charter.Charter, r *canon.Request) {
	const rule = "request"
	if client, ok := c.Client(r.Client); ok && client.Treasury {
		l.Add(rule, "client", "a client that owns assets", "the treasury desk "+string(r.Client))
	}
	owner, ok := c.ClientByKey(r.Requester)
	if !ok || owner.Name != r.Client && !owner.Treasury {
		l.Add(rule, "requester", "a key of client "+string(r.Client)+", or of a treasury desk", describe(owner.Name, r.Requester.String()))
	}
	if !owner.Treasury {
		return
	}
	if r.Call != nil {
		l.Add(rule, "call", "none of treasury desk "+string(owner.Name)+", which moves assets between wallets of one account", "a contract call")
	}
	for i, o := range r.Outputs {
		if o.Own == nil {
			l.Add(rule, fmt.Sprintf("outputs[%d].own", i), "an address of account "+string(r.Account)+", to which alone treasury desk "+string(owner.Name)+" moves assets", "an outside address")
		}
	}
}

// verifyWallet asks whether a wallet of the request, whose fields the refusal puts at, is on its chain and holds its account.
func verifyWallet(l *refusal.List, c *charter.Charter, r *canon.Request, at string, name canon.Name) {
	const rule = "request"
	w, ok := c.Wallet(name)
	if _, holds := c.Holder(w, r.Account); !ok || !holds {
		l.Add(rule, at+"wallet", "a wallet that holds account "+string(r.Account), string(name))
	}
	if ok && w.Chain != r.Chain {
		l.Add(rule, at+"chain", "the wallet's, "+string(w.Chain), string(r.Chain))
	}
}

// describe names a thing and whose it is, if anybody's.
func describe(owner canon.Name, thing string) string {
	if owner == "" {
		return thing + " of nobody"
	}
	return thing + " of " + string(owner)
}

func verifyClientSignature(s canon.Signed, key canon.PublicKey) error {
	if err := s.Check(); err != nil {
		return err
	}
	message := canon.KindRequest.Message(s.Document)
	if s.Scheme == canon.Ed25519 {
		if !ed25519.Verify(key[:], message, s.Signature) {
			return fmt.Errorf("a raw Ed25519 signature that does not verify")
		}
		return nil
	}
	sig, err := parseSignature(s.Signature)
	if err != nil {
		return err
	}
	if !bytes.Equal(sig.wire, ed25519Wire(key[:])) {
		return fmt.Errorf("a signature by another key of type %s", sig.key.Type())
	}
	return sig.verify(NamespaceRequest, message)
}

// ed25519Wire returns the SSH wire format of an Ed25519 key (RFC 8709 section 4).
func ed25519Wire(key []byte) []byte {
	return ssh.Marshal(struct {
		Type string
		Key  []byte
	}{ssh.KeyAlgoED25519, key})
}

// CheckRequestTime refuses a request that is not valid yet or no longer; both ends belong to it.
func CheckRequestTime(r *canon.Request, now canon.Time) error {
	var l refusal.List
	if now < r.NotBefore {
		l.Add("request", "not_before", fmt.Sprintf("at most %d", now), fmt.Sprint(r.NotBefore))
	}
	if now > r.NotAfter {
		l.Add("request", "not_after", fmt.Sprintf("at least %d", now), fmt.Sprint(r.NotAfter))
	}
	return l.Err()
}

// CheckApprovalTime refuses an approval that is no longer valid. A rejection or a withdrawal never expires.
func CheckApprovalTime(a *canon.Approval, now canon.Time) error {
	if a.Decision == canon.Approve && now > a.NotAfter {
		return refusal.New("approval", "not_after", fmt.Sprintf("at least %d", now), fmt.Sprint(a.NotAfter))
	}
	return nil
}

// VerifyApproval verifies an approval: the signature by a key of the officer that it names, and the organisation. It does not judge
// time: see CheckApprovalTime. The error is a *refusal.Refusal with every check that failed.
func VerifyApproval(c *charter.Charter, s canon.Signed) (*canon.Approval, error) {
	a, _, err := verifyApproval(c, s)
	return a, err
}

func verifyApproval(c *charter.Charter, s canon.Signed) (*canon.Approval, canon.OfficerKey, error) {
	var a canon.Approval
	if err := canon.Decode(s.Document, &a); err != nil {
		return nil, canon.OfficerKey{}, refusal.New("approval", "document", "a canonical approval", err.Error())
	}
	key, err := verifyOfficer(c, s, "approval", canon.KindApproval, a.Organisation, a.Officer)
	if err != nil {
		return nil, canon.OfficerKey{}, err
	}
	return &a, key, nil
}

// verifyOfficer checks organisation, officer and signature of an officer's document and returns the key that signed.
func verifyOfficer(c *charter.Charter, s canon.Signed, rule string, kind canon.Kind, organisation canon.Digest, name canon.Name) (canon.OfficerKey, error) {
	var l refusal.List
	if organisation != c.Organisation() {
		l.Add(rule, "organisation", c.Organisation().String(), organisation.String())
	}
	officer, ok := c.Officer(name)
	if !ok {
		l.Add(rule, "officer", "an officer of the charter", string(name))
		return canon.OfficerKey{}, l.Err()
	}
	key, err := verifyOfficerSignature(officer, s, kind)
	if err != nil {
		l.Add(rule, "signature", "one by a key of officer "+string(name), err.Error())
	}
	return key, l.Err()
}

func verifyOfficerSignature(officer canon.Officer, s canon.Signed, kind canon.Kind) (canon.OfficerKey, error) {
	var none canon.OfficerKey
	if err := s.Check(); err != nil {
		return none, err
	}
	if s.Scheme != canon.SSHSig {
		return none, fmt.Errorf("scheme %d, officers sign with scheme %d (SSHSIG)", s.Scheme, canon.SSHSig)
	}
	sig, err := parseSignature(s.Signature)
	if err != nil {
		return none, err
	}
	// The key is matched before anything is computed under it.
	for _, k := range officer.Keys {
		if bytes.Equal(k.Public, sig.wire) {
			return k, sig.verify(NamespaceApproval, kind.Message(s.Document))
		}
	}
	return none, fmt.Errorf("a signature by %s, no key of this officer", ssh.FingerprintSHA256(sig.key))
}
