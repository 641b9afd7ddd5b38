package child

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/fxamacker/cbor/v2"

	"github.com/strongroom/strongroom/hsm"
)

const (
	// maxFrame holds the largest secret with the largest aad, or maxListed keys of an inventory, and the fields around them.
	maxFrame = hsm.MaxPlaintext + hsm.MaxAAD + 64<<10
	// maxBatch is how many bytes of small frames are written at once.
	maxBatch  = 32 << 10
	frameHead = 4 // length, big-endian
)

// errFrame marks what no well-behaved peer sends.
var errFrame = errors.New("malformed frame")

var encMode, decMode = modes()

func modes() (cbor.EncMode, cbor.DecMode) {
	enc, err := cbor.EncOptions{IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden, NilContainers: cbor.NilContainerAsEmpty}.EncMode()
	if err != nil {
		panic(err) // the options above are constants: only a changed library can get here
	}
	dec, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		MaxNestedLevels: 8, MaxArrayElements: 1024, MaxMapPairs: 16, ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		UTF8: cbor.UTF8RejectInvalid,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return enc, dec
}

// encode returns the frame of a message.
func encode(message any) ([]byte, error) {
	body, err := encMode.Marshal(message)
	if err != nil {
		return nil, err
	}
	defer clear(body)
	if len(body) > maxFrame {
		return nil, fmt.Errorf("%w: size: expected at most %d bytes, found %d", errFrame, maxFrame, len(body))
	}
	frame := make([]byte, frameHead, frameHead+len(body))
	binary.BigEndian.PutUint32(frame, uint32(len(body)))
	return append(frame, body...), nil
}

// decode reads the body of a frame into a message, a pointer to a struct.
func decode(body []byte, message any) error {
	if len(body) > maxFrame {
		return fmt.Errorf("%w: size: expected at most %d bytes, found %d", errFrame, maxFrame, len(body))
	}
	if err := decMode.Unmarshal(body, message); err != nil {
		return fmt.Errorf("%w: %w", errFrame, err)
	}
	return nil
}

// readFrame reads one frame's body. The error is io.EOF if the stream ends between two frames.
func readFrame(r io.Reader) ([]byte, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > maxFrame {
		return nil, fmt.Errorf("%w: size: expected 1 to %d bytes, found %d", errFrame, maxFrame, n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fmt.Errorf("%w: cut off: %w", errFrame, err)
	}
	return body, nil
}

// outbox writes frames in one goroutine, several small ones at once, so that whoever sends never waits for a peer that does not read.
type outbox struct {
	frames chan []byte
	broken chan struct{} // closed when nothing more will be written
}

// newOutbox starts writing. The goroutine ends when stop is closed or a write fails; then ended is called with the error.
func newOutbox(w io.Writer, stop <-chan struct{}, ended func(error)) *outbox {
	o := &outbox{frames: make(chan []byte, 64), broken: make(chan struct{})}
	go func() {
		defer close(o.broken)
		if err := o.run(w, stop); err != nil {
			ended(err)
		}
	}()
	return o
}

func (o *outbox) run(w io.Writer, stop <-chan struct{}) error {
	batch := make([]byte, 0, maxBatch)
	for {
		select {
		case <-stop:
			return nil
		case frame := <-o.frames:
			batch = o.gather(append(batch[:0], frame...))
			clear(frame)
			_, err := w.Write(batch)
			clear(batch)
			if err != nil {
				return err
			}
		}
	}
}

// gather adds the frames that wait already.
func (o *outbox) gather(batch []byte) []byte {
	for len(batch) < maxBatch {
		select {
		case frame := <-o.frames:
			batch = append(batch, frame...)
			clear(frame)
		default:
			return batch
		}
	}
	return batch
}

// send queues a frame; it is false if nothing more is written or cancelled is closed first.
func (o *outbox) send(frame []byte, cancelled <-chan struct{}) bool {
	select {
	case o.frames <- frame:
		return true
	case <-o.broken:
	case <-cancelled:
	}
	return false
}
