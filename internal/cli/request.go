package cli

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
)

// Order is what a client wants to be paid out, or called, as text.
type Order struct {
	Wallet, Account string
	To, Amounts     []string // pairs
	Call            string   // name of the charter's; then neither To nor Amounts
	Arguments       []string // of the call
	Value           string   // coin that goes with the call; empty for none
	FeeCap          string
	RequestID       string // empty: a random one
	Expiry          time.Duration
	MemoFile        string
	TravelRule      string
	TravelFile      string // IVMS101 data that goes with the request
	ToWallet        string // moves one amount to an own wallet, instead of payments and calls

	own        *AddressView // where ToWallet is paid, once it was placed
	travelHash []byte       // of the data in TravelFile, once it was read

	seen func(document []byte) error // looks at the request before it is signed, if somebody must
}

// maxMemo is the largest file whose digest a request binds, in bytes.
const maxMemo = 64 << 20

// request makes a signed request of an order: everything is looked up in the charter, nothing on a server.
func (s *Session) request(o Order) (canon.Request, canon.Signed, error) {
	fail := func(err error) (canon.Request, canon.Signed, error) { return canon.Request{}, canon.Signed{}, err }
	r, err := s.unsignedRequest(o)
	if err != nil {
		return fail(err)
	}
	signer, err := s.signer()
	if err != nil {
		return fail(err)
	}
	key, ok := rawKey(signer.Public())
	if !ok {
		return fail(errors.New("key: expected an Ed25519 key, as clients have, found another"))
	}
	client, ok := s.Charter.ClientByKey(key)
	if !ok || client.Name != s.Config.Name {
		return fail(fmt.Errorf("key: expected one that the charter gives to client %q, found another", s.Config.Name))
	}
	r.Requester, r.Client = key, client.Name
	if account, ok := s.Charter.Account(r.Account); ok && client.Treasury {
		r.Client = account.Client // a desk asks for moves of others' assets
	}
	document, err := canon.Encode(r)
	if err == nil && o.seen != nil {
		err = o.seen(document)
	}
	if err != nil {
		return fail(err)
	}
	signed, err := signer.Sign(canon.KindRequest, document, approval.NamespaceRequest)
	if err != nil {
		return fail(err)
	}
	if _, err := approval.VerifyRequest(s.Charter, signed); err != nil {
		return fail(err)
	}
	return r, signed, nil
}

func (s *Session) unsignedRequest(o Order) (canon.Request, error) {
	wallet, ok := s.Charter.Wallet(canon.Name(o.Wallet))
	if !ok {
		return canon.Request{}, fmt.Errorf("wallet: expected one of the charter, found %q", o.Wallet)
	}
	if _, ok := s.Charter.Account(canon.Name(o.Account)); !ok {
		return canon.Request{}, fmt.Errorf("account: expected one of the charter, found %q", o.Account)
	}
	if o.Expiry <= 0 || o.Expiry%time.Second != 0 {
		return canon.Request{}, fmt.Errorf("expiry: expected whole seconds above 0, found %s", o.Expiry)
	}
	r := canon.Request{Organisation: s.Charter.Organisation(), Account: canon.Name(o.Account), RequestID: o.RequestID, Chain: wallet.Chain,
		Wallet: wallet.Name, NotBefore: s.now(), NotAfter: canon.TimeOf(s.Now().Add(o.Expiry)), TravelRule: canon.Text(o.TravelRule), TravelData: o.travelHash}
	var err error
	if err = s.fillOrder(&r, o); err != nil {
		return r, err
	}
	if r.FeeCap, err = s.feeCap(wallet.Chain, o.FeeCap); err != nil {
		return r, err
	}
	if o.RequestID == "" {
		if r.RequestID, err = randomID(); err != nil {
			return r, err
		}
	}
	if o.MemoFile != "" {
		memo, err := readFile(o.MemoFile, maxMemo)
		if err != nil {
			return r, err
		}
		digest := sha256.Sum256(memo)
		r.Memo = digest[:]
	}
	return r, nil
}

// fillOrder sets what is paid, or called.
func (s *Session) fillOrder(r *canon.Request, o Order) (err error) {
	if o.Call != "" {
		r.Call, err = s.call(r.Chain, o)
		return err
	}
	if len(o.Arguments) > 0 || o.Value != "" {
		return errors.New("arg, value: expected them with a call alone, found them with payments")
	}
	r.Outputs, err = s.outputs(r.Chain, o)
	return err
}

func (s *Session) outputs(id canon.ChainID, o Order) ([]canon.Output, error) {
	chain, ok := s.Charter.Chain(id)
	if !ok {
		return nil, fmt.Errorf("chain: expected one of the charter, found %q", id)
	}
	if o.own != nil {
		return s.ownOutput(chain, o)
	}
	if len(o.To) == 0 || len(o.To) != len(o.Amounts) {
		return nil, fmt.Errorf("to, amount: expected pairs of them, found %d and %d", len(o.To), len(o.Amounts))
	}
	out := make([]canon.Output, len(o.To))
	for i := range o.To {
		address, err := wallets.ParseAddress(chain, o.To[i])
		if err != nil {
			return nil, fmt.Errorf("to: %w", err)
		}
		asset, amount, err := parseAmount(s.Charter, id, o.Amounts[i])
		if err != nil {
			return nil, err
		}
		out[i] = canon.Output{Address: address, Asset: asset, Amount: amount}
	}
	return out, nil
}

func (s *Session) feeCap(chain canon.ChainID, text string) (canon.Amount, error) {
	asset, amount, err := parseAmount(s.Charter, chain, text)
	if err != nil {
		return nil, fmt.Errorf("fee cap: %w", err)
	}
	if coin, ok := s.Charter.NativeAsset(chain); !ok || coin.ID != asset {
		return nil, fmt.Errorf("fee cap: expected an amount of the coin of %s, found %q", chain, text)
	}
	return amount, nil
}

// randomID is unique without anybody to ask.
func randomID() (string, error) {
	var b [12]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	return "cli-" + hex.EncodeToString(b[:]), nil
}
