package coordinator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/chain"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// transferTopic is Keccak-256("Transfer(address,address,uint256)"), the event of ERC-20.
var transferTopic = common.HexToHash("0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef")

func sightEVM(ctx context.Context, node chain.EVM, w withdrawal.Withdrawal) (sighting, error) {
	hash := common.HexToHash(w.Transaction.TxID)
	r, err := node.Receipt(ctx, hash)
	if errors.Is(err, chain.ErrNotFound) {
		_, _, err = node.Transaction(ctx, hash)
		if errors.Is(err, chain.ErrNotFound) {
			return sighting{}, nil
		}
		return sighting{known: err == nil}, err
	}
	if err != nil {
		return sighting{}, err
	}
	seen := sighting{known: true, confirmations: r.Confirmations}
	if r.Confirmations == 0 {
		return seen, nil
	}
	seen.block = withdrawal.Block{Height: r.BlockNumber, Hash: r.BlockHash}
	if r.GasPrice != nil {
		if seen.fee, err = canon.NewAmount(new(big.Int).Mul(r.GasPrice, new(big.Int).SetUint64(r.GasUsed))); err != nil {
			return sighting{}, err
		}
	}
	seen.failed, err = whatFailed(w, r)
	return seen, err
}

// whatFailed says why a mined transaction paid nobody. Some tokens return false instead of reverting: only the event shows a transfer.
func whatFailed(w withdrawal.Withdrawal, r chain.Receipt) (string, error) {
	if !r.Success {
		return "a transaction that reverted", nil
	}
	t, err := ethereum.Parse(w.Prepared.Unsigned)
	if err != nil || t.Transfer == nil {
		return "", err
	}
	for _, l := range r.Logs {
		if isTransfer(l, w.Anchor.Account, t.Transfer) {
			return "", nil
		}
	}
	return fmt.Sprintf("no Transfer event of token 0x%x", t.Transfer.Token), nil
}

// isTransfer does not look at the amount: a token that keeps a part for itself has still taken the money.
func isTransfer(l *types.Log, from []byte, want *ethereum.TokenTransfer) bool {
	return l.Address == want.Token && len(l.Topics) == 3 && l.Topics[0] == transferTopic &&
		bytes.Equal(l.Topics[1][12:], from) && bytes.Equal(l.Topics[2][12:], want.To[:])
}

func failure(rule, field, expected, found string) []refusal.Failure {
	return refusal.New(rule, field, expected, found).Failures
}
