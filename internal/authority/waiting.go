package authority

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/strongroom/strongroom/proto/canon"
)

// Bounds of the requests that wait. More are answered the same and not listed until others ended or were decided.
const (
	maxWaiting       = 10000
	maxClientWaiting = 500 // of one client, whose keys signed them: no client keeps the list from others
)

// list is what waits for people, with what the bounds need of it in memory: questions read no more files than their own. It is safe for use by
// several goroutines. Another process takes requests off by deciding them.
type list struct {
	dir decisions
	log *slog.Logger

	mu     sync.Mutex
	listed map[string]listing // by request, guarded by mu
}

type listing struct {
	client   canon.Name
	notAfter time.Time
}

// openList reads what waits. Files that cannot be read are logged and left alone.
func openList(dir decisions, log *slog.Logger) (*list, error) {
	if err := dir.make(); err != nil {
		return nil, err
	}
	all, unread, err := dir.waiting()
	if err != nil {
		return nil, err
	}
	for _, err := range unread {
		log.Warn("a request that waits cannot be read", "error", err.Error())
	}
	l := &list{dir: dir, log: log, listed: map[string]listing{}}
	for _, w := range all {
		l.listed[w.Request] = listing{w.Client, w.NotAfter}
	}
	return l, nil
}

// forget takes a request off the list.
func (l *list) forget(request string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.listed, request)
	return l.dir.forget(request)
}

// note lists a request for people, once.
func (l *list) note(w Waiting) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.listed[w.Request]; ok && l.there(w.Request) {
		return nil
	}
	if l.full(w.Client) {
		if err := l.clean(w.Since); err != nil {
			return err
		}
	}
	if l.full(w.Client) {
		l.log.Warn("too many requests wait: this one is not listed", "request", w.Request, "client", string(w.Client))
		return nil
	}
	if err := l.dir.write(w.Request+waitingSuffix, w, false); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	l.listed[w.Request] = listing{w.Client, w.NotAfter}
	return nil
}

func (l *list) full(client canon.Name) bool {
	of := 0
	for _, w := range l.listed {
		if w.client == client {
			of++
		}
	}
	return len(l.listed) >= maxWaiting || of >= maxClientWaiting
}

// clean drops what ended or was decided.
func (l *list) clean(now time.Time) error {
	var errs []error
	for request, w := range l.listed {
		if now.After(w.notAfter) {
			errs = append(errs, l.dir.forget(request))
		} else if l.there(request) {
			continue
		}
		delete(l.listed, request)
	}
	return errors.Join(errs...)
}

func (l *list) there(request string) bool {
	_, err := os.Lstat(filepath.Join(string(l.dir), request+waitingSuffix))
	return err == nil
}
