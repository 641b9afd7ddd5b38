//go:build chains

package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"google.golang.org/grpc"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/config/genesis"
	"github.com/strongroom/strongroom/internal/coordinator"
	"github.com/strongroom/strongroom/internal/devnet"
	"github.com/strongroom/strongroom/internal/devnet/hostile"
	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/bitcoin"
)

// Amounts in satoshis: one that the devnet's charter lets through, and one for which it asks two officers.
const (
	small = 100_000
	large = 2_500_000
)

// patience is how long anything may take that is bound to happen.
const patience = 2 * time.Minute

// world is a devnet whose coordinator's place somebody else has taken, and the honest people whose signatures he has.
type world struct {
	*testing.T
	d       *devnet.Devnet
	chain   *amendment.Chain
	build   hostile.Builder
	keys    map[canon.Name]guard.GroupKey
	names   []canon.Name // of the signers, sorted
	signers map[canon.Name]pb.SignerServiceClient
	charter map[canon.Name]pb.CharterServiceClient
	devices map[canon.Name]map[canon.Name]pb.OfficerServiceClient // by officer and signer
}

// newWorld takes the coordinator's place in a devnet with a key. The coins of this world never were on a chain: signers cannot know.
func newWorld(t *testing.T, d *devnet.Devnet) *world {
	t.Helper()
	w := &world{T: t, d: d, keys: map[canon.Name]guard.GroupKey{}, signers: map[canon.Name]pb.SignerServiceClient{},
		charter: map[canon.Name]pb.CharterServiceClient{}, devices: map[canon.Name]map[canon.Name]pb.OfficerServiceClient{}}
	encoded := must(os.ReadFile(d.Genesis()))(t)
	w.chain = must(amendment.Open(encoded, canon.KindGenesis.Digest(encoded)))(t)
	entries := must(genesis.ReadBook(must(os.ReadFile(d.Book()))(t), d.Charter.Genesis().Chains))(t)
	w.build = hostile.Builder{Charter: w.chain.Current(), Book: must(book.Build(entries))(t), Client: w.signingKey(d.Clients[0]),
		Officers: map[canon.Name]approval.Signer{}, Now: time.Now, Pool: d.Pools(),
		Key: func(n canon.Name) (guard.GroupKey, bool) { k, ok := w.keys[n]; return k, ok }}
	for _, n := range d.Nodes {
		conn := w.dial(canon.Name(n.Name), d.CoordinatorKey())
		w.names = append(w.names, canon.Name(n.Name))
		w.signers[canon.Name(n.Name)], w.charter[canon.Name(n.Name)] = pb.NewSignerServiceClient(conn), pb.NewCharterServiceClient(conn)
	}
	// The vault acks nothing, but its token signs.
	w.signers[canon.Name(d.Vault.Name)] = pb.NewSignerServiceClient(w.dial(canon.Name(d.Vault.Name), d.CoordinatorKey()))
	for _, o := range d.Officers {
		w.build.Officers[canon.Name(o.Name)] = w.signingKey(o)
		w.devices[canon.Name(o.Name)] = w.device(canon.Name(o.Name))
	}
	status := must(w.signers[w.names[0]].GetSignerStatus(t.Context(), &pb.GetSignerStatusRequest{}))(t)
	for _, k := range status.GetStatus().GetKeys() {
		w.keys[canon.Name(k.GetKey())] = guard.GroupKey{ID: canon.Name(k.GetKey()), Epoch: k.GetEpoch(), Public: [33]byte(k.GetPublicKey())}
	}
	return w
}

// cosigning returns a builder of withdrawals from wallets for which a token must sign, with the statements that the allocation rests on.
func (w *world) cosigning() *hostile.Builder {
	w.Helper()
	b := w.build
	b.Scheme, b.Prices = canon.SchemeCosign, w.prices()
	for _, chain := range []canon.ChainID{w.d.BTC.Chain(), w.d.ETH.Chain()} {
		for _, name := range w.names[:2] {
			got := must(w.signers[name].StateBalances(w.Context(), &pb.StateBalancesRequest{Chain: string(chain)}))(w.T)
			b.Balances = append(b.Balances, fromWire(got.GetBalances()))
		}
	}
	return &b
}

// under returns the same world for a subtest.
func (w *world) under(t *testing.T) *world {
	t.Helper()
	w.T = t
	return w
}

// must ends the test on an error.
func must[V any](v V, err error) func(*testing.T) V {
	return func(t *testing.T) V {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (w *world) signingKey(p *devnet.Person) approval.Signer {
	w.Helper()
	passphrase := must(config.Secret(filepath.Join(p.Dir, "passphrase")))(w.T)
	pem := must(config.Secret(filepath.Join(p.Dir, "key")))(w.T)
	return must(approval.LoadKeyFile(append(pem, '\n'), passphrase))(w.T)
}

// dial connects to a signer with a TLS key from a file.
func (w *world) dial(signer canon.Name, key string) *grpc.ClientConn {
	w.Helper()
	cert := must(rpc.Certificate(must(coordinator.LoadKey(key))(w.T)))(w.T)
	member, _ := w.chain.Current().Signer(signer)
	conn := must(rpc.Dial(w.d.Node(string(signer)).Address, rpc.ClientTLS(cert, member.Identity), rpc.MaxEvidence))(w.T)
	w.Cleanup(func() { _ = conn.Close() })
	return conn
}

// device connects an officer's device to every signer.
func (w *world) device(officer canon.Name) map[canon.Name]pb.OfficerServiceClient {
	w.Helper()
	all := map[canon.Name]pb.OfficerServiceClient{}
	for _, o := range w.d.Officers {
		for _, n := range w.d.Nodes {
			if canon.Name(o.Name) == officer {
				all[canon.Name(n.Name)] = pb.NewOfficerServiceClient(w.dial(canon.Name(n.Name), filepath.Join(o.Dir, "tls.key")))
			}
		}
	}
	return all
}

// each asks the signers at the same time and waits for all answers.
func each[V any](names []canon.Name, call func(canon.Name) (V, error)) (map[canon.Name]V, map[canon.Name]error) {
	var mu sync.Mutex
	var group sync.WaitGroup
	values, errs := map[canon.Name]V{}, map[canon.Name]error{}
	for _, name := range names {
		group.Go(func() {
			v, err := call(name)
			mu.Lock()
			defer mu.Unlock()
			values[name], errs[name] = v, err
		})
	}
	group.Wait()
	return values, errs
}

// refused asks that every answer is a refusal by that rule of that field.
func (w *world) refused(attack string, errs map[canon.Name]error, rule, field string) {
	w.Helper()
	if len(errs) == 0 {
		w.Fatalf("%s: expected answers, found none", attack)
	}
	for name, err := range errs {
		if !refuses(err, rule, field) {
			w.Errorf("%s: %s: expected a refusal by %s of %s, found %v", attack, name, rule, field, err)
		}
	}
}

func refuses(err error, rule, field string) bool {
	r := refusal.Of(rpc.FromStatus(err))
	return r != nil && slices.ContainsFunc(r.Failures, func(f refusal.Failure) bool { return f.Rule == rule && strings.HasPrefix(f.Field, field) })
}

// granted ends the test if a signer did not do what it should.
func (w *world) granted(what string, errs map[canon.Name]error) {
	w.Helper()
	for name, err := range errs {
		if err != nil {
			w.Fatalf("%s: %s: %v", what, name, err)
		}
	}
}

// until asks again and again until the answer is yes.
func (w *world) until(what string, yes func(context.Context) (bool, error)) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := yes(ctx)
		if err != nil {
			w.Fatalf("%s: %v", what, err)
		}
		if ok {
			return
		}
		select {
		case <-ctx.Done():
			w.Fatalf("%s: %v", what, ctx.Err())
		case <-tick.C:
		}
	}
}

// paper returns a withdrawal of bitcoin, paid from a coin of its own, that these officers approve.
func (w *world) paper(satoshi int64, officers ...canon.Name) (*hostile.Paper, error) {
	r, _, err := w.build.Request(w.d.BTC)
	if err != nil {
		return nil, err
	}
	r.Outputs[0].Amount = canon.Amount(big.NewInt(satoshi).Bytes())
	rule := policy.Decide(w.build.Charter, policy.FactsOf(&r)).Rule
	signed, err := hostile.Sign(r, w.build.Client)
	if err != nil {
		return nil, err
	}
	proof, _ := w.build.Book.Prove(r.Chain, r.Outputs[0].Address, r.Client)
	now := canon.TimeOf(time.Now())
	p := &hostile.Paper{
		Request: r, Addresses: []canon.BookProof{proof}, Version: 1, Stamp: now, Until: now + 300,
		Intent: canon.Intent{
			Organisation: r.Organisation, Withdrawal: r.WithdrawalID(), Request: signed, Rule: rule.Name, Quorum: rule.Quorum,
			CharterNumber: w.build.Charter.Number(), Charter: w.build.Charter.Digest(), Mode: canon.Template, FeeCap: r.FeeCap,
			NotAfter: min(r.NotAfter, r.NotBefore+canon.Time(rule.Expiry)),
		},
	}
	coin, err := w.coin(r, satoshi+1_000_000)
	if err != nil {
		return nil, err
	}
	if err := w.build.Spend(p, coin, 5000, 0); err != nil {
		return nil, err
	}
	return p, w.approve(p, now+1200, officers...)
}

// coin invents a transaction that pays the client's account.
func (w *world) coin(r canon.Request, satoshi int64) (bitcoin.Coin, error) {
	wallet, _ := w.build.Charter.Wallet(r.Wallet)
	account, _ := w.build.Charter.Account(r.Account)
	on, _ := w.build.Charter.Chain(r.Chain)
	path, err := wallets.NewPath(on.CoinType, wallet.Number, account.Number, wallets.BranchReceive, 0)
	if err != nil {
		return bitcoin.Coin{}, err
	}
	key := w.keys[wallet.Key]
	child, err := wallets.Derive(key.Public, wallets.ChainCode(w.build.Charter.Organisation(), key.ID, key.Public), path)
	if err != nil {
		return bitcoin.Coin{}, err
	}
	var from chainhash.Hash
	if _, err := rand.Read(from[:]); err != nil {
		return bitcoin.Coin{}, err
	}
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(wire.NewTxIn(wire.NewOutPoint(&from, 0), nil, nil))
	tx.AddTxOut(wire.NewTxOut(satoshi, bitcoin.ScriptP2WPKH(child.Public)))
	raw, err := bitcoin.Encode(tx)
	return bitcoin.Coin{Outpoint: wire.OutPoint{Hash: tx.TxHash()}, Value: satoshi, Script: tx.TxOut[0].PkScript, Previous: raw, Account: account.Name}, err
}

func (w *world) approve(p *hostile.Paper, notAfter canon.Time, officers ...canon.Name) error {
	digest, err := p.IntentDigest()
	if err != nil {
		return err
	}
	p.Approvals = nil
	for _, name := range officers {
		signed, err := w.approval(w.build.Officers[name], name, canon.ObjectIntent, digest, notAfter)
		if err != nil {
			return err
		}
		p.Approvals = append(p.Approvals, signed)
	}
	return nil
}

// approval has a key approve something in an officer's name.
func (w *world) approval(key approval.Signer, officer canon.Name, object canon.Object, digest canon.Digest, notAfter canon.Time) (canon.Signed, error) {
	document, err := canon.Encode(canon.Approval{Organisation: w.chain.Current().Organisation(), Object: object, Digest: digest,
		Decision: canon.Approve, Officer: officer, NotAfter: notAfter})
	if err != nil {
		return canon.Signed{}, err
	}
	return key.Sign(canon.KindApproval, document, approval.NamespaceApproval)
}

// say has an officer sign a statement.
func (w *world) say(officer canon.Name, verb canon.Verb, object canon.Digest) canon.Signed {
	w.Helper()
	document := must(canon.Encode(canon.Statement{Organisation: w.chain.Current().Organisation(), Officer: officer,
		Serial: uint64(time.Now().UnixNano()), Verb: verb, Object: object}))(w.T)
	return must(w.build.Officers[officer].Sign(canon.KindStatement, document, approval.NamespaceApproval))(w.T)
}

// tell brings a statement to one signer, from the officer's device, and waits until the signers passed it on to all others.
func (w *world) tell(signer, officer canon.Name, statement canon.Signed) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	if _, err := w.devices[officer][signer].SubmitSignerStatement(ctx, &pb.SubmitSignerStatementRequest{Statement: onWire(statement)}); err != nil {
		w.Fatalf("statement of %s: %s: %v", officer, signer, err)
	}
	for _, name := range w.names {
		w.heard(name, statement)
	}
}

// heard waits until a signer has recorded the statement.
func (w *world) heard(signer canon.Name, statement canon.Signed) {
	w.Helper()
	w.until(fmt.Sprintf("%s hears of a statement", signer), func(ctx context.Context) (bool, error) {
		list, err := w.devices["alice"][signer].ListStatements(ctx, &pb.ListStatementsRequest{})
		return slices.ContainsFunc(list.GetStatements(), func(r *pb.RecordedStatement) bool {
			return string(r.GetStatement().GetDocument()) == string(statement.Document)
		}), err
	})
}

// reserve asks all signers for their acks.
func (w *world) reserve(q hostile.Question) ([]canon.Signed, map[canon.Name]error) {
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	answers, errs := each(w.names, func(name canon.Name) (*pb.ReserveResponse, error) {
		return w.signers[name].Reserve(ctx, &pb.ReserveRequest{Evidence: q.Evidence, Reservation: q.Reservation})
	})
	var acks []canon.Signed
	for _, name := range w.names {
		if errs[name] == nil {
			acks = append(acks, fromWire(answers[name].GetAck()))
		}
	}
	return acks, errs
}

// sign asks for a session of two. When one refuses, the other waits in vain and is told to stop.
func (w *world) sign(evidence, certificate []byte, attempt uint64, pair ...canon.Name) (map[canon.Name]*pb.SignResponse, map[canon.Name]error) {
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	names := []string{string(pair[0]), string(pair[1])}
	return each(pair, func(name canon.Name) (*pb.SignResponse, error) {
		r, err := w.signers[name].Sign(ctx, &pb.SignRequest{Evidence: evidence, Certificate: certificate, Participants: names, Attempt: attempt})
		if refusal.Of(rpc.FromStatus(err)) != nil {
			cancel()
		}
		return r, err
	})
}

// certified reserves a withdrawal that nothing stands against.
func (w *world) certified(p *hostile.Paper) (evidence, certificate []byte) {
	w.Helper()
	q := must(w.build.Question(p))(w.T)
	acks, errs := w.reserve(q)
	w.granted("valid reservation", errs)
	return q.Evidence, must(w.build.Certificate(q.Reservation, acks...))(w.T)
}

// pays has a withdrawal signed, to show that nothing stands against an honest one, and checks the signature by the rules of the chain.
func (w *world) pays(p *hostile.Paper) {
	w.Helper()
	evidence, certificate := w.certified(p)
	answers, errs := w.sign(evidence, certificate, 1, w.names[0], w.names[1])
	w.granted("valid withdrawal", errs)
	for _, r := range answers {
		var inputs []bitcoin.SignedInput
		for i, s := range r.GetSignatures() {
			inputs = append(inputs, bitcoin.SignedInput{Keys: [][33]byte{[33]byte(r.GetPublicKeys()[i])}, Signatures: [][64]byte{[64]byte(s)}})
		}
		must(bitcoin.Finalise(p.Bitcoin, must(bitcoin.Prevouts(p.Bitcoin, p.Previous))(w.T), inputs))(w.T)
	}
}

// refusesToReserve asks all signers for acks, which all must refuse.
func (w *world) refusesToReserve(attack string, p *hostile.Paper, rule, field string) {
	w.Helper()
	_, errs := w.reserve(must(w.build.Question(p))(w.T))
	w.refused(attack, errs, rule, field)
}

// refusesToSign asks every signer to sign, alone: it must refuse before it needs anybody.
func (w *world) refusesToSign(attack string, evidence, certificate []byte, rule, field string) {
	w.Helper()
	for _, pair := range [][]canon.Name{w.names[:2], w.names[2:]} {
		for _, name := range pair {
			ctx, cancel := context.WithTimeout(w.Context(), patience)
			_, err := w.signers[name].Sign(ctx, &pb.SignRequest{Evidence: evidence, Certificate: certificate,
				Participants: []string{string(pair[0]), string(pair[1])}, Attempt: 1})
			cancel()
			w.refused(attack, map[canon.Name]error{name: err}, rule, field)
		}
	}
}
