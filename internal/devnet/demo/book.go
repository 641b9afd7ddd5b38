package demo

import (
	"context"
	"crypto/ecdsa"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ethereum/go-ethereum/accounts"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/strongroom/strongroom/internal/devnet"
)

// addressBook puts a new address into the book, which is paid only after its cool-down, and takes it out again, which works at once. The
// book ends as it began.
func (s *scene) addressBook(ctx context.Context) error {
	holder, err := crypto.GenerateKey()
	if err != nil {
		return err
	}
	p := s.plan("new address, before it is in the book", 0, s.d.ETH, "0.2 ETH")
	p.to = crypto.PubkeyToAddress(holder.PublicKey).Hex()
	if err := s.denied(ctx, p, "whitelist"); err != nil {
		return err
	}
	if err := s.Step("its holder signs for it; two officers put it into the book", nil, func() error { return s.enter(ctx, holder, p) }); err != nil {
		return err
	}
	p.title = "new address, before its cool-down is over"
	if err := s.denied(ctx, p, "whitelist"); err != nil {
		return err
	}
	if err := s.Step("a quorum of the signers has had it for the cool-down, each on its own clock", nil, func() error { return s.payable(ctx, p) }); err != nil {
		return err
	}
	p.title = "new address, after its cool-down"
	if err := s.allowed(ctx, p); err != nil {
		return err
	}
	if err := s.Step("two officers take it out of the book", nil, func() error {
		return s.bookChange(ctx, "no longer theirs", "remove", "--chain", string(s.d.ETH.Chain()), "--address", p.to, "--client", p.client.Name)
	}); err != nil {
		return err
	}
	p.title = "new address, out of the book again"
	return s.denied(ctx, p, "whitelist")
}

// enter has the holder of an address sign that it is the client's (EIP-191), and officers put it into the book with that as evidence.
func (s *scene) enter(ctx context.Context, holder *ecdsa.PrivateKey, p plan) error {
	var asked struct {
		Message string `json:"message"`
	}
	chain := string(s.d.ETH.Chain())
	alice := s.officer("alice")
	if err := s.d.Strongroom(ctx, alice, &asked, "book", "message", "--chain", chain, "--address", p.to, "--client", p.client.Name); err != nil {
		return err
	}
	signature, err := crypto.Sign(accounts.TextHash([]byte(asked.Message)), holder)
	if err != nil {
		return err
	}
	signature[crypto.RecoveryIDOffset] += 27 // as wallets write it
	proof := filepath.Join(alice.Dir, "ownership.txt")
	if err := os.WriteFile(proof, []byte("0x"+hex.EncodeToString(signature)+"\n"), 0o600); err != nil {
		return err
	}
	return s.bookChange(ctx, "a desk of their own", "add", "--chain", chain, "--address", p.to, "--client", p.client.Name, "--account", "*",
		"--label", "desk", "--proof-message", proof)
}

// bookChange writes a change of the book, has two officers sign it apart from each other, and takes it to every signer.
func (s *scene) bookChange(ctx context.Context, reason string, args ...string) error {
	alice, bob := s.officer("alice"), s.officer("bob")
	s.count++
	file := filepath.Join(alice.Dir, fmt.Sprintf("change-%d.book", s.count))
	var made struct {
		Serial uint64   `json:"serial"`
		Words  []string `json:"words"`
	}
	if err := s.d.Strongroom(ctx, alice, &made, append(append([]string{"book"}, args...), "--reason", reason, "--out", file)...); err != nil {
		return err
	}
	if len(made.Words) == 0 {
		return fmt.Errorf("version %d of the book: expected its words, found none", made.Serial)
	}
	for _, officer := range []*devnet.Person{alice, bob} {
		if err := s.d.Strongroom(ctx, officer, nil, "book", "sign", file, "--serial", fmt.Sprint(made.Serial), "--word", made.Words[0]); err != nil {
			return err
		}
	}
	var said struct {
		RecordedBy []string `json:"recorded_by"`
	}
	if err := s.d.Strongroom(ctx, bob, &said, "book", "submit", file); err != nil {
		return err
	}
	if len(said.RecordedBy) < len(s.d.Nodes) {
		return fmt.Errorf("version %d of the book: expected every signer to record it, found %v", made.Serial, said.RecordedBy)
	}
	return nil
}

// payable waits until as many signers as a withdrawal takes would pay to the address.
func (s *scene) payable(ctx context.Context, p plan) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		var v struct {
			Payable []string `json:"payable"`
			Needed  int      `json:"needed"`
		}
		err := s.d.Strongroom(ctx, s.officer("carol"), &v, "book", "verify", p.to, "--client", p.client.Name)
		if err == nil && v.Needed > 0 && len(v.Payable) == len(s.d.Nodes) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s did not become payable: %w, %w", p.to, err, ctx.Err())
		case <-time.After(300 * time.Millisecond):
		}
	}
}
