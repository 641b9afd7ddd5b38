package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/proto/canon"
)

// confirm makes sure that the person knows what the request pays in total: for every asset the amount is typed on the terminal, or
// given beforehand. A text counts if it is the same amount with the same unit; an amount that belongs to no asset is refused. A contract
// call pays what the charter counts of it; of one that counts as nothing its name is typed.
func (s *Session) confirm(r canon.Request, given []string) error {
	sums, err := totals(s.Charter, r)
	if err != nil {
		return err
	}
	if r.Call != nil && len(sums) == 0 {
		return s.confirmName(r, given)
	}
	if len(given) == 0 {
		if given, err = s.askAmounts(len(sums)); err != nil {
			return err
		}
	}
	if len(given) != len(sums) {
		return fmt.Errorf("%w: amount: expected %d amounts, one for each asset, found %d", ErrRefused, len(sums), len(given))
	}
	var confirmed []canon.AssetID
	for _, typed := range given {
		id, amount, err := parseAmount(s.Charter, r.Chain, strings.TrimSpace(typed))
		if err != nil {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
		i := slices.IndexFunc(sums, func(t total) bool { return t.id == id })
		if i < 0 || slices.Contains(confirmed, id) {
			return fmt.Errorf("%w: amount: expected each asset that is paid once, found %q", ErrRefused, typed)
		}
		if string(sums[i].sum) != string(amount) {
			return fmt.Errorf("%w: amount: expected the total that is paid, found %q", ErrRefused, typed)
		}
		confirmed = append(confirmed, id)
	}
	return nil
}

// confirmName asks for the name of a call that counts as no payment.
func (s *Session) confirmName(r canon.Request, given []string) error {
	m, err := policy.CallOf(s.Charter, &r)
	if err != nil {
		return err
	}
	if len(given) == 0 && s.Terminal == nil {
		return errors.New("call: expected --call with the name of the call, as there is no terminal to type it on")
	}
	if len(given) == 0 {
		line, err := s.Terminal.Line("To approve, type the name of the call: ")
		if err != nil {
			return fmt.Errorf("call: %w", err)
		}
		given = []string{line}
	}
	if len(given) != 1 || strings.TrimSpace(given[0]) != string(m.Rule.Name) {
		return fmt.Errorf("%w: call: expected the name of the call that is made, found %q", ErrRefused, strings.Join(given, ", "))
	}
	return nil
}

func (s *Session) askAmounts(count int) ([]string, error) {
	if s.Terminal == nil {
		return nil, errors.New("amount: expected --amount with the total that is paid, as there is no terminal to type it on")
	}
	out := make([]string, count)
	for i := range out {
		prompt := "To approve, type the total that is paid, with its unit: "
		if count > 1 {
			prompt = fmt.Sprintf("To approve, type total %d of %d that is paid, with its unit: ", i+1, count)
		}
		line, err := s.Terminal.Line(prompt)
		if err != nil {
			return nil, fmt.Errorf("amount: %w", err)
		}
		out[i] = line
	}
	return out, nil
}
