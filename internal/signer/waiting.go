package signer

import (
	"sync"

	"github.com/strongroom/strongroom/proto/canon"
)

// waiting keeps the intents whose delay this signer counts, so that officers see them while there is time to stop them. The ledger has their
// digests only. After a restart one is known again when the coordinator asks for it, and until then it is not listed. Of more than maxListed bytes
// those that came last are not kept: their delay is counted all the same.
type waiting struct {
	mu   sync.Mutex
	size int
	all  map[canon.Digest]waitingIntent
}

type waitingIntent struct {
	encoding []byte
	notAfter canon.Time
}

// add keeps an intent, and forgets those that ended.
func (w *waiting) add(id canon.Digest, encoding []byte, notAfter, now canon.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, i := range w.all {
		if i.notAfter < now {
			w.drop(id)
		}
	}
	if _, known := w.all[id]; known || notAfter < now || w.size+len(encoding) > maxListed {
		return
	}
	if w.all == nil {
		w.all = map[canon.Digest]waitingIntent{}
	}
	w.all[id] = waitingIntent{encoding, notAfter}
	w.size += len(encoding)
}

// end forgets an intent that was reserved: the ledger has it now.
func (w *waiting) end(id canon.Digest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop(id)
}

func (w *waiting) drop(id canon.Digest) {
	w.size -= len(w.all[id].encoding)
	delete(w.all, id)
}

// besides returns the encodings of those that are not among the intents that the ledger has.
func (w *waiting) besides(recorded [][]byte) [][]byte {
	known := map[canon.Digest]bool{}
	for _, b := range recorded {
		known[canon.KindIntent.Digest(b)] = true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var all [][]byte
	for id, i := range w.all {
		if !known[id] {
			all = append(all, i.encoding)
		}
	}
	return all
}
