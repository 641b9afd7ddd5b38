package guard

import (
	"bytes"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/bitcoin"
)

// withdrawal is a valid one, and what a signer makes of it.
type withdrawal struct {
	name     string
	w        *world
	evidence []byte
	chain    codec
	signable *Signable
	asked    canon.Reservation // what the coordinator asked to reserve for it
	harmless []harmless
}

// harmless are changes that may pass, and why. Withdrawal.judge holds what passes against the original all the same.
type harmless struct {
	place   string   // with its positions, or with [] for any
	changes []string // nil for all
	why     string
}

func (h harmless) covers(place, change string) bool {
	return (h.place == place || h.place == position.ReplaceAllString(place, "[]")) && (h.changes == nil || slices.Contains(h.changes, change))
}

func newWithdrawal(t testing.TB, name string, chain codec, paperOf func(*world) *paper, lists ...[]harmless) *withdrawal {
	t.Helper()
	return withdrawalIn(t, newWorld(t), name, chain, paperOf, lists...)
}

func withdrawalIn(t testing.TB, w *world, name string, chain codec, paperOf func(*world) *paper, lists ...[]harmless) *withdrawal {
	t.Helper()
	d := &withdrawal{name: name, w: w, evidence: w.encode(paperOf(w)), chain: chain, harmless: slices.Concat(lists...)}
	var err error
	if d.signable, err = Check(d.evidence, w.view()); err != nil {
		t.Fatalf("%s: expected signable, found %v", name, err)
	}
	// The reservation shares no list with the signable that it is held against.
	encoded, err := canon.Encode(w.reservation(d.signable))
	if err != nil || canon.Decode(encoded, &d.asked) != nil {
		t.Fatalf("%s: expected a reservation, found %v", name, err)
	}
	if err := d.signable.CheckReservation(d.asked, w.view()); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return d
}

// withdrawals returns one of each form. The coordinator is free only where template intents leave it free.
func withdrawals(t testing.TB) []*withdrawal {
	return []*withdrawal{
		newWithdrawal(t, "bitcoin with change, by quorum", bitcoinCodec, (*world).bitcoinPaper, ofQuorums, ofBooks, ofPrevious, ofBitcoinTemplates),
		newWithdrawal(t, "exact bitcoin, by quorum", bitcoinCodec, exactBitcoin, ofQuorums, ofBooks, ofPrevious),
		newWithdrawal(t, "coin, by quorum", evmCodec, func(w *world) *paper { return w.evmPaper(eth) }, ofQuorums, ofBooks, ofEVMTemplates),
		newWithdrawal(t, "exact coin, by quorum", evmCodec, exactCoin, ofQuorums, ofBooks),
		newWithdrawal(t, "contract call, by quorum", evmCodec, (*world).callPaper, ofQuorums, ofBooks),
		newWithdrawal(t, "token, by rule", evmCodec, func(w *world) *paper { return w.evmPaper(usd) }, ofRules, ofPlainRules, ofBooks, ofEVMTemplates),
		withdrawalIn(t, worldOf(t, bookEntries(), withMoves), "move of a desk", bitcoinCodec, func(w *world) *paper {
			return w.bitcoinMove(warm, canon.OwnAddress{Wallet: "btc-hot", Index: 7}, bitcoin.ScriptP2WPKH(w.child(1, 1, 1, 0, 7).Public))
		}, ofRules, ofOnePrevious, ofBitcoinTemplates),
		withdrawalIn(t, worldOf(t, []canon.BookEntry{exchange()}, withFacts(canon.ActionAllow)), "by statements", bitcoinCodec,
			func(w *world) *paper { return w.factPaper() }, ofRules, ofStatements, ofBooks, ofOnePrevious, ofBitcoinTemplates),
		withdrawalIn(t, worldOf(t, []canon.BookEntry{exchange()}, withFacts(canon.ActionApprove)), "by statements and quorum", bitcoinCodec,
			func(w *world) *paper { return w.factPaper("alice", "bob") }, ofQuorums, ofBooks, ofOnePrevious, ofBitcoinTemplates),
		withdrawalIn(t, deviceWorld(t), "bitcoin of key and token", bitcoinCodec, func(w *world) *paper { return w.devicePaper("btc-cosign") },
			ofQuorums, ofBooks, ofPrevious, ofBitcoinTemplates),
		withdrawalIn(t, deviceWorld(t), "bitcoin of two tokens out of three", bitcoinCodec, func(w *world) *paper { return w.devicePaper("btc-tokens") },
			ofQuorums, ofBooks, ofPrevious, ofBitcoinTemplates),
		withdrawalIn(t, deviceWorld(t), "coin that tokens attest", evmCodec, (*world).attestedPaper, ofQuorums, ofBooks, ofEVMTemplates),
	}
}

func exactBitcoin(w *world) *paper {
	p := w.bitcoinPaper()
	raw, err := bitcoin.Encode(p.tx)
	if err != nil {
		w.t.Fatal(err)
	}
	p.onIntent = func(i *canon.Intent) {
		i.Mode, i.Transactions, i.Inputs, i.Change = canon.Exact, []canon.Digest{canon.TransactionDigest(raw)}, p.evidence.Inputs, p.evidence.Change
	}
	return p
}

func exactCoin(w *world) *paper {
	template := w.evmPaper(eth)
	w.encode(template)
	p := w.evmPaper(eth)
	p.onIntent = func(i *canon.Intent) {
		i.Mode, i.Transactions, i.Inputs = canon.Exact, []canon.Digest{canon.TransactionDigest(template.evidence.Transaction)}, p.evidence.Inputs
	}
	return p
}

func newTamperer(t testing.TB, d *withdrawal) *tamperer {
	w := &tamperer{t: t, pool: map[reflect.Type][]reflect.Value{}, codecs: codecs(d.chain), fields: map[string]int{}, types: map[string]bool{}}
	w.gather(reflect.ValueOf(&d.w.genesis).Elem())
	for _, b := range [][]byte{payee, stranger, evmPayee} {
		w.pool[reflect.TypeOf(b)] = append(w.pool[reflect.TypeOf(b)], reflect.ValueOf(b))
	}
	for _, digest := range []canon.Digest{d.signable.IntentDigest(), d.signable.Withdrawal(), d.signable.Transaction()} {
		w.pool[reflect.TypeOf(digest)] = append(w.pool[reflect.TypeOf(digest)], reflect.ValueOf(digest))
	}
	return w
}

// explained asks for a refusal that says everything of each failure.
func explained(err error) error {
	r := refusal.Of(err)
	if r == nil || len(r.Failures) == 0 {
		return fmt.Errorf("expected a refusal, found %v", err)
	}
	for _, f := range r.Failures {
		if f.Rule == "" || f.Field == "" || f.Expected == "" || f.Found == "" {
			return fmt.Errorf("expected rule, field, expected and found, found %+v", f)
		}
	}
	return nil
}

// judge says what is wrong with the guard's answer to evidence that somebody changed. Whether passing is allowed at all, the caller knows;
// what passes must pay the same, cost no more, live no longer, and need a reservation of its own if anything else is to be signed.
func (d *withdrawal) judge(evidence []byte) (passed bool, err error) {
	s, refused := Check(evidence, d.w.view())
	if refused != nil {
		return false, explained(refused)
	}
	if !reflect.DeepEqual(s.Request(), d.signable.Request()) || s.Withdrawal() != d.signable.Withdrawal() || s.NotAfter() > d.signable.NotAfter() {
		return true, fmt.Errorf("expected the same request, no longer valid, found %+v until %s", s.Request(), s.NotAfter().At())
	}
	if !reflect.DeepEqual(s.Anchor().Chain, d.signable.Anchor().Chain) || len(s.Signing()) == 0 {
		return true, fmt.Errorf("expected the same chain, found %+v", s.Anchor())
	}
	for i, c := range s.Charges() {
		if want := d.signable.Charges()[i]; c.Limit != want.Limit || c.Counter != want.Counter || c.Amount.Int().Cmp(want.Amount.Int()) > 0 {
			return true, fmt.Errorf("expected at most %+v, found %+v", want, c)
		}
	}
	if s.Transaction() == d.signable.Transaction() && s.IntentDigest() == d.signable.IntentDigest() {
		if !reflect.DeepEqual(s.Signing(), d.signable.Signing()) {
			return true, fmt.Errorf("expected the same to be signed, found %+v", s.Signing())
		}
		return true, nil
	}
	if err := explained(s.CheckReservation(d.asked, d.w.view())); err != nil {
		return true, fmt.Errorf("under the reservation of the original: %w", err)
	}
	return true, d.sameEffect(s)
}

// sameEffect holds a rebuilt transaction against the original without the guard: the same payments, what is left to the same change
// address, and a fee within the cap.
func (d *withdrawal) sameEffect(s *Signable) error {
	was, err := d.chain.decode(d.signable.evidence.Transaction)
	if err != nil {
		return err
	}
	is, err := d.chain.decode(s.evidence.Transaction)
	if err != nil {
		return err
	}
	feeCap := s.Request().FeeCap.Int()
	if old, ok := was.(*types.DynamicFeeTx); ok {
		tx := is.(*types.DynamicFeeTx)
		fee := new(big.Int).Mul(tx.GasFeeCap, new(big.Int).SetUint64(tx.Gas))
		if *tx.To != *old.To || tx.Value.Cmp(old.Value) != 0 || !bytes.Equal(tx.Data, old.Data) || tx.ChainID.Cmp(old.ChainID) != 0 || tx.Nonce < 3 || fee.Cmp(feeCap) > 0 {
			return fmt.Errorf("expected the same payment within the fee cap, found %+v", tx)
		}
		return nil
	}
	return sameBitcoinEffect(was.(*wire.MsgTx), is.(*wire.MsgTx), d.coins(), feeCap.Int64())
}

// coins is what the original spends.
func (d *withdrawal) coins() (sum int64) {
	previous := map[chainhash.Hash]*wire.MsgTx{}
	for _, raw := range d.signable.evidence.Previous {
		if tx, err := d.chain.decode(raw); err == nil {
			previous[tx.(*wire.MsgTx).TxHash()] = tx.(*wire.MsgTx)
		}
	}
	if tx, err := d.chain.decode(d.signable.evidence.Transaction); err == nil {
		for _, in := range tx.(*wire.MsgTx).TxIn {
			sum += previous[in.PreviousOutPoint.Hash].TxOut[in.PreviousOutPoint.Index].Value
		}
	}
	return sum
}

func sameBitcoinEffect(was, is *wire.MsgTx, coins, feeCap int64) error {
	fee, paid := coins, 0
	for _, out := range is.TxOut {
		fee -= out.Value
		switch {
		case bytes.Equal(out.PkScript, was.TxOut[0].PkScript) && out.Value == was.TxOut[0].Value:
			paid++
		case !bytes.Equal(out.PkScript, was.TxOut[1].PkScript):
			return fmt.Errorf("expected payment and change only, found %d to %x", out.Value, out.PkScript)
		}
	}
	if paid != 1 || len(is.TxIn) != len(was.TxIn) || fee < 0 || fee > feeCap {
		return fmt.Errorf("expected one payment out of %d inputs with a fee of at most %d, found %d, %d and %d", len(was.TxIn), feeCap, paid, len(is.TxIn), fee)
	}
	return nil
}

// tamperWith changes everything in d's evidence, one thing at a time: as it is, and with every reference that nobody signs put right again.
func (d *withdrawal) tamperWith(t *testing.T, fields map[string]int) {
	var e canon.Evidence
	if err := canon.Decode(d.evidence, &e); err != nil {
		t.Fatal(err)
	}
	tw := newTamperer(t, d)
	tw.fields = fields
	tried, used := 0, map[int]bool{}
	answer := func(evidence []byte, place, change string) {
		tried++
		passed, err := d.judge(evidence)
		if err != nil {
			t.Errorf("%s: %s: %v", place, change, err)
		}
		if at := d.allowed(place, change); passed && at < 0 {
			t.Errorf("%s: %s: expected a refusal, found it signable", place, change)
		} else if passed {
			used[at] = true
		}
	}
	tw.document(&e, func(place, change string) bool {
		evidence := tw.encode(e)
		if !bytes.Equal(evidence, d.evidence) {
			answer(evidence, place, change)
		}
		if mended := tw.encode(d.mend(tw, e)); !bytes.Equal(mended, evidence) && !bytes.Equal(mended, d.evidence) {
			answer(mended, place, change)
		}
		return !bytes.Equal(evidence, d.evidence)
	})
	for i, h := range d.harmless {
		if !used[i] {
			t.Errorf("%s %q: expected it to pass (%s), found it refused or never tried: take it off the list", h.place, h.changes, h.why)
		}
	}
	t.Logf("%d changed withdrawals", tried)
}

// allowed returns which entry of the list lets the change pass, -1 for none.
func (d *withdrawal) allowed(place, change string) int {
	return slices.IndexFunc(d.harmless, func(h harmless) bool { return h.covers(place, change) })
}

func (w *tamperer) encode(d any) []byte {
	b, err := rawMode.Marshal(d)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// mend does what a hostile coordinator can do without a key: it makes the unsigned parts fit each other again, and lets approvals name the
// intent as it now is. It leaves e as it is.
func (d *withdrawal) mend(tw *tamperer, e canon.Evidence) canon.Evidence {
	e.Inputs, e.Approvals, e.Organisation = slices.Clone(e.Inputs), slices.Clone(e.Approvals), d.w.charter.Organisation()
	for i := range e.Inputs {
		e.Inputs[i].Position = uint64(i)
	}
	var i canon.Intent
	var r canon.Request
	if rawDecode(e.Intent, &i) != nil || rawDecode(i.Request.Document, &r) != nil {
		return e
	}
	i.Organisation, i.Withdrawal = d.w.charter.Organisation(), r.WithdrawalID()
	i.CharterNumber, i.Charter = d.w.charter.Number(), d.w.charter.Digest()
	if i.Mode == canon.Exact {
		i.Transactions, i.Inputs, i.Change = []canon.Digest{canon.TransactionDigest(e.Transaction)}, e.Inputs, e.Change
	}
	// Nobody's signature is made again: what names the request names it as it now is.
	for j := range i.Clearances {
		var c canon.Clearance
		if rawDecode(i.Clearances[j].Document, &c) == nil {
			i.Clearances = slices.Clone(i.Clearances)
			c.Request = canon.KindRequest.Digest(i.Request.Document)
			i.Clearances[j].Document = tw.encode(c)
		}
	}
	e.Intent = tw.encode(i)
	for j := range e.Approvals {
		var a canon.Approval
		if rawDecode(e.Approvals[j].Document, &a) == nil {
			a.Digest = canon.KindIntent.Digest(e.Intent)
			e.Approvals[j].Document = tw.encode(a)
		}
	}
	for _, out := range r.Outputs {
		if proof, ok := d.w.book.Prove(r.Chain, out.Address, r.Client); ok && out.Own == nil && len(e.Addresses) == 1 && len(r.Outputs) == 1 {
			e.Addresses = []canon.BookProof{proof}
		}
	}
	return e
}
