//go:build chains

package differential

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/btcsuite/btcd/btcec/v2"

	"github.com/strongroom/strongroom/wallets/bitcoin"
)

// maxMoney is the number of satoshis that can ever exist (Bitcoin Core, consensus/amount.h).
const maxMoney = 21_000_000 * 100_000_000

// bitcoinTx is a transaction with everything that its encoding can have, whether it makes sense or not.
type bitcoinTx struct {
	version  uint32
	inputs   []bitcoinInput
	outputs  []bitcoinOutput
	lockTime uint32
	segwit   bool // marker, flag and a witness for each input (BIP-144)
	flag     byte
	// count, if set, encodes the n-th CompactSize of the transaction instead of compactSize.
	count func(n int, value uint64) []byte
}

type bitcoinInput struct {
	txid      [32]byte // in internal byte order
	index     uint32
	scriptSig []byte
	sequence  uint32
	witness   [][]byte
}

type bitcoinOutput struct {
	value  uint64
	script []byte
}

func compactSize(n uint64) []byte {
	switch {
	case n < 0xfd:
		return []byte{byte(n)}
	case n <= 0xffff:
		return wideCompactSize(n, 2)
	case n <= 0xffffffff:
		return wideCompactSize(n, 4)
	}
	return wideCompactSize(n, 8)
}

// wideCompactSize takes 2, 4 or 8 bytes for the number, needed or not.
func wideCompactSize(n uint64, width int) []byte {
	prefix := map[int]byte{2: 0xfd, 4: 0xfe, 8: 0xff}[width]
	return append([]byte{prefix}, binary.LittleEndian.AppendUint64(nil, n)[:width]...)
}

// encoding builds up the bytes and numbers the CompactSizes.
type encoding struct {
	b      []byte
	counts int
	count  func(n int, value uint64) []byte
}

func (e *encoding) size(value int) {
	if e.count == nil {
		e.b = append(e.b, compactSize(uint64(value))...)
	} else {
		e.b = append(e.b, e.count(e.counts, uint64(value))...)
	}
	e.counts++
}

func (e *encoding) uint32(n uint32) { e.b = binary.LittleEndian.AppendUint32(e.b, n) }

func (e *encoding) bytes(b []byte) {
	e.size(len(b))
	e.b = append(e.b, b...)
}

func (tx *bitcoinTx) encode() []byte {
	e := &encoding{count: tx.count}
	e.uint32(tx.version)
	if tx.segwit {
		e.b = append(e.b, 0, tx.flag)
	}
	e.size(len(tx.inputs))
	for _, in := range tx.inputs {
		e.b = append(e.b, in.txid[:]...)
		e.uint32(in.index)
		e.bytes(in.scriptSig)
		e.uint32(in.sequence)
	}
	e.size(len(tx.outputs))
	for _, out := range tx.outputs {
		e.b = binary.LittleEndian.AppendUint64(e.b, out.value)
		e.bytes(out.script)
	}
	if tx.segwit {
		for _, in := range tx.inputs {
			e.size(len(in.witness))
			for _, item := range in.witness {
				e.bytes(item)
			}
		}
	}
	e.uint32(tx.lockTime)
	return e.b
}

// input returns one of the inputs; if another near miss took them all away, one that is not in the transaction.
func (tx *bitcoinTx) input(r *rand.Rand) *bitcoinInput {
	if len(tx.inputs) == 0 {
		in := newInput(r)
		return &in
	}
	return &tx.inputs[r.IntN(len(tx.inputs))]
}

// output is the same for outputs.
func (tx *bitcoinTx) output(r *rand.Rand) *bitcoinOutput {
	if len(tx.outputs) == 0 {
		return &bitcoinOutput{value: 1, script: standardScript(r)}
	}
	return &tx.outputs[r.IntN(len(tx.outputs))]
}

// newBitcoinTx draws a transaction of the form that wallets/bitcoin builds. One in forty has so many inputs or outputs that their count
// is around the first change of width of a CompactSize.
func newBitcoinTx(r *rand.Rand) *bitcoinTx {
	inputs, outputs := 1+r.IntN(6), 1+r.IntN(6)
	switch r.IntN(80) {
	case 0:
		inputs = 252 + r.IntN(3)
	case 1:
		outputs = 252 + r.IntN(3)
	}
	tx := &bitcoinTx{version: 2, flag: 1}
	for range inputs {
		tx.inputs = append(tx.inputs, newInput(r))
	}
	for range outputs {
		// 255 times 2^42 is below maxMoney.
		tx.outputs = append(tx.outputs, bitcoinOutput{value: 1 + r.Uint64N(1<<r.IntN(43)), script: standardScript(r)})
	}
	if outputs == 1 && r.IntN(10) == 0 {
		tx.outputs[0].value = maxMoney
	}
	return tx
}

func newInput(r *rand.Rand) bitcoinInput {
	return bitcoinInput{
		txid: [32]byte(randomBytes(r, 32)), index: one(r, 0, 1, r.Uint32N(1000), r.Uint32(), 0x7fffffff, 0x80000000, 0xffffffff), sequence: 0xfffffffd,
	}
}

// standardScript draws an output script of the five types that are paid to.
func standardScript(r *rand.Rand) []byte {
	switch r.IntN(5) {
	case 0:
		return slices.Concat([]byte{0x76, 0xa9, 20}, randomBytes(r, 20), []byte{0x88, 0xac}) // P2PKH
	case 1:
		return slices.Concat([]byte{0xa9, 20}, randomBytes(r, 20), []byte{0x87}) // P2SH
	case 2:
		return append([]byte{0, 20}, randomBytes(r, 20)...) // P2WPKH
	case 3:
		return append([]byte{0, 32}, randomBytes(r, 32)...) // P2WSH
	}
	_, public := btcec.PrivKeyFromBytes(randomBytes(r, 32))
	return append([]byte{0x51, 32}, public.SerializeCompressed()[1:]...) // P2TR
}

// oddScript draws a script that is something else, mostly close to a standard one.
func oddScript(r *rand.Rand) []byte {
	standard := standardScript(r)
	switch r.IntN(12) {
	case 0:
		return nil
	case 1:
		data := randomBytes(r, r.IntN(75))
		return append([]byte{0x6a, byte(len(data))}, data...) // OP_RETURN
	case 2:
		return slices.Concat([]byte{33, 2}, randomBytes(r, 32), []byte{0xac}) // P2PK
	case 3:
		return slices.Concat([]byte{0x51, 33, 2}, randomBytes(r, 32), []byte{0x51, 0xae}) // bare multisig, 1 of 1
	case 4:
		return append([]byte{0x51 + byte(r.IntN(16)), 32}, randomBytes(r, 32)...) // witness versions 1 to 16; half of version 1 off the curve
	case 5:
		n := 2 + r.IntN(39)
		return append([]byte{byte(one(r, 0, 0x51, 0x52)), byte(n)}, randomBytes(r, n)...) // witness programs of other sizes
	case 6:
		return []byte{0x51, 2, 0x4e, 0x73} // pay to anchor
	case 7:
		return slices.Concat([]byte{0x76, 0xa9, 0x4c, 20}, randomBytes(r, 20), []byte{0x88, 0xac}) // P2PKH with a longer push
	case 8:
		return standard[:r.IntN(len(standard))]
	case 9:
		return append(standard, byte(r.Uint32()))
	case 10:
		standard[one(r, 0, 1, len(standard)-1)] ^= 1 << r.IntN(8)
		return standard
	}
	return randomBytes(r, one(r, 22, 23, 25, 34, 252, 253, 520, 521, 10_001))
}

var bitcoinMisses = []nearMiss[bitcoinTx]{
	{"other version", func(r *rand.Rand, tx *bitcoinTx) { tx.version = one(r, 0, 1, 3, 0x80000002, 0xffffffff, r.Uint32()) }},
	{"lock time", func(r *rand.Rand, tx *bitcoinTx) {
		tx.lockTime = one(r, 1, 499_999_999, 500_000_000, 0xffffffff, r.Uint32())
	}},
	{"other sequence", func(r *rand.Rand, tx *bitcoinTx) {
		tx.input(r).sequence = one(r, 0, 1, 0xfffffffc, 0xfffffffe, 0xffffffff, r.Uint32())
	}},
	{"scriptSig", func(r *rand.Rand, tx *bitcoinTx) {
		tx.input(r).scriptSig = randomBytes(r, one(r, 1, 23, 107, 253, 1651))
	}},
	{"witness", func(r *rand.Rand, tx *bitcoinTx) {
		tx.segwit = true
		for i := range tx.inputs {
			if i == 0 || r.IntN(2) == 0 {
				tx.inputs[i].witness = [][]byte{randomBytes(r, 71), randomBytes(r, 33)}
			}
		}
	}},
	{"witness without items", func(_ *rand.Rand, tx *bitcoinTx) { tx.segwit = true }},
	{"witness of empty items", func(r *rand.Rand, tx *bitcoinTx) { tx.segwit, tx.input(r).witness = true, [][]byte{{}, {}} }},
	{"other flag", func(r *rand.Rand, tx *bitcoinTx) { tx.segwit, tx.flag = true, one[byte](r, 0, 2, 0xff) }},
	{"no inputs", func(_ *rand.Rand, tx *bitcoinTx) { tx.inputs = nil }},
	{"no outputs", func(_ *rand.Rand, tx *bitcoinTx) { tx.outputs = nil }},
	{"no inputs and one output", func(r *rand.Rand, tx *bitcoinTx) { // begins like a transaction with a witness
		tx.inputs, tx.outputs = nil, []bitcoinOutput{*tx.output(r)}
	}},
	{"duplicate input", func(r *rand.Rand, tx *bitcoinTx) {
		tx.inputs = slices.Insert(tx.inputs, r.IntN(len(tx.inputs)+1), *tx.input(r))
	}},
	{"neighbouring inputs", func(r *rand.Rand, tx *bitcoinTx) {
		next := *tx.input(r)
		next.index++
		tx.inputs = append(tx.inputs, next)
	}},
	{"zero txid", func(r *rand.Rand, tx *bitcoinTx) {
		in := tx.input(r)
		in.txid, in.index = [32]byte{}, one(r, 0, in.index, 0xffffffff)
	}},
	{"coinbase", func(r *rand.Rand, tx *bitcoinTx) {
		tx.inputs = []bitcoinInput{{index: 0xffffffff, scriptSig: randomBytes(r, 2+r.IntN(98)), sequence: 0xffffffff}}
	}},
	{"odd script", func(r *rand.Rand, tx *bitcoinTx) { tx.output(r).script = oddScript(r) }},
	{"odd value", func(r *rand.Rand, tx *bitcoinTx) {
		tx.output(r).value = one(r, 0, maxMoney, maxMoney+1, 1<<53, 1<<63-1, 1<<63, ^uint64(0), r.Uint64())
	}},
	{"odd sum", func(r *rand.Rand, tx *bitcoinTx) {
		half := one(r, uint64(maxMoney/2), maxMoney/2+1, maxMoney, 1<<62)
		tx.outputs = []bitcoinOutput{{half, standardScript(r)}, {half, standardScript(r)}}
	}},
	{"long CompactSize", func(r *rand.Rand, tx *bitcoinTx) {
		at, width := r.IntN(5), one(r, 2, 4, 8)
		tx.count = func(n int, value uint64) []byte {
			if n == at {
				return wideCompactSize(value, width)
			}
			return compactSize(value)
		}
	}},
	{"wrong CompactSize", func(r *rand.Rand, tx *bitcoinTx) {
		at, wrong := r.IntN(5), one(r, 0, 1, 2, 252, 253, 1<<16, 1<<32, 1<<53, 1<<63, ^uint64(0))
		tx.count = func(n int, value uint64) []byte {
			if n == at {
				return compactSize(wrong)
			}
			return compactSize(value)
		}
	}},
	{"off by one CompactSize", func(r *rand.Rand, tx *bitcoinTx) {
		at, step := r.IntN(5), one(r, 1, ^uint64(0))
		tx.count = func(n int, value uint64) []byte {
			if n == at {
				return compactSize(value + step)
			}
			return compactSize(value)
		}
	}},
	{"other order, script again", func(r *rand.Rand, tx *bitcoinTx) { // of our form
		r.Shuffle(len(tx.inputs), func(i, j int) { tx.inputs[i], tx.inputs[j] = tx.inputs[j], tx.inputs[i] })
		tx.outputs = append(tx.outputs, bitcoinOutput{value: 1, script: tx.output(r).script})
	}},
	{"size around the limit", func(r *rand.Rand, tx *bitcoinTx) {
		if r.IntN(20) != 0 { // large, so not often
			tx.output(r).script = append([]byte{0x6a}, randomBytes(r, 600)...)
			return
		}
		limit := bitcoin.MaxUnsigned + r.IntN(80) - 40
		for len(tx.encode()) < limit-50_000 { // encoding each time is slow; the rest follows one by one
			for range 1000 {
				tx.inputs = append(tx.inputs, newInput(r))
			}
		}
		for left := limit - len(tx.encode()); left > 0; left -= 41 {
			tx.inputs = append(tx.inputs, newInput(r))
		}
	}},
}

// bitcoinFields is what wallets/bitcoin reads, in the form that differential.mjs compares.
type bitcoinFields struct {
	Version  int32        `json:"version"`
	LockTime uint32       `json:"lockTime"`
	Inputs   []inputRead  `json:"inputs"`
	Outputs  []outputRead `json:"outputs"`
	TxID     string       `json:"txid"`
}

type inputRead struct {
	Outpoint  string `json:"outpoint"`
	Sequence  uint32 `json:"sequence"`
	ScriptSig string `json:"scriptSig"`
	Witness   int    `json:"witness"` // items
}

type outputRead struct {
	Value  string `json:"value"`
	Script string `json:"script"`
}

func decodeBitcoin(raw []byte) (any, error) {
	tx, err := bitcoin.Parse(raw)
	if err != nil {
		return nil, err
	}
	f := &bitcoinFields{Version: tx.Version, LockTime: tx.LockTime, TxID: tx.TxHash().String()}
	for _, in := range tx.TxIn {
		f.Inputs = append(f.Inputs, inputRead{in.PreviousOutPoint.String(), in.Sequence, hex.EncodeToString(in.SignatureScript), len(in.Witness)})
	}
	for _, out := range tx.TxOut {
		f.Outputs = append(f.Outputs, outputRead{strconv.FormatInt(out.Value, 10), hex.EncodeToString(out.PkScript)})
	}
	return f, nil
}
