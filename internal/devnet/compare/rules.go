package main

import (
	"fmt"

	"github.com/strongroom/strongroom/proto/canon"
)

// rule is one line of the compared policy: this client, from this wallet, to this group of the address book, up to an amount.
type rule struct {
	client, wallet, group string
	most                  int64
	deny                  bool
}

// rulesOf makes n rules, each about a client of its own; every tenth denies.
func rulesOf(n int) []rule {
	out := make([]rule, n)
	for i := range out {
		out[i] = rule{client: clientOf(i), wallet: "btc-hot", group: "exchanges", most: int64(1_000_000 + i), deny: i%10 == 5}
	}
	return out
}

func clientOf(i int) string { return fmt.Sprintf("client-%d", i) }

// request is what is asked of every engine.
type request struct {
	name, client, wallet, group string
	amount                      int64
}

// requestsOf asks about the first rule, the last, one in the middle and none: within the amount and above it, to the group and to another.
func requestsOf(n int) []request {
	var out []request
	for _, at := range []struct {
		name string
		rule int
	}{{"first rule", 0}, {"middle rule", n / 2}, {"last rule", n - 1}, {"no rule", n}} {
		most := int64(1_000_000 + at.rule)
		out = append(out,
			request{at.name, clientOf(at.rule), "btc-hot", "exchanges", most},
			request{at.name + ", amount too large", clientOf(at.rule), "btc-hot", "exchanges", most + 1},
			request{at.name + ", another group", clientOf(at.rule), "btc-hot", "brokers", most},
			request{at.name + ", another wallet", clientOf(at.rule), "btc-warm", "exchanges", most})
	}
	return append(out, request{"sixth client, who is denied", clientOf(5), "btc-hot", "exchanges", 1})
}

// measured are those that are timed.
func measured(n int) []request {
	var out []request
	for _, r := range requestsOf(n) {
		if r.name == "first rule" || r.name == "last rule" || r.name == "no rule" {
			out = append(out, r)
		}
	}
	return out
}

// engine answers whether a request passes. prepare does what a service would do once for each request: put it in the engine's form.
type engine struct {
	name    string
	prepare func(request) func() (bool, error)
}

func amount(n int64) canon.Amount { return canon.AmountOf(uint64(n)) }
