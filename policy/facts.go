package policy

import (
	"github.com/strongroom/strongroom/proto/canon"
)

// Facts are all that the rules and limits read beside the charter: no clock, no network, no files. Whoever fills them in has verified them: the
// request's signature (package approval), statements by their authors (package fact), groups by proofs of the address book or, before there are
// any, by what the intent says. The same facts give the same answer everywhere.
type Facts struct {
	Request *canon.Request
	At      canon.Time // when the service completed the request, by which statements are judged; 0: it was not
	// Destinations has the groups of each output's address in the address book, one for each output; nil: no output is in any.
	Destinations []canon.Destination
	Prices       []canon.Price
	Attributes   []canon.Attribute
	Clearances   []canon.Clearance
	Balances     []canon.Balances
}

// FactsOf returns the facts of a request about which nobody stated anything.
func FactsOf(r *canon.Request) Facts { return Facts{Request: r} }

// Missing is a statement without which the rules have no answer. What is missing denies; who can ask for it may ask again with it.
type Missing struct {
	Purpose   canon.Purpose
	Authority canon.Name // who must state it; of prices any of the source's authorities may
	Attribute canon.Name
	Asset     canon.AssetID
	Currency  canon.Currency
	Chain     canon.ChainID // of balances
	Signers   uint64        // of balances: how many distinct ones must state them
}

// Circumstances are what only the service knows about a request. Rules may hold or deny by them and never allow.
type Circumstances struct {
	ClientIP       string // as text, without port; empty if unknown
	KnownIP        bool   // the client asked from there before
	Requests       uint64 // of the client in the last hour, this one included
	NewDestination bool   // some address was never paid by the client before
}
