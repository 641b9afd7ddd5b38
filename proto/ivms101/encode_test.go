package ivms101

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/strongroom/strongroom/proto/refusal"
)

// encode writes a payload that Decode accepts. Members come in the standard's order.
func (p *Payload) encode() ([]byte, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(p); err != nil {
		return nil, errors.New("ivms101: expected a payload that JSON can hold, found another")
	}
	if out.Len() > MaxSize {
		return nil, refusal.New(rule, "payload", fmt.Sprintf("at most %d bytes", MaxSize), fmt.Sprint(out.Len()))
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
