// Drive a chain with viem, ethers and cast: `node wallets.mjs URL PRIVATE_KEY`.
// Exits with 1 and one clear line when anything is not as on Ethereum.

import { compile } from './compile.mjs';
import { step, finish } from './step.mjs';
import * as withViem from './viem.mjs';
import * as withEthers from './ethers.mjs';
import * as withCast from './cast.mjs';
import * as withStorage from './storage.mjs';

const [url, privateKey] = process.argv.slice(2);
if (!/^https?:\/\//.test(url ?? '') || !/^0x[0-9a-fA-F]{64}$/.test(privateKey ?? '')) {
  console.error('usage: node wallets.mjs URL PRIVATE_KEY');
  process.exit(2);
}
const network = { url, webSocketUrl: url.replace(/^http/, 'ws'), privateKey };

const contracts = await step('solc compiles the contracts', async () => compile());
await withViem.run(network, contracts);
await withEthers.run(network, contracts);
await withStorage.run(network, contracts);
await withCast.run(network, contracts);
finish();
