// Decodes an EVM transaction of a report with ethers and compares what it finds with the report.
import { Interface, Transaction, getAddress } from 'ethers';
import { amount, equal, fields, hex, list } from './report.mjs';

const HALF_N = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n; // secp256k1's order / 2 (EIP-2)
const erc20 = new Interface(['function transfer(address to, uint256 value)']);

// checkEVM throws with the first disagreement.
export function checkEVM(t) {
  fields(t, ['raw', 'txid', 'asset', 'outputs', 'fee', 'from', 'nonce']);
  let tx;
  const raw = '0x' + hex(String(t.raw).replace(/^0x/, ''), 'raw');
  try {
    tx = Transaction.from(raw);
  } catch (e) {
    throw new Error(`ethers: not a transaction: ${e.shortMessage ?? e.message}`);
  }
  if (!tx.isSigned()) throw new Error('ethers: transaction is not signed');
  // ethers' own getter of s refuses such a signature, but recovers a sender from it all the same.
  if (BigInt(tx.signature._s) > HALF_N) throw new Error('signature: s is above half of the order');
  equal('raw, encoded again', raw, tx.serialized);
  equal('txid', '0x' + String(t.txid).replace(/^0x/, ''), tx.hash);
  equal('type', 2, tx.type);
  equal('chain', t.chain, `eip155:${tx.chainId}`);
  equal('from', getAddress(t.from), tx.from);
  equal('nonce', BigInt(t.nonce), BigInt(tx.nonce));
  equal('access list', 0, tx.accessList.length);
  if (tx.maxPriorityFeePerGas > tx.maxFeePerGas) throw new Error('fees: tip above the maximum fee');
  equal('fee (gas limit * maximum fee)', amount(t.fee, 'fee'), tx.gasLimit * tx.maxFeePerGas);
  equal('number of change outputs', 0, (t.change ?? []).length);
  if (t.call !== undefined) checkCall(t, tx);
  else checkPayment(t, tx);
}

// checkCall compares contract, function, arguments and value with what ethers decodes.
function checkCall(t, tx) {
  fields(t.call, ['contract', 'signature', 'arguments', 'value']);
  equal("asset's chain", t.chain, String(t.asset).split('/')[0]);
  equal('number of outputs', 0, list(t, 'outputs').length);
  equal('contract', getAddress(t.call.contract), tx.to);
  equal('value', amount(t.call.value, 'value'), tx.value);
  const contract = new Interface(['function ' + t.call.signature]);
  const f = contract.getFunction(tx.data.slice(0, 10));
  if (f === null) throw new Error(`call: report says ${t.call.signature}, transaction has selector ${tx.data.slice(0, 10)}`);
  equal('signature', t.call.signature, f.format());
  const found = contract.decodeFunctionData(f, tx.data);
  equal('number of arguments', list(t.call, 'arguments').length, found.length);
  found.forEach((v, i) => equal(`argument ${i}`, String(t.call.arguments[i]).toLowerCase(), String(v).toLowerCase()));
  equal('call data, encoded again', contract.encodeFunctionData(f, found), tx.data);
}

// checkPayment compares recipient and amount: of the transaction for ether, of the decoded call for a token.
function checkPayment(t, tx) {
  const [chain, asset] = String(t.asset).split('/');
  equal("asset's chain", t.chain, chain);
  equal('number of outputs', 1, list(t, 'outputs').length);
  const { address, amount: value } = t.outputs[0];
  if (asset === 'slip44:60') {
    equal('data', '0x', tx.data);
    equal('recipient', getAddress(address), tx.to);
    equal('amount', amount(value, 'amount'), tx.value);
    return;
  }
  const token = /^erc20:(0x[0-9a-fA-F]{40})$/.exec(asset ?? '');
  if (!token) throw new Error(`asset: ${t.asset}; expected .../slip44:60 or .../erc20:0x...`);
  equal('token', getAddress(token[1]), tx.to);
  equal('value beside the token', 0n, tx.value);
  equal('call', erc20.getFunction('transfer').selector, tx.data.slice(0, 10));
  const [to, moved] = erc20.decodeFunctionData('transfer', tx.data);
  equal('recipient', getAddress(address), to);
  equal('amount', amount(value, 'amount'), moved);
  equal('call data, encoded again', erc20.encodeFunctionData('transfer', [to, moved]), tx.data);
}
