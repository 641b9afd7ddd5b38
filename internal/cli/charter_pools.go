package cli

import (
	"cmp"

	"github.com/strongroom/strongroom/internal/poolcheck"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

// PoolView is what is known here of the pool of keys that a charter names for a wallet.
type PoolView struct {
	Wallet   string `json:"wallet"`
	Pool     string `json:"pool"`
	Previous string `json:"previous,omitempty"` // of the charter before, if another
	// Checked says that the pool's file is here and fits the charter, and has all keys of the one before, if there was one.
	Checked  bool          `json:"checked"`
	Words    string        `json:"words,omitempty"`
	Warnings []string      `json:"warnings,omitempty"`
	Refusals []RefusalView `json:"refusals,omitempty"`
}

func poolViews(results []poolcheck.Result) []PoolView {
	var out []PoolView
	for _, r := range results {
		v := PoolView{Wallet: string(r.Wallet), Pool: r.Pool.String(), Checked: r.Checked(), Words: r.Words(), Warnings: r.Warnings()}
		if r.Previous != nil {
			v.Previous = r.Previous.String()
		}
		for _, f := range r.Refused {
			v.Refusals = append(v.Refusals, refusalView(f))
		}
		out = append(out, v)
	}
	return out
}

// writePools writes what is known of pools, if there are any to speak of.
func writePools(t *text, pools []PoolView) {
	if len(pools) == 0 {
		return
	}
	t.say("Pools of keys:")
	for _, v := range pools {
		if v.Words != "" {
			t.say("  %s", v.Words)
		}
		writePoolDoubts(t, v)
	}
}

// writePoolDoubts writes what must be seen of pools before anybody agrees to them.
func writePoolDoubts(t *text, pools ...PoolView) {
	for _, v := range pools {
		for _, w := range v.Warnings {
			t.say("  WARNING: %s", w)
		}
		if len(v.Refusals) > 0 {
			t.say("  REFUSED: do not agree to this charter:")
			writeRefusals(t, 4, v.Refusals)
		}
	}
}

// UsePools makes a directory the one that key pools are looked for in; an empty path leaves that of the configuration.
func (s *Session) UsePools(dir string) { s.Config.Pools = cmp.Or(dir, s.Config.Pools) }

// checkPools holds the pools that a charter names anew against it and those of the charter in force. The files that were read stay open for the session.
func (s *Session) checkPools(next *charter.Charter) []poolcheck.Result {
	if s.poolFiles == nil {
		s.poolFiles = poolcheck.In(s.Config.Pools)
	}
	return s.poolFiles.Check(s.Charter, next)
}

// notePools tells what must be seen of the pools on Err, and refuses those that do not fit.
func (s *Session) notePools(next *charter.Charter) error {
	results := s.checkPools(next)
	for _, r := range results {
		for _, w := range r.Warnings() {
			s.Note("WARNING: %s", w)
		}
	}
	return poolcheck.Refused(results)
}

// genesisPools holds the pools that a genesis names against it.
func genesisPools(document []byte, digest canon.Digest, dir string) ([]poolcheck.Result, error) {
	c, err := charter.Open(document, digest)
	if err != nil {
		return nil, err
	}
	return poolcheck.In(dir).Check(nil, c), nil
}
