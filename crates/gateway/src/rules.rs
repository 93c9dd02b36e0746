//! Decide what requests mean, as plain functions over a view of the bucket.

pub mod acl;
pub mod condition;
pub mod cors;
pub mod documents;
pub mod lifecycle;
pub mod listing;
pub mod lock;
pub mod policy;
pub mod tags;
pub mod uploads;
pub mod versions;
