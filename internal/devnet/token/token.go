// Package token is the ERC-20 token of the devnet: its source (Token.sol), and the bytecode and ABI that solc makes of it. The
// commands that make them again, with the compiler pinned by a lock file, run in internal/devnet/peers:
//
//	npm ci --ignore-scripts && npm run token
//
// The same package's tests compile the source anew and compare. The token is for tests and demonstrations: nothing of the
// service trusts or imports it.
package token

import (
	_ "embed"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
)

// Name, Symbol and Decimals are constants of the contract.
const (
	Name     = "Devnet Dollar"
	Symbol   = "DUSD"
	Decimals = 6
)

//go:generate npm --prefix ../peers run token --silent

//go:embed token.bin
var bytecodeHex string

//go:embed token.abi
var abiJSON string

// Bytecode is the creation code. The constructor takes no arguments; whoever deploys it may mint.
func Bytecode() ([]byte, error) {
	b, err := hex.DecodeString(strings.TrimSpace(bytecodeHex))
	if err != nil || len(b) == 0 {
		return nil, fmt.Errorf("token: committed bytecode: %d digits, not hexadecimal bytes", len(bytecodeHex))
	}
	return b, nil
}

// ABI is the contract's interface.
func ABI() (abi.ABI, error) {
	a, err := abi.JSON(strings.NewReader(abiJSON))
	if err != nil {
		return abi.ABI{}, fmt.Errorf("token: committed ABI: %w", err)
	}
	return a, nil
}

// MintData is the call data that mints amount base units for to; only the deployer may.
func MintData(to common.Address, amount *big.Int) ([]byte, error) { return pack("mint", to, amount) }

// TransferData is the call data that moves amount base units from the caller to to.
func TransferData(to common.Address, amount *big.Int) ([]byte, error) {
	return pack("transfer", to, amount)
}

func pack(method string, to common.Address, amount *big.Int) ([]byte, error) {
	a, err := ABI()
	if err != nil {
		return nil, err
	}
	data, err := a.Pack(method, to, amount)
	if err != nil {
		return nil, fmt.Errorf("token: %s: %w", method, err)
	}
	return data, nil
}
