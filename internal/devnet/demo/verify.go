package demo

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/strongroom/strongroom/internal/devnet"
	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// onChain looks a confirmed withdrawal up on its chain, compares every payment with the request that the client signed, and returns the
// transaction for the report.
func onChain(ctx context.Context, d *devnet.Devnet, w *strongroomv1.Withdrawal) (Transaction, error) {
	var request canon.Request
	if err := canon.Decode(w.GetRequest().GetDocument(), &request); err != nil {
		return Transaction{}, err
	}
	if request.Chain == d.BTC.Chain() {
		return bitcoinOnChain(ctx, d, w, request)
	}
	return evmOnChain(ctx, d, w, request)
}

func bitcoinOnChain(ctx context.Context, d *devnet.Devnet, w *strongroomv1.Withdrawal, request canon.Request) (Transaction, error) {
	id, err := chainhash.NewHashFromStr(w.GetTxid())
	if err != nil {
		return Transaction{}, err
	}
	found, err := d.Bitcoin.Node().Transaction(ctx, *id)
	if err != nil {
		return Transaction{}, err
	}
	if found.Confirmations < 1 {
		return Transaction{}, fmt.Errorf("%s: expected a confirmation on the chain, found none", id)
	}
	return bitcoinReport(ctx, d, found.Tx, found.Raw, request)
}

// bitcoinReport takes payments and change apart: the request's outputs come first, in order, and at most one more comes back.
func bitcoinReport(ctx context.Context, d *devnet.Devnet, tx *wire.MsgTx, raw []byte, request canon.Request) (Transaction, error) {
	t := Transaction{Chain: string(request.Chain), TxID: tx.TxHash().String(), Raw: hex.EncodeToString(raw), Asset: string(d.BTC), Change: []Output{}}
	var fee int64
	for _, in := range tx.TxIn {
		previous, err := d.Bitcoin.Node().Transaction(ctx, in.PreviousOutPoint.Hash)
		if err != nil {
			return Transaction{}, err
		}
		out := previous.Tx.TxOut[in.PreviousOutPoint.Index]
		input := Input{Value: fmt.Sprint(out.Value), Script: hex.EncodeToString(out.PkScript)}
		switch parts := len(in.Witness); {
		case parts == 2:
			input.PublicKey = hex.EncodeToString(in.Witness[1])
		case parts == 4 && len(in.Witness[0]) == 0: // OP_CHECKMULTISIG takes one more than it needs
			input.WitnessScript = hex.EncodeToString(in.Witness[3])
		default:
			return Transaction{}, fmt.Errorf("%s: expected signature and key, or two signatures and a script, in each witness, found %d parts", t.TxID, parts)
		}
		fee += out.Value
		t.Inputs = append(t.Inputs, input)
	}
	for i, out := range tx.TxOut {
		fee -= out.Value
		line := Output{Script: hex.EncodeToString(out.PkScript), Amount: fmt.Sprint(out.Value)}
		if i >= len(request.Outputs) {
			t.Change = append(t.Change, line)
			continue
		}
		want := request.Outputs[i]
		if !bytes.Equal(want.Address, out.PkScript) || want.Amount.Int().Cmp(big.NewInt(out.Value)) != 0 {
			return Transaction{}, fmt.Errorf("%s: output %d: expected %s to %x, found %d to %x", t.TxID, i, want.Amount, want.Address, out.Value, out.PkScript)
		}
		t.Outputs = append(t.Outputs, line)
	}
	if len(t.Outputs) != len(request.Outputs) || len(t.Change) > 1 {
		return Transaction{}, fmt.Errorf("%s: expected %d payments and at most one change, found %d outputs", t.TxID, len(request.Outputs), len(tx.TxOut))
	}
	if big.NewInt(fee).Cmp(request.FeeCap.Int()) > 0 {
		return Transaction{}, fmt.Errorf("%s: fee: expected at most %s, found %d", t.TxID, request.FeeCap, fee)
	}
	t.Fee = fmt.Sprint(fee)
	return t, nil
}

func evmOnChain(ctx context.Context, d *devnet.Devnet, w *strongroomv1.Withdrawal, request canon.Request) (Transaction, error) {
	hash := common.HexToHash(w.GetTxid())
	receipt, err := d.EVM.Node().Receipt(ctx, hash)
	if err != nil {
		return Transaction{}, err
	}
	if !receipt.Success || receipt.Confirmations < 1 {
		return Transaction{}, fmt.Errorf("%s: expected success in a block, found success %v, confirmations %d", hash, receipt.Success, receipt.Confirmations)
	}
	sent, _, err := d.EVM.Node().Transaction(ctx, hash)
	if err != nil {
		return Transaction{}, err
	}
	parsed, err := ethereum.Parse(w.GetUnsignedTransaction())
	if err != nil {
		return Transaction{}, err
	}
	raw, err := sent.MarshalBinary()
	if err != nil {
		return Transaction{}, err
	}
	if !bytes.Equal(raw, w.GetSignedTransaction()) {
		return Transaction{}, fmt.Errorf("%s: expected the stored transaction on the chain, found another", hash)
	}
	t := Transaction{Chain: string(request.Chain), TxID: hash.Hex()[2:], Raw: hex.EncodeToString(raw), Outputs: []Output{}, Change: []Output{}, Inputs: []Input{},
		Fee: parsed.MaxFee().String(), Nonce: parsed.Nonce}
	if err := t.carries(d, parsed, request); err != nil {
		return Transaction{}, fmt.Errorf("%s: %w", hash, err)
	}
	fee := new(big.Int).Mul(receipt.GasPrice, new(big.Int).SetUint64(receipt.GasUsed))
	if fee.Cmp(request.FeeCap.Int()) > 0 {
		return Transaction{}, fmt.Errorf("%s: fee: expected at most %s, found %s", hash, request.FeeCap, fee)
	}
	t.From, err = senderOf(d, request)
	return t, err
}

// carries compares a transaction with the payment or the contract call that was asked for, and describes it.
func (t *Transaction) carries(d *devnet.Devnet, parsed *ethereum.Transaction, request canon.Request) (err error) {
	if call := request.Call; call != nil {
		if !bytes.Equal(parsed.To[:], call.To) || !bytes.Equal(parsed.Data, call.Data) || parsed.Value.Cmp(call.Value.Int()) != 0 {
			return fmt.Errorf("expected the call of %x that was asked for, found one of %x", call.To, parsed.To)
		}
		t.Asset = string(d.ETH)
		t.Call, err = callReport(d, request)
		return err
	}
	want := request.Outputs[0]
	to, amount := parsed.To, parsed.Value
	if parsed.Transfer != nil {
		to, amount = parsed.Transfer.To, parsed.Transfer.Amount
	}
	if !bytes.Equal(want.Address, to[:]) || want.Amount.Int().Cmp(amount) != 0 {
		return fmt.Errorf("expected %s to %x, found %s to %x", want.Amount, want.Address, amount, to)
	}
	t.Asset, t.Outputs = string(want.Asset), []Output{{Address: fmt.Sprintf("0x%x", to), Amount: amount.String()}}
	return nil
}

// senderOf returns the deposit address of the request's account, which was attested when it was made.
func senderOf(d *devnet.Devnet, request canon.Request) (string, error) {
	a, ok := d.Deposit(string(request.Wallet), string(request.Account))
	if !ok {
		return "", errors.New("expected a deposit address of the account, found none")
	}
	return a, nil
}

// received checks what an address outside holds of an asset on an EVM chain: the sum of what the report says was paid to it.
func received(ctx context.Context, d *devnet.Devnet, report *Report, asset canon.AssetID, address string) error {
	want := new(big.Int)
	for _, t := range report.Transactions {
		for _, out := range t.Outputs {
			amount, ok := new(big.Int).SetString(out.Amount, 10)
			if ok && t.Asset == string(asset) && strings.EqualFold(out.Address, address) {
				want.Add(want, amount)
			}
		}
	}
	account := common.HexToAddress(address)
	found, err := d.EVM.Node().BalanceAt(ctx, account)
	if contract, ok := asset.Contract(); ok {
		found, err = d.EVM.Node().TokenBalanceAt(ctx, common.Address(contract), account)
	}
	if err != nil {
		return err
	}
	if found.Cmp(want) != 0 {
		return fmt.Errorf("%s: expected a balance of %s of %s, found %s", address, want, asset, found)
	}
	return nil
}
