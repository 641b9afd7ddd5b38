package policy_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/refusal"
)

func TestExplanationIsReadByManyAtOnce(t *testing.T) {
	c := chartertest.Open(t, chartertest.Genesis())
	r := request(chartertest.BTC, 1_500_000_000)
	v := policy.Decide(c, policy.FactsOf(r))
	var group sync.WaitGroup
	found := make([]*refusal.Refusal, 8)
	for i := range found {
		group.Go(func() { found[i] = refusal.Of(v.Explanation) })
	}
	group.Wait()
	for i, got := range found {
		if got == nil || got != found[0] || got.Error() != v.Explanation.Error() {
			t.Errorf("reader %d: expected the refusal that all read, found %v", i, got)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, v.Explanation); text != found[0].Error() {
			t.Errorf("%s: expected %q, found %q", verb, found[0], text)
		}
	}
	var other interface{ Timeout() bool }
	if errors.As(v.Explanation, &other) || errors.Is(v.Explanation, errors.ErrUnsupported) {
		t.Error("expected an explanation to be nothing but a refusal")
	}
}
