package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/devnet"
	"github.com/strongroom/strongroom/internal/devnet/process"
	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// scene is one run of the demonstration.
type scene struct {
	*devnet.Progress
	d      *devnet.Devnet
	w      *watcher
	report *Report
	count  int
}

// Play runs the whole main job on a fresh devnet and returns what happened. Anything that is not as it should be is an error; the report
// then says how far it came.
func Play(ctx context.Context, d *devnet.Devnet) (*Report, error) {
	begin := time.Now()
	s := &scene{Progress: d.Progress, d: d, report: &Report{Organisation: d.Charter.Organisation().String()}}
	w, err := newWatcher(d)
	if err != nil {
		return s.report, err
	}
	defer w.conn.Close()
	s.w = w
	acts := []struct {
		title string
		play  func(context.Context) error
	}{
		{"A key that nobody ever has whole, and addresses that every signer derives by itself", s.keysAndAddresses},
		{"Withdrawals: allowed by a rule, approved by officers, rejected, refused", s.withdrawals},
		{"A signer dies; the coordinator dies between signed and broadcast", s.faults},
		{"A new address, its cool-down and its end", s.addressBook},
		{"Officers change the charter: a veto, a delay, a freeze and its end", s.charterChanges},
		{"Client assets stay away from the network: a band, its breach and a sweep", s.treasury},
		{"A token signs beside the MPC key: neither is enough", s.vault},
		{"A hostile coordinator talks to the signers directly", s.hostile},
	}
	for i, a := range acts {
		s.Title("%d. %s", i+2, a.title)
		if err := a.play(ctx); err != nil {
			return s.report, err
		}
	}
	s.report.Seconds = seconds(time.Since(begin))
	return s.report, nil
}

// Treasury plays that part alone on a fresh devnet, and returns what happened.
func Treasury(ctx context.Context, d *devnet.Devnet) (*Report, error) {
	s := &scene{Progress: d.Progress, d: d, report: &Report{Organisation: d.Charter.Organisation().String()}}
	w, err := newWatcher(d)
	if err != nil {
		return s.report, err
	}
	defer w.conn.Close()
	s.w = w
	if err := s.keysAndAddresses(ctx); err != nil {
		return s.report, err
	}
	return s.report, s.treasury(ctx)
}

// plan is a withdrawal that a client asks for.
type plan struct {
	title  string
	client *devnet.Person
	asset  canon.AssetID
	to     string
	amount string
	fee    string
	wallet string // empty: the hot wallet of the asset's chain

	call      string // of the charter, made instead of a payment
	arguments []string
}

// what says what the client asks for.
func (p plan) what() string {
	if p.call != "" {
		return "call " + p.call + " for " + p.amount
	}
	return p.amount
}

func (s *scene) plan(title string, client int, asset canon.AssetID, amount string) plan {
	p := plan{title: title, client: s.d.Clients[client], asset: asset, amount: amount, fee: "0.0005 BTC"}
	p.to = s.d.Payee(p.client.Name, asset)
	if asset != s.d.BTC {
		p.fee = "0.01 ETH"
	}
	return p
}

// created is what `strongroom withdraw --json` prints, as far as it is needed.
type created struct {
	ID           string `json:"id"`
	State        string `json:"state"`
	IntentDigest string `json:"intent_digest"`
	Refusals     []struct {
		Rule     string `json:"rule"`
		Field    string `json:"field"`
		Expected string `json:"expected"`
		Found    string `json:"found"`
	} `json:"refusals"`
}

// ask signs a request with the client's key and sends it, by the tool. A denied withdrawal is a result, not an error.
func (s *scene) ask(ctx context.Context, p plan) (created, error) {
	s.count++
	args := []string{"withdraw", "--wallet", s.wallet(p), "--account", p.client.Name + "-main", "--fee-cap", p.fee, "--request-id", fmt.Sprintf("demo-%d", s.count)}
	if p.call == "" {
		args = append(args, "--to", p.to, "--amount", p.amount)
	} else {
		args = append(args, "--call", p.call)
		for _, a := range p.arguments {
			args = append(args, "--arg", a)
		}
	}
	var got created
	err := s.d.Strongroom(ctx, p.client, &got, args...)
	var code *process.CommandError
	if errors.As(err, &code) && code.Code == exitRefused && got.State == "denied" {
		err = nil
	}
	return got, err
}

// wallet returns what the plan is paid from.
func (s *scene) wallet(p plan) string {
	switch {
	case p.wallet != "":
		return p.wallet
	case p.asset == s.d.BTC:
		return "btc-hot"
	}
	return "evm-hot"
}

// exitRefused is the exit code of `strongroom` when something was refused.
const exitRefused = 3

// finish notes a withdrawal in the report.
func (s *scene) finish(p plan, w *strongroomv1.Withdrawal, begin time.Time) (Row, error) {
	row := Row{Title: p.title, Withdrawal: w.GetName(), State: w.GetState(), Amount: p.amount, Asset: string(p.asset), TxID: w.GetTxid(), Rule: w.GetRule(),
		Signers: w.GetSignedBy(), Seconds: seconds(time.Since(begin))}
	for _, signed := range w.GetApprovals() {
		var a canon.Approval
		if err := canon.Decode(signed.GetDocument(), &a); err != nil {
			return row, err
		}
		row.Approvers = append(row.Approvers, string(a.Officer))
	}
	for _, r := range w.GetRefusals() {
		row.Refusals = append(row.Refusals, refusalText(r))
	}
	s.report.Rows = append(s.report.Rows, row)
	return row, nil
}

// confirm waits until a withdrawal is confirmed, and checks it on its chain, amount by amount.
func (s *scene) confirm(ctx context.Context, p plan, id string, begin time.Time) (Row, error) {
	w, err := s.w.await(ctx, "withdrawals/"+id, "confirmed")
	if err != nil {
		return Row{}, err
	}
	t, err := onChain(ctx, s.d, w)
	if err != nil {
		return Row{}, err
	}
	s.report.Transactions = append(s.report.Transactions, t)
	if p.asset != s.d.BTC && p.call == "" {
		if err := received(ctx, s.d, s.report, p.asset, p.to); err != nil {
			return Row{}, err
		}
	}
	row, err := s.finish(p, w, begin)
	if err != nil {
		return row, err
	}
	holders := slices.DeleteFunc(slices.Clone(row.Signers), func(name string) bool { return name == s.d.Vault.Name })
	if len(holders) != 2 || (len(row.Signers) > len(holders)) != s.guarded(p) {
		return row, fmt.Errorf("%s: expected two signers, and the vault where its token must sign, found %v", id, row.Signers)
	}
	return row, nil
}
