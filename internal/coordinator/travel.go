package coordinator

import (
	"context"
	"time"
)

// forgetInterval is how often old travel-rule data is looked for.
const forgetInterval = time.Hour

// forgetTravelData deletes the travel-rule data of withdrawals that settled as long ago as the configuration keeps it.
func (s *Service) forgetTravelData(ctx context.Context) {
	if s.KeepTravelData <= 0 {
		return
	}
	every(ctx, forgetInterval, func() {
		deleted, err := s.Store.DeleteTravelData(ctx, s.Now().Add(-s.KeepTravelData))
		if err != nil && ctx.Err() == nil {
			s.Log.Error("old travel-rule data is still there", "error", err.Error())
		}
		if deleted > 0 {
			s.Log.Info("travel-rule data deleted", "withdrawals", deleted)
		}
	})
}
