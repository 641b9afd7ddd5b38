package ceremony

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Files in a ceremony's directory.
const (
	journalFile    = "ceremony.journal"
	TranscriptFile = "ceremony.transcript"
	maxJournal     = 256 << 20 // a run of the largest plan writes some 20 MiB
)

// entry is a line of the journal; one of its parts is set.
type entry struct {
	Began *began               `json:"began,omitempty"`
	Token *canon.CeremonyToken `json:"token,omitempty"`
	Step  *canon.CeremonyStep  `json:"step,omitempty"`
	Keys  []canon.CeremonyKey  `json:"keys,omitempty"`
}

// began is what must stay the same for a ceremony to be continued.
type began struct {
	At       canon.Time   `json:"at"`
	Plan     canon.Digest `json:"plan"`
	Software canon.Digest `json:"software"`
	Module   canon.Digest `json:"module"`
}

// journal is the file that a ceremony is continued from. Each line is on the disk before add returns.
type journal struct {
	file  *os.File
	began *began
	token *canon.CeremonyToken
	steps []canon.CeremonyStep
	keys  []canon.CeremonyKey
}

// openJournal opens or makes the journal of a directory, which it makes too. A line that was cut short by a crash is dropped.
func openJournal(dir string) (*journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, TranscriptFile)); !errors.Is(err, fs.ErrNotExist) {
		return nil, refusal.New("ceremony", "directory", "one without a finished ceremony", filepath.Join(dir, TranscriptFile))
	}
	f, err := os.OpenFile(filepath.Join(dir, journalFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	// The lock goes with the process. Two that write one journal would each put its steps into the other's record.
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(refusal.New("ceremony", "directory", "one in which no other ceremony runs", dir), f.Close())
	}
	j := &journal{file: f}
	if err := j.read(); err != nil {
		return nil, errors.Join(fmt.Errorf("journal: %w", err), f.Close())
	}
	return j, nil
}

func (j *journal) read() error {
	b, err := io.ReadAll(io.LimitReader(j.file, maxJournal+1))
	if err != nil {
		return err
	}
	if len(b) > maxJournal {
		return fmt.Errorf("size: expected at most %d bytes, found more", maxJournal)
	}
	whole := b[:bytes.LastIndexByte(b, '\n')+1]
	for line := range bytes.Lines(whole) {
		var e entry
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&e); err != nil {
			return fmt.Errorf("expected what a ceremony wrote: %w", err)
		}
		j.take(e)
	}
	if err := j.file.Truncate(int64(len(whole))); err != nil {
		return err
	}
	_, err = j.file.Seek(int64(len(whole)), io.SeekStart)
	return err
}

func (j *journal) take(e entry) {
	if e.Began != nil {
		j.began = e.Began
	}
	if e.Token != nil {
		j.token = e.Token
	}
	if e.Step != nil {
		j.steps = append(j.steps, *e.Step)
	}
	if e.Keys != nil {
		j.keys = e.Keys
	}
}

func (j *journal) add(e entry) error {
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if _, err = j.file.Write(append(b, '\n')); err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.take(e)
	return nil
}

// has reports whether a step with this outcome was confirmed by all of them before the ceremony was interrupted.
func (j *journal) has(action, outcome canon.Text, by []canon.Name) bool {
	return slices.ContainsFunc(j.steps, func(s canon.CeremonyStep) bool {
		return s.Action == action && s.Outcome == outcome && slices.Equal(s.By, by)
	})
}
