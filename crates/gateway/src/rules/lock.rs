//! Keep locked versions: retention and legal hold.
//!
//! The gateway refuses to delete them. The chain does not know of locks yet: who holds the account's keys can delete past
//! the gateway (`docs/operate/gateway.md` says so).

use crate::{
    record::{Period, Retention, RetentionMode, Settings, Version},
    view::Stop,
};
use s3s::s3_error;

const DAY_MS: u64 = 24 * 3_600_000;

/// Refuses to remove a version that is locked.
pub fn check_removal(version: &Version, bypass: bool, now_ms: u64) -> Result<(), Stop> {
    if version.hold == Some(true) {
        return Err(s3_error!(AccessDenied, "the version is under a legal hold").into());
    }
    match version.retention {
        Some(retention) if retention.until_ms > now_ms => match retention.mode {
            RetentionMode::Governance if bypass => Ok(()),
            _ => Err(s3_error!(AccessDenied, "the version is locked until its retention ends").into()),
        },
        _ => Ok(()),
    }
}

/// Refuses a change that weakens a retention.
pub fn check_change(
    before: Option<Retention>,
    after: Option<Retention>,
    bypass: bool,
    now_ms: u64,
) -> Result<(), Stop> {
    let Some(before) = before.filter(|before| before.until_ms > now_ms) else { return Ok(()) };
    let strict = |mode| mode == RetentionMode::Compliance;
    let kept = after.is_some_and(|after| {
        after.until_ms >= before.until_ms
            && (strict(after.mode) || !strict(before.mode))
            && (before.mode == after.mode || strict(after.mode))
    });
    let allowed = kept || (before.mode == RetentionMode::Governance && bypass);
    if allowed { Ok(()) } else { Err(s3_error!(AccessDenied, "the retention cannot be shortened or weakened").into()) }
}

/// The retention that a new version of a bucket has unless the request names another.
pub fn default_retention(settings: &Settings, now_ms: u64) -> Option<Retention> {
    let default = settings.retention.filter(|_| settings.lock)?;
    let days = match default.period {
        Period::Days(days) => u64::from(days),
        Period::Years(years) => u64::from(years) * 365,
    };
    Some(Retention { mode: default.mode, until_ms: now_ms.saturating_add(days * DAY_MS) })
}
