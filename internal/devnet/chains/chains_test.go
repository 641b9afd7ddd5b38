//go:build chains

package chains_test

import (
	"context"
	"math/big"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/strongroom/strongroom/internal/devnet/chains"
)

const receiver = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080" // BIP-173's example key, on regtest

func btcd(t *testing.T) string {
	t.Helper()
	path, err := chains.FindBtcd(t.Context(), filepath.Join("..", "..", "..", ".tools"))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func startBitcoin(t *testing.T, dir string) *chains.Bitcoin {
	t.Helper()
	b, err := chains.StartBitcoin(t.Context(), dir, btcd(t))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func confirmed(t *testing.T, b *chains.Bitcoin, txid chainhash.Hash) bool {
	t.Helper()
	c, err := b.Node().Confirmations(t.Context(), txid, -1)
	if err != nil {
		t.Fatal(err)
	}
	return c.Depth > 0
}

func TestBitcoinFaucetPaysAndGoesOnAfterTheNodeWasKilled(t *testing.T) {
	dir := t.TempDir()
	b := startBitcoin(t, dir)
	for range 10 { // none waits for a block
		if _, err := b.Fund(t.Context(), receiver, 1_000_000); err != nil {
			t.Fatal(err)
		}
	}
	txid, err := b.Fund(t.Context(), receiver, 5_0000_0000)
	if err != nil {
		t.Fatal(err)
	}
	if confirmed(t, b, txid) {
		t.Fatal("payment is confirmed before a block was mined")
	}
	if _, err := b.Mine(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if !confirmed(t, b, txid) {
		t.Fatal("payment is not confirmed by the next block")
	}
	if err := syscall.Kill(b.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-b.Done()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}

	again := startBitcoin(t, dir)
	defer again.Close()
	if txid, err = again.Fund(t.Context(), receiver, 1_0000_0000); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Mine(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if !confirmed(t, again, txid) {
		t.Fatal("payment after the restart is not confirmed")
	}
}

func TestBitcoinFaucetPaysAfterAReorganisation(t *testing.T) {
	b := startBitcoin(t, t.TempDir())
	defer b.Close()
	first, err := b.Fund(t.Context(), receiver, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	stale, err := b.Mine(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Fund(t.Context(), receiver, 1_000_000); err != nil { // the faucet has seen the block
		t.Fatal(err)
	}
	if err := b.Invalidate(stale[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Mine(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	second, err := b.Fund(t.Context(), receiver, 2_000_000)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Mine(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if !confirmed(t, b, first) || !confirmed(t, b, second) {
		t.Error("a payment from before or after the reorganisation is not confirmed")
	}
}

func TestSecretsAreForTheOwnerOnly(t *testing.T) {
	dir := t.TempDir()
	b := startBitcoin(t, dir)
	defer b.Close()
	for _, name := range []string{"btcd.conf", "rpc.password", "faucet.key", "btcd.log"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s: mode %04o; expected 0600", name, mode)
		}
	}
}

func TestAutoMineConfirmsOnBothChains(t *testing.T) {
	b := startBitcoin(t, t.TempDir())
	defer b.Close()
	e, err := chains.StartEVM(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- b.AutoMine(ctx, 10*time.Millisecond) }()
	go func() { ended <- e.AutoMine(ctx, 10*time.Millisecond) }()

	txid, err := b.Fund(t.Context(), receiver, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := e.Fund(t.Context(), common.HexToAddress("0x1111111111111111111111111111111111111111"), big.NewInt(7))
	if err != nil {
		t.Fatal(err)
	}
	poll(t, "6 confirmations on Bitcoin", func() (bool, error) {
		c, err := b.Node().Confirmations(t.Context(), txid, -1)
		return c.Depth >= 6, err
	})
	poll(t, "12 confirmations on the EVM chain", func() (bool, error) {
		r, err := e.Node().Receipt(t.Context(), hash)
		return err == nil && r.Confirmations >= 12, nil
	})
	stop()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// poll asks until the answer is yes, the test's own deadline being the limit.
func poll(t *testing.T, what string, ask func() (bool, error)) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		ok, err := ask()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if ok {
			return
		}
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			t.Fatalf("%s: %v", what, t.Context().Err())
		}
	}
}

func TestTheTokenIsMintedByTheFaucet(t *testing.T) {
	e, err := chains.StartEVM(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	address, err := e.DeployToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	to := common.HexToAddress("0x2222222222222222222222222222222222222222")
	hash, err := e.MintToken(t.Context(), address, to, big.NewInt(123_456_789))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Commit(); err != nil {
		t.Fatal(err)
	}
	r, err := e.Node().Receipt(t.Context(), hash)
	if err != nil || !r.Success || len(r.Logs) != 1 {
		t.Fatalf("receipt %+v, error %v; expected success with one log", r, err)
	}
	balance, err := e.Node().TokenBalanceAt(t.Context(), address, to)
	if err != nil || balance.Int64() != 123_456_789 {
		t.Fatalf("balance %v, error %v; expected 123456789", balance, err)
	}
}

func TestFindBtcdRefusesAnotherProgram(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{self, filepath.Join(t.TempDir(), "absent")} {
		t.Setenv(chains.BtcdEnv, path)
		if got, err := chains.FindBtcd(t.Context(), t.TempDir()); err == nil {
			t.Errorf("%s accepted as btcd: %s", path, got)
		}
	}
}
