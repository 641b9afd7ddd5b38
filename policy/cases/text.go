package cases

import (
	"errors"
	"fmt"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/strongroom/strongroom/proto/canon"
)

// fileText is the TOML form of a file.
type fileText struct {
	Charter string         `toml:"charter"`
	About   string         `toml:"about"`
	Sources []string       `toml:"sources"`
	Policy  toml.Primitive `toml:"policy"`
	Book    []entryText    `toml:"book"`
	Prices  []string       `toml:"prices"`
	Cases   []caseText     `toml:"cases"`
}

type entryText struct {
	Address string       `toml:"address"`
	Client  canon.Name   `toml:"client"`
	Account canon.Name   `toml:"account"`
	Groups  []canon.Name `toml:"groups"`
}

type caseText struct {
	Name    string     `toml:"name"`
	Example string     `toml:"example"`
	Vendor  string     `toml:"vendor"`
	Differs string     `toml:"differs"`
	Client  canon.Name `toml:"client"`
	Account canon.Name `toml:"account"`
	Wallet  canon.Name `toml:"wallet"`
	At      time.Time  `toml:"at"`
	FeeCap  string     `toml:"fee_cap"`
	Call    *Call      `toml:"call"`
	Pays    []Payment  `toml:"pays"`
	Payment

	Prices        []string           `toml:"prices"`
	Attributes    []Attribute        `toml:"attributes"`
	Clearances    []Clearance        `toml:"clearances"`
	Balances      []Holding          `toml:"balances"`
	Circumstances *circumstancesText `toml:"circumstances"`

	Spends     []spendText  `toml:"spends"`
	Follows    []followText `toml:"follows"`
	Approved   []voice      `toml:"approved_by"`
	Rejected   []canon.Name `toml:"rejected_by"`
	AskedAfter string       `toml:"asked_after"`
	Expect     expectText   `toml:"expect"`
}

// Payment is an amount to an address, or to the account's own address in a wallet of the charter, as people write them.
type Payment struct {
	To       string     `toml:"to"`
	ToWallet canon.Name `toml:"to_wallet"`
	Amount   string     `toml:"amount"`
}

// Call is a contract call, by its name in the charter or by contract and signature.
type Call struct {
	Name      canon.Name `toml:"name"`
	Contract  string     `toml:"contract"`
	Signature string     `toml:"signature"`
	Arguments []string   `toml:"arguments"`
	Value     string     `toml:"value"`
}

// Attribute is what an authority says about the client. With no authority named it is the only one that the charter has for that.
type Attribute struct {
	Name      canon.Name `toml:"name"`
	Value     canon.Text `toml:"value"`
	Authority canon.Name `toml:"authority"`
}

// Clearance is an authority's decision about the request.
type Clearance struct {
	Authority canon.Name `toml:"authority"`
	Refused   bool       `toml:"refused"`
	Reason    canon.Text `toml:"reason"`
}

// Holding is what a wallet has, as enough signers state it.
type Holding struct {
	Wallet canon.Name `toml:"wallet"`
	Amount string     `toml:"amount"`
}

type circumstancesText struct {
	ClientIP       string `toml:"client_ip"`
	KnownIP        bool   `toml:"known_ip"`
	Requests       uint64 `toml:"requests"`
	NewDestination bool   `toml:"new_destination"`
}

// spendText is an earlier reservation. What counts apart is the request's own where it is not said.
type spendText struct {
	Limit   canon.Name `toml:"limit"`
	Amount  string     `toml:"amount"`
	Ago     string     `toml:"ago"`
	Signing string     `toml:"signing"`

	Client   canon.Name `toml:"client"`
	Account  canon.Name `toml:"account"`
	Wallet   canon.Name `toml:"wallet"`
	To       string     `toml:"to"`
	ToWallet canon.Name `toml:"to_wallet"`
	Asset    string     `toml:"asset"`
}

// followText names a case of the same file that stands before this one: what it took from limits is spent already.
type followText struct {
	Case string `toml:"case"`
	Ago  string `toml:"ago"`
}

type expectText struct {
	Verdict Verdict    `toml:"verdict"`
	Rule    canon.Name `toml:"rule"`
	Refused string     `toml:"refused"`
	Missing string     `toml:"missing"`
	Quorum  *bool      `toml:"quorum_met"`
	Signed  *bool      `toml:"signed"`
	FeeCap  string     `toml:"fee_cap"`
	Expiry  string     `toml:"expiry"`
	Delay   string     `toml:"delay"`
	Charter Verdict    `toml:"charter"`
}

// voice is somebody who approves, by name alone or with when: { officer = "alice", after = "2h" }.
type voice struct {
	Officer canon.Name
	After   string
}

// UnmarshalTOML implements toml.Unmarshaler.
func (v *voice) UnmarshalTOML(data any) error {
	if name, ok := data.(string); ok {
		v.Officer = canon.Name(name)
		return nil
	}
	table, ok := data.(map[string]any)
	if !ok {
		return fmt.Errorf("approved_by: expected names, or tables with officer and after, found %T", data)
	}
	officer, named := table["officer"].(string)
	after, later := table["after"].(string)
	if !named || len(table) != 1 && !(len(table) == 2 && later) {
		return errors.New("approved_by: expected a table with officer and, if he does not approve at once, after")
	}
	v.Officer, v.After = canon.Name(officer), after
	return nil
}
