//go:build chains

package e2e

import (
	"bytes"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/strongroom/strongroom/internal/devnet/hostile"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/chain"
)

// call is an unsigned EIP-1559 transaction, field by field (EIP-1559, section Specification). An authorisation list makes it one of
// EIP-7702.
type call struct {
	ChainID, Nonce uint64
	Tip, Cap       *big.Int
	Gas            uint64
	To             []byte
	Value          *big.Int
	Data           []byte
	Access         types.AccessList
}

// payload encodes the call as that type, with more fields after its own.
func (w *world) payload(kind byte, c call, more ...any) []byte {
	w.Helper()
	fields := []any{c.ChainID, c.Nonce, c.Tip, c.Cap, c.Gas, c.To, c.Value, c.Data, c.Access}
	return append([]byte{kind}, must(rlp.EncodeToBytes(append(fields, more...)))(w.T)...)
}

// transfer returns an approved withdrawal of an asset of the EVM chain, and its transaction as a call.
func (w *world) transfer(asset canon.AssetID) (*hostile.Paper, call) {
	w.Helper()
	p := must(w.build.Paper(asset))(w.T)
	if err := w.build.Transfer(p, 0, chain.Fees{Tip: big.NewInt(1e9), Max: big.NewInt(20e9)}); err != nil {
		w.Fatal(err)
	}
	if _, err := w.build.Check(p); err != nil {
		w.Fatalf("transfer of %s: expected the guard to accept it, found %v", asset, err)
	}
	var c call
	if err := rlp.DecodeBytes(must(p.Transaction())(w.T)[1:], &c); err != nil {
		w.Fatal(err)
	}
	return p, c
}

// disguises: the transaction does more, or something else, than the transfer that was approved. The fields that say where the money goes
// are right.
func (w *world) disguises() {
	nothing := w.unsigned(w.names...)
	coin, native := w.transfer(w.d.ETH)
	token, transfer := w.transfer(w.d.USDX)
	calling := func(selector ...byte) call {
		c := transfer
		c.Data = append(selector, transfer.Data[4:]...)
		return c
	}
	in := func(c call, change func(*call)) call { change(&c); return c }
	grant := types.SetCodeAuthorization{Address: common.Address{7}, Nonce: 1}
	for name, t := range map[string]struct {
		paper   *hostile.Paper
		payload []byte
		field   string
	}{
		"upgradeTo(address) of a proxy":              {token, w.payload(2, calling(0x36, 0x59, 0xcf, 0xe6)), "evidence.transaction"},
		"upgradeToAndCall(address,bytes) of a proxy": {token, w.payload(2, calling(0x4f, 0x1e, 0xf2, 0x86)), "evidence.transaction"},
		"transferOwnership(address)":                 {token, w.payload(2, calling(0xf2, 0xfd, 0xe3, 0x8b)), "evidence.transaction"},
		"execTransaction(...) of a Safe":             {token, w.payload(2, calling(0x6a, 0x76, 0x12, 0x02)), "evidence.transaction"},
		"multicall(bytes[])":                         {token, w.payload(2, calling(0xac, 0x96, 0x50, 0xd8)), "evidence.transaction"},
		"increaseAllowance(address,uint256)":         {token, w.payload(2, calling(0x39, 0x50, 0x93, 0x51)), "evidence.transaction"},
		"transferFrom(address,address,uint256)":      {token, w.payload(2, calling(0x23, 0xb8, 0x72, 0xdd)), "evidence.transaction"},
		"a selector of nobody":                       {token, w.payload(2, calling(0xde, 0xad, 0xbe, 0xef)), "evidence.transaction"},
		"another instruction behind the transfer":    {token, w.payload(2, in(transfer, func(c *call) { c.Data = append(bytes.Clone(c.Data), calling(9).Data...) })), "evidence.transaction"},
		"coins beside the tokens":                    {token, w.payload(2, in(transfer, func(c *call) { c.Value = big.NewInt(1) })), "evidence.transaction"},
		"a call behind the transfer of coins":        {coin, w.payload(2, in(native, func(c *call) { c.Data = transfer.Data })), "evidence.transaction"},
		"a contract creation":                        {coin, w.payload(2, in(native, func(c *call) { c.To, c.Data = nil, []byte{0x60, 0x00} })), "evidence.transaction"},
		"an access list":                             {coin, w.payload(2, in(native, func(c *call) { c.Access = types.AccessList{{Address: common.Address{7}}} })), "evidence.transaction"},
		"an authorisation to run other code (7702)":  {coin, w.payload(4, native, []types.SetCodeAuthorization{grant}), "evidence.transaction"},
		"a blob transaction":                         {coin, w.payload(3, native, big.NewInt(1), []common.Hash{{1}}), "evidence.transaction"},
		"an access-list transaction (2930)":          {coin, w.payload(1, native), "evidence.transaction"},
		"a legacy transaction":                       {coin, w.payload(2, native)[1:], "evidence.transaction"},
		"a field more than the type has":             {coin, w.payload(2, native, uint64(0)), "evidence.transaction"},
		"bytes behind the transaction":               {coin, append(w.payload(2, native), 0), "evidence.transaction"},
		"a gas of all 2^64":                          {coin, w.payload(2, in(native, func(c *call) { c.Gas = 1<<64 - 1 })), "evidence.transaction"},
	} {
		q := t.paper.Clone()
		q.Payload = t.payload
		w.refusesAll(name, q, t.field)
	}
	w.disguisesBitcoin()
	nothing()
}

// disguisesBitcoin adds to a Bitcoin transaction what nobody approved.
func (w *world) disguisesBitcoin() {
	w.Helper()
	p := must(w.paper(large, "alice", "bob"))(w.T)
	for name, t := range map[string]struct {
		change func(*hostile.Paper)
		field  string
	}{
		"an output of data": {func(q *hostile.Paper) { q.Bitcoin.AddTxOut(wire.NewTxOut(1000, []byte{0x6a, 4, 1, 2, 3, 4})) }, "evidence.transaction"},
		"an input of a stranger": {func(q *hostile.Paper) {
			q.Bitcoin.AddTxIn(&wire.TxIn{PreviousOutPoint: *wire.NewOutPoint(&chainhash.Hash{1}, 0), Sequence: bitcoin.Sequence})
		}, "evidence.inputs"},
		"the payment twice": {func(q *hostile.Paper) { q.Bitcoin.AddTxOut(q.Bitcoin.TxOut[0]) }, "outputs[2]"},
		"a lock time":       {func(q *hostile.Paper) { q.Bitcoin.LockTime = 1 << 30 }, "evidence.transaction"},
		"another version":   {func(q *hostile.Paper) { q.Bitcoin.Version = 1 }, "evidence.transaction"},
	} {
		q := p.Clone()
		t.change(q)
		w.refusesAll(name, q, t.field)
	}
}

// replays: true approvals of a withdrawal, used for others.
func (w *world) replays() {
	nothing := w.unsigned(w.names...)
	p := must(w.paper(large, "alice", "bob"))(w.T)
	digest := must(p.IntentDigest())(w.T)
	elsewhere := canon.Digest{7} // another organisation that the officers have the same keys in
	borrow := func(q *hostile.Paper) *hostile.Paper {
		q.Approvals = p.Approvals
		return q
	}
	signed := func(change func(*canon.Approval)) *hostile.Paper {
		q := p.Clone()
		for i, officer := range []canon.Name{"alice", "bob"} {
			a := canon.Approval{Organisation: w.chain.Current().Organisation(), Object: canon.ObjectIntent, Digest: digest, Decision: canon.Approve,
				Officer: officer, NotAfter: canon.TimeOf(time.Now()) + 1200}
			change(&a)
			q.Approvals[i] = must(w.build.Officers[officer].Sign(canon.KindApproval, must(canon.Encode(a))(w.T), approval.NamespaceApproval))(w.T)
		}
		return q
	}
	altered := func(change func(*hostile.Paper)) *hostile.Paper {
		q := p.Clone()
		change(q)
		return q
	}
	ether, _ := w.transfer(w.d.ETH)
	other := *w
	other.build.Client = w.signingKey(w.d.Clients[1])
	for name, t := range map[string]struct {
		paper *hostile.Paper
		field string
	}{
		"the same once more, under another id":       {borrow(must(w.paper(large))(w.T)), "approvals[0].digest"},
		"another wallet and chain":                   {borrow(ether), "approvals[0].digest"},
		"another client":                             {borrow(must(other.paper(large))(w.T)), "approvals[0].digest"},
		"a longer life":                              {altered(func(q *hostile.Paper) { q.Intent.NotAfter++ }), "intent.not_after"},
		"a shorter life":                             {altered(func(q *hostile.Paper) { q.Intent.NotAfter-- }), "approvals[0].digest"},
		"a higher fee cap":                           {altered(func(q *hostile.Paper) { q.Intent.FeeCap = canon.AmountOf(q.Intent.FeeCap.Int().Uint64() + 1) }), "intent.fee_cap"},
		"a lower fee cap":                            {altered(func(q *hostile.Paper) { q.Intent.FeeCap = canon.AmountOf(q.Intent.FeeCap.Int().Uint64() - 1) }), "approvals[0].digest"},
		"another charter":                            {altered(func(q *hostile.Paper) { q.Intent.Charter = canon.Digest{7} }), "charter"},
		"intent of another organisation":             {altered(func(q *hostile.Paper) { q.Intent.Organisation = elsewhere }), "evidence.organisation"},
		"approvals in another organisation":          {signed(func(a *canon.Approval) { a.Organisation = elsewhere }), "approvals[0].organisation"},
		"approvals of an amendment with that digest": {signed(func(a *canon.Approval) { a.Object = canon.ObjectAmendment }), "approvals[0].digest"},
		"rejections":                                 {signed(func(a *canon.Approval) { a.Decision = canon.Reject }), "evidence.statements"},
		"approvals that are over":                    {signed(func(a *canon.Approval) { a.NotAfter = canon.TimeOf(time.Now()) - 1 }), "evidence.approvals"},
		"one officer in the other's name":            {signed(func(a *canon.Approval) { a.Officer = "carol" }), "approvals[0]"},
	} {
		w.refusesAll(name, t.paper, t.field)
	}
	nothing()
	w.pays(p)
}

// refusesAll asks all signers for acks, which all must refuse for a failure of that field, whatever the rule.
func (w *world) refusesAll(attack string, p *hostile.Paper, field string) {
	w.Helper()
	_, errs := w.reserve(must(w.build.Question(p))(w.T))
	for name, err := range errs {
		r := refusal.Of(rpc.FromStatus(err))
		if r == nil || !slices.ContainsFunc(r.Failures, func(f refusal.Failure) bool { return strings.HasPrefix(f.Field, field) }) {
			w.Errorf("%s: %s: expected a refusal of %s, found %v", attack, name, field, err)
		}
	}
}
