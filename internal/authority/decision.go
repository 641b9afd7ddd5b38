package authority

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/proto/canon"
)

// decisions is a directory in which every request that waits, and every decision of a person, is a file of its own, named by the request's
// digest. Files appear whole, and a decision is on disk before it counts.
type decisions string

// Decision is what a person said about a request.
type Decision struct {
	Request string     `json:"request"` // digest of the request's document
	Clear   bool       `json:"clear"`
	Reason  canon.Text `json:"reason,omitempty"`
	Time    time.Time  `json:"time"`
}

// Waiting is a request that waits for a person. It holds nothing of its travel-rule data.
type Waiting struct {
	Request   string           `json:"request"`
	Client    canon.Name       `json:"client"`
	Account   canon.Name       `json:"account"`
	RequestID string           `json:"request_id"`
	Chain     canon.ChainID    `json:"chain"`
	Payments  []WaitingPayment `json:"payments"`
	Reason    string           `json:"reason"`
	Since     time.Time        `json:"since"`
	NotAfter  time.Time        `json:"not_after"` // end of the request
}

// WaitingPayment is one payment of a request that waits, or its contract call.
type WaitingPayment struct {
	Address string `json:"address"` // as the chain writes it; bytes in hexadecimal if the charter does not know the chain
	Asset   string `json:"asset"`   // CAIP-19 id, or "contract call"
	Amount  string `json:"amount"`  // in whole units with the symbol; base units if the charter does not know the asset
}

const (
	decidedSuffix = ".decided.json"
	waitingSuffix = ".waiting.json"
	// maxDecisionFile is the largest file that is read, in bytes.
	maxDecisionFile = 256 << 10
)

// Decide records what a person says about a request, by the digest of its document. What was said before is only replaced if replace says so.
func Decide(c *Config, request canon.Digest, d Decision, replace bool) error {
	if !c.decides() {
		return fmt.Errorf("purpose: expected %s or %s, which decide, found %s", Screening, TravelRule, c.Purpose)
	}
	if err := d.Reason.Check(); err != nil {
		return fmt.Errorf("reason: %w", err)
	}
	dir := decisions(c.Decisions)
	if err := dir.make(); err != nil {
		return err
	}
	d.Request = request.String()
	if err := dir.write(d.Request+decidedSuffix, d, replace); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("request %s: expected one that nobody decided, found one that is, see --replace", d.Request)
	} else if err != nil {
		return err
	}
	return dir.forget(d.Request)
}

// List returns the requests that wait for a person and have not ended, those that wait longest first. Files that cannot be read are left out; the
// error names them, beside the list.
func List(c *Config, now time.Time) ([]Waiting, error) {
	all, unread, err := decisions(c.Decisions).waiting()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := slices.DeleteFunc(all, func(w Waiting) bool { return now.After(w.NotAfter) })
	slices.SortFunc(out, func(a, b Waiting) int { return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.Request, b.Request)) })
	return out, errors.Join(unread...)
}

// waiting reads the list, and says which files of it cannot be read.
func (d decisions) waiting() (out []Waiting, unread []error, err error) {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		request, ok := strings.CutSuffix(e.Name(), waitingSuffix)
		if !ok {
			continue
		}
		var w Waiting
		err := d.read(e.Name(), &w)
		if errors.Is(err, fs.ErrNotExist) {
			continue // decided meanwhile
		}
		if err == nil && w.Request != request {
			err = fmt.Errorf("decisions: %s: expected the request that the name says, found %.64q", e.Name(), w.Request)
		}
		if err != nil {
			unread = append(unread, err)
			continue
		}
		out = append(out, w)
	}
	return out, unread, nil
}

// forget takes a request off the list.
func (d decisions) forget(request string) error {
	if err := os.Remove(filepath.Join(string(d), request+waitingSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// settle holds an opinion about a request against what a person said, and notes it for people if it waits for them.
func (l *list) settle(request canon.Digest, o opinion, w Waiting) (opinion, error) {
	var said Decision
	err := l.dir.read(request.String()+decidedSuffix, &said)
	none := errors.Is(err, fs.ErrNotExist)
	switch {
	case o.final, none && o.answer != waits:
		return o, l.forget(request.String())
	case none:
		return o, l.note(w)
	case err != nil:
		return opinion{}, err
	}
	if said.Request != request.String() {
		return opinion{}, fmt.Errorf("decision: expected one about %s, found one about %.64s", request, said.Request)
	}
	if said.Clear && o.unseen {
		return o, nil // a clearance says that it rests on the data
	}
	if said.Clear {
		return opinion{answer: clears, valid: o.valid}, nil
	}
	return opinion{answer: refuses, reason: string(cmp.Or(said.Reason, "refused by a person")), valid: o.valid}, nil
}

// make makes the directory, or accepts one that is there and private.
func (d decisions) make() error {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return fmt.Errorf("decisions: %w", err)
	}
	info, err := os.Stat(string(d))
	if err != nil {
		return fmt.Errorf("decisions: %w", err)
	}
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("decisions: %s: expected a directory of mode 0700, found %s", d, info.Mode())
	}
	return nil
}

func (d decisions) read(name string, v any) error {
	f, err := os.Open(filepath.Join(string(d), name))
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxDecisionFile+1))
	if err != nil {
		return err
	}
	if len(b) > maxDecisionFile {
		return fmt.Errorf("decisions: %s: expected at most %d bytes, found more", name, maxDecisionFile)
	}
	j := json.NewDecoder(bytes.NewReader(b))
	j.DisallowUnknownFields()
	if err := j.Decode(v); err != nil {
		return fmt.Errorf("decisions: %s: %w", name, err)
	}
	return nil
}

// write makes a file that is whole and on disk before it has its name. Without replace one that is there is an error, fs.ErrExist.
func (d decisions) write(name string, v any, replace bool) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(string(d), ".new-") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // renamed or linked by then
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	path := filepath.Join(string(d), name)
	if replace {
		err = os.Rename(f.Name(), path)
	} else {
		err = os.Link(f.Name(), path)
	}
	if err != nil {
		return err
	}
	return syncDirectory(string(d))
}

func syncDirectory(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
