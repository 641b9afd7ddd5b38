package cli

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
)

// maxOwnership bounds evidence of ownership, in bytes.
const maxOwnership = 64 << 10

// ownership is what the holder of an address signs.
func (s *Session) ownership(e canon.BookEntry) (canon.Chain, canon.Ownership, error) {
	chain, ok := s.Charter.Chain(e.Chain)
	if !ok {
		return chain, canon.Ownership{}, refusal.New("ownership", "chain", "a chain of the charter", string(e.Chain))
	}
	address, err := wallets.AddressText(chain, e.Address)
	if err != nil {
		return chain, canon.Ownership{}, refusal.New("ownership", "address", "an address of "+string(e.Chain), err.Error())
	}
	return chain, canon.Ownership{Organisation: s.Charter.Organisation(), Chain: e.Chain, Address: address, Client: e.Client}, nil
}

// shows checks that the evidence is the one that an entry names: a signed message, whose signature is verified here, or the text of a
// micro-deposit, of which is checked that it is one to us for that client from that address. Nobody looks for it on the chain.
func (s *Session) shows(e canon.BookEntry, evidence []byte) error {
	digest, err := s.evidence(e, evidence)
	if err != nil {
		return err
	}
	if !bytes.Equal(digest[:], e.Evidence) {
		return refusal.New("ownership", "entry.evidence", fmt.Sprintf("%x", e.Evidence), digest.String())
	}
	return nil
}

// evidence verifies evidence of the kind that an entry names, and returns what binds it.
func (s *Session) evidence(e canon.BookEntry, text []byte) (canon.Digest, error) {
	chain, o, err := s.ownership(e)
	if err != nil {
		return canon.Digest{}, err
	}
	switch e.Proof {
	case book.ProofMessage:
		return book.CheckOwnership(chain, o, bytes.TrimSpace(text)) // without the line break that editors add
	case book.ProofDeposit:
		d, err := book.ParseDeposit(text)
		if err != nil {
			return canon.Digest{}, err
		}
		if d.Ownership != o {
			return canon.Digest{}, refusal.New("ownership", "deposit", fmt.Sprintf("one from %s for client %s", o.Address, o.Client),
				fmt.Sprintf("one from %s for client %s of organisation %s", d.Ownership.Address, d.Ownership.Client, d.Ownership.Organisation))
		}
		return book.CheckDeposit(chain, d)
	}
	return canon.Digest{}, refusal.New("ownership", "entry.proof", "1 (signed message) or 2 (micro-deposit)", fmt.Sprint(e.Proof))
}

// MessageView is the text that the holder of an address signs, or that of a micro-deposit.
type MessageView struct {
	Message string `json:"message"`
	Address string `json:"address"`
	File    string `json:"file,omitempty"`

	lines []string
}

func (v MessageView) writeText(t *text) {
	for _, line := range v.lines {
		t.line("%s", line)
	}
}

// placeable returns an entry without evidence for a client's address, if there can be one.
func (s *Session) placeable(chain canon.ChainID, address string, client canon.Name) (canon.BookEntry, error) {
	_, b, err := s.placed(chain, address)
	if err != nil {
		return canon.BookEntry{}, err
	}
	e := canon.BookEntry{Chain: chain, Address: b, Client: client, Account: canon.Any}
	return e, s.checkEntry(e)
}

// OwnershipMessage prints the text that the holder of an address signs with its key, and writes it to a file if one is named: byte by byte,
// without a line break at the end.
func (s *Session) OwnershipMessage(chain canon.ChainID, address string, client canon.Name, out string) error {
	e, err := s.placeable(chain, address, client)
	if err != nil {
		return err
	}
	_, o, err := s.ownership(e)
	if err != nil {
		return err
	}
	return s.printMessage(o.Message(), o.Address, out)
}

func (s *Session) printMessage(message, address, out string) error {
	if out != "" {
		if err := writeNew(out, []byte(message), 0o644); err != nil {
			return err
		}
	}
	return s.Print(MessageView{Message: message, Address: address, File: out, lines: strings.Split(strings.TrimSuffix(message, "\n"), "\n")})
}

// BookDeposit is a micro-deposit from an address, as people say it.
type BookDeposit struct {
	Chain       canon.ChainID
	Address     string
	Client      canon.Name
	Transaction string // its id, as explorers show it
	Number      uint64 // see book.Deposit
	Amount      string // with its unit
	Out         string // file for the text
}

// DepositText prints the text of a micro-deposit, which is evidence of ownership, and writes it to a file if one is named.
func (s *Session) DepositText(q BookDeposit) error {
	e, err := s.placeable(q.Chain, q.Address, q.Client)
	if err != nil {
		return err
	}
	chain, o, err := s.ownership(e)
	if err != nil {
		return err
	}
	d := book.Deposit{Ownership: o, Number: q.Number}
	if d.Transaction, err = canon.ParseDigest(strings.TrimPrefix(strings.ToLower(q.Transaction), "0x")); err != nil {
		return fmt.Errorf("transaction: %w", err)
	}
	if d.Asset, d.Amount, err = parseAmount(s.Charter, q.Chain, q.Amount); err != nil {
		return err
	}
	if _, err := book.CheckDeposit(chain, d); err != nil {
		return err
	}
	return s.printMessage(d.Text(), o.Address, q.Out)
}
