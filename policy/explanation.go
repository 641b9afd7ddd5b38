package policy

import (
	"fmt"
	"sync"

	"github.com/strongroom/strongroom/proto/refusal"
)

// explanation is the refusal of a denial. A charter has up to 256 rules, and to say of each why it did not match costs many times what the decision
// costs: the words are found when somebody asks for them, once.
type explanation struct {
	once sync.Once
	say  func() refusal.List
	said *refusal.Refusal
}

// explained makes an explanation of what say will list, which is at least one failure. It may be read from many goroutines at once.
func explained(say func() refusal.List) error { return &explanation{say: say} }

func (e *explanation) refusal() *refusal.Refusal {
	e.once.Do(func() {
		list := e.say()
		e.said, e.say = refusal.Of(list.Err()), nil
	})
	return e.said
}

// Error implements error.
func (e *explanation) Error() string { return e.refusal().Error() }

// As gives errors.As the *refusal.Refusal.
func (e *explanation) As(target any) bool {
	r, ok := target.(**refusal.Refusal)
	if ok {
		*r = e.refusal()
	}
	return ok
}

// Format implements fmt.Formatter, so that no verb shows what is behind the words.
func (e *explanation) Format(s fmt.State, _ rune) { fmt.Fprint(s, e.Error()) }
