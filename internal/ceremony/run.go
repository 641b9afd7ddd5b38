package ceremony

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/pkcs11"
	"github.com/strongroom/strongroom/internal/pin"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
)

// Options is how a ceremony is run here.
type Options struct {
	Dir    string     // of journal, transcript and what else the ceremony makes; made if it is missing
	PIN    pin.Source // the user PIN; an empty source asks Person for it
	SOPIN  pin.Source // the security officer's PIN, for backup and restore; an empty source asks Person for it
	Person Person
	Out    io.Writer
	// Terminal says that Person types at a terminal and Out is that terminal: components of key-encryption keys are shown nowhere else.
	Terminal bool
	Clear    string // what clears the screen and its history; empty where there is none
	Now      func() time.Time
}

// Result is what a ceremony left behind.
type Result struct {
	Transcript string       // path
	Digest     canon.Digest // of the transcript
	Aborted    bool
}

// run is a ceremony under way.
type run struct {
	plan     *Plan
	o        Options
	room     *room
	journal  *journal
	began    canon.Time
	software canon.Digest
	module   canon.Digest
	token    canon.CeremonyToken
	pin, so  hsm.PIN
	signer   hsm.Identity // of the plan's signer, where the plan puts it into this token
	keys     []canon.CeremonyKey
}

// Run runs a ceremony, or goes on with one that was interrupted, in the directory of the options. ErrInterrupted: it can be run again. A *refusal.Refusal
// says what was not as the plan or the journal has it.
func Run(ctx context.Context, plan *Plan, o Options) (*Result, error) {
	r, err := enter(plan, o)
	if err != nil {
		return nil, err
	}
	defer r.leave()
	if plan.Purpose == "restore" {
		if _, err := r.readBackup(); err != nil {
			return nil, err // before anybody types a PIN
		}
	}
	if err := r.opening(ctx); err != nil {
		return nil, err
	}
	parts := map[canon.CeremonyPurpose]func(context.Context) error{
		canon.CeremonyGenerate: r.generate, canon.CeremonyBackup: r.backup, canon.CeremonyRestore: r.restore}
	if err := parts[purposes[plan.Purpose]](ctx); err != nil {
		return nil, err
	}
	r.room.say("\nThe ceremony is complete: %d keys. Its record will now be closed.", len(r.keys))
	return r.end(outcomeComplete)
}

// end has everybody confirm how the ceremony ended, also where they did before a crash: it is the last step.
func (r *run) end(outcome canon.Text) (*Result, error) {
	if err := r.room.confirm(r.plan.everybody()); err != nil {
		return nil, err
	}
	if err := r.record(actionEnd, outcome, r.plan.everybody()); err != nil {
		return nil, err
	}
	return r.close(outcome == outcomeAborted)
}

// Steps by which Verify tells which plan a ceremony followed and how it ended.
const (
	actionPlan      = canon.Text("present, with the plan of this SHA-256")
	actionEnd       = canon.Text("end of the ceremony")
	outcomeComplete = canon.Text("complete")
	outcomeAborted  = canon.Text("aborted")
)

func enter(plan *Plan, o Options) (*run, error) {
	r := &run{plan: plan, o: o, room: &room{out: o.Out, person: o.Person}}
	var err error
	if r.software, err = Software(); err != nil {
		return nil, err
	}
	if r.module, err = Module(plan.Token.Module); err != nil {
		return nil, err
	}
	if r.journal, err = openJournal(o.Dir); err != nil {
		return nil, err
	}
	if err := r.begin(); err != nil {
		return nil, errors.Join(err, r.journal.file.Close())
	}
	return r, nil
}

// begin writes the journal's first entry, or holds what is here now against it.
func (r *run) begin() error {
	now := began{At: canon.TimeOf(r.o.Now()), Plan: r.plan.digest, Software: r.software, Module: r.module}
	before := r.journal.began
	if before == nil {
		r.began = now.At
		return r.journal.add(entry{Began: &now})
	}
	var l refusal.List
	for _, d := range []struct {
		field         string
		before, after canon.Digest
	}{{"plan", before.Plan, now.Plan}, {"executable", before.Software, now.Software}, {"module", before.Module, now.Module}} {
		if d.before != d.after {
			l.Add("ceremony", d.field, "SHA-256 "+d.before.String()+", with which it began", d.after.String())
		}
	}
	if err := l.Err(); err != nil {
		return err
	}
	r.began = before.At
	r.room.say("This ceremony began at %s and was interrupted. It goes on.", before.At.At().Format(time.RFC3339))
	return r.record("interruption", "continued", nil)
}

func (r *run) leave() {
	clear(r.pin)
	clear(r.so)
	_ = r.journal.file.Close() // every line of it was synced
}

// record puts a step into the journal.
func (r *run) record(action, outcome canon.Text, by []canon.Name) error {
	return r.journal.add(entry{Step: &canon.CeremonyStep{At: r.now(), Action: action, Outcome: outcome, By: by}})
}

// now is the clock's time, but never before that of the last step: a clock that is set back does not put steps out of order.
func (r *run) now() canon.Time {
	now := max(r.began, canon.TimeOf(r.o.Now()))
	if n := len(r.journal.steps); n > 0 {
		now = max(now, r.journal.steps[n-1].At)
	}
	return now
}

// confirm has people confirm a step by their names and records it, unless they did before an interruption.
func (r *run) confirm(action, outcome canon.Text, who []canon.Name) error {
	if r.journal.has(action, outcome, who) {
		r.room.say("  confirmed before the interruption")
		return nil
	}
	if err := r.room.confirm(who); err != nil {
		return err
	}
	return r.record(action, outcome, who)
}

// opening is what every ceremony starts with: who is here, which program runs, which token is in the slot.
func (r *run) opening(ctx context.Context) error {
	p := r.plan
	r.room.say("%s\n%s, at %s", p.Title, p.Purpose, p.Place)
	for _, a := range p.people {
		r.room.say("  %s: %s, %s", string(a.Name), string(a.Label), string(a.Role))
	}
	r.room.say("\n1. Everybody is here and has read the plan.")
	r.room.digest("SHA-256 of the plan", p.digest)
	if err := r.confirm(actionPlan, canon.Text(p.digest.String()), p.everybody()); err != nil {
		return err
	}
	r.room.say("\n2. The program is the one that was published, and the module the vendor's.\n   Compare with digests from elsewhere, not from this machine.")
	r.room.digest("SHA-256 of the executable", r.software)
	r.room.digest("SHA-256 of the PKCS#11 module", r.module)
	if err := r.confirm("compared the executable's and the module's digests", canon.Text("executable "+r.software.String()), p.everybody()); err != nil {
		return err
	}
	r.room.say("\n3. The token.")
	if err := r.open(ctx, func(*pkcs11.Token) error { return nil }); err != nil {
		return err
	}
	r.room.say("  label %s, serial number %s\n  %s %s, hardware %s, firmware %s", string(r.token.Label), string(r.token.Serial),
		string(r.token.Manufacturer), string(r.token.Model), string(r.token.Hardware), string(r.token.Firmware))
	return r.confirm("token", text(fmt.Sprintf("%s, serial number %s", r.token.Label, r.token.Serial)), p.everybody())
}

// open logs in, holds the token against the one that the ceremony began with, and closes it after f.
func (r *run) open(ctx context.Context, f func(*pkcs11.Token) error) (err error) {
	if r.pin == nil {
		if r.pin, err = r.secret(ctx, r.o.PIN, "user PIN of token "+wallets.EscapeText(r.plan.Token.Label)); err != nil {
			return err
		}
	}
	token, err := pkcs11.Open(ctx, r.config(r.pin))
	if errors.Is(err, hsm.ErrPIN) {
		clear(r.pin)
		r.pin = nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, token.Close()) }()
	i := token.Info()
	r.token = canon.CeremonyToken{Label: text(i.Label), Serial: text(i.Serial), Manufacturer: text(i.Manufacturer), Model: text(i.Model),
		Hardware: text(i.Hardware), Firmware: text(i.Firmware)}
	if before := r.journal.token; before == nil {
		err = r.journal.add(entry{Token: &r.token})
	} else if *before != r.token {
		err = refusal.New("ceremony", "token", fmt.Sprintf("%+v, with which it began", *before), fmt.Sprintf("%+v", r.token))
	}
	if err != nil {
		return err
	}
	return f(token)
}

func (r *run) config(pin hsm.PIN) pkcs11.Config {
	t := r.plan.Token
	return pkcs11.Config{Module: t.Module, TokenLabel: t.Label, Serial: t.Serial, PIN: pin, Sessions: 1, Timeout: pkcs11.MaxTimeout / 10}
}

// secret finds a PIN where the options say, or asks for it.
func (r *run) secret(ctx context.Context, source pin.Source, prompt string) (hsm.PIN, error) {
	if source.File != "" || len(source.Shares) > 0 {
		return source.Read(ctx, "  "+prompt)
	}
	b, err := r.room.person.Secret("  " + prompt + ": ")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInterrupted, err)
	}
	return b, nil
}

// close writes the transcript. What it wrote it would verify, but for the signatures that are still to come.
func (r *run) close(aborted bool) (*Result, error) {
	t := canon.Transcript{Organisation: r.plan.organisation(), Title: canon.Text(r.plan.Title), Purpose: purposes[r.plan.Purpose], Place: canon.Text(r.plan.Place),
		Began: r.began, Ended: r.now(), Software: r.software, Module: r.module, Token: r.token, Present: r.plan.people,
		Steps: r.journal.steps, Keys: r.keys}
	document, digest, err := canon.Seal(t)
	if err != nil {
		return nil, err
	}
	var l refusal.List
	if verifyDocument(&l, &t); l.Err() != nil {
		return nil, l.Err()
	}
	path := filepath.Join(r.o.Dir, TranscriptFile)
	if err := writeFile(path, canon.KindTranscript.Message(document)); err != nil {
		return nil, err
	}
	r.room.say("\nTranscript:\n  %s", path)
	r.room.digest("digest of the transcript, which everybody signs", digest)
	return &Result{Transcript: path, Digest: digest, Aborted: aborted}, nil
}

// writeFile writes a file that must not exist, whole or not at all. Nothing in it is secret.
func writeFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".ceremony-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // does nothing once the file has its name
	_, err = f.Write(b)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return refusal.New("ceremony", "file", "none at "+path, "one")
	}
	if err := os.Rename(f.Name(), path); err != nil { // no link: memory sticks have file systems without them
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
