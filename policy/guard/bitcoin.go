package guard

import (
	"bytes"
	"fmt"
	"math/big"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/bitcoin"
)

// maxGap is how far an address of ours may lie beyond the highest index that the signer has seen in use.
const maxGap = 100

// bitcoin checks a Bitcoin transaction: every input is ours and its amount proven by the whole previous transaction (BIP-143 signs the
// amount of its own input only: CVE-2020-14199), every output is a payment of the request or change to the same account.
func (c *checking) bitcoin(s *Signable) {
	tx, err := bitcoin.Parse(c.evidence.Transaction)
	if err != nil {
		c.Join("transaction", "evidence.transaction", err)
		return
	}
	previous := c.previous(tx)
	prevouts, in := c.bitcoinInputs(s, tx, previous)
	if c.Err() != nil {
		return
	}
	out := c.bitcoinOutputs(s, tx)
	c.fee(new(big.Int).SetInt64(in - out))
	if in < out {
		c.Add("amounts", "transaction.fee", "inputs of at least the outputs' sum", fmt.Sprintf("inputs %d, outputs %d", in, out))
	}
	digests, err := bitcoin.Digests(tx, prevouts)
	if err != nil {
		c.Join("transaction", "evidence.transaction", err)
		return
	}
	for i := range digests {
		s.signing[i].Digest = Digest{b: digests[i], minted: true}
	}
}

// previous parses the previous transactions: exactly one for each distinct input txid.
func (c *checking) previous(tx *wire.MsgTx) map[chainhash.Hash]*wire.MsgTx {
	wanted := map[chainhash.Hash]bool{}
	for _, in := range tx.TxIn {
		wanted[in.PreviousOutPoint.Hash] = true
	}
	byID := map[chainhash.Hash]*wire.MsgTx{}
	for i, raw := range c.evidence.Previous {
		field := fmt.Sprintf("evidence.previous[%d]", i)
		p, id, err := bitcoin.ParsePrevious(raw)
		if err != nil {
			c.Join("amounts", field, err)
			continue
		}
		if !wanted[id] || byID[id] != nil {
			c.Add("amounts", field, "the transaction behind an input, once", chainhash.Hash(id).String())
		}
		byID[id] = p
	}
	return byID
}

func (c *checking) bitcoinInputs(s *Signable, tx *wire.MsgTx, previous map[chainhash.Hash]*wire.MsgTx) ([]*wire.TxOut, int64) {
	if len(tx.TxIn) > MaxInputs {
		c.Add("transaction", "transaction.inputs", fmt.Sprintf("at most %d, as many as one session signs", MaxInputs), fmt.Sprint(len(tx.TxIn)))
		return nil, 0
	}
	if len(c.evidence.Inputs) != len(tx.TxIn) {
		c.Add("source", "evidence.inputs", fmt.Sprintf("a path for each of %d inputs", len(tx.TxIn)), fmt.Sprint(len(c.evidence.Inputs)))
		return nil, 0
	}
	var sum int64
	prevouts := make([]*wire.TxOut, len(tx.TxIn))
	for i, in := range tx.TxIn {
		op := in.PreviousOutPoint
		p := previous[op.Hash]
		if p == nil || uint64(op.Index) >= uint64(len(p.TxOut)) {
			c.Add("amounts", fmt.Sprintf("evidence.previous of input %d", i), "the transaction with output "+op.String(), "none")
			continue
		}
		prevouts[i] = p.TxOut[op.Index]
		if v := prevouts[i].Value; v < 0 || v > maxSatoshi {
			c.Add("amounts", fmt.Sprintf("inputs[%d].amount", i), "0 to 21 million bitcoin", fmt.Sprint(v))
			continue
		}
		sum += prevouts[i].Value
		c.bitcoinInput(s, i, prevouts[i])
		s.inputs = append(s.inputs, canon.Anchor{Chain: c.chain.ID, Account: bytes.Clone(op.Hash[:]), Number: uint64(op.Index)})
	}
	if len(s.inputs) > 0 {
		s.anchor = s.inputs[0]
	}
	return prevouts, sum
}

// maxSatoshi is the most that can exist (Bitcoin Core's MAX_MONEY).
const maxSatoshi = 21_000_000 * 100_000_000

// MaxInputs is the most inputs that a transaction may have: a session of the signers takes no more, and what was acked and cannot be signed
// would hold its coins.
const MaxInputs = 128

// bitcoinInput derives the address that the input is said to come from and compares the script.
func (c *checking) bitcoinInput(s *Signable, i int, prevout *wire.TxOut) {
	path := c.evidence.Inputs[i]
	c.near(fmt.Sprintf("evidence.inputs[%d]", i), path)
	child, ok := c.ownPath(fmt.Sprintf("evidence.inputs[%d]", i), path, uint64(i))
	if !ok {
		return
	}
	if want := bitcoin.ScriptP2WPKH(child.Public); !bytes.Equal(prevout.PkScript, want) {
		c.Add("source", fmt.Sprintf("inputs[%d].script", i), fmt.Sprintf("%x, derived by this signer", want), fmt.Sprintf("%x", prevout.PkScript))
		return
	}
	s.signing = append(s.signing, Input{Tweak: child.Tweak, Public: child.Public})
	s.used = append(s.used, AddressUse{Wallet: c.wallet.Name, Account: path.Account, Branch: path.Branch, Index: path.Index})
}

// bitcoinOutputs takes the change out and holds what is left against the request, in order. It returns the sum of all outputs.
func (c *checking) bitcoinOutputs(s *Signable, tx *wire.MsgTx) int64 {
	change := map[int]bool{}
	if len(c.evidence.Change) > 1 {
		c.Add("change", "evidence.change", "at most one change output", fmt.Sprint(len(c.evidence.Change)))
	}
	for i, path := range c.evidence.Change {
		if path.Position >= uint64(len(tx.TxOut)) || change[int(path.Position)] {
			c.Add("change", fmt.Sprintf("evidence.change[%d].position", i), "an output, once", fmt.Sprint(path.Position))
			continue
		}
		change[int(path.Position)] = true
		c.bitcoinChange(s, i, path, tx.TxOut[path.Position])
	}
	var sum int64
	paid := 0
	for i, out := range tx.TxOut {
		sum += out.Value
		if change[i] {
			continue
		}
		c.bitcoinPayment(i, paid, out)
		paid++
	}
	for ; paid < len(c.Request.Outputs); paid++ {
		c.Add("outputs", fmt.Sprintf("outputs[%d]", paid), fmt.Sprintf("a payment of %s to %x", c.Request.Outputs[paid].Amount, c.Request.Outputs[paid].Address), "none")
	}
	return sum
}

func (c *checking) bitcoinPayment(position, index int, out *wire.TxOut) {
	if index >= len(c.Request.Outputs) {
		c.Add("outputs", fmt.Sprintf("outputs[%d]", position), "no output beside the request's payments and change", fmt.Sprintf("%d satoshi to %x", out.Value, out.PkScript))
		return
	}
	want, field := c.Request.Outputs[index], fmt.Sprintf("outputs[%d]", position)
	if coin, ok := c.Charter.NativeAsset(c.chain.ID); !ok || want.Asset != coin.ID {
		c.Add("outputs", field+".asset", string(coin.ID), string(want.Asset))
	}
	if !bytes.Equal(want.Address, out.PkScript) {
		c.Add("outputs", field+".address", fmt.Sprintf("%x", want.Address), fmt.Sprintf("%x", out.PkScript))
	}
	if want.Amount.Int().Cmp(big.NewInt(out.Value)) != 0 {
		c.Add("outputs", field+".amount", want.Amount.String(), fmt.Sprint(out.Value))
	}
}

// bitcoinChange accepts an output as change only on the change branch of the request's account, near the indices already in use, and with the
// very script that this signer derives.
func (c *checking) bitcoinChange(s *Signable, i int, path canon.OwnPath, out *wire.TxOut) {
	field := fmt.Sprintf("evidence.change[%d]", i)
	if path.Branch != 1 {
		c.Add("change", field+".branch", "1, the change branch", fmt.Sprint(path.Branch))
	}
	c.near(field, path)
	child, ok := c.ownPath(field, path, path.Position)
	if !ok {
		return
	}
	if want := bitcoin.ScriptP2WPKH(child.Public); !bytes.Equal(out.PkScript, want) {
		c.Add("change", fmt.Sprintf("outputs[%d].script", path.Position), fmt.Sprintf("%x, derived by this signer", want), fmt.Sprintf("%x", out.PkScript))
		return
	}
	s.used = append(s.used, AddressUse{Wallet: c.wallet.Name, Account: path.Account, Branch: path.Branch, Index: path.Index})
}

// near asks that an index is within reach of those that this signer has seen: what lies further no recovery would find, and an invented
// input must not move the window for change.
func (c *checking) near(field string, path canon.OwnPath) {
	c.within(field, c.wallet.Name, path.Account, path.Branch, path.Index)
}

func (c *checking) within(field string, wallet, holder canon.Name, branch, index uint64) {
	highest := int64(-1)
	if c.HighestIndex != nil {
		highest = c.HighestIndex(wallet, holder, branch)
	}
	if int64(index) > highest+maxGap {
		c.Add("index-gap", field+".index", fmt.Sprintf("at most %d", highest+maxGap), fmt.Sprint(index))
	}
}

// ownPath derives the key at a path of the account on whose addresses the request's assets lie.
func (c *checking) ownPath(field string, path canon.OwnPath, position uint64) (wallets.Child, bool) {
	if path.Position != position {
		c.Add("source", field+".position", fmt.Sprint(position), fmt.Sprint(path.Position))
		return wallets.Child{}, false
	}
	if path.Account != c.holder.Name {
		c.Add("source", field+".account", string(c.holder.Name), string(path.Account))
		return wallets.Child{}, false
	}
	child, err := c.derive(c.key, c.wallet, c.holder, path.Branch, path.Index)
	if err != nil {
		c.Join("source", field, err)
		return wallets.Child{}, false
	}
	return child, true
}

// derive returns the key of an address in a wallet of the request's chain.
func (c *checking) derive(key GroupKey, w canon.Wallet, holder canon.Account, branch, index uint64) (wallets.Child, error) {
	at, err := wallets.NewPath(c.chain.CoinType, w.Number, holder.Number, branch, index)
	if err != nil {
		return wallets.Child{}, err
	}
	return wallets.Derive(key.Public, chainCode(c.Charter.Organisation(), key), at)
}

func chainCode(org canon.Digest, key GroupKey) [32]byte {
	return wallets.ChainCode(org, key.ID, key.Public)
}
