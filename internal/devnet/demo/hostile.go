package demo

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/config/genesis"
	"github.com/strongroom/strongroom/internal/coordinator"
	"github.com/strongroom/strongroom/internal/devnet"
	"github.com/strongroom/strongroom/internal/devnet/hostile"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// hostile lets somebody else sit at the coordinator's place, with its key, and ask the signers for what nobody approved.
func (s *scene) hostile(ctx context.Context) error {
	genesis, err := os.ReadFile(s.d.Genesis())
	if err != nil {
		return err
	}
	inForce, err := s.w.charter(ctx, genesis)
	if err != nil {
		return err
	}
	if err := s.d.StopCoordinator(); err != nil {
		return err
	}
	conf, err := s.hostileConfig(inForce)
	if err != nil {
		return err
	}
	c, err := hostile.New(ctx, conf)
	if err != nil {
		return err
	}
	defer c.Close()
	var attacks []hostile.Attack
	err = s.Step("invented requests, altered transactions, forged certificates, one intent for two pairs of signers, a device that is left out", nil, func() error {
		attacks, err = c.Run(ctx, func(line string) { s.Say("%s", line) })
		return err
	})
	for _, a := range attacks {
		if !a.Signed { // the honest payment beside the attacks is no attack
			s.noteAttack(a)
		}
	}
	if err != nil {
		return err
	}
	return s.honestPayments(ctx, attacks)
}

func (s *scene) noteAttack(a hostile.Attack) {
	row := Attack{Name: a.Name, Refusals: map[string]string{}}
	for name, f := range a.Refusals {
		row.Refusals[string(name)] = f.String()
	}
	s.report.Attacks = append(s.report.Attacks, row)
}

// honestPayments puts the transactions that were rightly signed on the way into blocks and into the report.
func (s *scene) honestPayments(ctx context.Context, attacks []hostile.Attack) error {
	signed := 0
	for _, a := range attacks {
		if a.Broadcast == nil {
			continue
		}
		signed++
		if _, err := s.d.Bitcoin.Mine(ctx, 1); err != nil {
			return err
		}
		id, err := chainhash.NewHashFromStr(a.Broadcast.TxID)
		if err != nil {
			return err
		}
		found, err := s.d.Bitcoin.Node().Transaction(ctx, *id)
		if err != nil {
			return err
		}
		t, err := bitcoinReport(ctx, s.d, found.Tx, found.Raw, a.Broadcast.Paper.Request)
		if err != nil {
			return err
		}
		if t.Raw != hex.EncodeToString(a.Broadcast.Raw) || found.Confirmations < 1 {
			return fmt.Errorf("%s: expected it in a block as it was signed, found %d confirmations", t.TxID, found.Confirmations)
		}
		s.report.Transactions = append(s.report.Transactions, t)
	}
	if signed != 1 {
		return fmt.Errorf("expected one honest payment beside the attacks, found %d", signed)
	}
	return nil
}

// hostileConfig gathers what a compromised coordinator has, and the keys of honest people who sign an honest request. It has no keys of authorities:
// attacks on statements alter an EVM transfer that authorities cleared, and the devnet has only bitcoin payments cleared. Package hostile's own tests
// run them.
func (s *scene) hostileConfig(inForce *charter.Charter) (hostile.Config, error) {
	c := hostile.Config{Charter: inForce, Signers: map[canon.Name]string{}, Pool: s.d.Pools(), Bitcoin: s.d.Bitcoin.Node(), EVM: s.d.EVM.Node(),
		Officers: map[canon.Name]approval.Signer{}, Devices: map[canon.Name]tls.Certificate{}}
	text, err := os.ReadFile(s.d.Book())
	if err != nil {
		return c, err
	}
	entries, err := genesis.ReadBook(text, s.d.Charter.Genesis().Chains)
	if err != nil {
		return c, err
	}
	if c.Book, err = book.Build(entries); err != nil {
		return c, err
	}
	if c.TLS, err = certificate(s.d.CoordinatorKey()); err != nil {
		return c, err
	}
	c.Prices = s.prices
	for _, n := range s.d.Signers() {
		c.Signers[canon.Name(n.Name)] = n.Address
	}
	if c.Client, err = signingKey(s.d.Clients[0]); err != nil {
		return c, err
	}
	for _, o := range s.d.Officers {
		if c.Officers[canon.Name(o.Name)], err = signingKey(o); err != nil {
			return c, err
		}
		if c.Devices[canon.Name(o.Name)], err = certificate(filepath.Join(o.Dir, "tls.key")); err != nil {
			return c, err
		}
	}
	return c, nil
}

// prices asks the authority that states them, as the coordinator does.
func (s *scene) prices(ctx context.Context) ([]canon.Signed, error) {
	authority := s.d.Authority("prices")
	cert, err := certificate(s.d.CoordinatorKey())
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(authority.TLS)
	if err != nil || len(key) != len(canon.PublicKey{}) {
		return nil, fmt.Errorf("authority %s: expected a TLS key of 32 bytes in hexadecimal, found %q", authority.Name, authority.TLS)
	}
	conn, err := rpc.Dial(authority.Address, rpc.ClientTLS(cert, canon.PublicKey(key)), 0)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	var out []canon.Signed
	for _, source := range s.d.Charter.Genesis().Prices {
		got, err := strongroomv1.NewAuthorityServiceClient(conn).StatePrice(ctx, &strongroomv1.StatePriceRequest{Asset: string(source.Asset), Currency: string(source.Currency)})
		if err != nil {
			return nil, err
		}
		p := got.GetPrice()
		out = append(out, canon.Signed{Document: p.GetDocument(), Scheme: canon.Scheme(p.GetScheme()), Signature: p.GetSignature()})
	}
	return out, nil
}

func certificate(path string) (tls.Certificate, error) {
	key, err := coordinator.LoadKey(path)
	if err != nil {
		return tls.Certificate{}, err
	}
	return rpc.Certificate(key)
}

// signingKey opens a person's key with the passphrase beside it.
func signingKey(p *devnet.Person) (approval.Signer, error) {
	passphrase, err := config.Secret(filepath.Join(p.Dir, "passphrase"))
	if err != nil {
		return nil, err
	}
	pem, err := config.Secret(filepath.Join(p.Dir, "key"))
	if err != nil {
		return nil, err
	}
	return approval.LoadKeyFile(append(pem, '\n'), passphrase)
}
