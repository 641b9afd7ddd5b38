package desk

import "sync"

// work is what runs beside the loop.
type work struct {
	mu      sync.Mutex
	ended   bool
	running sync.WaitGroup
}

// begin reports whether something may run, and counts it. bubbletea takes no commands any more once it was stopped, or takes them later: what it
// does not run is not waited for, and nothing begins after the end.
func (w *work) begin() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return false
	}
	w.running.Add(1)
	return true
}

// end waits for what runs.
func (w *work) end() {
	w.mu.Lock()
	w.ended = true
	w.mu.Unlock()
	w.running.Wait()
}

// reports are what came of everything that was signed, in order. They outlive the loop: what is sent when it ends is in them too.
type reports struct {
	mu   sync.Mutex
	list []string
}

// signed notes that something was signed, and returns how to say what came of it.
func (r *reports) signed() (say func(text string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := len(r.list)
	r.list = append(r.list, "Something was signed, and it was not sent: the desk was left before.\n")
	return func(text string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.list[at] = text
	}
}

func (r *reports) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string{}, r.list...)
}
