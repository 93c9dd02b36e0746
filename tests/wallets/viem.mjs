// What a web application does with viem.

import assert from 'node:assert/strict';
import {
  createPublicClient, createWalletClient, defineChain, http, webSocket, parseEther, parseGwei, parseEventLogs,
  BaseError, ContractFunctionRevertedError,
} from 'viem';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { failure, step } from './step.mjs';

export async function run({ url, webSocketUrl, privateKey }, { Token }) {
  const account = privateKeyToAccount(privateKey);
  const id = await createPublicClient({ transport: http(url) }).getChainId();
  const chain = defineChain({
    id, name: 'cess', nativeCurrency: { name: 'CESS', symbol: 'CESS', decimals: 18 },
    rpcUrls: { default: { http: [url], webSocket: [webSocketUrl] } },
  });
  const pollingInterval = 50;
  // Requests of one tick go out as one batch.
  const client = createPublicClient({ chain, transport: http(url, { batch: true }), pollingInterval });
  const live = createPublicClient({ chain, transport: webSocket(webSocketUrl) });
  const wallet = createWalletClient({ account, chain, transport: http(url) });
  const other = privateKeyToAccount(generatePrivateKey()).address;

  await step('viem: a batch of reads agrees with itself', async () => {
    const [chainId, number, block, balance, code, price] = await Promise.all([
      client.getChainId(), client.getBlockNumber(), client.getBlock(), client.getBalance({ address: account.address }),
      client.getCode({ address: account.address }), client.getGasPrice(),
    ]);
    assert.equal(chainId, id);
    assert(block.number >= number - 1n);
    assert(balance > parseEther('1'), `the account holds ${balance} wei only`);
    assert.equal(code, undefined);
    assert(price >= block.baseFeePerGas);
  });

  await step('viem: genesis and unknown blocks', async () => {
    const genesis = await client.getBlock({ blockNumber: 0n });
    assert.equal(genesis.parentHash, `0x${'00'.repeat(32)}`);
    const error = await failure(client.getBlock({ blockNumber: 1n << 40n }));
    assert.equal(error.name, 'BlockNotFoundError');
  });

  await step('viem: a transfer arrives', async () => {
    const hash = await wallet.sendTransaction({ to: other, value: parseEther('0.5') });
    const receipt = await client.waitForTransactionReceipt({ hash });
    assert.equal(receipt.status, 'success');
    assert.equal(receipt.gasUsed, 21000n);
    assert.equal(await client.getBalance({ address: other }), parseEther('0.5'));
    const [transaction, block] = await Promise.all([
      client.getTransaction({ hash }), client.getBlock({ blockHash: receipt.blockHash, includeTransactions: true }),
    ]);
    assert.equal(transaction.blockNumber, receipt.blockNumber);
    assert.equal(block.hash, receipt.blockHash);
    assert.equal(block.transactions[receipt.transactionIndex].hash, hash);
  });

  await step('viem: legacy and access list transactions', async () => {
    for (const extra of [{ type: 'legacy' }, { type: 'eip2930', accessList: [{ address: other, storageKeys: [] }] }]) {
      const hash = await wallet.sendTransaction({ to: other, value: 1n, ...extra });
      const receipt = await client.waitForTransactionReceipt({ hash });
      assert.deepEqual([receipt.status, receipt.type], ['success', extra.type]);
    }
  });

  const token = await step('viem: a contract is deployed', async () => {
    const hash = await wallet.deployContract({ ...Token, args: ['Token', 'TKN', parseEther('1000')] });
    const receipt = await client.waitForTransactionReceipt({ hash });
    assert.equal(receipt.status, 'success');
    assert((await client.getCode({ address: receipt.contractAddress })).length > 2);
    return { address: receipt.contractAddress, abi: Token.abi, block: receipt.blockNumber };
  });

  const heads = [];
  const events = [];
  const stop = [];
  await step('viem: subscriptions over WebSocket begin', async () => {
    const fail = (error) => { throw error; };
    stop.push(live.watchBlocks({ onBlock: (block) => heads.push(block.number), onError: fail }));
    stop.push(live.watchContractEvent({ ...token, eventName: 'Transfer', onLogs: (logs) => events.push(...logs), onError: fail }));
    await live.getBlockNumber();
  });

  const polled = await client.createContractEventFilter({ ...token, eventName: 'Transfer' });
  const transferred = await step('viem: a contract call changes state and logs', async () => {
    assert.equal(await client.readContract({ ...token, functionName: 'balanceOf', args: [account.address] }), parseEther('1000'));
    const { request } = await client.simulateContract({ ...token, account, functionName: 'transfer', args: [other, 7n] });
    const hash = await wallet.writeContract(request);
    const receipt = await client.waitForTransactionReceipt({ hash });
    const [log] = parseEventLogs({ abi: Token.abi, logs: receipt.logs });
    assert.deepEqual(log.args, { from: account.address, to: other, value: 7n });
    assert.equal(await client.readContract({ ...token, functionName: 'balanceOf', args: [other] }), 7n);
    return hash;
  });

  await step('viem: logs are found by block, address and topic', async () => {
    const all = await client.getContractEvents({ ...token, eventName: 'Transfer', fromBlock: token.block });
    assert.equal(all.length, 2);
    const some = await client.getContractEvents({ ...token, eventName: 'Transfer', fromBlock: 0n, args: { to: other } });
    assert.deepEqual(some.map((log) => log.transactionHash), [transferred]);
  });

  await step('viem: a polled filter brings the log once', async () => {
    assert.deepEqual((await client.getFilterChanges({ filter: polled })).map((log) => log.transactionHash), [transferred]);
    assert.deepEqual(await client.getFilterChanges({ filter: polled }), []);
    assert.equal(await client.uninstallFilter({ filter: polled }), true);
  });

  await step('viem: the subscriptions told of blocks and of the log', async () => {
    while (heads.length === 0 || events.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(events.map((log) => log.transactionHash), [transferred]);
    stop.forEach((end) => end());
  });

  await step('viem: a custom error is decoded from a revert', async () => {
    const error = await failure(client.simulateContract({ ...token, account: other, functionName: 'transfer', args: [account.address, 8n] }));
    assert(error instanceof BaseError);
    const revert = error.walk((cause) => cause instanceof ContractFunctionRevertedError);
    assert.equal(revert?.data?.errorName, 'InsufficientBalance');
    assert.deepEqual(revert.data.args, [other, 7n, 8n]);
  });

  await step('viem: estimates are enough and not much more', async () => {
    const gas = await client.estimateContractGas({ ...token, account, functionName: 'transfer', args: [other, 1n] });
    const hash = await wallet.writeContract({ ...token, functionName: 'transfer', args: [other, 1n], gas });
    const receipt = await client.waitForTransactionReceipt({ hash });
    assert.equal(receipt.status, 'success');
    assert(gas <= receipt.gasUsed * 11n / 10n, `${gas} estimated, ${receipt.gasUsed} used`);
    const { maxFeePerGas } = await client.estimateFeesPerGas();
    assert(maxFeePerGas > 0n);
    const history = await client.getFeeHistory({ blockCount: 4, rewardPercentiles: [10, 50, 90] });
    assert.equal(history.baseFeePerGas.length, history.gasUsedRatio.length + 1);
  });

  await step('viem: refusals have the names that wallets know', async () => {
    const poor = createWalletClient({ account: privateKeyToAccount(generatePrivateKey()), chain, transport: http(url) });
    const fees = { gas: 21000n, maxFeePerGas: parseGwei('100'), maxPriorityFeePerGas: 0n };
    const insufficient = await failure(poor.sendTransaction({ to: other, value: 1n, nonce: 0, ...fees }));
    assert(insufficient.walk((cause) => cause.name === 'InsufficientFundsError'), insufficient.message);
    const stale = await failure(wallet.sendTransaction({ to: other, value: 1n, nonce: 0, ...fees }));
    assert(stale.walk((cause) => cause.name === 'NonceTooLowError'), stale.message);
  });
}
