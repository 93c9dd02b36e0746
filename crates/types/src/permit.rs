//! Let a peer stage fragments on a territory's account (EIP-712).

use crate::abi;
use alloy_primitives::{Address, B256, Signature};
use alloy_sol_types::{Eip712Domain, SolStruct, eip712_domain};

alloy_sol_types::sol! {
    /// The owner of a territory lets the peer with transport key `uploader` use the territory's leases.
    #[derive(Debug, PartialEq, Eq, Hash)]
    struct Permit {
        uint64 territory;
        bytes32 uploader;
        uint64 expiresMs;
    }
}

/// The EIP-712 domain of protocol messages on a chain.
pub fn eip712_domain(chain_id: u64) -> Eip712Domain {
    eip712_domain! {
        name: "CESS",
        version: "1",
        chain_id: chain_id,
        verifying_contract: abi::VOLUMES,
    }
}

/// The hash that a wallet signs.
pub fn signing_hash(permit: &Permit, chain_id: u64) -> B256 {
    permit.eip712_signing_hash(&eip712_domain(chain_id))
}

/// The account that signed, if the signature is one.
pub fn recover(permit: &Permit, chain_id: u64, signature: &Signature) -> Option<Address> {
    signature.recover_address_from_prehash(&signing_hash(permit, chain_id)).ok()
}
