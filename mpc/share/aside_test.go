package share_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/mpc/mpctest"
	"github.com/strongroom/strongroom/mpc/share"
)

func TestAShareThatIsSetAsideIsOutOfUseAndNotLost(t *testing.T) {
	dir, sealer, s := privateDir(t), newGCM(t), mpctest.Shares(t, 3, 2)[0]
	st := newStore(t, dir, sealer, "node-1")
	if err := st.SetAside(s); !errors.Is(err, share.ErrNotFound) {
		t.Errorf("no share: expected ErrNotFound, found %v", err)
	}
	var sealed []byte
	for range 2 { // the second time the name is taken
		if err := st.SaveShare(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		var err error
		if sealed, err = os.ReadFile(filepath.Join(dir, "share-hot.1.sealed")); err != nil {
			t.Fatal(err)
		}
		if err := st.SetAside(s); err != nil {
			t.Fatal(err)
		}
		if _, err := st.LoadShare(t.Context(), "hot", 1); !errors.Is(err, share.ErrNotFound) {
			t.Errorf("expected ErrNotFound, found %v", err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Fatalf("expected two files, found %v, %v", entries, err)
	}
	last := filepath.Join(dir, entries[1].Name())
	kept, err := os.ReadFile(last)
	if err != nil || string(kept) != string(sealed) || !strings.HasPrefix(entries[1].Name(), "aside-") {
		t.Errorf("expected the sealed file under a name of its own, found %s, %v", entries[1].Name(), err)
	}
	if err := os.Rename(last, filepath.Join(dir, "share-hot.1.sealed")); err != nil {
		t.Fatal(err)
	}
	if back, err := st.LoadShare(t.Context(), "hot", 1); err != nil || back.PublicKey != s.PublicKey {
		t.Errorf("renamed back: expected the share, found %v, %v", back, err)
	}
}
