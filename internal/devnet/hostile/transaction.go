package hostile

import (
	"fmt"
	"math/big"

	"github.com/btcsuite/btcd/wire"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/chain"
	"github.com/strongroom/strongroom/wallets/ethereum"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// spot returns what an address of a wallet is made of.
func (b *Builder) spot(wallet canon.Wallet, account canon.Account, branch, index uint64) (keyset.Spot, error) {
	on, ok := b.Charter.Chain(wallet.Chain)
	if !ok {
		return keyset.Spot{}, fmt.Errorf("chain: expected one of the charter, found %s", wallet.Chain)
	}
	set := keyset.Set{Organisation: b.Charter.Organisation(), Chain: on, Wallet: wallet}
	if wallet.Scheme != canon.SchemeHSM {
		if set.Group, ok = b.Key(wallet.Key); !ok {
			return keyset.Spot{}, fmt.Errorf("key: expected the public key of %s, found none", wallet.Key)
		}
	}
	if len(wallet.Pool) == len(canon.Digest{}) && b.Pool != nil {
		var err error
		if set.Pool, err = b.Pool(canon.Digest(wallet.Pool)); err != nil {
			return keyset.Spot{}, err
		}
	}
	return set.At(account, branch, index)
}

func (b *Builder) script(wallet canon.Wallet, account canon.Account, branch, index uint64) ([]byte, error) {
	spot, err := b.spot(wallet, account, branch, index)
	return spot.Address, err
}

// Spend gives the paper a transaction that spends one coin, with change on the account's change branch. rate is in satoshis per 1000
// virtual bytes.
func (b *Builder) Spend(p *Paper, coin bitcoin.Coin, rate int64, changeIndex uint64) error {
	wallet, account, err := b.source(p.Request.Chain)
	if err != nil {
		return err
	}
	change, err := b.script(wallet, account, wallets.BranchChange, changeIndex)
	if err != nil {
		return err
	}
	u, err := bitcoin.Build(bitcoin.BuildParams{
		Coins: []bitcoin.Coin{coin}, Payments: p.Request.Outputs, ChangeScript: change, FeeRate: rate, FeeCap: p.Intent.FeeCap.Int().Int64(),
		MaxInputs: 1, Anchor: &coin.Outpoint,
	})
	if err != nil {
		return err
	}
	if u.Change < 0 {
		return fmt.Errorf("change: expected some of coin %s, found none", coin.Outpoint)
	}
	p.Bitcoin, p.Previous = u.Tx, [][]byte{coin.Previous}
	p.Inputs = []canon.OwnPath{{Account: coin.Account, Branch: coin.Branch, Index: coin.Index}}
	p.Change = []canon.OwnPath{{Position: uint64(u.Change), Account: account.Name, Branch: wallets.BranchChange, Index: changeIndex}}
	return nil
}

// enough returns what a coin must hold to pay the paper with a fee of up to twice the cap and to leave change.
func (p *Paper) enough() int64 {
	const left = 10_000
	return p.Request.Outputs[0].Amount.Int().Int64() + 2*p.Intent.FeeCap.Int().Int64() + left
}

// sender returns the address of the client's account on an EVM chain.
func (b *Builder) sender(chain canon.ChainID) (canon.Wallet, canon.Account, [20]byte, error) {
	wallet, account, err := b.source(chain)
	if err != nil {
		return wallet, account, [20]byte{}, err
	}
	spot, err := b.spot(wallet, account, wallets.BranchReceive, 0)
	if err != nil {
		return wallet, account, [20]byte{}, err
	}
	return wallet, account, [20]byte(spot.Address), nil
}

// tokenGas is enough for any transfer of a plain ERC-20 token.
const tokenGas = 80_000

// Transfer gives the paper an EVM transaction with that nonce, or the wallet's first if that is higher. Fees above the cap are lowered.
func (b *Builder) Transfer(p *Paper, nonce uint64, fees chain.Fees) error {
	wallet, account, sender, err := b.sender(p.Request.Chain)
	if err != nil {
		return err
	}
	number, err := ethereum.ChainNumber(p.Request.Chain)
	if err != nil {
		return err
	}
	out := p.Request.Outputs[0]
	if len(out.Address) != 20 {
		return fmt.Errorf("address: expected 20 bytes, found %d", len(out.Address))
	}
	t := ethereum.BuildParams{ChainID: number, Nonce: max(nonce, wallet.StartNonce), Gas: ethereum.MinGas, To: [20]byte(out.Address)}
	if token, ok := out.Asset.Contract(); ok {
		t.Token, t.Amount, t.Gas = &token, out.Amount.Int(), tokenGas
	} else {
		t.Value = out.Amount.Int()
	}
	t.FeeCap, t.Tip = smaller(fees.Max, p.gasPrice(t.Gas)), fees.Tip
	t.Tip = smaller(t.Tip, t.FeeCap)
	p.EVM, p.Sender = t, sender
	p.Inputs, p.Change, p.Previous, p.Bitcoin = []canon.OwnPath{{Account: account.Name}}, nil, nil, nil
	return nil
}

// gasPrice returns the highest price at which so much gas costs no more than the cap.
func (p *Paper) gasPrice(gas uint64) *big.Int {
	return new(big.Int).Div(p.Intent.FeeCap.Int(), new(big.Int).SetUint64(gas))
}

func smaller(a, b *big.Int) *big.Int {
	if a.Cmp(b) < 0 {
		return a
	}
	return b
}

// Check asks the guard, as a signer that knows nothing but charter and keys would.
func (b *Builder) Check(p *Paper) (*guard.Signable, error) {
	q, err := b.Question(p)
	if err != nil {
		return nil, err
	}
	v := guard.View{Charter: b.Charter, Book: book.Begin(b.Charter).Required(0, 0), Now: b.Now(), Key: b.Key, Pool: b.Pool}
	s, err := guard.Check(q.Evidence, v)
	if err != nil {
		return nil, err
	}
	var r canon.Reservation
	if err := canon.Decode(q.Reservation, &r); err != nil {
		return nil, err
	}
	return s, s.CheckReservation(r, v)
}

// prevouts returns what the paper's transaction spends.
func (p *Paper) prevouts() ([]*wire.TxOut, error) { return bitcoin.Prevouts(p.Bitcoin, p.Previous) }

func plusOne(n *big.Int) *big.Int { return new(big.Int).Add(n, big.NewInt(1)) }
