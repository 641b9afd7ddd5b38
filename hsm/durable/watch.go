package durable

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/strongroom/strongroom/hsm"
)

// watch ends generations and begins the next until ctx ends.
func (t *Token) watch(ctx context.Context, g *generation) {
	defer close(t.ended)
	for g != nil {
		reason := t.attend(ctx, g)
		if reason == nil {
			t.publish(nil, t.closed())
			t.closing = g.token.Close()
			return
		}
		t.publish(nil, reason)
		t.log.Warn("token: lost", "token", t.info.Label, "generation", g.number, "reason", reason.Error())
		if err := end(g.token); err != nil {
			t.log.Warn("token: closing", "token", t.info.Label, "generation", g.number, "reason", err.Error())
		}
		g = t.next(ctx)
	}
}

// attend has the canary sign until the generation ends, and returns why it did; nil means that ctx ended.
func (t *Token) attend(ctx context.Context, g *generation) error {
	tick := time.NewTicker(t.config.Check)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-g.lost:
			return g.why()
		case <-g.doubt:
		case <-tick.C:
		}
		t.check(ctx, g)
	}
}

// check has the canary sign, and ends the generation if it cannot. A canary that only had to wait too long, while others were served, proves nothing.
func (t *Token) check(ctx context.Context, g *generation) {
	before := g.good.Load()
	limited, cancel := context.WithTimeout(ctx, t.config.CheckTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- g.token.Check(limited) }()
	var err error
	select {
	case err = <-done:
	case <-g.lost:
		return // what ends the generation ends the canary too
	}
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.tell()
	}()
	switch {
	case err == nil:
		g.succeeded()
	case ctx.Err() != nil:
	case errors.Is(err, hsm.ErrTimeout) && g.good.Load() != before:
	default:
		g.lose(fmt.Errorf("durable: the canary did not sign: %w", err))
	}
}

// maxLogins bounds how often in a row a login may end with hsm.ErrLogin: each may have counted as a wrong PIN.
const maxLogins = 2

// next opens the next generation, however long that takes. It returns nil if ctx ends first, the PIN is refused, or logins end in ways that may cost tries.
func (t *Token) next(ctx context.Context) *generation {
	logins := 0
	for pause := t.config.Pause; ; pause = min(2*pause, t.config.LongestPause) {
		g, err := t.begin(ctx)
		if err == nil {
			t.log.Info("token: opened again", "token", t.info.Label, "generation", g.number)
			t.publish(g, nil)
			return g
		}
		if ctx.Err() != nil {
			t.publish(nil, t.closed())
			return nil
		}
		if errors.Is(err, hsm.ErrLogin) {
			logins++
		}
		if errors.Is(err, hsm.ErrPIN) || logins == maxLogins {
			t.refuse(err)
			t.log.Error("token: the PIN was refused, or the login failed twice; the PIN is not tried again before this program is started anew",
				"token", t.info.Label, "reason", err.Error())
			<-ctx.Done()
			return nil
		}
		t.publish(nil, err)
		t.log.Warn("token: away", "token", t.info.Label, "reason", err.Error())
		if !sleep(ctx, pause) {
			t.publish(nil, t.closed())
			return nil
		}
	}
}

// sleep waits between half and all of the pause, so that the signers of one HSM do not come back at one moment. It is false if ctx ends first.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause/2 + rand.N(pause/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// lose has the generation end. Only the first reason counts.
func (g *generation) lose(reason error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.reason == nil {
		g.reason = reason
		close(g.lost)
	}
}

func (g *generation) isLost() bool {
	select {
	case <-g.lost:
		return true
	default:
		return false
	}
}

func (g *generation) why() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reason
}

func (g *generation) succeeded() {
	g.good.Add(1)
	g.proven.Store(time.Now().UnixNano())
}

// heed draws the consequence of how a call ended.
func (g *generation) heed(err error) {
	switch {
	case err == nil:
		g.succeeded()
	case errors.Is(err, hsm.ErrTokenLost), errors.Is(err, hsm.ErrSignature), errors.Is(err, hsm.ErrClosed):
		g.lose(err)
	case errors.Is(err, hsm.ErrTimeout):
		g.suspect()
	}
}

// suspect has the canary sign now.
func (g *generation) suspect() {
	select {
	case g.doubt <- struct{}{}:
	default:
	}
}

// stale says that nothing proved the token for so long that the watcher cannot have run: the machine slept, say.
func (g *generation) stale(c Config) bool {
	return time.Since(time.Unix(0, g.proven.Load())) > 2*c.Check+c.CheckTimeout
}
