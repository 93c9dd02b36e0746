mod commit;
mod evidence;
mod formation;
mod lease;
mod members;
mod release;
mod rules;

use crate::fixture::*;
use types::abi::{IVolumes, VOLUMES};

#[test]
fn unknown_volumes_are_named() {
    let mut net = Net::formed();
    for id in [0, 2, u32::MAX] {
        let volume = net.try_call(BOB, VOLUMES, &IVolumes::volumeCall { id });
        assert_eq!(refusal::<IVolumes::UnknownVolume, _>(volume).volume, id);
        let position = IVolumes::positionOfCall { volume: id, segment: Default::default() };
        let _: IVolumes::UnknownVolume = refusal(net.try_call(BOB, VOLUMES, &position));
        let released = IVolumes::isReleasedCall { volume: id, index: 0 };
        let _: IVolumes::UnknownVolume = refusal(net.try_call(BOB, VOLUMES, &released));
    }
}
