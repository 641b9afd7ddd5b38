package coordinator

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/strongroom/strongroom/proto/canon"
)

// Pauses between two looks at a withdrawal that nothing woke.
const (
	firstPause = 250 * time.Millisecond
	lastPause  = 30 * time.Second
)

// turn is what came of looking at a withdrawal.
type turn struct {
	settled bool          // nothing is left to do
	after   time.Duration // look again then, if nothing wakes it before; 0 means by the back-off
	stuck   bool          // an attempt failed or had to wait for others: back off, and look again after that time at the earliest
}

// driver works on withdrawals: on one of them with one goroutine at a time, on several in parallel. It keeps nothing that a crash could
// lose: jobs are wake-ups, the row in the store is the truth.
type driver struct {
	work  func(context.Context, canon.Digest) (turn, error)
	log   *slog.Logger
	slots chan struct{}

	mu      sync.Mutex
	ctx     context.Context // nil before start and after stop
	jobs    map[canon.Digest]*job
	running sync.WaitGroup
}

type job struct {
	running bool
	again   bool // woken while running
	nudged  bool // nudged while running
	fails   int
	timer   *time.Timer
}

func newDriver(parallel int, work func(context.Context, canon.Digest) (turn, error), log *slog.Logger) *driver {
	return &driver{work: work, log: log, slots: make(chan struct{}, parallel), jobs: map[canon.Digest]*job{}}
}

func (d *driver) start(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ctx = ctx
}

// stop ends timers and waits for work in progress; the context given to start must be done.
func (d *driver) stop() {
	d.mu.Lock()
	d.ctx = nil
	for _, j := range d.jobs {
		if j.timer != nil {
			j.timer.Stop()
		}
	}
	d.mu.Unlock()
	d.running.Wait()
}

// wake has the withdrawal looked at now, or once more if somebody is just doing so.
func (d *driver) wake(id canon.Digest) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ctx == nil {
		return
	}
	j := d.jobs[id]
	if j == nil {
		j = &job{}
		d.jobs[id] = j
	}
	if j.timer != nil {
		j.timer.Stop()
		j.timer = nil
	}
	if j.running {
		j.again = true
		return
	}
	j.running = true
	ctx := d.ctx
	d.running.Go(func() { d.run(ctx, id, j) })
}

// nudge has the withdrawal looked at now, because of what others said. One that is being worked on keeps its count of failures and is only
// looked at again soon: nobody who keeps talking can keep it at work.
func (d *driver) nudge(id canon.Digest) {
	d.mu.Lock()
	j := d.jobs[id]
	busy := j != nil && j.running
	if busy {
		j.nudged = true
	}
	d.mu.Unlock()
	if !busy {
		d.wake(id)
	}
}

// run looks at the withdrawal until there is a reason to pause.
func (d *driver) run(ctx context.Context, id canon.Digest, j *job) {
	for {
		select {
		case d.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		t, err := d.work(ctx, id)
		<-d.slots
		if err != nil && ctx.Err() == nil {
			d.log.Warn("withdrawal waits", "withdrawal", id.String(), "error", err.Error())
		}
		if ctx.Err() != nil || !d.pause(id, j, t, err) {
			return
		}
	}
}

// pause decides when to look again. It returns true for at once.
func (d *driver) pause(id canon.Digest, j *job, t turn, err error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if j.again {
		j.again, j.nudged, j.fails = false, false, 0
		return true
	}
	j.running = false
	if d.ctx == nil {
		return false
	}
	if t.settled && err == nil {
		delete(d.jobs, id)
		return false
	}
	wait := t.after
	if err != nil || t.stuck {
		wait = max(wait, min(firstPause<<min(j.fails, 10), lastPause))
		j.fails++
	} else {
		j.fails = 0
	}
	if j.nudged {
		j.nudged, wait = false, firstPause
	}
	j.timer = time.AfterFunc(max(wait, firstPause), func() { d.wake(id) })
	return false
}
