//! Let modules call each other: functions that exist for one caller only and are no part of the public interface.
//!
//! Who acts is passed along as an argument, because the callee sees the calling module as its caller.

use alloy_primitives::{Address, address};

/// The caller of what the protocol itself does at the start of each block; nobody can sign for it (EIP-4788).
pub const SYSTEM: Address = address!("fffffffffffffffffffffffffffffffffffffffe");

alloy_sol_types::sol! {
    #![sol(all_derives)]

    /// What `Volumes` asks of `Territories`.
    interface ITerritoryAccounts {
        /// Moves `leased` bytes from leased to used and `free` bytes from free to used; `account` must own the
        /// territory, and it must be paid until `paidUntilMs` at least.
        function bill(uint64 territory, address account, uint64 leased, uint64 free, uint64 paidUntilMs) external;
        /// Moves free bytes to leased; `account` must own the territory, and it must not have expired.
        function reserve(uint64 territory, address account, uint64 size) external;
        /// Moves leased bytes to free.
        function unreserve(uint64 territory, uint64 size) external;
        /// Gives used bytes back: now, or by `reclaim` once the term has ended.
        function unbill(uint64 territory, uint64 size, uint64 termEndMs) external;
    }

    /// What `Volumes` asks of `Miners`.
    interface ILots {
        /// Freezes the pool if `seats` lots of as many operators can be drawn from it, and enough operators stand behind
        /// it.
        function freeze(uint16 seats, uint32 factor) external returns (bool frozen);
        /// Draws lots from the frozen pool for the seats of `volume` and thaws it; empty where chance brought too few
        /// operators, and the pool stays frozen.
        function draw(uint16 seats, uint32 policy, uint32 volume, bytes seed)
            external returns (uint32[] lots, uint32[] miners);
        /// Receipt keys, one after the other.
        function receiptKeys(uint32[] miners) external view returns (bytes keys);
    }

    /// What `Volumes` asks of `Buckets`.
    interface IBucketRoots {
        /// Sets a bucket's root for `writer`.
        function updateFor(address writer, bytes32 bucket, uint64 expectedVersion, bytes32 segment, uint32 volume,
            uint64 offset, uint32 length, bytes32 pageHash) external;
    }

    /// What the start of a block asks of `Volumes`.
    interface IBlockHook {
        /// Takes one step of formation. The seed is empty in blocks that bring no beacon.
        function beginBlock(uint64 epoch, uint64 view, bytes seed) external;
    }
}
