package process

import (
	"os"
	"slices"
	"testing"
)

func TestChildrenAreThoseThatRun(t *testing.T) {
	p, err := Start("sleeper", t.TempDir(), nil, "/bin/sleep", "600")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	if children := Children(os.Getpid()); !slices.Contains(children, p.PID()) {
		t.Errorf("expected %d among the children of this process, found %v", p.PID(), children)
	}
	if children := Children(p.PID()); len(children) != 0 {
		t.Errorf("expected a process without children, found %v", children)
	}
	p.Kill()
	if children := Children(os.Getpid()); slices.Contains(children, p.PID()) {
		t.Errorf("expected %d to be gone, found %v", p.PID(), children)
	}
}
