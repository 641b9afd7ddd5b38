//go:build chains

package differential

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/strongroom/strongroom/wallets/ethereum"
)

// evmTx is an unsigned transaction: its type, if it has one, and its list. Near misses change either.
type evmTx struct {
	kind      []byte // EIP-2718 type, none for a legacy transaction
	list      *rlpItem
	signature string // of the function that a contract call is meant to be; none for payments
}

// The positions of fields in the list of an EIP-1559 transaction.
const (
	chainID = iota
	nonce
	tip
	feeCap
	gas
	receiver
	value
	data
	accessList
)

// minGas and maxGas are the range of gas limits that wallets/ethereum takes.
const minGas, maxGas = ethereum.MinGas, ethereum.MaxGas

func (tx *evmTx) encode() []byte { return append(slices.Clone(tx.kind), tx.list.encode()...) }

// at returns a field; the list may be shorter after another near miss, then it is one that is not in it.
func (tx *evmTx) at(n int) *rlpItem {
	if n < len(tx.list.items) {
		return tx.list.items[n]
	}
	return new(rlpItem)
}

// anyItem returns one of the fields, or the list.
func (tx *evmTx) anyItem(r *rand.Rand) *rlpItem {
	if n := r.IntN(len(tx.list.items) + 1); n > 0 {
		return tx.list.items[n-1]
	}
	return tx.list
}

// upTo draws a number of up to so many bits, each length alike, now and then the largest.
func upTo(r *rand.Rand, bits int) *big.Int {
	n := uint(r.IntN(bits + 1))
	if r.IntN(8) == 0 {
		return below(n)
	}
	b := new(big.Int).SetBytes(randomBytes(r, 32))
	return b.Mod(b, power(n))
}

// newEVMTx draws a transaction of the form that wallets/ethereum builds.
func newEVMTx(r *rand.Rand) *evmTx {
	chain := one(r, 1, 5, 127, 128, 137, 1337, 11155111, 1<<53-1, 1<<53, math.MaxInt64, math.MaxUint64, 1+r.Uint64N(math.MaxUint64))
	count := one(r, 0, 1, 127, 128, 255, 256, r.Uint64N(1<<20), 1<<53-1, r.Uint64N(1<<53))
	if r.IntN(20) == 0 {
		count = one(r, 1<<53, math.MaxInt64, math.MaxUint64-1, 1<<53+r.Uint64N(1<<63))
	}
	most := plus(upTo(r, 230), 1) // times the gas limit, of 25 bits, below 2^255
	least := new(big.Int).Mod(new(big.Int).SetBytes(randomBytes(r, 32)), plus(most, 1))
	limit := one(r, minGas, maxGas, minGas+r.Uint64N(maxGas-minGas))
	to := randomBytes(r, 20)
	to[19] |= 1
	tx := &evmTx{kind: []byte{2}, list: list(
		small(chain), small(count), number(least), number(most), small(limit), str(to), number(upTo(r, 255)), str(nil), list(),
	)}
	switch r.IntN(3) {
	case 0:
		tx.list.items[value], tx.list.items[data] = small(0), str(transferData(r))
	case 1:
		signature, d := callData(r)
		tx.signature, tx.list.items[data] = signature, str(d)
	}
	return tx
}

// callData draws a signature with static arguments and call data for it. One word in sixteen is no value of its type.
func callData(r *rand.Rand) (string, []byte) {
	types := make([]string, r.IntN(ethereum.MaxWords+1))
	words := make([][]byte, len(types))
	for i := range types {
		types[i], words[i] = staticArgument(r)
		if r.IntN(16) == 0 {
			words[i][r.IntN(32)] ^= 1 << r.IntN(8)
		}
	}
	signature := fmt.Sprintf("f%d(%s)", r.IntN(1000), strings.Join(types, ","))
	f, err := ethereum.ParseSignature(signature)
	if err != nil {
		panic(err) // the types above are constants
	}
	return signature, slices.Concat(append([][]byte{f.Selector[:]}, words...)...)
}

// staticArgument draws an elementary static type and a word of it (Solidity ABI, "Formal Specification of the Encoding").
func staticArgument(r *rand.Rand) (string, []byte) {
	bits, word := 8*(1+r.IntN(32)), make([]byte, 32)
	switch r.IntN(5) {
	case 0:
		copy(word[12:], randomBytes(r, 20))
		return "address", word
	case 1:
		word[31] = byte(r.IntN(2))
		return "bool", word
	case 2:
		return fmt.Sprintf("uint%d", bits), upTo(r, bits).FillBytes(word)
	case 3:
		n := upTo(r, bits-1)
		if r.IntN(2) == 0 {
			n.Sub(power(256), plus(n, 1)) // -1-n in two's complement
		}
		return fmt.Sprintf("int%d", bits), n.FillBytes(word)
	}
	copy(word, randomBytes(r, bits/8))
	return fmt.Sprintf("bytes%d", bits/8), word
}

// transferData draws call data of transfer(address,uint256).
func transferData(r *rand.Rand) []byte {
	to := randomBytes(r, 20)
	to[0] |= 1
	return slices.Concat([]byte{0xa9, 0x05, 0x9c, 0xbb}, make([]byte, 12), to, upTo(r, 256).FillBytes(make([]byte, 32)))
}

var typeMisses = []nearMiss[evmTx]{
	{"other type byte", func(r *rand.Rand, tx *evmTx) {
		tx.kind = []byte{one[byte](r, 0, 1, 3, 4, 5, 0x7f, 0x80, byte(r.Uint32()))}
	}},
	{"no type", func(_ *rand.Rand, tx *evmTx) { tx.kind = nil }},
	{"type twice", func(_ *rand.Rand, tx *evmTx) { tx.kind = []byte{2, 2} }},
	{"legacy", func(r *rand.Rand, tx *evmTx) {
		tx.kind, tx.list = nil, list(tx.at(nonce), tx.at(feeCap), tx.at(gas), tx.at(receiver), tx.at(value), tx.at(data))
		if r.IntN(2) == 0 {
			tx.list.items = append(tx.list.items, small(1+r.Uint64N(1000)), small(0), small(0)) // EIP-155
		}
	}},
	{"EIP-2930", func(r *rand.Rand, tx *evmTx) {
		l := []*rlpItem{tx.at(chainID), tx.at(nonce), tx.at(feeCap), tx.at(gas), tx.at(receiver), tx.at(value), tx.at(data), list(access(r))}
		tx.kind, tx.list = []byte{one[byte](r, 1, 1, 2)}, list(l...)
	}},
	{"EIP-4844", func(r *rand.Rand, tx *evmTx) {
		hash := append([]byte{1}, randomBytes(r, 31)...)
		tx.kind = []byte{one[byte](r, 3, 3, 2)}
		tx.list.items = append(tx.list.items, number(upTo(r, 64)), list(str(hash)))
	}},
	{"EIP-7702", func(r *rand.Rand, tx *evmTx) {
		half := func() *rlpItem { return str(append([]byte{1}, randomBytes(r, 31)...)) } // of a signature
		authorisation := list(small(1), str(randomBytes(r, 20)), small(r.Uint64N(1<<20)), small(r.Uint64N(2)), half(), half())
		tx.kind = []byte{one[byte](r, 4, 4, 2)}
		tx.list.items = append(tx.list.items, list(authorisation))
	}},
	{"signed", func(r *rand.Rand, tx *evmTx) {
		s := append([]byte{1}, randomBytes(r, 31)...)
		tx.list.items = append(tx.list.items, small(r.Uint64N(2)), str(slices.Clone(s)), str(s))
	}},
}

// access draws an entry of an access list (EIP-2930).
func access(r *rand.Rand) *rlpItem {
	return list(str(randomBytes(r, 20)), list(str(randomBytes(r, 32))))
}

var fieldMisses = []nearMiss[evmTx]{
	{"access list", func(r *rand.Rand, tx *evmTx) {
		*tx.at(accessList) = *one(r, list(access(r)), list(list(str(randomBytes(r, 20)), list())), list(access(r), access(r)))
	}},
	{"odd access list", func(r *rand.Rand, tx *evmTx) {
		*tx.at(accessList) = *one(r, str(nil), list(str(nil)), list(list()), list(list(list())), str(randomBytes(r, 20)), str([]byte{0xc0}))
	}},
	{"contract creation", func(r *rand.Rand, tx *evmTx) {
		tx.at(receiver).data = nil
		tx.at(data).data = one(r, nil, []byte{0x60, 0x80, 0x60, 0x40, 0x52}, tx.at(data).data)
	}},
	{"odd receiver", func(r *rand.Rand, tx *evmTx) { tx.at(receiver).data = randomBytes(r, one(r, 1, 19, 21, 32)) }},
	{"zero receiver", func(_ *rand.Rand, tx *evmTx) { tx.at(receiver).data = make([]byte, 20) }},
	{"receiver with leading zeros", func(r *rand.Rand, tx *evmTx) { // of our form
		tx.at(receiver).data = append(make([]byte, 10), append([]byte{1}, randomBytes(r, 9)...)...)
	}},
	{"other selector", func(r *rand.Rand, tx *evmTx) {
		approve, transferFrom, hardlyOther := []byte{0x09, 0x5e, 0xa7, 0xb3}, []byte{0x23, 0xb8, 0x72, 0xdd}, []byte{0xa9, 0x05, 0x9c, 0xba}
		selector := one(r, approve, transferFrom, hardlyOther, make([]byte, 4), randomBytes(r, 4))
		tx.at(value).data = nil
		tx.at(data).data = append(selector, transferData(r)[4:]...)
	}},
	{"transfer of another length", func(r *rand.Rand, tx *evmTx) {
		d := append(transferData(r), randomBytes(r, 40)...)
		tx.at(value).data, tx.at(data).data = nil, d[:one(r, 4, 5, 36, 67, 69, 100)]
	}},
	{"call of another length", func(r *rand.Rand, tx *evmTx) {
		_, d := callData(r)
		tx.at(data).data = append(d, randomBytes(r, one(r, 1, 4, 31, 32, 33))...)
	}},
	{"call of 15 to 18 words", func(r *rand.Rand, tx *evmTx) {
		tx.at(data).data = append([]byte{1, 2, 3, 4}, randomBytes(r, 32*(15+r.IntN(4)))...)
	}},
	{"call of another function", func(r *rand.Rand, tx *evmTx) { tx.signature, _ = callData(r) }},
	{"other types", func(r *rand.Rand, tx *evmTx) {
		signature, d := callData(r)
		tx.at(data).data = d
		tx.signature = one(r, strings.ReplaceAll(signature, "uint256", "int256"), strings.ReplaceAll(signature, "address", "uint160"), signature+")")
	}},
	{"transfer with dirty padding", func(r *rand.Rand, tx *evmTx) {
		d := transferData(r)
		d[4+r.IntN(12)] = byte(1 + r.IntN(255))
		tx.at(value).data, tx.at(data).data = nil, d
	}},
	{"transfer to zero", func(r *rand.Rand, tx *evmTx) {
		d := transferData(r)
		clear(d[4:36])
		tx.at(value).data, tx.at(data).data = nil, d
	}},
	{"transfer with value", func(r *rand.Rand, tx *evmTx) {
		tx.at(value).data, tx.at(data).data = upTo(r, 200).Bytes(), transferData(r)
	}},
	{"odd data", func(r *rand.Rand, tx *evmTx) { tx.at(data).data = randomBytes(r, one(r, 1, 2, 32, 55, 56, 68, 130)) }},
	{"one byte of data", func(r *rand.Rand, tx *evmTx) { tx.at(data).data = []byte{byte(r.Uint32())} }},
	{"large payload", func(r *rand.Rand, tx *evmTx) { tx.at(data).data = randomBytes(r, one(r, 150, 256, 1024, 5000)) }},
	{"leading zero", func(r *rand.Rand, tx *evmTx) {
		f := tx.at(one(r, chainID, nonce, tip, feeCap, gas, value))
		f.data = append(make([]byte, 1+r.IntN(3)), f.data...)
	}},
	{"zero as a byte", func(r *rand.Rand, tx *evmTx) { tx.at(one(r, nonce, tip, value)).data = []byte{0} }},
	{"number too large", func(r *rand.Rand, tx *evmTx) {
		tx.at(one(r, chainID, nonce, gas)).data = one(r, power(64), plus(power(64), 1), below(256), power(256)).Bytes()
	}},
	{"word too large", func(r *rand.Rand, tx *evmTx) {
		tx.at(one(r, tip, feeCap, value)).data = one(r, power(256), plus(power(256), 1), below(264), power(512)).Bytes()
	}},
	{"last nonces", func(r *rand.Rand, tx *evmTx) { tx.at(nonce).data = plus(power(64), -1-r.Int64N(3)).Bytes() }},
	{"chain zero", func(_ *rand.Rand, tx *evmTx) { tx.at(chainID).data = nil }},
	{"gas around the range", func(r *rand.Rand, tx *evmTx) {
		tx.at(gas).data = small(one[uint64](r, 0, minGas-1, minGas, maxGas, maxGas+1, math.MaxUint64)).data
	}},
	{"tip around the fee cap", func(r *rand.Rand, tx *evmTx) {
		tx.at(tip).data = plus(new(big.Int).SetBytes(tx.at(feeCap).data), r.Int64N(3)-1).Bytes()
	}},
	{"no fee", func(r *rand.Rand, tx *evmTx) { tx.at(feeCap).data, tx.at(tip).data = nil, one(r, nil, tx.at(tip).data) }},
	{"value and fee around 2^256", func(r *rand.Rand, tx *evmTx) {
		fee := new(big.Int).Mul(new(big.Int).SetBytes(tx.at(gas).data), new(big.Int).SetBytes(tx.at(feeCap).data))
		if fee.Cmp(power(255)) < 0 { // else another near miss has been here
			tx.at(data).data, tx.at(value).data = nil, plus(new(big.Int).Sub(power(256), fee), r.Int64N(3)-1).Bytes()
		}
	}},
	{"fields swapped", func(r *rand.Rand, tx *evmTx) {
		items := tx.list.items
		i, j := r.IntN(len(items)), r.IntN(len(items))
		items[i], items[j] = items[j], items[i]
	}},
}

var rlpMisses = []nearMiss[evmTx]{
	{"field missing", func(r *rand.Rand, tx *evmTx) {
		i := r.IntN(len(tx.list.items))
		tx.list.items = slices.Delete(tx.list.items, i, i+1)
	}},
	{"field inserted", func(r *rand.Rand, tx *evmTx) {
		f := one(r, small(0), small(1), list(), str(randomBytes(r, 20)))
		tx.list.items = slices.Insert(tx.list.items, r.IntN(len(tx.list.items)+1), f)
	}},
	{"field twice", func(r *rand.Rand, tx *evmTx) {
		i := r.IntN(len(tx.list.items))
		tx.list.items = slices.Insert(tx.list.items, i, tx.list.items[i])
	}},
	{"first fields only", func(r *rand.Rand, tx *evmTx) { tx.list.items = tx.list.items[:1+r.IntN(len(tx.list.items))] }},
	{"long-form length", func(r *rand.Rand, tx *evmTx) { tx.anyItem(r).form = longForm(one(r, 1, 1, 2, 4, 8)) }},
	{"wrapped byte", func(r *rand.Rand, tx *evmTx) {
		f := tx.at(one(r, chainID, nonce, tip, value))
		f.data, f.form = []byte{byte(r.IntN(128))}, wrapped
	}},
	{"wrong length", func(r *rand.Rand, tx *evmTx) {
		tx.anyItem(r).form = wrongLength(one[uint64](r, 0, 1, 20, 32, 55, 56, 255, 256, 1<<16, 1<<32, 1<<53, 1<<63, math.MaxUint64))
	}},
	{"length off by one", func(r *rand.Rand, tx *evmTx) { tx.anyItem(r).form = offByOne(one(r, -1, 1)) }},
	{"list for string", func(r *rand.Rand, tx *evmTx) {
		f := tx.anyItem(r)
		*f = *list(&rlpItem{list: f.list, data: f.data, items: f.items})
	}},
	{"string for list", func(r *rand.Rand, tx *evmTx) {
		f := one(r, tx.list, tx.at(accessList))
		f.form = func(_ byte, content []byte) []byte { return append(header(0x80, uint64(len(content))), content...) }
	}},
	{"payload in a string", func(_ *rand.Rand, tx *evmTx) {
		content := tx.encode()
		tx.kind = nil
		tx.list.form = func(byte, []byte) []byte { return append(header(0x80, uint64(len(content))), content...) }
	}},
}

var evmMisses = slices.Concat(typeMisses, fieldMisses, rlpMisses)

// evmFields is what wallets/ethereum reads, in the form that differential.mjs compares.
type evmFields struct {
	Type       int       `json:"type"`
	ChainID    string    `json:"chainId"`
	Nonce      string    `json:"nonce"`
	Tip        string    `json:"tip"`
	FeeCap     string    `json:"feeCap"`
	Gas        string    `json:"gas"`
	To         string    `json:"to"`
	Value      string    `json:"value"`
	Data       string    `json:"data"`
	AccessList []string  `json:"accessList"` // always empty: ours knows no other
	Transfer   *tokenPay `json:"transfer"`
	Call       *callRead `json:"call"`
	Digest     string    `json:"digest"`
}

type tokenPay struct {
	Token  string `json:"token"`
	To     string `json:"to"`
	Amount string `json:"amount"`
}

// callRead is a contract call, and its arguments as values if they are those of the function that it was meant to be.
type callRead struct {
	Contract string   `json:"contract"`
	Selector string   `json:"selector"`
	Words    []string `json:"words"`
	Values   []string `json:"values"`
}

func readCall(c *ethereum.ContractCall, signature string) *callRead {
	read := &callRead{Contract: fmt.Sprintf("0x%x", c.Contract), Selector: fmt.Sprintf("0x%x", c.Selector), Words: []string{}}
	for _, w := range c.Words {
		read.Words = append(read.Words, fmt.Sprintf("0x%x", w))
	}
	f, err := ethereum.ParseSignature(signature)
	if err != nil || f.Check(c) != nil {
		return read
	}
	read.Values = []string{}
	for i, t := range f.Types {
		read.Values = append(read.Values, t.Text(c.Words[i]))
	}
	return read
}

func decodeEVM(raw []byte, signature string) (any, error) {
	t, err := ethereum.Parse(raw)
	if err != nil {
		return nil, err
	}
	f := &evmFields{
		Type: 2, ChainID: strconv.FormatUint(t.ChainID, 10), Nonce: strconv.FormatUint(t.Nonce, 10), Tip: t.Tip.String(), FeeCap: t.FeeCap.String(),
		Gas: strconv.FormatUint(t.Gas, 10), To: fmt.Sprintf("0x%x", t.To), Value: t.Value.String(), Data: "0x" + hex.EncodeToString(t.Data),
		AccessList: []string{}, Digest: fmt.Sprintf("0x%x", ethereum.Digest(raw)),
	}
	if t.Transfer != nil {
		f.Transfer = &tokenPay{fmt.Sprintf("0x%x", t.Transfer.Token), fmt.Sprintf("0x%x", t.Transfer.To), t.Transfer.Amount.String()}
	}
	if t.Call != nil {
		f.Call = readCall(t.Call, signature)
	}
	return f, nil
}
