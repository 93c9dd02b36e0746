// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

/// The protocol's modules. Each lives at a fixed address and is called like any contract:
///   Territories 0x000000000000000000000000000000000000ce01
///   Miners      0x000000000000000000000000000000000000ce02
///   Volumes     0x000000000000000000000000000000000000ce03
///   Buckets     0x000000000000000000000000000000000000ce04
///   Audits      0x000000000000000000000000000000000000ce05
///   Policies    0x000000000000000000000000000000000000ce06
/// Times are milliseconds since 1970, sizes are bytes, amounts are wei. DELEGATECALL and CALLCODE are refused.
/// Territories, miners, lots and volumes are numbered from 1; 0 is none of them.
/// What a module pays out runs no code of the receiver: contracts need no `receive()`, and none is called.

/// Reverts that every module may answer with.
interface IModule {
    error UnknownSelector(bytes4 selector);
    error InvalidCalldata(bytes4 selector);
    error NotPayable();
    error StaticCallNotAllowed();
    error DelegateCallNotAllowed();
    error Overflow();
}

/// Where the root page of a bucket's index is.
struct Root {
    bytes32 segment;   // segment that holds the page
    uint32 volume;     // volume of that segment (a hint: compaction may move it)
    uint64 offset;     // first byte of the sealed page within the segment
    uint32 length;     // bytes of the sealed page
    bytes32 pageHash;  // BLAKE3 of the sealed page
}

/// A compare-and-set of a bucket's root.
struct RootUpdate {
    bytes32 bucket;
    uint64 expectedVersion;
    Root root;
}

/// One segment that a commit appends to a volume.
struct Stripe {
    bytes32 fragmentsRoot; // Merkle root over the n fragment roots
    uint64 length;         // bytes of the segment
}

/// Stripes for one volume, with the aggregate of its members' receipts.
struct Batch {
    uint32 volume;
    uint64 territory;       // who pays for the space
    uint64 sequence;        // never used before with this territory
    uint64 expiresAtHeight; // the receipts are void after this block
    Stripe[] stripes;       // 1 to 64
    bytes signers;          // bit j (least significant first) set: the member in seat j signed
    bytes signature;        // aggregate BLS signature, compressed G2, 96 bytes
}

/// A stripe as the log of its volume remembers it.
struct Leaf {
    bytes32 segment;
    uint64 territory;
    uint64 offset;
    uint64 fragmentBytes;
    uint64 length;
    uint64 committedAtMs;
    uint64 termEndMs;
}

/// A stripe to release, with its path in the volume's log (20 siblings, from the leaf up).
struct Release {
    uint32 index;
    Leaf leaf;
    bytes32[20] path;
}

/// What a helper pushed of a rebuilt column, by the signature of the newcomer that got it.
struct Acknowledgement {
    uint32 volume;
    uint16 seat;       // the seat that is rebuilt
    uint16 helper;     // the seat that helped
    uint64 totalBytes; // of the column, in all since the rebuild began
    bytes signature;   // BLS signature by the newcomer's receipt key, compressed G2, 96 bytes
}

/// One chunk of 1 KiB of a fragment, with its paths up to the identity of the segment.
struct Column {
    uint16 index;        // which fragment
    bytes32 root;        // BLAKE3 of the fragment
    bytes32[] path;      // siblings of the root, up to the fragments root
    bytes chunk;         // 1 KiB
    bytes32[] chunkPath; // BLAKE3 chaining values beside the chunk, from the chunk up
}

/// Space bought for a time.
interface ITerritories {
    struct Territory {
        address owner;
        uint64 bytesBought;  // billed bytes: fragment length times n
        uint64 bytesUsed;
        uint64 bytesLeased;
        uint64 paidUntilMs;
    }

    event Bought(uint64 indexed territory, address indexed owner, uint64 size, uint64 paidUntilMs, uint256 paid);
    event Extended(uint64 indexed territory, uint64 paidUntilMs, uint256 paid);
    event Enlarged(uint64 indexed territory, uint64 size, uint256 paid);
    event Transferred(uint64 indexed territory, address indexed from, address indexed to);
    event Reclaimed(uint64 indexed territory, uint64 size);
    event Expiring(uint64 indexed territory, uint64 paidUntilMs, uint64 releasableFromMs);

    error UnknownTerritory(uint64 territory);
    error NotTerritoryOwner(uint64 territory, address caller);
    error InvalidSize(uint64 size);
    error InvalidTerm(uint32 daysCount);
    error Underpaid(uint256 due, uint256 paid);
    error TerritoryFull(uint64 territory, uint64 bytesFree, uint64 bytesNeeded);
    error TerritoryExpired(uint64 territory, uint64 paidUntilMs);
    error InvalidOwner();
    error NothingToReclaim(uint64 territory, uint32 day);
    error NoticeTooEarly(uint64 territory, uint64 fromMs);
    error NoticeGiven(uint64 territory, uint64 releasableFromMs);

    /// Price of `size` billed bytes for `daysCount` days.
    function quote(uint64 size, uint32 daysCount) external view returns (uint256 price);
    /// Buys `size` billed bytes; what is paid too much comes back.
    function buy(uint64 size, uint32 daysCount) external payable returns (uint64 territory);
    /// Prolongs by `daysCount` days from the end of what is paid. Only the owner may.
    function extend(uint64 territory, uint32 daysCount) external payable;
    /// Adds `size` billed bytes for the time that is left. Only the owner may, before the end.
    function enlarge(uint64 territory, uint64 size) external payable;
    /// Gives the territory, with what it holds, to another account.
    function transfer(uint64 territory, address to) external;
    /// Returns the quota of stripes released before the end of their term, once that day (since 1970) has passed.
    /// Anyone may call it.
    function reclaim(uint64 territory, uint32 day) external;
    function territory(uint64 id) external view returns (Territory memory);
    function territoryCount() external view returns (uint64);
    /// Gives notice that the territory ends, from 7 days before its end on. Anyone may, once for each end; without a
    /// notice nobody but the owner releases its stripes.
    function giveNotice(uint64 territory) external;
    /// When anyone may release the territory's stripes; zero while no notice of its present end was given.
    function releasableFrom(uint64 territory) external view returns (uint64 fromMs);
}

/// Storage miners and their pledged lots.
interface IMiners {
    struct Miner {
        address operator;
        bytes receiptKey;    // BLS12-381 G1, compressed, 48 bytes
        bytes endpoint;      // see `types::endpoint`, at most 256 bytes
        bytes6 region;       // ISO 3166-1 alpha-2, or 3166-2, ASCII, zero padded
        uint32 lots;         // pledged, in all
        uint32 lotsFree;     // of these, in no volume
        uint256 collateral;
        bool retired;
    }

    event Registered(uint32 indexed miner, address indexed operator, bytes6 region);
    event EndpointChanged(uint32 indexed miner, bytes endpoint);
    event Pledged(uint32 indexed miner, uint32 lots, uint32 firstLot);
    event Retired(uint32 indexed miner, uint32 lotsFreed, uint256 collateralReturned);

    error UnknownMiner(uint32 miner);
    error NotOperator(address caller);
    error AlreadyRegistered(address operator);
    error UnknownLot(uint32 lot);
    error InvalidReceiptKey();
    error ReceiptKeyTaken(uint32 miner);
    error InvalidEndpoint();
    error InvalidRegion(bytes6 region);
    error InvalidLots(uint32 lots);
    error CollateralTooLow(uint256 due, uint256 paid);
    error MinerRetired(uint32 miner);
    error DrawPending();
    error DrainingUnchanged(uint32 miner);
    error RoundPending();

    /// Registers the caller's miner. `proofOfPossession` is a BLS signature by the receipt key. Costs nothing: the value
    /// comes back.
    function register(bytes calldata receiptKey, bytes calldata proofOfPossession, bytes calldata endpoint, bytes6 region)
        external payable returns (uint32 miner);
    /// Changes where peers reach the caller's miner.
    function setEndpoint(bytes calldata endpoint) external;
    /// Pledges more lots, at most 256; pays their collateral. Lots pledged during a draw count after it.
    function pledge(uint32 lots) external payable;
    /// Takes free lots out and returns their collateral; no new lot of this miner is drawn.
    /// Reverts with `DrawPending` while volumes are being formed.
    function retire() external;
    /// Pays collateral of lots that left during an audit round, once that is over. Reverts with `RoundPending` before.
    function withdraw() external returns (uint256 amount);
    function miner(uint32 id) external view returns (Miner memory);
    function minerOf(address operator) external view returns (uint32 id);
    function minerCount() external view returns (uint32);
    /// Miner and state of a lot: state 0 free, 1 member, 2 withdrawn.
    function lot(uint32 id) external view returns (uint32 miner, uint8 state, uint32 volume, uint16 seat);

    /// What placement asks of a miner.
    struct Standing {
        bytes6 region;
        uint32 network;       // number of the autonomous system (ASN) as declared; 0: not declared, one network of all such
        bool draining;        // takes no new memberships
        bool silent;          // missed so many audit rounds in a row that none of its lots is drawn
        uint16 rebuilds;      // columns that it takes over now
        address patron;       // whose private policies may name it
        uint256 parting;      // collateral of lots that left during an audit round, for `withdraw`
        uint64 partingRound;  // the round that has to be over before
    }

    event Placed(uint32 indexed miner, bytes6 region, uint32 network);
    event DrainingChanged(uint32 indexed miner, bool draining);
    event SilenceChanged(uint32 indexed miner, bool silent);
    event PatronChanged(uint32 indexed miner, address patron);
    /// What is returned is paid at once, or by `withdraw` where an audit round holds the miner.
    event LotLeft(uint32 indexed miner, uint32 indexed lot, uint256 forfeited, uint256 returned);
    event Withdrawn(uint32 indexed miner, uint256 amount);

    error NothingToWithdraw(uint32 miner);

    /// Registers as `register`, and says in which network (ASN) the miner is.
    function registerIn(
        bytes calldata receiptKey, bytes calldata proofOfPossession, bytes calldata endpoint, bytes6 region, uint32 network)
        external payable returns (uint32 miner);
    /// Keeps the caller's free lots from being drawn, or lets them be drawn again. Not while a draw is pending.
    function setDraining(bool draining) external;
    /// Lets the private policies of `patron` name the caller's miner.
    function setPatron(address patron) external;
    function standing(uint32 id) external view returns (Standing memory);
}

/// Volumes: n lots of n operators, written like a log.
interface IVolumes {
    struct Volume {
        uint8 profile;
        uint32 policy;
        bool open;            // takes writes
        uint32 stripeCount;
        uint64 columnBytes;   // length of each column so far
        bytes32 stripesRoot;  // root of the log
        uint32[] lots;        // by seat
        uint32[] miners;      // by seat
    }

    struct Lease {
        uint64 columnBytes;   // what each member may still stage for this territory
        uint64 untilMs;
    }

    event DrawStarted(uint32 indexed policy, uint64 epoch, uint64 targetView);
    event Formed(uint32 indexed volume, uint32 indexed policy, uint32[] lots, uint32[] miners);
    event Appended(
        uint32 indexed volume, uint64 indexed territory, bytes32 indexed segment, uint32 index, uint64 offset,
        uint64 fragmentBytes, uint64 length, uint64 committedAtMs, uint64 termEndMs,
        bytes missing);       // bit j (least significant first) set: the member in seat j did not sign
    event Filled(uint32 indexed volume);
    event Released(uint32 indexed volume, uint64 indexed territory, bytes32 indexed segment, uint32 index);
    event Leased(uint64 indexed territory, uint32 indexed volume, uint64 columnBytes, uint64 untilMs);

    error UnknownVolume(uint32 volume);
    error VolumeClosed(uint32 volume);
    error VolumeFull(uint32 volume, uint64 bytesFree, uint64 bytesNeeded);
    error InvalidLease();
    error InvalidBatch();
    error InvalidStripe(uint256 position);
    error SegmentAlreadyLive(bytes32 segment);
    error SequenceUsed(uint64 territory, uint64 sequence);
    error ReceiptsExpired(uint64 expiresAtHeight);
    error ReceiptsTooLong(uint64 expiresAtHeight);
    error QuorumMissing(uint256 signed, uint256 needed);
    error InvalidSignature();
    error Underpaid(uint256 due, uint256 paid);
    error NotInLog(uint32 volume, uint32 index);
    error AlreadyReleased(uint32 volume, uint32 index);
    error ReleaseNotAllowed(uint64 territory, address caller);

    /// Reserves `columnBytes` of staging on each member of each volume until `untilMs`, from the territory's quota.
    function lease(uint64 territory, uint32[] calldata volumes, uint64 columnBytes, uint64 untilMs) external;
    /// Gives the quota of a lease back that has expired, or whose volume is closed. Anyone may call it.
    function endLease(uint64 territory, uint32 volume) external;
    /// Appends batches and sets bucket roots: all of it, or nothing. Pays the stripes' deposits and, for every seat that
    /// did not sign, the rebuild of its fragments; what is paid too much comes back.
    function commit(Batch[] calldata batches, RootUpdate[] calldata roots) external payable;
    /// Lets stripes of one volume go. The territory's owner may at any time; anyone may after the territory's grace.
    function release(uint32 volume, Release[] calldata stripes) external;
    /// What `commit` will take for these batches.
    function commitPrice(Batch[] calldata batches) external view returns (uint256);

    function volume(uint32 id) external view returns (Volume memory);
    function volumeCount() external view returns (uint32);
    /// Volumes of a policy that take writes.
    function openVolumes(uint32 policy) external view returns (uint32[] memory);
    function leaseOf(uint64 territory, uint32 volume) external view returns (Lease memory);
    /// One more than the position of a live segment in the volume's log, or zero.
    function positionOf(uint32 volume, bytes32 segment) external view returns (uint32);
    function isReleased(uint32 volume, uint32 index) external view returns (bool);
    function isSequenceUsed(uint64 territory, uint64 sequence) external view returns (bool);

    /// A seat and what goes on there. States: 0 whole; 1 lost; 2 rebuilding: the newcomer holds the seat; 3 leaving: the
    /// holder asked to hand over; 4 handing over to a successor; 5 whole, with pay that is not settled.
    /// Reasons: 1 silent, 2 faulty, 3 left, 4 missed the deadline of its rebuild.
    struct Seat {
        uint8 state;
        uint8 reason;         // of the loss
        uint32 lot;           // of the present holder, whose receipts count
        uint32 miner;
        uint32 successorLot;  // while handing over
        uint32 successor;
        uint64 sinceMs;       // when it came into this state
        uint64 watermark;     // the column up to here is there
        uint64 targetBytes;   // bytes of the column to take over
        uint256 payLeft;      // wei not yet claimed
    }

    struct Health {
        uint16 seats;
        uint16 live;          // seats that are not lost or rebuilding
        bool full;            // sealed: takes no writes for ever
        bool paused;          // takes no writes until it is repaired
        bool subsidised;      // formed under a policy that earns emission
        uint16 trigger;       // repair begins at this number of live seats
        bytes lost;           // bit j (least significant first) set: seat j is lost or rebuilding
    }

    event SeatLost(uint32 indexed volume, uint16 indexed seat, uint32 indexed miner, uint8 reason);
    event SeatReturned(uint32 indexed volume, uint16 indexed seat, uint32 indexed miner);
    event SeatLeaving(uint32 indexed volume, uint16 indexed seat, uint32 indexed miner);
    /// Nobody could be drawn for so many seats: none that the policy allows has a free lot. Tried again at `againMs`.
    event NoNewcomer(uint32 indexed volume, uint16 seats, uint64 againMs);
    event Replacing(uint64 epoch, uint64 targetView, uint32[] volumes);
    event SeatDrawn(
        uint32 indexed volume, uint16 indexed seat, uint32 indexed miner, uint32 lot, bool handOver, uint64 targetBytes,
        uint64 deadlineMs);
    event Progressed(uint32 indexed volume, uint16 indexed seat, uint64 watermark);
    event SeatWhole(uint32 indexed volume, uint16 indexed seat, uint32 indexed miner);
    event HandOverMissed(uint32 indexed volume, uint16 indexed seat, uint32 indexed successor);
    event HelpPaid(uint32 indexed volume, uint16 indexed seat, uint32 indexed miner, uint64 totalBytes, uint256 paid);
    event Settled(uint32 indexed volume, uint16 indexed seat, uint32 indexed miner, uint256 paid);
    event Healed(uint32 indexed volume, uint16 indexed seat, uint32 index);
    event Voided(uint32 indexed volume, uint64 indexed territory, bytes32 indexed segment, uint32 index);
    event Paused(uint32 indexed volume);
    event Resumed(uint32 indexed volume);

    error UnknownSeat(uint32 volume, uint16 seat);
    error NotHolder(uint32 volume, uint16 seat, address caller);
    error SeatBusy(uint32 volume, uint16 seat, uint8 state);
    error NoReturn(uint32 volume, uint16 seat, uint8 reason);
    error InvalidWatermark(uint64 watermark, uint64 target);
    error InvalidAcknowledgement(uint256 position);
    error NothingToSettle(uint32 volume, uint16 seat, uint64 fromMs);
    error NotMissing(uint32 volume, uint32 index, uint16 seat);
    error InvalidEvidence();

    /// Gives a seat up at once: it is lost, and its rebuild is paid from the lot's collateral.
    function leave(uint32 volume, uint16 seat) external;
    /// Asks for a successor; the caller keeps seat and duties until the successor has the whole column.
    function handOver(uint32 volume, uint16 seat) external;
    /// Takes a lost seat back, before a replacement is being drawn; who was silent, after a commitment.
    function rejoin(uint32 volume, uint16 seat) external;
    /// Says that the caller, replacement or successor, holds the first `watermark` bytes of the column. It owes them, to
    /// audits from the next round on; with all of them its rebuild is done.
    function progress(uint32 volume, uint16 seat, uint64 watermark) external;
    /// Pays helpers what newcomers acknowledged. Anyone may call it.
    function claimHelp(Acknowledgement[] calldata acknowledgements) external;
    /// Pays the newcomer what no helper claimed, a grace after its rebuild. Anyone may call it.
    function settle(uint32 volume, uint16 seat) external;
    /// Says that the caller's seat now holds its fragments of stripes it had not signed; it owes them, to audits from the next round on, and gets
    /// what the writer paid for the rebuild.
    function heal(uint32 volume, uint16 seat, Release[] calldata stripes) external;
    /// Voids a stripe whose fragments are no codeword: `columns` are the same chunk of k fragments and of one that
    /// contradicts them, last. The writer's deposit is burned.
    function voidMalformed(uint32 volume, Release calldata stripe, uint32 chunk, Column[] calldata columns) external;
    /// Voids a stripe with fragments that never were: a write quorum of members signed that k verified fragments rebuild
    /// all of them to the root `rebuilt`, which is not the segment's. The writer's deposit is burned.
    function voidGhost(
        uint32 volume, Release calldata stripe, bytes32 rebuilt, bytes calldata signers, bytes calldata signature) external;

    function seatOf(uint32 volume, uint16 seat) external view returns (Seat memory);
    function health(uint32 volume) external view returns (Health memory);
    /// Seats that owe nothing of a stripe: bit j (least significant first).
    function missingOf(uint32 volume, uint32 index) external view returns (bytes memory);
}

/// Buckets: the roots of private indexes.
interface IBuckets {
    struct Bucket {
        address owner;
        uint64 territory;
        uint32 policy;
        uint8 profile;
        uint8 flags;          // bit 0: public (content keys stand in the index)
        uint64 version;       // counts root updates
        Root root;
        address[] writers;    // accounts beside the owner that may set the root, at most 16
    }

    event Created(bytes32 indexed bucket, address indexed owner, bytes32 tag, uint64 territory, bytes sealedName);
    event RootChanged(bytes32 indexed bucket, uint64 version, Root root);
    event WritersChanged(bytes32 indexed bucket, address[] writers);
    event Removed(bytes32 indexed bucket, address indexed owner);

    error UnknownBucket(bytes32 bucket);
    error BucketExists(bytes32 bucket);
    error NotBucketOwner(bytes32 bucket, address caller);
    error NotWriter(bytes32 bucket, address caller);
    error VersionChanged(bytes32 bucket, uint64 expected, uint64 current);
    error InvalidBucket();
    error TooManyWriters(uint256 count);

    /// Creates bucket H("cess bucket v1", caller ‖ tag); the caller must own the territory.
    /// `sealedName` (at most 512 bytes) only goes into the event.
    function create(bytes32 tag, uint64 territory, uint32 policy, uint8 profile, uint8 flags, bytes calldata sealedName)
        external returns (bytes32 bucket);
    /// Sets the root if the version is still the expected one.
    function update(RootUpdate calldata change) external;
    function setWriters(bytes32 bucket, address[] calldata writers) external;
    function setTerritory(bytes32 bucket, uint64 territory) external;
    function remove(bytes32 bucket) external;
    function bucket(bytes32 id) external view returns (Bucket memory);

    event PolicyChanged(bytes32 indexed bucket, uint32 policy);

    /// Says where segments written from now on are to be kept. Reverts with what is missing if nothing satisfies the policy.
    function setPolicy(bytes32 bucket, uint32 policy) external;
}

/// Placement policies: where the members of a volume may be. A policy never changes.
interface IPolicies {
    struct Policy {
        uint8 profile;
        uint16 regionCap;     // most members in one declared region; 0: no cap
        uint16 networkCap;    // most members in one network; 0: no cap
        bytes6[] allowed;     // ISO 3166-1 or 3166-2; none: everywhere. "DE" covers "DE-BE"
        bytes6[] forbidden;
        uint32[] miners;      // of a private policy: who may be drawn; none: a public policy
    }

    event Created(uint32 indexed policy, address indexed owner, Policy rule);
    event Widened(uint32 indexed policy, uint16 wanted);

    error UnknownPolicy(uint32 policy);
    error InvalidPolicy();
    error InvalidRegion(bytes6 region);
    error NotPatron(uint32 miner, address caller);
    error NotPolicyOwner(uint32 policy, address caller);
    error WideEnough(uint32 policy, uint16 wanted);
    error Underpaid(uint256 due, uint256 paid);
    /// The regions have lots of `found` operators, `needed` are needed.
    error TooFewOperators(uint32 needed, uint32 found, bytes6[] allowed, bytes6[] forbidden);
    /// `found` operators have lots, but few have most: they count as `effective`, and `needed` are needed.
    error TooConcentrated(uint32 needed, uint32 effective, uint32 found);
    /// Less than a quarter of the lots of the allowed regions is not forbidden: allow the wanted ones by name.
    error MostlyForbidden(uint64 lotsAllowed, uint64 lotsLeft);
    /// Under these caps only `placed` of `needed` seats found a miner: operators in more regions or networks, or higher caps.
    error CapsTooTight(uint16 needed, uint16 placed, uint16 regionCap, uint16 networkCap);

    /// Creates a policy and pays for its first volume. A public policy that is there already is returned as it is.
    function create(Policy calldata rule) external payable returns (uint32 policy);
    /// Pays for one more volume that takes writes at the same time.
    function widen(uint32 policy) external payable;
    /// Price of a volume under a policy of this profile.
    function openingPrice(uint8 profile) external view returns (uint256);
    /// Reverts with what is missing if no volume can be formed under the policy now.
    function check(uint32 policy) external view;
    /// The rule as it is kept: regions in order, none twice and none within another.
    function policy(uint32 id) external view returns (Policy memory);
    /// Who created the policy, and how many volumes take writes at the same time.
    function demand(uint32 id) external view returns (address owner, uint16 wanted);
    function policyCount() external view returns (uint32);
}

/// Audit rounds: beacon A says what is to be answered, a miner commits to its answers, beacon B says which are opened.
interface IAudits {
    struct Round {
        uint64 number;        // counts the rounds that were opened
        uint8 stage;          // 0 rest, 1 beacon A awaited, 2 commit, 3 beacon B awaited, 4 open, 5 settle
        uint64 deadlineMs;    // of stage 2 or 4
        bytes32 beaconA;
        bytes32 beaconB;
        uint32 lots;          // numbered at beacon A
        uint32 lotsLive;      // of these, not withdrawn
        uint32 samples;       // drawn by beacon B
        uint32 settled;       // of these, judged
    }

    struct Standing {
        uint32 lots;          // at beacon A, withdrawn ones too; responses are numbered over them
        uint32 lotsLive;      // now
        uint64 committed;     // last round with a commitment
        bytes32 commitment;   // of that round
        uint64 booked;        // rounds up to this one were answered or fined
        uint64 faulted;       // last round with a fault
        uint32 faults;
        uint8 watchedRounds;  // to be answered with additional samples
        uint256 vesting;
        uint256 claimable;    // paid by `claim`
        uint16 missedRounds;  // in a row; at `silent_rounds` its seats may be declared lost
    }

    struct Sample {
        uint32 miner;         // 0: nobody is asked
        uint32 lot;
        uint32 slot;
        uint64 chunk;
        uint64 entry;         // position among the miner's responses
        bool deep;
        bool answered;
    }

    struct Duty {
        uint32 volume;        // 0: a member of none
        uint16 seat;
        uint64 columnBytes;
        uint32 stripeCount;
        bytes32 stripesRoot;
        uint64 freshFrom;     // what lies in the column from here on was committed lately
        bytes32 idleRoot;     // 0: no idle content is owed
        uint64 gapFrom;       // a newcomer owes no stripe that touches [gapFrom, gapTo): they read as zeros
        uint64 gapTo;
    }

    struct Challenge {
        uint32 volume;
        uint32 stripe;
        uint16 seat;
        uint32 miner;
        uint64 round;         // answered while this round takes openings
        uint8 state;          // 1 open, 2 answered, 3 failed, 4 void
        uint64 offset;        // of the stripe in the column
        uint64 fragmentBytes;
        address challenger;
    }

    struct Demand {
        uint32 miner;
        uint32 firstLot;
        uint8 lots;           // lots firstLot, firstLot + 1, … are one batch
        uint32 firstWalk;     // number of the first walk that the beacon draws for it
        uint8 walks;
        uint32 shown;         // bit t (least significant first): walk firstWalk + t was shown
        uint64 round;         // whose beacon A draws the walks
        uint64 deadline;      // they may be shown until this round is over
        uint8 state;          // 1 open, 2 met, 3 failed, 4 void
    }

    event Plotted(uint32 indexed miner, uint32 firstLot, bytes32[] idleRoots);
    event Demanded(
        uint64 indexed demand, uint32 indexed miner, uint32 firstLot, uint8 lots, uint32 firstWalk, uint8 walks,
        uint64 round, uint64 deadline);
    event Shown(uint64 indexed demand, uint32 indexed miner, uint8 walk);
    /// All walks of a demand were shown during `round`.
    event DemandMet(uint64 indexed demand, uint32 indexed miner, uint64 round);
    /// Walks were not shown in time: the bits of those that were. A demand whose lot lost its root meanwhile is void.
    event DemandFailed(uint64 indexed demand, uint32 indexed miner, uint8 state, uint32 shown, uint256 fine);
    event RoundOpened(uint64 indexed round, bytes32 beacon, uint32 lots, uint64 deadlineMs);
    event Committed(uint64 indexed round, uint32 indexed miner, bytes32 root, uint32[] lost);
    event Drawn(uint64 indexed round, bytes32 beacon, uint32 samples, uint64 deadlineMs);
    event Opened(uint64 indexed round, uint32 indexed miner, uint32 sample, uint256 reward);
    event Faulted(
        uint64 indexed round, uint32 indexed miner, uint32 sample, uint32 lot, uint32 slot, uint64 chunk, uint64 entry,
        uint256 fine);
    event Missed(uint32 indexed miner, uint64 firstRound, uint64 lastRound, uint256 fine);
    event DeclaredLost(uint64 indexed round, uint32 indexed miner, uint256 paid);
    event RoundClosed(uint64 indexed round, uint32 samples, uint32 answered);
    event Claimed(uint32 indexed miner, uint256 amount);
    event Funded(address indexed from, uint256 amount);
    event Challenged(uint64 indexed challenge, uint32 indexed miner, uint32 volume, uint32 stripe, uint16 seat, uint64 round);
    event ChallengeEnded(uint64 indexed challenge, uint32 indexed miner, uint8 state, uint256 fine);

    error NoRounds();
    error WrongStage(uint64 round, uint8 stage);
    error NotAudited(uint32 miner);
    error AlreadyCommitted(uint64 round);
    error InvalidLoss();
    error UnknownSample(uint32 sample);
    error AlreadyOpened(uint32 sample);
    error NotCommitted(uint32 miner);
    error InvalidOpening(string reason);
    error NotLotsOperator(uint32 lot);
    error AlreadyPlotted(uint32 lot);
    error InvalidPlot();
    error BeaconPending(uint32 lot);
    error UnknownDemand(uint64 demand);
    error DemandPending(uint64 demand, uint64 round);
    error DemandOver(uint64 demand);
    error AlreadyShown(uint64 demand, uint8 walk);
    error InvalidWalk(string reason);
    error InvalidChallenge();
    error UnknownChallenge(uint64 challenge);
    error ChallengePending(uint64 challenge);
    error NotSilent(uint32 lot, uint16 missedRounds);
    error Underpaid(uint256 due, uint256 paid);

    /// Names the idle roots of consecutive lots, at most 64, each once and for good unless a demand fails. Opens a demand
    /// over these lots; they count from the round after it was met, or from the next round where pledges are not checked.
    /// Reverts with `BeaconPending` before the first round after a lot's pledge is open: its units come from that beacon.
    function plot(uint32 firstLot, bytes32[] calldata idleRoots) external;
    /// Shows walk `firstWalk + walk` of a demand, until its deadline's round is over. Anyone may call it.
    function show(uint64 demand, uint8 walk, bytes calldata content) external;
    /// Commits to the responses of the caller's miner. `lost` are entries, in rising order, that it cannot open: each
    /// costs its rebuild instead of a fine.
    function commit(uint64 round, bytes32 root, uint32[] calldata lost) external;
    /// Opens what a sample asks for. Anyone may call it.
    function open(uint64 round, uint32 sample, bytes calldata opening) external;
    /// Books the rounds that a miner missed. Anyone may call it.
    function report(uint32 miner) external;
    /// Books them, and declares the seat of one of its lots lost if it missed `silent_rounds` in a row. Anyone may call it.
    function reportSilent(uint32 lot) external;
    /// Pays what the caller's miner earned and may have by now.
    function claim() external returns (uint256 amount);
    /// Adds to what emission is paid from.
    function fund() external payable;
    /// Has a member show a chunk of one stripe, which the next beacon B chooses. Costs `challenge_fee`. `path` are the
    /// leaf's siblings in the log as of beacon A, without the empty ones above.
    function challenge(uint32 volume, uint16 seat, uint32 stripe, Leaf calldata leaf, bytes32[] calldata path)
        external payable returns (uint64 id);
    /// Answers a directed challenge. Anyone may call it.
    function answer(uint64 challenge, bytes calldata content) external;
    /// Ends a directed challenge that nobody answered. Anyone may call it; the challenger gets the fee back and a tenth
    /// of the fine.
    function expire(uint64 challenge) external;

    function round() external view returns (Round memory);
    function standing(uint32 miner) external view returns (Standing memory);
    /// What a sample of the present round asks, from beacon B on.
    function sample(uint32 number) external view returns (Sample memory);
    function isOpened(uint32 sample) external view returns (bool);
    /// The root named for a lot, if no demand took it back.
    function idleRoot(uint32 lot) external view returns (bytes32);
    /// The demand that a lot's root was named with, and the round during which it was met; zero before, or if the root was
    /// taken back.
    function checkOf(uint32 lot) external view returns (uint64 demand, uint64 round);
    function demandOf(uint64 id) external view returns (Demand memory);
    /// Demands not settled yet: [first, end).
    function demands() external view returns (uint64 first, uint64 end);
    /// How many demands a miner has ever had, and those of them that are not settled.
    function demandCount(uint32 miner) external view returns (uint32 count, uint32 open);
    /// A miner's demands, from 0 on.
    function demandAt(uint32 miner, uint32 index) external view returns (uint64 demand);
    /// The first round that opened after a lot was pledged, and its beacon A, which the lot's idle units come from; zero
    /// before it opens.
    function lotBeacon(uint32 lot) external view returns (uint64 round, bytes32 beacon);
    /// The lot behind a miner's own number, from 0 on.
    function lotOf(uint32 miner, uint32 number) external view returns (uint32 lot);
    /// What a lot owed at beacon A of the present round.
    function duty(uint32 lot) external view returns (Duty memory);
    /// Whether a seat owed a stripe at beacon A of the present round.
    function owes(uint32 volume, uint32 stripe, uint16 seat) external view returns (bool);
    /// What a good opening of service content earns at most in this round, and what a bad one costs.
    function prices() external view returns (uint256 fee, uint256 emission, uint256 fine);
    function challengeOf(uint64 id) external view returns (Challenge memory);
    function reserve() external view returns (uint256);
}
