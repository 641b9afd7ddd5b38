package coordinator

import (
	"os"
	"slices"
	"syscall"
)

// CrashVariable is the environment variable of a test that wants the process to die at a certain point: a state ("signed") or an event
// ("prepare"). Only a configuration with devnet = true lets it be set.
const CrashVariable = "STRONGROOM_CRASH_AT"

// reached kills the process, as kill -9 would, if the test asked for one of these points. What was written before it is on the disk.
func (s *Service) reached(points ...string) {
	if s.CrashAt == "" || !slices.Contains(points, s.CrashAt) {
		return
	}
	s.Log.Warn("crash point reached", "point", s.CrashAt)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal ends the process
}
