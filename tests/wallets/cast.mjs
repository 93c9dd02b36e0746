// What somebody at a terminal does with cast.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { step } from './step.mjs';

const execute = promisify(execFile);
const OTHER = '0x00000000000000000000000000000000000a11ce';

// The program itself: the package's wrapper script loses its exit status.
function program() {
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  const name = `@foundry-rs/cast-${process.platform}-${architecture}/package.json`;
  return join(dirname(createRequire(import.meta.url).resolve(name)), 'bin', 'cast');
}
export async function run({ url, privateKey }, { Token, Refuser }) {
  const env = { ...process.env, ETH_RPC_URL: url, NO_COLOR: '1', FOUNDRY_DISABLE_NIGHTLY_WARNING: '1' };
  const cast = async (...words) => (await execute(program(), words, { env })).stdout.trim();
  const send = async (...words) => JSON.parse(await cast('send', '--json', '--private-key', privateKey, ...words));

  await step('cast: block number, chain id and client', async () => {
    assert(Number(await cast('block-number')) > 0);
    assert(Number(await cast('chain-id')) > 0);
    assert.match(await cast('client'), /^cess\//);
    const block = JSON.parse(await cast('block', 'latest', '--json'));
    assert.match(block.hash, /^0x[0-9a-f]{64}$/);
  });

  await step('cast: a transfer', async () => {
    const before = BigInt(await cast('balance', OTHER));
    const receipt = await send('--value', '12345', OTHER);
    assert.equal(receipt.status, '0x1');
    assert.equal(BigInt(await cast('balance', OTHER)) - before, 12345n);
    assert.equal(JSON.parse(await cast('receipt', '--json', receipt.transactionHash)).blockHash, receipt.blockHash);
    assert.equal(JSON.parse(await cast('tx', '--json', receipt.transactionHash)).hash, receipt.transactionHash);
  });

  await step('cast: a contract', async () => {
    const { contractAddress } = await send('--create', Token.bytecode, 'constructor(string,string,uint256)', 'Token', 'TKN', '1000');
    assert((await cast('code', contractAddress)).length > 2);
    const receipt = await send(contractAddress, 'transfer(address,uint256)', OTHER, '5');
    assert.equal(receipt.logs.length, 1);
    assert.equal(await cast('call', contractAddress, 'balanceOf(address)(uint256)', OTHER), '5');
    const logs = JSON.parse(await cast('logs', '--json', '--from-block', '0', '--address', contractAddress, 'Transfer(address,address,uint256)'));
    assert.equal(logs.length, 2);
    const estimated = await cast('estimate', '--from', OTHER, contractAddress, 'transfer(address,uint256)', OTHER, '1');
    assert(Number(estimated) > 21000);
  });

  await step('cast: a revert says why', async () => {
    const { contractAddress } = await send('--create', Refuser.bytecode);
    await assert.rejects(cast('call', contractAddress, 'refuse(string)', 'not today'), /not today/);
  });
}
