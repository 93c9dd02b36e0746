//! Check and read tags.

use crate::view::Stop;
use s3s::{
    dto::{Tag, TagSet},
    s3_error,
};
use std::collections::BTreeSet;

/// Most tags of an object, and of a bucket.
pub const OBJECT_TAGS_MAX: usize = 10;
/// Most tags of a bucket.
pub const BUCKET_TAGS_MAX: usize = 50;
const NAME_CHARACTERS_MAX: usize = 128;
const VALUE_CHARACTERS_MAX: usize = 256;

/// Reads the tags in a header: form-encoded.
pub fn parse_header(header: &str) -> Result<Vec<(String, String)>, Stop> {
    let pairs = header.split('&').filter(|pair| !pair.is_empty());
    let decoded = pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decode(name)?, decode(value)?))
    });
    check(decoded.collect::<Result<_, Stop>>()?, OBJECT_TAGS_MAX)
}

/// Reads a set of tags.
pub fn parse_set(set: TagSet, count_max: usize) -> Result<Vec<(String, String)>, Stop> {
    check(set.into_iter().map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default())).collect(), count_max)
}

/// The set as S3 shows it.
pub fn to_set(tags: &[(String, String)]) -> TagSet {
    tags.iter().map(|(key, value)| Tag { key: Some(key.clone()), value: Some(value.clone()) }).collect()
}

fn check(tags: Vec<(String, String)>, count_max: usize) -> Result<Vec<(String, String)>, Stop> {
    if tags.len() > count_max {
        return Err(s3_error!(InvalidTag, "there are at most {count_max} tags").into());
    }
    let too_long = |(name, value): &(String, String)| {
        name.is_empty() || name.chars().count() > NAME_CHARACTERS_MAX || value.chars().count() > VALUE_CHARACTERS_MAX
    };
    if tags.iter().any(too_long) {
        return Err(s3_error!(InvalidTag, "a tag has 1 to 128 characters, its value at most 256").into());
    }
    let names: BTreeSet<&String> = tags.iter().map(|(name, _)| name).collect();
    if names.len() != tags.len() {
        return Err(s3_error!(InvalidTag, "a tag stands there twice").into());
    }
    Ok(tags)
}

pub(crate) fn decode(text: &str) -> Result<String, Stop> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits =
                    [rest.next(), rest.next()].map(|digit| digit.map(char::from).and_then(|digit| digit.to_digit(16)));
                let [Some(high), Some(low)] = digits else {
                    return Err(s3_error!(InvalidArgument, "bad tagging header").into());
                };
                bytes.push((high * 16 + low) as u8);
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| s3_error!(InvalidArgument, "bad tagging header").into())
}
