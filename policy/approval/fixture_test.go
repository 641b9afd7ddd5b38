package approval_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

const now = canon.Time(5000)

func open(t testing.TB) *charter.Charter { return chartertest.Open(t, chartertest.Genesis()) }

// signer returns the officer's or client's signer of chartertest's key of that name, through an agent in memory.
func signer(t testing.TB, name string) approval.Signer {
	t.Helper()
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: chartertest.Key(name)}); err != nil {
		t.Fatal(err)
	}
	s, err := approval.FromAgent(ring, chartertest.SSH(name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func encode(t testing.TB, d canon.Document) []byte {
	t.Helper()
	b, err := canon.Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sign(t testing.TB, s approval.Signer, d canon.Document) canon.Signed {
	t.Helper()
	namespace := approval.NamespaceApproval
	if d.Kind() == canon.KindRequest {
		namespace = approval.NamespaceRequest
	}
	signed, err := s.Sign(d.Kind(), encode(t, d), namespace)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// forge signs bytes that Signer.Sign would refuse, raw.
func forge(name string, kind canon.Kind, document []byte) canon.Signed {
	return canon.Signed{Document: document, Scheme: canon.Ed25519, Signature: ed25519.Sign(chartertest.Key(name), kind.Message(document))}
}

// forgeSSH makes an OpenSSH signature with the key of that name over the form that change makes of it, field by field.
func forgeSSH(t testing.TB, name string, message []byte, change func(*blob)) []byte {
	t.Helper()
	b := newBlob(chartertest.SSH(name))
	change(&b)
	return b.marshal(blobSignature(t, name, b, message))
}

// tamperSSH makes a genuine OpenSSH signature with the key of that name and changes the form around it afterwards.
func tamperSSH(t testing.TB, name string, message []byte, change func(*blob)) []byte {
	t.Helper()
	b := newBlob(chartertest.SSH(name))
	sig := blobSignature(t, name, b, message)
	change(&b)
	return b.marshal(sig)
}

func blobSignature(t testing.TB, name string, b blob, message []byte) *ssh.Signature {
	t.Helper()
	key, err := ssh.NewSignerFromKey(chartertest.Key(name))
	if err != nil {
		t.Fatal(err)
	}
	sig, err := key.Sign(rand.Reader, b.toSign(message))
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// skWire is an sk-ssh-ed25519 key over chartertest's key of that name.
func skWire(name, application string) []byte {
	k := chartertest.Public(name)
	return ssh.Marshal(struct{ Type, Key, Application string }{ssh.KeyAlgoSKED25519, string(k[:]), application})
}

// forgeSK makes the signature that an authenticator makes (OpenSSH PROTOCOL.u2f), with these flags.
func forgeSK(name, application, namespace string, message []byte, flags byte) []byte {
	b := newBlob(skWire(name, application))
	b.Namespace = namespace
	app, data := sha256.Sum256([]byte(application)), sha256.Sum256(b.toSign(message))
	signed := append(append(app[:], flags, 0, 0, 0, 9), data[:]...)
	return b.marshal(&ssh.Signature{
		Format: ssh.KeyAlgoSKED25519, Blob: ed25519.Sign(chartertest.Key(name), signed), Rest: []byte{flags, 0, 0, 0, 9},
	})
}

func baseRequest(c *charter.Charter) canon.Request {
	return canon.Request{
		Organisation: c.Organisation(), Requester: chartertest.Public("acme"), Client: "acme", Account: "acme-main", RequestID: "r-1",
		Chain: chartertest.Bitcoin, Wallet: "btc-hot", FeeCap: canon.AmountOf(1000), NotBefore: 4000, NotAfter: 6000,
		Outputs: []canon.Output{{Address: []byte{0, 1}, Asset: chartertest.BTC, Amount: canon.AmountOf(5)}},
	}
}

func baseApproval(c *charter.Charter, officer canon.Name) canon.Approval {
	return canon.Approval{Organisation: c.Organisation(), Object: canon.ObjectIntent, Digest: intent, Decision: canon.Approve, Officer: officer, NotAfter: now + 100}
}

func baseStatement(c *charter.Charter, officer canon.Name, verb canon.Verb) canon.Statement {
	return canon.Statement{Organisation: c.Organisation(), Officer: officer, Serial: 1, Verb: verb, Object: intent}
}

var (
	intent = canon.KindIntent.Digest([]byte("intent"))
	about  = approval.Subject{Intent: intent, Withdrawal: canon.Digest{7}}
)

// refusedField fails the test unless err is a refusal with a failure of that field.
func refusedField(t testing.TB, err error, field string) {
	t.Helper()
	r := refusal.Of(err)
	if r == nil {
		t.Errorf("expected a refusal of %s, found %v", field, err)
		return
	}
	for _, f := range r.Failures {
		if f.Field == field {
			return
		}
	}
	t.Errorf("expected a refusal of %s, found %v", field, r)
}
