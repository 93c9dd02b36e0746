//! Keep secrets as long as they are needed, through a power cut, and no longer.

use super::*;
use commonware_codec::{Copying, DecodeExt};
use commonware_consensus::types::Epoch;
use commonware_cryptography::{
    bls12381::primitives::group::Share,
    transcript::{Summary, Transcript, Version},
};
use commonware_glue::dkg::SecretStore;
use commonware_runtime::{Runner as _, Supervisor as _, deterministic::Runner};

fn summary() -> Summary {
    Transcript::new(b"seed", Version::V1).summarize()
}

fn shares() -> Vec<Share> {
    let dealt = crate::dealer::deal(4, [1; 32]);
    dealt.seats.iter().map(|seat| Share::decode(Copying(&seat.share)).unwrap()).collect()
}

#[test]
fn a_secret_is_durable_when_it_is_put_and_gone_when_it_is_pruned() {
    let shares = shares();
    let (first, second, kept) = (shares[0].clone(), shares[1].clone(), shares[2].clone());
    let (_, checkpoint) = Runner::default().start_and_recover(|context| async move {
        let mut secrets = Secrets::open(context.child("secrets"), "test").await;
        secrets.begin(first).await;
        secrets.put_share(Epoch::new(3), second).await;
        secrets.put_share(Epoch::new(5), kept).await;
        secrets.put_seed(Epoch::new(5), summary()).await;
    });
    let (_, checkpoint) = Runner::from(checkpoint).start_and_recover(|context| async move {
        let mut secrets = Secrets::open(context.child("secrets"), "test").await;
        assert!(secrets.get_share(Epoch::zero()).await.is_some() && secrets.get_share(Epoch::new(3)).await.is_some());
        secrets.prune(Epoch::new(4)).await;
    });
    let all = shares.clone();
    Runner::from(checkpoint).start(|context| async move {
        let mut secrets = Secrets::open(context.child("secrets"), "test").await;
        assert_eq!(secrets.get_share(Epoch::zero()).await, None);
        assert_eq!(secrets.get_share(Epoch::new(3)).await, None);
        assert_eq!(secrets.get_share(Epoch::new(5)).await.as_ref(), Some(&all[2]));
        assert_eq!(secrets.get_seed(Epoch::new(5)).await, Some(summary()));
        // What the chain began with is not taken a second time.
        secrets.begin(all[0].clone()).await;
        assert_eq!(secrets.get_share(Epoch::zero()).await, None);
        // Nor is it anywhere on disk.
        drop(secrets);
        use commonware_codec::Encode;
        use commonware_runtime::{Blob as _, ReadOptions, Storage as _};
        let names = context.scan("test-secrets").await.unwrap();
        assert_eq!(names.len(), 2);
        for name in names {
            let (blob, length) = context.open("test-secrets", &name).await.unwrap();
            let bytes = blob.read_at(0, length as usize, ReadOptions::default()).await.unwrap().coalesce();
            let holds = |share: &Share| {
                let share = share.encode();
                bytes.as_ref().windows(share.len()).any(|window| window == share.as_ref())
            };
            assert!(!holds(&all[0]) && !holds(&all[1]) && holds(&all[2]));
        }
    });
}
