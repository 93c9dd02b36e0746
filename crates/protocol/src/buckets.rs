//! Keep the roots of buckets, each changed only by who knows the present one.

use crate::{
    Checked, Ledger, Module, PUBLIC_POLICY, Result,
    call::{decode, decode_internal, mutate, view},
    internal::{
        IBucketRoots::{self, IBucketRootsCalls as Internal},
        IRules,
    },
    layout,
    storage::{Array, Layout, Mapping, Slot},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use types::{
    abi::{
        IBuckets::{self, IBucketsCalls as Calls},
        IPolicies, ITerritories, IVolumes, POLICIES, Root, RootUpdate, SEALED_NAME_BYTES_MAX, TERRITORIES, VOLUMES,
        WRITERS_MAX,
    },
    bucket::bucket_id,
    layout::buckets::{Deed, State},
    spec::StorageSpec,
};

/// Flag: content keys stand in the index, anyone may read.
pub const PUBLIC_FLAG: u8 = 1;

layout! {
    struct Record {
        deed: Slot<Deed>,
        state: Slot<State>,
        root_segment: Slot<B256>,
        root_page_hash: Slot<B256>,
        writers: Array<Slot<Address>, WRITERS_MAX>,
    }
}

layout! {
    struct Storage {
        buckets: Mapping<B256, Record>,
    }
}

/// The module at [`BUCKETS`](types::abi::BUCKETS).
#[derive(Debug)]
pub struct Buckets {
    storage: Storage,
}

impl Module for Buckets {
    fn call(&self, ledger: &mut dyn Ledger, input: &[u8]) -> Result<Bytes> {
        if let Some(Internal::updateFor(call)) = decode_internal(ledger, input, VOLUMES)? {
            return mutate(ledger, call, |ledger, call| {
                let (writer, update) = root_update(call);
                self.update(ledger, writer, update)?;
                Ok(IBucketRoots::updateForReturn {})
            });
        }
        match decode(ledger, input)? {
            Calls::create(call) => mutate(ledger, call, |ledger, call| self.create(ledger, call)),
            Calls::update(call) => mutate(ledger, call, |ledger, call| {
                let writer = ledger.caller();
                self.update(ledger, writer, call.change)?;
                Ok(IBuckets::updateReturn {})
            }),
            Calls::setWriters(call) => mutate(ledger, call, |ledger, call| self.set_writers(ledger, call)),
            Calls::setTerritory(call) => mutate(ledger, call, |ledger, call| self.set_territory(ledger, call)),
            Calls::setPolicy(call) => mutate(ledger, call, |ledger, call| self.set_policy(ledger, call)),
            Calls::remove(call) => mutate(ledger, call, |ledger, call| self.remove(ledger, call.bucket)),
            Calls::bucket(call) => view(ledger, call, |ledger, call| self.bucket(ledger, call.id)),
        }
    }
}

impl Buckets {
    /// The module under the parameters of a chain.
    pub fn new(_: &StorageSpec) -> Self {
        Self { storage: Storage::at(U256::ZERO) }
    }

    fn create(&self, ledger: &mut dyn Ledger, call: IBuckets::createCall) -> Result<B256> {
        let IBuckets::createCall { tag, territory, policy, profile, flags, sealedName } = call;
        let asked = chosen(ledger, policy)?;
        if profile != asked || flags & !PUBLIC_FLAG != 0 || sealedName.len() > SEALED_NAME_BYTES_MAX {
            return Err(IBuckets::InvalidBucket {}.into());
        }
        let owner = ledger.caller();
        ledger.charge_hashes(1, 52)?;
        let bucket = bucket_id(owner, &tag);
        let record = self.storage.buckets.at(ledger, &bucket)?;
        if !record.deed.get(ledger)?.owner.is_zero() {
            return Err(IBuckets::BucketExists { bucket }.into());
        }
        require_territory(ledger, territory, owner)?;
        record.deed.set(ledger, Deed { owner, territory, policy })?;
        record.state.set(ledger, State { profile, flags, ..State::default() })?;
        ledger.emit(&IBuckets::Created { bucket, owner, tag, territory, sealedName })?;
        Ok(bucket)
    }

    fn update(&self, ledger: &mut dyn Ledger, writer: Address, change: RootUpdate) -> Result<()> {
        let RootUpdate { bucket, expectedVersion, root } = change;
        let (record, deed) = self.known(ledger, bucket)?;
        let state = record.state.get(ledger)?;
        if deed.owner != writer && !record.writers(ledger, &state)?.contains(&writer) {
            return Err(IBuckets::NotWriter { bucket, caller: writer }.into());
        }
        if state.version != expectedVersion {
            return Err(IBuckets::VersionChanged { bucket, expected: expectedVersion, current: state.version }.into());
        }
        let version = state.version.plus(1)?;
        record.root_segment.set(ledger, root.segment)?;
        record.root_page_hash.set(ledger, root.pageHash)?;
        let (root_volume, root_offset, root_length) = (root.volume, root.offset, root.length);
        record.state.set(ledger, State { version, root_volume, root_offset, root_length, ..state })?;
        Ok(ledger.emit(&IBuckets::RootChanged { bucket, version, root })?)
    }

    fn set_writers(
        &self,
        ledger: &mut dyn Ledger,
        call: IBuckets::setWritersCall,
    ) -> Result<IBuckets::setWritersReturn> {
        let IBuckets::setWritersCall { bucket, writers } = call;
        let (record, _) = self.owned(ledger, bucket)?;
        let count = writers.len();
        if count > WRITERS_MAX {
            return Err(IBuckets::TooManyWriters { count: U256::from(count) }.into());
        }
        let state = record.state.get(ledger)?;
        record.store_writers(ledger, &state, &writers)?;
        record.state.set(ledger, State { writer_count: count.try_into().unwrap_or(u8::MAX), ..state })?;
        ledger.emit(&IBuckets::WritersChanged { bucket, writers })?;
        Ok(IBuckets::setWritersReturn {})
    }

    fn set_territory(
        &self,
        ledger: &mut dyn Ledger,
        call: IBuckets::setTerritoryCall,
    ) -> Result<IBuckets::setTerritoryReturn> {
        let IBuckets::setTerritoryCall { bucket, territory } = call;
        let (record, deed) = self.owned(ledger, bucket)?;
        require_territory(ledger, territory, deed.owner)?;
        record.deed.set(ledger, Deed { territory, ..deed })?;
        Ok(IBuckets::setTerritoryReturn {})
    }

    /// Takes effect for what is written from now on; what is there stays where it is until its owner writes it anew.
    fn set_policy(&self, ledger: &mut dyn Ledger, call: IBuckets::setPolicyCall) -> Result<IBuckets::setPolicyReturn> {
        let IBuckets::setPolicyCall { bucket, policy } = call;
        let (record, deed) = self.owned(ledger, bucket)?;
        let profile = chosen(ledger, policy)?;
        let state = record.state.get(ledger)?;
        record.state.set(ledger, State { profile, ..state })?;
        record.deed.set(ledger, Deed { policy, ..deed })?;
        ledger.emit(&IBuckets::PolicyChanged { bucket, policy })?;
        Ok(IBuckets::setPolicyReturn {})
    }

    fn remove(&self, ledger: &mut dyn Ledger, bucket: B256) -> Result<IBuckets::removeReturn> {
        let (record, deed) = self.owned(ledger, bucket)?;
        let state = record.state.get(ledger)?;
        record.store_writers(ledger, &state, &[])?;
        record.root_segment.set(ledger, B256::ZERO)?;
        record.root_page_hash.set(ledger, B256::ZERO)?;
        record.state.set(ledger, State::default())?;
        record.deed.set(ledger, Deed::default())?;
        ledger.emit(&IBuckets::Removed { bucket, owner: deed.owner })?;
        Ok(IBuckets::removeReturn {})
    }

    fn bucket(&self, ledger: &mut dyn Ledger, id: B256) -> Result<IBuckets::Bucket> {
        let (record, deed) = self.known(ledger, id)?;
        let state = record.state.get(ledger)?;
        Ok(IBuckets::Bucket {
            owner: deed.owner,
            territory: deed.territory,
            policy: deed.policy,
            profile: state.profile,
            flags: state.flags,
            version: state.version,
            root: Root {
                segment: record.root_segment.get(ledger)?,
                volume: state.root_volume,
                offset: state.root_offset,
                length: state.root_length,
                pageHash: record.root_page_hash.get(ledger)?,
            },
            writers: record.writers(ledger, &state)?,
        })
    }

    fn known(&self, ledger: &mut dyn Ledger, bucket: B256) -> Result<(Record, Deed)> {
        let record = self.storage.buckets.at(ledger, &bucket)?;
        let deed = record.deed.get(ledger)?;
        if deed.owner.is_zero() {
            return Err(IBuckets::UnknownBucket { bucket }.into());
        }
        Ok((record, deed))
    }

    fn owned(&self, ledger: &mut dyn Ledger, bucket: B256) -> Result<(Record, Deed)> {
        let (record, deed) = self.known(ledger, bucket)?;
        let caller = ledger.caller();
        if deed.owner != caller {
            return Err(IBuckets::NotBucketOwner { bucket, caller }.into());
        }
        Ok((record, deed))
    }
}

impl Record {
    fn writers(&self, ledger: &mut dyn Ledger, state: &State) -> Result<Vec<Address>> {
        (0..usize::from(state.writer_count)).map(|index| Ok(self.writers.at(index)?.get(ledger)?)).collect()
    }

    /// Writes the list and clears what a longer one left.
    fn store_writers(&self, ledger: &mut dyn Ledger, before: &State, writers: &[Address]) -> Result<()> {
        for index in 0..writers.len().max(before.writer_count.into()) {
            self.writers.at(index)?.set(ledger, writers.get(index).copied().unwrap_or_default())?;
        }
        Ok(())
    }
}

/// The profile of a policy that somebody chooses: one that has a volume to write to, or could have.
fn chosen(ledger: &mut dyn Ledger, policy: u32) -> Result<u8> {
    let IRules::ruleReturn { rule, profile, owner, .. } = ledger.call_module(POLICIES, &IRules::ruleCall { policy })?;
    let caller = ledger.caller();
    if rule.isPrivate && owner != caller {
        return Err(IPolicies::NotPolicyOwner { policy, caller }.into());
    }
    let is_served =
        policy == PUBLIC_POLICY || !ledger.call_module(VOLUMES, &IVolumes::openVolumesCall { policy })?.is_empty();
    if !is_served {
        ledger.call_module(POLICIES, &IPolicies::checkCall { policy })?;
    }
    Ok(profile)
}

fn require_territory(ledger: &mut dyn Ledger, territory: u64, owner: Address) -> Result<()> {
    let known = ledger.call_module(TERRITORIES, &ITerritories::territoryCall { id: territory })?;
    if known.owner != owner {
        return Err(ITerritories::NotTerritoryOwner { territory, caller: owner }.into());
    }
    Ok(())
}

fn root_update(call: IBucketRoots::updateForCall) -> (Address, RootUpdate) {
    let IBucketRoots::updateForCall { writer, bucket, expectedVersion, segment, volume, offset, length, pageHash } =
        call;
    let root = Root { segment, volume, offset, length, pageHash };
    (writer, RootUpdate { bucket, expectedVersion, root })
}

#[cfg(test)]
mod tests;
