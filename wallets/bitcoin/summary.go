package bitcoin

import (
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/wire"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
)

// Summary says in plain lines what a transaction does: each payment, each output that comes back, the fee, and what is spent. Amounts
// and addresses come from tx and prevouts alone; chain and asset, the chain's own coin, from a verified charter. Witness is as
// for Digests. The positions in change must be outputs that the caller derived itself: they are not shown as payments.
func Summary(tx *wire.MsgTx, prevouts []*wire.TxOut, witness [][]byte, change []int, chain canon.Chain, asset canon.Asset) ([]string, error) {
	fee, err := Fee(tx, prevouts)
	if err != nil {
		return nil, err
	}
	for _, i := range change {
		if i < 0 || i >= len(tx.TxOut) {
			return nil, fmt.Errorf("change: expected positions below %d, found %d", len(tx.TxOut), i)
		}
	}
	if witness, err = witnessScripts(prevouts, witness); err != nil {
		return nil, err
	}
	size, err := VirtualSize(witness, tx.TxOut)
	if err != nil {
		return nil, err
	}
	var payments, returns []string
	var paid int64
	for i, out := range tx.TxOut {
		address, err := wallets.AddressText(chain, out.PkScript)
		if err != nil {
			return nil, fmt.Errorf("outputs[%d].%w", i, err)
		}
		amount := satoshis(out.Value, asset)
		if slices.Contains(change, i) {
			returns = append(returns, fmt.Sprintf("change %s back to this account at %s (output %d)", amount, address, i))
			continue
		}
		paid += out.Value
		payments = append(payments, fmt.Sprintf("pay %s to %s (output %d)", amount, address, i))
	}
	lines := append([]string{"network " + wallets.EscapeText(string(chain.ID))}, payments...)
	lines = append(lines, returns...)
	lines = append(lines, feeLine(fee, paid, size, asset))
	for i, in := range tx.TxIn {
		lines = append(lines, fmt.Sprintf("spend %s of %s (input %d)", satoshis(prevouts[i].Value, asset), in.PreviousOutPoint, i))
	}
	return lines, nil
}

func satoshis(n int64, asset canon.Asset) string {
	return wallets.FormatAmount(canon.AmountOf(uint64(n)), asset)
}

// feeLine shows the fee by itself, by size and, where something is paid, against the payments, all rounded up.
func feeLine(fee, paid, size int64, asset canon.Asset) string {
	rate := (fee*10 + size - 1) / size
	line := fmt.Sprintf("fee %s, %d.%d base units for each of %d virtual bytes", satoshis(fee, asset), rate/10, rate%10, size)
	if paid > 0 {
		permill := (fee*1000 + paid - 1) / paid
		line += fmt.Sprintf(", %d.%d %% of what is paid", permill/10, permill%10)
	}
	return line
}
