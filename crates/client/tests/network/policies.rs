//! Buckets under policies of their own: refused where nothing satisfies them, written where they say.

use crate::support::{Net, SEGMENT, noise};
use client::{PUBLIC_POLICY, PolicyError, PutOptions, Source, chain::Network};
use types::abi::IPolicies::Policy;

fn rule(allowed: &[&str]) -> Policy {
    let code = |text: &&str| text.parse::<client::Region>().expect("a region").code();
    let allowed = allowed.iter().map(code).collect();
    Policy { profile: 0, regionCap: 0, networkCap: 0, allowed, forbidden: Vec::new(), miners: Vec::new() }
}

/// All miners of these tests are in Germany, and have not said in which network.
#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_satisfies_is_refused_in_words() {
    let net = Net::new(8).await;
    let network = Network(&*net.chain);
    let refused = net.client.create_policy(rule(&["FR", "CH"])).await.expect_err("nobody is there");
    assert!(refused.lacks_operators());
    assert_eq!(refused.to_string(), "needs 8 operators in CH, FR; 0 have lots there: allow more regions");
    let capped = Policy { networkCap: 2, ..rule(&["DE"]) };
    let refused = net.client.create_policy(capped.clone()).await.expect_err("all are in one network");
    assert!(refused.to_string().contains("2 of 8 seats find a miner: raise the caps"), "{refused}");
    assert!(network.check_rule(&capped).await.is_err());
    let private = Policy { miners: vec![1], ..rule(&[]) };
    let refused = net.client.create_policy(private).await.expect_err("its operator did not agree");
    assert!(refused.to_string().contains("must set"), "{refused}");
    assert!(matches!(net.client.widen_policy(7).await, Err(PolicyError::Chain(_))));
    assert_eq!(network.policy_count().await, Ok(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_written_under_its_policy() {
    let net = Net::new(8).await;
    let network = Network(&*net.chain);
    assert_eq!(network.check_rule(&rule(&["DE"])).await, Ok(None));
    let made = net.client.create_policy(rule(&["DE"])).await.expect("eight are there");
    assert_eq!((made.id, made.paid), (1, Some(network.opening_price(0).await.expect("answers"))));
    let again = net.client.create_policy(rule(&["DE", "DE-BE"])).await.expect("it is the same");
    assert_eq!((again.id, again.paid), (1, None));
    let public = net.client.create_policy(rule(&[])).await.expect("that is everybody's");
    assert_eq!((public.id, public.paid), (PUBLIC_POLICY, None));

    net.client.create_bucket_under("german", net.territory, made.id).await.expect("creates");
    let bytes = noise(1, SEGMENT);
    let put = async |key: &str| {
        let source = Source::bytes(bytes.clone());
        net.client.put("german", key, source, PutOptions::default()).await.expect("puts").volumes
    };
    let volumes = put("there").await;
    let open = network.policy(made.id).await.expect("answers").open_volumes;
    assert!(!volumes.is_empty() && volumes.iter().all(|volume| open.contains(volume)), "{volumes:?} {open:?}");
    net.client.set_bucket_policy("german", PUBLIC_POLICY).await.expect("everybody's");
    let elsewhere = put("elsewhere").await;
    assert!(elsewhere.is_disjoint(&volumes), "{elsewhere:?}");
    let listed = net.client.list_buckets().await.expect("lists");
    assert_eq!(
        listed.iter().map(|bucket| (bucket.name.as_str(), bucket.policy)).collect::<Vec<_>>(),
        [("bucket", 0), ("german", 0)]
    );
    assert!(net.client.set_bucket_policy("german", 2).await.is_err_and(|error| error.to_string().contains("policy 2")));
    for key in ["there", "elsewhere"] {
        assert!(net.client.read("german", key, None).await.expect("reads") == bytes);
    }

    net.client.widen_policy(made.id).await.expect("one more");
    assert_eq!(network.policy(made.id).await.expect("answers").wanted, 2);
}
