//! Put revert data into words that say what to do next.

use alloy_primitives::FixedBytes;
use alloy_sol_types::{ContractError, SolInterface};
use types::abi::{
    IAudits::{self, IAuditsErrors as Audits},
    IBuckets::{self, IBucketsErrors as Buckets},
    IMiners::{self, IMinersErrors as Miners},
    IModule::{self, IModuleErrors as Module},
    IPolicies::{self, IPoliciesErrors as Policies},
    ITerritories::{self, ITerritoriesErrors as Territories},
    IVolumes::{self, IVolumesErrors as Volumes},
};

/// What revert data says, in words.
pub fn explain(data: &[u8]) -> String {
    if data.is_empty() {
        return "the call reverted without a reason".into();
    }
    if let Ok(error) = Territories::abi_decode(data) {
        return territories(error);
    }
    if let Ok(error) = Volumes::abi_decode(data) {
        return volumes(error);
    }
    if let Ok(error) = Buckets::abi_decode(data) {
        return buckets(error);
    }
    if let Ok(error) = Miners::abi_decode(data) {
        return miners(error);
    }
    if let Ok(error) = Policies::abi_decode(data) {
        return policies(error);
    }
    if let Ok(error) = Audits::abi_decode(data) {
        return audits(error);
    }
    if let Ok(error) = Module::abi_decode(data) {
        return module(error);
    }
    match ContractError::<std::convert::Infallible>::abi_decode(data) {
        Ok(error) => format!("the call reverted: {error}"),
        Err(_) => format!("the call reverted with {}", alloy_primitives::hex::encode_prefixed(data)),
    }
}

fn territories(error: Territories) -> String {
    use ITerritories::*;
    match error {
        Territories::UnknownTerritory(UnknownTerritory { territory }) => {
            format!("territory {territory} does not exist: list yours with `cess territory list`")
        }
        Territories::NotTerritoryOwner(NotTerritoryOwner { territory, caller }) => {
            format!("territory {territory} does not belong to {caller}: use the owner's keystore")
        }
        Territories::InvalidSize(InvalidSize { size }) => format!("a territory cannot have {size} billed bytes"),
        Territories::InvalidTerm(InvalidTerm { daysCount }) => {
            format!("a territory cannot be bought for {daysCount} days")
        }
        Territories::Underpaid(Underpaid { due, paid }) => format!("{due} wei are due, {paid} were sent"),
        Territories::InvalidOwner(_) => "the new owner is no account that can hold a territory".into(),
        Territories::NothingToReclaim(_) => "no quota is due back for that day: try a later one".into(),
        Territories::NoticeTooEarly(NoticeTooEarly { territory, fromMs }) => {
            format!("notice of the end of territory {territory} may be given from {fromMs} ms on")
        }
        Territories::NoticeGiven(NoticeGiven { territory, releasableFromMs }) => {
            format!(
                "notice was given: anyone may release stripes of territory {territory} from {releasableFromMs} ms on"
            )
        }
        Territories::TerritoryFull(TerritoryFull { territory, bytesFree, bytesNeeded }) => format!(
            "territory {territory} has {bytesFree} billed bytes free and {bytesNeeded} are needed: buy more with \
             `cess territory buy`"
        ),
        Territories::TerritoryExpired(TerritoryExpired { territory, paidUntilMs }) => {
            format!("territory {territory} is paid until {paidUntilMs} ms, too short for the minimum term: extend it")
        }
    }
}

fn volumes(error: Volumes) -> String {
    use IVolumes::*;
    match error {
        Volumes::UnknownVolume(UnknownVolume { volume }) => format!("volume {volume} does not exist"),
        Volumes::VolumeClosed(VolumeClosed { volume }) => format!("volume {volume} takes no writes: use another"),
        Volumes::VolumeFull(VolumeFull { volume, bytesFree, bytesNeeded }) => {
            format!("volume {volume} has {bytesFree} bytes free per member and {bytesNeeded} are needed: use another")
        }
        Volumes::InvalidLease(InvalidLease {}) => "the lease is empty, too long or names no volume".into(),
        Volumes::InvalidBatch(InvalidBatch {}) => "a batch of the commit is malformed".into(),
        Volumes::InvalidStripe(InvalidStripe { position }) => format!("stripe {position} of the commit is malformed"),
        Volumes::SegmentAlreadyLive(SegmentAlreadyLive { segment }) => {
            format!("segment {segment} is already in the volume")
        }
        Volumes::SequenceUsed(SequenceUsed { territory, sequence }) => {
            format!("sequence {sequence} of territory {territory} was already committed")
        }
        Volumes::ReceiptsExpired(ReceiptsExpired { expiresAtHeight }) => {
            format!("the members' receipts expired at height {expiresAtHeight}: sign again")
        }
        Volumes::ReceiptsTooLong(ReceiptsTooLong { expiresAtHeight }) => {
            format!("receipts until height {expiresAtHeight} are too long")
        }
        Volumes::QuorumMissing(QuorumMissing { signed, needed }) => {
            format!("{signed} members signed and {needed} must: wait for repair or use another volume")
        }
        Volumes::InvalidSignature(InvalidSignature {}) => "the members' aggregate signature does not verify".into(),
        Volumes::Underpaid(Underpaid { due, paid }) => format!("{due} wei are due, {paid} were sent"),
        Volumes::NotInLog(NotInLog { volume, index }) => format!("stripe {index} is not in the log of volume {volume}"),
        Volumes::AlreadyReleased(AlreadyReleased { volume, index }) => {
            format!("stripe {index} of volume {volume} is already released")
        }
        Volumes::ReleaseNotAllowed(ReleaseNotAllowed { territory, caller }) => {
            format!("{caller} may not release stripes of territory {territory}: use the owner's keystore")
        }
        Volumes::UnknownSeat(UnknownSeat { volume, seat }) => format!("volume {volume} has no seat {seat}"),
        Volumes::NotHolder(NotHolder { volume, seat, caller }) => {
            format!("seat {seat} of volume {volume} is not {caller}'s: use the miner's keystore")
        }
        Volumes::SeatBusy(SeatBusy { volume, seat, state }) => {
            format!("seat {seat} of volume {volume} is in phase {state}, which does not allow this")
        }
        Volumes::NoReturn(NoReturn { volume, seat, reason: 1 }) => {
            format!("seat {seat} of volume {volume} was lost by silence: commit to a round first")
        }
        Volumes::NoReturn(NoReturn { volume, seat, .. }) => {
            format!("seat {seat} of volume {volume} is lost for good: a replacement is drawn")
        }
        Volumes::InvalidWatermark(InvalidWatermark { watermark, target }) => {
            format!("the watermark {watermark} is not above the last one and at most {target}")
        }
        Volumes::InvalidAcknowledgement(InvalidAcknowledgement { position }) => {
            format!("acknowledgement {position} is not signed by the newcomer, or was claimed already")
        }
        Volumes::NothingToSettle(NothingToSettle { volume, seat, .. }) => {
            format!("nothing is to be settled at seat {seat} of volume {volume} yet")
        }
        Volumes::NotMissing(NotMissing { volume, index, seat }) => {
            format!("seat {seat} owes stripe {index} of volume {volume} already, or the stripe is gone")
        }
        Volumes::InvalidEvidence(InvalidEvidence {}) => "the evidence does not hold".into(),
    }
}

fn buckets(error: Buckets) -> String {
    use IBuckets::*;
    match error {
        Buckets::UnknownBucket(UnknownBucket { bucket }) => {
            format!("bucket {bucket} does not exist: create it with `cess bucket create`")
        }
        Buckets::BucketExists(BucketExists { bucket }) => {
            format!("bucket {bucket} exists already: choose another name")
        }
        Buckets::NotBucketOwner(NotBucketOwner { bucket, caller }) => {
            format!("bucket {bucket} does not belong to {caller}: use the owner's keystore")
        }
        Buckets::NotWriter(NotWriter { bucket, caller }) => {
            format!("{caller} may not write bucket {bucket}: ask its owner")
        }
        Buckets::VersionChanged(VersionChanged { bucket, expected, current }) => {
            format!("bucket {bucket} changed meanwhile (version {expected} is now {current}): try again")
        }
        Buckets::InvalidBucket(InvalidBucket {}) => "the bucket's policy, profile or flags are invalid".into(),
        Buckets::TooManyWriters(TooManyWriters { count }) => format!("{count} writers are too many"),
    }
}

fn miners(error: Miners) -> String {
    use IMiners::*;
    match error {
        Miners::UnknownMiner(UnknownMiner { miner }) => format!("miner {miner} does not exist"),
        Miners::NotOperator(NotOperator { caller }) => format!("{caller} has no miner: register first"),
        Miners::UnknownLot(UnknownLot { lot }) => format!("lot {lot} does not exist"),
        Miners::ReceiptKeyTaken(_) => "another miner has this receipt key: use one of its own".into(),
        Miners::AlreadyRegistered(AlreadyRegistered { operator }) => format!("{operator} already has a miner"),
        Miners::InvalidReceiptKey(InvalidReceiptKey {}) => "the receipt key or its proof of possession is wrong".into(),
        Miners::InvalidEndpoint(InvalidEndpoint {}) => "the endpoint is malformed".into(),
        Miners::InvalidRegion(InvalidRegion { region }) => format!("{region} is no ISO 3166 region"),
        Miners::InvalidLots(InvalidLots { lots }) => format!("{lots} lots cannot be pledged"),
        Miners::CollateralTooLow(CollateralTooLow { due, paid }) => {
            format!("{due} wei of collateral are due, {paid} were sent")
        }
        Miners::MinerRetired(MinerRetired { miner }) => format!("miner {miner} is retired"),
        Miners::DrawPending(DrawPending {}) => "a draw is under way: try again after the next blocks".into(),
        Miners::RoundPending(RoundPending {}) => "an audit round holds the miner: try again when it is over".into(),
        Miners::DrainingUnchanged(DrainingUnchanged { miner }) => format!("miner {miner} is in that state already"),
        Miners::NothingToWithdraw(NothingToWithdraw { miner }) => format!("no collateral of miner {miner} waits"),
    }
}

fn policies(error: Policies) -> String {
    use IPolicies::*;
    match error {
        Policies::UnknownPolicy(UnknownPolicy { policy }) => format!("policy {policy} does not exist"),
        Policies::InvalidPolicy(InvalidPolicy {}) => {
            "the policy allows nothing, or has too many regions or miners".into()
        }
        Policies::InvalidRegion(InvalidRegion { region }) => format!("{region} is no ISO 3166 region"),
        Policies::NotPatron(NotPatron { miner, caller }) => {
            format!("miner {miner} did not agree: its operator must set {caller} as its patron")
        }
        Policies::NotPolicyOwner(NotPolicyOwner { policy, caller }) => {
            format!("policy {policy} is private and not {caller}'s: choose another")
        }
        Policies::WideEnough(WideEnough { policy, wanted }) => {
            format!("policy {policy} has {wanted} open volumes already, which is the most")
        }
        Policies::Underpaid(Underpaid { due, paid }) => format!("{due} wei are due, {paid} were sent"),
        Policies::TooFewOperators(TooFewOperators { needed, found, allowed, forbidden }) => {
            let (within, without) = (codes(&allowed), codes(&forbidden));
            let within = if allowed.is_empty() { "anywhere".into() } else { format!("in {within}") };
            let without = if forbidden.is_empty() { String::new() } else { format!(" outside of {without}") };
            format!("needs {needed} operators {within}{without}; {found} have lots there: allow more regions")
        }
        Policies::TooConcentrated(TooConcentrated { needed, effective, found }) => format!(
            "needs {needed} operators of like size; the {found} there count as {effective}, as few have most lots: \
             allow more regions"
        ),
        Policies::MostlyForbidden(MostlyForbidden { lotsAllowed, lotsLeft }) => format!(
            "only {lotsLeft} of {lotsAllowed} lots are left by what is forbidden: allow the wanted regions by name"
        ),
        Policies::CapsTooTight(CapsTooTight { needed, placed, regionCap, networkCap }) => format!(
            "under caps of {regionCap} per region and {networkCap} per network {placed} of {needed} seats find a miner: \
             raise the caps or allow more regions"
        ),
    }
}

fn audits(error: Audits) -> String {
    use IAudits::*;
    match error {
        Audits::NoRounds(NoRounds {}) => "this chain has no audits".into(),
        Audits::WrongStage(WrongStage { round, stage }) => {
            format!("round {round} is at stage {stage}, which does not take this: it came too early or too late")
        }
        Audits::NotAudited(NotAudited { miner: 0 }) => {
            "this account has no miner: register one, or use its keystore".into()
        }
        Audits::NotAudited(NotAudited { miner }) => format!("miner {miner} has no lots to answer for"),
        Audits::AlreadyCommitted(AlreadyCommitted { round }) => format!("round {round} has a commitment already"),
        Audits::InvalidLoss(InvalidLoss {}) => {
            "the entries declared lost are too many, out of order or not asked for".into()
        }
        Audits::UnknownSample(UnknownSample { sample }) => format!("sample {sample} asks nobody anything"),
        Audits::AlreadyOpened(AlreadyOpened { sample }) => format!("sample {sample} is open already"),
        Audits::NotCommitted(NotCommitted { miner }) => format!("miner {miner} did not commit to this round"),
        Audits::InvalidOpening(InvalidOpening { reason }) => format!("the opening is refused: {reason}"),
        Audits::NotLotsOperator(NotLotsOperator { lot }) => {
            format!("lot {lot} is not this account's, or was withdrawn")
        }
        Audits::AlreadyPlotted(AlreadyPlotted { lot }) => format!("the idle root of lot {lot} stands"),
        Audits::BeaconPending(BeaconPending { lot }) => {
            format!("idle units of lot {lot} come from the beacon of the next round: wait until it is open")
        }
        Audits::UnknownDemand(UnknownDemand { demand }) => format!("demand {demand} asks for no such walk, or no more"),
        Audits::DemandPending(DemandPending { demand, round }) => {
            format!("the walks of demand {demand} are drawn when round {round} opens: wait until then")
        }
        Audits::DemandOver(DemandOver { demand }) => format!("the time to meet demand {demand} is over"),
        Audits::AlreadyShown(AlreadyShown { demand, walk }) => format!("walk {walk} of demand {demand} was shown"),
        Audits::InvalidWalk(InvalidWalk { reason }) => format!("the walk is refused: {reason}"),
        Audits::InvalidPlot(InvalidPlot {}) => "name one to 64 idle roots, none of them zero".into(),
        Audits::InvalidChallenge(InvalidChallenge {}) => {
            "the member did not owe this stripe when the round began, or has enough challenges".into()
        }
        Audits::UnknownChallenge(UnknownChallenge { challenge }) => format!("challenge {challenge} is not open"),
        Audits::ChallengePending(ChallengePending { challenge }) => {
            format!("the round of challenge {challenge} is not over: try again after it")
        }
        Audits::NotSilent(NotSilent { lot, missedRounds }) => {
            format!("lot {lot} keeps its seat, if it has one: {missedRounds} rounds in a row were missed")
        }
        Audits::Underpaid(Underpaid { due, paid }) => format!("{due} wei are due, {paid} were sent"),
    }
}

/// Regions as people write them.
fn codes(regions: &[FixedBytes<6>]) -> String {
    let text = |region: &FixedBytes<6>| String::from_utf8_lossy(region.as_slice()).trim_end_matches('\0').to_owned();
    regions.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn module(error: Module) -> String {
    use IModule::*;
    match error {
        Module::UnknownSelector(UnknownSelector { selector }) => {
            format!("the module has no function {selector}: is the program newer than the chain?")
        }
        Module::InvalidCalldata(InvalidCalldata { selector }) => format!("the arguments of {selector} are malformed"),
        Module::NotPayable(_) => "this function takes no money".into(),
        Module::StaticCallNotAllowed(_) => "this function cannot be called from a read-only call".into(),
        Module::DelegateCallNotAllowed(_) => "modules cannot be called by DELEGATECALL or CALLCODE".into(),
        Module::Overflow(_) => "a number is too large".into(),
    }
}
