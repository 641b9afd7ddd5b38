package demo

import (
	"context"
	"fmt"
	"math/big"
	"strings"

	geth "github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/ethclient"

	"github.com/strongroom/strongroom/internal/devnet"
	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// The one contract call that the charter lists, and how much of the token it allows here.
const (
	deskCall   = "desk-allowance"
	deskAmount = "100 USDX"
	deskUnits  = 100_000_000
)

// contractCall lets the desk take some of a client's token: officers approve the transaction as it is. Another spender is refused.
func (s *scene) contractCall(ctx context.Context) error {
	spender, err := s.spender()
	if err != nil {
		return err
	}
	p := s.plan("contract call", 0, s.d.USDX, deskAmount)
	p.call, p.arguments = deskCall, []string{spender.Hex(), deskAmount}
	if err := s.approved(ctx, p, "alice", "bob"); err != nil {
		return err
	}
	if err := s.mayTake(ctx, p, spender, deskUnits); err != nil {
		return err
	}
	other := common.HexToAddress(s.d.Payee(p.client.Name, s.d.ETH))
	p.title, p.arguments = "call for another spender", []string{other.Hex(), deskAmount}
	if err := s.denied(ctx, p, "contract-call"); err != nil {
		return err
	}
	row := s.report.Rows[len(s.report.Rows)-1]
	if !strings.Contains(strings.Join(row.Refusals, "\n"), "call.arguments[0]") {
		return fmt.Errorf("%s: expected a refusal that names call.arguments[0], found %v", row.Withdrawal, row.Refusals)
	}
	return s.mayTake(ctx, p, other, 0)
}

// spender returns the one address that the charter lets the call name.
func (s *scene) spender() (common.Address, error) {
	for _, c := range s.d.Charter.Genesis().Calls {
		if c.Name == deskCall && len(c.Arguments) == 2 && len(c.Arguments[0].Values) == 1 {
			return common.BytesToAddress(c.Arguments[0].Values[0]), nil
		}
	}
	return common.Address{}, fmt.Errorf("expected call %s with one spender in the charter, found none", deskCall)
}

// mayTake asks the token what the spender may take of the client's.
func (s *scene) mayTake(ctx context.Context, p plan, spender common.Address, want int64) error {
	owner, ok := s.d.Deposit("evm-hot", p.client.Name+"-main")
	contract, isToken := s.d.USDX.Contract()
	if !ok || !isToken {
		return fmt.Errorf("expected an address of %s and a token, found none", p.client.Name)
	}
	f, err := ethereum.ParseSignature("allowance(address,address)")
	if err != nil {
		return err
	}
	call := ethereum.ContractCall{Selector: f.Selector, Words: [][32]byte{wordOf(common.HexToAddress(owner)), wordOf(spender)}}
	client, err := ethclient.DialContext(ctx, s.d.EVM.Config().URL)
	if err != nil {
		return err
	}
	defer client.Close()
	to := common.Address(contract)
	out, err := client.CallContract(ctx, geth.CallMsg{To: &to, Data: call.Data()}, nil)
	if err != nil {
		return err
	}
	if found := new(big.Int).SetBytes(out); len(out) != 32 || found.Cmp(big.NewInt(want)) != 0 {
		return fmt.Errorf("allowance of %s: expected %d, found %s", spender, want, found)
	}
	return nil
}

func wordOf(a common.Address) [32]byte { return [32]byte(common.LeftPadBytes(a[:], 32)) }

// callReport describes the contract call of a request for the check by other libraries.
func callReport(d *devnet.Devnet, request canon.Request) (*Call, error) {
	m, err := policy.CallOf(d.Charter, &request)
	if err != nil {
		return nil, err
	}
	c := &Call{Contract: fmt.Sprintf("0x%x", request.Call.To), Signature: m.Function.String(), Arguments: []string{}, Value: request.Call.Value.Int().String()}
	for i, kind := range m.Function.Types {
		c.Arguments = append(c.Arguments, kind.Text(m.Call.Words[i]))
	}
	return c, nil
}
