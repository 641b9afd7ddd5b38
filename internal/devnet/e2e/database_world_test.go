//go:build chains

package e2e

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	_ "modernc.org/sqlite"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/internal/devnet"
	"github.com/strongroom/strongroom/internal/devnet/process"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// vault is a devnet whose coordinator's database somebody else can write.
type vault struct {
	*world
	dir  string // of the coordinator
	api  pb.WithdrawalServiceClient
	said int64 // how long the coordinator's log was when the coordinator was started last
}

// newVault watches the coordinator as the auditor does.
func newVault(w *world) *vault {
	w.Helper()
	cert := must(tls.LoadX509KeyPair(filepath.Join(w.d.Auditor.Dir, "tls.pem"), filepath.Join(w.d.Auditor.Dir, "tls.key")))(w.T)
	conn := must(rpc.Dial(w.d.CoordinatorAddress(), rpc.ClientTLS(cert, w.d.Charter.Genesis().Coordinator[0].TLS), 0))(w.T)
	w.Cleanup(func() { _ = conn.Close() })
	return &vault{world: w, dir: filepath.Dir(w.d.Genesis()), api: pb.NewWithdrawalServiceClient(conn)}
}

func (v *vault) under(t *testing.T) *vault {
	t.Helper()
	return &vault{world: v.world.under(t), dir: v.dir, api: v.api, said: v.said}
}

// database lists the files of the coordinator's database.
func (v *vault) database() []string {
	v.Helper()
	return must(filepath.Glob(filepath.Join(v.dir, "strongroom.db*")))(v.T)
}

// copied keeps the database as it is. The coordinator must not run.
func (v *vault) copied() (dir string) {
	v.Helper()
	dir = v.TempDir()
	for _, path := range v.database() {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), must(os.ReadFile(path))(v.T), 0o600); err != nil {
			v.Fatal(err)
		}
	}
	return dir
}

// removed deletes the database, whether the coordinator runs or not.
func (v *vault) removed() {
	v.Helper()
	for _, path := range v.database() {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			v.Fatal(err)
		}
	}
}

// restored puts a copy in the database's place. The coordinator must not run.
func (v *vault) restored(dir string) {
	v.Helper()
	v.removed()
	if err := os.CopyFS(v.dir, os.DirFS(dir)); err != nil {
		v.Fatal(err)
	}
	for _, path := range v.database() {
		if err := os.Chmod(path, 0o600); err != nil {
			v.Fatal(err)
		}
	}
}

func (v *vault) stop() {
	v.Helper()
	if err := v.d.StopCoordinator(); err != nil {
		v.Fatal(err)
	}
}

// start starts the coordinator; crashAt names a point at which it will be killed, empty for none.
func (v *vault) start(crashAt string) {
	v.Helper()
	v.stop() // it writes to its log until then
	v.said = must(os.Stat(v.log()))(v.T).Size()
	if err := v.d.RestartCoordinator(v.Context(), crashAt); err != nil {
		v.Fatal(err)
	}
}

// log is the path of the coordinator's log, to which each start appends.
func (v *vault) log() string { return filepath.Join(v.dir, "strongroomd.log") }

// crashed waits until the coordinator was killed at its crash point.
func (v *vault) crashed() {
	v.Helper()
	if err := v.d.CoordinatorKilled(v.Context()); err != nil {
		v.Fatal(err)
	}
}

// rewrite runs statements on the database, which the coordinator may be using.
func (v *vault) rewrite(statements ...string) {
	v.Helper()
	db := must(sql.Open("sqlite", "file:"+filepath.Join(v.dir, "strongroom.db")+"?_pragma=busy_timeout(10000)"))(v.T)
	defer db.Close()
	for _, s := range statements {
		if _, err := db.ExecContext(v.Context(), s); err != nil {
			v.Fatalf("%s: %v", s, err)
		}
	}
}

// alter changes a withdrawal's row, its columns as well, and returns what is there then. The coordinator must not run.
func (v *vault) alter(a asked, change func(*withdrawal.Withdrawal)) withdrawal.Withdrawal {
	v.Helper()
	db := must(sql.Open("sqlite", "file:"+filepath.Join(v.dir, "strongroom.db")))(v.T)
	defer db.Close()
	id := must(canon.ParseDigest(a.ID))(v.T)
	var body []byte
	if err := db.QueryRowContext(v.Context(), `SELECT body FROM withdrawals WHERE id = ?`, id[:]).Scan(&body); err != nil {
		v.Fatal(err)
	}
	w := must(withdrawal.Decode(body))(v.T)
	change(&w)
	if _, err := db.ExecContext(v.Context(), `UPDATE withdrawals SET body = ?, state = ?, intent = ? WHERE id = ?`,
		must(withdrawal.Encode(w))(v.T), string(w.State), w.IntentDigest[:], id[:]); err != nil {
		v.Fatal(err)
	}
	return w
}

// asked is a withdrawal that a client asked for, by the tool.
type asked struct {
	ID           string `json:"id"`
	State        string `json:"state"`
	IntentDigest string `json:"intent_digest"`
	name         string // the client's own id of the request
	satoshi      int64
}

// ask has the first client ask for bitcoins. The same name is the same withdrawal.
func (v *vault) ask(name string, satoshi int64) asked {
	v.Helper()
	a, err := v.tryAsk(name, satoshi)
	if err != nil {
		v.Fatal(err)
	}
	return a
}

// exitRefused is the exit code of the tool when something was refused.
const exitRefused = 3

func (v *vault) tryAsk(name string, satoshi int64) (asked, error) {
	v.Helper()
	acme := v.d.Clients[0]
	a := asked{name: name, satoshi: satoshi}
	err := v.d.Strongroom(v.Context(), acme, &a, "withdraw", "--wallet", "btc-hot", "--account", "acme-main", "--to", v.d.Payee("acme", v.d.BTC),
		"--amount", fmt.Sprintf("0.%08d BTC", satoshi), "--fee-cap", "0.0005 BTC", "--request-id", name)
	return a, err
}

// caughtUp waits until the coordinator has read the Bitcoin chain.
func (v *vault) caughtUp() {
	v.Helper()
	tip := must(v.d.Bitcoin.Node().Tip(v.Context()))(v.T)
	v.until("the coordinator reads the chain", func(ctx context.Context) (bool, error) {
		var status struct {
			Chains []struct {
				Chain  string `json:"chain"`
				Height int64  `json:"height"`
			} `json:"chains"`
		}
		err := v.d.Strongroom(ctx, v.d.Operator, &status, "status")
		for _, c := range status.Chains {
			if c.Chain == string(v.d.BTC.Chain()) && c.Height >= tip.Height {
				return true, nil
			}
		}
		return false, err
	})
}

// approve has officers approve a withdrawal, by the tool.
func (v *vault) approve(a asked, officers ...string) error {
	v.Helper()
	for _, name := range officers {
		i := slices.IndexFunc(v.d.Officers, func(p *devnet.Person) bool { return p.Name == name })
		err := v.d.Strongroom(v.Context(), v.d.Officers[i], nil, "approve", a.IntentDigest, "--amount", strings.TrimRight(fmt.Sprintf("0.%08d", a.satoshi), "0")+" BTC")
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// settles waits until nothing more will happen to a withdrawal but confirmations.
func (v *vault) settles(a asked) *pb.Withdrawal {
	v.Helper()
	ctx, cancel := context.WithTimeout(v.Context(), patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		w, err := v.api.GetWithdrawal(ctx, &pb.GetWithdrawalRequest{Name: "withdrawals/" + a.ID})
		if err == nil && withdrawal.State(w.GetState()).Settled() {
			return w
		}
		select {
		case <-ctx.Done():
			v.Fatalf("%s: expected an end, found state %s, %v (%v)\n%s", a.name, w.GetState(), w.GetRefusals(), err, v.d.Logs())
		case <-tick.C:
		}
	}
}

// confirms waits until a withdrawal is confirmed, and returns the transaction's id.
func (v *vault) confirms(a asked) string {
	v.Helper()
	w := v.settles(a)
	if w.GetState() != string(withdrawal.Confirmed) {
		v.Fatalf("%s: expected it to be confirmed, found %s, %v\n%s", a.name, w.GetState(), w.GetRefusals(), v.d.Logs())
	}
	return w.GetTxid()
}

// ends waits until a withdrawal ended in a state, for a reason whose rule and field begin or end so.
func (v *vault) ends(a asked, state withdrawal.State, rule, field string) {
	v.Helper()
	w := v.settles(a)
	if w.GetState() != string(state) || !slices.ContainsFunc(w.GetRefusals(), func(r *pb.Refusal) bool {
		return strings.HasSuffix(r.GetRule(), rule) && strings.HasPrefix(r.GetField(), field)
	}) {
		v.Errorf("%s: expected %s by %s of %s, found %s, %v", a.name, state, rule, field, w.GetState(), w.GetRefusals())
	}
}

// heldAlready waits until a withdrawal that the coordinator forgot, and that was paid, failed because of what the signers hold for it: another
// intent, or for an intent of the same second, which is the same, another anchor.
func (v *vault) heldAlready(a asked) {
	v.Helper()
	w := v.settles(a)
	if w.GetState() != string(withdrawal.Failed) || !slices.ContainsFunc(w.GetRefusals(), func(r *pb.Refusal) bool {
		return strings.HasSuffix(r.GetRule(), ": one-intent") || strings.HasSuffix(r.GetRule(), ": one-anchor")
	}) {
		v.Errorf("%s: expected failed by one-intent or one-anchor, found %s, %v", a.name, w.GetState(), w.GetRefusals())
	}
}

// unapproved waits until the coordinator, since it was started last, refuses the withdrawal with that intent because nobody approved that: it
// ends for that reason, or its log says so at each look, until its own time ends it.
func (v *vault) unapproved(a asked, intent canon.Digest) {
	v.Helper()
	v.until(a.name+" is refused", func(ctx context.Context) (bool, error) {
		w, err := v.api.GetWithdrawal(ctx, &pb.GetWithdrawalRequest{Name: "withdrawals/" + a.ID})
		if err != nil {
			return false, nil // it is starting
		}
		state := withdrawal.State(w.GetState())
		if w.GetIntentDigest() != intent.String() || w.GetTxid() != "" || state.Settled() && state != withdrawal.Rejected {
			return false, fmt.Errorf("expected intent %s, rejected or waiting without a transaction, found %s, %s, %q, %v",
				intent, w.GetIntentDigest(), state, w.GetTxid(), w.GetRefusals())
		}
		if state == withdrawal.Rejected {
			v.ends(a, state, "approvals", "intent")
			return v.logged(a.ID, `"state":"rejected"`), nil
		}
		return v.logged(a.ID, "refused: approval: approvals[0].digest", intent.String()), nil
	})
}

// logged reports whether a line that the coordinator has written since it was started last has all these words.
func (v *vault) logged(words ...string) bool {
	v.Helper()
	text := must(os.ReadFile(v.log()))(v.T)
	for line := range strings.Lines(string(text[v.said:])) {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			return true
		}
	}
	return false
}

// checkpoint keeps the auditor's latest checkpoint in a file, once it covers everything that is in the log now.
func (v *vault) checkpoint() string {
	v.Helper()
	db := must(sql.Open("sqlite", "file:"+filepath.Join(v.dir, "strongroom.db")+"?mode=ro"))(v.T)
	defer db.Close()
	var leaves uint64
	if err := db.QueryRowContext(v.Context(), `SELECT COUNT(*) FROM audit_leaves`).Scan(&leaves); err != nil {
		v.Fatal(err)
	}
	v.until("a checkpoint covers the log", func(ctx context.Context) (bool, error) {
		var latest struct {
			Leaves uint64 `json:"leaves"`
		}
		err := v.d.Strongroom(ctx, v.d.Auditor, &latest, "audit", "checkpoint")
		return latest.Leaves >= leaves, err
	})
	path := filepath.Join(v.TempDir(), "checkpoint")
	if err := v.d.Strongroom(v.Context(), v.d.Auditor, nil, "audit", "checkpoint", "--out", path); err != nil {
		v.Fatal(err)
	}
	return path
}

// forgot asks that the log does not go on from a checkpoint that it once had.
func (v *vault) forgot(checkpoint string) {
	v.Helper()
	err := v.d.Strongroom(v.Context(), v.d.Auditor, nil, "audit", "verify", "--since", checkpoint)
	var code *process.CommandError
	if !errors.As(err, &code) || code.Code != exitRefused || !strings.Contains(code.Output, "checkpoint") {
		v.Errorf("audit verify: expected a refusal about the earlier checkpoint, found %v", err)
	}
}

// goesOn asks that the log goes on from the checkpoint.
func (v *vault) goesOn(checkpoint string) {
	v.Helper()
	if err := v.d.Strongroom(v.Context(), v.d.Auditor, nil, "audit", "verify", "--since", checkpoint); err != nil {
		v.Error(err)
	}
}

// disagrees asks that rows, events and log of the database do not agree, about the withdrawal.
func (v *vault) disagrees(a asked) {
	v.Helper()
	_, err := process.Run(v.Context(), nil, filepath.Join(v.d.Bin, "strongroomd"), "audit", "verify", "--config", filepath.Join(v.dir, "strongroomd.toml"))
	var code *process.CommandError
	if !errors.As(err, &code) || !strings.Contains(code.Output, a.ID) {
		v.Errorf("%s: expected strongroomd audit verify to name it, found %v", a.name, err)
	}
}

// held is the kind of the ledger's record that has a certificate.
const held = 4

// certificates returns the withdrawal's certificates that the signers' disks hold, by rid, and asks each signer that has one for it.
func (v *vault) certificates(a asked) map[canon.Digest][]byte {
	v.Helper()
	all := map[canon.Digest][]byte{}
	for _, name := range v.names {
		v.ledger(name, func(kind byte, payload []byte) {
			var record map[uint64][]byte
			var certificate canon.Certificate
			var r canon.Reservation
			if kind != held || cbor.Unmarshal(payload, &record) != nil || canon.Decode(record[1], &certificate) != nil ||
				canon.Decode(certificate.Reservation, &r) != nil || r.Withdrawal.String() != a.ID {
				return
			}
			rid := canon.KindReservation.Digest(certificate.Reservation)
			got, err := v.signers[name].GetCertificate(v.Context(), &pb.GetCertificateRequest{Name: "reservations/" + rid.String()})
			if err != nil {
				v.Errorf("%s: %s: expected its certificate, found %v", a.name, name, err)
				return
			}
			if _, found, _, err := guard.CheckCertificate(got.GetCertificate(), guard.View{Charter: v.chain.Current()}); err != nil || found != rid {
				v.Errorf("%s: %s: expected a valid certificate for %s, found one for %s (%v)", a.name, name, rid, found, err)
			}
			all[rid] = got.GetCertificate()
		})
	}
	return all
}
