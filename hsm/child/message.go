package child

import (
	"errors"
	"fmt"
	"time"

	"github.com/strongroom/strongroom/hsm"
)

// protocolVersion is that of the messages below. Parent and child are one executable, so there is only ever one.
const protocolVersion = 2

const (
	maxPending = 512   // requests under way at once
	maxHandles = 65536 // keys that a parent may have found
	maxListed  = 256   // keys of an inventory in one frame
	maxKeys    = 1 << 17
	maxListing = 128 << 20 // bytes of an inventory's frames together
	maxText    = 4 << 10   // bytes of an error's text
)

// Opening says which token a child opens, and how.
type Opening struct {
	Module     string // absolute path of the PKCS#11 module
	TokenLabel string
	Serial     string // may be empty if the label fits one token only
	// PIN is the user PIN. Start does not keep it.
	PIN      hsm.PIN
	Sessions int           // calls at once; 0 means the opener's default
	Timeout  time.Duration // of one operation on the token; 0 means DefaultTimeout
	// Retry says that the login before this one failed, and may have counted as a wrong PIN: a token that counts one is not logged in to.
	Retry bool
	// LoggingIn is there on the child's side only. Openers call it right before the token gets the PIN, and do not go on after an error.
	LoggingIn func() error `json:"-"`
}

// stage is what a child announces, unasked, each once and in this order.
type stage uint8

const (
	stageHardened  stage = iota + 1 // the process can be given the PIN
	stageLoggingIn                  // from here on the PIN may have counted as a try
)

// opening is the first frame to a child, after it announced stageHardened.
type opening struct {
	_          struct{} `cbor:",toarray"`
	Version    uint64
	Module     string
	TokenLabel string
	Serial     string
	PIN        []byte
	Sessions   uint64
	Timeout    uint64 // nanoseconds
	Retry      bool
}

// op is what a request asks for.
type op uint8

const (
	opCancel op = iota + 1 // Key is the id of the request to give up
	opClose
	opIdentity
	opCreateIdentity
	opSealer
	opCreateSealer
	opECDSA
	opCreateECDSA
	opCheck
	opInventory
	opSignMessage
	opSignDigest
	opSeal
	opOpen
)

// request is every further frame to a child.
type request struct {
	_          struct{} `cbor:",toarray"`
	ID         uint64
	Op         op
	Key        uint64 // handle of a key that was found
	Label      string
	Restorable bool
	Attended   bool
	Data       []byte
	AAD        []byte
	PIN        []byte
	Timeout    uint64 // nanoseconds that are left; 0 for none
}

// reply is every frame from a child.
type reply struct {
	_     struct{} `cbor:",toarray"`
	ID    uint64   // 0 for the reply to the opening
	Kinds []byte   // what the error is, by number in kinds; empty and no Text: no error
	Text  string
	Key   uint64
	Data  []byte // public key, signature, sealed blob or plaintext
	Token *inventory
	More  bool // the inventory has keys after these
	Stage stage
	size  int // of the frame's body, for the parent
}

// inventory carries an hsm.Info too.
type inventory struct {
	Info     hsm.Info
	Library  string
	Sessions uint64
	Keys     []hsm.KeyInfo
}

// kinds are the errors that keep their meaning across the socket. The numbers are theirs for one executable only.
var kinds = []error{
	hsm.ErrPIN, hsm.ErrPINLocked, hsm.ErrNoModule, hsm.ErrNoToken, hsm.ErrTokenExists, hsm.ErrNoKey, hsm.ErrKeyExists, hsm.ErrAmbiguous,
	hsm.ErrKeyAttributes, hsm.ErrUnsupported, hsm.ErrDevice, hsm.ErrTokenLost, hsm.ErrSignature, hsm.ErrTimeout, hsm.ErrClosed, hsm.ErrFormat,
	hsm.ErrAuthentication, hsm.ErrArgument, hsm.ErrLogin,
}

// fail puts an error into the reply.
func (r *reply) fail(err error) {
	for i, kind := range kinds {
		if errors.Is(err, kind) {
			r.Kinds = append(r.Kinds, byte(i))
		}
	}
	r.Text = printable(err.Error())
	r.Key, r.Data, r.Token, r.More = 0, nil, nil, false
}

// failure is the error in the reply, nil if there is none.
func (r *reply) failure() error {
	if len(r.Kinds) == 0 && r.Text == "" {
		return nil
	}
	f := &failure{text: printable(r.Text)}
	for _, k := range r.Kinds {
		if int(k) < len(kinds) {
			f.kinds = append(f.kinds, kinds[k])
		}
	}
	if len(f.kinds) == 0 {
		f.kinds = []error{hsm.ErrDevice} // an error of no known kind says that the token failed
	}
	return f
}

// failure is an error that a child told of.
type failure struct {
	text  string
	kinds []error
}

func (f *failure) Error() string   { return f.text }
func (f *failure) Unwrap() []error { return f.kinds }

// printable cuts a text to maxText bytes of printable ASCII: it comes from a vendor's library, and goes into logs.
func printable(text string) string {
	b := []byte(text[:min(len(text), maxText)])
	for i, c := range b {
		switch {
		case c == '\n':
			b[i] = ';'
		case c < 0x20 || c > 0x7e:
			b[i] = '?'
		}
	}
	return string(b)
}

func argument(field, expected string, found any) error {
	return fmt.Errorf("child: %w: %s: expected %s, found %v", hsm.ErrArgument, field, expected, found)
}
