package agreement_test

import (
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
)

// each is how many withdrawals are judged by one charter.
const each = 500

// refusals of generated charters; the last one is shown if there are too many.
var refused refusals

type refusals struct {
	mu   sync.Mutex
	n    int
	last error
}

func (r *refusals) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n, r.last = r.n+1, err
}

// seen counts outcomes, so that a generator that makes only denials is noticed.
type seen struct{ allowed, approved, denied, stopped, unmatched atomic.Int64 }

func TestCoordinatorNodeAndOfflineSignerAgree(t *testing.T) {
	t.Parallel()
	var counts seen
	seeds := make(chan uint64)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for seed := range seeds {
				judge(t, seed, &counts)
			}
		})
	}
	for seed := uint64(0); seed < cases/each && !t.Failed(); seed++ {
		seeds <- seed
	}
	close(seeds)
	workers.Wait()
	for name, n := range map[string]*atomic.Int64{"allowed": &counts.allowed, "approved": &counts.approved, "denied by a rule": &counts.denied, "stopped": &counts.stopped, "unmatched": &counts.unmatched} {
		if n.Load() < cases/100 {
			t.Errorf("expected at least one in 100 of %d withdrawals %s, found %d", cases, name, n.Load())
		}
	}
}

// judge makes a charter and withdrawals of a seed.
func judge(t *testing.T, seed uint64, counts *seen) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 4))
	w := newWorld(t, rng)
	for n := range each {
		d := w.withdrawal(rng, n)
		w.complete(t, rng, &d)
		if failure := w.agree(rng, d, counts); failure != "" {
			t.Errorf("seed %d, withdrawal %d: %s\nrules: %+v\nrequest: %+v", seed, n, failure, w.genesis.Rules, d.request)
			return
		}
	}
}

// complete signs the request, and sometimes a decision about it.
func (w *world) complete(t *testing.T, rng *rand.Rand, d *withdrawal) {
	b, err := canon.Encode(d.request)
	if err != nil {
		t.Error(err)
		return
	}
	key := keyOf(string(d.request.Client))
	d.signed = canon.Signed{Document: b, Scheme: canon.Ed25519, Signature: ed25519.Sign(key, canon.KindRequest.Message(b))}
	if w.reads()[canon.PurposeScreening] && chance(rng, 3) {
		v := canon.Clearance{Organisation: w.here.Organisation(), Authority: "screening", Request: canon.KindRequest.Digest(b), Cleared: !chance(rng, 4), At: d.request.NotBefore, NotAfter: d.request.NotAfter}
		d.clearances = append(d.clearances, sign(t, v, canon.KindClearance, keyOf("screening")))
	}
}

func documents[D canon.Document](list []stated[D]) (out []D) {
	for _, s := range list {
		out = append(out, s.document)
	}
	return out
}

func signatures[D canon.Document](list []stated[D]) (out []canon.Signed) {
	for _, s := range list {
		out = append(out, s.signed)
	}
	return out
}

// facts are what the coordinator gathered.
func (d *withdrawal) facts() policy.Facts {
	return policy.Facts{Request: &d.request, Destinations: d.destinations, Prices: documents(d.prices), Attributes: documents(d.attributes),
		Clearances: documents(d.clearances), Balances: documents(d.balances)}
}

// agree asks everybody and says how they differ.
func (w *world) agree(rng *rand.Rand, d withdrawal, counts *seen) string {
	verdict := policy.Decide(w.here, d.facts())
	found := outcome{action: verdict.Action}
	if verdict.Rule != nil {
		found.rule = verdict.Rule.Name
	}
	reference := &naive{genesis: &w.genesis, when: w.when, withdrawal: d}
	if want := reference.decide(); want != found {
		return fmt.Sprintf("expected the engine to come to %+v, found %+v: %v", want, found, verdict.Explanation)
	}
	counts.count(verdict)
	intent, rule := w.intent(rng, d, verdict)
	encoded, err := canon.Encode(intent)
	if err != nil {
		return err.Error()
	}
	evidence, err := canon.Encode(canon.Evidence{Organisation: intent.Organisation, Intent: encoded, Transaction: []byte{1}})
	if err != nil {
		return err.Error()
	}
	var carried canon.Evidence
	if err := canon.Decode(evidence, &carried); err != nil {
		return err.Error()
	}
	for name, signer := range map[string]struct {
		c      *charter.Charter
		intent []byte
	}{"node": {w.here, encoded}, "offline signer": {w.offline, carried.Intent}} {
		review, err := guard.Examine(signer.intent, guard.View{Charter: signer.c, Now: d.request.NotBefore.At()})
		if allowed := found.action != canon.ActionDeny; (err == nil) != allowed {
			return fmt.Sprintf("expected the %s to come to %+v as the coordinator does, found %v", name, found, err)
		}
		if err != nil {
			continue
		}
		if failure := sameCharges(signer.c, review, intent.FeeCap, reference.charges(rule, intent.FeeCap)); failure != "" {
			return name + ": " + failure
		}
	}
	return ""
}

func (s *seen) count(v policy.Verdict) {
	switch {
	case v.Action == canon.ActionAllow:
		s.allowed.Add(1)
	case v.Action == canon.ActionApprove:
		s.approved.Add(1)
	case v.Rule == nil:
		s.unmatched.Add(1)
	case len(v.Missing) > 0:
		s.stopped.Add(1)
	default:
		s.denied.Add(1)
	}
}

// intent completes the request as the coordinator does. What the rules deny is completed by one of the rules that do not, as somebody would who forges it.
func (w *world) intent(rng *rand.Rand, d withdrawal, v policy.Verdict) (canon.Intent, *canon.Rule) {
	rule := v.Rule
	if v.Action == canon.ActionDeny && (rule == nil || rule.Action == canon.ActionDeny) {
		rules := w.here.Genesis().Rules
		at := rng.IntN(len(rules))
		rule = &rules[at]
		if others := slices.IndexFunc(rules, func(r canon.Rule) bool { return r.Action != canon.ActionDeny }); rule.Action == canon.ActionDeny && others >= 0 {
			rule = &rules[others]
		}
	}
	feeCap := d.request.FeeCap
	coin, _ := w.here.NativeAsset(d.request.Chain)
	if most := of(rule.FeeCaps, coin.ID); most != nil && most.Cmp(feeCap.Int()) < 0 {
		feeCap = canon.Amount(most.Bytes())
	}
	end := min(d.request.NotAfter, d.request.NotBefore+canon.Time(rule.Expiry))
	if rule.Action == canon.ActionAllow && len(d.prices)+len(d.attributes)+len(d.balances) > 0 {
		end = min(end, d.request.NotBefore+canon.Time(rule.Delay+rule.Signing)) // what they rest on must be fresh
	}
	return canon.Intent{Organisation: w.here.Organisation(), Withdrawal: d.request.WithdrawalID(), Request: d.signed, Rule: rule.Name, Quorum: rule.Quorum,
		CharterNumber: w.here.Number(), Charter: w.here.Digest(), Mode: canon.Template, FeeCap: feeCap, NotAfter: end,
		At: d.request.NotBefore, Destinations: d.destinations, Prices: signatures(d.prices), Attributes: signatures(d.attributes), Clearances: signatures(d.clearances), Balances: signatures(d.balances)}, rule
}

// sameCharges holds what a signer would record against the naive count.
func sameCharges(c *charter.Charter, review *guard.Review, feeCap canon.Amount, want []string) string {
	charges, err := policy.Charges(c, review.Rule, review.Facts, feeCap)
	if err != nil {
		return err.Error()
	}
	found := make([]string, len(charges))
	for i, charge := range charges {
		found[i] = fmt.Sprintf("%s [%s] %s", charge.Limit, charge.Counter, charge.Amount)
	}
	slices.SortFunc(found, strings.Compare)
	if !reflect.DeepEqual(found, want) {
		return fmt.Sprintf("expected charges %q, found %q", want, found)
	}
	return ""
}
