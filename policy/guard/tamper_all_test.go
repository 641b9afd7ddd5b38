package guard

import (
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	tokens "go/token"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/core/types"
	"pgregory.net/rapid"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
)

// What may pass, by the form of the withdrawal. Everything else is refused.
var (
	ofQuorums = []harmless{
		{"Evidence.Approvals", []string{"0 twice", "1 twice", "0 again at the end", "1 again at the end"}, "an officer counts once however often the approval is there"},
		{"Evidence.Approvals", []string{"0 and 1 swapped"}, "approvals have no order"},
	}
	ofBooks = []harmless{
		{"Evidence.Addresses", []string{"added"}, "a proof under a version of the address book that this signer does not ask for: others may, who saw a new version earlier or later"},
	}
	ofPrevious = []harmless{
		{"Evidence.Previous", []string{"0 and 1 swapped"}, "previous transactions are found by their txid"},
		{"Evidence.Previous[]>MsgTx.TxIn[].Witness", nil, "the txid does not cover the witness, and nothing is read out of it"},
		{"Evidence.Previous[]>MsgTx.TxIn[].Witness[]", nil, "as above"},
	}
	ofBitcoinTemplates = []harmless{
		{"Evidence.Transaction>MsgTx.TxOut[1].Value", nil, "a template leaves the fee open up to the cap that was approved, and change is what it leaves"},
	}
	ofEVMTemplates = []harmless{
		{"Evidence.Transaction>DynamicFeeTx.Nonce", nil, "a template leaves the nonce open; the ledger binds it to the withdrawal and bounds the gap"},
		{"Evidence.Transaction>DynamicFeeTx.GasTipCap", nil, "a template leaves the fee open up to the cap that was approved"},
		{"Evidence.Transaction>DynamicFeeTx.GasFeeCap", nil, "as above"},
		{"Evidence.Transaction>DynamicFeeTx.Gas", nil, "as above"},
	}
	ofRules = []harmless{
		{"Evidence.Intent>Intent.Mode", []string{"one more", "doubled"}, "where nobody approves the coordinator writes the intent, and exact is narrower"},
		{"Evidence.Intent>Intent.NotAfter", []string{"one less"}, "where nobody approves an intent may end before the request does"},
		{"Evidence.Intent>Intent.FeeCap", nil, "where nobody approves an intent may cap the fee below the request's cap"},
	}
	ofPlainRules = []harmless{
		{"Evidence.Intent>Intent.Destinations[0].Groups", []string{"without 0", "none"}, "where nobody approves an intent may say of an address in no group that it is in none"},
	}
	ofOnePrevious = []harmless{
		{"Evidence.Previous[]>MsgTx.TxIn[].Witness", nil, "the txid does not cover the witness, and nothing is read out of it"},
		{"Evidence.Previous[]>MsgTx.TxIn[].Witness[]", nil, "as above"},
	}
	ofStatements = []harmless{
		{"Evidence.Intent>Intent.At", []string{"one more", "one less", "low bit"}, "where nobody approves the coordinator says when it completed the request: not before the request, nor after now"},
		{"Evidence.Intent>Intent.Destinations[0].Groups", []string{"0 twice", "0 again at the end"}, "an address is in a group however often it is said"},
		{"Evidence.Intent>Intent.Destinations[0].Recent", []string{"added"}, "by recent groups rules deny and never allow"},
		{"Evidence.Intent>Intent.Destinations[0].Recent[0]", nil, "as above"},
		{"Evidence.Intent>Intent.Prices", []string{"0 twice", "0 again at the end"}, "of several prices the highest counts"},
		{"Evidence.Intent>Intent.Attributes", []string{"0 twice", "0 again at the end"}, "of several attributes the latest counts"},
		{"Evidence.Intent>Intent.Clearances", []string{"0 twice", "0 again at the end", "1 twice", "1 again at the end", "0 and 1 swapped"}, "clearances have no order"},
		{"Evidence.Intent>Intent.Balances", []string{"0 twice", "0 again at the end", "1 twice", "1 again at the end", "0 and 1 swapped"}, "a signer counts once, and signers have no order"},
	}
)

// Every field of everything that is signed or named by something signed on the way of a withdrawal, and of the transactions, is changed
// alone, in each form of withdrawal. The list of fields comes from the types: a field that no change reached fails the test.
func TestEveryFieldThatIsChangedAloneIsRefused(t *testing.T) {
	fields := map[string]int{}
	for _, d := range withdrawals(t) {
		t.Run(d.name, func(t *testing.T) { d.tamperWith(t, fields) })
	}
	d := withdrawals(t)[0]
	t.Run("statement", func(t *testing.T) { tamperWithStatements(t, fields) })
	t.Run("reservation", func(t *testing.T) { d.tamperWithReservation(t, fields) })
	t.Run("certificate", func(t *testing.T) { d.tamperWithCertificate(t, fields) })
	t.Run("attestation", func(t *testing.T) { tamperWithAttestation(t, fields) })
	reachable := map[string]bool{}
	for _, root := range []reflect.Type{reflect.TypeFor[canon.Request](), reflect.TypeFor[canon.Intent](), reflect.TypeFor[canon.Approval](), reflect.TypeFor[canon.Statement](),
		reflect.TypeFor[canon.Price](), reflect.TypeFor[canon.Attribute](), reflect.TypeFor[canon.Clearance](), reflect.TypeFor[canon.Balances](),
		reflect.TypeFor[canon.BookEntry](), reflect.TypeFor[canon.Evidence](), reflect.TypeFor[canon.Reservation](), reflect.TypeFor[canon.Ack](),
		reflect.TypeFor[canon.Certificate](), reflect.TypeFor[canon.Attestation](), reflect.TypeFor[wire.MsgTx](), reflect.TypeFor[types.DynamicFeeTx]()} {
		fieldsOf(root, reachable)
	}
	for name := range reachable {
		if fields[name] == 0 {
			t.Errorf("%s: expected a change that the guard was asked about, found none", name)
		}
	}
	t.Logf("%d fields", len(reachable))
}

// fieldsOf collects the fields of a type and of what it holds.
func fieldsOf(t reflect.Type, into map[string]bool) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		if t != reflect.TypeFor[*big.Int]() {
			fieldsOf(t.Elem(), into)
		}
	case reflect.Struct:
		for i := range t.NumField() {
			into[t.Name()+"."+t.Field(i).Name] = true
			fieldsOf(t.Field(i).Type, into)
		}
	}
}

// A kind of document that canon gains takes part in withdrawals, and is tampered with here, or is named here with what it is for instead.
func TestEveryKindIsTamperedWithOrTakesNoPart(t *testing.T) {
	part := []string{"Request", "Intent", "Approval", "Statement", "BookEntry", "Evidence", "Reservation", "Ack", "Certificate", "Price", "Attribute", "Clearance", "Balances", "Attestation"}
	none := map[string]string{
		"Genesis": "the charter itself, which the signer knows by its digest", "Amendment": "changes charters", "Held": "changes charters", "CharterEntry": "changes charters",
		"Session": "runs of protocols between signers", "Envelope": "messages between signers", "Address": "shows an address to its owner", "Head": "says how far a signer's ledger is",
		"BookRoot": "a version of the address book, which package book verifies; a signer's view holds its root", "BookUpdate": "as BookRoot", "BookChange": "as BookRoot",
		"KeyPool": "the keys of a wallet's devices, which package keyset verifies under the digest that the charter names", "Possession": "shows that somebody has a key of a KeyPool",
		"Transcript": "the record of a ceremony",
	}
	var found []string
	files, err := filepath.Glob("../../proto/canon/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("expected the sources of canon, found %v (%v)", files, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, kindsIn(t, name, source)...)
	}
	for _, kind := range found {
		if slices.Contains(part, kind) == (none[kind] != "") {
			t.Errorf("%s: expected a kind that is tampered with or takes no part, found neither or both", kind)
		}
	}
	if len(found) != len(part)+len(none) {
		t.Errorf("expected %d kinds, found %d: %v", len(part)+len(none), len(found), found)
	}
}

// kindsIn returns the types that have a method Kind.
func kindsIn(t *testing.T, name string, source []byte) []string {
	file, err := parser.ParseFile(tokens.NewFileSet(), name, source, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || f.Recv == nil || f.Name.Name != "Kind" {
			continue
		}
		if receiver, ok := f.Recv.List[0].Type.(*ast.Ident); ok {
			found = append(found, receiver.Name)
		}
	}
	return found
}

// tamperWithStatements changes what an officer said against a withdrawal. It stops whatever is done to it; only a signer that did not hear of it
// from anybody else can be kept from it, by leaving it out.
func tamperWithStatements(t *testing.T, fields map[string]int) {
	key := approval.KeyDigest(officerKeys()["bob"].Public())
	said := map[string]func(d *withdrawal) canon.Signed{
		"reject the withdrawal": func(d *withdrawal) canon.Signed { return d.w.said("carol", canon.StateReject, d.signable.Withdrawal()) },
		"reject the intent": func(d *withdrawal) canon.Signed {
			return d.w.said("carol", canon.StateReject, d.signable.IntentDigest())
		},
		"withdraw": func(d *withdrawal) canon.Signed {
			return d.w.said("alice", canon.StateWithdraw, d.signable.IntentDigest())
		},
		"revoke a key": func(d *withdrawal) canon.Signed { return d.w.said("bob", canon.StateRevoke, key) },
	}
	for name, say := range said {
		t.Run(name, func(t *testing.T) {
			d := newWithdrawal(t, "bitcoin with change, by quorum", bitcoinCodec, (*world).bitcoinPaper)
			d.tamperWithStatement(t, fields, say(d))
		})
		if !strings.HasPrefix(name, "reject") {
			continue
		}
		t.Run(name+", by rule", func(t *testing.T) {
			d := newWithdrawal(t, "token, by rule", evmCodec, func(w *world) *paper { return w.evmPaper(usd) })
			d.tamperWithStatement(t, fields, say(d))
		})
	}
}

func (d *withdrawal) tamperWithStatement(t *testing.T, fields map[string]int, statement canon.Signed) {
	e := d.signable.evidence
	e.Statements = []canon.Signed{statement}
	tw := newTamperer(t, d)
	tw.fields = fields
	tw.want = func(place, _ string) bool { return strings.HasPrefix(place, "Evidence.Statements") }
	original, left := tw.encode(e), 0
	untold, told := d.w.view(), d.w.view()
	told.Statements = func(canon.Digest) []canon.Signed { return []canon.Signed{statement} }
	if _, err := Check(original, untold); explained(err) != nil {
		t.Fatal(explained(err))
	}
	tw.document(&e, func(place, change string) bool {
		evidence := tw.encode(e)
		if _, err := Check(evidence, told); explained(err) != nil {
			t.Errorf("%s: %s: to a signer that was told: %v", place, change, explained(err))
		}
		if len(e.Statements) == 0 {
			left++
			return true
		}
		if _, err := Check(evidence, untold); explained(err) != nil {
			t.Errorf("%s: %s: %v", place, change, explained(err))
		}
		return !bytes.Equal(evidence, original)
	})
	if left == 0 {
		t.Error("expected the statement left out once, found it never was")
	}
}

// freeInReservations are fields that the guard leaves to others, with the reason.
var freeInReservations = []harmless{
	{"Reservation.Version", nil, "the coordinator counts versions; the ledger ties each to one transaction"},
	{"Reservation.Stamp", nil, "a stamp in the past only widens the time in which the reservation counts, and the rule's signing time bounds it"},
	{"Reservation.Until", nil, "an end before the latest that is allowed"},
}

// tamperWithReservation changes what a coordinator asks a signer to record. A reservation is nobody's word: CheckReservation compares it.
func (d *withdrawal) tamperWithReservation(t *testing.T, fields map[string]int) {
	tw := newTamperer(t, d)
	tw.fields = fields
	r, original, used := d.asked, tw.encode(d.asked), map[string]bool{}
	tw.document(&r, func(place, change string) bool {
		b := tw.encode(r)
		if bytes.Equal(b, original) {
			return false
		}
		var got canon.Reservation
		if err := canon.Decode(b, &got); err != nil {
			if !errors.Is(err, canon.ErrEncoding) {
				t.Errorf("%s: %s: expected %v, found %v", place, change, canon.ErrEncoding, err)
			}
			return true // no reservation: it goes no further than the decoder
		}
		err := d.signable.CheckReservation(got, d.w.view())
		free := slices.ContainsFunc(freeInReservations, func(h harmless) bool { return h.covers(place, change) })
		if err == nil && free {
			used[place] = true
			if got.Until > d.signable.NotAfter() || got.Until < canon.TimeOf(start) || got.Stamp > canon.TimeOf(start)+30 || got.Until-got.Stamp > 600 {
				t.Errorf("%s: %s: expected times within the rule's, found %d to %d", place, change, got.Stamp, got.Until)
			}
			return true
		}
		if err := explained(err); err != nil {
			t.Errorf("%s: %s: %v", place, change, err)
		}
		return true
	})
	for _, h := range freeInReservations {
		if !used[h.place] {
			t.Errorf("%s: expected it to pass (%s), found it refused: take it off the list", h.place, h.why)
		}
	}
}

// tamperWithCertificate changes a certificate, as it is and with acks that name the reservation as it now is. Acks are signed, so whatever they
// say of the signer's ledger cannot be changed either.
func (d *withdrawal) tamperWithCertificate(t *testing.T, fields map[string]int) {
	original := d.w.certificate(d.asked, nil, "node-1", "node-3", "node-4")
	var c canon.Certificate
	if err := canon.Decode(original, &c); err != nil {
		t.Fatal(err)
	}
	tw := newTamperer(t, d)
	tw.fields = fields
	swapped := 0
	ask := func(b []byte, place, change string) {
		if bytes.Equal(b, original) {
			return
		}
		_, _, members, err := CheckCertificate(b, d.w.view())
		if place == "Certificate.Acks" && strings.HasSuffix(change, "swapped") { // acks have no order
			if swapped++; err != nil || len(members) != 3 {
				t.Errorf("%s: %s: expected three members, found %v (%v)", place, change, members, err)
			}
			return
		}
		if err := explained(err); err != nil {
			t.Errorf("%s: %s: %v", place, change, err)
		}
	}
	tw.document(&c, func(place, change string) bool {
		b := tw.encode(c)
		ask(b, place, change)
		mended := c
		mended.Organisation, mended.Acks = d.w.charter.Organisation(), slices.Clone(c.Acks)
		for i := range mended.Acks {
			var a canon.Ack
			if rawDecode(mended.Acks[i].Document, &a) == nil {
				a.Reservation = canon.KindReservation.Digest(c.Reservation)
				mended.Acks[i].Document = tw.encode(a)
			}
		}
		if again := tw.encode(mended); !bytes.Equal(again, b) {
			ask(again, place, change)
		}
		return !bytes.Equal(b, original)
	})
	if swapped == 0 {
		t.Error("expected acks in another order, found none")
	}
}

// tampered is one change in one place.
type tampered struct{ place, change string }

// places lists every change of the evidence.
func (d *withdrawal) places(t testing.TB) []tampered {
	var e canon.Evidence
	if err := canon.Decode(d.evidence, &e); err != nil {
		t.Fatal(err)
	}
	var all []tampered
	newTamperer(t, d).document(&e, func(place, change string) bool {
		all = append(all, tampered{place, change})
		return true
	})
	return all
}

// with returns the evidence with one change, or as it is where it has no such place any more.
func (d *withdrawal) with(t testing.TB, evidence []byte, c tampered) []byte {
	var e canon.Evidence
	if rawDecode(evidence, &e) != nil {
		return evidence
	}
	tw, out := newTamperer(t, d), evidence
	tw.want = func(place, change string) bool { return tampered{place, change} == c }
	tw.document(&e, func(string, string) bool {
		out = tw.encode(e)
		return true
	})
	return out
}

// Changes may make up for each other, as an output that moves and the path that says where change lies. What passes then must be a withdrawal
// that was allowed: judge holds it against the original. One change that is refused alone is refused beside harmless ones elsewhere.
func TestCombinedChangesAreRefused(t *testing.T) {
	all := withdrawals(t)
	places := make([][]tampered, len(all))
	for i, d := range all {
		places[i] = d.places(t)
	}
	rapid.Check(t, func(rt *rapid.T) {
		for range 8 {
			i := rapid.IntRange(0, len(all)-1).Draw(rt, "withdrawal")
			all[i].combined(rt, t, rapid.SliceOfN(rapid.SampledFrom(places[i]), 1, 3).Draw(rt, "changes"))
		}
	})
}

func (d *withdrawal) combined(rt *rapid.T, t testing.TB, changes []tampered) {
	evidence, strict := d.evidence, 0
	for _, c := range changes {
		next := d.with(t, evidence, c)
		if !bytes.Equal(next, evidence) && d.allowed(c.place, c.change) < 0 {
			strict++
		}
		evidence = next
	}
	if bytes.Equal(evidence, d.evidence) {
		return
	}
	passed, err := d.judge(evidence)
	if err != nil {
		rt.Fatal(err)
	}
	if passed && strict == 1 && apart(changes) {
		rt.Fatal("expected a refusal, found it signable")
	}
}

// apart reports whether no change is within the place of another: such a change could undo the other.
func apart(changes []tampered) bool {
	for i, a := range changes {
		for j, b := range changes {
			if i != j && strings.HasPrefix(b.place, a.place) {
				return false
			}
		}
	}
	return true
}

// An exact withdrawal that officers approved leaves no byte of the evidence free.
func TestEveryFlippedBitOfAnExactWithdrawalIsRefused(t *testing.T) {
	d := newWithdrawal(t, "exact coin, by quorum", evmCodec, exactCoin)
	for at := range d.evidence {
		evidence := bytes.Clone(d.evidence)
		evidence[at] ^= 1 << (at % 8)
		if _, err := Check(evidence, d.w.view()); explained(err) != nil {
			t.Errorf("byte %d: %v", at, explained(err))
		}
	}
}
