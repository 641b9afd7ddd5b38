// Compiles internal/devnet/token/Token.sol with the pinned solc: `npm run token` writes token.bin and token.abi beside it, and
// token.test.mjs compares them with what is committed.
import { readFileSync, writeFileSync } from 'node:fs';
import solc from 'solc';

const folder = new URL('../token/', import.meta.url);

// compileToken returns the creation bytecode in hexadecimal and the ABI as JSON text, each ending with a newline.
export function compileToken() {
  const input = {
    language: 'Solidity',
    sources: { 'Token.sol': { content: readFileSync(new URL('Token.sol', folder), 'utf8') } },
    settings: {
      evmVersion: 'cancun',
      optimizer: { enabled: true, runs: 200 },
      metadata: { bytecodeHash: 'none', appendCBOR: false },
      outputSelection: { 'Token.sol': { Token: ['abi', 'evm.bytecode.object'] } },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  const problems = (output.errors ?? []).map((e) => e.formattedMessage);
  if (problems.length > 0) throw new Error(problems.join('\n'));
  const token = output.contracts['Token.sol'].Token;
  return { bin: token.evm.bytecode.object + '\n', abi: JSON.stringify(token.abi, null, 1) + '\n' };
}

export const committed = {
  bin: () => readFileSync(new URL('token.bin', folder), 'utf8'),
  abi: () => readFileSync(new URL('token.abi', folder), 'utf8'),
};

if (process.argv[2] === '--write') {
  const { bin, abi } = compileToken();
  writeFileSync(new URL('token.bin', folder), bin);
  writeFileSync(new URL('token.abi', folder), abi);
}
