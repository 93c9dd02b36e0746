// What an application contract does with the protocol's modules.

import assert from 'node:assert/strict';
import { Contract, ContractFactory, JsonRpcProvider, Wallet, id, isError } from 'ethers';
import { failure, step } from './step.mjs';

const TERRITORIES = '0x000000000000000000000000000000000000ce01';
const BUCKETS = '0x000000000000000000000000000000000000ce04';
const SIZE = 1n << 30n;
const DAYS = 30n;

export async function run({ url, privateKey }, { StorageBuyer, interfaces }) {
  const provider = new JsonRpcProvider(url, undefined, { pollingInterval: 50, cacheTimeout: -1 });
  const wallet = new Wallet(privateKey, provider);
  const territories = new Contract(TERRITORIES, interfaces.ITerritories, provider);
  const buckets = new Contract(BUCKETS, interfaces.IBuckets, provider);

  const buyer = await step('storage: a contract that buys space is deployed', async () => {
    const deployed = await new ContractFactory(StorageBuyer.abi, StorageBuyer.bytecode, wallet).deploy();
    await deployed.waitForDeployment();
    return deployed;
  });
  const price = await territories.quote(SIZE, DAYS);

  await step('storage: it buys a territory and creates a bucket', async () => {
    const receipt = await (await buyer.buy(SIZE, DAYS, id('pictures'), false, { value: price })).wait();
    assert.equal(receipt.status, 1);
    const [territory, bucket] = await Promise.all([
      territories.territory(await buyer.territory()), buckets.bucket(await buyer.bucket()),
    ]);
    const owner = await buyer.getAddress();
    assert.equal(territory.owner, owner);
    assert.equal(territory.bytesBought, SIZE);
    assert.equal(bucket.owner, owner);
    assert.equal(bucket.territory, await buyer.territory());
    const created = await buckets.queryFilter(buckets.filters.Created(await buyer.bucket()), receipt.blockNumber);
    assert.equal(created.length, 1);
  });

  await step('storage: what it reverts never happened', async () => {
    const before = await territories.territoryCount();
    const sent = await buyer.buy(SIZE, DAYS, id('videos'), true, { value: price, gasLimit: 1_000_000n });
    const error = await failure(sent.wait());
    assert.equal(error.receipt?.status, 0, error.message);
    assert.equal(await territories.territoryCount(), before);
    const call = await failure(buyer.buy.staticCall(SIZE, DAYS, id('videos'), true, { value: price }));
    assert.equal(call.revert?.name, 'ChangedMind');
  });

  await step("storage: a module's own error reaches the caller", async () => {
    const error = await failure(territories.connect(wallet).buy.estimateGas(SIZE, DAYS, { value: price - 1n }));
    assert(isError(error, 'CALL_EXCEPTION'), error.message);
    const decoded = territories.interface.parseError(error.data);
    assert.deepEqual([decoded?.name, ...(decoded?.args ?? [])], ['Underpaid', price, price - 1n]);
  });

  provider.destroy();
}
