package durable

import "time"

// Asleep makes it as if the machine had slept: nothing proved the token for so long.
func Asleep(t *Token, d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current.proven.Add(-int64(d))
}
