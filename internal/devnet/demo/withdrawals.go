package demo

import (
	"context"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/strongroom/strongroom/internal/devnet"
)

func (s *scene) keysAndAddresses(ctx context.Context) error {
	err := s.Step("distributed key generation among four signers, of whom two sign; each seals its share under a key in its token", nil, func() (err error) {
		s.report.Key, err = s.d.MakeKeys(ctx)
		return err
	})
	if err != nil {
		return err
	}
	s.Say("group key %s; the keys of cold wallets were born in tokens, and nothing is signed with them here", s.report.Key)
	for _, client := range s.d.Clients {
		for _, wallet := range []string{"btc-hot", "evm-hot"} {
			if err := s.address(ctx, client, wallet); err != nil {
				return err
			}
		}
	}
	return s.Step("deposits: the chains' faucet pays to these addresses", nil, func() error { return s.fund(ctx) })
}

// address makes a deposit address and checks its attestations against the pinned genesis, as the client would.
func (s *scene) address(ctx context.Context, client *devnet.Person, wallet string) error {
	file := client.Dir + "/" + wallet + ".address.json"
	return s.Step(fmt.Sprintf("a deposit address for %s in %s, attested by two signers and verified by the client", client.Name, wallet), nil, func() error {
		var made, checked struct {
			Address    string   `json:"address"`
			AttestedBy []string `json:"attested_by"`
		}
		account := client.Name + "-main"
		if err := s.d.Strongroom(ctx, client, &made, "address", "new", "--wallet", wallet, "--account", account, "--request-id", "first", "--out", file); err != nil {
			return err
		}
		if err := s.d.Strongroom(ctx, client, &checked, "address", "verify", file); err != nil {
			return err
		}
		if checked.Address != made.Address || len(checked.AttestedBy) < 2 {
			return fmt.Errorf("expected %s attested by two signers, found %s by %v", made.Address, checked.Address, checked.AttestedBy)
		}
		s.d.NoteDeposit(wallet, account, made.Address)
		return nil
	})
}

func (s *scene) fund(ctx context.Context) error {
	for _, c := range s.d.Clients {
		account := c.Name + "-main"
		address, _ := s.d.Deposit("btc-hot", account)
		for _, satoshi := range []int64{100_000_000, 60_000_000, 45_000_000, 30_000_000, 30_000_000} {
			if _, err := s.d.Bitcoin.Fund(ctx, address, satoshi); err != nil {
				return err
			}
		}
		evm, _ := s.d.Deposit("evm-hot", account)
		if _, err := s.d.EVM.Fund(ctx, common.HexToAddress(evm), new(big.Int).Mul(big.NewInt(30), big.NewInt(1e18))); err != nil {
			return err
		}
		token, _ := s.d.USDX.Contract()
		if _, err := s.d.EVM.MintToken(ctx, common.Address(token), common.HexToAddress(evm), big.NewInt(20_000_000_000)); err != nil {
			return err
		}
	}
	return s.funded(ctx)
}

// funded waits until the coordinator sees the deposits.
func (s *scene) funded(ctx context.Context) error {
	for _, c := range s.d.Clients {
		if err := s.holds(ctx, c, "btc-hot/2.65 BTC", "evm-hot/30 ETH", "evm-hot/20000 USDX"); err != nil {
			return err
		}
	}
	return nil
}

// holds waits until the coordinator shows a client these confirmed amounts in these wallets.
func (s *scene) holds(ctx context.Context, client *devnet.Person, want ...string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		missing, err := s.missingBalance(ctx, client, want)
		if err != nil || missing == "" {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the coordinator has not seen %s of %s: %w", missing, client.Name, ctx.Err())
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// missingBalance returns the first of the amounts that the client is not shown.
func (s *scene) missingBalance(ctx context.Context, client *devnet.Person, want []string) (string, error) {
	var list struct {
		Wallets []struct {
			Wallet   string `json:"wallet"`
			Balances []struct {
				Account   string `json:"account"`
				Confirmed struct {
					Amount string `json:"amount"`
				} `json:"confirmed"`
			} `json:"balances"`
		} `json:"wallets"`
	}
	if err := s.d.Strongroom(ctx, client, &list, "wallet", "list"); err != nil {
		return "", err
	}
	found := map[string]bool{}
	for _, w := range list.Wallets {
		for _, b := range w.Balances {
			if b.Account == client.Name+"-main" {
				found[w.Wallet+"/"+b.Confirmed.Amount] = true
			}
		}
	}
	for _, amount := range want {
		if !found[amount] {
			return amount, nil
		}
	}
	return "", nil
}

func (s *scene) withdrawals(ctx context.Context) error {
	d := s.d
	steps := []func() error{
		func() error { return s.allowed(ctx, s.plan("small bitcoin", 0, d.BTC, "0.015 BTC")) },
		func() error { return s.allowed(ctx, s.plan("small token", 0, d.USDX, "250 USDX")) },
		func() error { return s.allowed(ctx, s.plan("small ether", 1, d.ETH, "0.25 ETH")) },
		func() error { return s.approved(ctx, s.plan("large bitcoin", 0, d.BTC, "0.5 BTC"), "alice", "bob") },
		func() error { return s.approved(ctx, s.plan("large ether", 0, d.ETH, "3 ETH"), "bob", "carol") },
		func() error { return s.approved(ctx, s.plan("large token", 0, d.USDX, "5000 USDX"), "alice", "carol") },
		func() error { return s.rejected(ctx, s.plan("rejected", 1, d.BTC, "0.4 BTC")) },
		func() error { return s.outsider(ctx) },
		func() error {
			return s.denied(ctx, s.plan("beyond the daily limit", 1, d.BTC, "1.9 BTC"), "limit btc-day")
		},
		func() error { return s.contractCall(ctx) },
		func() error { return s.screened(ctx) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// allowed is a withdrawal that a rule lets through by itself.
func (s *scene) allowed(ctx context.Context, p plan) error {
	begin := time.Now()
	var row Row
	err := s.Step(fmt.Sprintf("%s asks for %s: the rule lets it through", p.client.Name, p.amount), nil, func() error {
		got, err := s.ask(ctx, p)
		if err != nil {
			return err
		}
		row, err = s.confirm(ctx, p, got.ID, begin)
		return err
	})
	if err == nil {
		s.Say("confirmed in %s, rule %s, signed by %s", clip(row.TxID), row.Rule, strings.Join(row.Signers, " and "))
	}
	return err
}

// approved is a withdrawal that waits for officers, who list, read and approve it.
func (s *scene) approved(ctx context.Context, p plan, officers ...string) error {
	begin := time.Now()
	var row Row
	err := s.Step(fmt.Sprintf("%s asks for %s: it waits for 2 of 3 officers", p.client.Name, p.what()), nil, func() error {
		got, err := s.ask(ctx, p)
		if err != nil {
			return err
		}
		if got.State != "awaiting-approval" {
			return fmt.Errorf("%s: expected awaiting-approval, found %s", got.ID, got.State)
		}
		for _, name := range officers {
			if err := s.decide(ctx, name, got.IntentDigest, p); err != nil {
				return err
			}
		}
		row, err = s.confirm(ctx, p, got.ID, begin)
		return err
	})
	if err != nil {
		return err
	}
	for _, name := range officers {
		if !slices.Contains(row.Approvers, name) {
			return fmt.Errorf("%s: expected approvals of %v, found %v", row.Withdrawal, officers, row.Approvers)
		}
	}
	s.Say("approved by %s; confirmed in %s, signed by %s", strings.Join(row.Approvers, " and "), clip(row.TxID), strings.Join(row.Signers, " and "))
	return nil
}

// officer returns the officer of that name.
func (s *scene) officer(name string) *devnet.Person {
	i := slices.IndexFunc(s.d.Officers, func(p *devnet.Person) bool { return p.Name == name })
	return s.d.Officers[i]
}

// decide lists the inbox, reads the intent and approves it with the amount typed.
func (s *scene) decide(ctx context.Context, name, digest string, p plan) error {
	officer := s.officer(name)
	if err := s.inInbox(ctx, officer, digest); err != nil {
		return err
	}
	var shown struct {
		Totals []struct {
			Amount string `json:"amount"`
		} `json:"totals"`
		Words []string `json:"words"`
	}
	if err := s.d.Strongroom(ctx, officer, &shown, "show", digest); err != nil {
		return err
	}
	if len(shown.Totals) != 1 || shown.Totals[0].Amount != p.amount || len(shown.Words) != 12 {
		return fmt.Errorf("%s: expected to be shown %s and 12 words, found %v", name, p.amount, shown)
	}
	return s.d.Strongroom(ctx, officer, nil, "approve", digest, "--amount", p.amount)
}

func (s *scene) inInbox(ctx context.Context, officer *devnet.Person, digest string) error {
	var inbox struct {
		Intents []struct {
			Digest string `json:"digest"`
		} `json:"intents"`
	}
	if err := s.d.Strongroom(ctx, officer, &inbox, "inbox"); err != nil {
		return err
	}
	for _, i := range inbox.Intents {
		if i.Digest == digest {
			return nil
		}
	}
	return fmt.Errorf("%s: expected intent %s in the inbox, found %d others", officer.Name, digest, len(inbox.Intents))
}

// rejected is a withdrawal that one officer approves and another rejects; the rejection goes to every signer directly.
func (s *scene) rejected(ctx context.Context, p plan) error {
	begin := time.Now()
	var recorded struct {
		RecordedBy []string `json:"recorded_by"`
	}
	err := s.Step(fmt.Sprintf("%s asks for %s: one officer approves, another rejects", p.client.Name, p.amount), nil, func() error {
		got, err := s.ask(ctx, p)
		if err != nil {
			return err
		}
		if err := s.decide(ctx, "alice", got.IntentDigest, p); err != nil {
			return err
		}
		if err := s.d.Strongroom(ctx, s.officer("bob"), &recorded, "reject", got.IntentDigest, "--reason", "the client did not call back"); err != nil {
			return err
		}
		w, err := s.w.await(ctx, "withdrawals/"+got.ID, "rejected")
		if err != nil {
			return err
		}
		_, err = s.finish(p, w, begin)
		return err
	})
	if err != nil {
		return err
	}
	for _, n := range s.d.Signers() {
		if !slices.Contains(recorded.RecordedBy, n.Name) {
			return fmt.Errorf("expected the rejection to be recorded by %s, found %v", n.Name, recorded.RecordedBy)
		}
	}
	s.Say("rejected; recorded by %s", strings.Join(recorded.RecordedBy, ", "))
	return nil
}

func (s *scene) outsider(ctx context.Context) error {
	p := s.plan("not in the address book", 0, s.d.BTC, "0.01 BTC")
	var err error
	if p.to, err = s.d.Outsider(); err != nil {
		return err
	}
	return s.denied(ctx, p, "whitelist")
}

// denied is a withdrawal that is refused at once, with the rule named.
func (s *scene) denied(ctx context.Context, p plan, rule string) error {
	begin := time.Now()
	var got created
	err := s.Step(fmt.Sprintf("%s asks for %s, %s: refused", p.client.Name, p.what(), p.title), nil, func() error {
		var err error
		if got, err = s.ask(ctx, p); err != nil {
			return err
		}
		if got.State != "denied" {
			return fmt.Errorf("%s: expected denied, found %s", got.ID, got.State)
		}
		w, err := s.w.await(ctx, "withdrawals/"+got.ID, "denied")
		if err != nil {
			return err
		}
		_, err = s.finish(p, w, begin)
		return err
	})
	if err != nil {
		return err
	}
	for _, r := range got.Refusals {
		if r.Rule == rule {
			s.Say("%s: %s: expected %s, found %s", r.Rule, r.Field, r.Expected, r.Found)
			return nil
		}
	}
	return fmt.Errorf("%s: expected a refusal by %q, found %+v", got.ID, rule, got.Refusals)
}
