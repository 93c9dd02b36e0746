// What a script does with ethers.

import assert from 'node:assert/strict';
import { Contract, ContractFactory, JsonRpcProvider, NonceManager, Wallet, WebSocketProvider, isError, parseEther } from 'ethers';
import { failure, step } from './step.mjs';

export async function run({ url, webSocketUrl, privateKey }, { Token, Refuser }) {
  const provider = new JsonRpcProvider(url, undefined, { pollingInterval: 50, cacheTimeout: -1 });
  const live = new WebSocketProvider(webSocketUrl);
  const wallet = new Wallet(privateKey, provider);
  const other = Wallet.createRandom().connect(provider);

  await step('ethers: network, block and fees', async () => {
    const [network, block, fees] = await Promise.all([
      provider.getNetwork(), provider.getBlock('latest', true), provider.getFeeData(),
    ]);
    assert(network.chainId > 0n);
    assert(block.baseFeePerGas > 0n);
    assert(fees.maxFeePerGas >= block.baseFeePerGas);
    assert.equal(await provider.send('net_version', []), network.chainId.toString());
  });

  await step('ethers: transfers in a row arrive', async () => {
    const sender = new NonceManager(wallet);
    const sent = [];
    for (let i = 0; i < 5; i += 1) sent.push(await sender.sendTransaction({ to: other.address, value: parseEther('0.1') }));
    const receipts = await Promise.all(sent.map((transaction) => transaction.wait()));
    assert(receipts.every((receipt) => receipt.status === 1));
    assert.equal(await provider.getBalance(other.address), parseEther('0.5'));
    assert.equal(await provider.getTransactionCount(wallet.address, 'pending'), sent.at(-1).nonce + 1);
  });

  const token = await step('ethers: a contract is deployed', async () => {
    const factory = new ContractFactory(Token.abi, Token.bytecode, wallet);
    const deployed = await factory.deploy('Token', 'TKN', 1000n);
    await deployed.waitForDeployment();
    assert.equal(await deployed.totalSupply(), 1000n);
    return deployed;
  });

  const refuser = await step('ethers: another contract is deployed', async () => {
    const deployed = await new ContractFactory(Refuser.abi, Refuser.bytecode, wallet).deploy();
    return deployed.waitForDeployment();
  });

  const heard = [];
  const blocks = [];
  await step('ethers: subscriptions over WebSocket begin', async () => {
    await new Contract(await token.getAddress(), Token.abi, live).on('Transfer', (from, to, value) => heard.push([from, to, value]));
    await live.on('block', (number) => blocks.push(number));
    await live.getBlockNumber();
  });

  await step('ethers: a call is mined and its log is read', async () => {
    const gas = await token.transfer.estimateGas(other.address, 3n);
    const receipt = await (await token.transfer(other.address, 3n, { gasLimit: gas })).wait();
    assert.equal(receipt.logs[0].fragment.name, 'Transfer');
    const found = await token.queryFilter(token.filters.Transfer(null, other.address), receipt.blockNumber);
    assert.deepEqual(found.map((log) => log.args.value), [3n]);
    assert.equal((await provider.getLogs({ blockHash: receipt.blockHash, address: await token.getAddress() })).length, 1);
  });

  await step('ethers: the subscriptions told of it', async () => {
    while (heard.length === 0 || blocks.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(heard, [[wallet.address, other.address, 3n]]);
    await live.removeAllListeners();
  });

  await step('ethers: revert reasons are decoded', async () => {
    const reason = await failure(refuser.refuse.staticCall('not today'));
    assert(isError(reason, 'CALL_EXCEPTION'), reason.message);
    assert.equal(reason.reason, 'not today');
    const custom = await failure(token.connect(other).transfer.estimateGas(wallet.address, 10n));
    const decoded = token.interface.parseError(custom.data);
    assert.deepEqual([decoded?.name, decoded?.args.needed], ['InsufficientBalance', 10n]);
  });

  await step('ethers: a mined revert is a receipt with status 0', async () => {
    const sent = await refuser.refuse('not today', { gasLimit: 100_000n });
    const error = await failure(sent.wait());
    assert(isError(error, 'CALL_EXCEPTION'), error.message);
    assert.equal(error.receipt.status, 0);
  });

  await step('ethers: refusals have the codes that scripts know', async () => {
    const poor = Wallet.createRandom().connect(provider);
    const fees = { gasLimit: 21000n, maxFeePerGas: 10n ** 11n, maxPriorityFeePerGas: 0n, to: other.address, value: 1n };
    assert(isError(await failure(poor.sendTransaction({ ...fees, nonce: 0 })), 'INSUFFICIENT_FUNDS'));
    assert(isError(await failure(wallet.sendTransaction({ ...fees, nonce: 0 })), 'NONCE_EXPIRED'));
  });

  provider.destroy();
  await live.destroy();
}
