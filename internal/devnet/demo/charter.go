package demo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/devnet/process"
)

// charterChanges raises a limit: vetoed at first, then after the delay; and stops all signing and lets it go on.
func (s *scene) charterChanges(ctx context.Context) error {
	for _, step := range []func(context.Context) error{s.vetoed, s.raised, s.frozen} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// proposal is a charter amendment in a file, as officers hand it on.
type proposal struct {
	file   string
	Digest string `json:"amendment"`
	Number uint64 `json:"number"`
	Delay  uint64 `json:"delay"`
}

// propose writes an amendment, has two officers sign it apart from each other, and takes it to every signer.
func (s *scene) propose(ctx context.Context, name string, args ...string) (*proposal, error) {
	alice, bob := s.officer("alice"), s.officer("bob")
	p := &proposal{file: filepath.Join(alice.Dir, name+".amendment")}
	if err := s.d.Strongroom(ctx, alice, p, append([]string{"amendment", "new", "--out", p.file, "--reason", name}, args...)...); err != nil {
		return nil, err
	}
	for _, officer := range []string{alice.Name, bob.Name} {
		if err := s.d.Strongroom(ctx, s.officer(officer), nil, "amendment", "sign", p.file, "--number", fmt.Sprint(p.Number)); err != nil {
			return nil, err
		}
	}
	return p, s.d.Strongroom(ctx, bob, nil, "amendment", "submit", p.file)
}

// raise proposes the charter with another daily limit.
func (s *scene) raise(ctx context.Context, dailyBTC string) (*proposal, error) {
	source := filepath.Join(s.officer("alice").Dir, "limit-"+dailyBTC+".toml")
	if err := s.d.WriteCharter(source, dailyBTC); err != nil {
		return nil, err
	}
	return s.propose(ctx, "daily limit "+dailyBTC+" BTC", "--from", source)
}

// notYet asks that the tool cannot put an amendment in force: signers have not held it, or it was vetoed.
func (s *scene) notYet(ctx context.Context, p *proposal) error {
	err := s.d.Strongroom(ctx, s.officer("bob"), nil, "amendment", "enact", p.Digest)
	var failed *process.CommandError
	if errors.As(err, &failed) && failed.Code == exitRefused {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("amendment %d: expected a refusal, found it in force", p.Number)
}

// comesIntoForce waits until the coordinator works under the amendment's charter. Signers that heard q words of each other enact it by
// themselves; an officer who sees enough of them first does it with the tool.
func (s *scene) comesIntoForce(ctx context.Context, p *proposal) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		done, err := s.w.followed(ctx, p.Number)
		if err != nil || done {
			return err
		}
		held, err := s.held(ctx, p)
		if err != nil {
			return err
		}
		var failed *process.CommandError
		if held {
			// It may have come into force in between; then the tool finds nothing to enact.
			if err := s.d.Strongroom(ctx, s.officer("bob"), nil, "amendment", "enact", p.Digest); err != nil && !errors.As(err, &failed) {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("amendment %d did not come into force: %w", p.Number, ctx.Err())
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// held reports whether a quorum of signers says that it held the amendment for its delay, each on its own clock.
func (s *scene) held(ctx context.Context, p *proposal) (bool, error) {
	var list struct {
		Amendments []struct {
			Amendment string `json:"amendment"`
			Held      *struct {
				HeldBy []string `json:"held_by"`
				Needed int      `json:"needed"`
			} `json:"held"`
		} `json:"amendments"`
	}
	if err := s.d.Strongroom(ctx, s.officer("bob"), &list, "amendment", "list"); err != nil {
		return false, err
	}
	for _, a := range list.Amendments {
		if a.Amendment == p.Digest && a.Held != nil && len(a.Held.HeldBy) >= a.Held.Needed {
			return true, nil
		}
	}
	return false, nil
}

// vetoed is an amendment that two officers want and a third stops.
func (s *scene) vetoed(ctx context.Context) error {
	var p *proposal
	err := s.Step("two officers propose to raise the daily limit from 3 to 9 BTC; the third vetoes", nil, func() (err error) {
		if p, err = s.raise(ctx, "9"); err != nil {
			return err
		}
		return s.d.Strongroom(ctx, s.officer("carol"), nil, "veto", p.Digest, "--reason", "three times as much is too much")
	})
	if err != nil {
		return err
	}
	return s.Step(fmt.Sprintf("no signer lets it pass, after the delay of %d seconds either", p.Delay), nil, func() error {
		wait, cancel := context.WithTimeout(ctx, time.Duration(p.Delay+1)*time.Second)
		defer cancel()
		<-wait.Done()
		return s.notYet(ctx, p)
	})
}

// raised is an amendment that waits for its delay; what was beyond the limit before is within it after.
func (s *scene) raised(ctx context.Context) error {
	var p *proposal
	err := s.Step("they propose 6 BTC instead: not before the delay, then in force", nil, func() (err error) {
		if p, err = s.raise(ctx, "6"); err != nil {
			return err
		}
		if err := s.notYet(ctx, p); err != nil {
			return err
		}
		return s.comesIntoForce(ctx, p)
	})
	if err != nil {
		return err
	}
	return s.approved(ctx, s.plan("beyond the old limit", 1, s.d.BTC, "1.9 BTC"), "alice", "carol")
}

// frozen stops all signing by one officer's word, and lifts that by a quorum's.
func (s *scene) frozen(ctx context.Context) error {
	var said struct {
		RecordedBy []string `json:"recorded_by"`
	}
	err := s.Step("one officer freezes: no signer signs anything", nil, func() error {
		if err := s.d.Strongroom(ctx, s.officer("carol"), &said, "freeze", "--reason", "something is odd", "--yes-freeze"); err != nil {
			return err
		}
		for _, n := range s.d.Nodes {
			if !slices.Contains(said.RecordedBy, n.Name) {
				return fmt.Errorf("expected the freeze to be recorded by %s, found %v", n.Name, said.RecordedBy)
			}
		}
		return s.stopped(ctx, s.plan("while frozen", 0, s.d.BTC, "0.0121 BTC"))
	})
	if err != nil {
		return err
	}
	var p *proposal
	err = s.Step("a quorum lifts the freeze, after a short delay of its own", nil, func() (err error) {
		if p, err = s.propose(ctx, "lift the freeze", "--lift"); err != nil {
			return err
		}
		return s.comesIntoForce(ctx, p)
	})
	if err != nil {
		return err
	}
	return s.allowed(ctx, s.plan("after the freeze", 0, s.d.BTC, "0.0131 BTC"))
}

// stopped is a withdrawal that a rule allows and no signer acks.
func (s *scene) stopped(ctx context.Context, p plan) error {
	begin := time.Now()
	got, err := s.ask(ctx, p)
	if err != nil {
		return err
	}
	w, err := s.w.await(ctx, "withdrawals/"+got.ID, "failed")
	if err != nil {
		return err
	}
	row, err := s.finish(p, w, begin)
	if err != nil {
		return err
	}
	if len(w.GetAckedBy()) != 0 || len(row.Refusals) == 0 {
		return fmt.Errorf("%s: expected refusals and no ack, found acks of %v", got.ID, w.GetAckedBy())
	}
	return nil
}
