// Package clitest is an organisation for tests of the command: a charter whose keys all come from fixed seeds, the files of its
// people, documents signed by them, and servers in the test's own process that say what the test wants, lies included. It is linked
// by tests only, and protects nothing: anybody can compute its keys.
package clitest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	_ "embed"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/strongroom/strongroom/internal/config/genesis"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	"github.com/strongroom/strongroom/wallets"
)

// Passphrase opens every key file.
const Passphrase = "correct horse battery staple"

// Key returns the key of that name: the same in every run.
func Key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("strongroom/clitest/" + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// Public returns the public half of Key.
func Public(name string) canon.PublicKey {
	return canon.PublicKey(Key(name).Public().(ed25519.PublicKey))
}

// Organisation is a charter with everybody's keys.
type Organisation struct {
	Dir     string
	Genesis *genesis.Charter
	Charter *charter.Charter
	Book    *book.Tree
}

// Node names.
var Nodes = []string{"node-1", "node-2", "node-3", "node-4"}

// New compiles the charter and writes it to a directory. edit holds pairs of a text in the TOML and what replaces it.
func New(dir string, edit ...string) (*Organisation, error) { return NewFrom(dir, nil, edit...) }

// NewFrom is New; change sets what the TOML cannot say.
func NewFrom(dir string, change func(*canon.Genesis), edit ...string) (*Organisation, error) {
	text := strings.NewReplacer(keys()...).Replace(strings.NewReplacer(edit...).Replace(genesisText))
	c, err := genesis.Build([]byte(text), []byte(bookText))
	if err != nil {
		return nil, err
	}
	if change != nil {
		change(&c.Genesis)
		if c.Document, c.Digest, err = canon.Seal(c.Genesis); err != nil {
			return nil, err
		}
	}
	opened, err := charter.Open(c.Document, c.Digest)
	if err != nil {
		return nil, err
	}
	book, err := book.Build(c.Entries)
	if err != nil {
		return nil, err
	}
	o := &Organisation{Dir: dir, Genesis: c, Charter: opened, Book: book}
	return o, os.WriteFile(filepath.Join(dir, "genesis.cbor"), c.Document, 0o644)
}

// Source writes the TOML of a charter and of its book, and returns their paths. edit is that of New.
func Source(dir string, edit ...string) (from, book string, err error) {
	text := strings.NewReplacer(keys()...).Replace(strings.NewReplacer(edit...).Replace(genesisText))
	from, book = filepath.Join(dir, "charter.toml"), filepath.Join(dir, "book.toml")
	if err := os.WriteFile(from, []byte(text), 0o644); err != nil {
		return "", "", err
	}
	return from, book, os.WriteFile(book, []byte(bookText), 0o644)
}

//go:embed genesis.toml
var genesisText string

//go:embed book.toml
var bookText string

// keys puts keys in the place of their names.
func keys() []string {
	var out []string
	put := func(list ...string) {
		for _, name := range list {
			out = append(out, "<"+name+">", Public(name).String())
		}
	}
	put(Nodes...)
	put("coordinator", "fund-a", "fund-a/device", "house", "house/device")
	for _, name := range []string{"alice", "bob", "carol", "rec-1", "rec-2"} {
		put(name + "/device")
		line := ssh.MarshalAuthorizedKey(must(ssh.NewPublicKey(Key(name).Public())))
		out = append(out, "<ssh:"+name+">", strings.TrimSpace(string(line)))
	}
	return out
}

// must is for what cannot fail with keys of the right size.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Files writes the key files and certificate of a person in a role, and a configuration that names the servers; it returns the
// configuration's path. The key file is encrypted with Passphrase, which stands in NAME.passphrase.
func (o *Organisation) Files(name string, role rpc.Role, coordinator string, signers map[string]string) (string, error) {
	at := func(suffix string) string { return filepath.Join(o.Dir, name+suffix) }
	device := Key(name + "/device")
	der, err := x509.MarshalPKCS8PrivateKey(device)
	if err != nil {
		return "", err
	}
	certificate, err := o.certificate(name, role)
	if err != nil {
		return "", err
	}
	config := fmt.Sprintf("organisation = %q\ngenesis = \"genesis.cbor\"\nname = %q\ncoordinator = %q\ntls_key = %q\ntls_certificate = %q\nkey = %q\npassphrase_file = %q\n",
		o.Charter.Organisation(), name, coordinator, name+".tls", name+".pem", name+".key", name+".passphrase")
	for _, n := range Nodes {
		if signers[n] != "" {
			config += fmt.Sprintf("[[signers]]\nname = %q\naddress = %q\n", n, signers[n])
		}
	}
	for path, content := range map[string][]byte{
		at(".key"): keyFile(name), at(".passphrase"): []byte(Passphrase + "\n"), at(".toml"): []byte(config),
		at(".tls"): pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		at(".pem"): pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return "", err
		}
	}
	return at(".toml"), nil
}

var (
	filesLock sync.Mutex
	keyFiles  = map[string][]byte{}
)

// keyFile returns the encrypted key file of that name; it is made once, because its passphrase is slow to hash on purpose.
func keyFile(name string) []byte {
	filesLock.Lock()
	defer filesLock.Unlock()
	if keyFiles[name] == nil {
		keyFiles[name] = pem.EncodeToMemory(must(ssh.MarshalPrivateKeyWithPassphrase(Key(name), name, []byte(Passphrase))))
	}
	return keyFiles[name]
}

func (o *Organisation) ca() (*x509.Certificate, error) {
	der, err := rpc.NewCA(o.Charter.Organisation(), Key("ca"), time.Unix(0, 0), o.Charter.Genesis().NotAfter.At())
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func (o *Organisation) certificate(name string, role rpc.Role) ([]byte, error) {
	ca, err := o.ca()
	if err != nil {
		return nil, err
	}
	grant := rpc.Grant{Organisation: o.Charter.Organisation(), Role: role, Name: canon.Name(name)}
	return rpc.Issue(ca, Key("ca"), Key(name+"/device").Public().(ed25519.PublicKey), grant, time.Unix(0, 0), ca.NotAfter)
}

// Pay is one payment of Request: the text of an address and of an amount.
type Pay struct{ To, Amount string }

// Request returns fund-a's signed request for payments in Bitcoin from btc-hot, or in ether and tokens from eth-hot.
func (o *Organisation) Request(now time.Time, id, wallet string, pays ...Pay) (canon.Signed, error) {
	w, _ := o.Charter.Wallet(canon.Name(wallet))
	chain, _ := o.Charter.Chain(w.Chain)
	coin, _ := o.Charter.NativeAsset(w.Chain)
	feeCap := must(wallets.ParseAmount("0.0001", coin))
	r := canon.Request{Organisation: o.Charter.Organisation(), Requester: Public("fund-a"), Client: "fund-a", Account: "fund-a-main", RequestID: id,
		Chain: w.Chain, Wallet: w.Name, FeeCap: feeCap, NotBefore: canon.TimeOf(now), NotAfter: canon.TimeOf(now.Add(8 * time.Hour))}
	for _, p := range pays {
		address, err := wallets.ParseAddress(chain, p.To)
		if err != nil {
			return canon.Signed{}, err
		}
		number, symbol, _ := strings.Cut(p.Amount, " ")
		for _, a := range o.Charter.Genesis().Assets {
			if a.ID.Chain() == w.Chain && string(a.Symbol) == symbol {
				r.Outputs = append(r.Outputs, canon.Output{Address: address, Asset: a.ID, Amount: must(wallets.ParseAmount(number, a))})
			}
		}
	}
	document, err := canon.Encode(r)
	if err != nil {
		return canon.Signed{}, err
	}
	return approval.NewRawSigner(Key("fund-a")).Sign(canon.KindRequest, document, approval.NamespaceRequest)
}

// Intent returns the intent that an honest coordinator makes of a request under the rule "large"; change may spoil it.
func (o *Organisation) Intent(signed canon.Signed, change ...func(*canon.Intent)) ([]byte, error) {
	var r canon.Request
	if err := canon.Decode(signed.Document, &r); err != nil {
		return nil, err
	}
	rule, _ := o.Charter.Rule("large")
	i := canon.Intent{Organisation: o.Charter.Organisation(), Withdrawal: r.WithdrawalID(), Request: signed, Rule: rule.Name, Quorum: rule.Quorum,
		CharterNumber: o.Charter.Number(), Charter: o.Charter.Digest(), Mode: canon.Template, FeeCap: r.FeeCap, NotAfter: r.NotAfter}
	for _, c := range change {
		c(&i)
	}
	return canon.Encode(i)
}

// Approve returns an officer's approval of an intent.
func (o *Organisation) Approve(officer string, intent []byte, notAfter canon.Time) (canon.Signed, error) {
	document, err := canon.Encode(canon.Approval{Organisation: o.Charter.Organisation(), Object: canon.ObjectIntent, Digest: canon.KindIntent.Digest(intent),
		Decision: canon.Approve, Officer: canon.Name(officer), NotAfter: notAfter})
	if err != nil {
		return canon.Signed{}, err
	}
	return o.sign(officer, canon.KindApproval, document)
}

// Reject returns an officer's statement against an intent.
func (o *Organisation) Reject(officer string, intent []byte) (canon.Signed, error) {
	return o.RejectObject(officer, canon.KindIntent.Digest(intent))
}

// RejectObject returns an officer's statement against an intent or a withdrawal, by digest or id.
func (o *Organisation) RejectObject(officer string, object canon.Digest) (canon.Signed, error) {
	document, err := canon.Encode(canon.Statement{Organisation: o.Charter.Organisation(), Officer: canon.Name(officer), Serial: 1, Verb: canon.StateReject,
		Object: object, Reason: "not today"})
	if err != nil {
		return canon.Signed{}, err
	}
	return o.sign(officer, canon.KindStatement, document)
}

func (o *Organisation) sign(officer string, kind canon.Kind, document []byte) (canon.Signed, error) {
	s, err := approval.LoadKeyFile(keyFile(officer), []byte(Passphrase))
	if err != nil {
		return canon.Signed{}, err
	}
	return s.Sign(kind, document, approval.NamespaceApproval)
}

// Attest returns a node's attestation of a receive address of fund-a's account in btc-hot; change may spoil it before it is signed.
func (o *Organisation) Attest(node string, index uint64, change ...func(*canon.Address)) (canon.Signed, error) {
	w, _ := o.Charter.Wallet("btc-hot")
	chain, _ := o.Charter.Chain(w.Chain)
	account, _ := o.Charter.Account("fund-a-main")
	hash := sha256.Sum256([]byte(fmt.Sprint("address ", index)))
	a := canon.Address{Organisation: o.Charter.Organisation(), Signer: canon.Name(node), Chain: w.Chain, Wallet: w.Name, Account: account.Name, Key: w.Key,
		KeyEpoch: 1, Path: []uint64{chain.CoinType, w.Number, account.Number, wallets.BranchReceive, index}, Address: append([]byte{0, 20}, hash[:20]...)}
	for _, c := range change {
		c(&a)
	}
	document, err := canon.Encode(a)
	if err != nil {
		return canon.Signed{}, err
	}
	return canon.Signed{Document: document, Scheme: canon.Ed25519, Signature: ed25519.Sign(Key(node), canon.KindAddress.Message(document))}, nil
}
