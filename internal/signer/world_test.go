package signer_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/strongroom/strongroom/internal/signer"
	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/mpc"
	"github.com/strongroom/strongroom/mpc/mpctest"
	"github.com/strongroom/strongroom/mpc/share"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/ethereum"
	"github.com/strongroom/strongroom/wallets/keyset"
)

const (
	evmChain = canon.ChainID("eip155:1337")
	eth      = canon.AssetID("eip155:1337/slip44:60")
	btcChain = canon.ChainID("bip122:0f9188f13cb7b2c71f2a335e3a4fc328")
	btc      = canon.AssetID("bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:1")
)

var (
	start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	payee = bytes.Repeat([]byte{0xbb}, 20)
	nodes = []canon.Name{"node-1", "node-2", "node-3", "node-4"}
)

func edKey(label string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(label))
	return ed25519.NewKeyFromSeed(seed[:])
}

func edPublic(label string) canon.PublicKey {
	return canon.PublicKey(edKey(label).Public().(ed25519.PublicKey))
}

// officerKeys are made once: a key file takes a deliberate time to derive.
var officerKeys = sync.OnceValues(func() (map[canon.Name]approval.Signer, error) {
	keys := map[canon.Name]approval.Signer{}
	for _, name := range []canon.Name{"alice", "bob", "carol"} {
		_, key, err := approval.NewKeyFile([]byte("test passphrase of "+string(name)), string(name))
		if err != nil {
			return nil, err
		}
		keys[name] = key
	}
	return keys, nil
})

// world is an organisation with four signers that listen on loopback.
type world struct {
	t        testing.TB
	whole    testing.TB       // for which signers run; t may be a part of it
	first    *charter.Charter // the genesis
	charter  *charter.Charter // that honest coordinators follow
	book     *book.Tree       // of the genesis
	books    []*book.Tree     // versions of the book after that, under which honest coordinators prove addresses too
	officers map[canon.Name]approval.Signer
	signers  map[canon.Name]*node
	group    [33]byte
	pools    func(canon.Digest) (*keyset.Pool, error)

	mu    sync.Mutex
	now   time.Time
	conns map[string]*grpc.ClientConn
}

// node is one signer with what it stands on.
type node struct {
	*signer.Signer
	ledger  *ledger.Ledger
	shares  *share.Store
	dir     string
	address string
	config  signer.Config
	heard   *journal
	stop    func()

	shareDir string
}

// setUp changes the signers before they start.
type setUp struct {
	engine func(canon.Name) mpc.Engine
	keyed  bool // shares are dealt before
	count  int  // of signers that run, from node-1 on; 0 means all, below 0 none
	params func(context.Context) (*share.PreParams, error)
	// address is how one signer reaches another; nil means directly.
	address func(from, to canon.Name, direct string) string
	gossip  time.Duration
	others  []canon.Name // signers outside the roster, which do not run
	run     []canon.Name // those of them that do
	entries []canon.BookEntry
	pools   func(canon.Digest) (*keyset.Pool, error)
	genesis func(*canon.Genesis)
	config  func(*signer.Config)
	build   map[canon.Name]canon.Digest
}

func newWorld(t testing.TB, s setUp) *world {
	t.Helper()
	keys, err := officerKeys()
	check(t, err)
	w := &world{t: t, whole: t, officers: keys, now: start, signers: map[canon.Name]*node{}, conns: map[string]*grpc.ClientConn{}}
	w.pools = s.pools
	w.book, err = book.Build(append([]canon.BookEntry{{Chain: evmChain, Address: payee, Client: "acme", Account: canon.Any, Label: "desk"}}, s.entries...))
	check(t, err)
	g := w.genesis()
	for _, name := range s.others {
		g.Signers = append(g.Signers, canon.Signer{Name: name, Operator: canon.Name("op-" + string(name)), Identity: edPublic(string(name)), Jurisdiction: "HK"})
	}
	if s.genesis != nil {
		s.genesis(&g)
	}
	encoded, digest, err := canon.Seal(g)
	check(t, err)
	w.first, err = charter.Open(encoded, digest)
	check(t, err)
	w.charter = w.first

	listeners, peers := map[canon.Name]net.Listener{}, map[canon.Name]string{}
	for _, name := range slices.Concat(nodes, s.others) {
		listeners[name], err = net.Listen("tcp", "127.0.0.1:0")
		check(t, err)
		t.Cleanup(func() { _ = listeners[name].Close() }) // those of signers that do not run
		peers[name] = listeners[name].Addr().String()
	}
	var dealt []*share.Share
	if s.keyed {
		dealt = deal(t, w.charter.Organisation())
		w.group = dealt[0].PublicKey
	}
	if s.count == 0 {
		s.count = len(nodes)
	}
	s.count = max(s.count, 0)
	for i, name := range slices.Concat(nodes[:s.count], s.run) {
		n := w.newNode(name, peers, s)
		if s.keyed && i < s.count {
			n.hold(t, dealt[i])
		}
		n.start(t, listeners[name])
		w.signers[name] = n
	}
	return w
}

// deals holds the shares of each organisation: dealing a key takes a second, and all worlds are one organisation.
var deals sync.Map

func deal(t testing.TB, organisation canon.Digest) []*share.Share {
	t.Helper()
	if made, ok := deals.Load(organisation); ok {
		return made.([]*share.Share)
	}
	shares := mpctest.Deal(t, share.Committee{Organisation: organisation, KeyID: "main", Epoch: 1, Threshold: 2, Parties: mpctest.Parties(4)})
	deals.Store(organisation, shares)
	return shares
}

// stores holds a store with each share that was dealt, for all worlds: none of them changes it, and a store checks a share once.
var stores sync.Map

// storesDir is where those are.
var storesDir string

func TestMain(m *testing.M) {
	var err error
	if storesDir, err = os.MkdirTemp("", "strongroom-shares-"); err != nil {
		panic(err)
	}
	code := m.Run()
	if err := os.RemoveAll(storesDir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// hold gives the node a share that was dealt.
func (n *node) hold(t testing.TB, s *share.Share) {
	t.Helper()
	store, ok := stores.Load(s)
	if !ok {
		dir, err := os.MkdirTemp(storesDir, s.Self+"-") // mode 0700
		check(t, err)
		made, err := share.NewStore(dir, newSealer(s.Self), s.Organisation, s.Self)
		check(t, err)
		check(t, made.SaveShare(t.Context(), s))
		stores.Store(s, made)
		store = made
	}
	n.shares = store.(*share.Store)
	n.config.Shares = n.shares
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) newNode(name canon.Name, addresses map[canon.Name]string, s setUp) *node {
	t := w.t
	dir := t.TempDir()
	check(t, os.Chmod(dir, 0o700))
	store, err := share.NewStore(dir, newSealer(string(name)), w.charter.Organisation(), string(name))
	check(t, err)
	ledgerDir := t.TempDir()
	check(t, os.Chmod(ledgerDir, 0o700))
	l, err := signer.OpenLedger(t.Context(), ledgerDir, w.charter, name, store)
	check(t, err)
	peers := map[canon.Name]string{}
	for other, address := range addresses {
		if other != name {
			peers[other] = address
			if s.address != nil {
				peers[other] = s.address(name, other, address)
			}
		}
	}
	n := &node{ledger: l, shares: store, dir: ledgerDir, address: addresses[name], heard: newJournal(), shareDir: dir}
	n.config = signer.Config{
		Charter: w.charter, Self: name, Identity: edKey(string(name)), Shares: store, Ledger: l, Peers: peers,
		Log: slog.New(n.heard), Now: w.clock, Parameters: s.params, Gossip: s.gossip, Build: s.build[name],
		Pools: s.pools,
	}
	if s.config != nil {
		s.config(&n.config)
	}
	if s.engine != nil {
		n.config.Engine = s.engine(name)
	}
	if n.config.Parameters == nil {
		n.config.Parameters = func(ctx context.Context) (*share.PreParams, error) { return nil, errors.New("none in this test") }
	}
	return n
}

func (n *node) start(t testing.TB, listener net.Listener) {
	t.Helper()
	var err error
	n.Signer, err = signer.New(t.Context(), n.config)
	check(t, err)
	server, err := n.NewServer()
	check(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	n.stop = sync.OnceFunc(func() {
		server.Stop()
		err := <-served
		if errors.Is(err, grpc.ErrServerStopped) { // stopped before it began
			err = nil
		}
		if err := errors.Join(err, n.Close(), n.ledger.Close()); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	t.Cleanup(n.stop)
}

func (w *world) genesis() canon.Genesis {
	two := canon.Quorum{AnyOf: [][]canon.Part{{{Group: "treasury", Count: 2}}}}
	anyone := []canon.Name{canon.Any}
	g := canon.Genesis{
		Version: 1, Label: "Test Custody", Salt: canon.Digest{1}, NotBefore: canon.TimeOf(start) - 1000, NotAfter: canon.TimeOf(start) + 1_000_000,
		Roster:      canon.Roster{Quorum: 3, Faults: 1},
		Coordinator: []canon.Coordinator{{Name: "front", TLS: edPublic("front")}},
		Groups:      []canon.Group{{Name: "treasury", Members: []canon.Name{"alice", "bob", "carol"}, Weakest: canon.ClassFile}},
		Chains: []canon.Chain{
			{ID: btcChain, Kind: canon.Bitcoin, CoinType: 1, Depth: 1, HRP: "bcrt"}, {ID: evmChain, Kind: canon.EVM, CoinType: 60, Depth: 1}},
		Assets:   []canon.Asset{{ID: btc, Symbol: "BTC", Decimals: 8}, {ID: eth, Symbol: "ETH", Decimals: 18}},
		Keys:     []canon.Key{{ID: "main", Algorithm: canon.ECDSASecp256k1, Threshold: 2, Holders: nodes, Epoch: 1}},
		Accounts: []canon.Account{{Name: "acme-one", Client: "acme", Number: 1, Kind: canon.Segregated}},
		Wallets: []canon.Wallet{
			{Name: "btc-hot", Chain: btcChain, Tier: canon.Hot, Scheme: canon.SchemeMPC, Key: "main", Number: 1, Accounts: []canon.Name{"acme-one"}},
			{Name: "evm-hot", Chain: evmChain, Tier: canon.Hot, Scheme: canon.SchemeMPC, Key: "main", Number: 2, Accounts: []canon.Name{"acme-one"}}},
		Limits: []canon.Limit{
			{Name: "btc-day", Asset: btc, Amount: canon.AmountOf(500_000_000), Window: 86400, Clients: anyone, Wallets: anyone},
			{Name: "eth-day", Asset: eth, Amount: ether(10), Window: 86400, Clients: anyone, Wallets: anyone}},
		Amendment: two, Book: canon.Book{Serial: 1, Size: w.book.Size(), Root: w.book.Root(), Quorum: two},
		Delays: canon.Delays{Loosening: 86400, Unfreeze: 3600, FreezeLapse: 259200, BookCooldown: 86400, ClockSkew: 30},
		Clients: []canon.Client{{Name: "acme", Label: "acme", Keys: []canon.PublicKey{edPublic("acme")},
			Devices: []canon.PublicKey{edPublic("device acme")}}},
		Rules: []canon.Rule{{Name: "small", Clients: anyone, Accounts: anyone, Wallets: anyone, Action: canon.ActionAllow, Expiry: 3600, Signing: 600,
			To:      []canon.Target{{Kind: canon.TargetBook}},
			Amounts: []canon.AssetAmount{{Asset: eth, Amount: ether(6)}, {Asset: btc, Amount: canon.AmountOf(1_000_000)}},
			FeeCaps: []canon.AssetAmount{{Asset: eth, Amount: canon.AmountOf(1e16)}, {Asset: btc, Amount: canon.AmountOf(50_000)}},
			Limits:  []canon.Name{"btc-day", "eth-day"}},
			{Name: "large", Clients: anyone, Accounts: anyone, Wallets: anyone, Action: canon.ActionApprove, Quorum: two, Expiry: 3600, Signing: 600,
				To:      []canon.Target{{Kind: canon.TargetBook}},
				Amounts: []canon.AssetAmount{{Asset: eth, Amount: ether(9)}},
				FeeCaps: []canon.AssetAmount{{Asset: eth, Amount: canon.AmountOf(1e16)}}, Limits: []canon.Name{"eth-day"}}},
	}
	for i, name := range nodes {
		g.Signers = append(g.Signers, canon.Signer{Name: name, Operator: canon.Name(fmt.Sprint("op-", i)), Identity: edPublic(string(name)), Ledger: true, Jurisdiction: "HK"})
	}
	for _, name := range g.Groups[0].Members {
		g.Officers = append(g.Officers, canon.Officer{Name: name, Label: canon.Text(name), Devices: []canon.PublicKey{edPublic("device " + string(name))},
			Keys: []canon.OfficerKey{{Public: w.officers[name].Public(), Class: canon.ClassFile}}})
	}
	return g
}

func ether(n int64) canon.Amount {
	return canon.Amount(new(big.Int).Mul(big.NewInt(n), big.NewInt(1e18)).Bytes())
}

// payment is a withdrawal of 5 ether, or what a test makes of it.
type payment struct {
	id    string
	nonce uint64
	to    []byte // of the transaction; nil for payee
	payee []byte // of the request; nil for the one of the genesis's book
	ether int64
	// approve holds who approves; from 7 ether on two must.
	approve []canon.Name
	facts   func(*canon.Intent) // adds statements to the intent
}

// evidence is what a coordinator gathers for the payment.
func (w *world) evidence(p payment) []byte {
	t := w.t
	t.Helper()
	if p.payee == nil {
		p.payee = payee
	}
	if p.to == nil {
		p.to = p.payee
	}
	if p.ether == 0 {
		p.ether = 5
	}
	rule := w.charter.Genesis().Rules[0]
	if p.ether > 6 {
		rule = w.charter.Genesis().Rules[1]
	}
	request := canon.Request{Organisation: w.charter.Organisation(), Requester: edPublic("acme"), Client: "acme", Account: "acme-one", RequestID: p.id,
		Chain: evmChain, Wallet: "evm-hot", Outputs: []canon.Output{{Address: p.payee, Asset: eth, Amount: ether(p.ether)}}, FeeCap: canon.AmountOf(4e15),
		NotBefore: canon.TimeOf(w.clock()) - 10, NotAfter: canon.TimeOf(w.clock()) + 1800}
	document, err := canon.Encode(request)
	check(t, err)
	signed, err := approval.NewRawSigner(edKey("acme")).Sign(canon.KindRequest, document, approval.NamespaceRequest)
	check(t, err)
	doc := canon.Intent{Organisation: w.charter.Organisation(), Withdrawal: request.WithdrawalID(), Request: signed, Rule: rule.Name, Quorum: rule.Quorum,
		CharterNumber: w.charter.Number(), Charter: w.charter.Digest(), Mode: canon.Template, FeeCap: request.FeeCap, NotAfter: request.NotAfter}
	if p.facts != nil {
		p.facts(&doc)
	}
	intent, err := canon.Encode(doc)
	check(t, err)
	transaction, err := ethereum.Build(ethereum.BuildParams{ChainID: 1337, Nonce: p.nonce, Tip: big.NewInt(1e9), FeeCap: big.NewInt(5e10), Gas: 21_000,
		To: [20]byte(p.to), Value: ether(p.ether).Int()})
	check(t, err)
	var proofs []canon.BookProof
	for _, version := range append([]*book.Tree{w.book}, w.books...) {
		if proof, ok := version.Prove(evmChain, p.payee, "acme"); ok {
			proofs = append(proofs, proof)
		}
	}
	b, err := canon.Encode(canon.Evidence{Organisation: w.charter.Organisation(), Intent: intent, Addresses: proofs,
		Transaction: transaction, Inputs: []canon.OwnPath{{Account: "acme-one"}}, Approvals: w.approvals(canon.KindIntent.Digest(intent), p.approve)})
	check(t, err)
	return b
}

// reservation is what an honest coordinator asks for with this evidence.
func (w *world) reservation(evidence []byte) []byte {
	w.t.Helper()
	return w.reserving(evidence, nil)
}

// reserving is reservation by a coordinator that knows which earlier charters are valid still.
func (w *world) reserving(evidence []byte, valid func(uint64, canon.Digest) error) []byte {
	t := w.t
	t.Helper()
	view := w.view()
	view.Valid = valid // and no delay: a signer knows when it saw the intent
	s, err := guard.Check(evidence, view)
	check(t, err)
	now := canon.TimeOf(w.clock())
	b, err := canon.Encode(canon.Reservation{Organisation: w.charter.Organisation(), Withdrawal: s.Withdrawal(), Version: 1, Intent: s.IntentDigest(),
		Sort: canon.Write, Transactions: []canon.Digest{s.Transaction()}, Wallet: s.Request().Wallet, Asset: s.Asset(), Charges: s.Charges(),
		Anchor: s.Anchor(), AnchorNumber: 1, Inputs: slices.Clone(s.Anchors()), Stamp: now, Until: now + 300, CharterNumber: w.charter.Number(),
		Charter: w.charter.Digest(), Key: s.Key().ID, KeyEpoch: s.Key().Epoch})
	check(t, err)
	return b
}

func (w *world) view() guard.View {
	// A coordinator asks for what it can prove under some version: signers ask for more.
	versions := book.Begin(w.charter).Required(0, 0)
	if n := len(w.books); n > 0 {
		versions = []book.Requirement{{Root: w.books[n-1].Version(2), Newest: true}}
	}
	return guard.View{
		Book:    versions,
		Charter: w.charter, Now: w.clock(),
		Key: func(n canon.Name) (guard.GroupKey, bool) {
			return guard.GroupKey{ID: "main", Epoch: 1, Public: w.group}, n == "main"
		},
		HighestIndex: func(_, _ canon.Name, _ uint64) int64 { return -1 },
		Statements:   func(canon.Digest) []canon.Signed { return nil },
		Pool:         w.pools,
	}
}

// dial connects to a signer with a TLS key, once for each.
func (w *world) dial(to canon.Name, key ed25519.PrivateKey) *grpc.ClientConn {
	w.t.Helper()
	id := string(to) + " " + string(key)
	w.mu.Lock()
	defer w.mu.Unlock()
	if conn, ok := w.conns[id]; ok {
		return conn
	}
	certificate, err := rpc.Certificate(key)
	check(w.t, err)
	conn, err := rpc.Dial(w.signers[to].address, rpc.ClientTLS(certificate, edPublic(string(to))), rpc.MaxEvidence)
	check(w.t, err)
	w.whole.Cleanup(func() { _ = conn.Close() })
	w.conns[id] = conn
	return conn
}

func (w *world) front(to canon.Name) strongroomv1.SignerServiceClient {
	return strongroomv1.NewSignerServiceClient(w.dial(to, edKey("front")))
}

// reserve asks the named signers for acks and returns the certificate.
func (w *world) reserve(evidence, reservation []byte, names ...canon.Name) []byte {
	w.t.Helper()
	c := canon.Certificate{Organisation: w.charter.Organisation(), Reservation: reservation}
	for _, name := range names {
		r, err := w.front(name).Reserve(w.t.Context(), &strongroomv1.ReserveRequest{Evidence: evidence, Reservation: reservation})
		check(w.t, err)
		c.Acks = append(c.Acks, canon.Signed{Document: r.GetAck().GetDocument(), Scheme: canon.Scheme(r.GetAck().GetScheme()), Signature: r.GetAck().GetSignature()})
	}
	b, err := canon.Encode(c)
	check(w.t, err)
	return b
}

// certify has signers that do not run ack the reservation, besides those that do.
func (w *world) certify(evidence, reservation []byte, names ...canon.Name) []byte {
	w.t.Helper()
	var running []canon.Name
	for _, name := range names {
		if _, ok := w.signers[name]; ok {
			running = append(running, name)
		}
	}
	var c canon.Certificate
	check(w.t, canon.Decode(w.reserve(evidence, reservation, running...), &c))
	for _, name := range names[len(running):] {
		document, err := canon.Encode(canon.Ack{Organisation: w.charter.Organisation(), Reservation: canon.KindReservation.Digest(reservation),
			Signer: name, Length: 2, Head: canon.Digest{2}, Incarnation: 1})
		check(w.t, err)
		c.Acks = append(c.Acks, canon.Signed{Document: document, Scheme: canon.Ed25519,
			Signature: ed25519.Sign(edKey(string(name)), canon.KindAck.Message(document))})
	}
	b, err := canon.Encode(c)
	check(w.t, err)
	return b
}

// reject has the officer's device bring a rejection of the intent in the evidence to a signer.
func (w *world) reject(to, officer canon.Name, evidence []byte) error {
	w.t.Helper()
	var e canon.Evidence
	check(w.t, canon.Decode(evidence, &e))
	return w.state(to, officer, canon.StateReject, canon.KindIntent.Digest(e.Intent))
}

func (w *world) state(to, officer canon.Name, verb canon.Verb, object canon.Digest) error {
	w.t.Helper()
	return w.submit(to, officer, w.statement(officer, verb, object, 1))
}

// statement signs one in the officer's name.
func (w *world) statement(officer canon.Name, verb canon.Verb, object canon.Digest, serial uint64) canon.Signed {
	w.t.Helper()
	return w.sign(officer, canon.Statement{Organisation: w.charter.Organisation(), Officer: officer, Serial: serial, Verb: verb, Object: object})
}

// sign signs an officer's document with his key.
func (w *world) sign(officer canon.Name, d canon.Document) canon.Signed {
	w.t.Helper()
	document, err := canon.Encode(d)
	check(w.t, err)
	signed, err := w.officers[officer].Sign(d.Kind(), document, approval.NamespaceApproval)
	check(w.t, err)
	return signed
}

func (w *world) approvals(intent canon.Digest, by []canon.Name) []canon.Signed {
	w.t.Helper()
	var all []canon.Signed
	for _, officer := range by {
		all = append(all, w.sign(officer, canon.Approval{Organisation: w.charter.Organisation(), Object: canon.ObjectIntent, Digest: intent,
			Decision: canon.Approve, Officer: officer, NotAfter: canon.TimeOf(w.clock()) + 1800}))
	}
	return all
}

// submit has the officer's device bring a statement to a signer.
func (w *world) submit(to, device canon.Name, signed canon.Signed) error {
	w.t.Helper()
	_, err := strongroomv1.NewOfficerServiceClient(w.dial(to, edKey("device "+string(device)))).SubmitSignerStatement(w.t.Context(),
		&strongroomv1.SubmitSignerStatementRequest{Statement: wire(signed)})
	return err
}

func wire(signed canon.Signed) *strongroomv1.Signed {
	return &strongroomv1.Signed{Document: signed.Document, Scheme: uint32(signed.Scheme), Signature: signed.Signature}
}

// keyOf names the officer's key as a revocation does.
func (w *world) keyOf(officer canon.Name) canon.Digest {
	return approval.KeyDigest(w.officers[officer].Public())
}

// sender is the address and the key that evm-hot pays from.
func (w *world) sender() wallets.Child {
	w.t.Helper()
	path, err := wallets.NewPath(60, 2, 1, 0, 0)
	check(w.t, err)
	child, err := wallets.Derive(w.group, wallets.ChainCode(w.charter.Organisation(), "main", w.group), path)
	check(w.t, err)
	return child
}

// sealer seals under a key in memory; the signer does not care where it is.
type sealer struct{ aead cipher.AEAD }

func newSealer(label string) sealer {
	key := sha256.Sum256([]byte(label))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return sealer{aead}
}

func (s sealer) Seal(_ context.Context, plaintext, aad []byte) ([]byte, error) {
	return s.aead.Seal(nil, nil, plaintext, aad), nil
}

func (s sealer) Open(_ context.Context, sealed, aad []byte) ([]byte, error) {
	return s.aead.Open(nil, nil, sealed, aad)
}

func randomBytes(t testing.TB, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	_, err := rand.Read(b)
	check(t, err)
	return b
}
