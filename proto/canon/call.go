package canon

import (
	"errors"
	"fmt"
	"regexp"
)

// CallRule allows calls of one function of one contract: the call data is the selector of Signature and one 32-byte word for each
// argument (Solidity ABI, static types only), and every word keeps to its rule.
type CallRule struct {
	Name      Name           `cbor:"1,keyasint"`
	Label     Text           `cbor:"2,keyasint"`
	Chain     ChainID        `cbor:"3,keyasint"`
	Contract  []byte         `cbor:"4,keyasint"` // 20 bytes
	Signature string         `cbor:"5,keyasint"` // canonical, for example "stake(uint256,address)"
	Payable   bool           `cbor:"6,keyasint"` // may carry the chain's coin, which counts as a payment of it
	Arguments []ArgumentRule `cbor:"7,keyasint"` // one for each argument
}

var signatureForm = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]{0,63}\((|[a-z0-9]{1,10}(,[a-z0-9]{1,10}){0,15})\)$`)

// Check refuses impossible addresses and signatures.
func (r CallRule) Check() error {
	if !signatureForm.MatchString(r.Signature) {
		return fmt.Errorf("signature: expected a name and up to 16 elementary types in brackets, found %q", clip(r.Signature))
	}
	return sized("contract", r.Contract, 20, 20)
}

// ArgumentCheck is what an argument of a call is held against.
type ArgumentCheck uint8

// Checks of arguments.
const (
	ArgumentAny    ArgumentCheck = 1 // any value of its type
	ArgumentEqual  ArgumentCheck = 2 // one of Values
	ArgumentAtMost ArgumentCheck = 3 // a number up to Max; with Pays it counts as a payment of that asset
	ArgumentSelf   ArgumentCheck = 4 // the address that the call is sent from
	ArgumentBook   ArgumentCheck = 5 // an address in the client's address book
)

// ArgumentRule says what an argument of a call may be.
type ArgumentRule struct {
	Allow  ArgumentCheck `cbor:"1,keyasint"`
	Values [][]byte      `cbor:"2,keyasint,omitempty"` // 32-byte words
	Max    Amount        `cbor:"3,keyasint,omitempty"`
	Pays   []AssetID     `cbor:"4,keyasint,omitempty"` // at most one: the number counts as a payment of it
}

// Check refuses unknown checks, and values, a maximum or an asset where the check takes none.
func (r ArgumentRule) Check() error {
	for _, v := range r.Values {
		if err := sized("values", v, 32, 32); err != nil {
			return err
		}
	}
	if (r.Allow == ArgumentEqual) != (len(r.Values) > 0) {
		return fmt.Errorf("values: expected some where one of them is asked for and nowhere else, found %d", len(r.Values))
	}
	if len(r.Pays) > 1 || r.Allow != ArgumentAtMost && len(r.Max)+len(r.Pays) > 0 {
		return errors.New("max, pays: expected none but for a number with a maximum, and that pays one asset at most")
	}
	return oneOf("allow", r.Allow, ArgumentBook)
}
