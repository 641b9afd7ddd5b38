package guard

import (
	"bytes"
	"fmt"
	"math/big"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/keyset"
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
	witness := make([][]byte, len(s.signing))
	for i, in := range s.signing {
		witness[i] = in.Witness
	}
	digests, err := bitcoin.Digests(tx, prevouts, witness)
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
	spot, ok := c.ownPath(fmt.Sprintf("evidence.inputs[%d]", i), path, uint64(i))
	if !ok {
		return
	}
	if !bytes.Equal(prevout.PkScript, spot.Address) {
		c.Add("source", fmt.Sprintf("inputs[%d].script", i), fmt.Sprintf("%x, derived by this signer", spot.Address), fmt.Sprintf("%x", prevout.PkScript))
		return
	}
	s.signing = append(s.signing, input(spot))
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
	spot, ok := c.ownPath(field, path, path.Position)
	if !ok {
		return
	}
	if !bytes.Equal(out.PkScript, spot.Address) {
		c.Add("change", fmt.Sprintf("outputs[%d].script", path.Position), fmt.Sprintf("%x, derived by this signer", spot.Address), fmt.Sprintf("%x", out.PkScript))
		return
	}
	use := AddressUse{Wallet: c.wallet.Name, Account: path.Account, Branch: path.Branch, Index: path.Index}
	s.used, s.kept = append(s.used, use), append(s.kept, Kept{use, spot.Devices})
}

// near asks that an index is within reach of those that this signer has seen: what lies further no recovery would find, and an invented
// input must not move the window for change.
func (c *checking) near(field string, path canon.OwnPath) {
	c.within(field, c.wallet, path.Account, path.Branch, path.Index)
}

// within does not ask it of a wallet whose tokens alone sign: its pool ends somewhere, and a device that is asked for the first time after years must not
// refuse because it has seen none of the addresses.
func (c *checking) within(field string, wallet canon.Wallet, holder canon.Name, branch, index uint64) {
	if wallet.Scheme == canon.SchemeHSM {
		return
	}
	highest := int64(-1)
	if c.HighestIndex != nil {
		highest = c.HighestIndex(wallet.Name, holder, branch)
	}
	if int64(index) > highest+maxGap {
		c.Add("index-gap", field+".index", fmt.Sprintf("at most %d", highest+maxGap), fmt.Sprint(index))
	}
}

// ownPath derives the address at a path of the account on whose addresses the request's assets lie.
func (c *checking) ownPath(field string, path canon.OwnPath, position uint64) (keyset.Spot, bool) {
	if path.Position != position {
		c.Add("source", field+".position", fmt.Sprint(position), fmt.Sprint(path.Position))
		return keyset.Spot{}, false
	}
	if path.Account != c.holder.Name {
		c.Add("source", field+".account", string(c.holder.Name), string(path.Account))
		return keyset.Spot{}, false
	}
	return c.spot("source", field, c.keys, c.holder, path.Branch, path.Index)
}

// spot derives an address, and notes under the field why there is none.
func (c *checking) spot(rule, field string, keys keyset.Set, holder canon.Account, branch, index uint64) (keyset.Spot, bool) {
	spot, err := keys.At(holder, branch, index)
	if r := refusal.Of(err); r != nil {
		for _, f := range r.Failures {
			c.Add(f.Rule, field+"."+f.Field, f.Expected, f.Found)
		}
		return keyset.Spot{}, false
	}
	c.Join(rule, field, err)
	return spot, err == nil
}

// input says who must sign for an address. The digest comes when every input is known.
func input(spot keyset.Spot) Input {
	return Input{MPC: spot.MPC, Tweak: spot.Child.Tweak, Public: spot.Child.Public, Witness: spot.Witness, Devices: spot.Devices, Needed: spot.Needed}
}
