package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

type statusCommand struct {
	Config string `required:"" type:"existingfile" help:"Configuration file of the node."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// statusTimeout bounds the question to the node.
const statusTimeout = 10 * time.Second

// status is what a running node says of itself.
type status struct {
	Signer          string         `json:"signer"`
	Address         string         `json:"address"`
	LedgerLength    uint64         `json:"ledger_length"`
	LedgerHead      string         `json:"ledger_head"`
	ParametersReady bool           `json:"parameters_ready"`
	Keys            []keyStatus    `json:"keys"`
	Devices         []deviceStatus `json:"devices"`
	Charter         uint64         `json:"charter"` // number of the one in force; 0 if the node gives no word on it
	CharterDigest   string         `json:"charter_digest"`
	Hindrance       string         `json:"hindrance"` // why it promises nothing: it is joining, the charter is forked, or lists other builds
	Build           string         `json:"build"`     // SHA-256 of the executable that runs, as the node wrote it when it started; empty if it did not
}

type keyStatus struct {
	Key       string `json:"key"`
	Epoch     uint64 `json:"epoch"`
	PublicKey string `json:"public_key"`
}

type deviceStatus struct {
	Wallet     string `json:"wallet"`
	Generation uint64 `json:"generation"` // how often the token was opened since the node started
	Committed  uint64 `json:"committed"`  // signatures that the ledger has committed to
	Error      string `json:"error"`      // why the token cannot sign now; empty if it can
}

// Run asks the node under the node's own identity, which the token holds.
func (c statusCommand) Run(ctx context.Context) error { return c.run(ctx, os.Stdout) }

func (c statusCommand) run(ctx context.Context, out io.Writer) (err error) {
	config, _, err := loadConfig(c.Config)
	if err != nil {
		return err
	}
	keys, err := config.keys(ctx, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, keys.token.Close()) }()
	certificate, err := rpc.Certificate(keys.identity)
	if err != nil {
		return err
	}
	address, err := config.address()
	if err != nil {
		return err
	}
	conn, err := rpc.Dial(address, rpc.ClientTLS(certificate, canon.PublicKey(keys.identity.Ed25519())), rpc.MaxEvidence)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	r, err := strongroomv1.NewSignerServiceClient(conn).GetSignerStatus(ctx, &strongroomv1.GetSignerStatusRequest{})
	if err != nil {
		return fmt.Errorf("node at %s: %w", address, err)
	}
	s := statusOf(address, r)
	chain, err := strongroomv1.NewCharterServiceClient(conn).GetCharterChain(ctx, &strongroomv1.GetCharterChainRequest{FromNumber: math.MaxUint64})
	if err != nil {
		return fmt.Errorf("node at %s: %w", address, err)
	}
	if err := s.heed(chain.GetHead()); err != nil {
		return fmt.Errorf("node at %s: head: %w", address, err)
	}
	if s.Build, err = config.build(); err != nil {
		return err
	}
	return c.print(out, s)
}

// heed takes over what the node says of the charter in force.
func (s *status) heed(head *strongroomv1.Signed) error {
	if head == nil {
		return nil
	}
	var h canon.Head
	if err := canon.Decode(head.GetDocument(), &h); err != nil {
		return err
	}
	s.Charter, s.CharterDigest = h.Number, h.Charter.String()
	return nil
}

func statusOf(address string, r *strongroomv1.GetSignerStatusResponse) status {
	s := status{
		Signer: r.GetStatus().GetSigner(), Address: address, LedgerLength: r.GetStatus().GetLedgerLength(),
		LedgerHead: r.GetStatus().GetLedgerHead(), ParametersReady: r.GetParametersReady(), Keys: []keyStatus{}, Devices: []deviceStatus{},
	}
	s.Hindrance = r.GetStatus().GetError()
	for _, k := range r.GetStatus().GetKeys() {
		s.Keys = append(s.Keys, keyStatus{Key: k.GetKey(), Epoch: k.GetEpoch(), PublicKey: hex.EncodeToString(k.GetPublicKey())})
	}
	for _, d := range r.GetDevices() {
		s.Devices = append(s.Devices, deviceStatus{Wallet: d.GetWallet(), Generation: d.GetGeneration(), Committed: d.GetCommitted(), Error: d.GetError()})
	}
	return s
}

func (c statusCommand) print(out io.Writer, s status) error {
	if c.JSON {
		return json.NewEncoder(out).Encode(s)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "signer      %s at %s\nledger      %d records, head %s\nparameters  ", s.Signer, s.Address, s.LedgerLength, s.LedgerHead)
	if s.ParametersReady {
		b.WriteString("ready\n")
	} else {
		b.WriteString("being made for a key generation\n")
	}
	if s.Charter > 0 {
		fmt.Fprintf(&b, "charter     number %d, %s\n", s.Charter, s.CharterDigest)
	}
	if s.Build != "" {
		fmt.Fprintf(&b, "build       %s\n", s.Build)
	}
	if s.Hindrance != "" {
		fmt.Fprintf(&b, "promises nothing: %s\n", s.Hindrance)
	}
	for _, k := range s.Keys {
		fmt.Fprintf(&b, "key         %s epoch %d, public %s\n", k.Key, k.Epoch, k.PublicKey)
	}
	for _, d := range s.Devices {
		fmt.Fprintf(&b, "device      of %s, opened %d times, %d signatures committed to", d.Wallet, d.Generation, d.Committed)
		if d.Error != "" {
			fmt.Fprintf(&b, ", cannot sign: %s", d.Error)
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// address is where the node listens: what it wrote when it started, else what the configuration says.
func (c *configFile) address() (string, error) {
	b, err := os.ReadFile(c.addressFile())
	if errors.Is(err, fs.ErrNotExist) {
		return c.Listen, nil
	}
	return strings.TrimSpace(string(b)), err
}

// build is the build that runs, empty if no node wrote it.
func (c *configFile) build() (string, error) {
	b, err := os.ReadFile(c.buildFile())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(b)), err
}

type verifyCommand struct {
	Config string `required:"" type:"existingfile" help:"Configuration file of the node."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// verified is what ledger verify found.
type verified struct {
	Organisation string `json:"organisation"`
	Signer       string `json:"signer"`
	Incarnation  uint64 `json:"incarnation"`
	Length       uint64 `json:"length"`
	Head         string `json:"head"`
	Withdrawals  int    `json:"withdrawals"`
	Incomplete   bool   `json:"incomplete"` // the last record is cut off, or being written
}

// Run needs neither the token nor the ledger's lock, so that it works beside a running node.
func (c verifyCommand) Run() error { return c.run(os.Stdout) }

func (c verifyCommand) run(out io.Writer) error {
	config, _, err := loadConfig(c.Config)
	if err != nil {
		return err
	}
	r, err := ledger.Verify(filepath.Join(config.Data, ledgerDirectory))
	if err != nil {
		return err
	}
	if r.Organisation.String() != strings.ToLower(config.Organisation) || r.Signer != config.Name {
		return fmt.Errorf("ledger: expected that of %s in organisation %s, found that of %s in %s",
			config.Name, config.Organisation, r.Signer, r.Organisation)
	}
	v := verified{
		Organisation: r.Organisation.String(), Signer: string(r.Signer), Incarnation: r.Incarnation, Length: r.Length, Head: r.Head.String(),
		Withdrawals: r.Withdrawals, Incomplete: r.Incomplete,
	}
	if c.JSON {
		return json.NewEncoder(out).Encode(v)
	}
	_, err = fmt.Fprintf(out, "ledger of %s: %d records, %d withdrawals, incarnation %d, head %s\n",
		v.Signer, v.Length, v.Withdrawals, v.Incarnation, v.Head)
	if err == nil && v.Incomplete {
		_, err = fmt.Fprintln(out, "the last record is incomplete: cut off by a crash, or being written right now")
	}
	return err
}
