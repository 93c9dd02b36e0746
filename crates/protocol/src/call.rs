//! Take calldata to a module's method and its answer back.

use crate::{Error, Ledger, Result, words};
use alloy_primitives::{Address, Bytes, FixedBytes};
use alloy_sol_types::{SolCall, SolInterface, abi::AbiDecoderConfig};
use types::abi::IModule;

/// Protocol code at a fixed address.
pub trait Module: Send + Sync {
    /// Answers one call.
    fn call(&self, ledger: &mut dyn Ledger, input: &[u8]) -> Result<Bytes>;
}

/// What decoding one call may allocate.
const DECODER_BYTES_MAX: usize = 1 << 20;

/// Decodes a call of interface `I`; refuses dirty bytes, as Solidity does, and dynamic data that overlaps.
pub fn decode<I: SolInterface>(ledger: &mut dyn Ledger, input: &[u8]) -> Result<I> {
    ledger.charge_gas(words(input.len()).saturating_mul(6))?;
    let selector = input.first_chunk::<4>().copied();
    let Some(selector) = selector.filter(|selector| I::valid_selector(*selector)) else {
        let selector = FixedBytes(selector.unwrap_or_default());
        return Err(IModule::UnknownSelector { selector }.into());
    };
    let config =
        AbiDecoderConfig::new().strict(true).validate_allow_trailing_bytes(true).memory_limit(DECODER_BYTES_MAX);
    I::abi_decode_with_config(input, config)
        .map_err(|_| IModule::InvalidCalldata { selector: FixedBytes(selector) }.into())
}

/// Decodes a call of the internal interface `I` if it comes from `caller`; to everyone else the functions do not exist.
pub fn decode_internal<I: SolInterface>(ledger: &mut dyn Ledger, input: &[u8], caller: Address) -> Result<Option<I>> {
    let selector = input.first_chunk::<4>();
    if ledger.caller() == caller && selector.is_some_and(|selector| I::valid_selector(*selector)) {
        decode(ledger, input).map(Some)
    } else {
        Ok(None)
    }
}

/// Answers a call that reads only.
pub fn view<C: SolCall>(
    ledger: &mut dyn Ledger,
    call: C,
    method: impl FnOnce(&mut dyn Ledger, C) -> Result<C::Return>,
) -> Result<Bytes> {
    refuse_value(ledger)?;
    answer(ledger, call, method)
}

/// Answers a call that writes.
pub fn mutate<C: SolCall>(
    ledger: &mut dyn Ledger,
    call: C,
    method: impl FnOnce(&mut dyn Ledger, C) -> Result<C::Return>,
) -> Result<Bytes> {
    refuse_value(ledger)?;
    payable(ledger, call, method)
}

/// Answers a call that writes and accepts value.
pub fn payable<C: SolCall>(
    ledger: &mut dyn Ledger,
    call: C,
    method: impl FnOnce(&mut dyn Ledger, C) -> Result<C::Return>,
) -> Result<Bytes> {
    if ledger.is_static() {
        return Err(IModule::StaticCallNotAllowed {}.into());
    }
    answer(ledger, call, method)
}

fn refuse_value(ledger: &dyn Ledger) -> Result<()> {
    if ledger.value().is_zero() { Ok(()) } else { Err(Error::from(IModule::NotPayable {})) }
}

fn answer<C: SolCall>(
    ledger: &mut dyn Ledger,
    call: C,
    method: impl FnOnce(&mut dyn Ledger, C) -> Result<C::Return>,
) -> Result<Bytes> {
    let output = C::abi_encode_returns(&method(ledger, call)?);
    ledger.charge_gas(words(output.len()).saturating_mul(3))?;
    Ok(output.into())
}
