package coordinator

import (
	"bytes"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// outOf has the request pay from another wallet of its chain.
func outOf(wallet canon.Name) func(*canon.Request) {
	return func(r *canon.Request) { r.Wallet = wallet }
}

// spot is what acme's address at a place in a wallet is made of.
func (w *world) spot(wallet canon.Name, branch, index uint64) keyset.Spot {
	w.t.Helper()
	to, _ := w.charter.Wallet(wallet)
	account, _ := w.charter.Account("acme-main")
	spot, err := w.service.keys.at(to, account, branch, index)
	if err != nil {
		w.t.Fatal(err)
	}
	return spot
}

// fundAt pays acme's first address in a wallet in one coin for each amount, and buries them.
func (w *world) fundAt(wallet canon.Name, amounts ...int64) {
	w.t.Helper()
	w.service.signers.probe(w.ctx, nodeNames, w.service.keys.learn)
	script := w.spot(wallet, 0, 0).Address
	for _, a := range amounts {
		w.bitcoin.pay(script, a)
	}
	w.bitcoin.mine()
	w.bitcoin.mine()
	w.learn()
}

// fundVault puts ether on acme's address in the EVM wallet that needs a device.
func (w *world) fundVault() {
	w.t.Helper()
	w.service.signers.probe(w.ctx, nodeNames, w.service.keys.learn)
	sender := common.BytesToAddress(w.spot("evm-vault", 0, 0).Address)
	funded, err := evmChain.Fund(w.ctx, sender, big.NewInt(2e18))
	if err != nil {
		w.t.Fatal(err)
	}
	w.mineUntil(funded)
	w.learn()
}

// waiting reports whether the row says for which device it waits.
func waiting(signer, wallet string) func(withdrawal.Withdrawal) bool {
	return func(row withdrawal.Withdrawal) bool {
		return slices.ContainsFunc(row.Refusals, func(f refusal.Failure) bool {
			return f.Rule == withdrawal.RuleDevice && strings.Contains(f.Found, "waits for device "+signer+" of wallet "+wallet)
		})
	}
}

func (w *world) signedTx(row withdrawal.Withdrawal) *wire.MsgTx {
	w.t.Helper()
	var tx wire.MsgTx
	if err := tx.Deserialize(bytes.NewReader(row.Transaction.Raw)); err != nil {
		w.t.Fatal(err)
	}
	return &tx
}

func TestBitcoinCosignIsSignedByDeviceAndSession(t *testing.T) {
	w := vaulted(t)
	w.fundAt("btc-vault", 30_000_000)
	w.run()
	row := w.buried(w.create("a", outOf("btc-vault")).ID)
	tx, spot := w.signedTx(row), w.spot("btc-vault", 0, 0)
	if in := tx.TxIn[0].Witness; len(in) != 4 || !bytes.Equal(in[3], spot.Witness) {
		t.Errorf("expected two signatures for the wallet's script, found %d items", len(in))
	}
	if len(tx.TxOut) != 2 || !bytes.Equal(tx.TxOut[1].PkScript, w.spot("btc-vault", 1, 0).Address) {
		t.Errorf("expected change to the same wallet's change branch, found %d outputs", len(tx.TxOut))
	}
	if by := signedBy(row); len(by) != 3 || !slices.Contains(by, "vault-1") {
		t.Errorf("expected a session of two and the device, found %v", by)
	}
	// The change, and by its turn the pool's first change key again, pay the next ones.
	for _, id := range []string{"b", "c", "d"} {
		w.buried(w.create(id, outOf("btc-vault")).ID)
	}
	if len(w.all.cosigned) != 4 || len(w.all.attempts) != 4 || w.bitcoin.sent != 4 {
		t.Errorf("expected four of each, found %d questions to devices, %d sessions, %d broadcasts", len(w.all.cosigned), len(w.all.attempts), w.bitcoin.sent)
	}
	if err := w.service.Store.Verify(w.ctx); err != nil {
		t.Error(err)
	}
}

func TestEVMCosignIsAttestedBeforeTheSession(t *testing.T) {
	w := vaulted(t)
	w.fundVault()
	w.run()
	row := w.create("a", w.onEVM(eth, 1e17), outOf("evm-vault"))
	row = w.await(row.ID, withdrawal.Broadcast, withdrawal.Confirmed)
	if by := signedBy(row); len(w.all.cosigned) != 1 || !slices.Contains(by, "vault-1") {
		t.Errorf("expected one attestation of vault-1, found %v, signed by %v", w.all.cosigned, by)
	}
	w.mineUntil(common.HexToHash(row.Transaction.TxID))
	w.mineEVM()
	w.await(row.ID, withdrawal.Confirmed)
}

func TestAMissingDeviceMakesWithdrawalsWaitUntilItIsBack(t *testing.T) {
	faults := map[string]struct{ fault, mend func(*node) }{
		"down":             {func(n *node) { n.down = true }, func(n *node) { n.down = false }},
		"token has failed": {func(n *node) { n.token = "CKR_DEVICE_ERROR" }, func(n *node) { n.token = "" }},
	}
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			w := vaulted(t)
			w.fundAt("btc-vault", 30_000_000)
			w.fundVault()
			w.nodes["vault-1"].set(f.fault)
			w.run()
			onBitcoin := w.create("a", outOf("btc-vault")).ID
			onEVM := w.create("b", w.onEVM(eth, 1e17), outOf("evm-vault")).ID
			row := w.awaitThat(onBitcoin, waiting("vault-1", "btc-vault"), "waiting")
			other := w.awaitThat(onEVM, waiting("vault-1", "evm-vault"), "waiting")
			if row.State != withdrawal.Reserved || other.State != withdrawal.Reserved || len(w.all.attempts)+len(w.all.cosigned) > 0 {
				t.Errorf("expected nobody asked yet, found %s, %s, %v, %v", row.State, other.State, w.all.attempts, w.all.cosigned)
			}
			w.nodes["vault-1"].set(f.mend)
			row = w.await(onBitcoin, withdrawal.Broadcast, withdrawal.Confirmed)
			if other = w.await(onEVM, withdrawal.Broadcast, withdrawal.Confirmed); len(row.Refusals)+len(other.Refusals) > 0 {
				t.Errorf("expected nothing to wait for any more, found %v and %v", row.Refusals, other.Refusals)
			}
		})
	}
}

// Versions of a reservation are few: none is used up while a device is away, however often reservations lapse.
func TestNoReservationIsRenewedForADeviceThatIsAway(t *testing.T) {
	w := vaulted(t)
	w.fundAt("btc-vault", 30_000_000)
	w.nodes["vault-1"].set(func(n *node) { n.down = true })
	row := w.until(w.create("a", outOf("btc-vault")).ID, withdrawal.Reserved)
	for range 3 {
		w.offset.Add(700)
		if err := w.step(w.row(row.ID)); err == nil || !waiting("vault-1", "btc-vault")(w.row(row.ID)) {
			t.Fatalf("expected it to wait for the device, found %v: %v", err, w.row(row.ID).Refusals)
		}
	}
	if after := w.row(row.ID); after.State != withdrawal.Reserved || len(after.Earlier) > 0 || after.Version != row.Version+1 {
		t.Errorf("expected one note and no new version, found %s, %d versions before, %d events more", after.State, len(after.Earlier), after.Version-row.Version)
	}
	w.nodes["vault-1"].set(func(n *node) { n.down = false })
	if after := w.until(row.ID, withdrawal.Signed); len(after.Earlier) != 1 || after.CosignAttempt("vault-1") != 1 {
		t.Errorf("expected one new version and one question, found %d and %d", len(after.Earlier), after.CosignAttempt("vault-1"))
	}
}

func TestNoDeviceIsAskedWhileTheHoldersAreTooFew(t *testing.T) {
	w := vaulted(t)
	w.fundAt("btc-vault", 30_000_000)
	id := w.create("a", outOf("btc-vault")).ID
	row := w.until(id, withdrawal.Reserved)
	for _, name := range nodeNames[1:] {
		w.nodes[name].set(func(n *node) { n.down = true })
	}
	if err := w.step(row); err == nil || !strings.Contains(err.Error(), "key hot") {
		t.Errorf("expected it to wait for holders, found %v", err)
	}
	if len(w.all.cosigned) > 0 {
		t.Errorf("expected the device not to be asked, found %v", w.all.cosigned)
	}
}

func TestWhatADeviceForgesIsFoundBeforeTheSession(t *testing.T) {
	for _, wallet := range []canon.Name{"btc-vault", "evm-vault"} {
		t.Run(string(wallet), func(t *testing.T) {
			w := vaulted(t)
			change := []func(*canon.Request){outOf(wallet)}
			if wallet == "evm-vault" {
				w.fundVault()
				change = append([]func(*canon.Request){w.onEVM(eth, 1e17)}, change...)
			} else {
				w.fundAt(wallet, 30_000_000)
			}
			w.nodes["vault-1"].set(func(n *node) { n.mangle = true })
			id := w.create("a", change...).ID
			row := w.until(id, withdrawal.Reserved)
			if err := w.step(row); err == nil || !strings.Contains(err.Error(), "vault-1: device") {
				t.Errorf("expected an error that names the device, found %v", err)
			}
			if len(w.all.attempts) > 0 {
				t.Errorf("expected no session, found %v", w.all.attempts)
			}
			w.nodes["vault-1"].set(func(n *node) { n.mangle = false })
			row = w.until(id, withdrawal.Signed)
			if row.CosignAttempt("vault-1") != 2 || row.Attempt != 1 {
				t.Errorf("expected the second question and the first session, found %d and %d", row.CosignAttempt("vault-1"), row.Attempt)
			}
		})
	}
}

// What devices brought is verified again with everything else: also a signature that slipped in after the first check makes no transaction.
func TestAForgedSignatureMakesNoTransaction(t *testing.T) {
	w := vaulted(t)
	w.fundAt("btc-multi", 30_000_000)
	row := w.until(w.create("a", outOf("btc-multi")).ID, withdrawal.Reserved)
	n, err := w.service.newSigning(row)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.service.askDevices(w.ctx, n); err != nil {
		t.Fatal(err)
	}
	if _, err := w.service.assemble(n, nil); err != nil {
		t.Fatalf("expected the devices' signatures to do, found %v", err)
	}
	n.inputs[0].Signatures[1][40] ^= 1
	if tx, err := w.service.assemble(n, nil); err == nil {
		t.Errorf("expected no transaction with a forged signature, found %x", tx.Raw)
	}
	n.inputs[0].Keys, n.inputs[0].Signatures = n.inputs[0].Keys[:1], n.inputs[0].Signatures[:1]
	if tx, err := w.service.assemble(n, nil); err == nil {
		t.Errorf("expected no transaction with one signature, found %x", tx.Raw)
	}
}

func TestMalformedAnswersOfDevicesAreErrors(t *testing.T) {
	w := vaulted(t)
	w.fundAt("btc-vault", 30_000_000)
	w.fundVault()
	w.fundAt("btc-multi", 30_000_000)
	vault := w.until(w.create("a", outOf("btc-vault")).ID, withdrawal.Reserved)
	attested := w.until(w.create("b", w.onEVM(eth, 1e17), outOf("evm-vault")).ID, withdrawal.Reserved)
	key := w.spot("btc-vault", 0, 0).Devices[0].Public
	other := w.spot("btc-multi", 0, 0).Devices[0].Public
	for name, tt := range map[string]struct {
		row    withdrawal.Withdrawal
		answer *strongroomv1.CosignResponse
	}{
		"nothing":             {vault, &strongroomv1.CosignResponse{}},
		"no answer":           {vault, nil},
		"a short signature":   {vault, &strongroomv1.CosignResponse{Signatures: [][]byte{make([]byte, 63)}, PublicKeys: [][]byte{key[:]}}},
		"a signature of zero": {vault, &strongroomv1.CosignResponse{Signatures: [][]byte{make([]byte, 64)}, PublicKeys: [][]byte{key[:]}}},
		"two for one input":   {vault, &strongroomv1.CosignResponse{Signatures: make([][]byte, 2), PublicKeys: make([][]byte, 2)}},
		"another wallet's key": {vault, &strongroomv1.CosignResponse{PublicKeys: [][]byte{other[:]},
			Signatures: [][]byte{compact(w.vaults["vault-1"].keys[other], [32]byte{1})}}},
		"no attestation":      {attested, &strongroomv1.CosignResponse{}},
		"an empty one":        {attested, &strongroomv1.CosignResponse{Attestation: &strongroomv1.Signed{}}},
		"bytes":               {attested, &strongroomv1.CosignResponse{Attestation: &strongroomv1.Signed{Document: []byte("x"), Scheme: 1 << 20, Signature: make([]byte, 64)}}},
		"a key's, for a word": {attested, &strongroomv1.CosignResponse{Signatures: [][]byte{make([]byte, 64)}, PublicKeys: [][]byte{key[:]}}},
	} {
		n, err := w.service.newSigning(tt.row)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.service.takeCosign(n, "vault-1", tt.answer); err == nil || refusal.Of(err) != nil || len(n.attestations) > 0 {
			t.Errorf("%s: expected an error that is no refusal, and nothing taken, found %v", name, err)
		}
		if err := w.service.takeCosign(n, "vault-3", tt.answer); err == nil {
			t.Errorf("%s: expected an error for a signer that is no device of the wallet, found none", name)
		}
	}
}

func TestADevicesRefusalIsShownWithItsName(t *testing.T) {
	w := vaulted(t)
	w.fundAt("btc-vault", 30_000_000)
	w.nodes["vault-1"].set(func(n *node) { n.refuse = refusal.New("mood", "day", "good", "bad") })
	w.run()
	row := w.awaitThat(w.create("a", outOf("btc-vault")).ID, func(row withdrawal.Withdrawal) bool { return hasRule(row, "vault-1: mood") }, "refused")
	if row.State != withdrawal.Signing || len(w.all.attempts) > 0 {
		t.Errorf("expected no session, found %s, %v", row.State, w.all.attempts)
	}
	w.nodes["vault-1"].set(func(n *node) { n.refuse = nil })
	w.buried(row.ID)
}

// A crash after the question was noted, and before or after the device heard of it, is followed by a question with the next number.
func TestACrashNeverUsesADevicesAttemptTwice(t *testing.T) {
	w := vaulted(t)
	w.fundAt("btc-vault", 30_000_000)
	id := w.create("a", outOf("btc-vault")).ID
	row := w.until(id, withdrawal.Reserved)
	if _, err := w.service.apply(w.ctx, row, withdrawal.Event{Kind: withdrawal.EventCosign, Participants: []canon.Name{"vault-1"}}); err != nil {
		t.Fatal(err)
	}
	w.close()
	w.open()
	w.learn()
	for _, name := range nodeNames[1:] {
		w.nodes[name].set(func(n *node) { n.mangle = true }) // the device signs, the session brings nothing
	}
	w.nodes["node-1"].set(func(n *node) { n.mangle = true })
	if row, _ = w.service.Store.Withdrawal(w.ctx, id); w.step(row) == nil {
		t.Fatal("expected a session that brings nothing")
	}
	w.close()
	w.open()
	w.learn()
	for _, name := range nodeNames {
		w.nodes[name].set(func(n *node) { n.mangle = false })
	}
	row = w.until(id, withdrawal.Signed)
	if row.CosignAttempt("vault-1") != 3 || row.Attempt != 2 || len(w.all.cosigned) != 2 || w.all.cosigned[0] == w.all.cosigned[1] {
		t.Errorf("expected attempts 2 and 3 at the device, found %d, %v; session %d", row.CosignAttempt("vault-1"), w.all.cosigned, row.Attempt)
	}
	if err := w.service.Store.Verify(w.ctx); err != nil {
		t.Error(err)
	}
}

func TestAnyDevicesThatAreEnoughSign(t *testing.T) {
	w := vaulted(t)
	w.fundAt("btc-multi", 30_000_000)
	w.nodes["vault-2"].set(func(n *node) { n.down = true })
	w.run()
	row := w.buried(w.create("a", outOf("btc-multi")).ID)
	if by := signedBy(row); !slices.Contains(by, "vault-1") || !slices.Contains(by, "vault-3") || len(by) != 2 || len(w.all.attempts) > 0 {
		t.Errorf("expected two devices and no session, found %v, %v", by, w.all.attempts)
	}
	// The pool's only change key is used: a payment that leaves change is refused by name.
	row = w.create("b", outOf("btc-multi"))
	row = w.awaitThat(row.ID, func(row withdrawal.Withdrawal) bool { return row.State.Terminal() || hasRule(row, "pool") }, "refused")
	if row.State != withdrawal.Failed || !hasRule(row, "pool") {
		t.Errorf("expected it to fail for want of a change key, found %s: %v", row.State, row.Refusals)
	}
}

func TestTwoMissingDevicesOfThreeAreNamed(t *testing.T) {
	w := vaulted(t)
	w.fundAt("btc-multi", 30_000_000)
	for _, name := range []canon.Name{"vault-1", "vault-3"} {
		w.nodes[name].set(func(n *node) { n.down = true })
	}
	w.run()
	id := w.create("a", outOf("btc-multi")).ID
	row := w.awaitThat(id, waiting("vault-1", "btc-multi"), "waiting")
	if !waiting("vault-3", "btc-multi")(row) || waiting("vault-2", "btc-multi")(row) {
		t.Errorf("expected vault-1 and vault-3 named, found %v", row.Refusals)
	}
	w.nodes["vault-3"].set(func(n *node) { n.down = false })
	w.buried(id)
}

func TestDevicesCountADelayFromTheBeginning(t *testing.T) {
	w := vaulted(t, func(_ *organisation, g *canon.Genesis) {
		for i := range g.Rules {
			g.Rules[i].Delay, g.Rules[i].Signing = 1800, 600
		}
	})
	w.fundAt("btc-vault", 30_000_000)
	w.run()
	waits := func(row withdrawal.Withdrawal) bool { return len(row.Refusals) > 0 && row.Refusals[0].Until > 0 }
	id := w.awaitThat(w.create("a", outOf("btc-vault")).ID, waits, "a row that waits").ID
	w.close()
	w.offset.Add(1900)
	w.open()
	w.learn()
	w.run()
	row := w.buried(id)
	if row.CosignAttempt("vault-1") != 1 {
		t.Errorf("expected the device to sign when it was asked first, found %d questions", row.CosignAttempt("vault-1"))
	}
}
