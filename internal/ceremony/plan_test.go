package ceremony

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/strongroom/strongroom/hsm/pkcs11"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// planText is a good plan of purpose backup.
func planText(t *testing.T) string {
	t.Helper()
	present, _ := people(t)
	var b strings.Builder
	b.WriteString("title = \"T\"\npurpose = \"backup\"\nplace = \"P\"\n[token]\nmodule = \"/m.so\"\nlabel = \"cold-1\"\n")
	for _, a := range present {
		key, err := ssh.ParsePublicKey(a.Key)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "[[attendants]]\nname = %q\nlabel = %q\nrole = \"r\"\nkey = %q\n", a.Name, a.Label, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))))
	}
	b.WriteString("[keys]\nwallet = \"w\"\nchain = \"eip155:1\"\naccounts = [\"a\"]\nreceive = 1\nsigner = \"s\"\nclass = \"wrap\"\n[backup]\nholders = [\"alice\", \"bob\"]\n")
	return b.String()
}

func load(t *testing.T, text string) (*Plan, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plan.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return LoadPlan(path)
}

func TestPlansThatCannotBeHeldAreRefused(t *testing.T) {
	good := planText(t)
	if _, err := load(t, good); err != nil {
		t.Fatalf("a good plan: %v", err)
	}
	for name, c := range map[string]struct{ before, after, field string }{
		"no title":             {`title = "T"`, ``, "title"},
		"control characters":   {`place = "P"`, `place = "P\u001b[2J"`, "place"},
		"alone":                {`name = "bob"`, `name = "alice"`, "attendants[1].name"},
		"named no":             {`name = "bob"`, `name = "no"`, "attendants[1].name"},
		"no module":            {`module = "/m.so"`, ``, "token.module"},
		"class none":           {`class = "wrap"`, `class = "none"`, "keys.class"},
		"too many keys":        {`receive = 1`, `receive = 10001`, "keys.accounts"},
		"no keys":              {`receive = 1`, `receive = 0`, "keys.accounts"},
		"overflow":             {`receive = 1`, "receive = 9223372036854775807\nchange = 9223372036854775807", "keys.accounts"},
		"another chain":        {`"eip155:1"`, `"solana:1"`, "keys.chain"},
		"one component":        {`holders = ["alice", "bob"]`, `holders = ["alice"]`, "backup.holders"},
		"a stranger":           {`holders = ["alice", "bob"]`, `holders = ["alice", "mallory"]`, "backup.holders[1]"},
		"two of one person":    {`holders = ["alice", "bob"]`, `holders = ["alice", "alice"]`, "backup.holders[1]"},
		"a file to back up to": {`[backup]`, "[backup]\nfile = \"f\"", "backup.file"},
		"generate with backup": {`purpose = "backup"`, `purpose = "generate"`, "backup"},
		"attended for many":    {`class = "wrap"`, "class = \"wrap\"\nattended = true", "keys.attended"},
		"restore with no file": {`purpose = "backup"`, `purpose = "restore"`, "backup.file"},
		"restore for nobody":   {`purpose = "backup"`, `purpose = "restore"`, "keys.identity"},
		"attestation of many":  {`receive = 1`, "receive = 1\nattestation = true", "keys.attestation"},
		"not a digest":         {`place = "P"`, "place = \"P\"\norganisation = \"abc\"", "organisation"},
	} {
		if !strings.Contains(good, c.before) {
			t.Fatalf("%s: the plan has no %q", name, c.before)
		}
		_, err := load(t, strings.Replace(good, c.before, c.after, 1))
		if r := refusal.Of(err); r == nil || !strings.Contains(r.Error(), ": "+c.field) {
			t.Errorf("%s: expected a refusal of %s, found %v", name, c.field, err)
		}
	}
	if _, err := load(t, good+"colour = \"red\"\n"); err == nil {
		t.Error("an unknown key was accepted")
	}
}

// holder types new, writes down what he sees, and types it back.
type holder struct {
	screen  *bytes.Buffer
	secrets int
	typed   [][]byte
}

var componentLine = regexp.MustCompile(`(?m)^    ((?:[0-9a-f]{4} +){7}[0-9a-f]{4})$`)

func (h *holder) Line(prompt string) (string, error) {
	name, _, _ := strings.Cut(strings.TrimSpace(prompt), " ")
	return name, nil
}

func (h *holder) Secret(string) ([]byte, error) {
	if h.secrets++; h.secrets%2 == 1 {
		h.screen.Reset()
		return []byte(drawn), nil
	}
	var lines []string
	for _, m := range componentLine.FindAllStringSubmatch(h.screen.String(), -1) {
		lines = append(lines, m[1])
	}
	if len(lines) != 2 {
		return nil, io.ErrUnexpectedEOF
	}
	h.typed = append(h.typed, []byte(strings.Join(lines, " ")))
	return []byte(strings.Join(lines, " ")), nil
}

func TestDrawnComponentsAreTypedBack(t *testing.T) {
	plan, err := load(t, planText(t))
	if err != nil {
		t.Fatal(err)
	}
	j, err := openJournal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var screen bytes.Buffer
	h := &holder{screen: &screen}
	r := &run{plan: plan, room: &room{out: &screen, person: h}, journal: j, o: Options{Out: &screen, Now: time.Now, Terminal: true}}
	defer r.leave()
	key, err := r.components(true)
	if err != nil {
		t.Fatal(err)
	}
	var want [32]byte
	for _, typed := range h.typed {
		c, err := parseComponent(typed)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			want[i] ^= c[i]
		}
	}
	if len(h.typed) != 2 || *key != want || want == [32]byte{} {
		t.Errorf("expected the exclusive or of %q, found %x", h.typed, *key)
	}
	last := j.steps[len(j.steps)-1]
	if kcv := fmt.Sprintf("check value %X", pkcs11.KCV(&want)); last.Outcome != canon.Text(kcv) {
		t.Errorf("expected %s in the journal, found %+v", kcv, last)
	}
}

func TestComponentsAreHexadecimal(t *testing.T) {
	for _, bad := range []string{"", "00", strings.Repeat("0", 63), strings.Repeat("0", 65), strings.Repeat("g", 64), strings.Repeat("00", 33)} {
		if _, err := parseComponent([]byte(bad)); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
	if _, err := parseComponent([]byte(strings.Repeat("00ff-", 16))); err != nil {
		t.Errorf("with hyphens: %v", err)
	}
}

func TestJournalDropsALineThatWasCutShort(t *testing.T) {
	dir := t.TempDir()
	j, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	step := canon.CeremonyStep{At: 5, Action: "a", Outcome: "o", By: []canon.Name{"alice"}}
	if err := errors.Join(j.add(entry{Began: &began{At: 4}}), j.add(entry{Step: &step})); err != nil {
		t.Fatal(err)
	}
	if _, err := j.file.WriteString(`{"step":{"At":6`); err != nil {
		t.Fatal(err)
	}
	if err := j.file.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(again.steps) != 1 || !again.has("a", "o", step.By) || again.began.At != 4 {
		t.Errorf("got %+v", again)
	}
	if err := again.add(entry{Step: &step}); err != nil {
		t.Fatal(err)
	}
	if err := again.file.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, journalFile))
	if err != nil || bytes.Count(b, []byte("\n")) != 3 || !bytes.HasSuffix(b, []byte("}\n")) {
		t.Errorf("journal: %q, %v", b, err)
	}
	if err := os.WriteFile(filepath.Join(dir, journalFile), []byte("{\"step\":{}, \"x\":1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openJournal(dir); err == nil {
		t.Error("a journal of another form was accepted")
	}
}

// A ceremony that another program, module or plan began is not continued.
func TestInterruptedCeremonyNeedsWhatItBeganWith(t *testing.T) {
	plan, err := load(t, planText(t))
	if err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*began){
		"":           func(*began) {},
		"plan":       func(b *began) { b.Plan[0] ^= 1 },
		"executable": func(b *began) { b.Software[0] ^= 1 },
		"module":     func(b *began) { b.Module[0] ^= 1 },
	} {
		j, err := openJournal(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		r := &run{plan: plan, software: canon.Digest{1}, module: canon.Digest{2}, journal: j, room: &room{out: io.Discard}, o: Options{Now: time.Now}}
		before := began{At: 5, Plan: plan.digest, Software: r.software, Module: r.module}
		change(&before)
		if err := j.add(entry{Began: &before}); err != nil {
			t.Fatal(err)
		}
		err = r.begin()
		r.leave()
		if f := refusal.Of(err); field == "" && err != nil || field != "" && (f == nil || len(f.Failures) != 1 || f.Failures[0].Field != field) {
			t.Errorf("another %q: %v", field, err)
		}
	}
}
