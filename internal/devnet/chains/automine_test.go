package chains

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestAutoMineRestsTwelveBlocksAfterTheLastTransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		waiting, mined := false, 0
		ended := make(chan error)
		go func() {
			ended <- autoMine(ctx, time.Second,
				func(context.Context) (bool, error) { return waiting, nil },
				func(context.Context) error { mined++; waiting = false; return nil })
		}()
		<-time.After(10*time.Second + time.Millisecond) // of the bubble's clock, which takes no time
		synctest.Wait()
		if mined != 0 {
			t.Errorf("%d blocks without a transaction; expected none", mined)
		}
		waiting = true
		<-time.After(time.Minute)
		synctest.Wait()
		if mined != 13 {
			t.Errorf("%d blocks for one transaction; expected its own and 12 more", mined)
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("stopped with %v; expected nil", err)
		}
	})
}

func TestAutoMineReturnsTheNodesError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		err := autoMine(t.Context(), time.Second,
			func(context.Context) (bool, error) { return true, nil },
			func(context.Context) error { return broken })
		if !errors.Is(err, broken) {
			t.Errorf("error %v; expected %v", err, broken)
		}
	})
}
