package mpc

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
)

// forEach calls f for every party on as many goroutines as there are cores, and stops starting calls after the first error or when ctx
// is done. Calls for one party never overlap, and what they wrote is visible when forEach returns.
func forEach(ctx context.Context, parties []*party, f func(i int, p *party) error) error {
	var next atomic.Int64
	var failed atomic.Bool
	errs := make([]error, len(parties))
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(parties)) {
		workers.Go(func() {
			for !failed.Load() {
				i := int(next.Add(1)) - 1
				if i >= len(parties) {
					return
				}
				if errs[i] = ctx.Err(); errs[i] == nil {
					errs[i] = f(i, parties[i])
				}
				if errs[i] != nil {
					failed.Store(true)
				}
			}
		})
	}
	workers.Wait()
	return errors.Join(errs...)
}
