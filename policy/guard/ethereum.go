package guard

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// evm checks an EVM transaction: one payment, in the chain's coin or in a token of the charter, or the very contract call that the request
// asks for, from the address of the request's account. Everything else that such a transaction could do does not parse.
func (c *checking) evm(s *Signable) {
	t, err := ethereum.Parse(c.evidence.Transaction)
	if err != nil {
		c.unreadable(err)
		return
	}
	if want := fmt.Sprintf("eip155:%d", t.ChainID); want != string(c.chain.ID) {
		c.Add("transaction", "transaction.chain_id", string(c.chain.ID), want)
	}
	if len(c.evidence.Previous)+len(c.evidence.Change) != 0 {
		c.Add("transaction", "evidence.previous, evidence.change", "none on this chain", fmt.Sprintf("%d and %d", len(c.evidence.Previous), len(c.evidence.Change)))
	}
	switch {
	case c.Call != nil:
		c.evmCall(t)
	case len(c.Request.Outputs) != 1:
		c.Add("outputs", "request.outputs", "one payment on this chain", fmt.Sprint(len(c.Request.Outputs)))
		return
	case t.Call != nil:
		c.Add(charter.RuleContractCall, "evidence.transaction", "the payment that was asked for", policy.CallText(c.Charter, t.Call))
	default:
		c.evmPayment(t, c.Request.Outputs[0])
	}
	c.fee(t.MaxFee())
	if t.Nonce < c.wallet.StartNonce {
		c.Add("transaction", "transaction.nonce", fmt.Sprintf("at least the wallet's start nonce %d", c.wallet.StartNonce), fmt.Sprint(t.Nonce))
	}
	c.evmSource(s, t)
}

// unreadable refuses what does not parse; a call that does not is named if it is one that no charter lets through.
func (c *checking) unreadable(err error) {
	c.Join("transaction", "evidence.transaction", err)
	var shape *ethereum.CallDataError
	if !errors.As(err, &shape) {
		return
	}
	if why, ok := charter.ForbiddenSelector(shape.Selector); ok {
		c.Add(charter.RuleContractCall, "evidence.transaction", "no function that every charter forbids", why)
	}
}

// evmSource derives the sender. An account has one address on an EVM chain: branch 0, index 0.
func (c *checking) evmSource(s *Signable, t *ethereum.Transaction) {
	if len(c.evidence.Inputs) != 1 {
		c.Add("source", "evidence.inputs", "the sender's path", fmt.Sprintf("%d paths", len(c.evidence.Inputs)))
		return
	}
	path := c.evidence.Inputs[0]
	if path.Branch != 0 || path.Index != 0 {
		c.Add("source", "evidence.inputs[0]", "branch 0, index 0", fmt.Sprintf("branch %d, index %d", path.Branch, path.Index))
		return
	}
	spot, ok := c.ownPath("evidence.inputs[0]", path, 0)
	if !ok {
		return
	}
	sender := [20]byte(spot.Address)
	c.evmSelf(sender)
	s.anchor = canon.Anchor{Chain: c.chain.ID, Account: bytes.Clone(sender[:]), Number: t.Nonce}
	s.inputs = []canon.Anchor{s.anchor}
	s.signing = []Input{input(spot)}
	s.signing[0].Digest = Digest{b: ethereum.Digest(c.evidence.Transaction), minted: true}
	s.used = []AddressUse{{Wallet: c.wallet.Name, Account: path.Account}}
}

// evmCall holds the transaction against the contract call of the request, byte for byte.
func (c *checking) evmCall(t *ethereum.Transaction) {
	want := c.Request.Call
	if !bytes.Equal(t.To[:], want.To) {
		c.Add(charter.RuleContractCall, "call.to", fmt.Sprintf("0x%x", want.To), fmt.Sprintf("0x%x", t.To))
	}
	if t.Value.Cmp(want.Value.Int()) != 0 {
		c.Add(charter.RuleContractCall, "call.value", want.Value.String(), t.Value.String())
	}
	if t.Call == nil {
		c.Add(charter.RuleContractCall, "call.data", policy.CallText(c.Charter, c.Call.Call), "a transfer")
		return
	}
	if t.Call.Selector != c.Call.Call.Selector || len(t.Call.Words) != len(c.Call.Call.Words) {
		found := fmt.Sprintf("%s, with %d arguments", policy.CallText(c.Charter, t.Call), len(t.Call.Words))
		c.Add(charter.RuleContractCall, "call.data", policy.CallText(c.Charter, c.Call.Call), found)
		return
	}
	if bytes.Equal(t.Data, want.Data) {
		return
	}
	for i, word := range c.Call.Call.Words {
		if kind := c.Call.Function.Types[i]; t.Call.Words[i] != word {
			c.Add(charter.RuleContractCall, fmt.Sprintf("call.arguments[%d]", i), kind.Text(word), kind.Text(t.Call.Words[i]))
		}
	}
	c.Add(charter.RuleContractCall, "call.data", fmt.Sprintf("%x", want.Data), fmt.Sprintf("%x", t.Data))
}

// evmSelf asks of the arguments that must be the sender's address that they are.
func (c *checking) evmSelf(sender [20]byte) {
	if c.Call == nil {
		return
	}
	for _, a := range c.Call.Self {
		if a.Address != sender {
			c.Add(charter.RuleContractCall, a.Field, fmt.Sprintf("0x%x, the sender derived by this signer", sender), fmt.Sprintf("0x%x", a.Address))
		}
	}
}

func (c *checking) evmPayment(t *ethereum.Transaction, want canon.Output) {
	to, amount, contract := t.To[:], t.Value, []byte(nil)
	if t.Transfer != nil {
		to, amount, contract = t.Transfer.To[:], t.Transfer.Amount, t.Transfer.Token[:]
	}
	token, isToken := want.Asset.Contract()
	if isToken != (t.Transfer != nil) || (isToken && !bytes.Equal(contract, token[:])) {
		c.Add("outputs", "outputs[0].asset", string(want.Asset), assetText(c.chain.ID, contract))
	}
	if coin, ok := c.Charter.NativeAsset(c.chain.ID); !isToken && (!ok || want.Asset != coin.ID) {
		c.Add("outputs", "outputs[0].asset", string(coin.ID), string(want.Asset))
	}
	if _, ok := c.Charter.Asset(want.Asset); !ok {
		c.Add("outputs", "outputs[0].asset", "an asset of the charter", string(want.Asset))
	}
	if !bytes.Equal(to, want.Address) {
		c.Add("outputs", "outputs[0].address", fmt.Sprintf("0x%x", want.Address), fmt.Sprintf("0x%x", to))
	}
	if amount.Cmp(want.Amount.Int()) != 0 {
		c.Add("outputs", "outputs[0].amount", want.Amount.String(), amount.String())
	}
	if t.Transfer != nil && t.Value.Cmp(new(big.Int)) != 0 {
		c.Add("outputs", "transaction.value", "0 beside a token transfer", t.Value.String())
	}
}

func assetText(chain canon.ChainID, contract []byte) string {
	if contract == nil {
		return "the coin of " + string(chain)
	}
	return fmt.Sprintf("%s/erc20:0x%x", chain, contract)
}
