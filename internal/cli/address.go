package cli

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
)

// AddressFile is a deposit address with the signers' word for it, to be kept and checked without a network.
type AddressFile struct {
	// Address is for reading; verification derives the text from the attested bytes and refuses another one here.
	Address      string           `json:"address"`
	Attestations []SignedDocument `json:"attestations"`
}

// SignedDocument is canon.Signed with its byte strings in base64.
type SignedDocument struct {
	Document  []byte `json:"document"`
	Scheme    uint8  `json:"scheme"`
	Signature []byte `json:"signature"`
}

// maxAddressFile is the largest file of attestations that is read, in bytes.
const maxAddressFile = 256 << 10

// parseAddressFile reads a file strictly: unknown fields and anything after the object are refused.
func parseAddressFile(b []byte) (AddressFile, error) {
	var f AddressFile
	if len(b) > maxAddressFile {
		return f, fmt.Errorf("address file: expected at most %d bytes, found %d", maxAddressFile, len(b))
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return f, fmt.Errorf("address file: %w", err)
	}
	if d.More() {
		return f, errors.New("address file: expected one JSON object, found more")
	}
	return f, nil
}

// AddressView is an address that enough signers attest.
type AddressView struct {
	Address    string   `json:"address"`
	Chain      string   `json:"chain"`
	Wallet     string   `json:"wallet"`
	Account    string   `json:"account"`
	Client     string   `json:"client"`
	Path       []uint64 `json:"path"`
	AttestedBy []string `json:"attested_by"`
	Needed     uint64   `json:"needed"`
	// Devices are the signers whose tokens sign with the MPC key, of whom DevicesNeeded must be among those who attest.
	Devices       []string `json:"devices,omitempty"`
	DevicesNeeded uint64   `json:"devices_needed,omitempty"`
	// Pool is the digest of the pool of keys from which the address was derived here; empty if it was not.
	Pool string `json:"pool,omitempty"`
	// Attestations are what the file holds that the view is made of.
	Attestations []SignedDocument `json:"attestations,omitempty"`
	File         string           `json:"file,omitempty"`
}

func (v AddressView) writeText(t *text) {
	t.field("Address", v.Address)
	t.field("Chain", v.Chain)
	t.field("Wallet", v.Wallet)
	t.field("Account", fmt.Sprintf("%s of client %s, index %d", v.Account, v.Client, v.Path[4]))
	needed := fmt.Sprintf("%d needed", v.Needed)
	if v.DevicesNeeded > 0 {
		needed += fmt.Sprintf(", and %d of %s", v.DevicesNeeded, names(v.Devices))
	}
	t.field("Attested by", fmt.Sprintf("%s (%s)", names(v.AttestedBy), needed))
	if v.Pool != "" {
		t.field("Derived here", "from the pool of keys "+v.Pool)
	}
	if v.File != "" {
		t.field("Written to", v.File)
	}
}

// verifyAddress checks that more signers than may lie attest the same address, for wallets of scheme cosign also as many of the devices as must sign, and
// that the charter has what it names. It needs nothing but the charter. Where tokens alone sign and the pool of their keys is given, the address is derived
// from it as well. The error is a *refusal.Refusal.
func verifyAddress(c *charter.Charter, f AddressFile, pools poolSource) (AddressView, error) {
	var l refusal.List
	first, attested := agreed(c, f, &l)
	wallet, needed := enoughAttest(c, first, attested, &l)
	if err := l.Err(); err != nil {
		return AddressView{}, err
	}
	slices.Sort(attested)
	v, err := placeAddress(c, *first)
	if err != nil {
		return AddressView{}, err
	}
	if devices := devicesAttesting(wallet); len(devices) > 0 {
		v.Devices, v.DevicesNeeded = toStrings(devices), wallet.Needed
	}
	if v.Pool, err = derived(c, wallet, *first, pools); err != nil {
		return AddressView{}, err
	}
	if f.Address != "" && f.Address != v.Address {
		return AddressView{}, refusal.New("attestation", "address", v.Address+", as attested", f.Address)
	}
	v.AttestedBy, v.Needed, v.Attestations = toStrings(attested), needed, f.Attestations
	return v, nil
}

// agreed returns what the attestations say and who says it, and notes those that do not verify or say something else.
func agreed(c *charter.Charter, f AddressFile, l *refusal.List) (first *canon.Address, attested []canon.Name) {
	for i, s := range f.Attestations {
		field := fmt.Sprintf("attestations[%d]", i)
		a, err := verifyAttestation(c, s)
		if err != nil {
			l.Join("attestation", field, err)
			continue
		}
		if first == nil {
			first = a
		} else if !sameAddress(*first, *a) {
			l.Add("attestation", field, "the same fields as in the others", "others")
			continue
		}
		if !slices.Contains(attested, a.Signer) {
			attested = append(attested, a.Signer)
		}
	}
	return first, attested
}

// enoughAttest notes who is missing among those who attest, and returns the wallet and how many signers are needed.
func enoughAttest(c *charter.Charter, first *canon.Address, attested []canon.Name, l *refusal.List) (canon.Wallet, uint64) {
	var wallet canon.Wallet
	if first != nil {
		wallet, _ = c.Wallet(first.Wallet)
	}
	needed := c.Genesis().Roster.Faults + 1
	if n := countOf(attested, func(name canon.Name) bool { return counts(c, wallet, name) }); n < needed {
		l.Add("attestation", "attestations", fmt.Sprintf("%d distinct signers over the same fields", needed), fmt.Sprint(n))
	}
	devices := devicesAttesting(wallet)
	if n := countOf(attested, func(name canon.Name) bool { return slices.Contains(devices, name) }); len(devices) > 0 && n < wallet.Needed {
		l.Add("attestation", "attestations", fmt.Sprintf("%d of the devices %s", wallet.Needed, names(devices)), fmt.Sprint(n))
	}
	return wallet, needed
}

// verifyAttestation checks one signer's signature.
func verifyAttestation(c *charter.Charter, s SignedDocument) (*canon.Address, error) {
	var a canon.Address
	if err := canon.Decode(s.Document, &a); err != nil {
		return nil, refusal.New("attestation", "document", "a canonical address", err.Error())
	}
	if a.Organisation != c.Organisation() {
		return nil, refusal.New("attestation", "organisation", c.Organisation().String(), a.Organisation.String())
	}
	signer, ok := c.Signer(a.Signer)
	if !ok {
		return nil, refusal.New("attestation", "signer", "a signer of the charter", string(a.Signer))
	}
	if canon.Scheme(s.Scheme) != canon.Ed25519 || len(s.Signature) != ed25519.SignatureSize {
		return nil, refusal.New("attestation", "signature", "64 bytes of scheme 1", fmt.Sprintf("%d bytes of scheme %d", len(s.Signature), s.Scheme))
	}
	if !ed25519.Verify(signer.Identity[:], canon.KindAddress.Message(s.Document), s.Signature) {
		return nil, refusal.New("attestation", "signature", "one by "+string(a.Signer), "one that does not verify")
	}
	return &a, nil
}

// sameAddress compares everything but who attests it.
func sameAddress(a, b canon.Address) bool {
	b.Signer = a.Signer
	x, errA := canon.Encode(a)
	y, errB := canon.Encode(b)
	return errA == nil && errB == nil && bytes.Equal(x, y)
}

// placeAddress checks the attested fields against the charter.
func placeAddress(c *charter.Charter, a canon.Address) (AddressView, error) {
	var l refusal.List
	wallet, ok := c.Wallet(a.Wallet)
	if !ok {
		return AddressView{}, refusal.New("attestation", "wallet", "a wallet of the charter", string(a.Wallet))
	}
	account, ok := c.Account(a.Account)
	if !ok || !slices.Contains(wallet.Accounts, a.Account) {
		l.Add("attestation", "account", "an account of wallet "+string(wallet.Name), string(a.Account))
	}
	chain, ok := c.Chain(a.Chain)
	if !ok || a.Chain != wallet.Chain {
		l.Add("attestation", "chain", string(wallet.Chain), string(a.Chain))
	}
	key, ok := c.Key(wallet.Key) // none, of epoch 0, where tokens alone sign
	if ok == (wallet.Scheme == canon.SchemeHSM) || a.Key != wallet.Key || a.KeyEpoch != key.Epoch {
		l.Add("attestation", "key", fmt.Sprintf("%s, epoch %d", wallet.Key, key.Epoch), fmt.Sprintf("%s, epoch %d", a.Key, a.KeyEpoch))
	}
	if want := []uint64{chain.CoinType, wallet.Number, account.Number, wallets.BranchReceive}; !slices.Equal(want, a.Path[:4]) {
		l.Add("attestation", "path", fmt.Sprint(want), fmt.Sprint(a.Path[:4]))
	}
	if err := l.Err(); err != nil {
		return AddressView{}, err
	}
	text, err := wallets.AddressText(chain, a.Address)
	if err != nil {
		return AddressView{}, refusal.New("attestation", "address", "an address of the chain", err.Error())
	}
	return AddressView{Address: text, Chain: string(a.Chain), Wallet: string(a.Wallet), Account: string(a.Account), Client: string(account.Client), Path: a.Path}, nil
}

// VerifyAddress checks a file of attestations against the pinned charter, without any connection, and prints the address. Key pools are looked for in a
// directory; empty for that of the configuration.
func (s *Session) VerifyAddress(path, pools string) error {
	b, err := s.read(path, maxAddressFile)
	if err != nil {
		return err
	}
	f, err := parseAddressFile(b)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	v, err := verifyAddress(s.Charter, f, s.pools(pools))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	v.Attestations = nil
	return s.Print(v)
}

// fileOf takes over what the coordinator sent.
func fileOf(a *pb.Address) AddressFile {
	f := AddressFile{Address: a.GetAddress()}
	for _, s := range a.GetAttestations() {
		f.Attestations = append(f.Attestations, SignedDocument{Document: s.GetDocument(), Scheme: uint8(min(s.GetScheme(), 255)), Signature: s.GetSignature()})
	}
	return f
}

// NewAddress asks for a deposit address, verifies its attestations, and prints it; with out it is also written to a file.
func (s *Session) NewAddress(ctx context.Context, wallet, account, requestID, out string) error {
	c, err := s.coordinator()
	if err != nil {
		return err
	}
	if requestID == "" {
		if requestID, err = randomID(); err != nil {
			return err
		}
	}
	got, err := call(ctx, c.CreateAddress, &pb.CreateAddressRequest{Parent: accountName(wallet, account), RequestId: requestID})
	if err != nil {
		return err
	}
	v, err := verifyAddress(s.Charter, fileOf(got), s.pools(""))
	if err != nil {
		return err
	}
	if holder := s.holderOf(wallet, account); v.Wallet != wallet || v.Account != holder {
		return refusal.New("attestation", "wallet, account", wallet+", "+holder, v.Wallet+", "+v.Account)
	}
	if out != "" {
		b, err := marshal(AddressFile{Address: v.Address, Attestations: v.Attestations})
		if err != nil {
			return err
		}
		if err := writeNew(out, b, 0o644); err != nil {
			return err
		}
		v.File = out
	}
	return s.Print(v)
}

// holderOf returns on whose addresses in the wallet an account's assets lie: its own, or those of the pool that an omnibus account shares. One that the
// charter does not place is itself.
func (s *Session) holderOf(wallet, account string) string {
	if w, ok := s.Charter.Wallet(canon.Name(wallet)); ok {
		if holder, ok := s.Charter.Holder(w, canon.Name(account)); ok {
			return string(holder.Name)
		}
	}
	return account
}

func accountName(wallet, account string) string { return "wallets/" + wallet + "/accounts/" + account }

// AddressesView lists addresses; what does not verify is not shown.
type AddressesView struct {
	Addresses []AddressView `json:"addresses"`
	Refused   []RefusalView `json:"refused,omitempty"`
}

func (v AddressesView) writeText(t *text) {
	if len(v.Addresses) == 0 {
		t.say("No addresses.")
	}
	for _, a := range v.Addresses {
		t.say("%s  %s", a.Path[4], a.Address)
	}
	if len(v.Refused) > 0 {
		t.say("NOT SHOWN, because the attestations do not verify:")
		writeRefusals(t, 2, v.Refused)
	}
}

// Addresses lists the addresses of an account, each verified.
func (s *Session) Addresses(ctx context.Context, wallet, account string) error {
	c, err := s.coordinator()
	if err != nil {
		return err
	}
	list, err := pages(func(token string) ([]*pb.Address, string, error) {
		r, err := call(ctx, c.ListAddresses, &pb.ListAddressesRequest{Parent: accountName(wallet, account), PageSize: 100, PageToken: token})
		return r.GetAddresses(), r.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	v, pools := AddressesView{Addresses: []AddressView{}}, s.pools("")
	for _, a := range list {
		item, err := verifyAddress(s.Charter, fileOf(a), pools)
		if holder := s.holderOf(wallet, account); err == nil && (item.Wallet != wallet || item.Account != holder) {
			err = refusal.New("attestation", "wallet, account", wallet+", "+holder, item.Wallet+", "+item.Account)
		}
		if err != nil {
			v.Refused = append(v.Refused, refusalOf(err)...)
			continue
		}
		v.Addresses = append(v.Addresses, item)
	}
	if err := s.Print(v); err != nil {
		return err
	}
	if len(v.Refused) > 0 {
		return fmt.Errorf("%w: %d of %d addresses do not verify", ErrRefused, len(list)-len(v.Addresses), len(list))
	}
	return nil
}
