package desk_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"

	"github.com/strongroom/strongroom/internal/cli/desk"
)

// clerk is an Office that notes what it is asked, and approves only "0.5 BTC".
type clerk struct {
	board *desk.Board
	err   error // of the next Board
	calls []string
	// signs and sends are what Sign and Send return.
	signs, sends error
}

func (c *clerk) Board(context.Context) (*desk.Board, error) {
	c.calls = append(c.calls, "board")
	return c.board, c.err
}

func (c *clerk) Approve(id string, amounts []string) (desk.Act, error) {
	if strings.Join(amounts, ",") != "0.5 BTC" {
		return nil, errors.New("refused: amount: expected the total that is paid")
	}
	return deed{c, "approve " + id}, nil
}

func (c *clerk) Reject(id, reason string) (desk.Act, error) {
	return deed{c, "reject " + id + ": " + reason}, nil
}

func (c *clerk) Withdraw(id, reason string) (desk.Act, error) {
	return deed{c, "withdraw " + id + ": " + reason}, nil
}

func (c *clerk) Freeze(word, reason string) (desk.Act, error) {
	if word != "freeze" {
		return nil, errors.New("refused: expected the word freeze")
	}
	return deed{c, "freeze: " + reason}, nil
}

func (c *clerk) Explain(err error) string { return "EXPLAINED " + err.Error() }

type deed struct {
	*clerk
	what string
}

func (d deed) Sign() error {
	d.calls = append(d.calls, "sign "+d.what)
	return d.signs
}

func (d deed) Send(context.Context) (string, error) {
	d.calls = append(d.calls, "send "+d.what)
	return "REPORT " + d.what, d.sends
}

// sitter is somebody at the desk.
type sitter struct {
	t             testing.TB
	m             *desk.Model
	width, height int
	left          bool // pressed q
}

func sit(t testing.TB, office desk.Office, width, height int) *sitter {
	t.Helper()
	s := &sitter{t: t, m: desk.New(t.Context(), office), width: width, height: height}
	s.m.SignHere()
	s.tell(tea.WindowSizeMsg{Width: width, Height: height})
	s.do(s.m.Init())
	return s
}

// tell gives the model a message, does what it answers, and looks at the screen.
func (s *sitter) tell(msg tea.Msg) {
	s.t.Helper()
	_, next := s.m.Update(msg)
	s.fits()
	s.do(next)
}

func (s *sitter) do(next tea.Cmd) {
	s.t.Helper()
	if next == nil {
		return
	}
	msg := next()
	if _, quit := msg.(tea.QuitMsg); quit {
		s.left = true
		return
	}
	s.tell(msg)
}

// fits asks that the screen holds what is drawn, and that nothing in it could move the cursor.
func (s *sitter) fits() {
	s.t.Helper()
	screen := s.m.Screen()
	lines := strings.Split(screen, "\n")
	if len(lines) > s.height {
		s.t.Fatalf("expected at most %d lines, found %d:\n%s", s.height, len(lines), screen)
	}
	for _, line := range lines {
		if n := ansi.StringWidth(line); n > s.width {
			s.t.Fatalf("expected lines of at most %d cells, found %d: %q", s.width, n, line)
		}
		for _, r := range ansi.Strip(line) {
			if !unicode.IsPrint(r) {
				s.t.Fatalf("expected characters that print, found %U in %q", r, line)
			}
		}
		for _, sequence := range strings.Split(line, "\x1b")[1:] {
			if end := strings.IndexAny(sequence, "m"); !strings.HasPrefix(sequence, "[") || strings.Trim(sequence[1:max(end, 1)], "0123456789;") != "" {
				s.t.Fatalf("expected no sequence but for bold and inverted, found %q", sequence)
			}
		}
	}
}

var named = map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "up": tea.KeyUp, "down": tea.KeyDown, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown,
	"home": tea.KeyHome, "end": tea.KeyEnd, "backspace": tea.KeyBackspace}

// press presses keys; a word that names none is typed.
func (s *sitter) press(keys ...string) {
	s.t.Helper()
	for _, k := range keys {
		switch code, ok := named[k]; {
		case ok:
			s.tell(tea.KeyPressMsg{Code: code})
		case k == "ctrl+c":
			s.tell(tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl})
		default:
			for _, r := range k {
				s.tell(tea.KeyPressMsg{Code: r, Text: string(r)})
			}
		}
	}
}

func (s *sitter) screen() string { return ansi.Strip(s.m.Screen()) }

func (s *sitter) sees(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		if !strings.Contains(s.screen(), text) {
			s.t.Fatalf("expected %q on the screen, found:\n%s", text, s.screen())
		}
	}
}

// item is an entry whose text has so many lines.
func item(n, lines int) desk.Item {
	text := ""
	for l := range lines {
		text += fmt.Sprintf("entry %d, line %d\n", n, l+1)
	}
	return desk.Item{ID: fmt.Sprint("id-", n), Expires: "7h", What: "0.5 BTC", For: "fund-a (Fund A)", State: "approved by nobody", Text: text, Amounts: 1}
}

func board(lines ...int) *desk.Board {
	b := &desk.Board{Title: "alice"}
	for n, l := range lines {
		b.Items = append(b.Items, item(n+1, l))
	}
	return b
}

// done returns what was signed and sent, leaving out that everybody was asked.
func (c *clerk) done() string {
	var out []string
	for _, call := range c.calls {
		if call != "board" {
			out = append(out, call)
		}
	}
	return strings.Join(out, "; ")
}

func TestOnlyTheTypedAmountApproves(t *testing.T) {
	for typed, want := range map[string]string{
		"0.5 BTC": "sign approve id-2; send approve id-2", "y": "", "yes": "", "0.05 BTC": "", "0.5": "", "5 BTC": "",
	} {
		t.Run(typed, func(t *testing.T) {
			c := &clerk{board: board(5, 5)}
			s := sit(t, c, 80, 24)
			s.press("down", "enter")
			s.sees("entry 2, line 5", "a approve")
			s.press("a")
			s.sees("Type the total that is paid", "entry 2, line 1")
			s.press(typed, "enter")
			if found := c.done(); found != want {
				t.Errorf("expected %q, found %q", want, found)
			}
			if want == "" {
				s.sees("Nothing was done", "EXPLAINED refused")
				return
			}
			s.sees("REPORT approve id-2")
			if r := s.m.Reports(); len(r) != 1 || r[0] != "REPORT approve id-2" {
				t.Errorf("expected one report, found %q", r)
			}
		})
	}
}

func TestNothingIsApprovedByEscapeAnEmptyLineOrAPaste(t *testing.T) {
	c := &clerk{board: board(5)}
	s := sit(t, c, 80, 24)
	s.press("a", "a", "0.5 BTC", "esc", "enter", "esc", "a", "a", "enter")
	s.sees("Nothing was typed")
	s.tell(tea.PasteMsg{Content: "0.5 BTC"})
	s.sees("Type it")
	s.press("enter")
	if found := c.done(); found != "" {
		t.Errorf("expected nothing to be done, found %q", found)
	}
}

func TestAnEntryIsReadToItsEndBeforeItIsApproved(t *testing.T) {
	c := &clerk{board: board(50)}
	s := sit(t, c, 80, 24)
	s.press("a", "a")
	s.sees("Read it to its end first", "lines 1-", "of 50, more below", "entry 1, line 1")
	s.press("0.5 BTC", "enter")
	if found := c.done(); found != "" {
		t.Fatalf("expected nothing to be done, found %q", found)
	}
	s = sit(t, c, 80, 24)
	s.press("enter")
	seen := map[string]bool{}
	for range 10 {
		for _, line := range strings.Split(s.screen(), "\n") {
			seen[strings.TrimSpace(line)] = true
		}
		s.press(" ")
	}
	for l := range 50 {
		if line := fmt.Sprintf("entry 1, line %d", l+1); !seen[line] {
			t.Errorf("expected paging to show %q", line)
		}
	}
	s.press("a", "0.5 BTC")
	s.press("pgup", "pgup", "pgup")
	s.sees("entry 1, line 1", "> 0.5 BTC_")
	s.press("enter")
	if found := c.done(); found != "sign approve id-1; send approve id-1" {
		t.Errorf("expected an approval, found %q", found)
	}
}

func TestWhatCannotBeApprovedSaysWhy(t *testing.T) {
	b := board(3)
	b.Items[0].Amounts, b.Items[0].Why = 0, "intent 1: rejected by carol"
	c := &clerk{board: b}
	s := sit(t, c, 80, 24)
	s.press("a")
	s.sees("rejected by carol")
	s.press("0.5 BTC", "enter")
	if found := c.done(); found != "" {
		t.Errorf("expected nothing to be done, found %q", found)
	}
}

func TestRejectionsWithdrawalsAndFreezesTakeReasons(t *testing.T) {
	c := &clerk{board: board(3, 3)}
	s := sit(t, c, 80, 24)
	s.press("r", "not today", "enter")
	s.sees("REPORT reject id-1: not today")
	s.press("esc", "j", "w", "second thoughtz", "backspace", "s", "enter")
	s.sees("REPORT withdraw id-2: second thoughts")
	s.press("esc", "f", "yes", "enter")
	s.press("why not", "enter")
	s.sees("EXPLAINED refused: expected the word freeze")
	s.press("esc", "f", "freeze", "enter")
	s.tell(tea.PasteMsg{Content: "strange\nrequests"})
	s.press("enter")
	s.sees("REPORT freeze: strange requests")
	want := "sign reject id-1: not today; send reject id-1: not today; sign withdraw id-2: second thoughts; send withdraw id-2: second thoughts; " +
		"sign freeze: strange requests; send freeze: strange requests"
	if found := c.done(); found != want {
		t.Errorf("expected %q, found %q", want, found)
	}
	if n := strings.Count(strings.Join(c.calls, " "), "board"); n != 4 {
		t.Errorf("expected everybody to be asked at first and after each act, found %d times", n)
	}
}

func TestErrorsAreShownInFullAndNothingUnsignedIsSent(t *testing.T) {
	c := &clerk{board: board(3), signs: errors.New("a wrong passphrase")}
	s := sit(t, c, 80, 24)
	s.press("a", "a", "0.5 BTC", "enter")
	s.sees("Nothing was signed", "EXPLAINED a wrong passphrase")
	if found := c.done(); found != "sign approve id-1" {
		t.Errorf("expected nothing to be sent, found %q", found)
	}
	c.signs, c.sends = nil, errors.New("begin "+strings.Repeat("reason ", 400)+"end")
	s.press("esc", "a", "a", "0.5 BTC", "enter")
	s.sees("REPORT approve id-1", "EXPLAINED begin", "more below")
	s.press("end")
	s.sees("end")
	c.err = errors.New("nobody answered")
	s.press("esc", "R")
	s.sees("EXPLAINED nobody answered", "0.5 BTC") // the old list stays, under the trouble
}

func TestTheCursorStaysOnItsEntry(t *testing.T) {
	c := &clerk{board: board(1, 1, 1)}
	s := sit(t, c, 80, 24)
	s.press("down", "down")
	c.board = board(1, 1, 1)
	c.board.Items = append([]desk.Item{item(9, 1)}, c.board.Items...)
	s.press("R", "enter")
	s.sees("entry 3, line 1")
	s.press("esc")
	c.board = board()
	s.press("R", "enter", "a", "r", "w")
	s.sees("Nothing waits for approval.")
	s.press("q")
	if !s.left {
		t.Error("expected q to leave")
	}
}

// hostile is text as nobody should ever send it; an Office escapes it, and the desk must stand it unescaped.
var hostile = []string{
	"\x1b[2J\x1b[1;1Happroved", "\u202egnp\u200b\x00\r\n0.001 BTC\u009b", strings.Repeat("資金", 90), strings.Repeat("a", 4000), "a\u0301\u0302\u0303 b", "👩‍👩‍👧‍👦 family",
	"\ttab\x07bell", strings.Repeat("word ", 900), "\xff\xfe", "",
}

func TestThreeHundredHostileEntriesFitTheScreen(t *testing.T) {
	b := &desk.Board{Title: hostile[0] + hostile[2], Notices: hostile}
	for n := range 300 {
		h := func(k int) string { return hostile[(n+k)%len(hostile)] }
		b.Items = append(b.Items, desk.Item{ID: fmt.Sprint(n), Expires: h(0), What: h(1), For: h(2), State: h(3), Soon: n%2 == 0, Text: strings.Join(hostile, h(4)), Amounts: n % 3, Why: h(5)})
	}
	s := sit(t, &clerk{board: b}, 80, 24)
	s.sees("1 of 300", "press ! to read them all")
	for range 300 {
		s.press("j")
	}
	s.sees("300 of 300")
	for _, key := range []string{"enter", "end", "a", "esc", "esc", "!", "end", "esc", "home", "pgdown", "G", "r", "x", "esc", "?", "q"} {
		s.press(key)
	}
	s.sees("of 300")
}

func TestTheScreenFitsWhateverIsPressed(t *testing.T) {
	keys := []string{"up", "down", "pgup", "pgdown", "home", "end", "enter", "esc", "backspace", "a", "r", "w", "f", "R", "?", "!", " ", "資", "0.5 BTC", "freeze", "\u0301"}
	rapid.Check(t, func(rt *rapid.T) {
		b := &desk.Board{Title: "alice", Notices: rapid.SliceOfN(rapid.SampledFrom(hostile), 0, 3).Draw(rt, "notices")}
		for n := range rapid.IntRange(0, 30).Draw(rt, "entries") {
			b.Items = append(b.Items, item(n, rapid.IntRange(0, 60).Draw(rt, "lines")))
			b.Items[n].For = rapid.SampledFrom(hostile).Draw(rt, "for")
		}
		s := sit(t, &clerk{board: b}, rapid.IntRange(2, 200).Draw(rt, "width"), rapid.IntRange(1, 60).Draw(rt, "height"))
		for range 20 {
			s.press(rapid.SampledFrom(keys).Draw(rt, "key"))
			if rapid.IntRange(0, 4).Draw(rt, "resize") == 0 {
				s.width, s.height = rapid.IntRange(2, 200).Draw(rt, "width"), rapid.IntRange(1, 60).Draw(rt, "height")
				s.tell(tea.WindowSizeMsg{Width: s.width, Height: s.height})
			}
		}
	})
}
