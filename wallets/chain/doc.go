// Package chain talks to chain nodes: tips and blocks, balances, fees, broadcast, receipts and confirmations, for Bitcoin (btcd
// and Bitcoin Core alike, over JSON-RPC, without a wallet or an address index) and for EVM chains.
//
// It trusts nobody with money: what a node says can delay, stop, or show a transaction confirmed, and nothing more. Signers
// check amounts against whole previous transactions, never against an answer of this package. Still, what can be checked is:
// the chain's identity on dialling, that bytes hash to the id they were asked by, that a block belongs to its header, and that
// a receipt lies on the canonical chain.
//
// It refuses: a node of another chain, a URL with credentials in it, plain HTTP beyond the loopback interface unless told
// otherwise, redirects, answers beyond a size limit, and calls that outlast their time limit. Errors name the method and never
// hold a URL, a user name or a password. What a node writes is cut short and stripped of control characters before it is quoted.
//
// Implementations are safe for concurrent use.
package chain

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// ErrNotFound says that the node answered and does not know the transaction or block.
var ErrNotFound = errors.New("chain: not found")

// ErrNotReady says that the node cannot tell yet whether it knows a transaction, because it is still indexing. Ask again later.
var ErrNotReady = errors.New("chain: node is still indexing")

// ErrWrongChain says that the node serves another chain than the CAIP-2 id that it was dialled for.
var ErrWrongChain = errors.New("chain: wrong chain")

// ErrResponseTooLarge says that a node's answer exceeded the limit for one response.
var ErrResponseTooLarge = errors.New("chain: response too large")

// RPCError is an error that a node answered to a call, as opposed to a call that got no answer.
type RPCError struct {
	Method  string
	Code    int
	Message string
}

func (e *RPCError) Error() string {
	return fmt.Sprintf("chain: %s: node answered code %d: %s", e.Method, e.Code, e.Message)
}

// Rejected is a node's verdict that it does not accept a transaction. The transaction may still be valid elsewhere, or have
// confirmed earlier on a node without a transaction index: look for its effect before giving it up.
type Rejected struct {
	TxID   string // as the chain's tools print it
	Code   int    // the node's JSON-RPC error code
	Reason string // the node's words, shortened
}

func (e *Rejected) Error() string {
	return fmt.Sprintf("chain: transaction %s rejected by the node, code %d: %s", e.TxID, e.Code, e.Reason)
}

// maxQuoted is the longest piece of a node's own words that goes into an error.
const maxQuoted = 300

// quotable shortens what a node wrote and strips what could forge log lines or terminal output.
func quotable(s string) string {
	cut := ""
	if len(s) > maxQuoted {
		s, cut = s[:maxQuoted], "..."
	}
	s = strings.ToValidUTF8(s, "?")
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s) + cut
}
