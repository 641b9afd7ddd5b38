package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/proto/canon"
)

// confirm makes sure that the person knows what the request pays in total: for every asset the amount is typed on the terminal, or
// given beforehand. A text counts if it is the same amount with the same unit; an amount that belongs to no asset is refused.
func (s *Session) confirm(r canon.Request, given []string) error {
	sums, err := totals(r)
	if err != nil {
		return err
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
