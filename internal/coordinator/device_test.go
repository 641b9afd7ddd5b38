package coordinator

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
)

// A device that wants a PIN, or has no place for another session, is named, and asked ever less often: questions are numbered, and the numbers stored.
func TestADeviceThatCannotSignNowIsNamedAndLeftAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		cannot error
		reason string
	}{
		"wants a PIN":     {status.Error(codes.FailedPrecondition, "device: key a: expected an open token, found CKR_PIN_EXPIRED"), "its token wants a PIN"},
		"busy":            {status.Error(codes.ResourceExhausted, "expected fewer than 8 sessions at once, found no place"), "it signs too much at once"},
		"token is gone":   {status.Error(codes.Unavailable, "device: key a: expected an answer of the token, found CKR_DEVICE_REMOVED"), "its token cannot sign"},
		"lacks something": {status.Error(codes.Unavailable, "pool: none"), "it cannot take part now"},
	} {
		t.Run(name, func(t *testing.T) {
			w := vaulted(t)
			w.fundAt("btc-vault", 30_000_000)
			id := w.until(w.create("a", outOf("btc-vault")).ID, withdrawal.Reserved).ID
			w.nodes["vault-1"].set(func(n *node) { n.cannot = tt.cannot })
			look := func(attempts uint64) uint64 {
				t.Helper()
				err := w.step(w.row(id))
				row := w.row(id)
				if err == nil || len(row.Refusals) != 1 || !strings.HasSuffix(row.Refusals[0].Found, ": "+tt.reason) || row.CosignAttempt("vault-1") != attempts {
					t.Errorf("expected %q after %d questions, found %v after %d: %v", tt.reason, attempts, row.Refusals, row.CosignAttempt("vault-1"), err)
				}
				return row.Version
			}
			first := look(1)
			for i := range 3 {
				w.nodes["vault-1"].set(func(n *node) { n.token = fmt.Sprint("other words ", i) })
				if version := look(1); version != first {
					t.Errorf("expected nothing written, found version %d after %d", version, first)
				}
			}
			w.nodes["vault-1"].set(func(n *node) { n.token = "" })
			w.offset.Add(60)
			look(2)
			w.offset.Add(60)
			w.nodes["vault-1"].set(func(n *node) { n.cannot = nil })
			if row := w.until(id, withdrawal.Signed); row.CosignAttempt("vault-1") != 3 || len(row.Refusals) > 0 {
				t.Errorf("expected the third question answered, found %d, %v", row.CosignAttempt("vault-1"), row.Refusals)
			}
		})
	}
}

// What a token says is in the log and in its status: in other words every time it would fill the record.
func TestTheWordsOfATokenAreNotRecorded(t *testing.T) {
	w := vaulted(t)
	w.fundAt("btc-vault", 30_000_000)
	id := w.until(w.create("a", outOf("btc-vault")).ID, withdrawal.Reserved).ID
	var versions []uint64
	for i := range 3 {
		w.nodes["vault-1"].set(func(n *node) { n.token = fmt.Sprint("words ", i) })
		if err := w.step(w.row(id)); err == nil || !waiting("vault-1", "btc-vault")(w.row(id)) || strings.Contains(w.row(id).Refusals[0].Found, "words") {
			t.Errorf("expected it to wait without quoting, found %v: %v", err, w.row(id).Refusals)
		}
		versions = append(versions, w.row(id).Version)
	}
	if len(slices.Compact(versions)) != 1 {
		t.Errorf("expected one note, found versions %v", versions)
	}
	if said := w.service.signers.status("vault-1").GetError(); !strings.Contains(said, "words 2") {
		t.Errorf("expected the token's words in its status, found %q", said)
	}
}

// Nobody asks a device about change before it is to sign: it is led there, and no number is used up for it.
func TestADeviceFollowsToChangeThatIsFarAhead(t *testing.T) {
	w := vaulted(t)
	w.fundAt("btc-vault", 30_000_000)
	last := store.Place{Wallet: "btc-vault", Account: "acme-main", Branch: 1, Index: 230}
	if _, _, err := w.service.Store.AddAddress(w.ctx, store.Address{Place: last, Chain: testBTC, Bytes: w.spot("btc-vault", 1, 230).Address, Created: w.now()}); err != nil {
		t.Fatal(err)
	}
	row := w.until(w.create("a", outOf("btc-vault")).ID, withdrawal.Signed)
	if row.Prepared.Change[0].Index != 231 || row.CosignAttempt("vault-1") != 1 || w.nodes["vault-1"].highest[branch{"btc-vault", "acme-main", 1}] != 231 {
		t.Errorf("expected change to 231 and one question, found %v and %d", row.Prepared.Change, row.CosignAttempt("vault-1"))
	}
}
