// Usage: node wallets.mjs FILE
// FILE holds a line for each transaction that our wallets signed, as in a report (report.mjs has the format) with "kind": "spend" and its
// virtual size in "size", and for each of their descriptors (descriptors.mjs has the format) with "kind": "descriptor". Prints each
// disagreement and a line 'N passed, N failed', and exits with 1 unless all passed.
import { readFileSync } from 'node:fs';
import * as scure from '@scure/btc-signer';
import * as bitcoinjs from 'bitcoinjs-lib';
import { checkBitcoin } from './bitcoin.mjs';
import { checkDescriptor } from './descriptors.mjs';
import { equal } from './report.mjs';

function checkSpend(t) {
  checkBitcoin(t);
  equal('virtual size by bitcoinjs-lib', t.size, bitcoinjs.Transaction.fromHex(t.raw).virtualSize());
  const tx = scure.Transaction.fromRaw(Buffer.from(t.raw, 'hex'), { allowUnknownOutputs: true, allowUnknownInputs: true });
  equal('virtual size by @scure/btc-signer', t.size, Math.ceil(tx.weight / 4));
}

const checks = { spend: checkSpend, descriptor: checkDescriptor };

if (process.argv.length !== 3) {
  console.error('usage: node wallets.mjs FILE');
  process.exit(2);
}
let passed = 0, failed = 0;
readFileSync(process.argv[2], 'utf8').split('\n').forEach((line, i) => {
  if (line === '') return;
  try {
    const t = JSON.parse(line);
    if (!(t.kind in checks)) throw new Error('kind: expected spend or descriptor');
    checks[t.kind](t);
    passed++;
  } catch (e) {
    failed++;
    console.error(`line ${i + 1}: ${e.message}`);
  }
});
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = passed > 0 && failed === 0 ? 0 : 1;
