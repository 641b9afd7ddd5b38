package genesis

import (
	"time"

	"github.com/strongroom/strongroom/proto/canon"
)

// file is the TOML form of canon.Genesis. Fields keep the names of the signed struct in lower case.
type file struct {
	Label         canon.Text        `toml:"label"`
	Salt          hexDigest         `toml:"salt"`
	NotBefore     time.Time         `toml:"not_before"`
	NotAfter      time.Time         `toml:"not_after"`
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
	Name    canon.Name `toml:"name"`
	Label   canon.Text `toml:"label"`
	House   bool       `toml:"house"`
	Keys    []hexKey   `toml:"keys"`
	Devices []hexKey   `toml:"devices"`
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
}

type ruleText struct {
	Name     canon.Name   `toml:"name"`
	Clients  []canon.Name `toml:"clients"`
	Accounts []canon.Name `toml:"accounts"`
	Wallets  []canon.Name `toml:"wallets"`
	Amounts  []string     `toml:"amounts"`
	Action   string       `toml:"action"`
	Quorum   quorumText   `toml:"quorum"`
	Expiry   seconds      `toml:"expiry"`
	Signing  seconds      `toml:"signing"`
	FeeCaps  []string     `toml:"fee_caps"`
	Limits   []canon.Name `toml:"limits"`
	Calls    []canon.Name `toml:"calls"`
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
	Amount  string       `toml:"amount"` // names the limit's asset too
	Window  seconds      `toml:"window"`
	Clients []canon.Name `toml:"clients"`
	Wallets []canon.Name `toml:"wallets"`
	Exact   bool         `toml:"exact"`
}

type allocationText struct {
	Asset      string `toml:"asset"` // symbol or CAIP-19 id
	Tier       string `toml:"tier"`
	MaxPermill uint64 `toml:"max_permill"`
}

type delaysText struct {
	Loosening    seconds `toml:"loosening"`
	Unfreeze     seconds `toml:"unfreeze"`
	FreezeLapse  seconds `toml:"freeze_lapse"`
	BookCooldown seconds `toml:"book_cooldown"`
	ClockSkew    seconds `toml:"clock_skew"`
	Recovery     seconds `toml:"recovery"`
}

type authorityText struct {
	Name    canon.Name `toml:"name"`
	Purpose string     `toml:"purpose"`
	Key     hexKey     `toml:"key"`
}

type bookText struct {
	Serial uint64     `toml:"serial"`
	Quorum quorumText `toml:"quorum"`
}
