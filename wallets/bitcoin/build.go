package bitcoin

import (
	"bytes"
	"fmt"

	"github.com/btcsuite/btcd/wire"
	"github.com/strongroom/strongroom/proto/canon"
)

// Coin is an unspent output of ours, and where its key lies.
type Coin struct {
	Outpoint wire.OutPoint
	Value    int64  // satoshis
	Script   []byte // P2WPKH, or P2WSH of a script that SortedMulti makes
	Witness  []byte // the script that P2WSH pays to, nil for P2WPKH
	Needed   int    // how many signatures Witness demands; for P2WPKH 0 or 1
	Previous []byte // the whole transaction that made it; Build passes it on
	Account  canon.Name
	Branch   uint64
	Index    uint64
}

const (
	// maxInputs bounds the work of coin selection. As many P2WPKH inputs stay within maxStandardSize together with 256 payments and change.
	maxInputs = 1000
	// maxStandardSize is the most virtual bytes of a transaction that nodes relay (Bitcoin Core, policy/policy.h, MAX_STANDARD_TX_WEIGHT 400,000).
	maxStandardSize = 100_000
)

// BuildParams says what to pay and what there is to pay from.
type BuildParams struct {
	Coins        []Coin
	Payments     []canon.Output // address is a scriptPubKey; asset is not looked at
	ChangeScript []byte
	FeeRate      int64          // satoshis per 1000 virtual bytes
	FeeCap       int64          // satoshis
	MaxInputs    int            // 1 to 1000
	Anchor       *wire.OutPoint // an input that the transaction must have; it must be one of the coins
}

// Unsigned is a transaction that Parse accepts, with what belongs to it.
type Unsigned struct {
	Tx     *wire.MsgTx
	Raw    []byte
	Coins  []Coin // what each input spends, in order
	Change int    // position of the change among the outputs, -1 for none
	Fee    int64  // satoshis
}

// InsufficientFundsError says that the coins that may be used do not reach.
type InsufficientFundsError struct {
	Needed    int64 // satoshis: payments and fee of the transaction that was tried last
	Available int64 // satoshis in it
	Inputs    int
}

func (e *InsufficientFundsError) Error() string {
	return fmt.Sprintf("insufficient funds: expected at least %d satoshis, found %d in %d inputs", e.Needed, e.Available, e.Inputs)
}

// FeeAboveCapError says that the cheapest transaction found costs more than allowed.
type FeeAboveCapError struct {
	Fee, Cap int64 // satoshis
}

func (e *FeeAboveCapError) Error() string {
	return fmt.Sprintf("fee: expected at most %d satoshis, found %d", e.Cap, e.Fee)
}

// DustError says that a payment is so small that no node relays it.
type DustError struct {
	Payment          int   // position among the payments
	Value, Threshold int64 // satoshis
}

func (e *DustError) Error() string {
	return fmt.Sprintf("payments[%d].amount: expected at least %d satoshis, found %d", e.Payment, e.Threshold, e.Value)
}

// Build selects coins and makes the unsigned transaction: payments in their order, then change if it is worth having. The fee is on top
// of the payments. Errors are *InsufficientFundsError, *FeeAboveCapError, *DustError, or name the parameter that is wrong. The same
// parameters give the same bytes.
func Build(p BuildParams) (*Unsigned, error) {
	s, err := newSelection(p)
	if err != nil {
		return nil, err
	}
	if err := s.choose(); err != nil {
		return nil, err
	}
	tx := wire.NewMsgTx(Version)
	for _, c := range s.chosen {
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: c.Outpoint, Sequence: Sequence})
	}
	for _, out := range s.payments {
		tx.AddTxOut(out)
	}
	u := &Unsigned{Tx: tx, Change: -1, Fee: s.total - s.pay - s.change}
	for _, c := range s.chosen {
		u.Coins = append(u.Coins, c.Coin)
	}
	if s.change > 0 {
		u.Change = len(tx.TxOut)
		tx.AddTxOut(wire.NewTxOut(s.change, bytes.Clone(p.ChangeScript)))
	}
	if u.Raw, err = encodeNoWitness(tx); err != nil {
		return nil, err
	}
	if _, err := Parse(u.Raw); err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	return u, nil
}

// newSelection checks the parameters and sorts out which coins are of use.
func newSelection(p BuildParams) (*selection, error) {
	if len(p.Payments) == 0 {
		return nil, fmt.Errorf("payments: expected at least 1, found 0")
	}
	if p.FeeRate <= 0 || p.FeeCap <= 0 || p.FeeCap > maxMoney {
		return nil, fmt.Errorf("fee_rate, fee_cap: expected above 0 and a cap of at most %d, found %d and %d", int64(maxMoney), p.FeeRate, p.FeeCap)
	}
	if p.MaxInputs < 1 || p.MaxInputs > maxInputs {
		return nil, fmt.Errorf("max_inputs: expected 1 to %d, found %d", maxInputs, p.MaxInputs)
	}
	dust, err := DustThreshold(p.ChangeScript)
	if err != nil {
		return nil, fmt.Errorf("change: %w", err)
	}
	s := &selection{rate: p.FeeRate, feeCap: p.FeeCap, most: p.MaxInputs, dust: dust, changeScript: p.ChangeScript}
	if s.payments, s.pay, err = paymentOutputs(p.Payments, p.ChangeScript); err != nil {
		return nil, err
	}
	if err := s.sort(p.Coins, p.Anchor); err != nil {
		return nil, err
	}
	return s, nil
}

func paymentOutputs(payments []canon.Output, change []byte) ([]*wire.TxOut, int64, error) {
	outs := make([]*wire.TxOut, len(payments))
	for i, p := range payments {
		threshold, err := DustThreshold(p.Address)
		if err != nil {
			return nil, 0, fmt.Errorf("payments[%d].%w", i, err)
		}
		n := p.Amount.Int()
		if !n.IsInt64() || n.Int64() > maxMoney {
			return nil, 0, fmt.Errorf("payments[%d].amount: expected at most %d satoshis, found %s", i, int64(maxMoney), n)
		}
		if n.Int64() < threshold {
			return nil, 0, &DustError{Payment: i, Value: n.Int64(), Threshold: threshold}
		}
		if bytes.Equal(p.Address, change) {
			return nil, 0, fmt.Errorf("payments[%d].script: expected another than the change script, found the same", i)
		}
		outs[i] = wire.NewTxOut(n.Int64(), bytes.Clone(p.Address))
	}
	sum, err := sumOutputs(&wire.MsgTx{TxOut: outs})
	return outs, sum, err
}

// checkCoin refuses what this package cannot spend.
func checkCoin(c Coin) error {
	l, err := lockOf(c.Script, c.Witness)
	if err != nil {
		return err
	}
	if c.Needed != l.needed && (c.Witness != nil || c.Needed != 0) {
		return fmt.Errorf("needed: expected the script's %d signatures, found %d", l.needed, c.Needed)
	}
	if c.Value <= 0 || c.Value > maxMoney {
		return fmt.Errorf("value: expected 1 to %d satoshis, found %d", int64(maxMoney), c.Value)
	}
	return nil
}
