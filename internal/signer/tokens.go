package signer

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// Health checks of the tokens that nobody else checks.
const (
	tokenCheckEvery   = 30 * time.Second
	tokenCheckTimeout = 10 * time.Second
)

var errUnchecked = errors.New("not checked since the process started")

// tokens checks the health of this signer's tokens, and knows what was found last.
type tokens struct {
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu   sync.Mutex
	last map[canon.Name]error // by wallet
}

func newTokens(s *Signer) *tokens {
	ctx, cancel := context.WithCancel(context.Background())
	t := &tokens{cancel: cancel, last: map[canon.Name]error{}}
	for wallet, device := range s.config.Devices {
		if w, _ := s.charter().Wallet(wallet); !slices.Contains(signersOf(w), s.config.Self) {
			s.config.Log.Warn("token for a wallet that the charter does not name this signer a device of", slog.String("wallet", string(wallet)))
		}
		if device.Health == nil {
			t.last[wallet] = errUnchecked
			t.running.Go(func() { t.checkEver(ctx, s.config.Log, wallet, device.Token) })
		}
	}
	return t
}

func (t *tokens) close() {
	t.cancel()
	t.running.Wait()
}

func (t *tokens) checkEver(ctx context.Context, log *slog.Logger, wallet canon.Name, token Token) {
	ticker := time.NewTicker(tokenCheckEvery)
	defer ticker.Stop()
	for {
		err := checkOnce(ctx, token)
		if t.note(wallet, err) && ctx.Err() == nil {
			level := slog.LevelInfo
			if err != nil {
				level = slog.LevelWarn
			}
			log.Log(ctx, level, "health of a token", slog.String("wallet", string(wallet)), slog.String("error", errorText(err)))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func checkOnce(ctx context.Context, token Token) error {
	ctx, cancel := context.WithTimeout(ctx, tokenCheckTimeout)
	defer cancel()
	return token.Check(ctx)
}

// note keeps what a check found and reports whether it is news.
func (t *tokens) note(wallet canon.Name, err error) (news bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	news = errorText(t.last[wallet]) != errorText(err)
	t.last[wallet] = err
	return news
}

func (t *tokens) health(wallet canon.Name) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last[wallet]
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// devices says how this signer's tokens are, for every wallet of the charter in force that it is a device of.
func (s *Signer) devices() ([]*strongroomv1.DeviceStatus, error) {
	var all []*strongroomv1.DeviceStatus
	for _, w := range s.charter().Genesis().Wallets {
		if _, ok := deviceOf(w, s.config.Self); ok {
			all = append(all, s.deviceStatus(w.Name))
		}
	}
	err := s.config.Ledger.Read(func(x *ledger.Index) error {
		for _, d := range all {
			d.Committed = x.Made(canon.Name(d.GetWallet()))
		}
		return nil
	})
	return all, err
}

func (s *Signer) deviceStatus(wallet canon.Name) *strongroomv1.DeviceStatus {
	device, ok := s.config.Devices[wallet]
	if !ok {
		return &strongroomv1.DeviceStatus{Wallet: string(wallet), Error: "expected a token in this signer's configuration, found none"}
	}
	status := &strongroomv1.DeviceStatus{Wallet: string(wallet), Generation: 1}
	if device.Generation != nil {
		status.Generation = device.Generation()
	}
	if device.Health != nil {
		status.Error = errorText(device.Health())
	} else {
		status.Error = errorText(s.tokens.health(wallet))
	}
	return status
}
