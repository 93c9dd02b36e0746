//! Serve the protocol's modules beside Ethereum's precompiles.

use crate::{
    context::BlockContext,
    ledger::{Call, JournalLedger, entry_gas},
    machine::SPEC,
};
use alloy_primitives::Address;
use protocol::{BlockFacts, Error, Ledger, Module};
use revm::{
    context_interface::{Cfg, ContextTr},
    handler::{EthPrecompiles, PrecompileProvider},
    interpreter::{CallInputs, CallScheme, InterpreterResult},
    primitives::{AddressSet, hardfork::SpecId},
};
use std::{collections::BTreeMap, sync::Arc};
use types::abi::IModule;

/// The code of every module's account: not empty, no instruction, and nothing that anyone can deploy (EIP-3541).
///
/// Solidity, `eth_getCode` and proofs see a contract, and EIP-161 never deletes the account. What runs is the module.
pub(crate) const STUB: &[u8] = &[0xef];

/// The modules of a protocol version, by address.
pub(crate) type Modules = Arc<BTreeMap<Address, Box<dyn Module>>>;

/// Ethereum's precompiles and the protocol's modules, with the facts of the block for them.
#[derive(Clone)]
pub(crate) struct Precompiles {
    ethereum: EthPrecompiles,
    modules: Modules,
    facts: BlockFacts,
    warm: Arc<AddressSet>,
}

impl Precompiles {
    pub(crate) fn new(modules: Modules, context: &BlockContext) -> Self {
        let ethereum = EthPrecompiles::new(SPEC);
        let warm = ethereum.warm_addresses().iter().chain(modules.keys()).copied().collect();
        let facts = BlockFacts {
            height: context.height,
            timestamp_ms: context.timestamp_ms,
            epoch: context.epoch,
            view: context.view,
            is_epoch_ending: context.is_epoch_ending,
            chain_id: context.chain_id,
            prevrandao: context.prevrandao,
        };
        Self { ethereum, modules, facts, warm: Arc::new(warm) }
    }
}

impl<CTX: ContextTr<Cfg: Cfg<Spec = SpecId>>> PrecompileProvider<CTX> for Precompiles {
    type Output = InterpreterResult;

    /// The rules are fixed when the provider is made.
    fn set_spec(&mut self, _: SpecId) -> bool {
        false
    }

    fn run(&mut self, context: &mut CTX, inputs: &CallInputs) -> Result<Option<InterpreterResult>, String> {
        let Some(module) = self.modules.get(&inputs.bytecode_address) else {
            return self.ethereum.run(context, inputs);
        };
        // The input may be a buffer of the context, which the ledger is going to borrow.
        let input = inputs.input.bytes(context);
        let mut ledger = JournalLedger::new(context, &self.modules, self.facts, Call::of(inputs));
        let result = if matches!(inputs.scheme, CallScheme::Call | CallScheme::StaticCall) {
            ledger
                .charge_gas(entry_gas(input.len()))
                .map_err(Error::from)
                .and_then(|()| module.call(&mut ledger, &input))
        } else {
            Err(IModule::DelegateCallNotAllowed {}.into())
        };
        Ok(Some(ledger.finish(result)))
    }

    fn warm_addresses(&self) -> &AddressSet {
        &self.warm
    }
}
