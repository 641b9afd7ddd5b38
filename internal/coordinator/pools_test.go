package coordinator

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// give asks for an address of acme's in a wallet.
func (w *world) give(wallet canon.Name, id string) (store.Address, error) {
	w.t.Helper()
	to, _ := w.charter.Wallet(wallet)
	account, _ := w.charter.Account("acme-main")
	return w.service.CreateAddress(w.ctx, to, account, id)
}

// attesters returns who attests an address.
func attesters(t *testing.T, a store.Address) []canon.Name {
	t.Helper()
	var out []canon.Name
	for _, signed := range a.Attestations {
		var doc canon.Address
		if err := canon.Decode(signed.Document, &doc); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(doc.Address, a.Bytes) {
			t.Errorf("%s attests another address", doc.Signer)
		}
		out = append(out, doc.Signer)
	}
	return out
}

func TestAddressesOfVaultsNeedTheirDeviceAndOfPoolsTheRoster(t *testing.T) {
	w := vaulted(t)
	w.learn()
	for _, wallet := range []canon.Name{"btc-vault", "evm-vault"} {
		w.nodes["vault-1"].set(func(n *node) { n.down = true })
		if _, err := w.give(wallet, "x"); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "vault-1") {
			t.Errorf("%s: expected no address without its device, found %v", wallet, err)
		}
		w.nodes["vault-1"].set(func(n *node) { n.down = false })
		a, err := w.give(wallet, "x")
		if err != nil {
			t.Fatal(err)
		}
		if by := attesters(t, a); len(by) != 3 || !slices.Contains(by, "vault-1") {
			t.Errorf("%s: expected two holders and the device, found %v", wallet, by)
		}
		for _, name := range nodeNames[1:] {
			w.nodes[name].set(func(n *node) { n.mangle = true })
		}
		if _, err := w.give(wallet, "y"); wallet == "btc-vault" && status.Code(err) != codes.Unavailable {
			t.Errorf("%s: expected no address by one honest holder and the device, found %v", wallet, err)
		}
		for _, name := range nodeNames[1:] {
			w.nodes[name].set(func(n *node) { n.mangle = false })
		}
	}
	for _, name := range w.vaultNames() {
		w.nodes[name].set(func(n *node) { n.down = true })
	}
	for _, wallet := range []canon.Name{"btc-multi", "btc-cold", "evm-cold"} {
		a, err := w.give(wallet, "x")
		if err != nil {
			t.Fatal(err)
		}
		if by := attesters(t, a); len(by) != 2 || slices.ContainsFunc(by, func(n canon.Name) bool { return w.vaults[n] != nil }) {
			t.Errorf("%s: expected two of the roster, found %v", wallet, by)
		}
	}
}

func TestAPoolGivesEachAddressOnceAndIsNamedWhenItIsExhausted(t *testing.T) {
	w := vaulted(t)
	w.learn()
	wallet, _ := w.charter.Wallet("btc-multi")
	first, err := w.give("btc-multi", "a")
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.give("btc-multi", "b")
	if err != nil || bytes.Equal(first.Bytes, second.Bytes) {
		t.Fatalf("expected another address, found %x, %v", second.Bytes, err)
	}
	if _, err := w.give("btc-multi", "c"); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), canon.Digest(wallet.Pool).String()) {
		t.Errorf("expected FailedPrecondition with the pool's digest, found %v", err)
	}
	if again, err := w.give("btc-multi", "a"); err != nil || !bytes.Equal(again.Bytes, first.Bytes) {
		t.Errorf("expected the first address again, found %x, %v", again.Bytes, err)
	}
	// The MPC key makes as many addresses as are wanted of a vault's pool of three keys.
	seen := map[string]bool{}
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		a, err := w.give("btc-vault", id)
		if err != nil || seen[string(a.Bytes)] {
			t.Fatalf("%s: expected an address of its own, found %x, %v", id, a.Bytes, err)
		}
		seen[string(a.Bytes)] = true
	}
}

func TestAMissingPoolStopsItsOwnWalletOnly(t *testing.T) {
	w := vaulted(t)
	w.learn()
	given, err := w.give("btc-multi", "a")
	if err != nil {
		t.Fatal(err)
	}
	wallet, _ := w.charter.Wallet("btc-multi")
	file := filepath.Join(w.pools, config.PoolFile(canon.Digest(wallet.Pool)))
	if err := os.Rename(file, file+".away"); err != nil {
		t.Fatal(err)
	}
	w.close()
	w.open()
	w.learn()
	_, err = w.give("btc-multi", "b")
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), w.pools) || !strings.Contains(err.Error(), canon.Digest(wallet.Pool).String()) {
		t.Errorf("expected an error with digest and directory, found %v", err)
	}
	other, _ := w.charter.Wallet("evm-cold")
	if err := os.Remove(filepath.Join(w.pools, config.PoolFile(canon.Digest(other.Pool)))); err != nil {
		t.Fatal(err)
	}
	w.mineEVM()
	w.mineEVM()
	evm, _ := w.charter.Chain(testEVM)
	if err := w.service.bookEVM(w.ctx, evm); err != nil {
		t.Errorf("expected the book of other wallets to go on, found %v", err)
	}
	if _, said := w.service.alarmed.Load(canon.Name("evm-cold")); !said {
		t.Error("expected the wallet that waits to be logged")
	}
	w.bitcoin.pay(given.Bytes, 7_000_000) // an address that was given out is watched all the same
	w.fund(30_000_000)
	w.run()
	w.buried(w.create("a").ID)
	w.awaitTip()
	held, err := w.service.Store.CoinBalances(w.ctx, testBTC, "btc-multi")
	if err != nil || len(held) != 1 || held[0].Amount.String() != "7000000" {
		t.Errorf("expected the payment to the known address, found %v, %v", held, err)
	}
	// A withdrawal from there waits, and goes on once the file is back.
	id := w.create("b", outOf("btc-multi")).ID
	if row := w.await(id, withdrawal.Approved); len(row.Refusals) > 0 {
		t.Errorf("expected it to wait, found %v", row.Refusals)
	}
	if err := os.Rename(file+".away", file); err != nil {
		t.Fatal(err)
	}
	w.buried(id)
}

func TestSweepsReachColdWalletsOfTokens(t *testing.T) {
	w := vaulted(t)
	w.fund(30_000_000)
	w.sender()
	w.run()
	for _, wallet := range []canon.Name{"btc-cold", "evm-cold"} {
		if _, err := w.give(wallet, "x"); err != nil {
			t.Fatal(err)
		}
	}
	sweep := w.create("a", func(r *canon.Request) { r.Outputs = []canon.Output{w.own("btc-cold", 0, 1_500_000)} })
	if row := w.buried(sweep.ID); row.Rule != "sweep" {
		t.Errorf("expected rule sweep, found %s", row.Rule)
	}
	beyond := w.own("btc-cold", 1, 1_000_000)
	beyond.Own.Index = 2
	if row := w.create("b", func(r *canon.Request) { r.Outputs = []canon.Output{beyond} }); row.State != withdrawal.Denied || !hasRule(row, "pool") {
		t.Errorf("expected an address beyond the pool to be denied, found %s: %v", row.State, row.Refusals)
	}
	if row := w.create("c", outOf("btc-cold")); row.State != withdrawal.Denied || !hasRule(row, "source") {
		t.Errorf("expected nothing to leave a cold wallet online, found %s: %v", row.State, row.Refusals)
	}
	funded, err := evmChain.Fund(w.ctx, common.BytesToAddress(w.spot("evm-cold", 0, 0).Address), common.Big1)
	if err != nil {
		t.Fatal(err)
	}
	w.mineUntil(funded)
	w.awaitTip()
	e := w.serve(false)
	list, err := strongroomv1.NewWalletServiceClient(e.as(rpc.Custodian, "acme")).ListWallets(e.ctx, &strongroomv1.ListWalletsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]string{}
	for _, shown := range list.GetWallets() {
		for _, b := range shown.GetBalances() {
			held[shown.GetName()] = b.GetConfirmed()
		}
		if single := strings.HasSuffix(shown.GetName(), "cold"); single != shown.GetSingleDevice() || single && (shown.GetNeeded() != 1 || shown.GetBackup() != "none" || shown.GetPool() == "") {
			t.Errorf("expected cold wallets, and only them, to be of a single device, found %v", shown)
		}
		if shown.GetName() == "wallets/btc-vault" && (!slices.Equal(shown.GetDevices(), []string{"vault-1"}) || len(shown.GetRecovery()) != 66) {
			t.Errorf("expected the device and the third key, found %v", shown)
		}
	}
	if held["wallets/btc-cold"] != "1500000" || held["wallets/evm-cold"] != "1" {
		t.Errorf("expected balances of the cold wallets, found %v", held)
	}
}

func TestTreasuryProposesSweepsToColdWalletsOfTokens(t *testing.T) {
	w := vaulted(t, func(_ *organisation, g *canon.Genesis) {
		g.Allocation = []canon.Allocation{{Asset: btc, Tier: canon.Hot, MaxPermill: 200, TargetPermill: 100, MinPermill: 50}}
		g.Delays.Balances = 300
	})
	w.fund(60_000_000, 40_000_000)
	for _, name := range nodeNames {
		w.nodes[name].set(func(n *node) {
			n.held = map[canon.ChainID][]canon.Holding{testBTC: {}}
			for _, wallet := range []canon.Name{"btc-cold", "btc-hot", "btc-multi", "btc-vault"} {
				held := map[canon.Name]uint64{"btc-hot": 100_000_000, "btc-cold": 100_000_000}[wallet]
				n.held[testBTC] = append(n.held[testBTC], canon.Holding{Wallet: wallet, Asset: btc, Amount: canon.AmountOf(held)})
			}
		})
	}
	e := w.serve(false)
	got, err := e.allocation(rpc.Operator, "ops")
	if err != nil || len(got.GetLines()) == 0 || len(got.GetProposals()) != 1 {
		t.Fatalf("expected lines and one proposal, found %v, %v", got, err)
	}
	if l := got.GetLines()[0]; l.GetCold() != "100000000" || l.GetSharePermill() != 500 {
		t.Errorf("expected what cold wallets hold to count, found %v", l)
	}
	p := got.GetProposals()[0]
	if p.GetToWallet() != "btc-cold" || p.GetToAddress() != w.service.addressText(testBTC, w.spot("btc-cold", 0, p.GetToIndex()).Address) {
		t.Errorf("expected a sweep to the cold wallet's address, found %v", p)
	}
}

// Keys of a pool are few: a preparation that comes to nothing takes none, however often it is tried.
func TestAPreparationThatComesToNothingTakesNoChangeKey(t *testing.T) {
	w := vaulted(t)
	w.fund(30_000_000)
	w.fundAt("btc-multi", 30_000_000)
	if _, err := w.give("btc-cold", "x"); err != nil {
		t.Fatal(err)
	}
	sweep := func(r *canon.Request) { r.Outputs = []canon.Output{w.own("btc-cold", 0, 1_500_000)} }
	rows := []withdrawal.Withdrawal{w.until(w.create("a", sweep).ID, withdrawal.Approved), w.until(w.create("b", sweep, outOf("btc-multi")).ID, withdrawal.Approved)}
	cold, _ := w.charter.Wallet("btc-cold")
	file := filepath.Join(w.pools, config.PoolFile(canon.Digest(cold.Pool)))
	if err := os.Rename(file, file+".away"); err != nil {
		t.Fatal(err)
	}
	w.close()
	w.open()
	w.learn()
	next := func(wallet canon.Name, want uint64) {
		t.Helper()
		if found, err := w.service.Store.NextIndex(w.ctx, wallet, "acme-main", 1); err != nil || found != want {
			t.Errorf("%s: expected change to go to index %d next, found %d, %v", wallet, want, found, err)
		}
	}
	for range 5 {
		for _, row := range rows {
			if err := w.step(w.row(row.ID)); err == nil || w.row(row.ID).State != withdrawal.Approved {
				t.Fatalf("expected it to wait for the pool, found %s: %v", w.row(row.ID).State, err)
			}
			next(row.Wallet, 0)
		}
	}
	if err := os.Rename(file+".away", file); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if signed := w.until(row.ID, withdrawal.Signed); signed.Prepared.Change[0].Index != 0 {
			t.Errorf("%s: expected change to the first address, found %v", row.Wallet, signed.Prepared.Change)
		}
		next(row.Wallet, 1)
	}
}

// An amendment may name a pool with other keys: its addresses are watched from when the charter is followed, and those of the pool before stay watched.
func TestAnotherPoolOfAWalletIsWatched(t *testing.T) {
	w := vaulted(t)
	w.fund(30_000_000)
	before := w.spot("btc-cold", 0, 0).Address
	genesis := *w.charter.Genesis()
	cold, _ := w.charter.Wallet("btc-cold")
	pool := w.newPool(t, &genesis, cold, 2, 1)
	digest := canon.Digest(pool)
	if err := os.WriteFile(filepath.Join(w.pools, config.PoolFile(digest)), w.sealed[digest], 0o600); err != nil {
		t.Fatal(err)
	}
	w.enact(func(g *canon.Genesis) {
		i := slices.IndexFunc(g.Wallets, func(w canon.Wallet) bool { return w.Name == "btc-cold" })
		g.Wallets[i].Pool = pool
	})
	w.follow(2)
	now, _ := w.service.charter().Wallet("btc-cold")
	account, _ := w.service.charter().Account("acme-main")
	after, _, err := w.service.keys.derive(now, account, 0, 0)
	if err != nil || bytes.Equal(before, after) {
		t.Fatalf("expected another address, found %x, %v", after, err)
	}
	w.bitcoin.pay(before, 1_000_000)
	w.bitcoin.pay(after, 7_000_000)
	w.bitcoin.mine()
	w.learn()
	if held, err := w.service.Store.CoinBalances(w.ctx, testBTC, "btc-cold"); err != nil || len(held) != 1 || held[0].Amount.String() != "8000000" {
		t.Errorf("expected both payments seen, found %v, %v", held, err)
	}
}

// That signers have not been given a pool yet ends no withdrawal.
func TestSignersWithoutThePoolAreWaitedFor(t *testing.T) {
	w := vaulted(t)
	w.fundAt("btc-multi", 30_000_000)
	bare := func(is bool) {
		for _, name := range nodeNames {
			w.nodes[name].set(func(n *node) { n.bare = is })
		}
	}
	bare(true)
	id := w.create("a", outOf("btc-multi")).ID
	for range 3 {
		if err := w.step(w.row(id)); w.row(id).State != withdrawal.Approved {
			t.Fatalf("expected it to wait, found %s: %v", w.row(id).State, err)
		}
	}
	if row := w.row(id); !hasRule(row, "node-1: pool") {
		t.Errorf("expected the row to say which signer lacks the pool, found %v", row.Refusals)
	}
	bare(false)
	w.until(id, withdrawal.Signed)
}
