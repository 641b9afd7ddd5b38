package canon

import (
	"strings"
	"testing"
)

func TestWordsAreTheFirst132Bits(t *testing.T) {
	var zero Digest
	if got := zero.Words(); strings.Join(got[:], " ") != strings.TrimSpace(strings.Repeat("abandon ", 12)) {
		t.Errorf("expected twelve times the first word, found %v", got)
	}
	ones := zero
	for i := range 16 {
		ones[i] = 0xff
	}
	ones[16] = 0xf0 // bits 128 to 131
	if got := ones.Words(); strings.Join(got[:], " ") != strings.TrimSpace(strings.Repeat("zoo ", 12)) {
		t.Errorf("expected twelve times the last word, found %v", got)
	}
	for bit := range 132 {
		d := zero
		d[bit/8] ^= 0x80 >> (bit % 8)
		if d.Words() == zero.Words() {
			t.Errorf("bit %d: changing it leaves the words as they were", bit)
		}
	}
	d := zero
	d[16] = 0x0f // bits 132 to 135 are not shown
	if d.Words() != zero.Words() {
		t.Error("expected no influence of the bits behind the first 132")
	}
}
