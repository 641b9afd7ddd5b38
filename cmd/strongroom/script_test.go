package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/internal/cli/clitest"
	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"strongroom": main})
}

// TestScripts runs against two signers of four that answer.
func TestScripts(t *testing.T) { runScripts(t, "script") }

// TestQuorumScripts runs against all four.
func TestQuorumScripts(t *testing.T) { runScripts(t, "quorum", clitest.Nodes...) }

func runScripts(t *testing.T, dir string, answering ...string) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", dir),
		Setup: func(env *testscript.Env) error {
			w := &world{answering: answering}
			env.Values[key{}] = w
			return w.set(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "approved-by": approvedBy, "rejected-at": rejectedAt,
			"pass": pass, "lies": lies, "holds": holds, "word": word, "loses": loses},
	})
}

// exits runs a command and holds its exit code against the first argument; its output is in the script's log, and in the files stdout
// and stderr.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if neg {
		ts.Fatalf("exits: expected no negation")
	}
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	out, err := os.Create(ts.MkAbs("stdout"))
	ts.Check(err)
	defer out.Close()
	errs, err := os.Create(ts.MkAbs("stderr"))
	ts.Check(err)
	defer errs.Close()
	cmd := exec.Command(path, args[2:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), out, errs
	for _, name := range []string{"HOME", "PATH", "TMPDIR", cli.ConfigVariable, "SSH_AUTH_SOCK"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	err = cmd.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		ts.Check(err)
	}
	ts.Logf("%s%s", ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	if found := cmd.ProcessState.ExitCode(); found != want {
		ts.Fatalf("expected exit code %d, found %d", want, found)
	}
}

// key is the place of a script's world in its environment.
type key struct{}

// world is what a script runs against: an organisation whose coordinator lists one intent, and some of whose nodes answer.
type world struct {
	answering    []string     // names of nodes; none for the first two
	passed       atomic.Int64 // on the servers' clocks for the address book, beyond real time
	organisation *clitest.Organisation
	coordinator  *clitest.Coordinator
	nodes        map[string]*clitest.Node
	stops        []func()
}

// bookAddress is in the address book for fund-a.
const bookAddress = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"

// withCall puts a contract call and a rule for it into the charter.
var withCall = []string{`[[limits]]
name = "btc-day"`, `[[rules]]
name = "desk"
clients = ["*"]
accounts = ["*"]
wallets = ["eth-hot"]
amounts = ["1000 USDX"]
action = "approve"
quorum.any_of = [[{ group = "treasury", count = 2 }]]
expiry = "24h"
signing = "10m"
fee_caps = ["0.01 ETH"]
limits = ["eth-day", "usdx-day"]
calls = ["desk-allowance"]

[[calls]]
name = "desk-allowance"
label = "Let the desk take USDX"
chain = "eip155:1337"
contract = "0x5fbdb2315678afecb367f032d93f642f64180aa3"
signature = "approve(address,uint256)"
arguments = [
  { allow = "equal", values = ["0x00000000000000000000000000000000de5c0001"] },
  { allow = "at-most", max = "1000 USDX" },
]

[[limits]]
name = "btc-day"`}

func (w *world) set(env *testscript.Env) error {
	env.Defer(w.stop)
	var err error
	if w.organisation, err = clitest.New(env.WorkDir, withCall...); err != nil {
		return err
	}
	w.coordinator, w.nodes = &clitest.Coordinator{Create: w.create}, map[string]*clitest.Node{}
	btc := string(w.organisation.Charter.Genesis().Assets[0].ID)
	w.coordinator.Balances = []*pb.AccountBalance{{Account: "fund-a-main", Client: "fund-a", Asset: btc, Owed: "150000000", SetAside: "0"}}
	w.coordinator.Postings = []*pb.Posting{{Entry: 1, Kind: "deposit", Debit: "holding/btc-hot", Credit: "owed/btc-hot/fund-a-main", Asset: btc, Amount: "150000000"}}
	w.coordinator.Reconciled = &pb.ReconcileResponse{Lines: []*pb.ReconcileLine{{Wallet: "btc-hot", Asset: btc, Held: "149000000", Owed: "150000000", Difference: "-1000000"}}}
	address, err := w.started(w.organisation.ServeCoordinator(w.coordinator))
	if err != nil {
		return err
	}
	if w.answering == nil {
		w.answering = clitest.Nodes[:2]
	}
	addresses := map[string]string{}
	for _, name := range clitest.Nodes {
		if !slices.Contains(w.answering, name) {
			if addresses[name], err = nowhere(); err != nil {
				return err
			}
			continue
		}
		w.nodes[name] = &clitest.Node{Status: &pb.SignerStatus{Signer: name}}
		w.nodes[name].Books.Now = w.clock
		if addresses[name], err = w.started(w.organisation.ServeNode(name, w.nodes[name])); err != nil {
			return err
		}
	}
	if err := w.list(env); err != nil {
		return err
	}
	return w.files(env, address, addresses)
}

func (w *world) clock() time.Time { return time.Now().Add(time.Duration(w.passed.Load())) }

func (w *world) started(address string, stop func(), err error) (string, error) {
	if err == nil {
		w.stops = append(w.stops, stop)
	}
	return address, err
}

func (w *world) stop() {
	for _, stop := range w.stops {
		stop()
	}
}

// nowhere returns an address where nothing listens: that of a listener that was closed.
func nowhere() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// list makes the coordinator list an honest intent ($INTENT) and one that no request backs ($FORGED).
func (w *world) list(env *testscript.Env) error {
	request, err := w.organisation.Request(time.Now().Add(-time.Minute), "r-1", "btc-hot", clitest.Pay{To: bookAddress, Amount: "0.5 BTC"})
	if err != nil {
		return err
	}
	intent, err := w.organisation.Intent(request)
	if err != nil {
		return err
	}
	forged, err := w.organisation.Intent(request, func(i *canon.Intent) { i.Quorum = canon.Quorum{} })
	if err != nil {
		return err
	}
	honest := clitest.PendingOf(intent)
	honest.AddressProofs = [][]byte{w.organisation.Proof(request, 0)}
	w.coordinator.Pending = []*pb.PendingIntent{honest, clitest.PendingOf(forged)}
	w.coordinator.Status = &pb.GetStatusResponse{}
	env.Setenv("INTENT", canon.KindIntent.Digest(intent).String())
	env.Setenv("FORGED", canon.KindIntent.Digest(forged).String())
	return nil
}

// create takes requests of up to 1 BTC and refuses larger ones.
func (w *world) create(s *pb.Signed) (*pb.Withdrawal, error) {
	r, err := approval.VerifyRequest(w.organisation.Charter, canon.Signed{Document: s.GetDocument(), Scheme: canon.Scheme(s.GetScheme()), Signature: s.GetSignature()})
	if err != nil {
		return nil, rpc.ToStatus(err)
	}
	if r.Call != nil {
		return w.called(s, r)
	}
	if n := r.Outputs[0].Amount.Int(); n.Int64() > 100_000_000 {
		return nil, rpc.ToStatus(refusal.New("btc-day", "amount", "at most 1 BTC", n.String()))
	}
	got := &pb.Withdrawal{Name: "withdrawals/" + r.WithdrawalID().String(), State: "approved", Request: s}
	w.coordinator.Withdrawals = append(w.coordinator.Withdrawals, got)
	return got, nil
}

// called takes a contract call that the charter lets through, and lists its exact intent.
func (w *world) called(s *pb.Signed, r *canon.Request) (*pb.Withdrawal, error) {
	verdict := policy.Decide(w.organisation.Charter, policy.FactsOf(r))
	if verdict.Action != canon.ActionApprove {
		return nil, rpc.ToStatus(verdict.Explanation)
	}
	signed := canon.Signed{Document: s.GetDocument(), Scheme: canon.Scheme(s.GetScheme()), Signature: s.GetSignature()}
	intent, err := w.organisation.Intent(signed, func(i *canon.Intent) {
		i.Rule, i.Mode, i.Transactions, i.Inputs = verdict.Rule.Name, canon.Exact, []canon.Digest{{0: 0xab}}, []canon.OwnPath{{Account: r.Account}}
	})
	if err != nil {
		return nil, err
	}
	w.coordinator.Pending = append(w.coordinator.Pending, clitest.PendingOf(intent))
	return &pb.Withdrawal{Name: "withdrawals/" + r.WithdrawalID().String(), State: "awaiting-approval", Request: s, Intent: intent}, nil
}

// files writes everybody's configuration and some address files, and starts an agent that holds bob's key.
func (w *world) files(env *testscript.Env, coordinator string, signers map[string]string) error {
	if _, _, err := clitest.Source(env.WorkDir, withCall...); err != nil {
		return err
	}
	for name, role := range map[string]rpc.Role{"alice": rpc.Officer, "bob": rpc.Officer, "carol": rpc.Officer, "fund-a": rpc.Custodian} {
		if _, err := w.organisation.Files(name, role, coordinator, signers); err != nil {
			return err
		}
	}
	env.Setenv("ORGANISATION", w.organisation.Charter.Organisation().String())
	env.Setenv("COORDINATOR", coordinator)
	env.Setenv(cli.ConfigVariable, "alice.toml")
	line, err := ssh.NewPublicKey(clitest.Key("bob").Public())
	if err != nil {
		return err
	}
	env.Setenv("BOB", string(ssh.MarshalAuthorizedKey(line)[:len(ssh.MarshalAuthorizedKey(line))-1]))
	if err := w.agent(env); err != nil {
		return err
	}
	return w.addresses(env.WorkDir)
}

func (w *world) agent(env *testscript.Env) error {
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: clitest.Key("bob")}); err != nil {
		return err
	}
	socket := filepath.Join(env.WorkDir, "agent")
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	w.stops = append(w.stops, func() { _ = l.Close() })
	env.Setenv("SSH_AUTH_SOCK", socket)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			go func() { _ = agent.ServeAgent(ring, conn) }() // ends with the client's connection
		}
	}()
	return nil
}

func (w *world) addresses(dir string) error {
	foreign, err := clitest.New(filepath.Join(dir), "Example Custody", "Another Custody")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "foreign.cbor"), foreign.Genesis.Document, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "genesis.cbor"), w.organisation.Genesis.Document, 0o644); err != nil {
		return err
	}
	for name, f := range map[string]struct {
		by    *clitest.Organisation
		nodes []string
		spoil bool
	}{
		"good.json": {w.organisation, []string{"node-1", "node-2"}, false}, "few.json": {w.organisation, []string{"node-1"}, false},
		"foreign.json": {foreign, []string{"node-1", "node-2"}, false}, "forged.json": {w.organisation, []string{"node-1", "node-2"}, true},
	} {
		var file cli.AddressFile
		for _, node := range f.nodes {
			s, err := f.by.Attest(node, 7)
			if err != nil {
				return err
			}
			file.Attestations = append(file.Attestations, cli.SignedDocument{Document: s.Document, Scheme: uint8(s.Scheme), Signature: s.Signature})
		}
		if f.spoil {
			file.Attestations[1].Signature[0] ^= 1
		}
		b, err := json.Marshal(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// approvedBy checks that the coordinator got one valid approval, by that officer: approved-by OFFICER. With ! it got none.
func approvedBy(ts *testscript.TestScript, neg bool, args []string) {
	w := ts.Value(key{}).(*world)
	got := w.coordinator.Approvals
	if neg {
		if len(got) != 0 {
			ts.Fatalf("expected no approval, found %d", len(got))
		}
		return
	}
	if len(got) != 1 {
		ts.Fatalf("expected one approval, found %d", len(got))
	}
	a, err := approval.VerifyApproval(w.organisation.Charter, canon.Signed{Document: got[0].GetDocument(), Scheme: canon.Scheme(got[0].GetScheme()), Signature: got[0].GetSignature()})
	ts.Check(err)
	if string(a.Officer) != args[0] || a.Digest.String() != ts.Getenv("INTENT") {
		ts.Fatalf("expected %s's approval of the intent, found %+v", args[0], a)
	}
	w.coordinator.Approvals = nil
}

// rejectedAt checks that these nodes got a rejection.
func rejectedAt(ts *testscript.TestScript, neg bool, args []string) {
	w := ts.Value(key{}).(*world)
	for _, name := range args {
		if found := len(w.nodes[name].Statements) == 1; found == neg {
			ts.Fatalf("%s: expected a statement: %t, found: %t", name, !neg, found)
		}
	}
}

// pass lets time pass for the address book at all servers: pass DURATION.
func pass(ts *testscript.TestScript, _ bool, args []string) {
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	ts.Value(key{}).(*world).passed.Add(int64(d))
}

// lies makes a server give another address book than it has: lies coordinator, or lies NODE. With ! it is honest again.
func lies(ts *testscript.TestScript, neg bool, args []string) {
	w := ts.Value(key{}).(*world)
	if args[0] == "coordinator" {
		w.coordinator.Library.Spoil = func(r *pb.ListBookEntriesResponse) { r.Entries[0] = r.Entries[len(r.Entries)-1] }
		if neg {
			w.coordinator.Library.Spoil = nil
		}
		return
	}
	w.nodes[args[0]].Books.Spoil = func(r *pb.GetBookResponse) { r.Versions[0].Root[0] ^= 1 }
	if neg {
		w.nodes[args[0]].Books.Spoil = nil
	}
}

// holds checks which version of the book is the newest at a node: holds NODE SERIAL SIZE.
func holds(ts *testscript.TestScript, _ bool, args []string) {
	n := ts.Value(key{}).(*world).nodes[args[0]].Books.Versions().Newest()
	if found := []string{fmt.Sprint(n[0].Serial), fmt.Sprint(n[0].Size)}; len(n) != 1 || !slices.Equal(found, args[1:]) {
		ts.Fatalf("%s: expected version and size %v, found %v", args[0], args[1:], found)
	}
}

// word puts the first word of a change of the address book in a file into WORD.
func word(ts *testscript.TestScript, _ bool, args []string) {
	var c canon.BookChange
	var u canon.BookUpdate
	ts.Check(canon.Decode([]byte(ts.ReadFile(args[0])), &c))
	ts.Check(canon.Decode(c.Update, &u))
	ts.Setenv("WORD", canon.KindBookRoot.Digest(u.Root).Words()[0])
}

// loses has the coordinator's database be that of the genesis again.
func loses(ts *testscript.TestScript, _ bool, _ []string) {
	w := ts.Value(key{}).(*world)
	w.coordinator.Library.Restore(w.organisation)
}
