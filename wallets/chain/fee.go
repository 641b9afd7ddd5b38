package chain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
)

// FeeRate implements Bitcoin. Bitcoin Core has estimatesmartfee; btcd answers that it does not know it, and has estimatefee.
func (n *BitcoinNode) FeeRate(ctx context.Context, targetBlocks int) (int64, error) {
	if targetBlocks < 1 || targetBlocks > 1008 {
		return 0, fmt.Errorf("chain: fee rate: target of %d blocks; expected 1 to 1008", targetBlocks)
	}
	rate, err := n.smartFee(ctx, targetBlocks)
	var answer *RPCError
	if errors.As(err, &answer) {
		rate, err = n.plainFee(ctx, targetBlocks)
	}
	// A node that answers, but with an error, has no estimate: a young chain, an estimator switched off.
	if errors.As(err, &answer) {
		rate, err = 0, nil
	}
	if err != nil {
		return 0, err
	}
	if rate <= 0 {
		rate = n.fees.Fallback
	}
	return n.fees.clamp(rate), nil
}

func (n *BitcoinNode) smartFee(ctx context.Context, targetBlocks int) (int64, error) {
	var r struct {
		FeeRate json.Number `json:"feerate"` // absent when there is no estimate
	}
	if err := n.rpc.call(ctx, &r, "estimatesmartfee", targetBlocks); err != nil || r.FeeRate == "" {
		return 0, err
	}
	return satPerKvB("estimatesmartfee", r.FeeRate)
}

func (n *BitcoinNode) plainFee(ctx context.Context, targetBlocks int) (int64, error) {
	var r json.Number // -1 when there is no estimate
	if err := n.rpc.call(ctx, &r, "estimatefee", targetBlocks); err != nil {
		return 0, err
	}
	return satPerKvB("estimatefee", r)
}

// satPerKvB turns a rate in bitcoin per 1,000 virtual bytes into satoshi, rounding up. No rate above 21 million bitcoin is
// believed; what is sensible is the fee policy's matter.
func satPerKvB(method string, n json.Number) (int64, error) {
	// The length limit keeps an exponent from making a number of any size.
	rat, ok := new(big.Rat), false
	if len(n) <= 32 {
		if f, err := n.Float64(); err == nil && f <= 21e6 && f >= -1 {
			rat, ok = rat.SetString(n.String())
		}
	}
	if !ok {
		return 0, fmt.Errorf("chain: %s: fee rate %q; expected bitcoin per 1,000 bytes", method, quotable(n.String()))
	}
	if rat.Sign() <= 0 {
		return 0, nil
	}
	rat.Mul(rat, big.NewRat(1e8, 1))
	up := new(big.Int).Sub(rat.Denom(), big.NewInt(1))
	return up.Add(up, rat.Num()).Div(up, rat.Denom()).Int64(), nil
}
