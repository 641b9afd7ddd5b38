package ethereum

import (
	"fmt"
	"math/big"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
)

// Summary says in plain lines what a payload does: what is paid to whom, by which token, or which contract is called with which words, the
// fee at most, nonce and gas. Everything comes from the payload; chain, coin (the chain's own asset) and the look-up of token assets come
// from a verified charter. It refuses a payload that Parse refuses, another chain's, and tokens that the charter does not know.
func Summary(payload []byte, chain canon.Chain, coin canon.Asset, asset func(canon.AssetID) (canon.Asset, bool)) ([]string, error) {
	t, err := Parse(payload)
	if err != nil {
		return nil, err
	}
	number, err := ChainNumber(chain.ID)
	if err != nil {
		return nil, err
	}
	if t.ChainID != number {
		return nil, fmt.Errorf("payload: chain_id: expected %d, found %d", number, t.ChainID)
	}
	lines := []string{"network " + wallets.EscapeText(string(chain.ID))}
	effect := func() ([]string, error) { return paymentLines(t, chain, coin, asset) }
	if t.Call != nil {
		effect = func() ([]string, error) { return callLines(t, chain, coin) }
	}
	pay, err := effect()
	if err != nil {
		return nil, err
	}
	fee, err := show(t.MaxFee(), coin)
	if err != nil {
		return nil, err
	}
	return append(append(lines, pay...),
		fmt.Sprintf("fee at most %s: %d gas at no more than %s wei, of which %s wei tip", fee, t.Gas, t.FeeCap, t.Tip),
		fmt.Sprintf("nonce %d", t.Nonce)), nil
}

func paymentLines(t *Transaction, chain canon.Chain, coin canon.Asset, asset func(canon.AssetID) (canon.Asset, bool)) ([]string, error) {
	to, amount, paid := t.To, t.Value, coin
	var lines []string
	if t.Transfer != nil {
		id := TokenAsset(chain.ID, t.Transfer.Token)
		known, ok := asset(id)
		if !ok {
			return nil, fmt.Errorf("payload: to: expected a token of the charter, found %s", id)
		}
		to, amount, paid = t.Transfer.To, t.Transfer.Amount, known
		token, err := wallets.AddressText(chain, t.Transfer.Token[:])
		if err != nil {
			return nil, err
		}
		lines = append(lines, fmt.Sprintf("by the token %s at %s", wallets.EscapeText(string(known.Symbol)), token))
	}
	address, err := wallets.AddressText(chain, to[:])
	if err != nil {
		return nil, err
	}
	text, err := show(amount, paid)
	if err != nil {
		return nil, err
	}
	return append([]string{fmt.Sprintf("pay %s to %s", text, address)}, lines...), nil
}

// callLines names a call by its selector and words: what they mean is said by the charter's signature of the function.
func callLines(t *Transaction, chain canon.Chain, coin canon.Asset) ([]string, error) {
	contract, err := wallets.AddressText(chain, t.Call.Contract[:])
	if err != nil {
		return nil, err
	}
	sent, err := show(t.Value, coin)
	if err != nil {
		return nil, err
	}
	lines := []string{fmt.Sprintf("call the function 0x%x of the contract %s and send %s with it", t.Call.Selector, contract, sent)}
	for i, w := range t.Call.Words {
		lines = append(lines, fmt.Sprintf("argument %d: 0x%x", i+1, w))
	}
	return lines, nil
}

// TokenAsset returns the CAIP-19 id of an ERC-20 token.
func TokenAsset(chain canon.ChainID, token [20]byte) canon.AssetID {
	return canon.AssetID(fmt.Sprintf("%s/erc20:0x%x", chain, token))
}

func show(n *big.Int, asset canon.Asset) (string, error) {
	amount, err := canon.NewAmount(n)
	if err != nil {
		return "", err
	}
	return wallets.FormatAmount(amount, asset), nil
}
