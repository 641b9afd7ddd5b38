package config

import (
	"fmt"
	"time"
)

// Duration is above 0 and written with a unit, for example "5s".
type Duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil || v <= 0 {
		return fmt.Errorf("duration: expected a positive number with a unit as in \"5s\", found %.40q", b)
	}
	*d = Duration(v)
	return nil
}
