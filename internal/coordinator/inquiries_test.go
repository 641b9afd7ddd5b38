package coordinator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

func TestReasonsAreShortAndFitForATerminal(t *testing.T) {
	long := strings.Repeat("ä", 10_000)
	for name, err := range map[string]error{
		"pending":    &pendingError{"\x1b[2J" + long},
		"refused":    refusal.New("a", "b", long, "\x00"),
		"text":       errors.New(long + "\xff"),
		"connection": status.Error(codes.Unavailable, "dial tcp 192.0.2.1:7600: "+long),
	} {
		got := whyNot(err)
		if utf8.RuneCountInString(got) > maxReason+40 || !utf8.ValidString(got) || strings.ContainsAny(got, "\x1b\x00\n") || strings.Contains(got, "192.0.2.1") {
			t.Errorf("%s: expected a short reason without control characters and addresses, found %q", name, got)
		}
	}
}

// Many withdrawals that wait for the same ask once; one author is never asked more questions at a time than it may be.
func TestAQuestionIsPutOnceAndAnAuthorIsNotFlooded(t *testing.T) {
	q := newInquiries()
	t.Cleanup(q.close)
	release := make(chan struct{})
	var mu sync.Mutex
	put, most, open := 0, 0, 0
	var woken sync.Map
	ask := func(subject string, id byte) (asking bool, reason string) {
		_, _, asking, reason = q.ask(inquiry{question: question{canon.PurposePrice, "rates", subject}, waits: canon.Digest{id},
			wake: func(id canon.Digest) { woken.Store(id, true) },
			put: func(ctx context.Context) (statement, error) {
				mu.Lock()
				put, open = put+1, open+1
				most = max(most, open)
				mu.Unlock()
				select {
				case <-release:
				case <-ctx.Done():
				}
				mu.Lock()
				open--
				mu.Unlock()
				return statement{until: 10}, ctx.Err()
			}}, 5)
		return asking, reason
	}
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() { ask("same", byte(i+1)) })
	}
	group.Wait()
	for i := range 3 * maxInquiries {
		ask(fmt.Sprint(i), 100)
	}
	if asking, reason := ask("one more", 101); asking || reason == "" {
		t.Errorf("expected that no more is asked, found asking %t, %q", asking, reason)
	}
	close(release)
	q.running.Wait()
	if put != maxInquiries || most > maxInquiries {
		t.Errorf("expected %d questions, found %d, at most %d at once", maxInquiries, put, most)
	}
	if s, known, _, _ := q.ask(inquiry{question: question{canon.PurposePrice, "rates", "same"}}, 5); !known || s.until != 10 {
		t.Errorf("expected the answer known, found %t", known)
	}
	waiters := 0
	woken.Range(func(any, any) bool { waiters++; return true })
	if waiters != 51 {
		t.Errorf("expected all 51 that waited to be woken, found %d", waiters)
	}
}
