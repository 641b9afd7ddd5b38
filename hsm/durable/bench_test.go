package durable_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/child"
	"github.com/strongroom/strongroom/hsm/durable"
	"github.com/strongroom/strongroom/hsm/hsmtest"
	"github.com/strongroom/strongroom/hsm/pkcs11"
)

const (
	benchSessions = 4
	benchCallers  = 16
	benchRounds   = 7
	benchRound    = 700 * time.Millisecond
)

// rate runs as many workers for a round and returns what they did in a second, all together.
func rate(b *testing.B, workers int, work func(worker int) error) float64 {
	b.Helper()
	var done atomic.Int64
	var all sync.WaitGroup
	start := time.Now()
	for w := range workers {
		all.Go(func() {
			for time.Since(start) < benchRound {
				if err := work(w); err != nil {
					b.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	all.Wait()
	return float64(done.Load()) / time.Since(start).Seconds()
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// bare is the module without anything of ours: initialised, logged in, and a loop around C_SignInit and C_Sign. Nothing is verified.
type bare struct {
	ctx      *p11.Ctx
	sessions []p11.SessionHandle
	key      p11.ObjectHandle
}

func openBare(b *testing.B, cfg pkcs11.Config, label string) *bare {
	b.Helper()
	c := p11.New(cfg.Module)
	check := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	check(c.Initialize())
	b.Cleanup(func() { check(c.Finalize()) })
	slots, err := c.GetSlotList(true)
	check(err)
	o := &bare{ctx: c}
	for _, slot := range slots {
		if info, err := c.GetTokenInfo(slot); err != nil || info.Label != cfg.TokenLabel {
			continue
		}
		for range benchSessions {
			s, err := c.OpenSession(slot, p11.CKF_SERIAL_SESSION)
			check(err)
			o.sessions = append(o.sessions, s)
		}
	}
	s := o.sessions[0]
	check(c.Login(s, p11.CKU_USER, string(cfg.PIN)))
	check(c.FindObjectsInit(s, []*p11.Attribute{p11.NewAttribute(p11.CKA_CLASS, p11.CKO_PRIVATE_KEY), p11.NewAttribute(p11.CKA_LABEL, label)}))
	found, _, err := c.FindObjects(s, 2)
	check(err)
	check(c.FindObjectsFinal(s))
	if len(found) != 1 {
		b.Fatalf("%d keys, want 1", len(found))
	}
	o.key = found[0]
	return o
}

func (o *bare) sign(session int, digest []byte) error {
	if err := o.ctx.SignInit(o.sessions[session], []*p11.Mechanism{p11.NewMechanism(p11.CKM_ECDSA, nil)}, o.key); err != nil {
		return err
	}
	_, err := o.ctx.Sign(o.sessions[session], digest)
	return err
}

// BenchmarkSignatures compares signatures per second through durable and child, verified twice, with a bare loop on the same module and key. The rounds take
// turns, so that what else the machine does slows both; reported are the medians of
// the rounds' ratios, to one loop and to as many loops as there are sessions, and how far the former lie apart. The target is 0.9 of one loop.
func BenchmarkSignatures(b *testing.B) {
	cfg := hsmtest.NewToken(b)
	cfg.Sessions = benchSessions
	token := startChild(b, inChild(cfg, "pkcs11"), durable.Config{})
	key, err := token.CreateECDSA(b.Context(), "bench", hsm.KeyClass{})
	if err != nil {
		b.Fatal(err)
	}
	loop := openBare(b, cfg, "bench")
	digest := [32]byte{1}
	for range b.N {
		var bareOne, bareMany, ours, ofOne, ofMany []float64
		for range benchRounds {
			one := rate(b, 1, func(int) error { return loop.sign(0, digest[:]) })
			many := rate(b, benchSessions, func(w int) error { return loop.sign(w, digest[:]) })
			through := rate(b, benchCallers, func(int) error { _, err := key.Sign(context.Background(), digest, nil); return err })
			bareOne, bareMany, ours = append(bareOne, one), append(bareMany, many), append(ours, through)
			ofOne, ofMany = append(ofOne, through/one), append(ofMany, through/many)
		}
		b.ReportMetric(median(bareOne), "loop/s")
		b.ReportMetric(median(bareMany), fmt.Sprintf("%d-loops/s", benchSessions))
		b.ReportMetric(median(ours), "ours/s")
		b.ReportMetric(median(ofOne), "of-loop")
		b.ReportMetric(slices.Min(ofOne), "of-loop-least")
		b.ReportMetric(slices.Max(ofOne), "of-loop-most")
		b.ReportMetric(median(ofMany), fmt.Sprintf("of-%d-loops", benchSessions))
	}
	b.ReportMetric(0, "ns/op") // says nothing here
}

// BenchmarkLatency compares one signature at a time: in this process, and in a child.
func BenchmarkLatency(b *testing.B) {
	cfg := hsmtest.NewToken(b)
	direct := hsmtest.OpenConfig(b, cfg)
	near, err := direct.CreateECDSA(b.Context(), "bench", hsm.KeyClass{})
	if err != nil {
		b.Fatal(err)
	}
	token := startChild(b, inChild(cfg, "pkcs11"), durable.Config{})
	far, err := token.ECDSA(b.Context(), "bench", hsm.KeyClass{})
	if err != nil {
		b.Fatal(err)
	}
	var in, out []float64
	for range b.N {
		for range benchRounds {
			for key, list := range map[hsm.ECDSA]*[]float64{near: &in, far: &out} {
				*list = append(*list, 1e6/rate(b, 1, func(int) error { _, err := key.Sign(context.Background(), [32]byte{1}, nil); return err }))
			}
		}
	}
	b.ReportMetric(median(in), "direct-µs")
	b.ReportMetric(median(out), "child-µs")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkRecovery measures the time from the end of a child to the first signature of the next: a process, a login, a canary, a key that is looked up.
func BenchmarkRecovery(b *testing.B) {
	cfg := hsmtest.NewToken(b)
	var current hsm.Token
	open := inChild(cfg, "pkcs11")
	token := startChild(b, func(ctx context.Context) (hsm.Token, error) {
		opened, err := open(ctx)
		current = opened
		return opened, err
	}, durable.Config{})
	key, err := token.CreateECDSA(b.Context(), "bench", hsm.KeyClass{})
	if err != nil {
		b.Fatal(err)
	}
	var times []float64
	for range b.N {
		for range 3 * benchRounds {
			start := time.Now()
			current.(*child.Token).Abandon()
			for {
				if _, err := key.Sign(b.Context(), [32]byte{1}, nil); err == nil {
					break
				}
			}
			times = append(times, float64(time.Since(start).Microseconds())/1e3)
		}
	}
	b.ReportMetric(median(times), "ms")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkSlowDevice shows that throughput grows with the sessions of a device that takes 10 ms for a signature.
func BenchmarkSlowDevice(b *testing.B) {
	var single float64
	for _, sessions := range []int{1, 2, 4, 8} {
		b.Run(fmt.Sprintf("sessions=%d", sessions), func(b *testing.B) {
			token := startChild(b, inChild(pkcs11.Config{Module: "none", TokenLabel: "device", Sessions: sessions}, "slow"), durable.Config{})
			key, err := token.ECDSA(b.Context(), "key", hsm.KeyClass{})
			if err != nil {
				b.Fatal(err)
			}
			var rates []float64
			for range b.N {
				for range 3 {
					rates = append(rates, rate(b, benchCallers, func(int) error { _, err := key.Sign(context.Background(), [32]byte{1}, nil); return err }))
				}
			}
			if sessions == 1 {
				single = median(rates)
			}
			b.ReportMetric(median(rates), "signatures/s")
			b.ReportMetric(median(rates)/single, "times-one-session")
			b.ReportMetric(0, "ns/op")
		})
	}
}
