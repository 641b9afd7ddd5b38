package approval_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

var passphrase = []byte("correct horse battery staple")

func TestKeyFileSignsAfterALoadUnderItsPassphraseOnly(t *testing.T) {
	text, made, err := approval.NewKeyFile(passphrase, "alice@desk")
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := approval.LoadKeyFile(text, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	if string(loaded.Public()) != string(made.Public()) {
		t.Errorf("expected the key that was made, found another")
	}
	if strings.Contains(string(text), "alice") {
		t.Error("expected no comment in the clear, found it")
	}
	c := withOfficerKey(t, made.Public(), canon.ClassFile)
	for _, s := range []approval.Signer{made, loaded} {
		if _, err := approval.VerifyApproval(c, sign(t, s, baseApproval(c, "alice"))); err != nil {
			t.Error(err)
		}
	}
	for _, wrong := range [][]byte{nil, {}, []byte("wrong"), append([]byte{}, passphrase[1:]...)} {
		if _, err := approval.LoadKeyFile(text, wrong); err == nil {
			t.Errorf("passphrase of %d bytes: expected an error, found none", len(wrong))
		}
	}
}

func TestPlainWeakAndForeignKeyFilesAreRefused(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	short, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := ssh.MarshalPrivateKeyWithPassphrase(short, "", passphrase)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		text []byte
		want string
	}{
		"plain":        {pem.EncodeToMemory(plain), "plain"},
		"RSA 2048":     {pem.EncodeToMemory(weak), "3072"},
		"older format": {pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(short)}), "OPENSSH"},
		"nothing":      {nil, "OPENSSH"},
		"too long":     {make([]byte, 1<<20), "at most"},
	} {
		if _, err := approval.LoadKeyFile(tt.text, passphrase); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: expected an error with %q, found %v", name, tt.want, err)
		}
	}
	if _, _, err := approval.NewKeyFile([]byte("short"), ""); err == nil {
		t.Error("short passphrase: expected an error, found none")
	}
}

func TestSignersRefuseWhatNoVerifierWouldTake(t *testing.T) {
	c := open(t)
	a, r := encode(t, baseApproval(c, "alice")), encode(t, baseRequest(c))
	ssh, raw := signer(t, "alice"), approval.NewRawSigner(chartertest.Key("acme"))
	for name, tt := range map[string]struct {
		s         approval.Signer
		kind      canon.Kind
		document  []byte
		namespace string
	}{
		"approval under the namespace of requests": {ssh, canon.KindApproval, a, approval.NamespaceRequest},
		"request under the namespace of approvals": {ssh, canon.KindRequest, r, approval.NamespaceApproval},
		"no namespace":            {ssh, canon.KindApproval, a, ""},
		"bytes of another kind":   {ssh, canon.KindStatement, a, approval.NamespaceApproval},
		"a kind of other signers": {ssh, canon.KindAck, a, approval.NamespaceApproval},
		"trailing byte":           {ssh, canon.KindApproval, append(a[:len(a):len(a)], 0), approval.NamespaceApproval},
		"approval, raw":           {raw, canon.KindApproval, a, approval.NamespaceApproval},
		"key of the wrong size":   {approval.NewRawSigner(nil), canon.KindRequest, r, approval.NamespaceRequest},
	} {
		if _, err := tt.s.Sign(tt.kind, tt.document, tt.namespace); err == nil {
			t.Errorf("%s: expected an error, found none", name)
		}
	}
	if approval.NewRawSigner(nil).Public() != nil {
		t.Error("key of the wrong size: expected no public key, found one")
	}
	// A private key whose public half is another's makes signatures that do not verify.
	mixed := append(append(ed25519.PrivateKey{}, chartertest.Key("acme")[:32]...), chartertest.Key("beta")[32:]...)
	if _, err := approval.NewRawSigner(mixed).Sign(canon.KindRequest, r, approval.NamespaceRequest); err == nil {
		t.Error("mixed key: expected an error, found none")
	}
}

// lyingAgent answers with a signature of other bytes.
type lyingAgent struct {
	agent.Agent
	answer func(agent.Agent, ssh.PublicKey, []byte) (*ssh.Signature, error)
}

func (a lyingAgent) Sign(key ssh.PublicKey, data []byte) (*ssh.Signature, error) {
	return a.answer(a.Agent, key, data)
}

func TestAgentIsTrustedWithNothingButTheKey(t *testing.T) {
	c := open(t)
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: chartertest.Key("alice")}); err != nil {
		t.Fatal(err)
	}
	document := encode(t, baseApproval(c, "alice"))
	for name, answer := range map[string]func(agent.Agent, ssh.PublicKey, []byte) (*ssh.Signature, error){
		"other bytes": func(a agent.Agent, k ssh.PublicKey, data []byte) (*ssh.Signature, error) { return a.Sign(k, data[1:]) },
		"nothing":     func(agent.Agent, ssh.PublicKey, []byte) (*ssh.Signature, error) { return nil, nil },
		"an error":    func(agent.Agent, ssh.PublicKey, []byte) (*ssh.Signature, error) { return nil, errors.New("locked") },
		"junk": func(agent.Agent, ssh.PublicKey, []byte) (*ssh.Signature, error) {
			return &ssh.Signature{Format: "x", Blob: make([]byte, 1<<16)}, nil
		},
	} {
		s, err := approval.FromAgent(lyingAgent{ring, answer}, chartertest.SSH("alice"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Sign(canon.KindApproval, document, approval.NamespaceApproval); err == nil {
			t.Errorf("%s: expected an error, found none", name)
		}
	}
	if _, err := approval.FromAgent(ring, chartertest.SSH("bob")); err == nil {
		t.Error("key that the agent has not: expected an error, found none")
	}
	if _, err := approval.FromAgent(ring, []byte("x")); err == nil {
		t.Error("no key: expected an error, found none")
	}
}

func TestArmorIsReadBackAndNothingElseIs(t *testing.T) {
	c := open(t)
	want := sign(t, signer(t, "alice"), baseApproval(c, "alice")).Signature
	text := string(approval.Armor(want))
	for name, same := range map[string]string{
		"as written":  text,
		"white space": "\n  " + text + "\n\n",
		"CRLF":        strings.ReplaceAll(text, "\n", "\r\n"),
		"in one line": "-----BEGIN SSH SIGNATURE-----\n" + strings.Join(strings.Split(text, "\n")[1:len(strings.Split(text, "\n"))-2], "") + "\n-----END SSH SIGNATURE-----",
	} {
		got, err := approval.Unarmor([]byte(same))
		if err != nil || string(got) != string(want) {
			t.Errorf("%s: expected the signature, found %x, %v", name, got, err)
		}
	}
	for name, other := range map[string]string{
		"nothing":           "",
		"no end":            strings.TrimSuffix(text, "-----END SSH SIGNATURE-----\n"),
		"no begin":          text[1:],
		"two":               text + text,
		"another character": strings.Replace(text, "U1NI", "U1N*", 1),
		"cut":               strings.Replace(text, "U1NIU0lH", "", 1),
		"too long":          text + strings.Repeat("\n", 1<<16),
	} {
		if _, err := approval.Unarmor([]byte(other)); err == nil {
			t.Errorf("%s: expected an error, found none", name)
		}
	}
}
