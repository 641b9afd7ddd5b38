// Decodes a Bitcoin transaction of a report with two libraries, each on its own, and compares what they find with the report.
import * as ecc from '@bitcoinerlab/secp256k1';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import * as scure from '@scure/btc-signer';
import * as bitcoinjs from 'bitcoinjs-lib';
import { amount, equal, fields, hex, list } from './report.mjs';

bitcoinjs.initEccLib(ecc); // without which it reads no P2TR address
const SIGHASH_ALL = 1;
export const networks = {
  'bip122:000000000019d6689c085ae165831e93': bitcoinjs.networks.bitcoin,
  'bip122:000000000933ea01ad0ee984209779ba': bitcoinjs.networks.testnet,
  'bip122:0f9188f13cb7b2c71f2a335e3a4fc328': bitcoinjs.networks.regtest,
};
const toHex = (b) => Buffer.from(b).toString('hex');

// Each library answers with the same shape: txid, outputs as {script, amount}, and per input the witness, the output script of a key,
// what a witness script says (multi: its output script, how many of which keys), and a function that says whether the signature is good
// for a previous output. They share no code but the JavaScript engine.
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
        multi: (script) => {
          const redeem = bitcoinjs.payments.p2ms({ output: script });
          return { script: toHex(bitcoinjs.payments.p2wsh({ redeem }).output), needed: redeem.m, keys: redeem.pubkeys.map(toHex) };
        },
        verify: (key, signature, value, witnessScript) => {
          const { signature: rs, hashType } = bitcoinjs.script.signature.decode(signature);
          const code = witnessScript ?? bitcoinjs.payments.p2pkh({ pubkey: key }).output;
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
        multi: (script) => {
          const { type, m, pubkeys } = scure.OutScript.decode(script);
          if (type !== 'ms') throw new Error(`expected a script of several keys, found ${type}`);
          return { script: toHex(scure.p2wsh(scure.p2ms(m, pubkeys)).script), needed: m, keys: pubkeys.map(toHex) };
        },
        verify: (key, signature, value, witnessScript) => {
          const hashType = signature.at(-1);
          const digest = tx.preimageWitnessV0(i, witnessScript ?? scure.p2pkh(key).script, hashType, value);
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

// checkInput: P2WPKH, the key that the report names, and a signature over this transaction and this value (BIP-143), low-S; or P2WSH, the
// witness script that the report names, and as many such signatures as it asks for.
function checkInput(wanted, found, what) {
  equal(`${what}: scriptSig`, '', found.scriptSig);
  if (wanted.witnessScript !== undefined) {
    checkMulti(wanted, found, what);
    return;
  }
  const key = Buffer.from(hex(wanted.publicKey, `${what}: public key`), 'hex');
  equal(`${what}: script`, wanted.script, found.scriptOf(key));
  equal(`${what}: witness elements`, 2, found.witness.length);
  equal(`${what}: public key`, wanted.publicKey, found.witness[1]);
  if (!good(found, key, found.witness[0], wanted.value, undefined, what)) {
    throw new Error(`${what}: signature is not valid under the key ${wanted.publicKey} for the value ${wanted.value}`);
  }
}

// checkMulti: the sorted compressed keys of BIP-67, and exactly the signatures that are needed, in the order of the keys.
function checkMulti(wanted, found, what) {
  const script = Buffer.from(hex(wanted.witnessScript, `${what}: witness script`), 'hex');
  let multi;
  try {
    multi = found.multi(script);
  } catch (e) {
    throw new Error(`${what}: witness script: ${e.message}`);
  }
  equal(`${what}: script`, wanted.script, multi.script);
  equal(`${what}: keys in order`, [...new Set(multi.keys)].sort().join(), multi.keys.join());
  equal(`${what}: compressed keys`, multi.keys.length, multi.keys.filter((k) => /^0[23].{64}$/.test(k)).length);
  equal(`${what}: witness elements`, multi.needed + 2, found.witness.length);
  equal(`${what}: first witness element`, '', found.witness[0]);
  equal(`${what}: witness script`, wanted.witnessScript, found.witness.at(-1));
  const keys = [...multi.keys];
  for (const signature of found.witness.slice(1, -1)) {
    while (keys.length > 0 && !good(found, Buffer.from(keys[0], 'hex'), signature, wanted.value, script, what)) keys.shift();
    if (keys.shift() === undefined) throw new Error(`${what}: signature is not valid under a key of the script that is left, for the value ${wanted.value}`);
  }
}

function good(found, key, signature, value, witnessScript, what) {
  try {
    return found.verify(key, Buffer.from(signature, 'hex'), amount(value, 'input value'), witnessScript);
  } catch (e) {
    throw new Error(`${what}: signature: ${e.message}`);
  }
}
