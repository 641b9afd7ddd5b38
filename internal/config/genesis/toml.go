package genesis

import (
	"github.com/strongroom/strongroom/proto/canon"
)

// file is the TOML form of canon.Genesis. Fields keep the names of the signed struct in lower case.
type file struct {
	Label         canon.Text        `toml:"label"`
	Salt          hexDigest         `toml:"salt"`
	NotBefore     instant           `toml:"not_before"`
	NotAfter      instant           `toml:"not_after"`
	Roster        rosterText        `toml:"roster"`
	Signers       []signerText      `toml:"signers"`
	Coordinators  []coordinatorText `toml:"coordinators"`
	Officers      []officerText     `toml:"officers"`
	Groups        []groupText       `toml:"groups"`
	Clients       []clientText      `toml:"clients"`
	Accounts      []accountText     `toml:"accounts"`
	Chains        []chainText       `toml:"chains"`
	Assets        []assetText       `toml:"assets"`
	Keys          []keyText         `toml:"keys"`
	Wallets       []walletText      `toml:"wallets"`
	Rules         []ruleText        `toml:"rules"`
	Limits        []limitText       `toml:"limits"`
	Allocation    []allocationText  `toml:"allocation"`
	Amendment     quorumText        `toml:"amendment"`
	Delays        delaysText        `toml:"delays"`
	Authorities   []authorityText   `toml:"authorities"`
	Book          bookText          `toml:"book"`
	Recovery      []sshKey          `toml:"recovery"`
	RecoveryCount uint64            `toml:"recovery_count"`
	Builds        []hexDigest       `toml:"builds"`
	Calls         []callText        `toml:"calls"`
	Prices        []priceText       `toml:"prices"`
}

type rosterText struct {
	Quorum uint64 `toml:"quorum"`
	Faults uint64 `toml:"faults"`
}

type signerText struct {
	Name         canon.Name `toml:"name"`
	Operator     canon.Name `toml:"operator"`
	Identity     hexKey     `toml:"identity"`
	Ledger       bool       `toml:"ledger"`
	Jurisdiction canon.Text `toml:"jurisdiction"`
}

type coordinatorText struct {
	Name canon.Name `toml:"name"`
	TLS  hexKey     `toml:"tls"`
}

type officerKeyText struct {
	Public sshKey `toml:"public"`
	Class  string `toml:"class"`
}

type officerText struct {
	Name    canon.Name       `toml:"name"`
	Label   canon.Text       `toml:"label"`
	Keys    []officerKeyText `toml:"keys"`
	Devices []hexKey         `toml:"devices"`
}

type groupText struct {
	Name    canon.Name   `toml:"name"`
	Members []canon.Name `toml:"members"`
	Weakest string       `toml:"weakest"`
}

type partText struct {
	Group canon.Name `toml:"group"`
	Count uint64     `toml:"count"`
}

type quorumText struct {
	AnyOf [][]partText `toml:"any_of"`
}

type clientText struct {
	Name       canon.Name                `toml:"name"`
	Label      canon.Text                `toml:"label"`
	House      bool                      `toml:"house"`
	Keys       []hexKey                  `toml:"keys"`
	Devices    []hexKey                  `toml:"devices"`
	Attributes map[canon.Name]canon.Text `toml:"attributes"`
	Treasury   bool                      `toml:"treasury"`
}

type accountText struct {
	Name   canon.Name `toml:"name"`
	Client canon.Name `toml:"client"`
	Number uint64     `toml:"number"`
	Kind   string     `toml:"kind"`
}

type chainText struct {
	ID       canon.ChainID `toml:"id"`
	Kind     string        `toml:"kind"`
	CoinType uint64        `toml:"coin_type"`
	Depth    uint64        `toml:"depth"`
	HRP      string        `toml:"hrp"`
}

type assetText struct {
	ID       canon.AssetID `toml:"id"`
	Symbol   canon.Text    `toml:"symbol"`
	Decimals uint64        `toml:"decimals"`
}

type keyText struct {
	ID        canon.Name   `toml:"id"`
	Algorithm string       `toml:"algorithm"`
	Threshold uint64       `toml:"threshold"`
	Holders   []canon.Name `toml:"holders"`
	Epoch     uint64       `toml:"epoch"`
}

type walletText struct {
	Name       canon.Name    `toml:"name"`
	Label      canon.Text    `toml:"label"`
	Chain      canon.ChainID `toml:"chain"`
	Tier       string        `toml:"tier"`
	Scheme     string        `toml:"scheme"`
	Key        canon.Name    `toml:"key"`
	Number     uint64        `toml:"number"`
	Accounts   []canon.Name  `toml:"accounts"`
	StartNonce uint64        `toml:"start_nonce"`

	// Of wallets with keys in tokens.
	Devices      []deviceText `toml:"devices"`
	Needed       uint64       `toml:"needed"`
	Pool         *hexDigest   `toml:"pool"`
	Recovery     *hexBytes    `toml:"recovery"`
	Backup       *string      `toml:"backup"` // none or wrap
	SingleDevice bool         `toml:"single_device"`
}

type deviceText struct {
	Signer      canon.Name `toml:"signer"`
	Attestation *hexBytes  `toml:"attestation"`
}

type ruleText struct {
	Name     canon.Name   `toml:"name"`
	Clients  []canon.Name `toml:"clients"`
	Accounts []canon.Name `toml:"accounts"`
	Wallets  []canon.Name `toml:"wallets"`
	To       []string     `toml:"to"`
	Amounts  []string     `toml:"amounts"` // "*" alone: whatever is paid
	Action   string       `toml:"action"`
	Quorum   quorumText   `toml:"quorum"`
	Expiry   seconds      `toml:"expiry"`
	Signing  seconds      `toml:"signing"`
	FeeCaps  []string     `toml:"fee_caps"`
	Limits   []canon.Name `toml:"limits"`
	Calls    []canon.Name `toml:"calls"`

	// What narrows a rule: left out or with something in it.
	Above      []string        `toml:"above"`
	Value      *valueText      `toml:"value"`
	Tiers      []string        `toml:"tiers"`
	Hours      []hoursText     `toml:"hours"`
	From       *instant        `toml:"from"`
	Before     *instant        `toml:"before"`
	Attributes []conditionText `toml:"attributes"`
	When       *string         `toml:"when"`
	Delay      *seconds        `toml:"delay"`
	Clearances []canon.Name    `toml:"clearances"`
	Holds      []holdText      `toml:"holds"`
}

type valueText struct {
	Currency canon.Currency `toml:"currency"`
	Above    string         `toml:"above"` // decimal, of the currency's unit
	Max      string         `toml:"max"`
}

type hoursText struct {
	Days []string `toml:"days"`
	From string   `toml:"from"` // "09:00"
	To   string   `toml:"to"`   // up to "24:00"
	Zone string   `toml:"zone"`
}

type conditionText struct {
	Name      canon.Name   `toml:"name"`
	Values    []canon.Text `toml:"values"`
	Authority *canon.Name  `toml:"authority"`
}

type holdText struct {
	When string `toml:"when"`
	Then string `toml:"then"` // hold or deny
}

type callText struct {
	Name      canon.Name     `toml:"name"`
	Label     canon.Text     `toml:"label"`
	Chain     canon.ChainID  `toml:"chain"`
	Contract  string         `toml:"contract"` // text of the chain
	Signature string         `toml:"signature"`
	Payable   bool           `toml:"payable"`
	Arguments []argumentText `toml:"arguments"`
}

type argumentText struct {
	Allow  string   `toml:"allow"`
	Values []string `toml:"values"` // as the argument's type is written
	Max    string   `toml:"max"`    // a number, or an amount of an asset, which it then counts as a payment of
}

type limitText struct {
	Name    canon.Name   `toml:"name"`
	Unit    *string      `toml:"unit"`   // asset if it is left out
	Amount  string       `toml:"amount"` // names the limit's asset or currency too
	Window  *window      `toml:"window"`
	Clients []canon.Name `toml:"clients"`
	Wallets []canon.Name `toml:"wallets"`
	Exact   bool         `toml:"exact"`

	Asset    *string      `toml:"asset"` // of a count: only withdrawals that pay it
	Per      []string     `toml:"per"`
	Accounts []canon.Name `toml:"accounts"`
	Tiers    []string     `toml:"tiers"`
	To       []string     `toml:"to"`
}

type priceText struct {
	Asset       string         `toml:"asset"` // symbol or CAIP-19 id
	Currency    canon.Currency `toml:"currency"`
	Authorities []canon.Name   `toml:"authorities"`
	MaxAge      seconds        `toml:"max_age"`
	Min         string         `toml:"min"` // decimal, of the currency's unit for a whole unit of the asset
	Max         string         `toml:"max"`
}

// allocationText is a band, or a profile, which stands for several.
type allocationText struct {
	Profile       *string         `toml:"profile"`
	Asset         *string         `toml:"asset"` // symbol or CAIP-19 id
	Currency      *canon.Currency `toml:"currency"`
	Tier          *string         `toml:"tier"`
	MaxPermill    *uint64         `toml:"max_permill"`
	TargetPermill uint64          `toml:"target_permill"`
	MinPermill    uint64          `toml:"min_permill"`
}

type delaysText struct {
	Loosening    seconds `toml:"loosening"`
	Unfreeze     seconds `toml:"unfreeze"`
	FreezeLapse  seconds `toml:"freeze_lapse"`
	BookCooldown seconds `toml:"book_cooldown"`
	ClockSkew    seconds `toml:"clock_skew"`
	Recovery     seconds `toml:"recovery"`
	Balances     seconds `toml:"balances"`
}

type authorityText struct {
	Name    canon.Name `toml:"name"`
	Purpose string     `toml:"purpose"`
	Key     hexKey     `toml:"key"`
	MaxAge  seconds    `toml:"max_age"`
}

type bookText struct {
	Serial uint64     `toml:"serial"`
	Quorum quorumText `toml:"quorum"`
	Owned  bool       `toml:"owned"`
}
