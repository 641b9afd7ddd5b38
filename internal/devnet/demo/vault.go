package demo

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"google.golang.org/grpc"

	"github.com/strongroom/strongroom/internal/devnet"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// guarded reports whether the plan is paid from a wallet for which the vault's token must sign.
func (s *scene) guarded(p plan) bool {
	return p.wallet == devnet.BTCVault || p.wallet == devnet.ETHVault
}

// vault spends from wallets that need the MPC key and a token: with both, without the token, and without enough holders of the MPC key.
func (s *scene) vault(ctx context.Context) error {
	if err := s.stockVault(ctx); err != nil {
		return err
	}
	bitcoin, ether := s.vaultPlan("MPC and HSM, bitcoin", "0.01 BTC"), s.vaultPlan("MPC and HSM, ether", "0.2 ETH")
	for _, p := range []plan{bitcoin, ether} {
		if err := s.allowed(ctx, p); err != nil {
			return err
		}
	}
	if err := s.withoutToken(ctx, s.vaultPlan("HSM stopped, then started, bitcoin", "0.011 BTC"), s.vaultPlan("HSM stopped, then started, ether", "0.21 ETH")); err != nil {
		return err
	}
	return s.withoutHolders(ctx, s.vaultPlan("HSM signed, MPC nodes stopped, then started", "0.012 BTC"))
}

func (s *scene) vaultPlan(title, amount string) plan {
	asset, wallet := s.d.BTC, devnet.BTCVault
	if strings.HasSuffix(amount, "ETH") {
		asset, wallet = s.d.ETH, devnet.ETHVault
	}
	p := s.plan(title, 0, asset, amount)
	p.wallet = wallet
	return p
}

// stockVault makes addresses, which the vault attests besides two holders of the MPC key, and pays to them.
func (s *scene) stockVault(ctx context.Context) error {
	for _, wallet := range []string{devnet.BTCVault, devnet.ETHVault} {
		if err := s.address(ctx, s.d.Clients[0], wallet); err != nil {
			return err
		}
	}
	return s.Step("deposits to these addresses", nil, func() error {
		address, _ := s.d.Deposit(devnet.BTCVault, "acme-main")
		for range 3 {
			if _, err := s.d.Bitcoin.Fund(ctx, address, bitcoin/2); err != nil {
				return err
			}
		}
		evm, _ := s.d.Deposit(devnet.ETHVault, "acme-main")
		if _, err := s.d.EVM.Fund(ctx, common.HexToAddress(evm), new(big.Int).Mul(big.NewInt(10), big.NewInt(1e18))); err != nil {
			return err
		}
		return s.holds(ctx, s.d.Clients[0], devnet.BTCVault+"/1.5 BTC", devnet.ETHVault+"/10 ETH")
	})
}

// withoutToken stops the signer with the token: withdrawals wait, and say for which device, until it is there again.
func (s *scene) withoutToken(ctx context.Context, plans ...plan) error {
	vault := s.d.Vault
	if err := s.Step(vault.Name+" is stopped", nil, func() error { return s.d.StopNode(vault) }); err != nil {
		return err
	}
	asked, begin := make([]created, len(plans)), time.Now()
	for i, p := range plans {
		var w *strongroomv1.Withdrawal
		err := s.Step(fmt.Sprintf("%s asks for %s from %s: it waits for the device", p.client.Name, p.amount, p.wallet), nil, func() (err error) {
			if asked[i], err = s.ask(ctx, p); err != nil {
				return err
			}
			w, err = s.w.until(ctx, asked[i].ID, "to wait for device "+vault.Name, func(w *strongroomv1.Withdrawal) bool { return waitsFor(w, vault.Name) })
			if err == nil {
				err = unsigned(w)
			}
			return err
		})
		if err != nil {
			return err
		}
		s.Say("%s%s", w.GetState(), refusals(w.GetRefusals()))
	}
	if err := s.Step(vault.Name+" is started again: both go through", nil, func() error {
		if err := s.d.StartNode(ctx, vault); err != nil {
			return err
		}
		for i, p := range plans {
			if _, err := s.confirm(ctx, p, asked[i].ID, begin); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	for _, row := range s.report.Rows[len(s.report.Rows)-len(plans):] {
		s.Say("%s confirmed in %s, signed by %s", row.Amount, clip(row.TxID), strings.Join(row.Signers, ", "))
	}
	return nil
}

// waitsFor reports whether a withdrawal says that it waits for a device.
func waitsFor(w *strongroomv1.Withdrawal, device string) bool {
	return slices.ContainsFunc(w.GetRefusals(), func(r *strongroomv1.Refusal) bool {
		return r.GetRule() == "device" && strings.Contains(r.GetFound(), device)
	})
}

func unsigned(w *strongroomv1.Withdrawal) error {
	if w.GetTxid() != "" || len(w.GetSignedTransaction()) > 0 {
		return fmt.Errorf("%s: expected no signed transaction, found %s", w.GetName(), w.GetTxid())
	}
	return nil
}

// withoutHolders kills the coordinator when the token has signed, and stops all holders of the MPC key but one: what the token signed is worth nothing.
func (s *scene) withoutHolders(ctx context.Context, p plan) error {
	begin := time.Now()
	const satoshi = 1_200_000
	stopped := s.d.Nodes[1:]
	var got created
	err := s.Step(fmt.Sprintf("%s asks for %s: the token signs, then all holders of the MPC key but one are stopped", p.client.Name, p.amount), nil, func() (err error) {
		got, err = s.signedByToken(ctx, p)
		for _, n := range stopped {
			if err == nil {
				err = s.d.StopNode(n)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	err = s.Step("the coordinator tries again: nothing is signed, nothing is broadcast", nil, func() error { return s.fails(ctx, p, got.ID, satoshi) })
	if err != nil {
		return err
	}
	var row Row
	err = s.Step("they are started again: it goes through, once", nil, func() error {
		for _, n := range stopped {
			if err := s.d.StartNode(ctx, n); err != nil {
				return err
			}
		}
		if row, err = s.confirm(ctx, p, got.ID, begin); err != nil {
			return err
		}
		return s.payments(ctx, p, satoshi, 1)
	})
	if err == nil {
		s.Say("confirmed in %s, signed by %s", clip(row.TxID), strings.Join(row.Signers, ", "))
	}
	return err
}

// fails has the coordinator take a withdrawal up again, in vain.
func (s *scene) fails(ctx context.Context, p plan, id string, satoshi int64) error {
	if err := s.d.RestartCoordinator(ctx, ""); err != nil {
		return err
	}
	if err := s.d.CoordinatorSays(ctx, id, "holders"); err != nil {
		return err
	}
	w, err := s.w.until(ctx, id, "to be signing", func(w *strongroomv1.Withdrawal) bool { return w.GetState() == "signing" })
	if err != nil {
		return err
	}
	return errors.Join(unsigned(w), s.payments(ctx, p, satoshi, 0))
}

// signedByToken asks for a withdrawal that the token signs; the coordinator dies before it asks the holders of the MPC key.
func (s *scene) signedByToken(ctx context.Context, p plan) (created, error) {
	before, err := s.committed(ctx, p.wallet)
	if err != nil {
		return created{}, err
	}
	if err := s.d.RestartCoordinator(ctx, "attempt"); err != nil {
		return created{}, err
	}
	got, err := s.ask(ctx, p)
	if err != nil {
		return got, err
	}
	if err := s.d.CoordinatorKilled(ctx); err != nil {
		return got, err
	}
	after, err := s.committed(ctx, p.wallet)
	if err == nil && after <= before {
		err = fmt.Errorf("%s: expected more than %d signatures on its record, found %d", s.d.Vault.Name, before, after)
	}
	return got, err
}

// committed asks the vault how many signatures of its token for the wallet it has put on record.
func (s *scene) committed(ctx context.Context, wallet string) (uint64, error) {
	member, _ := s.d.Charter.Signer(canon.Name(s.d.Vault.Name))
	cert, err := certificate(s.d.CoordinatorKey())
	if err != nil {
		return 0, err
	}
	conn, err := rpc.Dial(s.d.Vault.Address, rpc.ClientTLS(cert, member.Identity), 0)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	status, err := strongroomv1.NewSignerServiceClient(conn).GetSignerStatus(ctx, &strongroomv1.GetSignerStatusRequest{}, grpc.WaitForReady(true))
	if err != nil {
		return 0, err
	}
	for _, d := range status.GetDevices() {
		if d.GetWallet() == wallet {
			return d.GetCommitted(), nil
		}
	}
	return 0, fmt.Errorf("%s: expected a token for wallet %s, found none", s.d.Vault.Name, wallet)
}
