//go:build chains

package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/internal/devnet/demo"
	"github.com/strongroom/strongroom/internal/devnet/process"
	"github.com/strongroom/strongroom/proto/canon"
)

// TestDatabaseIsNotBelieved rolls the coordinator's database back, alters it by hand and takes it away, around withdrawals that real signers
// sign on a real chain. Whatever it says afterwards, each is paid at most once, to whom officers approved, and what is not paid is refused for
// a reason that is shown.
func TestDatabaseIsNotBelieved(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	d := up(ctx, t)
	if err := demo.Prepare(ctx, d); err != nil {
		t.Fatal(err)
	}
	v := newVault(newWorld(t, d))
	for _, test := range []struct {
		name string
		run  func(*vault)
	}{
		{"rolled back to before the approvals", (*vault).rolledBackToAwaiting},
		{"rolled back to before the signature", func(v *vault) { v.rolledBackTo("reserved", 1_100_001) }},
		{"rolled back to before the broadcast", func(v *vault) { v.rolledBackTo("signed", 1_100_002) }},
		{"rows altered by hand", (*vault).altered},
		{"rows deleted while it runs", (*vault).deletedRunning},
		{"files removed while it runs", (*vault).removedRunning},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(v.under(t)) })
	}
}

// rolledBackToAwaiting: paid already, the withdrawal waits for approvals once more, and gets them.
func (v *vault) rolledBackToAwaiting() {
	a := v.ask("awaiting", 31_000_001)
	v.stop()
	before := v.copied()
	v.start("")
	if err := v.approve(a, "alice", "bob"); err != nil {
		v.Fatal(err)
	}
	txid := v.confirms(a)
	v.paysOnce(a)
	kept := v.checkpoint()
	v.goesOn(kept)

	v.stop()
	v.restored(before)
	v.start("")
	v.forgot(kept)
	if err := v.approve(a, "carol", "bob"); err != nil {
		v.Fatal(err)
	}
	// It takes the same coins, if it has not yet read that they are spent, and the same transaction comes of it; or it is refused others.
	if w := v.settles(a); w.GetState() != string(withdrawal.Confirmed) || w.GetTxid() != txid {
		v.ends(a, withdrawal.Failed, "one-anchor", "anchor")
	}
	v.paysOnce(a)
	v.forgot(kept)
	v.oneAnchor(a)
}

// oneAnchor asks that the signers hold certificates for the withdrawal, whatever the coordinator forgot, all for one anchor.
func (v *vault) oneAnchor(a asked) {
	v.Helper()
	anchors := map[string]bool{}
	for _, certificate := range v.certificates(a) {
		var c canon.Certificate
		var r canon.Reservation
		if err := canon.Decode(certificate, &c); err != nil {
			v.Fatal(err)
		}
		if err := canon.Decode(c.Reservation, &r); err != nil {
			v.Fatal(err)
		}
		anchors[fmt.Sprint(r.Anchor)] = true
	}
	if len(anchors) != 1 {
		v.Errorf("%s: expected certificates for one anchor at the signers, found %v", a.name, anchors)
	}
}

// rolledBackTo: the coordinator dies in a state, finishes after that, and forgets all that it did since.
func (v *vault) rolledBackTo(state string, satoshi int64) {
	v.start(state)
	a := v.ask(state, satoshi)
	v.crashed()
	before := v.copied()
	v.start("")
	txid := v.confirms(a)
	v.paysOnce(a)
	// Whoever does the same again within a second writes the same log: something that is not done again makes it another.
	later := v.ask("asked-after-"+state, satoshi+30_000_000)
	kept := v.checkpoint()
	v.stop()
	v.restored(before)
	v.start("")
	if again := v.confirms(a); again != txid {
		v.Errorf("%s: expected %s to be confirmed again, found %s", a.name, txid, again)
	}
	v.paysOnce(a)
	v.forgot(kept)
	if again := v.ask(later.name, later.satoshi); again.ID != later.ID || again.State != string(withdrawal.AwaitingApproval) {
		v.Errorf("%s: expected the same withdrawal to wait once more, found %s, %s", later.name, again.ID, again.State)
	}
	v.oneAnchor(a)
}

// inRequest changes the request in a row.
func (v *vault) inRequest(change func(*canon.Request)) func(*withdrawal.Withdrawal) {
	return func(w *withdrawal.Withdrawal) {
		v.Helper()
		var r canon.Request
		if err := canon.Decode(w.Request.Document, &r); err != nil {
			v.Fatal(err)
		}
		change(&r)
		w.Request.Document = must(canon.Encode(r))(v.T)
	}
}

// inIntent makes the same change in the row's intent.
func (v *vault) inIntent(change func(*withdrawal.Withdrawal)) func(*withdrawal.Withdrawal) {
	return func(w *withdrawal.Withdrawal) {
		v.Helper()
		change(w)
		var i canon.Intent
		if err := canon.Decode(w.Intent, &i); err != nil {
			v.Fatal(err)
		}
		i.Request = w.Request
		var err error
		if w.Intent, w.IntentDigest, err = canon.Seal(i); err != nil {
			v.Fatal(err)
		}
	}
}

// altered: what somebody writes into the row of an approved withdrawal is not what officers approved, though the payee is one of the same
// client's book, and what he writes into that of one that waits is no approval.
func (v *vault) altered() {
	waiting := v.ask("waiting", 31_000_003)
	v.start("approve")
	a := v.ask("approved", 31_000_004)
	// The last approval's answer dies with the coordinator.
	var code *process.CommandError
	if err := v.approve(a, "alice", "bob"); err != nil && !errors.As(err, &code) {
		v.Fatal(err)
	}
	v.crashed()
	before := v.copied()
	const another = 31_000_005
	other := v.otherPayee()
	destination := v.inRequest(func(r *canon.Request) { r.Outputs[0].Address = v.script(other) })
	amount := v.inRequest(func(r *canon.Request) { r.Outputs[0].Amount = canon.AmountOf(another) })
	for _, c := range []struct {
		name        string
		of          asked
		change      func(*withdrawal.Withdrawal)
		end         withdrawal.State // empty: that of what nobody approved
		rule, field string
	}{
		// The proof shown is that of the other address, which nobody approved.
		{"destination, in the request", a, destination, withdrawal.Failed, "whitelist", "evidence.addresses[0]"},
		{"amount, in the request", a, amount, withdrawal.Failed, "outputs", "outputs[0].amount"},
		{"destination, in the intent as well", a, v.inIntent(destination), "", "", ""},
		{"amount, in the intent as well", a, v.inIntent(amount), "", "", ""},
		{"state of one that nobody approved", waiting, func(w *withdrawal.Withdrawal) { w.State = withdrawal.Approved }, withdrawal.Rejected, "approvals", "intent"},
	} {
		v.stop()
		v.restored(before)
		row := v.alter(c.of, c.change)
		v.disagrees(c.of)
		v.start("")
		if c.of.name = c.name; c.end == "" {
			v.unapproved(c.of, row.IntentDigest)
		} else {
			v.ends(c.of, c.end, c.rule, c.field)
		}
		if paid := v.payments(other); len(paid) != 0 {
			v.Errorf("%s: expected no payment to %s, found %v", c.name, other, paid)
		}
		if paid := v.payments(v.d.Payee("acme", v.d.BTC)); paid[waiting.satoshi] != 0 || paid[another] != 0 || c.of.ID == a.ID && paid[a.satoshi] != 0 {
			v.Errorf("%s: expected no payment of %d or %d, nor of %d if that was altered, found %v", c.name, waiting.satoshi, another, a.satoshi, paid)
		}
	}
	v.stop()
	v.restored(before)
	v.start("")
	v.settles(a)
	if n := v.paid(a); n > 1 {
		v.Errorf("%s: expected at most one payment, found %d", a.name, n)
	}
	if err := v.approve(waiting, "alice", "bob"); err != nil {
		v.Fatal(err)
	}
	v.confirms(waiting)
	v.paysOnce(waiting)
}

// deletedRunning: the row goes while the coordinator works, and the client asks again.
func (v *vault) deletedRunning() {
	a := v.ask("deleted", 31_000_006)
	paid := v.ask("deleted-after-it-was-paid", 1_100_006)
	v.confirms(paid)
	kept := v.checkpoint()
	v.rewrite(`DELETE FROM coin_holds`, `DELETE FROM set_aside`, `DELETE FROM anchors`, `DELETE FROM events`, `DELETE FROM withdrawals`)
	if err := v.approve(a, "alice"); err == nil {
		v.Error("approval of a withdrawal that is not there: expected an error, found none")
	}
	v.stop()
	v.disagrees(asked{name: "deleted"})
	v.start("")
	v.heldAlready(v.ask(paid.name, paid.satoshi))
	fresh := v.ask(a.name, a.satoshi)
	if err := v.approve(fresh, "alice", "bob"); err != nil {
		v.Fatal(err)
	}
	v.confirms(fresh)
	v.paysOnce(fresh)
	v.paysOnce(paid)
	v.oneAnchor(paid)
	v.goesOn(kept)
}

// removedRunning: the files are gone when the coordinator starts after it died between signature and broadcast, and go again while it works.
// The client asks again for everything. Nobody but the signers remembers what was signed for which coin.
func (v *vault) removedRunning() {
	paid := v.ask("removed-when-paid", 1_100_007)
	v.confirms(paid)
	waiting := v.ask("removed-when-waiting", 31_000_008)
	kept := v.checkpoint()
	v.start("signed")
	signed := v.ask("removed-when-signed", 1_100_009)
	v.crashed()
	v.removed()
	v.start("")
	v.caughtUp()
	v.removed()
	lost, err := v.tryAsk("asked-of-no-database", 1_100_010)
	v.Logf("asked while there is no database: %s, %v", lost.State, err)
	v.start("")
	v.forgot(kept)
	v.caughtUp()

	v.heldAlready(v.ask(paid.name, paid.satoshi))
	v.paysOnce(paid)
	v.oneAnchor(paid)
	v.atMostOnce(v.ask(signed.name, signed.satoshi))
	v.oneAnchor(signed)
	fresh := v.ask(waiting.name, waiting.satoshi)
	if err := v.approve(fresh, "bob", "carol"); err != nil {
		v.Fatal(err)
	}
	v.atMostOnce(fresh)
}

// atMostOnce waits until a withdrawal is paid, once, or the signers refuse it because of what they hold, and it is not paid.
func (v *vault) atMostOnce(a asked) {
	v.Helper()
	w := v.settles(a)
	want := 1
	if w.GetState() != string(withdrawal.Confirmed) {
		want = 0
		if w.GetState() != string(withdrawal.Failed) || len(w.GetRefusals()) == 0 {
			v.Errorf("%s: expected it to be confirmed, or refused for a reason, found %s, %v", a.name, w.GetState(), w.GetRefusals())
		}
	}
	v.Logf("%s: %s, %v", a.name, w.GetState(), w.GetRefusals())
	if n := v.paid(a); n != want {
		v.Errorf("%s: expected %d payments on the chain, found %d", a.name, want, n)
	}
}
