package charter_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Selectors as they are published, by the function that has them: in the standards, or in the contracts' verified source.
var published = map[string]string{
	"a9059cbb": "transfer(address,uint256)", "23b872dd": "transferFrom(address,address,uint256)", // ERC-20
	"42842e0e": "safeTransferFrom(address,address,uint256)", "a22cb465": "setApprovalForAll(address,bool)", // ERC-721
	"b88d4fde": "safeTransferFrom(address,address,uint256,bytes)", "f242432a": "safeTransferFrom(address,address,uint256,uint256,bytes)", // ERC-721, ERC-1155
	"9bd9bbc6": "send(address,uint256,bytes)", "959b8c3f": "authorizeOperator(address)", // ERC-777
	"d505accf": "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)", "39509351": "increaseAllowance(address,uint256)",
	"3659cfe6": "upgradeTo(address)", "4f1ef286": "upgradeToAndCall(address,bytes)", "8f283970": "changeAdmin(address)", // ERC-1967
	"1f931c1c": "diamondCut((address,uint8,bytes4[])[],address,bytes)", // ERC-2535
	"f2fde38b": "transferOwnership(address)", "715018a6": "renounceOwnership()", "79ba5097": "acceptOwnership()",
	"2f2ff15d": "grantRole(bytes32,address)", "13af4035": "setOwner(address)",
	"6a761202": "execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)", // Safe
	"468721a7": "execTransactionFromModule(address,uint256,bytes,uint8)", "8d80ff0a": "multiSend(bytes)", "610b5925": "enableModule(address)",
	"d4d9bdcd": "approveHash(bytes32)", "0d582f13": "addOwnerWithThreshold(address,uint256)", "e318b52b": "swapOwner(address,address,address)",
	"ac9650d8": "multicall(bytes[])", "5ae401dc": "multicall(uint256,bytes[])", "252dba42": "aggregate((address,bytes)[])", "82ad56cb": "aggregate3((address,bool,bytes)[])",
	"b61d27f6": "execute(address,uint256,bytes)", "3593564c": "execute(bytes,bytes[],uint256)", "47e1da2a": "executeBatch(address[],uint256[],bytes[])",
	"1688f0b9": "createProxyWithNonce(address,bytes,uint256)", "5fbfb9cf": "createAccount(address,uint256)",
}

func TestForbiddenSelectorsAreThePublishedOnes(t *testing.T) {
	for text, signature := range published {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		why, ok := charter.ForbiddenSelector([4]byte(b))
		if !ok || !strings.HasPrefix(why, signature+", which ") {
			t.Errorf("%s: expected %s with a reason, found %q", text, signature, why)
		}
	}
	for _, text := range []string{"095ea7b3", "00000000"} { // approve(address,uint256), which lint bounds
		b, _ := hex.DecodeString(text)
		if why, ok := charter.ForbiddenSelector([4]byte(b)); ok {
			t.Errorf("%s: expected none, found %s", text, why)
		}
	}
}

func TestForbiddenCallsAreRefusedByNameAndBySelector(t *testing.T) {
	for signature, want := range map[string]string{
		"upgradeTo(address)": "code", "upgradeTo(address,uint256)": "code", "upgrade_to(address)": "code", "_setImplementation(address)": "code", "UPGRADETO(address)": "code",
		"changeAdmin(address)": "controls", "transfer_ownership(address)": "controls", "renounceOwnership()": "controls", "grantRole(bytes32,address)": "controls",
		"rely(address)": "controls", "delegatecall(address,bytes32)": "carries", "execute(uint256)": "carries", "multicall(uint256)": "carries",
		"confirmTransaction(uint256)": "carries", "approveHash(bytes32)": "carries", "create()": "creates", "create2(uint256,bytes32)": "creates",
		"deploy(bytes32)": "creates", "clone(address)": "creates", "setApprovalForAll(address,bool)": "take tokens", "permit(address)": "take tokens",
		"increaseAllowance(address,uint256)": "take tokens", "approve(address,uint128)": "allowance", "approve(address)": "allowance", "Approve(address,uint256)": "allowance",
		"transfer(address,uint256)": "pays tokens", "transfer(address)": "pays tokens", "transferFrom(address,address,uint256)": "pays tokens",
		"safeTransferFrom(address,address,uint256)": "pays tokens", "send(address,uint256)": "pays tokens",
		"transferShares(address,uint256)": "pays tokens", "withdrawTo(address,uint256)": "pays tokens", "sweep(address)": "pays tokens", "sweep()": "pays tokens",
		"delegate(address)": "controls", "setOwners(address,address)": "controls", "authorize(address,bool)": "controls",
		"replaceImplementation(address)": "code", "increaseAllowanceBy(address,uint256)": "take tokens",
		// Known collisions, found by search and registered at 4byte.directory: a contract would run the well-known function.
		"many_msg_babbage(bytes1)": "selector of transfer(address,uint256)", "sign_szabo_bytecode(bytes16,uint128)": "selector of approve(address,uint256)",
		"gasprice_bit_ether(int128)": "selector of transferFrom(address,address,uint256)",
	} {
		if why, ok := charter.ForbiddenCall(signature); !ok || !strings.Contains(why, want) {
			t.Errorf("%s: expected a reason with %q, found %q", signature, want, why)
		}
		r := refusal.Of(charter.Lint(called(signature, pool)))
		if r == nil || !strings.Contains(r.Error(), "calls[stake].signature") || !strings.Contains(r.Error(), want) {
			t.Errorf("%s: expected lint to refuse calls[stake].signature, found %v", signature, r)
		}
	}
	for _, signature := range []string{"approve(address,uint256)", "deposit(uint256,address)", "stake(uint256)", "claim()", "executed(uint256)", "burn(uint256)", ""} {
		if why, ok := charter.ForbiddenCall(signature); ok {
			t.Errorf("%s: expected no reason, found %q", signature, why)
		}
	}
}
