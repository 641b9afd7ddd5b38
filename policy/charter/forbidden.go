package charter

import (
	"fmt"
	"strings"

	"golang.org/x/crypto/sha3"
)

// ApproveSignature is the one form in which a call may give an allowance (ERC-20), and within bounds: see linter.allowance.
const ApproveSignature = "approve(address,uint256)"

// danger is a group of functions that no charter may let through. Of each the name is refused whatever its arguments are, and so is every
// other signature with the selector of one of these.
type danger struct {
	why        string
	signatures []string
	names      []string // that go by many signatures
}

// dangers holds what hands over control of a contract, a wallet or tokens in one call, or carries other calls. Signatures are those of the
// cited public sources, with dynamic arguments too: what a charter could not name anyway is named here for the selector in refused call data.
var dangers = []danger{
	{
		// ERC-1822 and ERC-1967 proxies, OpenZeppelin Contracts 4 and 5 (proxy/), ERC-2535, Safe 1.4.1 (Safe.sol, FallbackManager, GuardManager),
		// Compound (Unitroller, CErc20Delegator), USDC (AdminUpgradeabilityProxy), Tether (deprecate).
		why: "replaces the code that a contract runs",
		signatures: []string{
			"upgradeTo(address)", "upgradeToAndCall(address,bytes)", "upgradeBeaconToAndCall(address,bytes,bool)", "upgrade(address,address)",
			"upgradeAndCall(address,address,bytes)", "setImplementation(address)", "changeImplementation(address)", "updateImplementation(address)",
			"upgradeImplementation(address)", "_setImplementation(address)", "_setImplementation(address,bool,bytes)", "_setPendingImplementation(address)",
			"_acceptImplementation()", "_become(address)", "diamondCut((address,uint8,bytes4[])[],address,bytes)", "changeMasterCopy(address)",
			"setFallbackHandler(address)", "setGuard(address)", "setModuleGuard(address)", "setBeacon(address)", "setTarget(address)", "setCode(bytes)",
			"deprecate(address)", "replaceImplementation(address)", "upgradeTo(address,bytes32)", "upgradeToAndCall(address,bytes,bool)",
		},
	},
	{
		// ERC-1967 and ERC-173, OpenZeppelin Contracts (access/, ProxyAdmin), Solady Ownable, Compound (Unitroller), Synthetix (Owned), ds-auth, MakerDAO
		// (rely), Safe 1.4.1 (OwnerManager, ModuleManager, Safe.setup), Gnosis MultiSigWallet, USDC (MasterMinter, Pausable), Curve (Vyper), COMP and
		// OpenZeppelin Contracts 5 Votes (delegate: votes control).
		why: "changes who controls a contract",
		signatures: []string{
			"changeAdmin(address)", "changeProxyAdmin(address,address)", "setAdmin(address)", "setPendingAdmin(address)", "acceptAdmin()",
			"_setPendingAdmin(address)", "_acceptAdmin()", "transferProxyOwnership(address)", "setProxyOwner(address)", "setOwner(address)",
			"changeOwner(address)", "setPendingOwner(address)", "transferOwnership(address)", "acceptOwnership()", "claimOwnership()", "renounceOwnership()",
			"nominateNewOwner(address)", "requestOwnershipHandover()", "completeOwnershipHandover(address)", "commit_transfer_ownership(address)",
			"apply_transfer_ownership()", "commitOwnership(address)", "applyOwnership()", "grantRole(bytes32,address)", "grantRole(uint64,address,uint32)",
			"grantRoles(address,uint256)", "revokeRole(bytes32,address)", "renounceRole(bytes32,address)", "setRoleAdmin(uint64,uint64)",
			"setRoleGuardian(uint64,uint64)", "setTargetFunctionRole(address,bytes4[],uint64)", "updateAuthority(address,address)",
			"beginDefaultAdminTransfer(address)", "acceptDefaultAdminTransfer()", "setAuthority(address)", "setUserRole(address,uint8,bool)", "rely(address)",
			"deny(address)", "setGovernance(address)", "acceptGovernance()", "setGovernor(address)", "setController(address)", "setMinter(address)",
			"addMinter(address)", "configureMinter(address,uint256)", "updateMasterMinter(address)", "updatePauser(address)", "updateBlacklister(address)",
			"addOwner(address)", "removeOwner(address)", "replaceOwner(address,address)", "changeRequirement(uint256)",
			"addOwnerWithThreshold(address,uint256)", "removeOwner(address,address,uint256)", "swapOwner(address,address,address)",
			"changeThreshold(uint256)", "enableModule(address)", "disableModule(address,address)",
			"setup(address[],uint256,address,bytes,address,address,uint256,address)", "setInterfaceImplementer(address,bytes32,address)", "setManager(address,address)",
			"initialize(address)", "initialize(address,address)", "setOwners(address[])", "delegate(address)", "authorize(address)",
		},
	},
	{
		// Safe 1.4.1 (Safe, ModuleManager, MultiSend), Gnosis MultiSigWallet, ds-proxy, OpenZeppelin Contracts (Multicall, TimelockController, Governor,
		// AccessManager, ERC2771Forwarder), Multicall3, Uniswap (v3-periphery, universal-router), ERC-4337 (EntryPoint, SimpleAccount), ERC-6551, ERC-7579.
		why: "carries further calls, which may be delegated or of anything",
		signatures: []string{
			"execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)", "execTransactionFromModule(address,uint256,bytes,uint8)",
			"execTransactionFromModuleReturnData(address,uint256,bytes,uint8)", "approveHash(bytes32)", "signMessage(bytes)", "multiSend(bytes)",
			"simulateAndRevert(address,bytes)", "submitTransaction(address,uint256,bytes)", "confirmTransaction(uint256)", "executeTransaction(uint256)",
			"executeTransaction(address,uint256,string,bytes,uint256)", "queueTransaction(address,uint256,string,bytes,uint256)",
			"multicall(bytes[])", "multicall(uint256,bytes[])", "multicall(bytes32,bytes[])", "batch(bytes[],bool)", "aggregate((address,bytes)[])",
			"tryAggregate(bool,(address,bytes)[])", "aggregate3((address,bool,bytes)[])", "aggregate3Value((address,bool,uint256,bytes)[])",
			"blockAndAggregate((address,bytes)[])", "tryBlockAndAggregate(bool,(address,bytes)[])", "execute(address,bytes)", "execute(bytes,bytes)",
			"execute(bytes,bytes[])", "execute(bytes,bytes[],uint256)", "execute(address,uint256,bytes)", "execute(address,uint256,bytes,uint8)",
			"execute(address,uint256,bytes,bytes32,bytes32)", "execute(address[],uint256[],bytes[],bytes32)", "execute(bytes32,bytes)",
			"execute((address,address,uint256,uint256,uint48,bytes,bytes))", "executeBatch(address[],bytes[])", "executeBatch(address[],uint256[],bytes[])",
			"executeBatch((address,uint256,bytes)[])", "executeBatch(address[],uint256[],bytes[],bytes32,bytes32)", "executeFromExecutor(bytes32,bytes)",
			"executeUserOp((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes),bytes32)", "executeCall(address,uint256,bytes)",
			"schedule(address,uint256,bytes,bytes32,bytes32,uint256)", "scheduleBatch(address[],uint256[],bytes[],bytes32,bytes32,uint256)",
			"handleOps((address,uint256,bytes,bytes,uint256,uint256,uint256,uint256,uint256,bytes,bytes)[],address)",
			"handleOps((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes)[],address)",
			"forward(address,uint256,bytes)", "functionCall(address,bytes)", "functionDelegateCall(address,bytes)", "delegatecall(address,bytes)",
		},
		names: []string{"call", "exec", "invoke", "relay", "callcode", "handleAggregatedOps", "simulateDelegatecall"},
	},
	{
		// CREATE and CREATE2 (EIP-1014): Safe 1.4.1 (SafeProxyFactory, CreateCall), 0age ImmutableCreate2Factory, CreateX, ERC-1167 factories, ERC-4337
		// (SimpleAccountFactory), ERC-6551 (registry), ds-proxy (build).
		why: "creates a contract",
		signatures: []string{
			"deploy(bytes)", "deploy(bytes,bytes32)", "deploy(uint256,bytes32,bytes)", "deployCreate(bytes)", "deployCreate2(bytes)", "deployCreate2(bytes32,bytes)",
			"deployCreate3(bytes32,bytes)", "create2(bytes32,bytes)", "safeCreate2(bytes32,bytes)", "performCreate(uint256,bytes)",
			"performCreate2(uint256,bytes,bytes32)", "createProxy(address,bytes)", "createProxyWithNonce(address,bytes,uint256)",
			"createChainSpecificProxyWithNonce(address,bytes,uint256)", "deployProxy(address,bytes)", "deployClone(address)", "clone(address)",
			"cloneDeterministic(address,bytes32)", "createAccount(address,uint256)", "createAccount(address,bytes32,uint256,address,uint256)",
		},
		names: []string{"create", "create3", "selfdestruct", "suicide"},
	},
	{
		// ERC-721 and ERC-1155 (setApprovalForAll), ERC-777 (authorizeOperator), ERC-6909 (setOperator), ERC-2612 and DAI (permit), ERC-4494, Permit2,
		// OpenZeppelin Contracts 4 (increaseAllowance, increaseApproval), ERC-1363 (approveAndCall), Aave v3 (approveDelegation), Compound III (allow),
		// Morpho Blue (setAuthorization), MakerDAO (hope).
		why: "lets another address take tokens, without a bound that a charter could keep",
		signatures: []string{
			"setApprovalForAll(address,bool)", "authorizeOperator(address)", "setOperator(address,bool)",
			"permit(address,address,uint256,uint256,uint8,bytes32,bytes32)", "permit(address,address,uint256,uint256,bytes)",
			"permit(address,address,uint256,uint256,bool,uint8,bytes32,bytes32)", "permit(address,uint256,uint256,bytes)",
			"permit(address,((address,uint160,uint48,uint48),address,uint256),bytes)", "increaseAllowance(address,uint256)", "increaseAllowanceBy(address,uint256)",
			"increaseApproval(address,uint256)", "approve(address,address,uint160,uint48)", "approveAndCall(address,uint256,bytes)", "approveAndCall(address,uint256)",
			"safeApprove(address,uint256)", "forceApprove(address,uint256)", "safeIncreaseAllowance(address,uint256)", "approveDelegation(address,uint256)",
			"setAuthorization(address,bool)", "allow(address,bool)", "allowBySig(address,address,bool,uint256,uint256,uint8,bytes32,bytes32)", "hope(address)",
			"permitAll(address)",
		},
		names: []string{"permitTransferFrom", "permitWitnessTransferFrom", "permitForAll", "approveMax"},
	},
	{
		// ERC-20, ERC-721, ERC-1155, ERC-777 (send, operatorSend), ERC-677 and ERC-1363 (transferAndCall), ERC-3009, Permit2 (AllowanceTransfer), stETH
		// (transferShares), OpenZeppelin Contracts 4 and 5 (ERC20Wrapper.withdrawTo), Compound III (withdrawTo), Uniswap v3-periphery (sweepToken).
		why: "pays tokens, which must be asked for as a payment",
		signatures: []string{
			"transfer(address,uint256)", "transferFrom(address,address,uint256)", "transfer(address,uint256,bytes)", "safeTransfer(address,uint256)",
			"safeTransferFrom(address,address,uint256)", "safeTransferFrom(address,address,uint256,bytes)", "safeTransferFrom(address,address,uint256,uint256,bytes)",
			"safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)", "transfer(address,uint256,uint256)", "transferFrom(address,address,uint256,uint256)",
			"send(address,uint256,bytes)", "operatorSend(address,address,uint256,bytes,bytes)", "transferAndCall(address,uint256)",
			"transferAndCall(address,uint256,bytes)", "transferFromAndCall(address,address,uint256)", "transferFromAndCall(address,address,uint256,bytes)",
			"transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
			"receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
			"transferFrom(address,address,uint160,address)", "transferShares(address,uint256)", "transferSharesFrom(address,address,uint256)",
			"withdrawTo(address,uint256)", "withdrawTo(address,address,uint256)", "sweep(address,uint256)", "sweep(address)", "sweepToken(address,uint256,address)",
		},
	},
}

// tokenDangers are refused on the contracts of the charter's tokens only: elsewhere their names mean other things.
var tokenDangers = map[string]string{
	"burn": "destroys tokens", "burnfrom": "destroys tokens", "operatorburn": "destroys tokens", // OpenZeppelin ERC20Burnable, ERC-777
	"push": "pays tokens", "pull": "pays tokens", "move": "pays tokens", // MakerDAO Dai
}

var forbiddenNames, forbiddenSelectors = indexDangers()

// forbidden is a function of the table that a selector or name stands for.
type forbidden struct{ signature, why string }

func indexDangers() (map[string]string, map[[4]byte]forbidden) {
	names, selectors := map[string]string{}, map[[4]byte]forbidden{}
	for _, d := range dangers {
		for _, n := range d.names {
			names[plainName(n)] = d.why
		}
		for _, s := range d.signatures {
			if n := plainName(s); n != plainName(ApproveSignature) {
				names[n] = d.why
			}
			selectors[selectorOf(s)] = forbidden{s, d.why}
		}
	}
	return names, selectors
}

// plainName returns the name of a function as far as it tells functions apart: without case and underscores, which Vyper and Compound set
// otherwise than Solidity's style guide.
func plainName(signature string) string {
	name, _, _ := strings.Cut(signature, "(")
	return strings.ToLower(strings.ReplaceAll(name, "_", ""))
}

// selectorOf returns the first 4 bytes of Keccak-256 of a signature (Solidity ABI).
func selectorOf(signature string) [4]byte {
	h := sha3.NewLegacyKeccak256()
	h.Write([]byte(signature))
	return [4]byte(h.Sum(nil))
}

// ForbiddenCall reports whether no charter may let a function through, and why: by its name, whatever its arguments are, or because its
// selector is that of such a function, so that a contract would run the one for the other. ApproveSignature is not forbidden: a charter may allow
// it within bounds that Lint demands. Of what it returns false for nothing is promised: every call that no charter names is refused anyway.
func ForbiddenCall(signature string) (why string, ok bool) {
	if signature == ApproveSignature {
		return "", false
	}
	if why, ok := forbiddenNames[plainName(signature)]; ok {
		return why, true
	}
	if plainName(signature) == plainName(ApproveSignature) {
		return "gives an allowance in another way than " + ApproveSignature, true
	}
	selector := selectorOf(signature)
	if selector == selectorOf(ApproveSignature) {
		return "has the selector of " + ApproveSignature, true
	}
	if f, ok := forbiddenSelectors[selector]; ok {
		return fmt.Sprintf("has the selector of %s, which %s", f.signature, f.why), true
	}
	return "", false
}

// ForbiddenSelector names the function that call data with this selector calls if it is one that no charter may let through, and why:
// "upgradeTo(address), which replaces the code that a contract runs". It is for refusals; of false nothing follows.
func ForbiddenSelector(selector [4]byte) (why string, ok bool) {
	f, ok := forbiddenSelectors[selector]
	if !ok {
		return "", false
	}
	return f.signature + ", which " + f.why, true
}
