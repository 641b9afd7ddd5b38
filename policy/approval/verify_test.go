package approval_test

import (
	"crypto/rand"
	"crypto/rsa"
	"testing"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

func TestVerifyRequestTakesBothSchemes(t *testing.T) {
	c := open(t)
	r := baseRequest(c)
	for name, s := range map[string]approval.Signer{"raw": approval.NewRawSigner(chartertest.Key("acme")), "ssh": signer(t, "acme")} {
		got, err := approval.VerifyRequest(c, sign(t, s, r))
		if err != nil || got.WithdrawalID() != r.WithdrawalID() {
			t.Errorf("%s: expected the request, found %v, %v", name, got, err)
		}
		if string(s.Public()) != string(chartertest.SSH("acme")) {
			t.Errorf("%s: expected the key in SSH wire format, found %x", name, s.Public())
		}
	}
}

func TestVerifyRequestRefusesWhatTheClientMayNot(t *testing.T) {
	c := open(t)
	for name, tt := range map[string]struct {
		change func(*canon.Request)
		signer string
		field  string
	}{
		"other organisation":       {func(r *canon.Request) { r.Organisation[0] ^= 1 }, "acme", "organisation"},
		"signed by another":        {func(*canon.Request) {}, "beta", "signature"},
		"key of another client":    {func(r *canon.Request) { r.Requester = chartertest.Public("beta") }, "beta", "requester"},
		"key of nobody":            {func(r *canon.Request) { r.Requester = chartertest.Public("eve") }, "eve", "requester"},
		"device key":               {func(r *canon.Request) { r.Requester = chartertest.Public("acme-device") }, "acme-device", "requester"},
		"officer's key":            {func(r *canon.Request) { r.Requester = chartertest.Public("alice") }, "alice", "requester"},
		"account of another":       {func(r *canon.Request) { r.Account = "beta-main" }, "acme", "account"},
		"account of nobody":        {func(r *canon.Request) { r.Account = "none" }, "acme", "account"},
		"wallet without account":   {func(r *canon.Request) { r.Wallet = "btc-house" }, "acme", "wallet"},
		"wallet of nobody":         {func(r *canon.Request) { r.Wallet = "none" }, "acme", "wallet"},
		"wallet of another chain":  {func(r *canon.Request) { r.Wallet = "eth-hot" }, "acme", "chain"},
		"account any":              {func(r *canon.Request) { r.Account = canon.Any }, "acme", "account"},
		"client any with own key":  {func(r *canon.Request) { r.Client = canon.Any }, "acme", "requester"},
		"client that is not there": {func(r *canon.Request) { r.Client = "eve" }, "acme", "requester"},
	} {
		t.Run(name, func(t *testing.T) {
			r := baseRequest(c)
			tt.change(&r)
			_, err := approval.VerifyRequest(c, forge(tt.signer, canon.KindRequest, encode(t, r)))
			refusedField(t, err, tt.field)
		})
	}
}

func TestVerifyRequestRefusesEveryOtherSignature(t *testing.T) {
	c := open(t)
	document := encode(t, baseRequest(c))
	message := canon.KindRequest.Message(document)
	asSSH := func(name string, change func(*blob)) canon.Signed {
		return canon.Signed{Document: document, Scheme: canon.SSHSig, Signature: forgeSSH(t, name, message, change)}
	}
	request := func(b *blob) { b.Namespace = approval.NamespaceRequest }
	if _, err := approval.VerifyRequest(c, asSSH("acme", request)); err != nil {
		t.Fatalf("unchanged: %v", err)
	}
	raw := forge("acme", canon.KindRequest, document)
	for name, s := range map[string]canon.Signed{
		"namespace of approvals": asSSH("acme", func(*blob) {}),
		"another client's key":   asSSH("beta", request),
		"signature of another kind": {
			Document: document, Scheme: canon.Ed25519, Signature: forge("acme", canon.KindIntent, document).Signature,
		},
		"unknown scheme":         {Document: document, Scheme: 3, Signature: raw.Signature},
		"raw under the SSH mark": {Document: document, Scheme: canon.SSHSig, Signature: raw.Signature},
		"SSH under the raw mark": {Document: document, Scheme: canon.Ed25519, Signature: asSSH("acme", request).Signature},
		"no signature":           {Document: document, Scheme: canon.Ed25519},
		"sk form of the client's key": {
			Document: document, Scheme: canon.SSHSig, Signature: forgeSK("acme", "ssh:", approval.NamespaceRequest, message, 1),
		},
	} {
		_, err := approval.VerifyRequest(c, s)
		if refusal.Of(err) == nil {
			t.Errorf("%s: expected a refusal, found %v", name, err)
		}
	}
	_, err := approval.VerifyRequest(c, canon.Signed{Document: []byte("x"), Scheme: canon.Ed25519, Signature: raw.Signature})
	refusedField(t, err, "document")
}

func TestEveryChangedByteOfASignedRequestIsRefused(t *testing.T) {
	c := open(t)
	good := sign(t, signer(t, "acme"), baseRequest(c))
	for i := range good.Document {
		bad := good
		bad.Document = append([]byte{}, good.Document...)
		bad.Document[i] ^= 1
		if _, err := approval.VerifyRequest(c, bad); err == nil {
			t.Errorf("document byte %d: expected a refusal, found none", i)
		}
	}
	for i := range good.Signature {
		bad := good
		bad.Signature = append([]byte{}, good.Signature...)
		bad.Signature[i] ^= 1
		if _, err := approval.VerifyRequest(c, bad); err == nil {
			t.Errorf("signature byte %d: expected a refusal, found none", i)
		}
	}
}

func TestVerifyApprovalRefusesEveryOtherForm(t *testing.T) {
	c := open(t)
	document := encode(t, baseApproval(c, "alice"))
	message := canon.KindApproval.Message(document)
	for name, change := range map[string]func(*blob){
		"namespace of requests":   func(b *blob) { b.Namespace = approval.NamespaceRequest },
		"namespace of files":      func(b *blob) { b.Namespace = "file" },
		"no namespace":            func(b *blob) { b.Namespace = "" },
		"hash sha256":             func(b *blob) { b.Hash = "sha256" },
		"something reserved":      func(b *blob) { b.Reserved = "x" },
		"another version":         func(b *blob) { b.Version = 2 },
		"another magic":           func(b *blob) { b.Magic[0] = 's' },
		"trailing byte":           func(b *blob) { b.Trailing = []byte{0} },
		"byte after signature":    func(b *blob) { b.Rest = []byte{0} },
		"another format":          func(b *blob) { b.Format = ssh.KeyAlgoRSA },
		"another officer's key":   func(b *blob) { b.PublicKey = string(chartertest.SSH("bob")) },
		"key of nobody":           func(b *blob) { b.PublicKey = string(chartertest.SSH("eve")) },
		"no key":                  func(b *blob) { b.PublicKey = "" },
		"more than a page of key": func(b *blob) { b.PublicKey = string(make([]byte, 5000)) },
	} {
		for _, signature := range [][]byte{forgeSSH(t, "alice", message, change), tamperSSH(t, "alice", message, change)} {
			_, err := approval.VerifyApproval(c, canon.Signed{Document: document, Scheme: canon.SSHSig, Signature: signature})
			if refusal.Of(err) == nil {
				t.Errorf("%s: expected a refusal, found %v", name, err)
			}
		}
	}
	good := canon.Signed{Document: document, Scheme: canon.SSHSig, Signature: forgeSSH(t, "alice", message, func(*blob) {})}
	if a, err := approval.VerifyApproval(c, good); err != nil || a.Officer != "alice" {
		t.Errorf("unchanged: expected alice's approval, found %v, %v", a, err)
	}
	_, err := approval.VerifyApproval(c, forge("alice", canon.KindApproval, document))
	refusedField(t, err, "signature") // raw Ed25519 is for clients
}

func TestVerifyApprovalRefusesOtherPersonsAndOrganisations(t *testing.T) {
	c := open(t)
	for name, tt := range map[string]struct {
		change func(*canon.Approval)
		signer string
		field  string
	}{
		"other organisation": {func(a *canon.Approval) { a.Organisation[0] ^= 1 }, "alice", "organisation"},
		"another officer":    {func(a *canon.Approval) { a.Officer = "bob" }, "alice", "signature"},
		"unknown officer":    {func(a *canon.Approval) { a.Officer = "eve" }, "eve", "officer"},
		"officer's device":   {func(*canon.Approval) {}, "alice-device", "signature"},
		"client's key":       {func(*canon.Approval) {}, "acme", "signature"},
	} {
		a := baseApproval(c, "alice")
		tt.change(&a)
		_, err := approval.VerifyApproval(c, sign(t, signer(t, tt.signer), a))
		if err == nil {
			t.Errorf("%s: expected a refusal, found none", name)
			continue
		}
		refusedField(t, err, tt.field)
	}
	st := baseStatement(c, "alice", canon.StateReject)
	if got, err := approval.VerifyStatement(c, sign(t, signer(t, "alice"), st)); err != nil || got.Officer != "alice" {
		t.Errorf("statement: expected alice's, found %v, %v", got, err)
	}
	_, err := approval.VerifyStatement(c, sign(t, signer(t, "bob"), st))
	refusedField(t, err, "signature")
	// A statement's bytes are no approval, and the other way round.
	_, err = approval.VerifyApproval(c, sign(t, signer(t, "alice"), st))
	refusedField(t, err, "document")
}

// withOfficerKey is the test charter with another first key of alice.
func withOfficerKey(t *testing.T, wire []byte, class canon.KeyClass) *charter.Charter {
	g := chartertest.Genesis()
	g.Officers[0].Keys[0] = canon.OfficerKey{Public: wire, Class: class}
	return chartertest.Open(t, g)
}

func TestHardwareKeyMustShowThatSomebodyTouchedIt(t *testing.T) {
	c := withOfficerKey(t, skWire("touch", "ssh:"), canon.ClassPresence)
	document := encode(t, baseApproval(c, "alice"))
	message := canon.KindApproval.Message(document)
	for name, tt := range map[string]struct {
		signature []byte
		ok        bool
	}{
		"touched":              {forgeSK("touch", "ssh:", approval.NamespaceApproval, message, 1), true},
		"touched and verified": {forgeSK("touch", "ssh:", approval.NamespaceApproval, message, 5), true},
		"not touched":          {forgeSK("touch", "ssh:", approval.NamespaceApproval, message, 0), false},
		"verified only":        {forgeSK("touch", "ssh:", approval.NamespaceApproval, message, 4), false},
		"another application":  {forgeSK("touch", "ssh:other", approval.NamespaceApproval, message, 1), false},
		"a web application":    {forgeSK("touch", "https://x", approval.NamespaceApproval, message, 1), false},
		"the inner key itself": {forgeSSH(t, "touch", message, func(*blob) {}), false},
	} {
		_, err := approval.VerifyApproval(c, canon.Signed{Document: document, Scheme: canon.SSHSig, Signature: tt.signature})
		if (err == nil) != tt.ok {
			t.Errorf("%s: expected accepted %v, found %v", name, tt.ok, err)
		}
	}
}

func TestRSASignsWithSHA2ThroughAnAgentAndNeverWithSHA1(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	wire := inner.PublicKey().Marshal()
	c := withOfficerKey(t, wire, canon.ClassToken)
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	s, err := approval.FromAgent(ring, wire)
	if err != nil {
		t.Fatal(err)
	}
	signed := sign(t, s, baseApproval(c, "alice"))
	if _, err := approval.VerifyApproval(c, signed); err != nil {
		t.Error(err)
	}
	b := newBlob(wire)
	old, err := inner.(ssh.AlgorithmSigner).SignWithAlgorithm(rand.Reader, b.toSign(canon.KindApproval.Message(signed.Document)), ssh.KeyAlgoRSA)
	if err != nil {
		t.Fatal(err)
	}
	signed.Signature = b.marshal(old)
	_, err = approval.VerifyApproval(c, signed)
	refusedField(t, err, "signature")
}

func TestRequestAndApprovalTimes(t *testing.T) {
	c := open(t)
	r := baseRequest(c)
	for at, want := range map[canon.Time]string{3999: "not_before", 4000: "", 6000: "", 6001: "not_after"} {
		if err := approval.CheckRequestTime(&r, at); want == "" && err != nil {
			t.Errorf("%d: expected valid, found %v", at, err)
		} else if want != "" {
			refusedField(t, err, want)
		}
	}
	a := baseApproval(c, "alice")
	if err := approval.CheckApprovalTime(&a, a.NotAfter); err != nil {
		t.Errorf("last second: %v", err)
	}
	refusedField(t, approval.CheckApprovalTime(&a, a.NotAfter+1), "not_after")
	a.Decision = canon.Reject
	if err := approval.CheckApprovalTime(&a, a.NotAfter+1); err != nil {
		t.Errorf("rejection: expected no end, found %v", err)
	}
}
