package authority

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/config/genesis"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lines is a log that tells when a line with a message came.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
	came chan struct{}
	once sync.Once
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if bytes.Contains(b, []byte(`"msg":"listening"`)) {
		l.once.Do(func() { close(l.came) })
	}
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// running is an authority that listens, and a coordinator that may ask it.
type running struct {
	config  *Config
	charter *charter.Charter
	key     canon.PublicKey // of its statements
	tls     canon.PublicKey
	log     *lines
	client  pb.AuthorityServiceClient
	facts   string
}

const (
	bitcoin  = canon.ChainID("bip122:0f9188f13cb7b2c71f2a335e3a4fc328")
	ethereum = canon.ChainID("eip155:1337")
	btc      = canon.AssetID("bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:1")
	eth      = canon.AssetID("eip155:1337/slip44:60")
	refused  = "0x8589427373D6D84E98730D7795D8f6f8731FDA16"
	held     = "0x722122dF12D4e14e13Ac3b6895a86e84145b6967"
	anybody  = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
)

// fundA signs requests of client fund-a.
var fundA = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{29}, ed25519.SeedSize))

// start runs an authority of the documented example with other facts.
func start(t *testing.T, purpose, facts string) *running {
	t.Helper()
	dir := t.TempDir()
	example := strings.Replace(genesis.Example, strings.Repeat("29", 32), canon.PublicKey(fundA.Public().(ed25519.PublicKey)).String(), 1)
	c, err := genesis.Build([]byte(example), []byte(genesis.ExampleBook))
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "genesis.cbor"), c.Document, 0o600))
	r := &running{log: &lines{came: make(chan struct{})}, facts: filepath.Join(dir, "facts.toml")}
	r.charter, err = charter.Open(c.Document, c.Digest)
	check(t, err)
	r.key, err = NewKey(filepath.Join(dir, "signing.key"))
	check(t, err)
	r.tls, err = NewKey(filepath.Join(dir, "tls.key"))
	check(t, err)
	coordinator, err := NewKey(filepath.Join(dir, "coordinator.key"))
	check(t, err)
	r.write(t, facts)
	decisions := ""
	if purpose == Screening || purpose == TravelRule {
		decisions = "decisions = \"decisions\"\n"
	}
	text := fmt.Sprintf("name = \"desk\"\npurpose = %q\norganisation = %q\ngenesis = \"genesis.cbor\"\nlisten = \"127.0.0.1:0\"\naddress_file = \"address\"\n"+
		"key = \"signing.key\"\ntls_key = \"tls.key\"\ncoordinators = [%q]\nfacts = \"facts.toml\"\n%s", purpose, c.Digest, coordinator, decisions)
	check(t, os.WriteFile(filepath.Join(dir, "authority.toml"), []byte(text), 0o600))
	r.config, _, err = LoadConfig(filepath.Join(dir, "authority.toml"))
	check(t, err)
	r.serve(t)
	r.client = r.connect(t, filepath.Join(dir, "coordinator.key"))
	return r
}

func (r *running) write(t *testing.T, facts string) {
	t.Helper()
	check(t, os.WriteFile(r.facts+".new", []byte(facts), 0o600))
	check(t, os.Rename(r.facts+".new", r.facts))
}

func (r *running) serve(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, r.config, slog.New(slog.NewJSONHandler(r.log, nil))) }()
	select {
	case <-r.log.came:
	case err := <-ended:
		t.Fatalf("expected an authority that listens, found it ended: %v", err)
	}
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func (r *running) connect(t *testing.T, keyFile string) pb.AuthorityServiceClient {
	t.Helper()
	key, err := config.Ed25519Key(keyFile)
	check(t, err)
	certificate, err := rpc.Certificate(key)
	check(t, err)
	address, err := os.ReadFile(r.config.AddressFile)
	check(t, err)
	conn, err := rpc.Dial(strings.TrimSpace(string(address)), rpc.ClientTLS(certificate, r.tls), 0)
	check(t, err)
	t.Cleanup(func() { check(t, conn.Close()) })
	return pb.NewAuthorityServiceClient(conn)
}

// open verifies a statement's signature by the authority's key and decodes it.
func open[D canon.Document](t *testing.T, r *running, kind canon.Kind, s *pb.Signed, d *D) {
	t.Helper()
	if s.GetScheme() != uint32(canon.Ed25519) || !ed25519.Verify(r.key[:], kind.Message(s.GetDocument()), s.GetSignature()) {
		t.Fatalf("expected a statement of kind %s that the authority signed, found another", kind)
	}
	check(t, canon.Decode(s.GetDocument(), any(d).(canon.Document)))
}

func TestAPriceIsSignedWithTheTimeOfTheStatement(t *testing.T) {
	r := start(t, Prices, ExampleFacts)
	before := canon.TimeOf(time.Now())
	reply, err := r.client.StatePrice(t.Context(), &pb.StatePriceRequest{Asset: string(btc), Currency: "USD"})
	check(t, err)
	var p canon.Price
	open(t, r, canon.KindPrice, reply.GetPrice(), &p)
	value, _ := new(big.Int).SetString("65000250000000000", 10)
	if p.Organisation != r.charter.Organisation() || p.Authority != "desk" || p.Asset != btc || p.Currency != "USD" || p.Value.Int().Cmp(value) != 0 ||
		p.At < before || p.At > canon.TimeOf(time.Now()) {
		t.Errorf("expected 65000.25 USD stated now, found %+v", p)
	}
	_, err = r.client.StatePrice(t.Context(), &pb.StatePriceRequest{Asset: string(eth), Currency: "USD"})
	if refusal.Of(err) == nil {
		t.Errorf("an asset without a price: expected a refusal, found %v", err)
	}
	if _, err := r.client.DecideClearance(t.Context(), &pb.DecideClearanceRequest{}); status.Code(unwrap(err)) != codes.Unimplemented {
		t.Errorf("a question for another purpose: expected Unimplemented, found %v", err)
	}
}

// unwrap returns the status within what the client's interceptor makes of errors.
func unwrap(err error) error {
	if e, ok := status.FromError(err); ok {
		return e.Err()
	}
	return err
}

func TestFactsAreReadAnewAndBrokenOnesStateNothing(t *testing.T) {
	r := start(t, Prices, ExampleFacts)
	ask := func() (*canon.Price, error) {
		reply, err := r.client.StatePrice(t.Context(), &pb.StatePriceRequest{Asset: string(btc), Currency: "USD"})
		if err != nil {
			return nil, err
		}
		var p canon.Price
		open(t, r, canon.KindPrice, reply.GetPrice(), &p)
		return &p, nil
	}
	r.write(t, strings.Replace(ExampleFacts, "65000.25", "70000", 1))
	p, err := ask()
	check(t, err)
	if p.Value.Int().Cmp(big.NewInt(70_000_000_000_000_000)) != 0 {
		t.Errorf("expected 70000 from the file as it is now, found %s", p.Value)
	}
	r.write(t, strings.Replace(ExampleFacts, "65000.25", "a lot", 1))
	if _, err := ask(); err == nil {
		t.Error("broken facts: expected an error, found a price")
	}
	r.write(t, strings.Replace(ExampleFacts, "2030-01-01T00:00:00Z", "2020-01-01T00:00:00Z", 1))
	if _, err := ask(); refusal.Of(err) == nil {
		t.Errorf("a price that ended: expected a refusal, found %v", err)
	}
}

func TestAnAttributeIsSigned(t *testing.T) {
	r := start(t, Attributes, ExampleFacts)
	reply, err := r.client.StateAttribute(t.Context(), &pb.StateAttributeRequest{Client: "fund-a", Attribute: "kyc"})
	check(t, err)
	var a canon.Attribute
	open(t, r, canon.KindAttribute, reply.GetAttribute(), &a)
	if a.Client != "fund-a" || a.Name != "kyc" || a.Value != "enhanced" || a.NotAfter != a.At+24*60*60 {
		t.Errorf("expected kyc = enhanced of fund-a for a day, found %+v", a)
	}
	if _, err := r.client.StateAttribute(t.Context(), &pb.StateAttributeRequest{Client: "fund-b", Attribute: "kyc"}); refusal.Of(err) == nil {
		t.Errorf("a client that is not in the table: expected a refusal, found %v", err)
	}
}

func TestAStrangerIsNotHeard(t *testing.T) {
	r := start(t, Attributes, ExampleFacts)
	path := filepath.Join(t.TempDir(), "stranger.key")
	_, err := NewKey(path)
	check(t, err)
	_, err = r.connect(t, path).StateAttribute(t.Context(), &pb.StateAttributeRequest{Client: "fund-a", Attribute: "kyc"})
	if err == nil {
		t.Error("expected no answer for a key that the configuration does not pin, found one")
	}
}

// request is one that fund-a signed.
func (r *running) request(t *testing.T, change func(*canon.Request)) (*pb.Signed, canon.Digest) {
	t.Helper()
	now := canon.TimeOf(time.Now())
	q := canon.Request{Organisation: r.charter.Organisation(), Client: "fund-a", Account: "fund-a-main", RequestID: "r-1", Chain: ethereum, Wallet: "eth-hot",
		Requester: canon.PublicKey(fundA.Public().(ed25519.PublicKey)), FeeCap: canon.AmountOf(1), NotBefore: now, NotAfter: now + 3600}
	change(&q)
	document, digest, err := canon.Seal(q)
	check(t, err)
	return &pb.Signed{Document: document, Scheme: uint32(canon.Ed25519), Signature: ed25519.Sign(fundA, canon.KindRequest.Message(document))}, digest
}

// pays sets one payment of so many thousandths of an ether.
func (r *running) pays(t *testing.T, to string, thousandths int64) func(*canon.Request) {
	t.Helper()
	chain, _ := r.charter.Chain(ethereum)
	address, err := wallets.ParseAddress(chain, to)
	check(t, err)
	amount, err := canon.NewAmount(new(big.Int).Mul(big.NewInt(thousandths), big.NewInt(1e15)))
	check(t, err)
	return func(q *canon.Request) { q.Outputs = []canon.Output{{Address: address, Asset: eth, Amount: amount}} }
}

// decide asks for a decision and returns it, or why there is none yet.
func (r *running) decide(t *testing.T, q *pb.Signed, data []byte) (*canon.Clearance, string) {
	t.Helper()
	reply, err := r.client.DecideClearance(t.Context(), &pb.DecideClearanceRequest{Request: q, TravelRuleData: data})
	check(t, err)
	if reply.GetClearance() == nil {
		if reply.GetPendingReason() == "" {
			t.Error("expected a reason for waiting, found none")
		}
		return nil, reply.GetPendingReason()
	}
	var c canon.Clearance
	open(t, r, canon.KindClearance, reply.GetClearance(), &c)
	if c.Request != canon.KindRequest.Digest(q.GetDocument()) || c.Authority != "desk" {
		t.Errorf("expected a decision about the request that was shown, found %+v", c)
	}
	return &c, ""
}

func TestScreeningClearsRefusesAndWaitsForPeople(t *testing.T) {
	r := start(t, Screening, ExampleFacts)
	q, _ := r.request(t, r.pays(t, anybody, 1))
	if c, _ := r.decide(t, q, nil); c == nil || !c.Cleared || c.NotAfter != c.At+3600 {
		t.Errorf("an address on no list: expected it cleared for an hour, found %+v", c)
	}
	bad, badDigest := r.request(t, r.pays(t, refused, 1))
	if c, _ := r.decide(t, bad, nil); c == nil || c.Cleared || c.Reason != "on a sanctions list" {
		t.Errorf("an address to refuse: expected a refusal with its reason, found %+v", c)
	}
	check(t, Decide(r.config, badDigest, Decision{Clear: true, Time: time.Now()}, false))
	if c, _ := r.decide(t, bad, nil); c == nil || c.Cleared {
		t.Errorf("an address to refuse that a person cleared: expected a refusal, found %+v", c)
	}
	doubtful, digest := r.request(t, r.pays(t, held, 1))
	if c, why := r.decide(t, doubtful, nil); c != nil || why != "mixer, ask compliance" {
		t.Errorf("an address to hold: expected no decision and why, found %+v, %q", c, why)
	}
	list, err := List(r.config, time.Now())
	check(t, err)
	if len(list) != 1 || list[0].Request != digest.String() || list[0].Client != "fund-a" || len(list[0].Payments) != 1 || list[0].Payments[0] != (WaitingPayment{held, string(eth), "0.001 ETH"}) {
		t.Errorf("expected the request on the list, found %+v", list)
	}
	check(t, Decide(r.config, digest, Decision{Clear: true, Reason: "known exchange", Time: time.Now()}, false))
	if c, why := r.decide(t, doubtful, nil); c == nil || !c.Cleared {
		t.Errorf("after a person cleared it: expected it cleared, found %+v, %q", c, why)
	}
	if list, err = List(r.config, time.Now()); err != nil || len(list) != 0 {
		t.Errorf("expected an empty list, found %+v, %v", list, err)
	}
	if err := Decide(r.config, digest, Decision{Reason: "changed"}, false); err == nil {
		t.Error("deciding twice: expected an error, found none")
	}
	check(t, Decide(r.config, digest, Decision{Reason: "changed"}, true))
	if c, _ := r.decide(t, doubtful, nil); c == nil || c.Cleared || c.Reason != "changed" {
		t.Errorf("after a person refused it: expected a refusal, found %+v", c)
	}
}

func TestAnAddressWithinACallIsScreened(t *testing.T) {
	r := start(t, Screening, ExampleFacts)
	chain, _ := r.charter.Chain(ethereum)
	address, err := wallets.ParseAddress(chain, refused)
	check(t, err)
	data := append([]byte{0xa9, 0x05, 0x9c, 0xbb}, append(make([]byte, 12), address...)...)
	q, _ := r.request(t, func(q *canon.Request) {
		q.Call = &canon.Call{To: make([]byte, 20), Data: append(data, make([]byte, 32)...)}
	})
	if c, _ := r.decide(t, q, nil); c == nil || c.Cleared {
		t.Errorf("expected a refusal, found %+v", c)
	}
	inside, _ := r.request(t, func(q *canon.Request) { q.Call = &canon.Call{To: address} })
	if c, _ := r.decide(t, inside, nil); c == nil || c.Cleared {
		t.Errorf("the contract itself: expected a refusal, found %+v", c)
	}
}

func TestDecisionsSurviveARestart(t *testing.T) {
	r := start(t, Screening, ExampleFacts)
	doubtful, digest := r.request(t, r.pays(t, held, 1))
	check(t, Decide(r.config, digest, Decision{Clear: true}, false))
	info, err := os.Stat(filepath.Join(r.config.Decisions, digest.String()+decidedSuffix))
	check(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("expected mode 0600, found %s", info.Mode())
	}
	s, err := newService(r.config, slog.New(slog.DiscardHandler))
	check(t, err)
	reply, err := s.DecideClearance(t.Context(), &pb.DecideClearanceRequest{Request: doubtful})
	check(t, err)
	if reply.GetClearance() == nil {
		t.Errorf("expected the decision to hold for another process, found it pending: %s", reply.GetPendingReason())
	}
}

// payload is the first business example of IVMS101 with another beneficiary account.
func payload(t *testing.T, account string) []byte {
	t.Helper()
	b, err := os.ReadFile("../../proto/ivms101/testdata/example-1.json")
	check(t, err)
	return bytes.ReplaceAll(b, []byte("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"), []byte(account))
}

func binding(data []byte) []byte {
	sum := sha256.Sum256(data)
	return sum[:]
}

func TestTheTravelRuleAsksForDataFromAThresholdOn(t *testing.T) {
	r := start(t, TravelRule, ExampleFacts)
	for _, c := range []struct {
		name        string
		thousandths int64
		change      func(*canon.Request)
		data        []byte
		cleared     bool
		why         string
	}{
		{name: "nothing is known of the currency's price, so data is needed", thousandths: 249, why: "needed"},
		{name: "with data that names everybody", thousandths: 5000, data: payload(t, anybody), cleared: true},
		{name: "with data about another address", thousandths: 5000, data: payload(t, held), why: "accountNumber"},
		{name: "with data that is none", thousandths: 5000, data: []byte(`{"name": "Alice Smith"}`), why: "members of the standard"},
		{name: "own wallets change no hands", thousandths: 5000, change: func(q *canon.Request) { q.Outputs[0].Own = &canon.OwnAddress{Wallet: "eth-hot"} }, cleared: true},
		{name: "data that is bound and did not come", thousandths: 1, change: func(q *canon.Request) { q.TravelData = binding([]byte("x")) }, why: "did not come"},
	} {
		q, _ := r.request(t, func(q *canon.Request) {
			r.pays(t, anybody, c.thousandths)(q)
			q.RequestID = "r-" + fmt.Sprint(len(c.name))
			if c.data != nil {
				q.TravelData = binding(c.data)
			}
			if c.change != nil {
				c.change(q)
			}
		})
		got, why := r.decide(t, q, c.data)
		if c.cleared != (got != nil && got.Cleared) || !strings.Contains(why, c.why) {
			t.Errorf("%s: expected cleared %t, %q, found %+v, %q", c.name, c.cleared, c.why, got, why)
		}
		if got != nil && c.data != nil && !bytes.Equal(got.Data, binding(c.data)) {
			t.Errorf("%s: expected the data's digest in the clearance, found %x", c.name, got.Data)
		}
	}
	for _, secret := range []string{"Smith", "Alice", "Walnut", "10023909"} {
		if strings.Contains(r.log.String(), secret) {
			t.Errorf("expected a log without personal data, found %q in it", secret)
		}
	}
}

func TestThresholdsCountAssetsAndMoney(t *testing.T) {
	priced := strings.Replace(ExampleFacts, "[[attributes]]", "[[prices]]\nasset = \""+string(eth)+"\"\ncurrency = \"USD\"\nvalue = \"4000\"\n\n[[attributes]]", 1)
	r := start(t, TravelRule, priced)
	for _, c := range []struct {
		thousandths int64
		cleared     bool
	}{{249, true}, {250, false}, {251, false}} { // 0.25 ETH and, at 4000, 1000 USD
		q, _ := r.request(t, r.pays(t, anybody, c.thousandths))
		if got, why := r.decide(t, q, nil); (got != nil && got.Cleared) != c.cleared {
			t.Errorf("%d thousandths: expected cleared %t, found %+v, %q", c.thousandths, c.cleared, got, why)
		}
	}
	r.write(t, strings.Replace(strings.Replace(priced, `missing = "hold" `, `missing = "refuse"`, 1), `amount = "0.25"`, `amount = "25"`, 1))
	q, _ := r.request(t, r.pays(t, anybody, 250))
	if got, why := r.decide(t, q, nil); got == nil || got.Cleared {
		t.Errorf("above the threshold in money, where missing data is refused: expected a refusal, found %+v, %q", got, why)
	}
}

func TestDataThatTheRequestDoesNotBindIsNoQuestion(t *testing.T) {
	r := start(t, TravelRule, ExampleFacts)
	q, _ := r.request(t, r.pays(t, anybody, 5000))
	_, err := r.client.DecideClearance(t.Context(), &pb.DecideClearanceRequest{Request: q, TravelRuleData: payload(t, anybody)})
	if refusal.Of(err) == nil {
		t.Errorf("expected a refusal, found %v", err)
	}
	other, _ := r.request(t, func(q *canon.Request) {
		r.pays(t, anybody, 1)(q)
		q.Organisation = canon.Digest{1}
	})
	for name, s := range map[string]*pb.Signed{"another organisation": other, "no request": {Document: []byte("x")}, "nothing": nil} {
		if _, err := r.client.DecideClearance(t.Context(), &pb.DecideClearanceRequest{Request: s}); refusal.Of(err) == nil {
			t.Errorf("%s: expected a refusal, found %v", name, err)
		}
	}
}

func TestWrongFilesAreRefused(t *testing.T) {
	r := start(t, Screening, ExampleFacts)
	for name, c := range map[string]struct{ old, new string }{
		"an unknown key":         {"[screening]", "[screening]\nsurprise = 1"},
		"an address of no chain": {`chain = "eip155:1337", address = "0x8589`, `chain = "eip155:1", address = "0x8589`},
		"no address":             {"0x8589427373D6D84E98730D7795D8f6f8731FDA16", "0x85"},
		"no reason":              {`reason = "on a sanctions list"`, `reason = ""`},
		"no duration":            {`valid = "1h"`, ``},
		"a duration of no unit":  {`valid = "1h"`, `valid = "60"`},
		"no amount":              {`amount = "0.25"`, `amount = "a few"`},
		"both units":             {`{ currency = "USD", amount = "1000" }`, `{ currency = "USD", asset = "eip155:1337/slip44:60", amount = "1000" }`},
		"an unknown answer":      {`missing = "hold"`, `missing = "ignore"`},
		"a price twice":          {"[[attributes]]", "[[prices]]\nasset = \"" + string(btc) + "\"\ncurrency = \"USD\"\nvalue = \"1\"\n[[attributes]]"},
		"a currency of no form":  {`currency = "USD"`, `currency = "dollars"`},
		"a client for all":       {`client = "fund-a"`, `client = "*"`},
	} {
		text := strings.Replace(ExampleFacts, c.old, c.new, 1)
		if text == ExampleFacts {
			t.Fatalf("%s: expected a change of the example, found none", name)
		}
		r.write(t, text)
		if _, _, err := loadFacts(r.facts, Screening, r.charter); err == nil {
			t.Errorf("%s: expected an error, found none", name)
		}
	}
	r.write(t, "")
	if _, _, err := loadFacts(r.facts, Screening, r.charter); err == nil {
		t.Error("nothing to screen by: expected an error, found none")
	}
	for name, change := range map[string]func(*Config){
		"no coordinator":     func(c *Config) { c.Coordinators = nil },
		"another purpose":    func(c *Config) { c.Purpose = "wisdom" },
		"no decisions":       func(c *Config) { c.Decisions = "" },
		"the same key twice": func(c *Config) { c.TLSKey = c.Key },
		"another genesis":    func(c *Config) { c.Organisation = strings.Repeat("ab", 32) },
	} {
		changed := *r.config
		change(&changed)
		r.write(t, ExampleFacts)
		if err := Serve(t.Context(), &changed, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s: expected an error, found none", name)
		}
	}
}

func TestTheDocumentedConfigurationIsOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authority.toml")
	check(t, os.WriteFile(path, []byte(ExampleConfig), 0o600))
	c, hash, err := LoadConfig(path)
	check(t, err)
	if c.Purpose != Screening || filepath.Dir(c.Facts) != filepath.Dir(path) || len(hash) != 64 {
		t.Errorf("expected the example with paths beside it, found %+v, hash %q", c, hash)
	}
}

func TestEntriesOfTheCharterAreFollowedOrRefused(t *testing.T) {
	r := start(t, Screening, ExampleFacts)
	c := *r.config
	c.Entries = filepath.Join(t.TempDir(), "entries")
	for text, good := range map[string]bool{"": true, "no base64!\n": false, "AAAA\n": false} {
		check(t, os.WriteFile(c.Entries, []byte(text), 0o600))
		if opened, err := c.charter(); (err == nil) != good || good && opened.Number() != 1 {
			t.Errorf("%q: expected the genesis %t, found %v", text, good, err)
		}
	}
	c.Entries += ".missing"
	if _, err := c.charter(); err == nil {
		t.Error("no file: expected an error, found none")
	}
}

func TestAKeyThatOthersCanReadIsRefused(t *testing.T) {
	r := start(t, Screening, ExampleFacts)
	check(t, os.Chmod(r.config.Key, 0o640))
	if err := Serve(t.Context(), r.config, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "mode") {
		t.Errorf("expected an error about the mode, found %v", err)
	}
	if _, err := NewKey(r.config.Key); err == nil {
		t.Error("a key that is there: expected an error, found it overwritten")
	}
}

func FuzzWaitingFile(f *testing.F) {
	f.Add([]byte(`{"request":"x","payments":[{}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := decisions(t.TempDir())
		check(t, os.WriteFile(filepath.Join(string(d), "a"+waitingSuffix), b, 0o600))
		if list, unread, err := d.waiting(); err != nil || len(list)+len(unread) != 1 {
			t.Errorf("expected one request or an error about it, found %d and %v, %v", len(list), unread, err)
		}
	})
}
