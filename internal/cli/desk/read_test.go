package desk_test

import (
	"context"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"github.com/strongroom/strongroom/internal/cli/desk"
)

func TestWhatWasJumpedOverWasNotRead(t *testing.T) {
	for _, end := range []string{"end", "G"} {
		s := sit(t, &clerk{board: board(200)}, 80, 24)
		s.press("enter", end)
		s.sees("entry 1, line 200")
		s.press("a")
		s.sees("Read it to its end first", "entry 1, line 30")
		if strings.Contains(s.screen(), "line 200") {
			t.Errorf("%s: expected to go on where reading ended, found:\n%s", end, s.screen())
		}
		for range 20 {
			s.press(" ")
		}
		s.press("a")
		s.sees("Type the total that is paid")
	}
}

func TestOnAnotherWidthReadingBeginsAnew(t *testing.T) {
	c := &clerk{board: board(50)}
	s := sit(t, c, 80, 60)
	s.press("enter")
	s.width, s.height = 12, 20
	s.tell(tea.WindowSizeMsg{Width: 12, Height: 20})
	s.press("end", "a")
	if strings.Contains(s.screen(), "> _") {
		t.Errorf("expected no form before other lines were read, found:\n%s", s.screen())
	}
}

func TestTheFormHidesNothingThatWasNotRead(t *testing.T) {
	// A text that fills the screen up to its last line without a form.
	for lines := 15; lines < 25; lines++ {
		s := sit(t, &clerk{board: board(lines)}, 80, 24)
		seen := map[string]bool{}
		look := func() {
			for line := range strings.Lines(s.screen()) {
				seen[strings.TrimSpace(line)] = true
			}
		}
		for range 5 {
			s.press("a")
			if look(); strings.Contains(s.screen(), "Type the total that is paid") {
				break
			}
			s.press(" ")
			look()
		}
		s.sees("Type the total that is paid")
		for l := range lines {
			if line := item(1, l+1).Text; !seen[strings.TrimSpace(line[strings.LastIndex(strings.TrimSpace(line), "entry"):])] {
				t.Errorf("%d lines: expected line %d on the screen before the form", lines, l+1)
			}
		}
	}
}

func TestAFreezeDoesNotWaitForAnswers(t *testing.T) {
	c := &slow{clerk: clerk{board: board(3)}, begun: make(chan struct{})}
	s := sit(t, c, 80, 24)
	c.until = true
	_, asking := s.m.Update(tea.KeyPressMsg{Code: 'R', Text: "R"})
	answer := make(chan tea.Msg)
	go func() { answer <- asking() }()
	<-c.begun
	s.press("f", "freeze", "enter", "strange", "enter")
	c.until = false
	s.tell(<-answer) // without the fix it waits for ever
	s.sees("REPORT freeze: strange")
	if found := c.done(); found != "sign freeze: strange; send freeze: strange" {
		t.Errorf("expected a freeze, found %q", found)
	}
	// A freeze that was left in between asks everybody again.
	c.until = true
	s.press("esc")
	_, asking = s.m.Update(tea.KeyPressMsg{Code: 'R', Text: "R"})
	go func() { answer <- asking() }()
	<-c.begun
	s.press("f", "freeze", "enter", "strange", "enter", "esc")
	asked := len(c.calls)
	c.until = false
	s.tell(<-answer)
	if found := len(c.calls) - asked; found != 1 {
		t.Errorf("expected everybody to be asked again, found %d calls", found)
	}
}

// slow is an office whose servers answer never, as long as until is set.
type slow struct {
	clerk
	until bool
	begun chan struct{} // is told that it waits
}

func (s *slow) Board(ctx context.Context) (*desk.Board, error) {
	if s.until {
		s.begun <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.clerk.Board(ctx)
}

func TestWhatBubbleteaDoesNotRunIsNotWaitedFor(t *testing.T) {
	c := &clerk{board: board(3)}
	m := desk.New(t.Context(), c)
	first := m.Init()
	m.Leave() // without the fix it waits for ever
	if msg := first(); msg != nil || len(c.calls) != 0 {
		t.Errorf("expected nothing to run after the end, found %v and %q", msg, c.calls)
	}
}

func TestWhatWasSignedIsReportedWhoeverLeaves(t *testing.T) {
	for name, test := range map[string]struct {
		runs bool
		want string
	}{"sent": {true, "REPORT approve id-1"}, "not sent": {false, "it was not sent"}} {
		s := sit(t, &clerk{board: board(3)}, 80, 24)
		s.press("a", "a", "0.5 BTC")
		_, signing := s.m.Update(tea.KeyPressMsg{Code: tea.KeyEnter})
		_, sending := s.m.Update(signing())
		if test.runs {
			sending() // and nobody takes what it says
		}
		s.m.Leave()
		if r := s.m.Reports(); len(r) != 1 || !strings.Contains(r[0], test.want) {
			t.Errorf("%s: expected a report of %q, found %q", name, test.want, r)
		}
	}
}

func TestOneThingIsDoneAtATime(t *testing.T) {
	c := &clerk{board: board(3)}
	s := sit(t, c, 80, 24)
	_, asking := s.m.Update(tea.KeyPressMsg{Code: 'R', Text: "R"})
	s.press("a", "a", "0.5 BTC", "enter")
	s.sees("Wait: asking everybody", "> 0.5 BTC_")
	if found := c.done(); found != "" {
		t.Fatalf("expected nothing to be done meanwhile, found %q", found)
	}
	s.do(asking)
	_, signing := s.m.Update(tea.KeyPressMsg{Code: tea.KeyEnter})
	_, sending := s.m.Update(signing())
	for _, key := range []string{"q", "ctrl+c"} {
		s.press(key)
		if s.sees("Wait: what was signed is on its way"); s.left {
			t.Fatalf("%s: expected nobody to leave meanwhile", key)
		}
	}
	s.press("R")
	s.sees("Wait: sending")
	s.do(sending)
	s.sees("REPORT approve id-1")
}
