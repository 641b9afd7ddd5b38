package bitcoin

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/wire"
)

// exactTries bounds the search for coins that need no change.
const exactTries = 20_000

// selection is one run of coin selection.
type selection struct {
	payments     []*wire.TxOut
	pay          int64 // sum of the payments
	rate, feeCap int64
	most         int // inputs
	dust         int64
	changeScript []byte

	anchor []spend // none or one, always chosen
	coins  []spend // the others that are worth their input, those worth most first

	chosen  []spend
	total   int64 // value of chosen
	witness int   // bytes of their witnesses
	change  int64 // 0 for none
}

// spend is a coin with the most bytes that its witness takes.
type spend struct {
	Coin
	witness int
}

// sort splits the coins into the anchor and those worth spending. Order is by what they add, then by outpoint, so that it does not depend
// on how the coins came.
func (s *selection) sort(coins []Coin, anchor *wire.OutPoint) error {
	seen := make(map[wire.OutPoint]bool, len(coins))
	var sum int64
	for i, c := range coins {
		if err := checkCoin(c); err != nil {
			return fmt.Errorf("coins[%d].%w", i, err)
		}
		if seen[c.Outpoint] {
			return fmt.Errorf("coins[%d].outpoint: expected distinct coins, found %s again", i, c.Outpoint)
		}
		seen[c.Outpoint] = true
		if sum += c.Value; sum > maxMoney {
			return fmt.Errorf("coins: sum of values: expected at most %d satoshis, found more", int64(maxMoney))
		}
		size, err := witnessSize(c.Witness)
		if err != nil {
			return fmt.Errorf("coins[%d].%w", i, err)
		}
		candidate := spend{Coin: c, witness: size}
		switch {
		case anchor != nil && c.Outpoint == *anchor:
			s.anchor = []spend{candidate}
		case s.worth(candidate) > 0:
			s.coins = append(s.coins, candidate)
		}
	}
	if anchor != nil && s.anchor == nil {
		return fmt.Errorf("anchor: expected one of the coins, found %s", anchor)
	}
	slices.SortFunc(s.coins, func(a, b spend) int {
		return cmp.Or(cmp.Compare(s.worth(b), s.worth(a)), bytes.Compare(a.Outpoint.Hash[:], b.Outpoint.Hash[:]),
			cmp.Compare(a.Outpoint.Index, b.Outpoint.Index))
	})
	return nil
}

// worth is what a coin adds after the fee for its input.
func (s *selection) worth(c spend) int64 {
	fee, ok := feeFor(int64(inputSize*scaleFactor+c.witness+scaleFactor-1)/scaleFactor, s.rate)
	if !ok {
		return 0
	}
	return c.Value - fee
}

// fee returns what a transaction of the coins chosen costs at least.
func (s *selection) fee(change bool) (int64, error) {
	outs := s.payments
	if change {
		outs = append(slices.Clip(outs), &wire.TxOut{PkScript: s.changeScript})
	}
	size := virtualSize(len(s.chosen), s.witness, outs)
	if size > maxStandardSize {
		return 0, fmt.Errorf("size: expected at most %d virtual bytes, beyond which nodes relay no transaction, found %d", maxStandardSize, size)
	}
	fee, ok := feeFor(size, s.rate)
	if !ok {
		return 0, &FeeAboveCapError{Fee: maxMoney, Cap: s.feeCap}
	}
	return fee, nil
}

// choose picks the anchor and the largest coins until they reach, or, if there are any, no more coins that need no change.
func (s *selection) choose() error {
	err := s.largest()
	if err == nil && s.change == 0 {
		return nil
	}
	found := *s
	if err == nil {
		s.most = len(s.chosen)
	}
	if s.exact() {
		return nil
	}
	*s = found
	return err
}

// largest adds coin after coin until they settle. Of several fees above the cap it reports the lowest.
func (s *selection) largest() error {
	s.begin()
	var last error = &InsufficientFundsError{Needed: s.pay, Available: s.total, Inputs: len(s.chosen)}
	var lowest *FeeAboveCapError
	for next := 0; ; next++ {
		if len(s.chosen) > 0 {
			if last = s.settle(); last == nil {
				return nil
			}
			var above *FeeAboveCapError
			if errors.As(last, &above) && (lowest == nil || above.Fee < lowest.Fee) {
				lowest = above
			}
		}
		if next == len(s.coins) || len(s.chosen) == s.most {
			break
		}
		s.take(s.coins[next])
	}
	if lowest != nil {
		return lowest
	}
	return last
}

// settle decides on change for the coins chosen: with change if it is no dust, without if what is left over is no more than change would
// cost or lose.
func (s *selection) settle() error {
	plain, err := s.fee(false)
	if err != nil {
		return err
	}
	withChange, err := s.fee(true)
	if err != nil {
		return err
	}
	rest := s.total - s.pay
	s.change = 0
	fee := rest
	switch {
	case rest < plain:
		if plain > s.feeCap {
			return &FeeAboveCapError{Fee: plain, Cap: s.feeCap}
		}
		return &InsufficientFundsError{Needed: s.pay + plain, Available: s.total, Inputs: len(s.chosen)}
	case rest-withChange >= s.dust:
		s.change, fee = rest-withChange, withChange
	}
	if fee > s.feeCap {
		return &FeeAboveCapError{Fee: fee, Cap: s.feeCap}
	}
	return nil
}

// exact searches, depth first and largest first, for coins whose sum leaves so little over that change would cost more or be dust. It
// takes the first that settles without change within the cap.
func (s *selection) exact() bool {
	tails := make([]int64, len(s.coins)+1) // what all coins from i on add
	for i := len(s.coins) - 1; i >= 0; i-- {
		tails[i] = tails[i+1] + s.coins[i].Value
	}
	tries := exactTries
	var try func(i int) bool
	try = func(i int) bool {
		if tries--; tries < 0 || s.total+tails[i] < s.pay {
			return false
		}
		if len(s.chosen) > 0 && s.total > s.pay && s.settle() == nil {
			return s.change == 0
		}
		if i == len(s.coins) || len(s.chosen) == s.most {
			return false
		}
		s.take(s.coins[i])
		if try(i + 1) {
			return true
		}
		s.chosen, s.total, s.witness = s.chosen[:len(s.chosen)-1], s.total-s.coins[i].Value, s.witness-s.coins[i].witness
		return try(i + 1)
	}
	s.begin()
	return try(0)
}

// begin chooses the anchor alone, or nothing.
func (s *selection) begin() {
	s.chosen, s.total, s.witness = nil, 0, 0
	for _, c := range s.anchor {
		s.take(c)
	}
}

func (s *selection) take(c spend) {
	s.chosen, s.total, s.witness = append(s.chosen, c), s.total+c.Value, s.witness+c.witness
}
