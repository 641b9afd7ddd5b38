package ethereum

import (
	"bytes"
	"encoding/hex"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/strongroom/strongroom/proto/canon"
	"pgregory.net/rapid"
)

// peerOf is the same transaction as go-ethereum has it. The call data is put together by hand.
func peerOf(p BuildParams) *types.DynamicFeeTx {
	to, value, data := common.Address(p.To), p.Value, p.Data
	if value == nil {
		value = new(big.Int)
	}
	if p.Token != nil {
		data = append(data, crypto.Keccak256([]byte("transfer(address,uint256)"))[:4]...)
		data = append(data, common.LeftPadBytes(p.To[:], 32)...)
		data = append(data, common.LeftPadBytes(p.Amount.Bytes(), 32)...)
		to, value = common.Address(*p.Token), new(big.Int)
	}
	return &types.DynamicFeeTx{
		ChainID: new(big.Int).SetUint64(p.ChainID), Nonce: p.Nonce, GasTipCap: p.Tip, GasFeeCap: p.FeeCap, Gas: p.Gas, To: &to, Value: value, Data: data,
	}
}

func TestTransactionsAgreeWithGoEthereum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawParams(t)
		payload, err := Build(p)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := Parse(payload)
		if err != nil {
			t.Fatal(err)
		}
		checkParsed(t, p, parsed)
		signer := types.LatestSignerForChainID(new(big.Int).SetUint64(p.ChainID))
		if want := signer.Hash(types.NewTx(peerOf(p))); common.Hash(Digest(payload)) != want {
			t.Fatalf("digest: go-ethereum has %s, found %x", want, Digest(payload))
		}
		k := key()
		raw, err := Finalise(payload, sign(k, Digest(payload)), publicOf(k))
		if err != nil {
			t.Fatal(err)
		}
		var peer types.Transaction
		if err := peer.UnmarshalBinary(raw); err != nil {
			t.Fatal(err)
		}
		sender, err := types.Sender(signer, &peer)
		if err != nil || sender != common.Address(AddressOf(publicOf(k))) || sender != crypto.PubkeyToAddress(*k.PubKey().ToECDSA()) {
			t.Fatalf("sender: go-ethereum has %s, expected %x, %v", sender, AddressOf(publicOf(k)), err)
		}
		if TxID(raw) != peer.Hash().Hex() {
			t.Fatalf("txid: go-ethereum has %s, found %s", peer.Hash().Hex(), TxID(raw))
		}
		if cost := new(big.Int).Add(parsed.MaxFee(), parsed.Value); cost.Cmp(peer.Cost()) != 0 {
			t.Fatalf("cost: go-ethereum has %s, found %s", peer.Cost(), cost)
		}
		if again, err := peer.MarshalBinary(); err != nil || !bytes.Equal(again, raw) {
			t.Fatalf("go-ethereum writes %x for %x, %v", again, raw, err)
		}
		if covered, err := VerifySigned(raw, [20]byte(sender)); err != nil || !bytes.Equal(covered, payload) {
			t.Fatalf("payload: expected %x, found %x, %v", payload, covered, err)
		}
	})
}

func checkParsed(t *rapid.T, p BuildParams, found *Transaction) {
	if found.ChainID != p.ChainID || found.Nonce != p.Nonce || found.Gas != p.Gas || found.Tip.Cmp(p.Tip) != 0 || found.FeeCap.Cmp(p.FeeCap) != 0 {
		t.Fatalf("expected %+v, found %+v", p, found)
	}
	if p.Data != nil {
		c := found.Call
		if c == nil || found.Transfer != nil || found.To != p.To || c.Contract != p.To || found.Value.Cmp(p.Value) != 0 || !bytes.Equal(c.Data(), p.Data) {
			t.Fatalf("expected %+v, found %+v", p, found)
		}
		return
	}
	if found.Call != nil {
		t.Fatalf("expected %+v, found %+v", p, found)
	}
	if p.Token == nil {
		if found.Transfer != nil || found.To != p.To || found.Value.Cmp(p.Value) != 0 || len(found.Data) != 0 {
			t.Fatalf("expected %+v, found %+v", p, found)
		}
		return
	}
	x := found.Transfer
	if x == nil || found.To != *p.Token || found.Value.Sign() != 0 || x.Token != *p.Token || x.To != p.To || x.Amount.Cmp(p.Amount) != 0 {
		t.Fatalf("expected %+v, found %+v %+v", p, found, x)
	}
}

// raw is an EIP-1559 payload with every field open, to write what Build would not.
type raw struct {
	ChainID, Nonce, Tip, FeeCap, Gas *big.Int
	To                               []byte
	Value                            *big.Int
	Data                             []byte
	AccessList                       types.AccessList
}

func rawOf(p BuildParams) *raw {
	d := peerOf(p)
	return &raw{d.ChainID, new(big.Int).SetUint64(d.Nonce), d.GasTipCap, d.GasFeeCap, new(big.Int).SetUint64(d.Gas), d.To[:], d.Value, d.Data, nil}
}

func (r *raw) payload(t testing.TB) []byte {
	t.Helper()
	b, err := rlp.EncodeToBytes(r)
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte{2}, b...)
}

func TestParseNamesTheFieldItRefuses(t *testing.T) {
	huge := new(big.Int).Lsh(big.NewInt(1), 256)
	for name, c := range map[string]struct {
		of     BuildParams
		change func(*raw)
		field  string
	}{
		"chain 0":              {native(), func(r *raw) { r.ChainID = new(big.Int) }, "chain_id: expected above 0"},
		"chain beyond 64 bits": {native(), func(r *raw) { r.ChainID = huge }, "ChainID"},
		"last nonce":           {native(), func(r *raw) { r.Nonce = new(big.Int).SetUint64(math.MaxUint64) }, "nonce"},
		"tip above cap":        {native(), func(r *raw) { r.Tip = new(big.Int).Add(r.FeeCap, big.NewInt(1)) }, "tip, fee_cap"},
		"no fee":               {native(), func(r *raw) { r.Tip, r.FeeCap = new(big.Int), new(big.Int) }, "tip, fee_cap"},
		"fee cap beyond":       {native(), func(r *raw) { r.FeeCap = huge }, "fee_cap: expected 0 to 2^256-1"},
		"fee beyond":           {native(), func(r *raw) { r.FeeCap = new(big.Int).Rsh(huge, 1) }, "value, gas, fee_cap"},
		"little gas":           {native(), func(r *raw) { r.Gas = big.NewInt(20_999) }, "gas: expected 21000 to 30000000, found 20999"},
		"much gas":             {native(), func(r *raw) { r.Gas = big.NewInt(30_000_001) }, "gas"},
		"creation":             {native(), func(r *raw) { r.To = nil }, "found a contract creation"},
		"long address":         {native(), func(r *raw) { r.To = make([]byte, 21) }, "To"},
		"zero address":         {native(), func(r *raw) { r.To = make([]byte, 20) }, "to: expected an address other than zero"},
		"value beyond":         {native(), func(r *raw) { r.Value = huge }, "value: expected 0 to 2^256-1"},
		"access list": {native(), func(r *raw) {
			r.AccessList = types.AccessList{{Address: common.Address{1}, StorageKeys: []common.Hash{{2}}}}
		}, "found an access list"},
		"creation by code":   {native(), func(r *raw) { r.To, r.Data = nil, []byte{0x60, 0x80, 0x60, 0x40, 0x52} }, "found a contract creation"},
		"one byte of data":   {native(), func(r *raw) { r.Data = []byte{1} }, "data: expected the selector of a function, 4 bytes, and up to 16 words of 32 bytes, found 1 bytes"},
		"cut call":           {call(), func(r *raw) { r.Data = r.Data[:67] }, "words of 32 bytes, found 67 bytes that begin with 095ea7b3"},
		"long call":          {call(), func(r *raw) { r.Data = append(r.Data, 0) }, "words of 32 bytes, found 69 bytes"},
		"17 words":           {call(), func(r *raw) { r.Data = make([]byte, 4+17*32) }, "up to 16 words of 32 bytes, found 548 bytes that begin with 00000000"},
		"cut transfer":       {erc20(), func(r *raw) { r.Data = r.Data[:67] }, "data: expected 68 bytes for transfer(address,uint256), found 67"},
		"transfer of a word": {erc20(), func(r *raw) { r.Data = r.Data[:36] }, "data: expected 68 bytes for transfer(address,uint256), found 36"},
		"transfer's name":    {erc20(), func(r *raw) { r.Data = r.Data[:4] }, "data: expected 68 bytes for transfer(address,uint256), found 4"},
		"long transfer":      {erc20(), func(r *raw) { r.Data = append(r.Data, 0) }, "data: expected 68 bytes for transfer(address,uint256), found 69"},
		"dirty address":      {erc20(), func(r *raw) { r.Data[4] = 1 }, "data: to: expected 12 zero bytes"},
		"dirty address, end": {erc20(), func(r *raw) { r.Data[15] = 1 }, "data: to: expected 12 zero bytes"},
		"transfer to zero":   {erc20(), func(r *raw) { clear(r.Data[16:36]) }, "data: to: expected an address other than zero"},
		"value with a token": {erc20(), func(r *raw) { r.Value = big.NewInt(1) }, "value: expected 0 with a token transfer"},
		"large data":         {native(), func(r *raw) { r.Data = make([]byte, MaxPayload) }, "size: expected at most"},
	} {
		r := rawOf(c.of)
		r.Data = bytes.Clone(r.Data)
		c.change(r)
		if _, err := Parse(r.payload(t)); err == nil || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%s: expected a refusal with %q, found %v", name, c.field, err)
		}
	}
	for _, p := range []BuildParams{native(), erc20(), call()} {
		if _, err := Parse(rawOf(p).payload(t)); err != nil {
			t.Errorf("without a change: %v", err)
		}
	}
}

func TestParseRefusesBytesOfAnotherForm(t *testing.T) {
	good := mustBuild(t, native())
	long := bytes.Clone(good)
	at := bytes.Index(good, []byte{0x94, 0xaa}) // the address, after the gas limit of 2 bytes
	padded := append(append(bytes.Clone(good[:at-3]), 0x83, 0), good[at-2:]...)
	padded[1]++
	for name, c := range map[string]struct {
		bad []byte
		is  string // what the refusal calls it
	}{
		"nothing":           {nil, "found nothing"},
		"type alone":        {[]byte{2}, "no such list"},
		"type 0":            {append([]byte{0}, good[1:]...), "found an unknown type (0)"},
		"type 1":            {append([]byte{1}, good[1:]...), "found an EIP-2930 access list transaction (type 1)"},
		"type 3":            {append([]byte{3}, good[1:]...), "found EIP-4844 blobs (type 3)"},
		"type 4":            {append([]byte{4}, good[1:]...), "found EIP-7702 authorisations (type 4)"},
		"type 5":            {append([]byte{5}, good[1:]...), "found an unknown type (5)"},
		"legacy":            {good[1:], "found a legacy transaction"},
		"trailing byte":     {append(long, 0), "no such list"},
		"cut":               {good[:len(good)-1], "no such list"},
		"leading zero":      {padded, "found another"},
		"signed":            {signedNative(t), "found a signed transaction"},
		"long list header":  {append([]byte{2, 0xf8, good[1] - 0xc0}, good[2:]...), "no such list"},
		"fewer fields":      {[]byte{2, 0xc2, 1, 7}, "found a list of 2 fields"},
		"a string, no list": {[]byte{2, 0x81, 0xff}, "no such list"},
	} {
		if _, err := Parse(c.bad); err == nil || !strings.Contains(err.Error(), c.is) {
			t.Errorf("%s: expected a refusal with %q, found %v", name, c.is, err)
		}
	}
}

func TestBuildRefusesParametersByName(t *testing.T) {
	huge := new(big.Int).Lsh(big.NewInt(1), 256)
	for name, c := range map[string]struct {
		of     BuildParams
		change func(*BuildParams)
		field  string
	}{
		"no value":          {native(), func(p *BuildParams) { p.Value = nil }, "value"},
		"negative value":    {native(), func(p *BuildParams) { p.Value = big.NewInt(-1) }, "value"},
		"amount, no token":  {native(), func(p *BuildParams) { p.Amount = big.NewInt(1) }, "amount"},
		"no receiver":       {native(), func(p *BuildParams) { p.To = [20]byte{} }, "to"},
		"no tip":            {native(), func(p *BuildParams) { p.Tip = nil }, "tip"},
		"no fee cap":        {native(), func(p *BuildParams) { p.FeeCap = nil }, "fee_cap"},
		"no gas":            {native(), func(p *BuildParams) { p.Gas = 0 }, "gas"},
		"no chain":          {native(), func(p *BuildParams) { p.ChainID = 0 }, "chain_id"},
		"token and value":   {erc20(), func(p *BuildParams) { p.Value = big.NewInt(1) }, "value"},
		"token, no amount":  {erc20(), func(p *BuildParams) { p.Amount = nil }, "amount"},
		"amount beyond":     {erc20(), func(p *BuildParams) { p.Amount = huge }, "amount"},
		"zero token":        {erc20(), func(p *BuildParams) { p.Token = new([20]byte) }, "to"},
		"token to nobody":   {erc20(), func(p *BuildParams) { p.To = [20]byte{} }, "to"},
		"negative amount":   {erc20(), func(p *BuildParams) { p.Amount = big.NewInt(-5) }, "amount"},
		"call and token":    {call(), func(p *BuildParams) { p.Token = &token }, "data"},
		"call of transfer":  {erc20(), func(p *BuildParams) { p.Token, p.Amount, p.Data = nil, nil, transferData(receiver, gwei) }, "data"},
		"call, odd data":    {call(), func(p *BuildParams) { p.Data = p.Data[:5] }, "data"},
		"call, amount":      {call(), func(p *BuildParams) { p.Amount = gwei }, "amount"},
		"a tip above a cap": {erc20(), func(p *BuildParams) { p.FeeCap = big.NewInt(1) }, "tip, fee_cap"},
	} {
		p := c.of
		c.change(&p)
		if _, err := Build(p); err == nil || !strings.HasPrefix(err.Error(), c.field+":") {
			t.Errorf("%s: expected a refusal of %s, found %v", name, c.field, err)
		}
	}
}

func TestAddressOfKnownKeys(t *testing.T) {
	for secret, want := range map[string]string{
		strings.Repeat("46", 32):        "9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f", // EIP-155, example
		strings.Repeat("00", 31) + "01": "7e5f4552091a69125d5dfcb7b8c2659029395bdf", // the base point
	} {
		k, _ := btcec.PrivKeyFromBytes(unhex(t, secret))
		if found := AddressOf(publicOf(k)); hex.EncodeToString(found[:]) != want {
			t.Errorf("expected %s, found %x", want, found)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("bytes that are no point have an address")
		}
	}()
	AddressOf([33]byte{2, 32: 5})
}

func TestChainNumberReadsCAIP2(t *testing.T) {
	if n, err := ChainNumber("eip155:1337"); err != nil || n != 1337 {
		t.Errorf("found %d, %v", n, err)
	}
	for _, bad := range []canon.ChainID{"", "eip155:", "eip155:0", "eip155:01", "eip155:-1", "eip155:+1", "bip122:1", "1", "eip155:18446744073709551616"} {
		if n, err := ChainNumber(bad); err == nil {
			t.Errorf("%q: found %d", bad, n)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(mustBuild(f, native()))
	f.Add(mustBuild(f, erc20()))
	f.Add(mustBuild(f, call()))
	f.Add([]byte{2, 0xc0})
	f.Add([]byte{4, 0xc0})
	f.Add([]byte{2, 0xf8, 0xff})
	f.Fuzz(func(t *testing.T, payload []byte) {
		found, err := Parse(payload)
		if err != nil {
			return
		}
		p := BuildParams{ChainID: found.ChainID, Nonce: found.Nonce, Tip: found.Tip, FeeCap: found.FeeCap, Gas: found.Gas, To: found.To, Value: found.Value}
		if x := found.Transfer; x != nil {
			p.To, p.Value, p.Token, p.Amount = x.To, nil, &x.Token, x.Amount
		}
		if c := found.Call; c != nil {
			p.Data = c.Data()
		}
		again, err := Build(p)
		if err != nil || !bytes.Equal(again, payload) {
			t.Fatalf("read %x, built %x, %v", payload, again, err)
		}
	})
}

func TestTheLargestTransactionFits(t *testing.T) {
	most := func(bits uint) *big.Int {
		n := new(big.Int).Lsh(big.NewInt(1), bits)
		return n.Sub(n, big.NewInt(1))
	}
	full := [20]byte(bytes.Repeat([]byte{0xff}, 20))
	p := BuildParams{ChainID: math.MaxUint64, Nonce: math.MaxUint64 - 1, Tip: most(231), FeeCap: most(231), Gas: MaxGas, To: full, Value: most(252)}
	k := key()
	called, largest := p, 0
	called.Data = bytes.Repeat([]byte{0xff}, 4+MaxWords*32)
	for _, p := range []BuildParams{p, {ChainID: p.ChainID, Nonce: p.Nonce, Tip: p.Tip, FeeCap: p.FeeCap, Gas: p.Gas, To: full, Token: &full, Amount: most(256)}, called} {
		payload := mustBuild(t, p)
		largest = max(largest, len(payload))
		if _, err := Finalise(payload, sign(k, Digest(payload)), publicOf(k)); err != nil {
			t.Errorf("%d bytes: %v", len(payload), err)
		}
	}
	if largest > MaxPayload || MaxPayload-largest > 128 {
		t.Errorf("expected the largest payload a little below %d bytes, found %d", MaxPayload, largest)
	}
}
