package config_test

import (
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/config"
)

func TestDurationsAreAboveZeroAndHaveAUnit(t *testing.T) {
	var d config.Duration
	if err := d.UnmarshalText([]byte("1h30m")); err != nil || time.Duration(d) != 90*time.Minute {
		t.Errorf("1h30m: found %s, %v", time.Duration(d), err)
	}
	for _, text := range []string{"", "5", "0s", "-1s", "five seconds", "9999999h9999999h"} {
		if err := d.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: expected a refusal, found %s", text, time.Duration(d))
		}
	}
}
