// Shows that the check passes good transactions and fails bad ones: run with `npm test`. The fixtures are made here, with keys
// that everybody knows.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checksum } from '@bitcoinerlab/descriptors';
import * as ecc from '@bitcoinerlab/secp256k1';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import * as scure from '@scure/btc-signer';
import * as bitcoinjs from 'bitcoinjs-lib';
import { Interface, Transaction, Wallet, decodeRlp, encodeRlp, keccak256 } from 'ethers';
import { checkDescriptor } from './descriptors.mjs';
import { checkReport } from './report.mjs';

const REGTEST = 'bip122:0f9188f13cb7b2c71f2a335e3a4fc328';
const N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const toHex = (b) => Buffer.from(b).toString('hex');
const key = Buffer.alloc(32, 1), stranger = Buffer.alloc(32, 2);
const pub = secp256k1.getPublicKey(key);
const regtest = bitcoinjs.networks.regtest;
const address = scure.p2wpkh(secp256k1.getPublicKey(stranger), regtest).address;

// bitcoinReport signs a payment with two inputs and change, and describes it.
function bitcoinReport({ signer = key, sighash = 1, highS = false } = {}) {
  const own = scure.p2wpkh(pub, regtest), to = scure.p2wpkh(secp256k1.getPublicKey(stranger), regtest);
  const values = [60_000n, 50_000n];
  const tx = new bitcoinjs.Transaction();
  tx.version = 2;
  values.forEach((_, i) => tx.addInput(Buffer.alloc(32, 0xa0 + i), i, 0xfffffffd));
  tx.addOutput(to.script, 75_000n);
  tx.addOutput(own.script, 34_000n);
  values.forEach((value, i) => {
    const digest = tx.hashForWitnessV0(i, bitcoinjs.payments.p2pkh({ pubkey: pub }).output, value, sighash);
    let rs = ecc.sign(digest, signer);
    if (highS && i === 1) {
      const s = N - BigInt('0x' + toHex(rs.slice(32)));
      rs = Buffer.concat([rs.slice(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]);
    }
    tx.setWitness(i, [bitcoinjs.script.signature.encode(rs, sighash), pub]);
  });
  return {
    chain: REGTEST, asset: REGTEST + '/slip44:0', txid: tx.getId(), raw: tx.toHex(),
    outputs: [{ script: toHex(to.script), address, amount: '75000' }],
    change: [{ script: toHex(own.script), amount: '34000' }], fee: '1000',
    inputs: values.map((v) => ({ value: String(v), script: toHex(own.script), publicKey: toHex(pub) })),
  };
}

const wallet = new Wallet('0x' + toHex(key));
const TOKEN = '0x5FbDB2315678afecb367f032d93F642f64180aa3', TO = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';
const erc20 = new Interface(['function transfer(address,uint256)', 'function approve(address,uint256)']);
const transfer = (value = 400n) => erc20.encodeFunctionData('transfer', [TO, value]);

function sign(change, signer = wallet) {
  const tx = Transaction.from({ type: 2, chainId: 1337, nonce: 7, to: TO, value: 5n, data: '0x', gasLimit: 21000n,
    maxFeePerGas: 30_000_000_000n, maxPriorityFeePerGas: 1_000_000_000n, ...change });
  tx.signature = signer.signingKey.sign(tx.unsignedHash);
  return tx;
}

function etherReport(change, signer) {
  const tx = sign(change, signer);
  return { chain: 'eip155:1337', asset: 'eip155:1337/slip44:60', txid: tx.hash, raw: tx.serialized, from: wallet.address, nonce: 7,
    outputs: [{ address: TO, amount: '5' }], change: [], fee: '630000000000000' };
}

function tokenReport(change) {
  return { ...etherReport({ to: TOKEN, value: 0n, data: transfer(), ...change }),
    asset: 'eip155:1337/erc20:' + TOKEN.toLowerCase(), outputs: [{ address: TO.toLowerCase(), amount: '400' }] };
}

function callReport(change) {
  return { ...etherReport({ to: TOKEN, value: 3n, data: erc20.encodeFunctionData('approve', [TO, 400n]), ...change }), outputs: [],
    call: { contract: TOKEN.toLowerCase(), signature: 'approve(address,uint256)', arguments: [TO.toLowerCase(), '400'], value: '3' } };
}

const good = () => [bitcoinReport(), etherReport(), tokenReport(), callReport()];

// fails asserts that the changed transaction, and only it, fails, for the reason given.
function fails(transactions, reason) {
  const { passed, failures } = checkReport({ transactions });
  assert.equal(failures.length, 1, failures.join('\n'));
  assert.match(failures[0], reason);
  assert.equal(passed, transactions.length - 1);
}

test('good transactions of all kinds pass', () => {
  assert.deepEqual(checkReport({ transactions: good() }), { passed: 4, failures: [] });
});

const edit = (t, change) => (change(t), t);
const bitcoinCases = {
  'altered payment': [(t) => (t.outputs[0].amount = '75001'), /outputs/],
  'altered recipient': [(t) => (t.outputs[0].script = t.change[0].script), /outputs/],
  'address of another script': [(t) => (t.outputs[0].address = scure.p2wpkh(pub, regtest).address), /script of address/],
  'address of another network': [(t) => (t.outputs[0].address = scure.p2wpkh(pub).address), /prefix|network/],
  'an output left out': [(t) => (t.change = []), /outputs/],
  'an output twice': [(t) => t.change.push(t.change[0]), /outputs/],
  'altered fee': [(t) => (t.fee = '1001'), /fee/],
  'altered input values with the same sum': [(t) => ((t.inputs[0].value = '60001'), (t.inputs[1].value = '49999')), /input 0: signature/],
  'an input left out': [(t) => t.inputs.pop(), /number of inputs/],
  'another input key': [(t) => (t.inputs[0].publicKey = toHex(secp256k1.getPublicKey(stranger))), /input 0: script/],
  'another txid': [(t) => (t.txid = 'ab'.repeat(32)), /txid/],
  'a number for an amount': [(t) => (t.fee = 1000), /decimal string/],
  'a field missing': [(t) => delete t.inputs, /inputs: missing/],
  'bytes after the transaction': [(t) => (t.raw += '00'), /bitcoinjs-lib/],
  'another Bitcoin network': [(t) => (t.chain = 'bip122:ffff'), /no Bitcoin network/],
};
for (const [name, [change, reason]] of Object.entries(bitcoinCases)) {
  test(`Bitcoin: ${name}`, () => fails([edit(bitcoinReport(), change), etherReport()], reason));
}
test('Bitcoin: signed by another key', () => fails([bitcoinReport({ signer: stranger }), etherReport()], /input 0: signature is not valid/));
test('Bitcoin: SIGHASH_NONE', () => fails([bitcoinReport({ sighash: 2 }), etherReport()], /input 0: signature is not valid/));
test('Bitcoin: high S', () => fails([bitcoinReport({ highS: true }), etherReport()], /input 1: signature is not valid/));
test('Bitcoin: transaction and report altered alike after signing', () => {
  const t = bitcoinReport(), tx = bitcoinjs.Transaction.fromHex(t.raw);
  tx.outs[0].value = 75_001n;
  fails([{ ...t, raw: tx.toHex(), txid: tx.getId(), outputs: [{ ...t.outputs[0], amount: '75001' }], fee: '999' }, etherReport()], /signature is not valid/);
});
// The second library must not stand behind the first: each fails the same forgeries when it is asked alone.
test('Bitcoin: both libraries verify', async () => {
  const { libraries } = await import('./bitcoin.mjs');
  assert.deepEqual(Object.keys(libraries), ['bitcoinjs-lib', '@scure/btc-signer']);
  for (const [name, decode] of Object.entries(libraries)) {
    for (const [options, want] of [[{}, true], [{ signer: stranger }, false], [{ sighash: 2 }, false], [{ highS: true }, false]]) {
      const input = decode(bitcoinReport(options).raw).inputs[1];
      assert.equal(input.verify(pub, Buffer.from(input.witness[0], 'hex'), 50_000n), want, `${name} ${JSON.stringify(options)}`);
    }
  }
});

// sharedReport spends one coin of two out of three keys, with change to the same script.
const secrets = [3, 4, 5].map((n) => Buffer.alloc(32, n));
const byPublic = new Map(secrets.map((k) => [toHex(secp256k1.getPublicKey(k)), k]));
const sorted = [...byPublic.keys()].sort().map((k) => Buffer.from(k, 'hex'));
function sharedReport({ keys = sorted, signers = [0, 2], sighash = 1, highS = false, first = Buffer.alloc(0) } = {}) {
  const script = scure.p2ms(2, keys).script, own = scure.p2wsh(scure.p2ms(2, keys), regtest).script;
  const to = scure.p2wpkh(secp256k1.getPublicKey(stranger), regtest);
  const tx = new bitcoinjs.Transaction();
  tx.version = 2;
  tx.addInput(Buffer.alloc(32, 0xb0), 1, 0xfffffffd);
  tx.addOutput(to.script, 75_000n);
  tx.addOutput(own, 24_000n);
  const digest = tx.hashForWitnessV0(0, script, 100_000n, sighash);
  const signatures = signers.map((n, i) => {
    const secret = typeof n === 'number' ? byPublic.get(toHex(keys[n])) : n;
    let rs = ecc.sign(digest, secret);
    if (highS && i === 1) {
      const s = N - BigInt('0x' + toHex(rs.slice(32)));
      rs = Buffer.concat([rs.slice(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]);
    }
    return bitcoinjs.script.signature.encode(rs, sighash);
  });
  tx.setWitness(0, [first, ...signatures, script]);
  return {
    chain: REGTEST, asset: REGTEST + '/slip44:0', txid: tx.getId(), raw: tx.toHex(),
    outputs: [{ script: toHex(to.script), address, amount: '75000' }], change: [{ script: toHex(own), amount: '24000' }], fee: '1000',
    inputs: [{ value: '100000', script: toHex(own), witnessScript: toHex(script) }],
  };
}

test('Bitcoin of several keys passes, whichever of them signed', () => {
  for (const signers of [[0, 1], [0, 2], [1, 2]]) {
    assert.deepEqual(checkReport({ transactions: [sharedReport({ signers }), etherReport()] }), { passed: 2, failures: [] });
  }
});
const sharedCases = {
  'one signature': [{ signers: [1] }, /witness elements/],
  'three signatures': [{ signers: [0, 1, 2] }, /witness elements/],
  'signatures out of order': [{ signers: [2, 0] }, /input 0: signature is not valid/],
  'one key twice': [{ signers: [1, 1] }, /input 0: signature is not valid/],
  'another key': [{ signers: [0, stranger] }, /input 0: signature is not valid/],
  'SIGHASH_NONE': [{ sighash: 2 }, /input 0: signature is not valid/],
  'high S': [{ highS: true }, /input 0: signature is not valid/],
  'a first element': [{ first: Buffer.alloc(1, 1) }, /first witness element/],
  'keys out of order': [{ keys: [...sorted].reverse() }, /keys in order/],
};
for (const [name, [options, reason]] of Object.entries(sharedCases)) {
  test(`Bitcoin of several keys: ${name}`, () => fails([sharedReport(options), etherReport()], reason));
}
const sharedEdits = {
  'altered input value': [(t) => ((t.inputs[0].value = '100001'), (t.fee = '1001')), /input 0: signature is not valid/],
  'another witness script': [(t) => (t.inputs[0].witnessScript = toHex(scure.p2ms(1, sorted).script)), /input 0: script/],
  'a script of one key': [(t) => (t.inputs[0].witnessScript = '21' + toHex(sorted[0]) + 'ac'), /witness script/],
  'reported as of one key': [(t) => ((t.inputs[0].publicKey = toHex(sorted[0])), delete t.inputs[0].witnessScript), /input 0: script/],
};
for (const [name, [change, reason]] of Object.entries(sharedEdits)) {
  test(`Bitcoin of several keys: ${name}`, () => fails([edit(sharedReport(), change), etherReport()], reason));
}
test('Bitcoin of several keys: both libraries verify', async () => {
  const { libraries } = await import('./bitcoin.mjs');
  for (const [name, decode] of Object.entries(libraries)) {
    for (const [options, want] of [[{}, true], [{ signers: [0, stranger] }, false], [{ sighash: 2 }, false], [{ highS: true }, false]]) {
      const input = decode(sharedReport(options).raw).inputs[0];
      const found = input.verify(sorted[2], Buffer.from(input.witness[2], 'hex'), 100_000n, Buffer.from(input.witness[3], 'hex'));
      assert.equal(found, want, `${name} ${JSON.stringify(options)}`);
    }
  }
});

// descriptorReport says what a descriptor of two keys describes.
const two = `wsh(sortedmulti(2,${toHex(sorted[1])},${toHex(sorted[0])}))`;
function descriptorReport() {
  const payment = scure.p2wsh(scure.p2ms(2, sorted.slice(0, 2)), regtest);
  return { chain: REGTEST, text: `${two}#${checksum(two)}`, script: toHex(payment.script), address: payment.address,
    witnessScript: toHex(scure.p2ms(2, sorted.slice(0, 2)).script) };
}
test('a good descriptor passes', () => checkDescriptor(descriptorReport()));
const descriptorCases = {
  'another script': [(d) => (d.script = d.script.replace(/..$/, '00')), /script/],
  'another address': [(d) => (d.address = address), /address/],
  'another witness script': [(d) => (d.witnessScript = toHex(scure.p2ms(1, sorted.slice(0, 2)).script)), /witness script/],
  'no witness script': [(d) => delete d.witnessScript, /witness script/],
  'another checksum': [(d) => (d.text = d.text.slice(0, -1) + (d.text.endsWith('q') ? 'p' : 'q')), /checksum/i],
  'no checksum': [(d) => (d.text = two), /checksum/i],
  'another threshold': [(d) => (d.text = two.replace('(2,', '(1,') + '#' + checksum(two.replace('(2,', '(1,'))), /script/],
  'another network': [(d) => (d.chain = 'bip122:000000000019d6689c085ae165831e93'), /address/],
};
for (const [name, [change, reason]] of Object.entries(descriptorCases)) {
  test(`descriptor: ${name}`, () => assert.throws(() => checkDescriptor(edit(descriptorReport(), change)), reason));
}

const evmCases = {
  'altered amount': [etherReport, (t) => (t.outputs[0].amount = '6'), /amount/],
  'altered recipient': [etherReport, (t) => (t.outputs[0].address = TOKEN), /recipient/],
  'another sender': [etherReport, (t) => (t.from = TO), /from/],
  'another nonce': [etherReport, (t) => (t.nonce = 8), /nonce/],
  'altered fee': [etherReport, (t) => (t.fee = '630000000000001'), /fee/],
  'another txid': [etherReport, (t) => (t.txid = '0x' + 'ab'.repeat(32)), /txid/],
  'ether called a token': [etherReport, (t) => (t.asset = tokenReport().asset), /token/],
  'a token called ether': [tokenReport, (t) => (t.asset = 'eip155:1337/slip44:60'), /data/],
  'another token': [tokenReport, (t) => (t.asset = 'eip155:1337/erc20:' + TO), /token/],
  'altered token amount': [tokenReport, (t) => (t.outputs[0].amount = '401'), /amount/],
  'altered token recipient': [tokenReport, (t) => (t.outputs[0].address = TOKEN), /recipient/],
  'the asset of another chain': [etherReport, (t) => (t.asset = 'eip155:1/slip44:60'), /asset's chain/],
  'a call without the report saying so': [callReport, (t) => delete t.call, /outputs/],
  'a payment reported as a call': [etherReport, (t) => ((t.call = callReport().call), (t.outputs = [])), /contract/],
  'a call that pays beside': [callReport, (t) => (t.outputs = etherReport().outputs), /number of outputs/],
  'a call of another contract': [callReport, (t) => (t.call.contract = TO), /contract/],
  'a call with another value': [callReport, (t) => (t.call.value = '0'), /value/],
  'a call of another function': [callReport, (t) => (t.call.signature = 'approve(address,uint128)'), /selector/],
  'a call with another spender': [callReport, (t) => (t.call.arguments[0] = TOKEN), /argument 0/],
  'a call with another number': [callReport, (t) => (t.call.arguments[1] = '401'), /argument 1/],
  'a call with an argument left out': [callReport, (t) => t.call.arguments.pop(), /number of arguments/],
  'garbage': [etherReport, (t) => (t.raw = '0x02c0'), /not a transaction/],
};
for (const [name, [make, change, reason]] of Object.entries(evmCases)) {
  test(`EVM: ${name}`, () => fails([bitcoinReport(), edit(make(), change)], reason));
}
test('EVM: signed by another key', () => fails([bitcoinReport(), etherReport({}, new Wallet('0x' + toHex(stranger)))], /from/));
test('EVM: signed for another chain', () => fails([bitcoinReport(), etherReport({ chainId: 1 })], /chain/));
test('EVM: approve instead of transfer', () => fails([bitcoinReport(), tokenReport({ data: erc20.encodeFunctionData('approve', [TO, 400n]) })], /call/));
test('EVM: bytes after a contract call', () => fails([bitcoinReport(), callReport({ data: erc20.encodeFunctionData('approve', [TO, 400n]) + '00' })], /call data/));
test('EVM: bytes after the call', () => fails([bitcoinReport(), tokenReport({ data: transfer() + '00' })], /call data/));
test('EVM: ether sent along with a token', () => fails([bitcoinReport(), tokenReport({ value: 1n })], /value beside the token/));
test('EVM: legacy transaction', () => fails([bitcoinReport(), etherReport({ type: 0, maxFeePerGas: undefined, maxPriorityFeePerGas: undefined, gasPrice: 1n })], /type/));
test('EVM: high S', () => {
  // The other signature of the same key over the same digest recovers to the same sender. ethers writes none, so RLP does.
  const tx = sign({}), parts = decodeRlp('0x' + tx.serialized.slice(4));
  parts[9] = tx.signature.yParity ? '0x' : '0x01';
  parts[11] = '0x' + (N - BigInt(tx.signature.s)).toString(16).padStart(64, '0');
  const raw = '0x02' + encodeRlp(parts).slice(2);
  fails([bitcoinReport(), { ...etherReport(), raw, txid: keccak256(raw) }], /above half/);
});

test('a report without a transaction of either chain fails', () => {
  assert.match(checkReport({ transactions: [bitcoinReport()] }).failures.join(), /no eip155 transaction/);
  assert.match(checkReport({ transactions: [etherReport()] }).failures.join(), /no bip122 transaction/);
  for (const empty of [{ transactions: [] }, {}, null, []]) assert.equal(checkReport(empty).failures.length, 2);
});
test('a transaction listed twice fails', () => fails([...good(), bitcoinReport()], /listed before/));
test('a transaction of an unknown kind of chain fails', () => fails([...good(), { ...bitcoinReport(), chain: 'solana:x' }], /expected bip122/));

test('the command prints the count and exits accordingly', () => {
  const dir = mkdtempSync(join(tmpdir(), 'peers-'));
  const run = (content) => {
    writeFileSync(join(dir, 'report.json'), content);
    return spawnSync(process.execPath, [fileURLToPath(new URL('check.mjs', import.meta.url)), join(dir, 'report.json')], { encoding: 'utf8' });
  };
  try {
    const ok = run(JSON.stringify({ transactions: good() }));
    assert.deepEqual([ok.status, ok.stdout, ok.stderr], [0, '4 passed, 0 failed\n', '']);
    const bad = run(JSON.stringify({ transactions: [...good().slice(1), { ...bitcoinReport(), fee: '1' }] }));
    assert.deepEqual([bad.status, bad.stdout], [1, '3 passed, 1 failed\n']);
    assert.equal(run('{}').status, 1);
    assert.equal(run('not JSON').status, 1);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
