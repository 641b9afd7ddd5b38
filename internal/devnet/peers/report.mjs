// The devnet report: {"transactions": [...]}, each with
//   chain    CAIP-2 id, "bip122:..." or "eip155:..."
//   txid, raw   hexadecimal; for EVM with or without 0x
//   asset    CAIP-19 id
//   outputs  the payments: {"script" (Bitcoin, hex) | "address" (EVM), "amount"}; a Bitcoin output may carry its address as well
//   change   Bitcoin: the outputs back to the wallet, in the same form; together with outputs these are all outputs
//   inputs   Bitcoin: {"value", "script", "publicKey" (P2WPKH) | "witnessScript" (P2WSH)} in the order of the transaction's inputs
//   fee      Bitcoin: what is paid; EVM: gas limit * maxFeePerGas, the most that can be paid
//   from, nonce   EVM
//   call     EVM, instead of a payment: {"contract", "signature", "arguments", "value"}; then there are no outputs. Arguments are
//            text: numbers in decimal, addresses and bytes in hexadecimal, true or false
// Amounts are decimal strings in base units. Other fields are not looked at.
import { checkBitcoin } from './bitcoin.mjs';
import { checkEVM } from './evm.mjs';

// amount reads a decimal string in base units.
export function amount(s, what) {
  if (typeof s !== 'string' || !/^(0|[1-9][0-9]{0,77})$/.test(s)) throw new Error(`${what}: ${JSON.stringify(s)}; expected a decimal string`);
  return BigInt(s);
}

// hex checks that s is lower-case hexadecimal bytes, at least one.
export function hex(s, what) {
  if (typeof s !== 'string' || !/^([0-9a-f]{2})+$/.test(s)) throw new Error(`${what}: ${JSON.stringify(s)}; expected lower-case hexadecimal`);
  return s;
}

// list is a field that must be an array.
export function list(t, field) {
  if (!Array.isArray(t[field])) throw new Error(`${field}: expected a list`);
  return t[field];
}

export function fields(t, names) {
  for (const name of names) if (t[name] === undefined) throw new Error(`${name}: missing`);
}

// equal throws unless what the report says is what was found in the transaction.
export function equal(what, reported, found) {
  if (reported !== found) throw new Error(`${what}: report says ${reported}, transaction has ${found}`);
}

// checkReport returns {passed, failures}: each transaction passes or fails as a whole, and a report without a transaction of
// either kind of chain fails for it, so that nothing passes because nothing was looked at.
export function checkReport(report) {
  const failures = [];
  let passed = 0;
  const seen = { bip122: 0, eip155: 0 };
  const ids = new Set();
  const transactions = Array.isArray(report?.transactions) ? report.transactions : [];
  transactions.forEach((t, i) => {
    const kind = String(t?.chain).split(':')[0];
    const name = `transaction ${i} (${t?.chain} ${t?.txid})`;
    try {
      if (!(kind in seen)) throw new Error(`chain: expected bip122:... or eip155:...`);
      seen[kind]++;
      if (ids.has(t.txid)) throw new Error('txid: listed before');
      ids.add(t.txid);
      (kind === 'bip122' ? checkBitcoin : checkEVM)(t);
      passed++;
    } catch (e) {
      failures.push(`${name}: ${e.message}`);
    }
  });
  for (const [kind, n] of Object.entries(seen)) if (n === 0) failures.push(`report: no ${kind} transaction`);
  return { passed, failures };
}
