//! Derive a devnet's accounts from the mnemonic that every Ethereum tool knows.

use super::description::DevelopmentAccount;
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner};

/// The public test mnemonic. Whoever sends anything of value to its accounts loses it.
pub const MNEMONIC: &str = "test test test test test test test test test test test junk";
/// Funded accounts for people.
pub const DEVELOPMENT_ACCOUNTS: u32 = 10;
/// Index of the first miner's operator.
const OPERATORS: u32 = 1_000;
/// Index of the first validator's beneficiary.
const BENEFICIARIES: u32 = 2_000;

/// The funded accounts for people.
pub fn development() -> Vec<DevelopmentAccount> {
    (0..DEVELOPMENT_ACCOUNTS).map(|index| described(&signer(index))).collect()
}

/// The account that operates a miner.
pub fn operator(miner: u32) -> PrivateKeySigner {
    signer(OPERATORS + miner)
}

/// The account that receives a validator's fees.
pub fn beneficiary(validator: u32) -> PrivateKeySigner {
    signer(BENEFICIARIES + validator)
}

/// The account at `m/44'/60'/0'/0/index`.
fn signer(index: u32) -> PrivateKeySigner {
    MnemonicBuilder::from_phrase_nth(MNEMONIC, index)
}

fn described(signer: &PrivateKeySigner) -> DevelopmentAccount {
    DevelopmentAccount { address: signer.address(), private_key: signer.to_bytes() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{address, b256};

    #[test]
    fn accounts_are_those_of_other_tools() {
        let accounts = development();
        assert_eq!(accounts[0].address, address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
        assert_eq!(accounts[0].private_key, b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"));
        assert_eq!(accounts[9].address, address!("a0Ee7A142d267C1f36714E4a8F75612F20a79720"));
    }
}
