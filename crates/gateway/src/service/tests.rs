//! Ask the service as `s3s` does, over buckets in memory.

use super::*;
use crate::{
    keys::{ACCOUNT_USER, KeyPolicy},
    storage::memory::Buckets,
};
use futures::TryStreamExt;
use s3s::{S3, S3Request, S3Response, auth::Credentials, dto::*};
use tempfile::TempDir;

struct Bench {
    service: Service<Buckets>,
    keys: Vec<AccessKey>,
    _dir: TempDir,
}

const ADMIN: usize = 0;
const READER: usize = 1;
const OTHER: usize = 2;
const EXPIRED: usize = 3;

impl Bench {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let file = || KeyFile::new(&dir.path().join("keys.json"), &sealing::StorageSeed::from_bip39_seed(&[1; 64]));
        let make = |user: &str, policy, expires_ms| {
            let key = AccessKey {
                id: String::new(),
                user: user.into(),
                display_name: user.into(),
                mail: None,
                policy,
                buckets: Vec::new(),
                expires_ms,
            };
            file().create(key, None).unwrap().0
        };
        let keys = vec![
            make(ACCOUNT_USER, KeyPolicy::Admin, None),
            make(ACCOUNT_USER, KeyPolicy::ReadOnly, None),
            make("other", KeyPolicy::Admin, None),
            make(ACCOUNT_USER, KeyPolicy::Admin, Some(1)),
        ];
        let config = ServiceConfig { region: "us-east-1".into(), lifecycle_day_ms: 1 };
        let service = Service::new(Buckets::default(), file(), config);
        Self { service, keys, _dir: dir }
    }

    /// A request by one of the keys; by nobody without.
    fn by<T>(&self, key: Option<usize>, input: T) -> S3Request<T> {
        let credentials = key.map(|index| {
            let id = self.keys[index].id.clone();
            let secret_key = self.service.keyring().get(&id).unwrap().1.clone();
            Credentials { access_key: id, secret_key }
        });
        S3Request {
            input,
            method: hyper::Method::GET,
            uri: hyper::Uri::default(),
            headers: hyper::HeaderMap::new(),
            extensions: hyper::http::Extensions::new(),
            credentials,
            region: None,
            service: None,
            trailing_headers: None,
        }
    }

    async fn bucket(&self) {
        let input = CreateBucketInput { bucket: "photos".into(), ..Default::default() };
        self.service.create_bucket(self.by(Some(ADMIN), input)).await.unwrap();
    }

    async fn put(&self, key: Option<usize>, name: &str, bytes: &'static [u8]) -> S3Result<S3Response<PutObjectOutput>> {
        let mut input = PutObjectInput::builder();
        input.set_bucket("photos".into());
        input.set_key(name.into());
        input.set_content_length(Some(bytes.len() as i64));
        input.set_body(Some(s3s::Body::from(bytes::Bytes::from_static(bytes)).into()));
        S3::put_object(&self.service, self.by(key, input.build().unwrap())).await
    }

    async fn get(&self, key: Option<usize>, name: &str, range: Option<s3s::dto::Range>) -> S3Result<Vec<u8>> {
        let input = GetObjectInput { bucket: "photos".into(), key: name.into(), range, ..Default::default() };
        let output = S3::get_object(&self.service, self.by(key, input)).await?.output;
        let pieces: Vec<bytes::Bytes> = output.body.unwrap().try_collect().await.unwrap();
        Ok(pieces.concat())
    }
}

fn code<T>(result: S3Result<T>) -> String {
    result.err().map_or("none".into(), |error| error.code().as_str().to_string())
}

#[tokio::test]
async fn what_is_put_is_got_in_ranges_too() {
    let bench = Bench::new();
    bench.bucket().await;
    let put = bench.put(Some(ADMIN), "a", b"hello").await.unwrap().output;
    assert_eq!(put.e_tag.unwrap().value(), "5d41402abc4b2a76b9719d911017c592");
    assert_eq!(bench.get(Some(READER), "a", None).await.unwrap(), b"hello");
    let range = s3s::dto::Range::Int { first: 1, last: Some(2) };
    assert_eq!(bench.get(Some(ADMIN), "a", Some(range)).await.unwrap(), b"el");
    assert_eq!(code(bench.get(Some(ADMIN), "b", None).await), "NoSuchKey");
    assert_eq!(
        code(bench.get(Some(ADMIN), "a", Some(s3s::dto::Range::Int { first: 9, last: None })).await),
        "InvalidRange"
    );
}

#[tokio::test]
async fn nobody_does_what_they_may_not() {
    let bench = Bench::new();
    bench.bucket().await;
    bench.put(Some(ADMIN), "a", b"hello").await.unwrap();
    assert_eq!(code(bench.put(Some(READER), "b", b"").await), "AccessDenied");
    assert_eq!(code(bench.put(None, "b", b"").await), "AccessDenied");
    assert_eq!(code(bench.get(Some(OTHER), "a", None).await), "AccessDenied");
    assert_eq!(code(bench.get(None, "a", None).await), "AccessDenied");
    assert_eq!(code(bench.get(None, "missing", None).await), "AccessDenied", "nobody learns what is there");
    assert_eq!(code(bench.get(Some(EXPIRED), "a", None).await), "ExpiredToken");
    assert_eq!(code(bench.service.get_secret_key("nobody").await), "InvalidAccessKeyId");
}

#[tokio::test]
async fn public_objects_are_read_by_everybody_unless_that_is_blocked() {
    let bench = Bench::new();
    bench.bucket().await;
    bench.put(Some(ADMIN), "a", b"hello").await.unwrap();
    let acl = |acl: &'static str| {
        let acl = Some(ObjectCannedACL::from_static(acl));
        PutObjectAclInput { acl, bucket: "photos".into(), key: "a".into(), ..Default::default() }
    };
    bench.service.put_object_acl(bench.by(Some(ADMIN), acl("public-read"))).await.unwrap();
    assert_eq!(bench.get(None, "a", None).await.unwrap(), b"hello");
    let block = PublicAccessBlockConfiguration { ignore_public_acls: Some(true), ..Default::default() };
    let mut input = PutPublicAccessBlockInput::builder();
    input.set_bucket("photos".into());
    input.set_public_access_block_configuration(block);
    let request = bench.by(Some(ADMIN), input.build().unwrap());
    S3::put_public_access_block(&bench.service, request).await.unwrap();
    assert_eq!(code(bench.get(None, "a", None).await), "AccessDenied");
}

#[tokio::test]
async fn full_buckets_stay() {
    let bench = Bench::new();
    bench.bucket().await;
    bench.put(Some(ADMIN), "a", b"hello").await.unwrap();
    let remove = || DeleteBucketInput { bucket: "photos".into(), expected_bucket_owner: None };
    assert_eq!(code(S3::delete_bucket(&bench.service, bench.by(Some(ADMIN), remove())).await), "BucketNotEmpty");
    let object = DeleteObjectInput { bucket: "photos".into(), key: "a".into(), ..Default::default() };
    S3::delete_object(&bench.service, bench.by(Some(ADMIN), object)).await.unwrap();
    S3::delete_bucket(&bench.service, bench.by(Some(ADMIN), remove())).await.unwrap();
    assert_eq!(code(bench.get(Some(ADMIN), "a", None).await), "NoSuchBucket");
}
