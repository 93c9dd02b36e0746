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

    /// Who may be drawn: a policy as the modules pass it on.
    struct Rule {
        uint32 policy;
        uint16 regionCap;
        uint16 networkCap;
        bool isPrivate;
        bytes6[] allowed;
        bytes6[] forbidden;
        uint32[] miners;
    }

    /// What `Volumes` and `Policies` ask of `Miners`.
    interface ILots {
        /// Freezes the pool if `seats` lots of as many operators can be drawn under the rule, and enough operators stand
        /// behind it. Says also whether what can be drawn is a large part of all.
        function freeze(Rule rule, uint16 seats, uint32 factor) external returns (bool frozen, bool subsidised);
        /// Freezes the pool for the replacement of members.
        function hold() external returns (bool frozen);
        /// Ends a draw.
        function thaw() external;
        /// Lets lots into the pool that waited; says whether pledges wait for a beacon.
        function tend() external returns (bool waits);
        /// Draws when the pledges that were there at the freeze may be drawn.
        function date(bytes seed) external;
        /// Draws lots from the frozen pool for the seats of `volume` and thaws it; empty where too few operators were found.
        function draw(Rule rule, uint16 seats, uint32 volume, bytes seed)
            external returns (uint32[] lots, uint32[] miners);
        /// Draws one lot for each of `seats` from the frozen pool, of operators that are not among `staying` (who count
        /// for the caps) nor `going` and rebuild nothing else; 0 where none was found.
        function place(Rule rule, uint32 volume, uint16[] seats, uint32[] staying, uint32[] going, bytes seed)
            external returns (uint32[] lots, uint32[] miners);
        /// Reverts with what is missing if `seats` seats cannot be filled under the rule.
        function check(Rule rule, uint16 seats, uint32 factor) external view;
        /// Takes a lot out of its seat for ever: keeps up to `forfeit` of its collateral for the caller, and returns the
        /// rest to the operator.
        function quit(uint32 lot, uint256 forfeit) external returns (uint256 taken);
        /// Says that a miner has finished, or lost, one rebuild.
        function rebuilt(uint32 miner) external;
        /// Receipt keys, one after the other.
        function receiptKeys(uint32[] miners) external view returns (bytes keys);
        /// Who runs a miner.
        function operatorOf(uint32 miner) external view returns (address operator);
        /// Lots pledged and not withdrawn, and those of them that can be drawn.
        function census() external view returns (uint64 lots, uint64 free);
    }

    /// What `Volumes` and `Buckets` ask of `Policies`.
    interface IRules {
        /// The rule of a policy and how many volumes it wants open.
        function rule(uint32 policy) external view returns (Rule rule, uint8 profile, uint16 wanted, address owner);
    }

    /// What `Policies` asks of `Volumes`.
    interface IDemand {
        /// Forms volumes of this policy until enough take writes.
        function demand(uint32 policy) external;
    }

    /// What `Volumes` asks of `Buckets`.
    interface IBucketRoots {
        /// Sets a bucket's root for `writer`.
        function updateFor(address writer, bytes32 bucket, uint64 expectedVersion, bytes32 segment, uint32 volume,
            uint64 offset, uint32 length, bytes32 pageHash) external;
    }

    /// What the start of a block asks of `Volumes`.
    interface IBlockHook {
        /// Takes one step of formation or repair. The seed is empty in blocks that bring no beacon.
        function beginBlock(uint64 epoch, uint64 view, bytes seed) external;
    }

    /// What the start of a block and changes of lots ask of `Audits`.
    interface IRounds {
        /// Takes one step of the round. Answers which view's seed is awaited next, or zero, and the number of the last
        /// round that was opened. For `Volumes`.
        function beginRound(uint64 epoch, uint64 view, bytes seed) external returns (uint64 target, uint64 round);
        /// Numbers new lots of a miner. For `Miners`.
        function enrol(uint32 miner, uint32 firstLot, uint32 lots) external;
        /// Takes lots of a miner out, and says which round holds them still, and until the end of which one their collateral
        /// stays, as walks are demanded; zero if none does. For `Miners`.
        function leave(uint32 miner, uint32 lots) external returns (uint64 held, uint64 until);
        /// The last round that is over, with all its verdicts and all demands that were due. For `Miners`.
        function closed() external view returns (uint64 round);
    }

    /// What `Audits` asks of `Miners`.
    interface ILotAudits {
        /// Where a lot is, or was before it left; `live` while it is not withdrawn, and until the end of `round` if that
        /// one holds it.
        function whereabouts(uint32 lot, uint64 round) external view
            returns (uint32 miner, uint32 volume, uint16 seat, bool live);
        /// Who a miner is and what it has at stake.
        function stake(uint32 miner) external view
            returns (address operator, uint32 lots, uint32 lotsFree, uint256 collateral);
        /// Takes collateral, as much as there is, and sends it to `to`.
        function slash(uint32 miner, uint256 amount, address to) external returns (uint256 taken);
        /// Says that a miner answers no rounds, or answers again.
        function setSilent(uint32 miner, bool silent) external;
    }

    /// What `Audits` asks of `Volumes`: what was owed at beacon A, and that a member is lost.
    interface IMembers {
        /// What a lot answered for at a seat: `tenure` is 0 for nothing yet, 1 for the column without [`gapFrom`,
        /// `gapTo`), 2 for nothing any more, its idle content neither.
        function audited(uint32 volume, uint16 seat, uint32 lot) external view returns (uint8 tenure, uint64 gapFrom,
            uint64 gapTo, uint8 profile, bool subsidised, uint64 columnBytes, uint32 stripeCount, bytes32 stripesRoot,
            uint64 freshFrom);
        /// Whether a seat owed a stripe that the log had.
        function owes(uint32 volume, uint32 stripe, uint16 seat) external view returns (bool);
        /// Who holds a seat now.
        function member(uint32 volume, uint16 seat) external view returns (uint32 lot, uint32 miner);
        /// Declares that the holder of a seat, if it is still this lot, has lost its column or answers no more (reasons of
        /// `IVolumes.Seat`); if `onTrialOnly`, only of a newcomer whose rebuild is not settled. Says whether that changed
        /// anything.
        function declareLost(uint32 volume, uint16 seat, uint32 lot, uint8 reason, bool onTrialOnly)
            external returns (bool done);
    }

    /// What `Audits` asks of `Territories`.
    interface IFees {
        /// Sends up to `amount` of what was paid for space to `Audits`.
        function payOut(uint256 amount) external returns (uint256 paid);
    }
}
