package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal/withdrawaltest"
	"github.com/strongroom/strongroom/proto/canon"
)

// A row that cannot be read fails a query, or is handed over and belongs to no page.
func TestRowsThatCannotBeReadAreHandedOver(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "coordinator.db"))
	var ids []canon.Digest
	for _, id := range []string{"r-1", "r-2", "r-3", "r-4"} {
		ids = append(ids, life(t, s, withdrawaltest.Bitcoin, id).ID)
	}
	err := s.update(t.Context(), func(t transaction) error {
		if err := t.exec(`UPDATE withdrawals SET body = x'00' WHERE id = ?`, ids[1][:]); err != nil {
			return err
		}
		return t.exec(`UPDATE withdrawals SET version = 7 WHERE id = ?`, ids[3][:])
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.List(t.Context(), store.Query{}); err == nil {
		t.Error("expected an error, found none")
	}
	for size := range 5 {
		var found, bad []canon.Digest
		q := store.Query{Size: size, Unreadable: func(id canon.Digest, err error) {
			if err == nil {
				t.Error("expected the reason, found none")
			}
			bad = append(bad, id)
		}}
		for pages := 0; ; pages++ {
			page, next, err := s.List(t.Context(), q)
			if err != nil || pages > 4 {
				t.Fatalf("size %d: expected a few pages, found %d, %v", size, pages, err)
			}
			for _, w := range page {
				found = append(found, w.ID)
			}
			if q.Page = next; next == "" {
				break
			}
		}
		if len(found) != 2 || found[0] != ids[0] || found[1] != ids[2] || len(bad) != 2 || bad[0] != ids[1] || bad[1] != ids[3] {
			t.Errorf("size %d: expected rows 1 and 3, and 2 and 4 handed over, found %v and %v", size, found, bad)
		}
	}
}
