package hostile

import (
	"slices"

	"github.com/btcsuite/btcd/wire"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// Paper is a withdrawal on paper: what client, officers and coordinator say about it, before it is encoded. Every field may be altered
// by itself; what depends on a field, such as a signature over it, stays what it was.
type Paper struct {
	Request    canon.Request // what Intent.Request holds signed
	Intent     canon.Intent
	Approvals  []canon.Signed
	Statements []canon.Signed
	Addresses  []canon.BookProof

	Bitcoin  *wire.MsgTx // unsigned; nil on an EVM chain
	Previous [][]byte
	EVM      ethereum.BuildParams // not used where Bitcoin is set
	Sender   [20]byte             // on an EVM chain
	Payload  []byte               // if set, goes in place of the encoding of Bitcoin or EVM
	Inputs   []canon.OwnPath
	Change   []canon.OwnPath

	Version      uint64     // of the reservation
	Stamp, Until canon.Time // of the reservation
}

// Clone returns a copy whose fields can be altered without altering p, big integers and the bytes of signatures and proofs excepted:
// replace those.
func (p *Paper) Clone() *Paper {
	q := *p
	q.Request.Outputs = slices.Clone(p.Request.Outputs)
	q.Intent.Transactions, q.Intent.Inputs = slices.Clone(p.Intent.Transactions), slices.Clone(p.Intent.Inputs)
	q.Intent.Prices, q.Intent.Attributes = slices.Clone(p.Intent.Prices), slices.Clone(p.Intent.Attributes)
	q.Intent.Clearances, q.Intent.Balances = slices.Clone(p.Intent.Clearances), slices.Clone(p.Intent.Balances)
	q.Intent.Destinations = slices.Clone(p.Intent.Destinations)
	q.Approvals = slices.Clone(p.Approvals)
	q.Statements = slices.Clone(p.Statements)
	q.Addresses = slices.Clone(p.Addresses)
	q.Previous = slices.Clone(p.Previous)
	q.Inputs = slices.Clone(p.Inputs)
	q.Change = slices.Clone(p.Change)
	if p.Bitcoin != nil {
		q.Bitcoin = p.Bitcoin.Copy()
	}
	return &q
}

// Transaction returns the unsigned transaction as evidence holds it.
func (p *Paper) Transaction() ([]byte, error) {
	switch {
	case p.Payload != nil:
		return p.Payload, nil
	case p.Bitcoin != nil:
		return bitcoin.Encode(p.Bitcoin)
	}
	return ethereum.Build(p.EVM)
}

// Evidence returns the encoding of the evidence.
func (p *Paper) Evidence() ([]byte, error) {
	intent, err := canon.Encode(p.Intent)
	if err != nil {
		return nil, err
	}
	transaction, err := p.Transaction()
	if err != nil {
		return nil, err
	}
	return canon.Encode(canon.Evidence{
		Organisation: p.Intent.Organisation, Intent: intent, Approvals: p.Approvals, Statements: p.Statements, Addresses: p.Addresses,
		Transaction: transaction, Previous: p.Previous, Inputs: p.Inputs, Change: p.Change,
	})
}

// IntentDigest returns the digest that officers approve.
func (p *Paper) IntentDigest() (canon.Digest, error) {
	_, digest, err := canon.Seal(p.Intent)
	return digest, err
}

// anchors returns every input of the transaction; on an EVM chain, sender and nonce.
func (p *Paper) anchors() []canon.Anchor {
	if p.Bitcoin == nil {
		return []canon.Anchor{{Chain: p.Request.Chain, Account: slices.Clone(p.Sender[:]), Number: p.EVM.Nonce}}
	}
	var out []canon.Anchor
	for _, in := range p.Bitcoin.TxIn {
		op := in.PreviousOutPoint
		out = append(out, canon.Anchor{Chain: p.Request.Chain, Account: slices.Clone(op.Hash[:]), Number: uint64(op.Index)})
	}
	return out
}
