package child

import (
	"context"
	"fmt"

	"github.com/strongroom/strongroom/hsm"
)

// Inventory describes the token and every key in it. The keys come in several frames.
func (t *Token) Inventory(ctx context.Context) (hsm.Inventory, error) {
	select {
	case t.listing <- struct{}{}:
		defer func() { <-t.listing }()
	case <-ctx.Done():
		return hsm.Inventory{}, gaveUp("waiting for another inventory", ctx)
	}
	var all hsm.Inventory
	size := 0
	for from := uint64(0); ; {
		r, err := t.call(ctx, request{Op: opInventory, Key: from})
		if err != nil {
			return hsm.Inventory{}, err
		}
		size += r.size
		if r.Token == nil || r.More && len(r.Token.Keys) != maxListed || len(all.Keys)+len(r.Token.Keys) > maxKeys || size > t.largest {
			return hsm.Inventory{}, t.violated(fmt.Sprintf("inventory: expected at most %d keys in full frames of together at most %d bytes, found others", maxKeys, t.largest))
		}
		all.Info, all.Library, all.Sessions = r.Token.Info, r.Token.Library, r.Token.Sessions
		all.Keys = append(all.Keys, r.Token.Keys...)
		if !r.More {
			return all, nil
		}
		from = uint64(len(all.Keys))
	}
}
