// Decodes a Bitcoin transaction of a report with two libraries, each on its own, and compares what they find with the report.
import * as ecc from '@bitcoinerlab/secp256k1';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import * as scure from '@scure/btc-signer';
import * as bitcoinjs from 'bitcoinjs-lib';
import { amount, equal, fields, hex, list } from './report.mjs';

const SIGHASH_ALL = 1;
const networks = {
  'bip122:000000000019d6689c085ae165831e93': bitcoinjs.networks.bitcoin,
  'bip122:000000000933ea01ad0ee984209779ba': bitcoinjs.networks.testnet,
  'bip122:0f9188f13cb7b2c71f2a335e3a4fc328': bitcoinjs.networks.regtest,
};
const toHex = (b) => Buffer.from(b).toString('hex');

// Each library answers with the same shape: txid, outputs as {script, amount}, and per input the witness key and a function
// that says whether the signature is good for a previous output. They share no code but the JavaScript engine.
export const libraries = {
  'bitcoinjs-lib': (raw) => {
    const tx = bitcoinjs.Transaction.fromHex(raw);
    return {
      txid: tx.getId(),
      encoded: tx.toHex(),
      outputs: tx.outs.map((o) => ({ script: toHex(o.script), amount: o.value })),
      inputs: tx.ins.map((input, i) => ({
        outpoint: toHex(Uint8Array.from(input.hash).reverse()) + ':' + input.index,
        scriptSig: toHex(input.script),
        witness: input.witness.map(toHex),
        scriptOf: (key) => toHex(bitcoinjs.payments.p2wpkh({ pubkey: key }).output),
        verify: (key, signature, value) => {
          const { signature: rs, hashType } = bitcoinjs.script.signature.decode(signature);
          const code = bitcoinjs.payments.p2pkh({ pubkey: key }).output;
          return hashType === SIGHASH_ALL && ecc.verify(tx.hashForWitnessV0(i, code, value, hashType), key, rs, true);
        },
      })),
    };
  },
  '@scure/btc-signer': (raw) => {
    const tx = scure.Transaction.fromRaw(Buffer.from(raw, 'hex'), { allowUnknownOutputs: true, allowUnknownInputs: true });
    return {
      txid: tx.id,
      encoded: tx.hex,
      outputs: Array.from({ length: tx.outputsLength }, (_, i) => tx.getOutput(i)).map((o) => ({ script: toHex(o.script), amount: o.amount })),
      inputs: Array.from({ length: tx.inputsLength }, (_, i) => tx.getInput(i)).map((input, i) => ({
        outpoint: toHex(input.txid) + ':' + input.index,
        scriptSig: toHex(input.finalScriptSig ?? []),
        witness: (input.finalScriptWitness ?? []).map(toHex),
        scriptOf: (key) => toHex(scure.p2wpkh(key).script),
        verify: (key, signature, value) => {
          const hashType = signature.at(-1);
          const digest = tx.preimageWitnessV0(i, scure.p2pkh(key).script, hashType, value);
          const options = { prehash: false, format: 'der', lowS: true };
          return hashType === SIGHASH_ALL && secp256k1.verify(signature.slice(0, -1), digest, key, options);
        },
      })),
    };
  },
};

// checkBitcoin throws with the first disagreement.
export function checkBitcoin(t) {
  fields(t, ['raw', 'txid', 'outputs', 'change', 'inputs', 'fee']);
  const network = networks[t.chain];
  if (!network) throw new Error(`chain: ${t.chain} is no Bitcoin network known here`);
  for (const [name, decode] of Object.entries(libraries)) {
    try {
      compare(t, decode(hex(t.raw, 'raw')));
    } catch (e) {
      throw new Error(`${name}: ${e.message}`);
    }
  }
  for (const o of [...t.outputs, ...t.change]) {
    if (o.address === undefined) continue;
    equal('script of address ' + o.address, o.script, toHex(bitcoinjs.address.toOutputScript(o.address, network)));
    equal('script of address ' + o.address, o.script, toHex(scure.OutScript.encode(scure.Address(network).decode(o.address))));
  }
}

function compare(t, found) {
  equal('txid', t.txid, found.txid);
  equal('raw, encoded again', t.raw, found.encoded);
  const wanted = [...list(t, 'outputs'), ...list(t, 'change')].map((o) => `${hex(o.script, 'script')} ${amount(o.amount, 'amount')}`);
  equal('outputs', wanted.sort().join(', '), found.outputs.map((o) => `${o.script} ${o.amount}`).sort().join(', '));
  equal('number of inputs', list(t, 'inputs').length, found.inputs.length);
  equal('number of distinct inputs', found.inputs.length, new Set(found.inputs.map((i) => i.outpoint)).size);
  const paidIn = t.inputs.reduce((sum, i) => sum + amount(i.value, 'input value'), 0n);
  const paidOut = found.outputs.reduce((sum, o) => sum + o.amount, 0n);
  equal('fee', amount(t.fee, 'fee'), paidIn - paidOut);
  found.inputs.forEach((input, i) => checkInput(t.inputs[i], input, `input ${i}`));
}

// checkInput: P2WPKH, the key that the report names, and a signature over this transaction and this value (BIP-143), low-S.
function checkInput(wanted, found, what) {
  const key = Buffer.from(hex(wanted.publicKey, `${what}: public key`), 'hex');
  equal(`${what}: script`, wanted.script, found.scriptOf(key));
  equal(`${what}: scriptSig`, '', found.scriptSig);
  equal(`${what}: witness elements`, 2, found.witness.length);
  equal(`${what}: public key`, wanted.publicKey, found.witness[1]);
  let good;
  try {
    good = found.verify(key, Buffer.from(found.witness[0], 'hex'), amount(wanted.value, 'input value'));
  } catch (e) {
    throw new Error(`${what}: signature: ${e.message}`);
  }
  if (!good) throw new Error(`${what}: signature is not valid under the key ${wanted.publicKey} for the value ${wanted.value}`);
}
