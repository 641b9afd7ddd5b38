package token_test

import (
	"bytes"
	"encoding/hex"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/strongroom/strongroom/internal/devnet/token"
)

// The selectors and the event that EIP-20 fixes.
func TestTheABIIsThatOfAnERC20Token(t *testing.T) {
	a, err := token.ABI()
	if err != nil {
		t.Fatal(err)
	}
	for name, selector := range map[string]string{
		"transfer": "a9059cbb", "approve": "095ea7b3", "transferFrom": "23b872dd", "balanceOf": "70a08231",
		"totalSupply": "18160ddd", "allowance": "dd62ed3e", "name": "06fdde03", "symbol": "95d89b41", "decimals": "313ce567",
	} {
		if got := hex.EncodeToString(a.Methods[name].ID); got != selector {
			t.Errorf("%s has selector %s; expected %s", name, got, selector)
		}
	}
	const transfer = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
	if got := hex.EncodeToString(a.Events["Transfer"].ID.Bytes()); got != transfer {
		t.Errorf("event Transfer has topic %s; expected %s", got, transfer)
	}
	code, err := token.Bytecode()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"transfer", "mint"} {
		if !bytes.Contains(code, a.Methods[name].ID) {
			t.Errorf("bytecode does not know the selector of %s", name)
		}
	}
}

func TestTransferDataIsTheCallThatTheStandardFixes(t *testing.T) {
	data, err := token.TransferData(common.HexToAddress("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"), big.NewInt(400))
	want := "a9059cbb" + "00000000000000000000000070997970c51812dc3a010c7d01b50e0d17dc79c8" + "0000000000000000000000000000000000000000000000000000000000000190"
	if err != nil || hex.EncodeToString(data) != want {
		t.Errorf("%x, %v; expected %s", data, err, want)
	}
}
