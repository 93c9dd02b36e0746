// Compile the repository's example contracts, and what this folder adds to them.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import solc from 'solc';

const HERE = dirname(fileURLToPath(import.meta.url));
const CONTRACTS = join(HERE, '..', '..', 'contracts');
const SOURCES = {
  Token: join(CONTRACTS, 'examples', 'Token.sol'),
  StorageBuyer: join(CONTRACTS, 'examples', 'StorageBuyer.sol'),
  Refuser: join(HERE, 'contracts', 'Refuser.sol'),
};

// Imports are relative to the examples.
function read(path) {
  const file = join(CONTRACTS, path);
  return existsSync(file) ? { contents: readFileSync(file, 'utf8') } : { error: `there is no ${file}` };
}

// { Token: { abi, bytecode }, … } and the interfaces of the protocol's modules under `interfaces`.
export function compile() {
  const names = Object.keys(SOURCES);
  const input = {
    language: 'Solidity',
    sources: Object.fromEntries(names.map((name) => [`examples/${name}.sol`, { content: readFileSync(SOURCES[name], 'utf8') }])),
    settings: {
      evmVersion: 'osaka',
      optimizer: { enabled: true, runs: 200 },
      outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object'] } },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: read }));
  const errors = (output.errors ?? []).filter((error) => error.severity === 'error');
  if (errors.length > 0) throw new Error(errors.map((error) => error.formattedMessage).join('\n'));
  const artifact = (file, name) => {
    const { abi, evm } = output.contracts[file][name];
    return { abi, bytecode: `0x${evm.bytecode.object}` };
  };
  const interfaces = Object.keys(output.contracts['Cess.sol']).map((name) => [name, artifact('Cess.sol', name).abi]);
  return {
    ...Object.fromEntries(names.map((name) => [name, artifact(`examples/${name}.sol`, name)])),
    interfaces: Object.fromEntries(interfaces),
  };
}
