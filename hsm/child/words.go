package child

import (
	"bytes"
	"sync"
)

// maxWord bounds what is kept of one line.
const maxWord = 64

// lastWords is a child's standard error. It keeps the first line that names a signal, as the Go runtime writes it before it gives an account of all registers
// and stacks, and drops the rest.
type lastWords struct {
	mu   sync.Mutex
	line []byte // that is being read, up to maxWord bytes
	kept string
}

// Write never fails: a child must not end because of what it says.
func (w *lastWords) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for rest := b; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		w.line = append(w.line, line[:min(len(line), maxWord-len(w.line))]...)
		if rest = after; whole {
			w.note()
			w.line = w.line[:0]
		}
	}
	return len(b), nil
}

// note keeps a line such as "SIGSEGV: segmentation violation".
func (w *lastWords) note() {
	name, _, found := bytes.Cut(w.line, []byte(": "))
	if w.kept == "" && found && bytes.HasPrefix(name, []byte("SIG")) && len(bytes.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")) == 0 {
		w.kept = ": " + string(name)
	}
}

// cause is the name of the signal, to append to how the child ended.
func (w *lastWords) cause() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.kept
}
