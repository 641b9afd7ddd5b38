package ledger

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

const testChain = canon.ChainID("eip155:1")

// capped is a limit without a window: the charges of each withdrawal, the largest of its versions, may add up to cap.
type capped struct{ cap int64 }

func (c capped) Spends(_ *charter.Charter, r *canon.Reservation) []policy.Spend {
	var all []policy.Spend
	for _, charge := range r.Charges {
		all = append(all, policy.Spend{Limit: charge.Limit, Counter: charge.Counter, Amount: charge.Amount.Int(), From: r.Stamp, To: r.Until, Withdrawal: r.Withdrawal})
	}
	return all
}

func (c capped) Check(_ *charter.Charter, r *canon.Reservation, recorded Spends) error {
	var spends []policy.Spend
	for _, charge := range r.Charges {
		spends = append(spends, recorded.Since(charge, 0)...)
	}
	sum, largest := new(big.Int), map[canon.Digest]*big.Int{}
	for _, s := range append(slices.Clone(spends), c.Spends(nil, r)...) {
		if m := largest[s.Withdrawal]; m == nil || m.Cmp(s.Amount) < 0 {
			largest[s.Withdrawal] = s.Amount
		}
	}
	for _, m := range largest {
		sum.Add(sum, m)
	}
	if sum.Cmp(big.NewInt(c.cap)) > 0 {
		return refusal.New("limit", "charges[0]", fmt.Sprint(c.cap), sum.String())
	}
	return nil
}

var (
	organisation = canon.Digest{1}
	identity     = ed25519.NewKeyFromSeed(make([]byte, 32))
)

func config(t testing.TB) Config {
	t.Helper()
	return Config{Dir: privateDir(t), Organisation: organisation, Signer: "node-1", Limits: capped{100}, Create: true}
}

func privateDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(t testing.TB, c Config) *Ledger {
	t.Helper()
	l, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func digest(text string) canon.Digest { return sha256.Sum256([]byte(text)) }

func intent(wid string) []byte { return []byte("intent of " + wid) }

func anchor(nonce uint64) canon.Anchor {
	return canon.Anchor{Chain: testChain, Account: make([]byte, 20), Number: nonce}
}

// plan is a reservation for a test: what varies has a name.
type plan struct {
	wid     string
	nonce   uint64
	version uint64
	charge  uint64
	stamp   canon.Time
	intent  string
	extra   []uint64 // further inputs
}

func (p plan) reservation() canon.Reservation {
	if p.intent == "" {
		p.intent = p.wid
	}
	if p.version == 0 {
		p.version = 1
	}
	inputs := []canon.Anchor{anchor(p.nonce)}
	for _, n := range p.extra {
		inputs = append(inputs, anchor(n))
	}
	return canon.Reservation{
		Organisation: organisation, Withdrawal: digest(p.wid), Version: p.version, Intent: canon.KindIntent.Digest(intent(p.intent)),
		Sort: canon.Write, Transactions: []canon.Digest{digest(fmt.Sprint(p.wid, p.version, p.nonce, p.extra))}, Wallet: "hot",
		Asset: "eip155:1/slip44:60", Charges: []canon.Charge{{Limit: "daily", Amount: canon.AmountOf(p.charge)}},
		Anchor: anchor(p.nonce), AnchorNumber: 1, Inputs: inputs, Stamp: p.stamp, Until: p.stamp + 60,
		CharterNumber: 1, Charter: organisation, Key: "main", KeyEpoch: 1,
	}
}

func (p plan) encode(t testing.TB) []byte {
	t.Helper()
	b, err := canon.Encode(p.reservation())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (p plan) rid(t testing.TB) canon.Digest { return canon.KindReservation.Digest(p.encode(t)) }

func (p plan) intentBytes() []byte {
	if p.intent != "" {
		return intent(p.intent)
	}
	return intent(p.wid)
}

func (p plan) certificate(t testing.TB) []byte {
	t.Helper()
	b, err := canon.Encode(canon.Certificate{Organisation: organisation, Reservation: p.encode(t), Acks: []canon.Signed{}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (p plan) session(t testing.TB, attempt uint64) canon.Session {
	rid, cert := p.rid(t), canon.KindCertificate.Digest(p.certificate(t))
	return canon.Session{
		Organisation: organisation, Protocol: canon.ProtocolSign, Key: "main", KeyEpoch: 1, Participants: []canon.Name{"node-1", "node-2"},
		Attempt: attempt, Reservation: rid[:], Certificate: cert[:],
	}
}

func signAck(a canon.Ack) (canon.Signed, error) {
	b, err := canon.Encode(a)
	if err != nil {
		return canon.Signed{}, err
	}
	return canon.Signed{Document: b, Scheme: canon.Ed25519, Signature: ed25519.Sign(identity, canon.KindAck.Message(b))}, nil
}

func pass(*Index) error { return nil }

func reserve(t testing.TB, l *Ledger, p plan) (canon.Signed, error) {
	t.Helper()
	return l.Reserve(Promise{Reservation: p.encode(t), Intent: p.intentBytes(), Evidence: digest("evidence")}, pass, signAck)
}

func mustReserve(t testing.TB, l *Ledger, p plan) canon.Signed {
	t.Helper()
	s, err := reserve(t, l, p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// refused fails the test unless err is a refusal under the rule that names the field.
func refused(t testing.TB, err error, rule, field string) {
	t.Helper()
	r := refusal.Of(err)
	if r == nil {
		t.Errorf("expected a refusal under %s of %s, found %v", rule, field, err)
		return
	}
	if !slices.ContainsFunc(r.Failures, func(f refusal.Failure) bool { return f.Rule == rule && f.Field == field }) {
		t.Errorf("expected a refusal under %s of %s, found %v", rule, field, err)
	}
}

func statement(t testing.TB, officer canon.Name, serial uint64, object canon.Digest) canon.Signed {
	t.Helper()
	b, err := canon.Encode(canon.Statement{Organisation: organisation, Officer: officer, Serial: serial, Verb: canon.StateReject, Object: object})
	if err != nil {
		t.Fatal(err)
	}
	return canon.Signed{Document: b, Scheme: canon.Ed25519, Signature: make([]byte, 64)}
}

func unchecked(*Index, canon.Time) error { return nil }

// at is a clock that stands.
func at(t canon.Time) func() canon.Time { return func() canon.Time { return t } }

// keep records it at second 7, with nothing to check.
func keep(l *Ledger, statement canon.Signed) error {
	_, err := l.Record(statement, at(7), unchecked)
	return err
}

func TestSameReservationGetsTheSameAckAlsoAfterReopening(t *testing.T) {
	c := config(t)
	l := open(t, c)
	p := plan{wid: "a", nonce: 1, charge: 10}
	first := mustReserve(t, l, p)
	var ack canon.Ack
	if err := canon.Decode(first.Document, &ack); err != nil {
		t.Fatal(err)
	}
	if ack.Reservation != p.rid(t) || ack.Signer != "node-1" || ack.Length != 2 || ack.Incarnation != 1 || ack.Head.IsZero() {
		t.Errorf("ack: expected record 2 of node-1 for the reservation, found %+v", ack)
	}
	mustReserve(t, l, plan{wid: "b", nonce: 2, charge: 10})
	length := l.State().Length
	again := mustReserve(t, l, p)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, c)
	reopened := mustReserve(t, l, p)
	for _, s := range []canon.Signed{again, reopened} {
		if string(s.Document) != string(first.Document) || string(s.Signature) != string(first.Signature) {
			t.Errorf("ack: expected the first one's bytes, found others")
		}
	}
	if l.State().Length != length {
		t.Errorf("length: expected %d, found %d", length, l.State().Length)
	}
}

func TestAckAfterACrashBetweenPromiseAndAnswerIsTheSame(t *testing.T) {
	c := config(t)
	l := open(t, c)
	p := plan{wid: "a", nonce: 1}
	_, err := l.Reserve(Promise{Reservation: p.encode(t), Intent: p.intentBytes()}, pass, func(canon.Ack) (canon.Signed, error) {
		return canon.Signed{}, errors.New("token lost")
	})
	if err == nil {
		t.Fatal("expected an error, found none")
	}
	mustReserve(t, l, plan{wid: "b", nonce: 2})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, c)
	var ack canon.Ack
	if err := canon.Decode(mustReserve(t, l, p).Document, &ack); err != nil {
		t.Fatal(err)
	}
	if ack.Length != 2 {
		t.Errorf("length: expected 2, that of the promise, found %d", ack.Length)
	}
}

func TestRulesOfOneWithdrawal(t *testing.T) {
	first := plan{wid: "a", nonce: 1, charge: 10, extra: []uint64{7}}
	for name, c := range map[string]struct {
		then        plan
		rule, field string // empty: allowed
	}{
		"new version on the same anchor":   {plan{wid: "a", nonce: 1, version: 2, charge: 12}, "", ""},
		"same version at another time":     {plan{wid: "a", nonce: 1, charge: 10, extra: []uint64{7}, stamp: 500}, "", ""},
		"another withdrawal":               {plan{wid: "b", nonce: 2, charge: 10}, "", ""},
		"another anchor":                   {plan{wid: "a", nonce: 2, version: 2}, "one-anchor", "anchor"},
		"another intent":                   {plan{wid: "a", nonce: 1, version: 2, intent: "x"}, "one-intent", "intent"},
		"other transactions, same version": {plan{wid: "a", nonce: 1}, "version", "transactions"},
		"anchor of another":                {plan{wid: "b", nonce: 1}, "held", "anchor"},
		"anchor is an input of another":    {plan{wid: "b", nonce: 7}, "held", "anchor"},
		"input of another":                 {plan{wid: "b", nonce: 2, extra: []uint64{3, 7}}, "held", "inputs[2]"},
		"input is the anchor of another":   {plan{wid: "b", nonce: 2, extra: []uint64{1}}, "held", "inputs[1]"},
		"beyond the limit":                 {plan{wid: "b", nonce: 2, charge: 91}, "limit", "charges[0]"},
		"up to the limit":                  {plan{wid: "b", nonce: 2, charge: 90}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := open(t, config(t))
			mustReserve(t, l, first)
			before := l.State()
			_, err := reserve(t, l, c.then)
			if c.rule == "" {
				if err != nil {
					t.Errorf("expected an ack, found %v", err)
				}
				return
			}
			refused(t, err, c.rule, c.field)
			if l.State() != before {
				t.Errorf("state: expected %v after a refusal, found %v", before, l.State())
			}
		})
	}
}

func TestReservationsThatAreWrongInThemselvesAreRefused(t *testing.T) {
	l := open(t, config(t))
	encode := func(change func(*canon.Reservation)) Promise {
		r := plan{wid: "a", nonce: 1}.reservation()
		change(&r)
		b, err := canon.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		return Promise{Reservation: b, Intent: intent("a")}
	}
	for _, c := range []struct {
		p           Promise
		rule, field string
	}{
		{encode(func(r *canon.Reservation) { r.AnchorNumber = 2 }), "one-anchor", "anchor_number"},
		{encode(func(r *canon.Reservation) { r.Inputs = []canon.Anchor{anchor(9)} }), "one-anchor", "inputs"},
		{encode(func(r *canon.Reservation) { r.Intent = digest("x") }), "reservation", "intent"},
		{Promise{Reservation: []byte{1}, Intent: intent("a")}, "reservation", "reservation"},
	} {
		_, err := l.Reserve(c.p, pass, signAck)
		refused(t, err, c.rule, c.field)
	}
	if l.State().Length != 1 {
		t.Errorf("length: expected 1, found %d", l.State().Length)
	}
}

func TestCheckUnderTheLockStopsTheAck(t *testing.T) {
	l := open(t, config(t))
	p := plan{wid: "a", nonce: 1}
	_, err := l.Reserve(Promise{Reservation: p.encode(t), Intent: p.intentBytes()},
		func(*Index) error { return refusal.New("rejected", "statements", "none", "one") }, signAck)
	refused(t, err, "rejected", "statements")
	if l.State().Length != 1 {
		t.Errorf("length: expected 1, found %d", l.State().Length)
	}
}

func TestACertificateGivesTheHoldAndTheCharge(t *testing.T) {
	c := config(t)
	l := open(t, c)
	p := plan{wid: "a", nonce: 1, charge: 60}
	if err := l.Hold(p.certificate(t), p.intentBytes()); err != nil {
		t.Fatal(err)
	}
	if err := l.Hold(p.certificate(t), p.intentBytes()); err != nil {
		t.Fatal(err)
	}
	if l.State().Length != 2 {
		t.Errorf("length: expected 2 after the same certificate twice, found %d", l.State().Length)
	}
	_, err := reserve(t, l, plan{wid: "b", nonce: 2, charge: 41})
	refused(t, err, "limit", "charges[0]")
	_, err = reserve(t, l, plan{wid: "b", nonce: 1})
	refused(t, err, "held", "anchor")
	if got, ok := l.Certificate(p.rid(t)); !ok || string(got) != string(p.certificate(t)) {
		t.Error("certificate: expected the bytes of the hold, found others")
	}
	mustReserve(t, l, p)
}

func TestACertificateForAnotherAnchorOrIntentIsNotActedUpon(t *testing.T) {
	l := open(t, config(t))
	mustReserve(t, l, plan{wid: "a", nonce: 1})
	other := plan{wid: "a", nonce: 2, version: 2}
	refused(t, l.Hold(other.certificate(t), other.intentBytes()), "one-anchor", "anchor")
	other = plan{wid: "a", nonce: 1, version: 2, intent: "x"}
	refused(t, l.Hold(other.certificate(t), other.intentBytes()), "one-intent", "intent")
	refused(t, l.Hold([]byte{0xa0}, intent("a")), "certificate", "certificate")
}

func TestASessionNeedsAHoldAndANewAttempt(t *testing.T) {
	c := config(t)
	l := open(t, c)
	p := plan{wid: "a", nonce: 1}
	mustReserve(t, l, p)
	_, err := l.Begin(p.session(t, 1))
	refused(t, err, "hold", "reservation")
	if err := l.Hold(p.certificate(t), p.intentBytes()); err != nil {
		t.Fatal(err)
	}
	first, err := l.Begin(p.session(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	others := p.session(t, 1)
	others.Participants = []canon.Name{"node-1", "node-3"}
	_, err = l.Begin(others)
	refused(t, err, "attempt", "attempt")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, c)
	_, err = l.Begin(p.session(t, 1))
	refused(t, err, "attempt", "attempt")
	second, err := l.Begin(p.session(t, 2))
	if err != nil || second == first {
		t.Errorf("second attempt: expected another session, found %v, %v", second, err)
	}
	_, err = l.Begin(p.session(t, 0))
	refused(t, err, "attempt", "attempt")
}

func TestCommitIsRecordedOnceAndOnlyIfTheCheckPasses(t *testing.T) {
	c := config(t)
	l := open(t, c)
	p := plan{wid: "a", nonce: 1}
	if err := l.Hold(p.certificate(t), p.intentBytes()); err != nil {
		t.Fatal(err)
	}
	refused(t, l.Commit(digest("no such session"), pass), "session", "session")
	id, err := l.Begin(p.session(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := keep(l, statement(t, "alice", 1, digest("object"))); err != nil {
		t.Fatal(err)
	}
	err = l.Commit(id, func(x *Index) error {
		if len(x.Statements(digest("object"))) != 0 {
			return refusal.New("rejected", "statements", "none", "one")
		}
		return nil
	})
	refused(t, err, "rejected", "statements")
	committed := func(l *Ledger) (yes bool) {
		if err := l.Read(func(x *Index) error { yes = x.Committed(p.rid(t)); return nil }); err != nil {
			t.Error(err)
		}
		return yes
	}
	if committed(l) {
		t.Error("expected nothing committed after a failed check")
	}
	if err := l.Commit(id, pass); err != nil {
		t.Fatal(err)
	}
	refused(t, l.Commit(id, pass), "session", "session")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l = open(t, c); !committed(l) {
		t.Error("expected COMMITTED on disk, found none")
	}
}

func TestStatementsAndAddressesAreKept(t *testing.T) {
	c := config(t)
	l := open(t, c)
	object := digest("intent")
	for range 2 {
		for serial := range uint64(2) {
			if err := keep(l, statement(t, "alice", serial, object)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, i := range []uint64{5, 3, 5, 64, 63} {
		if err := l.See("hot", "main", 1, i); err != nil {
			t.Fatal(err)
		}
	}
	if l.State().Length != 5 {
		t.Errorf("length: expected 5 records (opening, 2 statements, 2 addresses), found %d", l.State().Length)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, c)
	err := l.Read(func(x *Index) error {
		if got := len(x.Statements(object)); got != 2 || x.Recorded() != 2 {
			t.Errorf("statements: expected 2, found %d and %d", got, x.Recorded())
		}
		for _, id := range x.Set().IDs(canon.Digest{}, 9) {
			if r, ok := x.Set().Get(id); !ok || r.Seen != 7 {
				t.Errorf("statement: expected it first seen at second 7, found %+v", r)
			}
		}
		if got := x.HighestIndex("hot", "main", 1); got != 64 {
			t.Errorf("highest index: expected 64, found %d", got)
		}
		if got := x.HighestIndex("hot", "main", 0); got != -1 {
			t.Errorf("highest index of another branch: expected -1, found %d", got)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func statementOf(t testing.TB, verb canon.Verb, serial uint64, object canon.Digest) canon.Signed {
	t.Helper()
	b, err := canon.Encode(canon.Statement{Organisation: organisation, Officer: "alice", Serial: serial, Verb: verb, Object: object})
	if err != nil {
		t.Fatal(err)
	}
	return canon.Signed{Document: b, Scheme: canon.Ed25519, Signature: make([]byte, 64)}
}

func TestWhatTheCheckRefusesIsNotRecordedAndWhatIsKnownIsNotChecked(t *testing.T) {
	c := config(t)
	l := open(t, c)
	freeze, revoke := statementOf(t, canon.StateFreeze, 1, organisation), statementOf(t, canon.StateRevoke, 1, digest("key"))
	no := func(*Index, canon.Time) error { return refusal.New("statement", "officer", "another", "this") }
	_, err := l.Record(freeze, at(5), no)
	refused(t, err, "statement", "officer")
	if l.State().Length != 1 {
		t.Errorf("length: expected 1 after a refusal, found %d", l.State().Length)
	}
	_, err = l.Record(canon.Signed{Document: []byte{1}}, at(5), unchecked)
	refused(t, err, "statement", "document")
	for _, s := range []canon.Signed{freeze, revoke} {
		if fresh, err := l.Record(s, at(5), unchecked); err != nil || !fresh {
			t.Errorf("expected it recorded, found %v, %v", fresh, err)
		}
		if fresh, err := l.Record(s, at(6), no); err != nil || fresh {
			t.Errorf("again: expected nothing new and no check, found %v, %v", fresh, err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, c)
	if f, ok := l.Frozen(14, 10); !ok || f.Officer != "alice" || f.Since != 5 || f.Until != 15 {
		t.Errorf("after reopening: expected alice's freeze from 5 to 15, found %+v, %v", f, ok)
	}
	if _, ok := l.Frozen(15, 10); ok || !l.Revoked(digest("key")) || l.Revoked(digest("another")) || l.Recorded() != 2 {
		t.Errorf("after reopening: expected no freeze at 15 and one key revoked, found %v, %d statements", ok, l.Recorded())
	}
}

func TestStatementsOfAnOfficerAreBoundedByVerb(t *testing.T) {
	l := open(t, config(t))
	l.file = unsynced{l.file}
	for serial := range uint64(MaxStatements) {
		if err := keep(l, statementOf(t, canon.StateReject, serial, digest("intent"))); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, keep(l, statementOf(t, canon.StateReject, MaxStatements, digest("intent"))), "statements", "officer")
	if err := keep(l, statementOf(t, canon.StateRevoke, 1, digest("key"))); err != nil {
		t.Errorf("another verb: expected it recorded, found %v", err)
	}
	if err := keep(l, statement(t, "bob", 1, digest("intent"))); err != nil {
		t.Errorf("another officer: expected it recorded, found %v", err)
	}
}

// unsynced is a file that a test fills fast.
type unsynced struct{ file }

func (unsynced) Sync() error { return nil }

func TestAnotherFormatIsRefused(t *testing.T) {
	c := config(t)
	if err := create(c.Dir, openRecord{Format: 1, Organisation: organisation, Signer: "node-1", Incarnation: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(c); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "format: expected 2, found 1") {
		t.Errorf("expected a refusal of format 1, found %v", err)
	}
}

func TestASecondOpeningIsRefused(t *testing.T) {
	c := config(t)
	l := open(t, c)
	if _, err := Open(c); !errors.Is(err, ErrLocked) {
		t.Errorf("expected ErrLocked, found %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.See("hot", "main", 0, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("write after Close: expected ErrClosed, found %v", err)
	}
	open(t, c)
}

func TestOnlyTheRightLedgerOpens(t *testing.T) {
	c := config(t)
	c.Create = false
	if _, err := Open(c); !errors.Is(err, ErrMissing) {
		t.Errorf("no ledger: expected ErrMissing, found %v", err)
	}
	c.Create = true
	if err := open(t, c).Close(); err != nil {
		t.Fatal(err)
	}
	other := c
	other.Signer = "node-2"
	if _, err := Open(other); err == nil || !strings.Contains(err.Error(), "node-2") {
		t.Errorf("another signer: expected an error that names it, found %v", err)
	}
	other = c
	other.Organisation = digest("other")
	if _, err := Open(other); err == nil {
		t.Error("another organisation: expected an error, found none")
	}
}
