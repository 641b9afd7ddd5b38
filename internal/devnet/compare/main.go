package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"testing"
	"text/tabwriter"
	"time"
)

func main() {
	testing.Init()
	long := flag.Duration("for", 300*time.Millisecond, "how long each measurement runs")
	flag.Parse()
	if err := flag.Set("test.benchtime", long.String()); err != nil {
		fail(err)
	}
	if err := run(os.Stdout, []int{1, 100, 10_000}, []int{1000, 1_000_000}); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "compare:", err)
	os.Exit(1)
}

func run(w io.Writer, rules, books []int) error {
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "rules\trequest\tStrongroom\tOPA\tCedar\tOPA/Strongroom\tCedar/Strongroom\t")
	for _, n := range rules {
		engines, err := enginesOf(rulesOf(n))
		if err != nil {
			return err
		}
		if err := agree(engines, requestsOf(n)); err != nil {
			return err
		}
		for _, r := range measured(n) {
			if err := row(t, n, r, engines); err != nil {
				return err
			}
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if err := reasons(w, rules); err != nil {
		return err
	}
	fmt.Fprintln(w)
	t = tabwriter.NewWriter(w, 2, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "address book\tproof made and checked, 3 rules asked\tratio\t")
	first := 0.0
	for _, n := range books {
		ask, err := withBook(n)
		if err != nil {
			return err
		}
		cost, err := cost(ask)
		if err != nil {
			return err
		}
		if first == 0 {
			first = cost
		}
		fmt.Fprintf(t, "%d\t%s\t%.1f\t\n", n, shown(cost), cost/first)
	}
	return t.Flush()
}

// reasons measures denials of which somebody reads why no rule matched. The other engines do not say that.
func reasons(w io.Writer, rules []int) error {
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "rules\tdenied by all of them\tand why, of each rule\t")
	for _, n := range rules {
		e, read, err := strongroomRead(rulesOf(n))
		if err != nil {
			return err
		}
		var costs [2]float64
		for _, r := range requestsOf(n) {
			if r.name != "no rule" {
				continue
			}
			for i, prepare := range []func(request) func() (bool, error){e.prepare, read} {
				if costs[i], err = cost(prepare(r)); err != nil {
					return err
				}
			}
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t\n", n, shown(costs[0]), shown(costs[1]))
	}
	return t.Flush()
}

func enginesOf(rules []rule) ([]engine, error) {
	var out []engine
	for _, open := range []func([]rule) (engine, error){strongroomOf, opaOf, cedarOf} {
		e, err := open(rules)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// agree fails unless all engines answer every request the same, with some of either answer.
func agree(engines []engine, requests []request) error {
	passed := 0
	for _, r := range requests {
		want := false
		for i, e := range engines {
			got, err := e.prepare(r)()
			if err != nil {
				return fmt.Errorf("%s: %s: %w", e.name, r.name, err)
			}
			if i == 0 {
				want = got
			}
			if got != want {
				return fmt.Errorf("%s: expected %s to answer %t as %s does, found %t", r.name, e.name, want, engines[0].name, got)
			}
		}
		if want {
			passed++
		}
	}
	if passed == 0 || passed == len(requests) {
		return fmt.Errorf("expected requests of either answer, found %d of %d that pass", passed, len(requests))
	}
	return nil
}

func row(w io.Writer, n int, r request, engines []engine) error {
	costs := make([]float64, len(engines))
	for i, e := range engines {
		var err error
		if costs[i], err = cost(e.prepare(r)); err != nil {
			return fmt.Errorf("%s: %s: %w", e.name, r.name, err)
		}
	}
	_, err := fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%.1f\t%.1f\t\n", n, r.name, shown(costs[0]), shown(costs[1]), shown(costs[2]), costs[1]/costs[0], costs[2]/costs[0])
	return err
}

// cost measures nanoseconds for one answer.
func cost(ask func() (bool, error)) (float64, error) {
	var failed error
	r := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			if _, err := ask(); err != nil {
				failed = err
				b.FailNow()
			}
		}
	})
	if failed != nil {
		return 0, failed
	}
	if r.N == 0 {
		return 0, fmt.Errorf("no measurement")
	}
	return float64(r.T.Nanoseconds()) / float64(r.N), nil
}

func shown(ns float64) string {
	if ns < 1000 {
		return fmt.Sprintf("%.0f ns", ns)
	}
	return fmt.Sprintf("%.1f µs", ns/1000)
}
