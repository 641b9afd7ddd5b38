package coordinator

import (
	"bytes"
	"crypto/sha256"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// waitsFor fails unless the row is held by that rule about that field.
func waitsFor(t *testing.T, row withdrawal.Withdrawal, rule, field string) refusal.Failure {
	t.Helper()
	for _, f := range row.Refusals {
		if row.State == withdrawal.Held && f.Rule == rule && f.Field == field {
			return f
		}
	}
	t.Fatalf("expected held for %s %s, found %s: %v", rule, field, row.State, row.Refusals)
	return refusal.Failure{}
}

func (w *world) events(id canon.Digest) []store.Event {
	w.t.Helper()
	list, err := w.service.Store.EventsFrom(w.ctx, 1, &id, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

func TestAWithdrawalIsHeldUntilItIsCleared(t *testing.T) {
	w, d := screened(t)
	d.set(func(d *desk) { d.undecided = true })
	row := w.createAtOnce("a")
	f := waitsFor(t, row, "clearance", "screening")
	if !strings.Contains(f.Expected, "authority screening") || !strings.Contains(f.Found, "screening") {
		t.Errorf("expected the authority named, found %v", f)
	}
	w.run()
	// Looking again finds the same, and writes nothing more.
	for range 3 {
		if _, err := w.service.advance(w.ctx, row.ID); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.events(row.ID)); n != 2 {
		t.Errorf("expected request and hold alone, found %d events", n)
	}
	d.set(func(d *desk) { d.undecided = false })
	paid := w.buried(row.ID)
	i := intentOfRow(t, paid)
	if len(i.Clearances) != 1 || i.At == 0 || len(i.Prices)+len(i.Attributes)+len(i.Balances)+len(i.Destinations) > 0 {
		t.Errorf("expected an intent with the clearance and nothing else, found %d, at %d", len(i.Clearances), i.At)
	}
	if err := w.service.Store.Verify(w.ctx); err != nil {
		t.Error(err)
	}
}

// createAtOnce creates acme's request as the driver looks at it: without waiting for answers.
func (w *world) createAtOnce(id string, change ...func(*canon.Request)) withdrawal.Withdrawal {
	w.t.Helper()
	signed := w.sign(w.t, "acme", w.request(id, change...))
	row, err := withdrawal.New(w.charter.Organisation(), signed, w.now(), "client/acme")
	if err != nil {
		w.t.Fatal(err)
	}
	if row, _, err = w.service.Store.Create(w.ctx, row, "client/acme"); err != nil {
		w.t.Fatal(err)
	}
	if row, err = w.service.decide(w.ctx, row, 0); err != nil {
		w.t.Fatal(err)
	}
	return row
}

func TestAnAuthorityThatAnswersAtOnceHoldsNobody(t *testing.T) {
	w, d := screened(t)
	if row := w.create("a"); row.State != withdrawal.Approved {
		t.Errorf("expected approved, found %s: %v", row.State, row.Refusals)
	}
	d.set(func(d *desk) { d.refuses = "the address is on a list" })
	row := w.create("b")
	if row.State != withdrawal.Denied || !strings.Contains(refusalText(row), "screening") || !strings.Contains(refusalText(row), "the address is on a list") {
		t.Errorf("expected denied with authority and reason, found %s: %v", row.State, row.Refusals)
	}
	// What is denied anyway is nobody else's business.
	d.set(func(d *desk) { d.asked = 0 })
	bad := w.create("c", func(r *canon.Request) { r.Outputs[0].Address = append(bytes.Clone(w.payee[:21]), w.payee[21]^1) })
	d.set(func(d *desk) {
		if bad.State != withdrawal.Denied || !hasRule(bad, "whitelist") || d.asked != 0 {
			t.Errorf("expected denied without a question, found %s after %d: %v", bad.State, d.asked, bad.Refusals)
		}
	})
}

func refusalText(row withdrawal.Withdrawal) string {
	return (&refusal.Refusal{Failures: row.Refusals}).Error()
}

func TestAnAuthorityThatFailsOrLiesHoldsAndTheClockEndsIt(t *testing.T) {
	tests := map[string]func(*desk){
		"down":     func(d *desk) { d.down = true },
		"garbage":  func(d *desk) { d.forge = func(s *canon.Signed) { s.Document = bytes.Repeat([]byte{0xff}, 100_000) } },
		"unsigned": func(d *desk) { d.forge = func(s *canon.Signed) { s.Signature = nil } },
		"other key": func(d *desk) {
			d.forge = func(s *canon.Signed) { s.Signature = bytes.Repeat([]byte{1}, 64) }
		},
		"other request": func(d *desk) {
			d.forge = func(s *canon.Signed) {
				var v canon.Clearance
				if canon.Decode(s.Document, &v) != nil {
					panic("a document of the desk's own")
				}
				v.Request[0] ^= 1
				signed, err := d.unforged(v)
				if err != nil {
					panic(err)
				}
				*s = signed
			}
		},
	}
	w, d := screened(t)
	w.run()
	var ids []canon.Digest
	for name, change := range tests {
		d.set(func(d *desk) { d.down, d.forge = false, nil; change(d) })
		row := w.createAtOnce(strings.ReplaceAll(name, " ", "-"))
		waitsFor(t, row, "clearance", "screening")
		// The answer, such as it is, changes nothing.
		w.answered()
		row, err := w.service.decide(w.ctx, row, 0)
		if err != nil {
			t.Fatal(err)
		}
		waitsFor(t, row, "clearance", "screening")
		ids = append(ids, row.ID)
	}
	w.offset.Store(7200)
	for _, id := range ids {
		w.service.driver.wake(id)
		w.awaitEnd(id, withdrawal.Expired)
		if n := len(w.events(id)); n > 4 {
			t.Errorf("expected a handful of events, found %d", n)
		}
	}
}

// unforged signs a document as the desk does; the desk is locked.
func (d *desk) unforged(v canon.Clearance) (canon.Signed, error) {
	forge := d.forge
	d.forge = nil
	defer func() { d.forge = forge }()
	s, err := d.state(v)
	if err != nil {
		return canon.Signed{}, err
	}
	return fromSigned(s), nil
}

// answered waits until no question is open.
func (w *world) answered() {
	w.t.Helper()
	for {
		changed := w.service.inquiries.changed()
		w.service.inquiries.mu.Lock()
		open := len(w.service.inquiries.asking)
		w.service.inquiries.mu.Unlock()
		if open == 0 {
			return
		}
		select {
		case <-changed:
		case <-w.ctx.Done():
			w.t.Fatal("a question was never answered")
		}
	}
}

// awaitEnd waits for a terminal state.
func (w *world) awaitEnd(id canon.Digest, state withdrawal.State) withdrawal.Withdrawal {
	w.t.Helper()
	for {
		changed := w.service.Store.Changed()
		row := w.row(id)
		if row.State == state {
			return row
		}
		if row.State.Terminal() {
			w.t.Fatalf("expected %s, found %s: %v", state, row.State, row.Refusals)
		}
		select {
		case <-changed:
		case <-w.ctx.Done():
			w.t.Fatalf("expected %s, found %s: %v", state, row.State, row.Refusals)
		}
	}
}

// While one authority does not answer, decisions that do not need it are made.
func TestAHangingAuthorityKeepsNobodyElseWaiting(t *testing.T) {
	w, d := screened(t)
	d.set(func(d *desk) { d.hang = true })
	began := make(chan withdrawal.Withdrawal)
	signed := w.sign(t, "acme", w.request("slow"))
	go func() {
		row, err := w.service.Create(w.ctx, Submission{Request: signed, Client: "acme"})
		if err != nil {
			t.Error(err)
		}
		began <- row
	}()
	for asked := 0; asked == 0; {
		if w.ctx.Err() != nil {
			t.Fatal("the desk was never asked")
		}
		d.set(func(d *desk) { asked = d.asked })
	}
	if row := w.create("large", amount(5_000_000)); row.State != withdrawal.AwaitingApproval {
		t.Errorf("expected awaiting-approval, found %s: %v", row.State, row.Refusals)
	}
	select {
	case row := <-began:
		t.Fatalf("expected the other request to wait still, found it %s", row.State)
	default:
	}
	waitsFor(t, <-began, "clearance", "screening")
	w.run()
	start := time.Now()
	w.cancel()
	<-w.stopped
	w.cancel = nil
	if took := time.Since(start); took > inquiryTimeout/2 {
		t.Errorf("expected the service to end without waiting for the authority, took %s", took)
	}
}

func TestARestartedServiceAsksAgain(t *testing.T) {
	w, d := screened(t)
	d.set(func(d *desk) { d.down = true })
	row := w.createAtOnce("a")
	waitsFor(t, row, "clearance", "screening")
	d.set(func(d *desk) { d.down = false })
	w.reopen()
	w.run()
	w.buried(row.ID)
}

func TestAPriceThatIsMissingHoldsAndTheHighestCounts(t *testing.T) {
	const unit = 1_000_000_000_000
	priced := func(_ *organisation, g *canon.Genesis) {
		g.Prices = []canon.PriceSource{{Asset: btc, Currency: "USD", Authorities: []canon.Name{"rates", "rates-two"}, MaxAge: 600,
			Min: canon.AmountOf(unit), Max: canon.AmountOf(1_000_000 * unit)}}
		ether := g.Prices[0]
		ether.Asset = eth
		g.Prices = append(g.Prices, ether)
		// At most 700 dollars by itself.
		g.Rules[0].Value = &canon.ValueRange{Currency: "USD", Max: canon.AmountOf(700_000_000)}
	}
	w := newWorld(t, "", authority("rates", canon.PurposePrice), authority("rates-two", canon.PurposePrice), priced)
	first, second := w.desk("rates"), w.desk("rates-two")
	for _, d := range []*desk{first, second} {
		d.set(func(d *desk) { d.down, d.price = true, canon.AmountOf(60_000*unit) })
	}
	w.reopen()
	w.fund(30_000_000)
	row := w.createAtOnce("a") // 0.01 bitcoin: 600 dollars
	if f := waitsFor(t, row, "price", string(btc)); !strings.Contains(f.Expected, "USD") || !strings.Contains(f.Expected, "rates") {
		t.Errorf("expected currency and authorities named, found %v", f)
	}
	w.run()
	first.set(func(d *desk) { d.down = false })
	row = w.await(row.ID, withdrawal.Approved, withdrawal.Reserved, withdrawal.Signing, withdrawal.Signed, withdrawal.Broadcast)
	if i := intentOfRow(t, row); row.Rule != "small" || len(i.Prices) != 1 {
		t.Errorf("expected rule small by one price, found %s by %d", row.Rule, len(i.Prices))
	}
	// Another authority says 80,000: the higher price counts, and officers are asked.
	second.set(func(d *desk) { d.down, d.price = false, canon.AmountOf(80_000*unit) })
	w.reopen()
	row = w.create("b")
	if i := intentOfRow(t, row); row.Rule != "large" || len(i.Prices) != 2 {
		t.Errorf("expected rule large by both prices, found %s by %d: %v", row.Rule, len(i.Prices), row.Refusals)
	}
}

func TestAnAuthoritysAttributeDecides(t *testing.T) {
	rated := func(_ *organisation, g *canon.Genesis) {
		g.Rules[0].Attributes = []canon.AttributeCondition{{Name: "risk", Values: []canon.Text{"low"}, Authority: "kyc-desk"}}
	}
	w := newWorld(t, "", authority("kyc-desk", canon.PurposeAttribute), rated)
	d := w.desk("kyc-desk")
	d.set(func(d *desk) { d.down = true })
	w.reopen()
	w.fund(30_000_000)
	waitsFor(t, w.createAtOnce("a"), "attribute", "risk")
	d.set(func(d *desk) { d.down, d.value = false, "high" })
	w.reopen()
	if row := w.create("b"); row.Rule != "large" || row.State != withdrawal.AwaitingApproval {
		t.Errorf("expected that officers are asked about a client of high risk, found %s by %s: %v", row.State, row.Rule, row.Refusals)
	}
	d.set(func(d *desk) { d.value = "low" })
	w.reopen()
	row := w.create("c")
	if i := intentOfRow(t, row); row.Rule != "small" || len(i.Attributes) != 1 {
		t.Errorf("expected rule small by one attribute, found %s by %d", row.Rule, len(i.Attributes))
	}
}

func TestWhatOnlyTheServiceKnowsHoldsOrDenies(t *testing.T) {
	suspicious := func(_ *organisation, g *canon.Genesis) {
		g.Rules[0].Holds = []canon.Hold{{When: `client_ip == "192.0.2.66"`, Deny: true}, {When: `!known_ip && requests > 1`}}
	}
	w := newWorld(t, "", suspicious)
	w.reopen()
	w.fund(30_000_000)
	from := func(id, ip string) withdrawal.Withdrawal {
		t.Helper()
		row, err := w.service.Create(w.ctx, Submission{Request: w.sign(t, "acme", w.request(id)), Client: "acme", Origin: ip})
		if err != nil {
			t.Fatal(err)
		}
		return row
	}
	if row := from("a", "192.0.2.66"); row.State != withdrawal.Denied || !strings.Contains(refusalText(row), "client_ip") || row.Origin != "192.0.2.66" {
		t.Errorf("expected denied for its address, found %s: %v", row.State, row.Refusals)
	}
	held := from("b", "192.0.2.7")
	if held.State != withdrawal.Held || !strings.Contains(refusalText(held), "known_ip") {
		t.Fatalf("expected held for an unknown address, found %s: %v", held.State, held.Refusals)
	}
	if again := from("c", "192.0.2.7"); again.State != withdrawal.Held {
		t.Errorf("expected that asking twice makes no address known, found %s", again.State)
	}
	// What passed over the other rule makes the address known.
	large, err := w.service.Create(w.ctx, Submission{Request: w.sign(t, "acme", w.request("d", amount(5_000_000))), Client: "acme", Origin: "192.0.2.7"})
	if err != nil || large.State != withdrawal.AwaitingApproval {
		t.Fatalf("expected awaiting-approval, found %s, %v", large.State, err)
	}
	after, err := w.service.decide(w.ctx, held, 0)
	if err != nil || after.State != withdrawal.Approved {
		t.Errorf("expected approved once the address is known, found %s: %v, %v", after.State, after.Refusals, err)
	}
}

func TestGroupsOfTheAddressBookReachTheIntent(t *testing.T) {
	w := newWorld(t, "", func(o *organisation, g *canon.Genesis) {
		o.groups = []canon.Name{"exchanges"}
		g.Rules[0].To = []canon.Target{{Kind: canon.TargetBook, Name: "exchanges"}}
	})
	w.fund(30_000_000)
	w.run()
	row := w.buried(w.create("a").ID)
	if i := intentOfRow(t, row); row.Rule != "small" || len(i.Destinations) != 1 || len(i.Destinations[0].Groups) != 1 || i.Destinations[0].Groups[0] != "exchanges" {
		t.Errorf("expected rule small and group exchanges, found %s and %v", row.Rule, i.Destinations)
	}
}

func TestTravelRuleDataGoesToItsAuthorityAndNowhereElse(t *testing.T) {
	data, err := os.ReadFile("../../proto/ivms101/testdata/example-1.json")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	travel := func(_ *organisation, g *canon.Genesis) { g.Rules[0].Clearances = []canon.Name{"screening", "travel"} }
	w, screening := screened(t, authority("travel", canon.PurposeTravelRule), travel)
	d := w.desk("travel")
	w.reopen()
	bind := func(r *canon.Request) { r.TravelData = sum[:] }
	submit := func(id string, data []byte, change ...func(*canon.Request)) (withdrawal.Withdrawal, error) {
		return w.service.Create(w.ctx, Submission{Request: w.sign(t, "acme", w.request(id, change...)), Client: "acme", TravelData: data})
	}
	for name, bad := range map[string]func() error{
		"none":      func() error { _, err := submit("x", nil, bind); return err },
		"other":     func() error { _, err := submit("x", []byte(`{"a":1}`), bind); return err },
		"unbound":   func() error { _, err := submit("x", data); return err },
		"too large": func() error { _, err := submit("x", make([]byte, store.MaxTravelData+1), bind); return err },
		"no IVMS101": func() error {
			junk := []byte(`{"a":1}`)
			sum := sha256.Sum256(junk)
			_, err := submit("x", junk, func(r *canon.Request) { r.TravelData = sum[:] })
			return err
		},
	} {
		if err := bad(); refusal.Of(err) == nil {
			t.Errorf("%s: expected a refusal, found %v", name, err)
		}
	}
	signed := w.sign(t, "acme", w.request("a", bind))
	row, err := w.service.Create(w.ctx, Submission{Request: signed, Client: "acme", TravelData: data})
	if err != nil || row.State != withdrawal.Approved {
		t.Fatalf("expected approved, found %s: %v, %v", row.State, row.Refusals, err)
	}
	d.set(func(d *desk) {
		if !bytes.Equal(d.data, data) {
			t.Errorf("travel: expected the data, found %d bytes", len(d.data))
		}
	})
	screening.set(func(d *desk) {
		if len(d.data) != 0 || d.asked == 0 {
			t.Errorf("screening: expected a question without the data, found %d bytes", len(d.data))
		}
	})
	for _, again := range [][]byte{nil, data} {
		if same, err := w.service.Create(w.ctx, Submission{Request: signed, Client: "acme", TravelData: again}); err != nil || same.ID != row.ID {
			t.Errorf("expected the withdrawal of then, found %s, %v", same.ID, err)
		}
	}
}
