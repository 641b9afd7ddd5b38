package coordinator

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"
	"unicode"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

const (
	inquiryTimeout = 10 * time.Second // of one question to an authority or a signer
	maxInquiries   = 16               // questions to one author at the same time
	maxRemembered  = 10_000           // answers, and failures
	maxReason      = 200              // characters of what an authority gives as its reason
)

// question is a statement that may be asked for.
type question struct {
	purpose canon.Purpose
	author  canon.Name // authority, or signer
	subject string     // asset and currency, client and attribute, request, or chain
}

// statement is an answer that was verified, as long as it may be used.
type statement struct {
	signed canon.Signed
	until  canon.Time
}

// setback is why a question has no answer yet, and when it may be put again.
type setback struct {
	reason string
	fails  int
	again  time.Time
}

// inquiries put questions to authorities and signers, each in a goroutine of its own, so that nobody who does not answer keeps anything but its
// own question waiting. An author that fails is asked again after a pause that grows. Answers are kept in memory only: after a restart everything
// is asked anew.
type inquiries struct {
	ctx     context.Context // ends with the service
	stop    context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	answers  map[question]statement
	setbacks map[question]setback
	asking   map[question]map[canon.Digest]bool // who waits for it
	busy     map[canon.Name]int
	news     chan struct{} // closed and replaced when a question was answered, or was not
}

func newInquiries() *inquiries {
	ctx, stop := context.WithCancel(context.Background())
	return &inquiries{ctx: ctx, stop: stop, answers: map[question]statement{}, setbacks: map[question]setback{}, asking: map[question]map[canon.Digest]bool{},
		busy: map[canon.Name]int{}, news: make(chan struct{})}
}

// close ends all questions.
func (q *inquiries) close() {
	q.stop()
	q.running.Wait()
}

// changed returns a channel that is closed when the next question is done.
func (q *inquiries) changed() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.news
}

// inquiry is one question, with how to put it.
type inquiry struct {
	question
	// put asks, verifies the answer and says how long it may be used. errPending says that there is no answer yet.
	put func(context.Context) (statement, error)
	// waits is the withdrawal that waits for it, and wake has it looked at once the question is done.
	waits canon.Digest
	wake  func(canon.Digest)
}

// pendingError says that an authority has not decided yet, and why.
type pendingError struct{ reason string }

func (e *pendingError) Error() string { return "no decision yet" + reasonText(e.reason) }

func reasonText(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + shorten(reason)
}

// shorten cuts text of others to what is fit for a row and for terminals.
func shorten(text string) string {
	r := []rune(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, clean(text)))
	if len(r) > maxReason {
		return string(r[:maxReason]) + "…"
	}
	return string(r)
}

// ask returns the answer if it is known, and else puts the question unless that is being done or has to wait. asking says that an answer may come;
// reason says why there is none yet.
func (q *inquiries) ask(i inquiry, now canon.Time) (s statement, known, asking bool, reason string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if s, ok := q.answers[i.question]; ok && now <= s.until {
		return s, true, false, ""
	}
	delete(q.answers, i.question)
	if waiting, ok := q.asking[i.question]; ok {
		waiting[i.waits] = true
		return s, false, true, "asked, and not answered yet"
	}
	if b, ok := q.setbacks[i.question]; ok && time.Now().Before(b.again) {
		return s, false, false, b.reason
	}
	if q.busy[i.author] >= maxInquiries {
		return s, false, false, "too many questions are waiting there"
	}
	if q.ctx.Err() != nil {
		return s, false, false, "the service stops"
	}
	q.asking[i.question] = map[canon.Digest]bool{i.waits: true}
	q.busy[i.author]++
	q.running.Go(func() { q.run(i) })
	return s, false, true, "asked, and not answered yet"
}

// run puts a question and notes what came of it.
func (q *inquiries) run(i inquiry) {
	ctx, cancel := context.WithTimeout(q.ctx, inquiryTimeout)
	defer cancel()
	s, err := i.put(ctx)
	q.mu.Lock()
	waiting := q.asking[i.question]
	delete(q.asking, i.question)
	if q.busy[i.author]--; q.busy[i.author] == 0 {
		delete(q.busy, i.author)
	}
	if err == nil {
		q.answers[i.question] = s
		delete(q.setbacks, i.question)
	} else {
		b := q.setbacks[i.question]
		q.setbacks[i.question] = setback{reason: whyNot(err), fails: b.fails + 1, again: time.Now().Add(min(firstPause<<min(b.fails, 10), lastPause))}
	}
	q.prune()
	close(q.news)
	q.news = make(chan struct{})
	q.mu.Unlock()
	// Also after a failure: another's answer may do. That this one is not asked again at once keeps them from turning in circles.
	for id := range waiting {
		if i.wake != nil && !id.IsZero() {
			i.wake(id)
		}
	}
}

// prune lets go of what nobody asked for lately when there is too much. The caller holds mu.
func (q *inquiries) prune() {
	if len(q.setbacks) > maxRemembered {
		now := time.Now()
		maps.DeleteFunc(q.setbacks, func(_ question, b setback) bool { return now.After(b.again.Add(lastPause)) })
	}
	if len(q.setbacks) > maxRemembered {
		clear(q.setbacks)
	}
	if len(q.answers) > maxRemembered {
		clear(q.answers) // all of them can be asked for again
	}
}

// forget drops an answer that is no use any more.
func (q *inquiries) forget(k question) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.answers, k)
}

// whyNot is a short reason for a refusal. What others wrote is cut; errors of connections are named by their code alone, for they differ from time
// to time and say where things run.
func whyNot(err error) string {
	if pending, ok := err.(*pendingError); ok {
		return pending.Error()
	}
	if r := refusal.Of(err); r != nil {
		return shorten(r.Error())
	}
	if code := status.Code(err); code != codes.Unknown {
		return fmt.Sprintf("no answer (%s)", code)
	}
	return shorten(err.Error())
}
