package coordinator

import (
	"context"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/chain"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// buildEVM pays from the one address of the account, or of the pool that has it, with the next nonce that no withdrawal of ours has: contiguous from the charter's start
// nonce, whatever a chain node says.
func (s *Service) buildEVM(ctx context.Context, p *payment) (*withdrawal.Prepared, error) {
	sender, _, err := s.keys.derive(p.wallet, p.holder, wallets.BranchReceive, 0)
	if err != nil {
		return nil, err
	}
	number, err := ethereum.ChainNumber(p.chain.ID)
	if err != nil {
		return nil, err
	}
	if err := s.yields(ctx, p.Withdrawal); err != nil {
		return nil, err
	}
	params := ethereum.BuildParams{ChainID: number}
	if params.Nonce, err = s.Store.NextNonce(ctx, p.chain.ID, sender, p.wallet.StartNonce); err != nil {
		return nil, err
	}
	out := p.request.Outputs[0]
	params.To = [20]byte(out.Address)
	if token, ok := out.Asset.Contract(); ok {
		params.Token, params.Amount = &token, out.Amount.Int()
	} else {
		params.Value = out.Amount.Int()
	}
	if err := s.evmFees(ctx, p.chain.ID, p.intent.FeeCap, common.BytesToAddress(sender), &params); err != nil {
		return nil, err
	}
	payload, fee, err := encodeEVM(params)
	if err != nil {
		return nil, err
	}
	return &withdrawal.Prepared{Unsigned: payload, Inputs: []canon.OwnPath{{Account: p.holder.Name}}, Fee: fee}, nil
}

// encodeEVM returns the payload and the most that it can pay for gas.
func encodeEVM(params ethereum.BuildParams) ([]byte, canon.Amount, error) {
	payload, err := ethereum.Build(params)
	if err != nil {
		return nil, nil, err
	}
	t, err := ethereum.Parse(payload)
	if err != nil {
		return nil, nil, err
	}
	fee, err := canon.NewAmount(t.MaxFee())
	return payload, fee, err
}

// evmFees estimates gas and fees and keeps the most that the transaction can cost within the intent's cap. A node that demands more
// makes the withdrawal wait. A contract call may pay all that the cap affords: officers take their time, and there is no second version
// with a higher price. What the base fee does not need is not paid.
func (s *Service) evmFees(ctx context.Context, id canon.ChainID, feeCap canon.Amount, sender common.Address, params *ethereum.BuildParams) error {
	node := s.EVM[id]
	call, err := evmCall(sender, *params)
	if err != nil {
		return err
	}
	gas, err := node.EstimateGas(ctx, call)
	if err != nil {
		return err
	}
	if call.Data != nil {
		gas += gas / 5 // storage may differ a little when the transfer is mined: unused gas comes back
	}
	fees, err := node.Fees(ctx)
	if err != nil {
		return err
	}
	params.Gas = max(gas, ethereum.MinGas)
	affordable := new(big.Int).Div(feeCap.Int(), new(big.Int).SetUint64(params.Gas))
	params.FeeCap, params.Tip = smaller(fees.Max, affordable), fees.Tip
	if len(params.Data) > 0 {
		params.FeeCap = affordable
	}
	params.Tip = smaller(params.Tip, params.FeeCap)
	if least := new(big.Int).Add(fees.BaseFee, params.Tip); params.FeeCap.Cmp(least) < 0 {
		return &waitError{refusal.Failure{Rule: "fee-cap", Field: "intent.fee_cap",
			Expected: fmt.Sprintf("enough for %d gas at the base fee of now", params.Gas), Found: feeCap.String()}}
	}
	return nil
}

func smaller(a, b *big.Int) *big.Int {
	if a.Cmp(b) < 0 {
		return a
	}
	return b
}

// evmCall is what the transaction will do, for the estimate. The payload builder is the one place that writes call data.
func evmCall(sender common.Address, params ethereum.BuildParams) (chain.Call, error) {
	params.Gas, params.FeeCap, params.Tip = ethereum.MinGas, big.NewInt(1), new(big.Int)
	payload, err := ethereum.Build(params)
	if err != nil {
		return chain.Call{}, err
	}
	t, err := ethereum.Parse(payload)
	if err != nil {
		return chain.Call{}, err
	}
	call := chain.Call{From: sender, To: t.To, Value: t.Value}
	if len(t.Data) > 0 {
		call.Data = t.Data
	}
	return call, nil
}
