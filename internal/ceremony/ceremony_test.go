package ceremony

import "testing"

func TestKnownAnswers(t *testing.T) {
	s, err := Check("")
	if err != nil {
		t.Fatal(err)
	}
	if s.Software.IsZero() || len(s.Passed) != len(knownAnswers) {
		t.Errorf("got %+v", s)
	}
}
