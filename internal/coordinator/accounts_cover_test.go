package coordinator

import (
	"context"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/coordinator/accounting"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/chain"
)

// fromPool is a world where acme is owed 1.5 million satoshi, and globex much more, on the addresses of one pool, and pools may be swept.
func fromPool(t *testing.T) *world {
	w := pooled(t)
	w.enact(func(g *canon.Genesis) {
		for _, x := range g.Wallets {
			if x.Name == "btc-pool" {
				x.Name, x.Number, x.Tier = "btc-pool-warm", 9, canon.Warm
				g.Wallets = append(g.Wallets, x)
				break
			}
		}
		s := g.Rules[0]
		s.Name, s.To, s.Wallets = "pool-sweep", []canon.Target{{Kind: canon.TargetWallet, Name: "btc-pool-warm"}}, []canon.Name{"btc-pool"}
		g.Rules = append([]canon.Rule{s}, g.Rules...)
	})
	w.follow(3)
	w.service.signers.probe(w.ctx, nodeNames, w.service.keys.learn)
	w.bitcoin.pay(w.address("btc-pool", "globex-omni", "a-1").Bytes, 30_000_000)
	w.bitcoin.pay(w.address("btc-pool", "acme-omni", "a-1").Bytes, 1_500_000) // each in a block of its own
	w.learn()
	return w
}

// What an account moves to another wallet cannot be withdrawn from this one, before it is signed and after.
func TestOmnibusAccountsSpendAMoveOnce(t *testing.T) {
	w := fromPool(t)
	w.bitcoin.mine()
	w.learn()
	warm := w.address("btc-pool-warm", "acme-omni", "w-1")
	move := w.create("move", from("btc-pool", "acme-omni"), func(r *canon.Request) {
		r.Outputs = []canon.Output{{Address: warm.Bytes, Asset: btc, Amount: canon.AmountOf(1_400_000), Own: &canon.OwnAddress{Wallet: "btc-pool-warm", Index: warm.Index}}}
	})
	if move.State != withdrawal.Approved {
		t.Fatalf("expected approved, found %s: %v", move.State, move.Refusals)
	}
	denied := func(when string) {
		t.Helper()
		if row := w.create(when, from("btc-pool", "acme-omni"), amount(1_300_000)); row.State != withdrawal.Denied || !hasRule(row, "funds") {
			t.Errorf("%s: expected that the move has taken it, found %s: %v", when, row.State, row.Refusals)
		}
	}
	denied("unsigned")
	w.until(move.ID, withdrawal.Signed)
	denied("signed")
	w.run()
	w.buried(move.ID)
	w.restart()
	w.bury()
	w.booked("moved", map[string]string{"owed/btc-pool-warm/acme-omni BTC": "1400000", "shortfall/btc-pool BTC": "0", "flight/btc-pool/" + move.ID.String() + " BTC": "0"})
	w.balanced("moved")
}

// Others' coins would pay for a deposit that a reorganisation takes away.
func TestOmnibusAccountsWithdrawNothingOnTheStrengthOfAShallowDeposit(t *testing.T) {
	w := fromPool(t) // the chain's depth is 2
	w.booked("one block", map[string]string{"owed/btc-pool/acme-omni BTC": "1500000"})
	if row := w.create("early", from("btc-pool", "acme-omni"), amount(1_400_000)); row.State != withdrawal.Denied || !hasRule(row, "funds") {
		t.Fatalf("expected that a deposit in the tip covers nothing, found %s: %v", row.State, row.Refusals)
	}
	w.bitcoin.mine()
	w.learn()
	if row := w.create("later", from("btc-pool", "acme-omni"), amount(1_400_000)); row.State != withdrawal.Approved {
		t.Errorf("two blocks: expected approved, found %s: %v", row.State, row.Refusals)
	}
}

func TestAccountsOnEVMAreBookedAnewAfterADeepReorganisation(t *testing.T) {
	w, token := newCaller(t)
	w.bury()
	w.agrees("deposits", token)
	at, held, _, err := w.service.Store.Booked(w.ctx, testEVM)
	if err != nil {
		t.Fatal(err)
	}
	gone := store.BlockRef{Height: at.Height + 1, Hash: at.Hash}
	gone.Hash[0] ^= 1 // as a block that the chain had once
	deposit := accounting.Movement{Kind: accounting.Deposit, Key: "deposit:gone", Wallet: "evm-hot", Account: "acme-main", Asset: eth, Amount: canon.AmountOf(5),
		Block: accounting.Block{Chain: testEVM, Height: gone.Height}}
	for i := range held {
		if held[i].Wallet == "evm-hot" && held[i].Asset == eth {
			held[i].Amount = new(big.Int).Add(held[i].Amount, big.NewInt(5))
		}
	}
	if err := w.service.Store.BookEVM(w.ctx, store.EVMBlock{Chain: testEVM, Before: &at, At: gone, Time: w.service.Now(), Movements: []accounting.Movement{deposit}, Held: held}); err != nil {
		t.Fatal(err)
	}
	w.bury()
	w.agrees("reorganised", token)
	if kinds := w.kinds("acme-main"); kinds[len(kinds)-1] != "reversal" {
		t.Errorf("expected the deposit to be reversed and nothing more, found %v", kinds)
	}
}

// blind is a node that shows no receipts.
type blind struct{ readingNode }

type readingNode interface {
	chain.EVM
	stateReader
}

func (blind) Receipt(context.Context, common.Hash) (chain.Receipt, error) {
	return chain.Receipt{}, chain.ErrNotFound
}

// A node that shows balances before receipts makes no outflow of a payment.
func TestAccountsOnEVMWaitForAReceipt(t *testing.T) {
	w, token := newCaller(t)
	w.bury()
	sent := w.until(w.create("a", w.onEVM(eth, 1e17)).ID, withdrawal.Broadcast)
	w.mineUntil(common.HexToHash(sent.Transaction.TxID))
	node := w.service.EVM[testEVM]
	w.service.EVM[testEVM] = blind{node.(readingNode)}
	for range 3 {
		w.mineEVM()
	}
	on, _ := w.service.charter().Chain(testEVM)
	if err := w.service.bookEVM(w.ctx, on); err == nil {
		t.Error("expected the book to wait for the receipt, found that it went on")
	}
	w.booked("no receipt", map[string]string{"shortfall/evm-hot ETH": "0"})
	w.service.EVM[testEVM] = node
	w.settleEVM()
	w.agrees("receipt", token)
}

// hanging is a node that never says what lay on an address.
type hanging struct{ readingNode }

func (hanging) BalanceIn(ctx context.Context, _ common.Hash, _ common.Address) (*big.Int, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestAChainIsFollowedWhileItsBookHangs(t *testing.T) {
	w, _ := newCaller(t)
	w.service.EVM[testEVM] = hanging{w.service.EVM[testEVM].(readingNode)}
	w.run()
	for range 3 {
		w.mineEVM()
		tip, err := evmChain.Node().Tip(w.ctx)
		if err != nil {
			t.Fatal(err)
		}
		for deadline := time.After(time.Minute); ; {
			if height, err := w.service.chainState(testEVM); err == nil && height >= tip.Number {
				break
			}
			select {
			case <-deadline:
				t.Fatalf("expected block %d to be read while the book hangs, found that it was not", tip.Number)
			case <-time.After(time.Millisecond):
			}
		}
	}
}

func TestDepositsToAPoolOnEVMAreAttributedInParts(t *testing.T) {
	w := pooled(t)
	address := w.address("evm-pool", "acme-omni", "a-1")
	if _, err := evmChain.Fund(w.ctx, common.BytesToAddress(address.Bytes), big.NewInt(1e18)); err != nil {
		t.Fatal(err)
	}
	w.bury()
	page, _, err := w.service.Store.Postings(w.ctx, store.PostingQuery{Size: 1000})
	if err != nil {
		t.Fatal(err)
	}
	entry := uint64(0)
	for _, p := range page {
		if p.Wallet == "evm-pool" {
			entry = p.Number
		}
	}
	operator := strongroomv1.NewAccountServiceClient(w.serve(false).as(rpc.Operator, "ops"))
	attribute := func(account, amount string) error {
		_, err := operator.AttributeDeposit(w.ctx, &strongroomv1.AttributeDepositRequest{Entry: entry, Account: account, Amount: amount, RequestId: fmt.Sprint("t-", account, len(amount))})
		return err
	}
	for _, bad := range []string{"0", "-1", "1.5", "0x1", "01", "1000000000000000001"} {
		if err := attribute("acme-omni", bad); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: expected InvalidArgument, found %v", bad, err)
		}
	}
	if err := attribute("acme-omni", "300000000000000000"); err != nil {
		t.Fatal(err)
	}
	if err := attribute("globex-omni", ""); err != nil {
		t.Fatal(err)
	}
	w.booked("attributed", map[string]string{"owed/evm-pool/acme-omni ETH": "300000000000000000", "owed/evm-pool/globex-omni ETH": "700000000000000000", "suspense/evm-pool ETH": "0"})
	w.balanced("attributed")
}
