package demo

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/strongroom/strongroom/internal/devnet"
	"github.com/strongroom/strongroom/internal/devnet/process"
)

// table is what `strongroom treasury show --json` prints, as far as it is needed.
type table struct {
	Lines []struct {
		Asset        string `json:"asset"`
		Hot          string `json:"hot"`
		Warm         string `json:"warm"`
		Cold         string `json:"cold"`
		Total        string `json:"total"`
		SharePermill uint64 `json:"share_permill"`
		MaxPermill   uint64 `json:"max_permill"`
		Breached     bool   `json:"breached"`
	} `json:"lines"`
	StatedBy []string `json:"stated_by"`
	Missing  string   `json:"missing"`
	Breached bool     `json:"breached"`
}

// exitBreached is the exit code of `strongroom treasury show` when a band is breached.
const exitBreached = 2

// treasury lets the hot wallet outgrow its band: nothing more may come in from colder wallets, a sweep is proposed, approved and signed, and the band
// holds again.
func (s *scene) treasury(ctx context.Context) error {
	if err := s.stock(ctx); err != nil {
		return err
	}
	if err := s.allocated(ctx, "how client assets lie in hot, warm and cold wallets, by what signers see on the chains themselves", "9 BTC", false); err != nil {
		return err
	}
	if err := s.Step("a deposit of 12 BTC: the hot wallet outgrows its band", nil, func() error {
		address, _ := s.d.Deposit("btc-hot", "acme-main")
		_, err := s.d.Bitcoin.Fund(ctx, address, 12*bitcoin)
		return err
	}); err != nil {
		return err
	}
	if err := s.allocated(ctx, "the table shows the breach, and exit code 2", "9 BTC", true); err != nil {
		return err
	}
	if err := s.refilled(ctx); err != nil {
		return err
	}
	if err := s.swept(ctx); err != nil {
		return err
	}
	return s.allocated(ctx, "the band holds again", "", false)
}

const bitcoin = 100_000_000 // satoshi

// stock makes addresses in warm and cold wallets and pays to them.
func (s *scene) stock(ctx context.Context) error {
	acme := s.d.Clients[0]
	for _, wallet := range []string{"btc-warm", "btc-cold", "evm-cold"} {
		if err := s.address(ctx, acme, wallet); err != nil {
			return err
		}
	}
	return s.Step("deposits to warm and cold wallets", nil, func() error {
		for wallet, satoshi := range map[string]int64{"btc-warm": bitcoin, "btc-cold": 8 * bitcoin} {
			address, _ := s.d.Deposit(wallet, "acme-main")
			if _, err := s.d.Bitcoin.Fund(ctx, address, satoshi); err != nil {
				return err
			}
		}
		address, _ := s.d.Deposit("evm-cold", "acme-main")
		_, err := s.d.EVM.Fund(ctx, common.HexToAddress(address), new(big.Int).Mul(big.NewInt(60), big.NewInt(1e18)))
		return err
	})
}

// look prints the table as the operator. A breach is a result.
func (s *scene) look(ctx context.Context) (table, error) {
	var t table
	err := s.d.Strongroom(ctx, s.d.Operator, &t, "treasury", "show")
	var code *process.CommandError
	if errors.As(err, &code) && (code.Code == exitBreached && t.Breached || t.Missing != "") {
		err = nil
	}
	return t, err
}

// allocated waits until the table shows a breach or none, with so much bitcoin outside hot wallets; empty for any.
func (s *scene) allocated(ctx context.Context, heading, away string, breached bool) error {
	var t table
	err := s.Step(heading, nil, func() error {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		for {
			var err error
			if t, err = s.look(ctx); err != nil {
				return err
			}
			if t.Missing == "" && t.Breached == breached && len(t.StatedBy) >= 2 && (away == "" || t.away(string(s.d.BTC)) == away) {
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("expected breached %v with %s away from hot wallets, found %+v: %w", breached, away, t, ctx.Err())
			case <-time.After(500 * time.Millisecond):
			}
		}
	})
	if err != nil {
		return err
	}
	for _, l := range t.Lines {
		mark := ""
		if l.Breached {
			mark = "  BREACHED"
		}
		most := ""
		if l.MaxPermill > 0 {
			most = fmt.Sprintf(", at most %d.%d %%", l.MaxPermill/10, l.MaxPermill%10)
		}
		s.Say("hot %s, warm %s, cold %s: %d.%d %% hot%s%s", l.Hot, l.Warm, l.Cold, l.SharePermill/10, l.SharePermill%10, most, mark)
	}
	return nil
}

// away returns what lies in warm and cold wallets of an asset, if these are whole numbers of its units.
func (t table) away(asset string) string {
	for _, l := range t.Lines {
		if l.Asset != asset {
			continue
		}
		var warm, cold int
		var unit string
		if _, err := fmt.Sscanf(l.Warm+" "+l.Cold, "%d %s %d", &warm, &unit, &cold); err == nil {
			return fmt.Sprintf("%d %s", warm+cold, unit)
		}
	}
	return ""
}

// refilled is a move towards the network while the band does not hold: the policy denies it.
func (s *scene) refilled(ctx context.Context) error {
	begin := time.Now()
	p := plan{title: "refill of a hot wallet beyond its band", client: s.d.Desk, asset: s.d.BTC, amount: "0.5 BTC", fee: "0.0005 BTC"}
	var got created
	err := s.Step("the treasury desk asks to move 0.5 BTC from warm to hot: refused", nil, func() error {
		var err error
		if got, err = s.move(ctx, "move", "--account", "acme-main", "--from-wallet", "btc-warm", "--to-wallet", "btc-hot", "--amount", p.amount, "--fee-cap", p.fee); err != nil {
			return err
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
		if r.Rule == "allocation" {
			s.Say("%s: %s: expected %s, found %s", r.Rule, r.Field, r.Expected, r.Found)
			return nil
		}
	}
	return fmt.Errorf("%s: expected a refusal by the allocation, found %+v", got.ID, got.Refusals)
}

// move has the desk ask for a move. A denied one is a result.
func (s *scene) move(ctx context.Context, args ...string) (created, error) {
	s.count++
	var got created
	err := s.d.Strongroom(ctx, s.d.Desk, &got, append(args, "--request-id", fmt.Sprintf("demo-%d", s.count))...)
	var code *process.CommandError
	if errors.As(err, &code) && code.Code == exitRefused && got.State == "denied" {
		err = nil
	}
	return got, err
}

// swept carries out what is proposed.
func (s *scene) swept(ctx context.Context) error {
	var list struct {
		Moves []struct {
			Number  int    `json:"number"`
			Kind    string `json:"kind"`
			Account string `json:"account"`
			From    string `json:"from"`
			To      string `json:"to"`
			Amount  struct {
				Amount string `json:"amount"`
				Asset  string `json:"asset"`
			} `json:"amount"`
			FeeCap struct {
				Amount string `json:"amount"`
			} `json:"fee_cap"`
			Verdict string `json:"verdict"`
			Rule    string `json:"rule"`
		} `json:"moves"`
	}
	err := s.Step("a sweep is proposed, with its fee and what the rules will say", nil, func() error {
		if err := s.d.Strongroom(ctx, s.d.Desk, &list, "treasury", "proposals"); err != nil {
			return err
		}
		if len(list.Moves) == 0 || list.Moves[0].Kind != "sweep" || list.Moves[0].Amount.Asset != string(s.d.BTC) || list.Moves[0].Verdict != "approve" {
			return fmt.Errorf("expected a sweep of bitcoin first that officers may approve, found %+v", list.Moves)
		}
		return nil
	})
	if err != nil {
		return err
	}
	m := list.Moves[0]
	s.Say("%s of %s from %s to %s, fee at most %s; %s by rule %s", m.Kind, m.Amount.Amount, m.From, m.To, m.FeeCap.Amount, m.Verdict, m.Rule)
	p := plan{title: "sweep to cold", client: s.d.Desk, asset: s.d.BTC, amount: m.Amount.Amount, fee: m.FeeCap.Amount}
	begin := time.Now()
	var row Row
	err = s.Step("the desk signs a request for it, two officers approve, two signers sign", nil, func() error {
		got, err := s.move(ctx, "treasury", "propose", "--sweep", "1", "--account", m.Account, "--amount", m.Amount.Amount)
		if err != nil {
			return err
		}
		if got.State != "awaiting-approval" {
			return fmt.Errorf("%s: expected awaiting-approval, found %s: %+v", got.ID, got.State, got.Refusals)
		}
		for _, officer := range []string{"alice", "bob"} {
			if err := s.decide(ctx, officer, got.IntentDigest, p); err != nil {
				return err
			}
		}
		row, err = s.confirm(ctx, p, got.ID, begin)
		return err
	})
	if err == nil {
		s.Say("approved by %s; confirmed in %s, signed by %s", strings.Join(row.Approvers, " and "), clip(row.TxID), strings.Join(row.Signers, " and "))
	}
	return err
}

// screened is a payment to an address that an outside authority wants a person to look at: it is held until somebody has.
func (s *scene) screened(ctx context.Context) error {
	p := s.plan("to an exchange, screened", 1, s.d.BTC, "0.03 BTC")
	p.to = s.d.PayeeIn(p.client.Name, devnet.Exchanges)
	begin := time.Now()
	var got created
	err := s.Step(fmt.Sprintf("%s asks for %s to an address that is screened: held until a person has looked", p.client.Name, p.amount), nil, func() error {
		var err error
		if got, err = s.ask(ctx, p); err != nil {
			return err
		}
		_, err = s.w.await(ctx, "withdrawals/"+got.ID, "held")
		return err
	})
	if err != nil {
		return err
	}
	for _, r := range got.Refusals {
		s.Say("%s: %s: expected %s, found %s", r.Rule, r.Field, r.Expected, r.Found)
	}
	var row Row
	err = s.Step("a person at the authority clears it: it goes on by itself", nil, func() error {
		if err := s.d.Clear(ctx, "screening", "known exchange, account in the client's name"); err != nil {
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
