package mpc_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/mpc"
	"github.com/strongroom/strongroom/mpc/mpctest"
	"github.com/strongroom/strongroom/mpc/share"
)

// runKeygen runs key generation for all parties of the committee at once.
func runKeygen(t testing.TB, c share.Committee, change func(self string, link mpc.Link) mpc.Link) ([]*share.Share, []error) {
	t.Helper()
	network := mpctest.NewNetwork(t, c.Parties...)
	sessions := network.Open(t, sessionID(t), c.Parties)
	shares, errs := make([]*share.Share, len(c.Parties)), make([]error, len(c.Parties))
	var wg sync.WaitGroup
	for i, self := range c.Parties {
		var link mpc.Link = sessions[i]
		if change != nil {
			link = change(self, link)
		}
		config := mpc.KeygenConfig{Committee: c, Self: self, PreParams: mpctest.PreParams(t, i), RoundTimeout: 3 * time.Minute}
		wg.Go(func() { shares[i], errs[i] = mpc.GG18{}.Keygen(t.Context(), config, link) })
	}
	wg.Wait()
	return shares, errs
}

func TestKeygenOfFourMakesAKeyThatAnyTwoSignWith(t *testing.T) {
	c := mpctest.Committee(4, 2)
	start := time.Now()
	var log []recorded
	shares, errs := runKeygen(t, c, func(self string, link mpc.Link) mpc.Link {
		if self == "node-2" {
			return recorder(t, self, "node-1", link, 1, &log)
		}
		return link
	})
	for i, err := range errs {
		if err != nil {
			t.Fatalf("%s: %v", c.Parties[i], err)
		}
	}
	t.Logf("key generation of 4 in one process: %s", time.Since(start).Round(time.Millisecond))
	for _, s := range shares {
		if s.PublicKey != shares[0].PublicKey || s.ChainCode() != shares[0].ChainCode() {
			t.Fatalf("%s holds another key", s.Self)
		}
		if err := s.Check(); err != nil {
			t.Fatalf("%s: %v", s.Self, err)
		}
		encoded, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes", s.Self, len(encoded))
	}
	in := inputs(t, 2)
	start = time.Now()
	for self, r := range (signers{shares: shares, participants: []string{"node-2", "node-3"}, inputs: in}).run(t) {
		if r.err != nil {
			t.Fatalf("%s: %v", self, r.err)
		}
		verify(t, shares[0].PublicKey, in, r.signatures)
	}
	t.Logf("2 inputs signed in %s", time.Since(start).Round(time.Millisecond))
	keygenAttacks(t, mpc.KeygenConfig{Committee: c, Self: "node-1", PreParams: mpctest.PreParams(t, 0)}, log)
}

func TestKeygenRefusesConfigurations(t *testing.T) {
	good := mpc.KeygenConfig{Committee: mpctest.Committee(3, 2), Self: "node-1", PreParams: mpctest.PreParams(t, 0)}
	for name, change := range map[string]func(c *mpc.KeygenConfig){
		"no pre-params":    func(c *mpc.KeygenConfig) { c.PreParams = nil },
		"empty pre-params": func(c *mpc.KeygenConfig) { c.PreParams = &share.PreParams{} },
		"stranger":         func(c *mpc.KeygenConfig) { c.Self = "node-9" },
		"threshold 1":      func(c *mpc.KeygenConfig) { c.Threshold = 1 },
		"threshold 4 of 3": func(c *mpc.KeygenConfig) { c.Threshold = 4 },
		"epoch 0":          func(c *mpc.KeygenConfig) { c.Epoch = 0 },
		"no organisation":  func(c *mpc.KeygenConfig) { c.Organisation = [32]byte{} },
		"unsorted":         func(c *mpc.KeygenConfig) { c.Parties = []string{"node-2", "node-1", "node-3"} },
		"key id":           func(c *mpc.KeygenConfig) { c.KeyID = "../hot" },
	} {
		c := good
		change(&c)
		if _, err := (mpc.GG18{}).Keygen(t.Context(), c, nil); !errors.Is(err, mpc.ErrRefused) {
			t.Errorf("%s: expected ErrRefused, found %v", name, err)
		}
	}
}
