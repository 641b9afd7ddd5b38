package signer

import (
	"bytes"
	"encoding/binary"
	"testing"

	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

func FuzzFramesSplitAndJoin(f *testing.F) {
	f.Add(append(binary.BigEndian.AppendUint16(nil, 3), make([]byte, 3+64+5)...))
	f.Add([]byte{0xff, 0xff, 1})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		message, err := splitFrame(b)
		if err != nil {
			return
		}
		again, err := joinFrame(message)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("expected the same %d bytes, found %d, %v", len(b), len(again), err)
		}
	})
}

func TestFramesOfImpossibleSizesAreRefused(t *testing.T) {
	for name, m := range map[string]*strongroomv1.Frame{
		"no signature":   {Envelope: []byte{1}},
		"long envelope":  {Envelope: make([]byte, 1<<16), Signature: make([]byte, 64)},
		"long signature": {Signature: make([]byte, 65)},
		"long payload":   {Signature: make([]byte, 64), Payload: make([]byte, 4<<20)},
	} {
		if b, err := joinFrame(m); err == nil {
			t.Errorf("%s: expected an error, found %d bytes", name, len(b))
		}
	}
}
