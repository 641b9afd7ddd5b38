package accounting

import (
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/strongroom/strongroom/proto/canon"
)

const (
	coin  = canon.AssetID("bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:1")
	other = canon.AssetID("bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:2")
	onBTC = canon.ChainID("bip122:0f9188f13cb7b2c71f2a335e3a4fc328")
)

var start = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// accounts of each wallet of the model; those of wallet pool share addresses, those of treasury are the house's.
var accounts = map[canon.Name][]canon.Name{"hot": {"acme", "globex"}, "cold": {"acme", "globex"}, "pool": {"initech", "hooli"}, "treasury": {"house"}}

var walletNames = []canon.Name{"cold", "hot", "pool", "treasury"}

// replay returns the book that the entries make, which must be numbered from 1.
func replay(entries []Entry) (*Journal, error) {
	j := NewJournal()
	for _, e := range entries {
		if _, err := j.Append(e); err != nil {
			return nil, err
		}
	}
	return j, nil
}

// undoBlocks reverses, the last one first, what happened on the chain in blocks above that height and was not reversed yet.
func undoBlocks(j *Journal, chain canon.ChainID, above uint64, at time.Time) error {
	for _, e := range slices.Backward(j.Entries()) {
		if e.Block.Chain != chain || e.Block.Height <= above || j.reversed[e.Number] != 0 {
			continue
		}
		if err := Undo(j, e, at); err != nil {
			return err
		}
	}
	return nil
}

// model is a chain beside a journal that books it.
type model struct {
	j        *Journal
	blocks   [][][]Movement // movements of each transaction of each block
	pool     [][]Movement   // transactions that a reorganisation returned
	signed   []Movement     // withdrawals that were signed and are in no block
	serial   int
	clock    time.Time
	suspense []uint64 // entries that put something into suspense
}

func (m *model) next() string {
	m.serial++
	return fmt.Sprint(m.serial)
}

func (m *model) post(t *rapid.T, list ...Movement) {
	m.clock = m.clock.Add(time.Second)
	for range 2 { // whoever follows a chain repeats himself after a crash
		for _, v := range list {
			number, err := Post(m.j, v, m.clock)
			if err != nil {
				t.Fatalf("%s of %s: %v", v.Kind, v.Wallet, err)
			}
			if number != 0 && v.Kind == Deposit && v.Account == "" {
				m.suspense = append(m.suspense, number)
			}
		}
	}
}

// mine connects a block with these transactions, as far as the chain has what they spend.
func (m *model) mine(t *rapid.T, txs ...[]Movement) {
	height := uint64(len(m.blocks)) + 1 // as on chains, block 0 pays nobody
	var block [][]Movement
	for _, tx := range txs {
		if !m.affords(tx, block) {
			continue
		}
		tx = slices.Clone(tx)
		for i := range tx {
			if tx[i].Kind != Return {
				tx[i].Block = Block{Chain: onBTC, Height: height}
			}
		}
		block = append(block, tx)
	}
	m.blocks = append(m.blocks, block)
	for _, tx := range block {
		m.post(t, tx...)
	}
}

// onChain is what the blocks, and more transactions, leave in a wallet.
func (m *model) onChain(wallet canon.Name, asset canon.AssetID, more ...[]Movement) *big.Int {
	sum := new(big.Int)
	for _, block := range append(slices.Clone(m.blocks), more) {
		for _, v := range slices.Concat(block...) {
			if v.Wallet != wallet || v.Asset != asset {
				continue
			}
			switch v.Kind {
			case Deposit, MoveIn:
				sum.Add(sum, v.Amount.Int())
			case Payment, Fee, MoveOut, Outflow:
				sum.Sub(sum, v.Amount.Int())
			}
		}
	}
	return sum
}

func (m *model) affords(tx []Movement, block [][]Movement) bool {
	for _, v := range tx {
		if m.onChain(v.Wallet, v.Asset, append(slices.Clone(block), tx)...).Sign() < 0 {
			return false
		}
	}
	return true
}

func (m *model) owed(wallet, account canon.Name, asset canon.AssetID) uint64 {
	n, err := m.j.Balance(Ledger{Side: Owed, Wallet: wallet, Account: account}, asset)
	if err != nil {
		panic(err)
	}
	return n.Uint64()
}

func (m *model) draw(t *rapid.T) (wallet, account canon.Name, asset canon.AssetID) {
	wallet = rapid.SampledFrom(walletNames).Draw(t, "wallet")
	return wallet, rapid.SampledFrom(accounts[wallet]).Draw(t, "account"), rapid.SampledFrom([]canon.AssetID{coin, other}).Draw(t, "asset")
}

func (m *model) deposit(t *rapid.T) {
	wallet, account, asset := m.draw(t)
	if rapid.IntRange(0, 4).Draw(t, "nobody's") == 0 {
		account = ""
	}
	id := m.next()
	m.mine(t, []Movement{{Kind: Deposit, Key: Deposit.key(id, "0"), Wallet: wallet, Account: account, Asset: asset, TxID: id,
		Amount: canon.AmountOf(rapid.Uint64Range(1, 1000).Draw(t, "amount"))}})
}

func (m *model) sign(t *rapid.T) {
	wallet, account, asset := m.draw(t)
	most := m.owed(wallet, account, asset)
	if most == 0 {
		return
	}
	id := canon.KindRequest.Digest([]byte(m.next()))
	v := Movement{Kind: Withdrawal, Key: "withdrawal:" + id.String(), Wallet: wallet, Account: account, Asset: asset, Withdrawal: &id,
		Amount: canon.AmountOf(rapid.Uint64Range(1, most).Draw(t, "set aside"))}
	m.post(t, v)
	m.signed = append(m.signed, v)
}

// pay mines a signed withdrawal, or ends it unpaid.
func (m *model) pay(t *rapid.T) {
	if len(m.signed) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.signed)-1).Draw(t, "withdrawal")
	v := m.signed[i]
	m.signed = slices.Delete(m.signed, i, i+1)
	back := v
	back.Kind, back.Key = Return, ""
	if rapid.Bool().Draw(t, "fails") {
		m.post(t, back)
		return
	}
	most := v.Amount.Int().Uint64()
	fee := rapid.Uint64Range(0, most).Draw(t, "fee")
	paid := rapid.Uint64Range(0, most-fee).Draw(t, "paid")
	id := m.next()
	payment, cost := v, v
	payment.Kind, payment.Key, payment.TxID, payment.Amount = Payment, Payment.key(id, ""), id, canon.AmountOf(paid)
	cost.Kind, cost.Key, cost.TxID, cost.Amount = Fee, Fee.key(id, ""), id, canon.AmountOf(fee)
	m.mine(t, []Movement{payment, cost, back})
}

func (m *model) move(t *rapid.T) {
	account := rapid.SampledFrom(accounts["hot"]).Draw(t, "account")
	most := m.owed("hot", account, coin)
	if most == 0 {
		return
	}
	id := m.next()
	amount := canon.AmountOf(rapid.Uint64Range(1, most).Draw(t, "amount"))
	before := new(big.Int).SetUint64(most + m.owed("cold", account, coin))
	height := len(m.blocks)
	m.mine(t, []Movement{{Kind: MoveOut, Key: MoveOut.key(id, ""), Wallet: "hot", Account: account, Asset: coin, Amount: amount, TxID: id},
		{Kind: MoveIn, Key: MoveIn.key(id, ""), Wallet: "cold", Account: account, Asset: coin, Amount: amount, TxID: id}})
	after := new(big.Int).SetUint64(m.owed("hot", account, coin) + m.owed("cold", account, coin))
	if len(m.blocks[height]) == 1 && before.Cmp(after) != 0 {
		t.Fatalf("a move: expected that %s is owed %s as before, found %s", account, before, after)
	}
}

func (m *model) outflow(t *rapid.T) {
	wallet, _, asset := m.draw(t)
	most := m.onChain(wallet, asset)
	if most.Sign() == 0 {
		return
	}
	id := m.next()
	m.mine(t, []Movement{{Kind: Outflow, Key: Outflow.key(id, ""), Wallet: wallet, Asset: asset, TxID: id,
		Amount: canon.AmountOf(rapid.Uint64Range(1, most.Uint64()).Draw(t, "amount"))}})
}

// reorganise takes blocks away; their transactions are mined again later, or never.
func (m *model) reorganise(t *rapid.T) {
	if len(m.blocks) == 0 {
		return
	}
	keep := rapid.IntRange(max(0, len(m.blocks)-4), len(m.blocks)-1).Draw(t, "keep")
	for _, block := range m.blocks[keep:] {
		m.pool = append(m.pool, block...)
	}
	m.blocks = m.blocks[:keep]
	m.clock = m.clock.Add(time.Second)
	if err := undoBlocks(m.j, onBTC, uint64(keep), m.clock); err != nil {
		t.Fatalf("reorganisation: %v", err)
	}
}

func (m *model) again(t *rapid.T) {
	if len(m.pool) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.pool)-1).Draw(t, "transaction")
	tx := m.pool[i]
	height := len(m.blocks)
	m.mine(t, tx)
	if len(m.blocks[height]) > 0 {
		m.pool = slices.Delete(m.pool, i, i+1)
	}
}

func (m *model) attribute(t *rapid.T) {
	if len(m.suspense) == 0 {
		return
	}
	number := rapid.SampledFrom(m.suspense).Draw(t, "entry")
	e := m.j.entries[number-1]
	if m.j.reversed[number] != 0 {
		return
	}
	parts, sum, err := Attributions(m.j, number)
	if err != nil {
		t.Fatal(err)
	}
	left := new(big.Int).Sub(e.Suspended(), sum).Uint64()
	if left == 0 {
		return
	}
	m.post(t, Movement{Kind: Attribution, Key: AttributionKey(number, len(parts)+1), Wallet: e.Wallet, Asset: e.Asset, Block: e.Block,
		Amount: canon.AmountOf(rapid.Uint64Range(1, left).Draw(t, "part")), Account: rapid.SampledFrom(accounts[e.Wallet]).Draw(t, "account")})
}

// crash begins anew with what was kept: the entries.
func (m *model) crash(t *rapid.T) {
	again, err := replay(m.j.Entries())
	if err != nil {
		t.Fatal(err)
	}
	m.j = again
}

// check holds the invariant and what else must be true after every step.
func (m *model) check(t *rapid.T) {
	for _, wallet := range walletNames {
		for _, asset := range []canon.AssetID{coin, other} {
			sums := map[Side]*big.Int{Holding: {}, Owed: {}, Flight: {}, Suspense: {}, Shortfall: {}}
			m.j.Ledgers(func(l Ledger, a canon.AssetID, n *big.Int) {
				if l.Wallet == wallet && a == asset {
					sums[l.Side].Add(sums[l.Side], n)
				}
				if n.Sign() < 0 {
					t.Fatalf("%s: expected a balance of at least 0, found %s", l, n)
				}
			})
			there := new(big.Int).Add(sums[Holding], sums[Shortfall])
			claimed := new(big.Int).Add(sums[Owed], sums[Flight])
			if claimed.Add(claimed, sums[Suspense]); there.Cmp(claimed) != 0 {
				t.Fatalf("%s, %s: expected holding and shortfall %s to be owed, in flight or in suspense, found %s", wallet, asset, there, claimed)
			}
			if want := m.onChain(wallet, asset); want.Cmp(sums[Holding]) != 0 {
				t.Fatalf("%s, %s: expected to hold %s as the chain shows, found %s", wallet, asset, want, sums[Holding])
			}
		}
	}
	m.checkEntries(t)
	again, err := replay(m.j.Entries())
	if err != nil || !reflect.DeepEqual(again, m.j) {
		t.Fatalf("expected the replayed entries to make the same book, found another, error %v", err)
	}
}

// checkEntries demands that no entry has the house and a client in it.
func (m *model) checkEntries(t *rapid.T) {
	for i, e := range m.j.Entries() {
		if e.Number != uint64(i)+1 {
			t.Fatalf("entry %d: expected number %d", e.Number, i+1)
		}
		for _, c := range e.Changes() {
			if c.Ledger.Wallet != e.Wallet || (c.Ledger.Side == Owed && !slices.Contains(accounts[e.Wallet], c.Ledger.Account)) {
				t.Fatalf("entry %d of wallet %s: expected ledgers of it and its accounts, found %s", e.Number, e.Wallet, c.Ledger)
			}
		}
	}
}

func TestTheBookAddsUpWhateverHappens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{j: NewJournal(), clock: start}
		t.Repeat(map[string]func(*rapid.T){
			"deposit": m.deposit, "another": m.deposit, "sign": m.sign, "pay": m.pay, "move": m.move, "outflow": m.outflow,
			"reorganise": m.reorganise, "again": m.again, "attribute": m.attribute, "crash": m.crash, "": m.check,
		})
	})
}

// An honest chain, whose reorganisations bring everything back, leaves nothing missing.
func TestNothingIsMissingWhileTheChainIsHonest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{j: NewJournal(), clock: start}
		t.Repeat(map[string]func(*rapid.T){
			"deposit": m.deposit, "another": m.deposit, "sign": m.sign, "pay": m.pay, "move": m.move, "attribute": m.attribute,
			"": func(t *rapid.T) {
				m.check(t)
				m.j.Ledgers(func(l Ledger, _ canon.AssetID, n *big.Int) {
					if l.Side == Shortfall && n.Sign() != 0 {
						t.Fatalf("%s: expected nothing missing, found %s", l, n)
					}
				})
			},
		})
	})
}

func TestADepositThatComesBackMakesUpForWhatItsLossLeftMissing(t *testing.T) {
	j := NewJournal()
	id := canon.Digest{1}
	in := Movement{Kind: Deposit, Key: "deposit:a", Wallet: "hot", Account: "acme", Asset: coin, Amount: canon.AmountOf(10), Block: Block{onBTC, 5}}
	out := Movement{Kind: Withdrawal, Key: "withdrawal:1", Wallet: "hot", Account: "acme", Asset: coin, Amount: canon.AmountOf(7), Withdrawal: &id}
	for _, m := range []Movement{in, out} {
		if _, err := Post(j, m, start); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(when string, want map[Side]int64) {
		t.Helper()
		for _, side := range []Side{Holding, Owed, Flight, Suspense, Shortfall} {
			l := Entry{Wallet: "hot", Account: "acme", Withdrawal: &id}.Ledger(side)
			if n, err := j.Balance(l, coin); err != nil || n.Int64() != want[side] {
				t.Errorf("%s: %s: expected %d, found %s, %v", when, l, want[side], n, err)
			}
		}
	}
	expect("signed", map[Side]int64{Holding: 10, Owed: 3, Flight: 7})
	if err := undoBlocks(j, onBTC, 4, start); err != nil {
		t.Fatal(err)
	}
	expect("the deposit is gone", map[Side]int64{Flight: 7, Shortfall: 7})
	if _, err := Post(j, in, start); err != nil {
		t.Fatal(err)
	}
	expect("it is back", map[Side]int64{Holding: 10, Owed: 3, Flight: 7})
	if n := len(j.Entries()); n != 4 {
		t.Errorf("expected 4 entries, of which none was deleted, found %d", n)
	}
}
