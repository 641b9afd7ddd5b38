package mpc

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// errPayload is wrapped by every refusal of decodePayload.
var errPayload = errors.New("not a valid payload")

const payloadHead = 32 + 2

// encodePayload joins the session's context, the number of messages (2 bytes) and each message with its length (4 bytes).
func encodePayload(context [32]byte, messages [][]byte) []byte {
	size := payloadHead
	for _, m := range messages {
		size += 4 + len(m)
	}
	b := make([]byte, 0, size)
	b = append(b, context[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(messages)))
	for _, m := range messages {
		b = binary.BigEndian.AppendUint32(b, uint32(len(m)))
		b = append(b, m...)
	}
	return b
}

// decodePayload reads exactly count messages of at most maxSize bytes that belong to context. The messages share memory with b.
func decodePayload(b []byte, context [32]byte, count, maxSize int) ([][]byte, error) {
	if len(b) < payloadHead {
		return nil, fmt.Errorf("%w: expected at least %d bytes, found %d", errPayload, payloadHead, len(b))
	}
	if [32]byte(b[:32]) != context {
		return nil, fmt.Errorf("%w: context: expected %x, found %x: the sender runs another session, key, set of participants or inputs",
			errPayload, context, b[:32])
	}
	if found := int(binary.BigEndian.Uint16(b[32:])); found != count {
		return nil, fmt.Errorf("%w: messages: expected %d, found %d", errPayload, count, found)
	}
	b = b[payloadHead:]
	messages := make([][]byte, count)
	for i := range messages {
		if len(b) < 4 {
			return nil, fmt.Errorf("%w: message %d: expected 4 bytes of length, found %d", errPayload, i, len(b))
		}
		n := binary.BigEndian.Uint32(b)
		b = b[4:]
		if uint64(n) > uint64(maxSize) || uint64(n) > uint64(len(b)) {
			return nil, fmt.Errorf("%w: message %d: expected at most %d bytes of %d, found %d", errPayload, i, maxSize, len(b), n)
		}
		messages[i], b = b[:n:n], b[n:]
	}
	if len(b) != 0 {
		return nil, fmt.Errorf("%w: expected no bytes after the last message, found %d", errPayload, len(b))
	}
	return messages, nil
}
