package authority

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
	wire "github.com/strongroom/strongroom/wallets/ethereum"
)

// holding is a travel-rule authority that asks for data always and holds what lacks it.
const holding = "[travel_rule]\nvalid = \"24h\"\nmissing = \"hold\"\n"

func TestOneQuestionDoesNotKeepOthersFromAnAnswer(t *testing.T) {
	r := start(t, TravelRule, holding)
	ask := func(id string, data []byte) string {
		t.Helper()
		q, _ := r.request(t, func(q *canon.Request) {
			r.pays(t, anybody, 5)(q)
			if q.RequestID = id; data != nil {
				q.TravelData = binding(data)
			}
		})
		_, why := r.decide(t, q, data)
		return why
	}
	ask("before", nil)
	if why := ask("evil", []byte(`{"originator":{"originatorPersons":[`+strings.Repeat("{},", 20000)+`{}]},"beneficiary":{}}`)); len(why) > maxReason {
		t.Errorf("expected a reason of at most %d bytes, found %d", maxReason, len(why))
	}
	broken := strings.Repeat("ab", 32) + waitingSuffix
	check(t, os.WriteFile(filepath.Join(r.config.Decisions, broken), make([]byte, maxDecisionFile+1), 0o600))
	ask("after", nil)
	list, err := List(r.config, time.Now())
	if len(list) != 3 || err == nil || !strings.Contains(err.Error(), broken) {
		t.Errorf("expected three requests and an error about the file that cannot be read, found %d, %v", len(list), err)
	}
	var log lines
	log.came = make(chan struct{})
	s, err := newService(r.config, slog.New(slog.NewJSONHandler(&log, nil)))
	check(t, err)
	if len(s.waits.listed) != 3 || !strings.Contains(log.String(), broken) {
		t.Errorf("expected a start with three requests and a line about the file, found %d\n%s", len(s.waits.listed), log.String())
	}
}

func TestOneClientDoesNotFillTheList(t *testing.T) {
	l, err := openList(decisions(filepath.Join(t.TempDir(), "d")), slog.New(slog.DiscardHandler))
	check(t, err)
	now := time.Now()
	note := func(client canon.Name, n int, ends time.Time) string {
		t.Helper()
		w := Waiting{Request: fmt.Sprintf("%s-%d", client, n), Client: client, Since: now, NotAfter: ends}
		check(t, l.note(w))
		return w.Request
	}
	for n := range maxClientWaiting {
		l.listed[fmt.Sprintf("acme-%d", n)] = listing{"acme", now.Add(time.Hour)}
		check(t, os.WriteFile(filepath.Join(string(l.dir), fmt.Sprintf("acme-%d%s", n, waitingSuffix)), nil, 0o600))
	}
	if l.there(note("acme", maxClientWaiting, now.Add(time.Hour))) {
		t.Error("above the bound of a client: expected it not listed, found it")
	}
	if !l.there(note("globex", 0, now.Add(time.Hour))) {
		t.Error("another client: expected it listed, found it not")
	}
	check(t, l.dir.forget("acme-3")) // as another process does that decides it
	if !l.there(note("acme", maxClientWaiting, now.Add(time.Hour))) {
		t.Error("after one was decided: expected it listed, found it not")
	}
	l.listed["acme-4"] = listing{"acme", now.Add(-time.Second)}
	if !l.there(note("acme", maxClientWaiting+1, now.Add(time.Hour))) || l.there("acme-4") {
		t.Error("after one ended: expected the new one in its place, found otherwise")
	}
}

func TestARequestThatNobodySignedIsNoQuestion(t *testing.T) {
	r := start(t, Screening, ExampleFacts)
	forged, _ := r.request(t, r.pays(t, held, 1))
	forged.Signature[0] ^= 1
	stranger, _ := r.request(t, func(q *canon.Request) {
		r.pays(t, held, 1)(q)
		q.Requester = canon.PublicKey(bytes.Repeat([]byte{1}, 32))
	})
	foreign, _ := r.request(t, func(q *canon.Request) {
		r.pays(t, held, 1)(q)
		q.Account, q.Wallet = "house-main", "btc-house"
	})
	for name, q := range map[string]*pb.Signed{"another signature": forged, "a stranger's key": stranger, "another's account": foreign} {
		if _, err := r.client.DecideClearance(t.Context(), &pb.DecideClearanceRequest{Request: q}); refusal.Of(err) == nil {
			t.Errorf("%s: expected a refusal, found %v", name, err)
		}
	}
	if list, err := List(r.config, time.Now()); err != nil || len(list) != 0 {
		t.Errorf("expected nothing put before people, found %+v, %v", list, err)
	}
}

func TestDataNamesWhomCallsPay(t *testing.T) {
	r := start(t, TravelRule, strings.Replace(holding, "hold", "refuse", 1)+"match_addresses = true\n")
	chain, _ := r.charter.Chain(ethereum)
	const pool, vault, token = "0x254dffcd3277C0b1660F6d42EFbB754edaBAbC2B", "0xCfEB869F69431e42cdB54A4F4f105C19C080A601", "0x5FbDB2315678afecb367f032d93F642f64180aa3"
	for _, c := range []struct {
		name, contract, function, argument string
		rest                               byte
		value                              uint64
		named                              []string
		cleared                            bool
	}{
		{name: "a stake for another", contract: pool, function: "stake(address,bool)", argument: anybody, named: []string{held}},
		{name: "an approval of another", contract: token, function: "approve(address,uint256)", argument: vault, rest: 9, named: []string{held}},
		{name: "an approval of whom the data names", contract: token, function: "approve(address,uint256)", argument: vault, rest: 9, named: []string{vault}, cleared: true},
		{name: "a call that the charter does not list", contract: held, function: "approve(address,uint256)", argument: held, named: []string{held}},
		{name: "coin to a contract that is not named", contract: pool, function: "stake(address,bool)", argument: anybody, value: 1, named: []string{anybody}},
		{name: "coin to a contract that is named", contract: pool, function: "stake(address,bool)", argument: anybody, value: 1, named: []string{anybody, pool}, cleared: true},
		{name: "no coin, to whom the data names", contract: pool, function: "stake(address,bool)", argument: anybody, named: []string{anybody}, cleared: true},
	} {
		data := payload(t, strings.Join(c.named, `", "`))
		q, _ := r.request(t, func(q *canon.Request) {
			f, err := wire.ParseSignature(c.function)
			check(t, err)
			contract, err := wallets.ParseAddress(chain, c.contract)
			check(t, err)
			argument, err := wallets.ParseAddress(chain, c.argument)
			check(t, err)
			words := append(append(f.Selector[:], make([]byte, 12)...), argument...)
			words = append(words, make([]byte, 32)...)
			words[len(words)-1] = c.rest
			q.Call, q.TravelData = &canon.Call{To: contract, Data: words, Value: canon.AmountOf(c.value)}, binding(data)
		})
		if got, why := r.decide(t, q, data); got == nil || got.Cleared != c.cleared || !c.cleared && got.Reason == "" {
			t.Errorf("%s: expected cleared %t, found %+v, %q", c.name, c.cleared, got, why)
		}
	}
}

func TestAPersonDoesNotClearDataThatDidNotCome(t *testing.T) {
	r := start(t, TravelRule, holding)
	data := payload(t, held)
	bound, digest := r.request(t, func(q *canon.Request) { r.pays(t, anybody, 5)(q); q.TravelData = binding(data) })
	check(t, Decide(r.config, digest, Decision{Clear: true}, false))
	if c, why := r.decide(t, bound, nil); c != nil || !strings.Contains(why, "did not come") {
		t.Errorf("without the data: expected no decision and why, found %+v, %q", c, why)
	}
	if c, _ := r.decide(t, bound, data); c == nil || !c.Cleared || !bytes.Equal(c.Data, binding(data)) {
		t.Errorf("with the data: expected it cleared, found %+v", c)
	}
	none, digest := r.request(t, r.pays(t, anybody, 6))
	check(t, Decide(r.config, digest, Decision{Clear: true}, false))
	if c, _ := r.decide(t, none, nil); c == nil || !c.Cleared || len(c.Data) != 0 {
		t.Errorf("a request that binds no data: expected it cleared, found %+v", c)
	}
}
