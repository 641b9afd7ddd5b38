package devnet

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Progress tells a person what goes on: a line a step, and every two seconds how long the step has taken.
type Progress struct {
	mu    sync.Mutex
	w     io.Writer
	live  bool // a terminal: the running step's line is written over
	start time.Time
}

// NewProgress writes to w; live says that w is a terminal.
func NewProgress(w io.Writer, live bool) *Progress {
	return &Progress{w: w, live: live, start: time.Now()}
}

// Title starts a part.
func (p *Progress) Title(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, "\n%s\n", fmt.Sprintf(format, args...))
}

// Say writes a line.
func (p *Progress) Say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range strings.Split(fmt.Sprintf(format, args...), "\n") {
		fmt.Fprintf(p.w, "    %s\n", line)
	}
}

// Step runs work under a heading. While it runs, detail (which may be nil) says every two seconds how far it is.
func (p *Progress) Step(heading string, detail func() string, work func() error) error {
	begin := time.Now()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(2 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				p.running(heading, detail, time.Since(begin))
			}
		}
	}()
	err := work()
	close(stop)
	<-stopped
	p.mu.Lock()
	defer p.mu.Unlock()
	mark := "ok"
	if err != nil {
		mark = "FAILED"
	}
	if p.live {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
	fmt.Fprintf(p.w, "  %-6s %s (%.1f s)\n", mark, heading, time.Since(begin).Seconds())
	return err
}

func (p *Progress) running(heading string, detail func() string, since time.Duration) {
	text := ""
	if detail != nil {
		if text = detail(); text != "" {
			text = ": " + text
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live {
		fmt.Fprintf(p.w, "\r\x1b[K  ...    %s%s, %.0f s", heading, text, since.Seconds())
		return
	}
	fmt.Fprintf(p.w, "  ...    %s%s, %.0f s\n", heading, text, since.Seconds())
}
