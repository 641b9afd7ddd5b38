package desk

import "context"

// Office verifies, signs and asks servers for the person at the desk. Its methods are called one at a time.
type Office interface {
	// Board asks everybody what waits.
	Board(ctx context.Context) (*Board, error)
	// Approve, Reject, Withdraw and Freeze check what was typed, and return what is to be signed and sent. They sign nothing, ask nobody and
	// return at once. The ids are of the last Board.
	Approve(id string, amounts []string) (Act, error)
	Reject(id, reason string) (Act, error)
	Withdraw(id, reason string) (Act, error)
	Freeze(word, reason string) (Act, error)
	// Explain writes an error in full.
	Explain(err error) string
}

// Act is something that an officer says.
type Act interface {
	// Sign signs it. The terminal is the caller's until it returns: a passphrase may be asked for.
	Sign() error
	// Send takes it to the servers and returns what came of it. There may be something to say beside an error.
	Send(ctx context.Context) (report string, err error)
}

// Board is what waits. It does not change after it was returned.
type Board struct {
	Title   string   // whose it is, in a few words
	Notices []string // what must be known first, the gravest first
	Items   []Item   // in the order in which they are listed
}

// Item is an entry of the inbox. Its text is escaped.
type Item struct {
	ID      string
	Expires string // in how long, a few characters
	What    string // such as the total
	For     string // whom
	State   string
	Soon    bool   // it expires soon
	Text    string // all of it, made from the bytes that are signed
	Amounts int    // how many amounts are typed to approve it; 0 if it cannot be approved here
	ByName  bool   // the name of the contract call is typed instead: it counts as no amount
	Why     string // why not
}
