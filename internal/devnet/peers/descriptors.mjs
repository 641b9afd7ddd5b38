// Reads a descriptor of a wallet with a library that is not ours, and compares what it describes with what we say:
// {"chain", "text", "index" (of ranges only), "script", "address", "witnessScript" (P2WSH)}.
import * as ecc from '@bitcoinerlab/secp256k1';
import { DescriptorsFactory } from '@bitcoinerlab/descriptors';
import { networks } from './bitcoin.mjs';
import { equal, fields } from './report.mjs';

const { Output } = DescriptorsFactory(ecc);
const toHex = (b) => Buffer.from(b).toString('hex');

// checkDescriptor throws with the first disagreement.
export function checkDescriptor(d) {
  fields(d, ['chain', 'text', 'script', 'address']);
  const network = networks[d.chain];
  if (!network) throw new Error(`chain: ${d.chain} is no Bitcoin network known here`);
  const index = d.index === undefined ? {} : { index: d.index };
  const output = new Output({ descriptor: d.text, checksumRequired: true, network, ...index });
  equal('script', d.script, toHex(output.getScriptPubKey()));
  equal('address', d.address, output.getAddress());
  const witness = output.getWitnessScript();
  equal('witness script', d.witnessScript, witness && toHex(witness));
}
