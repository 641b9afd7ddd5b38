// Usage: node differential.mjs FILE
// FILE holds a transaction a line: {"id", "kind": "bitcoin" | "evm", "raw": hexadecimal, "decoded": our reading, or null where we refused,
// "signature": the function that a contract call is meant to be, if any}.
// Every library must read exactly the same out of what we did not refuse, and write the same bytes again. Of what we refused, the command
// counts how much each library would have read. It prints the first disagreements and a line 'N passed, N failed', and exits with 1 unless
// all passed. One limit of a library is known: ethers keeps the nonce as a JavaScript number and reads none above 2^53-1.
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import * as scure from '@scure/btc-signer';
import * as bitcoinjs from 'bitcoinjs-lib';
import { Interface, Transaction, decodeRlp, encodeRlp, keccak256 } from 'ethers';

const SHOWN = 60; // disagreements, and of each transaction 2000 digits: the test's seed and the id give it again
const toHex = (b) => Buffer.from(b).toString('hex');
const bytes = (raw) => Uint8Array.from(Buffer.from(raw, 'hex'));
const erc20 = new Interface(['function transfer(address to, uint256 value)']);
const selector = erc20.getFunction('transfer').selector;

// call reads the call data of a token transfer; any other data is none.
function call(token, data) {
  if (!data.startsWith(selector)) return null;
  const [to, amount] = erc20.decodeFunctionData('transfer', data);
  return { token, to: to.toLowerCase(), amount: String(amount) };
}

// values reads call data as arguments of the function, null unless it is the one encoding of some.
function values(signature, data) {
  try {
    const f = new Interface([`function ${signature}`]);
    const fragment = f.getFunction(signature);
    if (fragment.format('sighash') !== signature) return null;
    const found = f.decodeFunctionData(fragment, data);
    if (f.encodeFunctionData(fragment, found) !== data) return null;
    return found.toArray().map((v) => String(v).toLowerCase());
  } catch {
    return null;
  }
}

// contractCall reads the call data of a contract call; a token transfer and no data are none.
function contractCall(contract, data, signature) {
  if (data === '0x' || data.startsWith(selector)) return null;
  const words = data.slice(10).match(/.{64}/g) ?? [];
  return { contract, selector: data.slice(0, 10), words: words.map((w) => '0x' + w), values: values(signature, data) };
}

const integer = (item) => {
  if (typeof item !== 'string') throw new Error('expected a string, found a list');
  return String(item === '0x' ? 0n : BigInt(item));
};

// Each library reads raw, and says in our form what it has read.
const libraries = {
  'bitcoinjs-lib': {
    kind: 'bitcoin',
    read: (raw) => bitcoinjs.Transaction.fromBuffer(bytes(raw)),
    describe: (tx) => ({
      version: tx.version,
      lockTime: tx.locktime,
      inputs: tx.ins.map((i) => ({
        outpoint: toHex(Uint8Array.from(i.hash).reverse()) + ':' + i.index, sequence: i.sequence, scriptSig: toHex(i.script),
        witness: i.witness.length,
      })),
      outputs: tx.outs.map((o) => ({ value: String(o.value), script: toHex(o.script) })),
      txid: tx.getId(),
      encoded: tx.toHex(),
    }),
  },
  '@scure/btc-signer': {
    kind: 'bitcoin',
    read: (raw) => scure.Transaction.fromRaw(bytes(raw), { allowUnknownOutputs: true, allowUnknownInputs: true, allowUnknownVersion: true }),
    describe: (tx) => ({
      version: tx.version,
      lockTime: tx.lockTime,
      inputs: Array.from({ length: tx.inputsLength }, (_, n) => tx.getInput(n)).map((i) => ({
        outpoint: toHex(i.txid) + ':' + i.index, sequence: i.sequence, scriptSig: toHex(i.finalScriptSig ?? []),
        witness: (i.finalScriptWitness ?? []).length,
      })),
      outputs: Array.from({ length: tx.outputsLength }, (_, n) => tx.getOutput(n)).map((o) => ({ value: String(o.amount), script: toHex(o.script) })),
      txid: tx.id,
      encoded: tx.hex,
    }),
  },
  ethers: {
    kind: 'evm',
    read: (raw) => Transaction.from('0x' + raw),
    describe: (tx, signature) => ({
      type: tx.type,
      chainId: String(tx.chainId),
      nonce: String(tx.nonce),
      tip: String(tx.maxPriorityFeePerGas),
      feeCap: String(tx.maxFeePerGas),
      gas: String(tx.gasLimit),
      to: String(tx.to).toLowerCase(),
      value: String(tx.value),
      data: tx.data,
      accessList: tx.accessList,
      transfer: call(String(tx.to).toLowerCase(), tx.data),
      call: contractCall(String(tx.to).toLowerCase(), tx.data, signature),
      digest: tx.unsignedHash,
      encoded: tx.unsignedSerialized.slice(2),
    }),
  },
  "ethers' RLP": {
    kind: 'evm',
    read: (raw) => ({ type: parseInt(raw.slice(0, 2), 16), list: decodeRlp('0x' + raw.slice(2)) }),
    describe: ({ type, list }, signature) => {
      if (!Array.isArray(list) || list.length !== 9) throw new Error('expected a list of 9 fields');
      const [chainId, nonce, tip, feeCap, gas, to, value, data, accessList] = list;
      const encoded = Buffer.from([type]).toString('hex') + encodeRlp(list).slice(2);
      return {
        type, chainId: integer(chainId), nonce: integer(nonce), tip: integer(tip), feeCap: integer(feeCap), gas: integer(gas), to,
        value: integer(value), data, accessList, transfer: call(to, data), call: contractCall(to, data, signature), digest: keccak256('0x' + encoded), encoded,
      };
    },
  },
};

// difference returns the first path at which two readings differ, with both values, or undefined.
function difference(ours, theirs, path) {
  const isObject = (v) => typeof v === 'object' && v !== null;
  if (!isObject(ours) || !isObject(theirs) || Array.isArray(ours) !== Array.isArray(theirs)) {
    return ours === theirs ? undefined : `${path}: ours ${JSON.stringify(ours)}, theirs ${JSON.stringify(theirs)}`;
  }
  for (const key of new Set([...Object.keys(ours), ...Object.keys(theirs)])) {
    const found = difference(ours[key], theirs[key], path === '' ? key : `${path}.${key}`);
    if (found !== undefined) return found;
  }
}

// beyond says that ethers refused for its known limit and for nothing else.
const beyond = (name, t, e) =>
  name === 'ethers' && BigInt(t.decoded.nonce) > BigInt(Number.MAX_SAFE_INTEGER) && e.code === 'INVALID_ARGUMENT' && e.argument === 'nonce';

// disagreement returns why one library does not confirm our reading, or undefined.
function disagreement(name, t, counts) {
  let theirs;
  try {
    theirs = libraries[name].describe(libraries[name].read(t.raw), t.signature);
  } catch (e) {
    if (beyond(name, t, e)) {
      counts.beyond++;
      return undefined;
    }
    return `ours accepted, theirs refused: ${e.shortMessage ?? e.message}`;
  }
  return difference({ ...t.decoded, encoded: t.raw }, theirs, '');
}

function readable(name, raw) {
  try {
    libraries[name].read(raw);
    return true;
  } catch {
    return false;
  }
}

// check takes in one line of the file.
function check(line, counts) {
  const t = JSON.parse(line);
  const names = Object.keys(libraries).filter((name) => libraries[name].kind === t.kind);
  if (names.length === 0 || typeof t.raw !== 'string' || t.decoded === undefined) throw new Error('expected kind, raw and decoded');
  if (t.decoded === null) {
    counts.refused[t.kind]++;
    for (const name of names) if (readable(name, t.raw)) counts.readable[name]++;
    return;
  }
  const found = names.flatMap((name) => {
    const d = disagreement(name, t, counts);
    return d === undefined ? [] : [`${name}: ${d}`];
  });
  if (found.length > 0) throw new Error(`${t.kind} ${t.id}: ${found.join('; ')}: ${t.raw.slice(0, 2000)}`);
  counts.passed++;
}

async function run(path) {
  const zeros = (names) => Object.fromEntries(names.map((n) => [n, 0]));
  const counts = { passed: 0, failed: 0, beyond: 0, refused: zeros(['bitcoin', 'evm']), readable: zeros(Object.keys(libraries)) };
  let n = 0;
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    n++;
    try {
      check(line, counts);
    } catch (e) {
      if (counts.failed++ < SHOWN) console.error(`line ${n}: ${e.message}`);
    }
  }
  return counts;
}

if (process.argv.length !== 3) {
  console.error('usage: node differential.mjs FILE');
  process.exit(2);
}
const counts = await run(process.argv[2]);
for (const [name, { kind }] of Object.entries(libraries)) {
  console.log(`${name}: reads ${counts.readable[name]} of the ${counts.refused[kind]} ${kind} transactions that we refused`);
}
console.log(`ethers: cannot read ${counts.beyond} nonces above 2^53-1; its RLP decoder can`);
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = counts.passed > 0 && counts.failed === 0 ? 0 : 1;
