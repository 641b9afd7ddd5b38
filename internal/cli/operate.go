package cli

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/strongroom/strongroom/proto/canon"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
)

// wireTime writes a server's time stamp; empty for none or one that is no time.
func wireTime(t *timestamppb.Timestamp) string {
	if t == nil || !t.IsValid() {
		return ""
	}
	return t.AsTime().UTC().Format(time.RFC3339)
}

// StatusView is who answers.
type StatusView struct {
	Coordinator string         `json:"coordinator"` // "reachable", or why not
	Signers     []SignerStatus `json:"signers"`
	Chains      []ChainStatus  `json:"chains"`
}

// SignerStatus is a signer of the charter.
type SignerStatus struct {
	Signer string `json:"signer"`
	// Direct is "reachable" or why not, asked from here; empty if the configuration has no address.
	Direct string `json:"direct,omitempty"`
	// Reported is what the coordinator says of it.
	Reported     string     `json:"reported,omitempty"`
	LedgerLength uint64     `json:"ledger_length"`
	LedgerHead   string     `json:"ledger_head,omitempty"`
	Keys         []GroupKey `json:"keys,omitempty"`
	// Trouble is what the coordinator says of a signer that answers.
	Trouble string `json:"trouble,omitempty"`
	// Devices are the wallets that the signer's token signs for, as the signer itself says.
	Devices []DeviceStatus `json:"devices,omitempty"`
}

// DeviceStatus is a signer's token.
type DeviceStatus struct {
	Wallet     string `json:"wallet"`
	Error      string `json:"error,omitempty"` // why it cannot sign now
	Generation uint64 `json:"generation"`      // how often it was opened since the signer started
	Committed  uint64 `json:"committed"`       // signatures that the signer's ledger has committed to for the wallet
}

// ChainStatus is a chain as the coordinator sees it.
type ChainStatus struct {
	Chain  string `json:"chain"`
	Height uint64 `json:"height"`
	Error  string `json:"error,omitempty"`
}

// GroupKey is a key made by signers.
type GroupKey struct {
	Key       string `json:"key"`
	Epoch     uint64 `json:"epoch"`
	PublicKey string `json:"public_key"`
}

func groupKey(k *pb.KeyStatus) GroupKey {
	return GroupKey{Key: k.GetKey(), Epoch: k.GetEpoch(), PublicKey: hex.EncodeToString(k.GetPublicKey())}
}

const reachable = "reachable"

func (v StatusView) writeText(t *text) {
	t.field("Coordinator", v.Coordinator)
	for _, c := range v.Chains {
		line := fmt.Sprintf("height %d", c.Height)
		if c.Error != "" {
			line = c.Error
		}
		t.say("  %s: %s", c.Chain, line)
	}
	t.gap()
	rows := [][]string{{"SIGNER", "FROM HERE", "COORDINATOR SAYS", "LEDGER", "KEYS"}}
	for _, s := range v.Signers {
		keys := make([]string, len(s.Keys))
		for i, k := range s.Keys {
			keys[i] = k.Key
		}
		rows = append(rows, []string{s.Signer, short(s.Direct), short(s.Reported), fmt.Sprint(s.LedgerLength), strings.Join(keys, " ")})
	}
	t.table(rows)
	for _, s := range v.Signers {
		for _, why := range []string{s.Direct, s.Reported, s.Trouble} {
			if why != "" && why != reachable {
				t.say("%s: %s", s.Signer, why)
			}
		}
		for _, d := range s.Devices {
			state := "signs"
			if d.Error != "" {
				state = "CANNOT SIGN: " + d.Error
			}
			t.say("%s: token of wallet %s %s; opened %s times, committed to %s signatures", s.Signer, d.Wallet, state, d.Generation, d.Committed)
		}
	}
}

func short(state string) string {
	switch state {
	case "", reachable:
		return strings.Replace(state+"-", reachable+"-", reachable, 1)
	}
	return "no"
}

// Status prints whether coordinator and signers answer.
func (s *Session) Status(ctx context.Context) error {
	v := StatusView{Signers: []SignerStatus{}, Chains: []ChainStatus{}, Coordinator: reachable}
	status, err := s.coordinatorStatus(ctx)
	if err != nil {
		v.Coordinator = errorText(err)
	}
	for _, c := range status.GetChains() {
		v.Chains = append(v.Chains, ChainStatus{c.GetChain(), c.GetHeight(), c.GetError()})
	}
	peers, err := s.signers()
	if err != nil {
		return err
	}
	direct := map[string]answer[*pb.GetSignerStatusResponse]{}
	for _, a := range askSigners(ctx, peers, func(ctx context.Context, p signerPeer) (*pb.GetSignerStatusResponse, error) {
		return p.GetSignerStatus(ctx, &pb.GetSignerStatusRequest{})
	}) {
		direct[a.Server] = a
	}
	for _, member := range s.Charter.Genesis().Signers {
		line := SignerStatus{Signer: string(member.Name)}
		line.report(status)
		if a, asked := direct[line.Signer]; asked {
			line.ask(a)
		}
		v.Signers = append(v.Signers, line)
	}
	if err := s.Print(v); err != nil {
		return err
	}
	return v.err()
}

func (s *Session) coordinatorStatus(ctx context.Context) (*pb.GetStatusResponse, error) {
	c, err := s.coordinator()
	if err != nil {
		return nil, err
	}
	return call(ctx, c.GetStatus, &pb.GetStatusRequest{})
}

func (l *SignerStatus) report(status *pb.GetStatusResponse) {
	for _, r := range status.GetSigners() {
		if r.GetSigner() != l.Signer {
			continue
		}
		l.Reported = reachable
		if !r.GetReachable() {
			l.Reported = "not reachable: " + r.GetError()
		} else {
			l.Trouble = r.GetError()
		}
		l.ledger(r)
	}
}

// ask takes over what the signer itself answered; that counts more than the coordinator's report.
func (l *SignerStatus) ask(a answer[*pb.GetSignerStatusResponse]) {
	if a.Err != nil {
		l.Direct = errorText(a.Err)
		return
	}
	l.Direct = reachable
	l.ledger(a.Value.GetStatus())
	for _, d := range a.Value.GetDevices() {
		l.Devices = append(l.Devices, DeviceStatus{Wallet: d.GetWallet(), Error: d.GetError(), Generation: d.GetGeneration(), Committed: d.GetCommitted()})
	}
}

func (l *SignerStatus) ledger(r *pb.SignerStatus) {
	l.LedgerLength, l.LedgerHead, l.Keys = r.GetLedgerLength(), r.GetLedgerHead(), nil
	for _, k := range r.GetKeys() {
		l.Keys = append(l.Keys, groupKey(k))
	}
}

// err is an error if nobody answered.
func (v StatusView) err() error {
	if v.Coordinator == reachable {
		return nil
	}
	for _, s := range v.Signers {
		if s.Direct == reachable {
			return nil
		}
	}
	return fmt.Errorf("%w: %s", ErrUnreachable, v.Coordinator)
}

// WalletsView lists wallets of the charter with the balances that the coordinator reports.
type WalletsView struct {
	Wallets []WalletView `json:"wallets"`
}

// WalletView is a wallet.
type WalletView struct {
	Wallet   string   `json:"wallet"`
	Label    string   `json:"label"`
	Chain    string   `json:"chain"`
	Tier     string   `json:"tier"`
	Scheme   string   `json:"scheme"`
	Devices  []string `json:"devices,omitempty"` // signers whose tokens sign or attest
	Needed   uint64   `json:"needed,omitempty"`  // how many of them must
	Pool     string   `json:"pool,omitempty"`    // digest
	Recovery string   `json:"recovery,omitempty"`
	Backup   string   `json:"backup,omitempty"`
	// SingleDevice says that one token and its PIN are the money.
	SingleDevice bool          `json:"single_device,omitempty"`
	Balances     []BalanceView `json:"balances"`

	lines []string // for people, of the charter
}

// BalanceView is what an account holds of an asset.
type BalanceView struct {
	Account   string     `json:"account"`
	Confirmed AmountView `json:"confirmed"`
	Pending   AmountView `json:"pending"`
}

func (v WalletsView) writeText(t *text) {
	for i, w := range v.Wallets {
		if i > 0 {
			t.gap()
		}
		t.say("%s, %s", labelled(canon.Name(w.Wallet), canon.Text(w.Label)), w.Chain)
		for _, line := range w.lines {
			t.say("  %s", line)
		}
		rows := [][]string{{"  ACCOUNT", "CONFIRMED", "SET ASIDE"}}
		for _, b := range w.Balances {
			rows = append(rows, []string{"  " + b.Account, b.Confirmed.Amount, b.Pending.Amount})
		}
		t.table(rows)
	}
}

// Wallets prints wallets and balances.
func (s *Session) Wallets(ctx context.Context) error {
	c, err := s.coordinator()
	if err != nil {
		return err
	}
	got, err := call(ctx, c.ListWallets, &pb.ListWalletsRequest{})
	if err != nil {
		return err
	}
	v := WalletsView{Wallets: []WalletView{}}
	for _, w := range got.GetWallets() {
		wallet, ok := s.Charter.Wallet(canon.Name(strings.TrimPrefix(w.GetName(), "wallets/")))
		if !ok {
			return fmt.Errorf("coordinator: expected a wallet of the charter, found %q", w.GetName())
		}
		item := walletView(wallet)
		for _, b := range w.GetBalances() {
			balance, err := s.balance(b)
			if err != nil {
				return err
			}
			item.Balances = append(item.Balances, balance)
		}
		v.Wallets = append(v.Wallets, item)
	}
	return s.Print(v)
}

// walletView shows what the charter says of a wallet.
func walletView(w canon.Wallet) WalletView {
	v := WalletView{Wallet: string(w.Name), Label: string(w.Label), Chain: string(w.Chain), Tier: tierText(w.Tier), Scheme: word(w.Scheme, "mpc", "hsm", "cosign"),
		Needed: w.Needed, Pool: hex.EncodeToString(w.Pool), Recovery: hex.EncodeToString(w.Recovery), SingleDevice: w.SingleDevice, Balances: []BalanceView{}}
	for _, d := range w.Devices {
		v.Devices = append(v.Devices, string(d.Signer))
	}
	if w.Backup != 0 {
		v.Backup = word(w.Backup, "none", "wrap")
	}
	v.lines = deviceLines(w)
	if len(v.lines) > 0 {
		v.lines = append([]string{walletLine(w)}, v.lines...)
	}
	return v
}

func (s *Session) balance(b *pb.Balance) (BalanceView, error) {
	id := canon.AssetID(b.GetAsset())
	confirmed, err := baseUnits(b.GetConfirmed())
	if err != nil {
		return BalanceView{}, err
	}
	pending, err := baseUnits(b.GetPending())
	if err != nil {
		return BalanceView{}, err
	}
	return BalanceView{Account: b.GetAccount(), Confirmed: amountView(s.Charter, id, confirmed), Pending: amountView(s.Charter, id, pending)}, nil
}

// baseUnits reads a decimal number of base units; nothing is zero.
func baseUnits(text string) (canon.Amount, error) {
	if text == "" {
		return nil, nil
	}
	a, err := wallets.ParseAmount(text, canon.Asset{})
	if err != nil {
		return nil, fmt.Errorf("coordinator: %w", err)
	}
	return a, nil
}

// keygenTimeout is how long key generation may take: making safe primes is slow on small machines.
const keygenTimeout = 30 * time.Minute

// progressEvery is how often somebody who waits is told so.
const progressEvery = 10 * time.Second

func (v GroupKey) writeText(t *text) {
	t.field("Key", fmt.Sprintf("%s, epoch %d", v.Key, v.Epoch))
	t.field("Public key", v.PublicKey)
}

// GenerateKey starts the distributed generation of a key of the charter and waits for it.
func (s *Session) GenerateKey(ctx context.Context, key string) error {
	if _, ok := s.Charter.Key(canon.Name(key)); !ok {
		return fmt.Errorf("key: expected one of the charter, found %q", key)
	}
	c, err := s.coordinator()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, keygenTimeout)
	defer cancel()
	stop := s.progress("generating key " + key)
	got, err := c.GenerateKey(ctx, &pb.GenerateKeyRequest{Key: key})
	stop()
	if err != nil {
		return err
	}
	return s.Print(groupKey(got.GetKey()))
}

// progress tells every few seconds that what is still going on; the function that it returns ends that.
func (s *Session) progress(what string) func() {
	start := s.Now()
	done, ended := make(chan struct{}), make(chan struct{})
	s.Note("%s ...", what)
	go func() {
		defer close(ended)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				s.Note("%s ... %s", what, span(s.Now().Sub(start)))
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}
