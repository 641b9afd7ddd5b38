package book

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Deposit names a micro-deposit: an amount that was agreed on with the client and that came from his address. Officers look it up on the
// chain before they sign an entry that names it; nothing here does.
type Deposit struct {
	Ownership   canon.Ownership
	Transaction canon.Digest // its id, in the order in which explorers show it
	Number      uint64       // Bitcoin: the output that pays us; ERC-20: the log's index within the block; 0 for an EVM chain's own coin
	Asset       canon.AssetID
	Amount      canon.Amount // above 0
}

const (
	depositTitle = "Strongroom micro-deposit"
	maxDeposit   = 2 << 10
)

// Text returns the deposit in its one written form, a line for each field. People keep it; its SHA-256 is the evidence.
func (d Deposit) Text() string {
	o := d.Ownership
	return fmt.Sprintf("%s\norganisation: %s\nchain: %s\naddress: %s\nclient: %s\ntransaction: %s\nnumber: %d\nasset: %s\namount: %s\n",
		depositTitle, o.Organisation, o.Chain, o.Address, o.Client, d.Transaction, d.Number, d.Asset, d.Amount)
}

// ParseDeposit reads what Text wrote, and refuses every other form of it. It does not judge it: see CheckDeposit.
func ParseDeposit(text []byte) (Deposit, error) {
	if len(text) > maxDeposit {
		return Deposit{}, refusal.New("ownership", "deposit", fmt.Sprintf("at most %d bytes", maxDeposit), fmt.Sprint(len(text)))
	}
	d, err := parseDeposit(string(text))
	if err == nil && d.Text() != string(text) {
		err = errors.New("another form of the same")
	}
	if err != nil {
		return Deposit{}, refusal.New("ownership", "deposit", "the text of a micro-deposit", err.Error())
	}
	return d, nil
}

func parseDeposit(text string) (Deposit, error) {
	var d Deposit
	fields := []string{"organisation", "chain", "address", "client", "transaction", "number", "asset", "amount"}
	lines := strings.Split(text, "\n")
	if len(lines) != len(fields)+2 || lines[0] != depositTitle {
		return d, fmt.Errorf("expected %q and %d lines, found %d lines", depositTitle, len(fields), len(lines))
	}
	values := make([]string, len(fields))
	for i, field := range fields {
		var ok bool
		if values[i], ok = strings.CutPrefix(lines[i+1], field+": "); !ok {
			return d, fmt.Errorf("expected %s in line %d, found something else", field, i+2)
		}
	}
	d.Ownership = canon.Ownership{Chain: canon.ChainID(values[1]), Address: values[2], Client: canon.Name(values[3])}
	d.Asset = canon.AssetID(values[6])
	var err error
	if d.Ownership.Organisation, err = canon.ParseDigest(values[0]); err != nil {
		return d, fmt.Errorf("organisation: %w", err)
	}
	if d.Transaction, err = canon.ParseDigest(values[4]); err != nil {
		return d, fmt.Errorf("transaction: %w", err)
	}
	if d.Number, err = strconv.ParseUint(values[5], 10, 64); err != nil {
		return d, fmt.Errorf("number: expected a whole number below 2^64: %w", err)
	}
	amount, ok := new(big.Int).SetString(values[7], 10)
	if !ok {
		return d, errors.New("amount: expected a whole number, found something else")
	}
	d.Amount, err = canon.NewAmount(amount)
	return d, err
}

// CheckDeposit decides whether a deposit may stand for ownership of an address on the chain, as far as that shows without looking at the
// chain. It returns what an entry of the book with ProofDeposit has as its evidence: SHA-256 of the deposit's text. The error is a
// *refusal.Refusal.
func CheckDeposit(chain canon.Chain, d Deposit) (evidence canon.Digest, err error) {
	var l refusal.List
	_, err = checkOwner(chain, d.Ownership)
	l.Join("ownership", "deposit", err)
	if d.Transaction.IsZero() {
		l.Add("ownership", "transaction", "the id of a transaction", "none")
	}
	if err := d.Asset.Check(); err != nil || d.Asset.Chain() != chain.ID {
		l.Add("ownership", "asset", "an asset of chain "+string(chain.ID), fmt.Sprintf("%q", d.Asset))
	}
	if _, token := d.Asset.Contract(); chain.Kind == canon.EVM && !token && d.Number != 0 {
		l.Add("ownership", "number", "0 for the chain's own coin", fmt.Sprint(d.Number))
	}
	if err := d.Amount.Check(); err != nil || d.Amount.Int().Sign() == 0 {
		l.Add("ownership", "amount", "1 to 2^256-1, without leading zeros", fmt.Sprintf("%x", []byte(d.Amount)))
	}
	if err := l.Err(); err != nil {
		return canon.Digest{}, err
	}
	return sha256.Sum256([]byte(d.Text())), nil
}
