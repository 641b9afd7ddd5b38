import assert from 'node:assert/strict';
import { test } from 'node:test';
import { committed, compileToken } from './compile-token.mjs';

test('the committed bytecode and ABI are what the pinned solc makes of Token.sol', () => {
  const { bin, abi } = compileToken();
  assert.equal(committed.bin(), bin);
  assert.equal(committed.abi(), abi);
});
