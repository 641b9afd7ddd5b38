package ethereum

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/strongroom/strongroom/proto/canon"
	"golang.org/x/crypto/sha3"
)

const (
	// transactionType is the EIP-2718 type of EIP-1559 transactions.
	transactionType = 0x02
	// MaxPayload is the largest payload that Parse reads, in bytes. The largest that passes, a call with MaxWords words, takes 661.
	MaxPayload = 768
	// MaxSigned is the largest signed transaction that VerifySigned reads, in bytes.
	MaxSigned = MaxPayload + 68
	// MinGas is what the smallest transaction takes (EIP-2, Yellow Paper appendix G: G_transaction).
	MinGas = 21_000
	// MaxGas is above what a transfer or a call takes and bounds what a hostile gas limit can cost.
	MaxGas = 30_000_000
)

// Transaction is an unsigned transaction as Parse understood it: a token transfer, a contract call, or if it is neither a transfer of the chain's
// coin.
type Transaction struct {
	ChainID  uint64
	Nonce    uint64
	Tip      *big.Int // max priority fee per gas, wei
	FeeCap   *big.Int // max fee per gas, wei
	Gas      uint64   // gas limit
	To       [20]byte // receiver, the token of Transfer, or the contract of Call
	Value    *big.Int // wei
	Data     []byte   // call data of Transfer or Call, else empty
	Transfer *TokenTransfer
	Call     *ContractCall
}

// TokenTransfer is a call of transfer(address,uint256) (ERC-20).
type TokenTransfer struct {
	Token  [20]byte
	To     [20]byte
	Amount *big.Int // base units of the token
}

// fields is the RLP list of an EIP-1559 transaction without its signature.
type fields struct {
	ChainID    uint64
	Nonce      uint64
	Tip        *big.Int
	FeeCap     *big.Int
	Gas        uint64
	To         [20]byte // contract creation, an empty string here, does not decode: whatElse names it
	Value      *big.Int
	Data       []byte
	AccessList []struct{}
}

// BuildParams says what to pay or to call. Without Token, Value wei go to To and Amount is nil. With Token, Amount base units of it go to To
// and Value is nil. With Data, the contract at To is called with it and Value, which may be nil; there is no Token.
type BuildParams struct {
	ChainID     uint64
	Nonce       uint64
	Tip, FeeCap *big.Int
	Gas         uint64
	To          [20]byte
	Value       *big.Int
	Token       *[20]byte
	Amount      *big.Int
	Data        []byte
}

// Build returns the unsigned payload 0x02 ‖ rlp([chain id, nonce, tip, fee cap, gas, to, value, data, []]) of EIP-1559: what Digest
// hashes. The same parameters give the same bytes.
func Build(p BuildParams) ([]byte, error) {
	f := fields{ChainID: p.ChainID, Nonce: p.Nonce, Tip: p.Tip, FeeCap: p.FeeCap, Gas: p.Gas, To: p.To, Value: p.Value}
	if p.To == ([20]byte{}) {
		return nil, fmt.Errorf("to: expected an address other than zero, found zero")
	}
	if err := p.carry(&f); err != nil {
		return nil, err
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	return encode(f)
}

// carry puts receiver, value and call data of a token transfer or a contract call into f.
func (p *BuildParams) carry(f *fields) error {
	if p.Token == nil && p.Amount != nil {
		return fmt.Errorf("amount: expected none without a token, found %s", p.Amount)
	}
	if len(p.Data) > 0 {
		if p.Token != nil {
			return fmt.Errorf("data: expected none with a token, found %d bytes", len(p.Data))
		}
		if _, err := ParseCall(p.To, p.Data); err != nil {
			return err
		}
		if f.Data = p.Data; p.Value == nil {
			f.Value = new(big.Int)
		}
		return nil
	}
	if p.Token == nil {
		return nil
	}
	if p.Value != nil && p.Value.Sign() != 0 {
		return fmt.Errorf("value: expected none with a token, found %s", p.Value)
	}
	if err := checkWord("amount", p.Amount); err != nil {
		return err
	}
	f.To, f.Value, f.Data = *p.Token, new(big.Int), transferData(p.To, p.Amount)
	return nil
}

// Parse reads an unsigned payload. It refuses everything that Build would not have made, naming the field.
func Parse(payload []byte) (*Transaction, error) {
	if len(payload) > MaxPayload {
		return nil, fmt.Errorf("payload: size: expected at most %d bytes, found %d", MaxPayload, len(payload))
	}
	if len(payload) == 0 || payload[0] != transactionType {
		return nil, fmt.Errorf("payload: type: expected %d (EIP-1559), found %s", transactionType, typeName(payload))
	}
	var f fields
	if err := rlp.DecodeBytes(payload[1:], &f); err != nil {
		return nil, fmt.Errorf("payload: expected the RLP list of an unsigned EIP-1559 transaction to an address, without access list, found %s: %w",
			whatElse(payload[1:]), err)
	}
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	again, err := encode(f)
	if err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	if !bytes.Equal(again, payload) {
		return nil, fmt.Errorf("payload: expected canonical RLP of %d bytes, found %d other bytes", len(again), len(payload))
	}
	t := &Transaction{ChainID: f.ChainID, Nonce: f.Nonce, Tip: f.Tip, FeeCap: f.FeeCap, Gas: f.Gas, To: f.To, Value: f.Value, Data: f.Data}
	switch {
	case len(f.Data) == 0:
	case isTransfer(f.Data):
		t.Transfer, err = parseTransfer(f.To, f.Value, f.Data)
	default:
		t.Call, err = parseWords(f.To, f.Data)
	}
	if err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	return t, nil
}

// check holds every field but the call data against what this service builds.
func (f *fields) check() error {
	if f.ChainID == 0 {
		return fmt.Errorf("chain_id: expected above 0, found 0")
	}
	if f.Nonce == math.MaxUint64 { // EIP-2681
		return fmt.Errorf("nonce: expected below 2^64-1, found %d", f.Nonce)
	}
	if err := checkWord("tip", f.Tip); err != nil {
		return err
	}
	if err := checkWord("fee_cap", f.FeeCap); err != nil {
		return err
	}
	if f.FeeCap.Sign() == 0 || f.Tip.Cmp(f.FeeCap) > 0 {
		return fmt.Errorf("tip, fee_cap: expected a tip of at most the fee cap and that above 0, found %s and %s", f.Tip, f.FeeCap)
	}
	if f.Gas < MinGas || f.Gas > MaxGas {
		return fmt.Errorf("gas: expected %d to %d, found %d", MinGas, MaxGas, f.Gas)
	}
	if f.To == ([20]byte{}) {
		return fmt.Errorf("to: expected an address other than zero, found zero")
	}
	if err := checkWord("value", f.Value); err != nil {
		return err
	}
	most := new(big.Int).Add(f.Value, maxFee(f.Gas, f.FeeCap))
	if most.BitLen() > 256 {
		return fmt.Errorf("value, gas, fee_cap: expected value and fee together below 2^256, found %s", most)
	}
	if len(f.AccessList) != 0 {
		return fmt.Errorf("access_list: expected empty, found %d entries", len(f.AccessList))
	}
	return nil
}

// checkWord refuses what is no unsigned 256-bit number.
func checkWord(field string, n *big.Int) error {
	if n == nil {
		return fmt.Errorf("%s: expected a number, found none", field)
	}
	if n.Sign() < 0 || n.BitLen() > 256 {
		return fmt.Errorf("%s: expected 0 to 2^256-1, found %s", field, n)
	}
	return nil
}

func encode(f fields) ([]byte, error) {
	list, err := rlp.EncodeToBytes(&f)
	if err != nil {
		return nil, fmt.Errorf("rlp: %w", err)
	}
	return append([]byte{transactionType}, list...), nil
}

// MaxFee is the most wei that the transaction can cost beyond its value: gas limit times fee cap.
func (t *Transaction) MaxFee() *big.Int { return maxFee(t.Gas, t.FeeCap) }

func maxFee(gas uint64, feeCap *big.Int) *big.Int {
	return new(big.Int).Mul(new(big.Int).SetUint64(gas), feeCap)
}

// Digest returns what the sender's key signs: Keccak-256 of the payload (EIP-1559). It does not look into the payload; only what Parse
// accepted is to be signed.
func Digest(payload []byte) [32]byte { return keccak(payload) }

// TxID returns the hash by which a signed transaction is known, in the form that explorers show.
func TxID(signed []byte) string { return fmt.Sprintf("0x%x", keccak(signed)) }

func keccak(b []byte) (d [32]byte) {
	h := sha3.NewLegacyKeccak256()
	h.Write(b)
	h.Sum(d[:0])
	return d
}

// AddressOf returns the address of a compressed public key: the last 20 bytes of Keccak-256 over its two coordinates (Yellow Paper,
// appendix F). The key must be a point of secp256k1, as wallets.Derive returns: AddressOf panics on other bytes, because any address
// that it could return instead would lose what is paid to it.
func AddressOf(public [33]byte) [20]byte {
	key, err := btcec.ParsePubKey(public[:])
	if err != nil {
		panic(fmt.Sprintf("ethereum: address of %x: %v", public, err))
	}
	return addressOf(key)
}

func addressOf(key *btcec.PublicKey) [20]byte {
	d := keccak(key.SerializeUncompressed()[1:])
	return [20]byte(d[12:])
}

// ChainNumber returns the EIP-155 chain id that a CAIP-2 id of namespace eip155 stands for, for example 1 for "eip155:1".
func ChainNumber(chain canon.ChainID) (uint64, error) {
	text, ok := strings.CutPrefix(string(chain), "eip155:")
	n, err := strconv.ParseUint(text, 10, 64)
	if !ok || err != nil || n == 0 || strconv.FormatUint(n, 10) != text {
		return 0, fmt.Errorf("chain: expected eip155 and a number above 0, found %q", string(chain))
	}
	return n, nil
}
