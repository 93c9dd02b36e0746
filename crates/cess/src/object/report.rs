//! Report objects whose writer made them wrong: `cess object report`.

use crate::{cli::ObjectUrl, print, session::Session};
use alloy_primitives::B256;
use anyhow::Result;
use client::Examined;
use serde::Serialize;

/// A segment as `cess object report --json` shows it.
#[derive(Serialize)]
struct SegmentView {
    segment: B256,
    /// sound, voided, gone
    state: &'static str,
    /// Fragments that members have, of a sound one.
    #[serde(skip_serializing_if = "Option::is_none")]
    fragments: Option<usize>,
}

/// Examines the segments of an object.
pub async fn report(url: &ObjectUrl, session: &Session) -> Result<()> {
    let examined = session.client().await?.report_object(url.bucket(), url.key()).await?;
    let views: Vec<SegmentView> = examined
        .into_iter()
        .map(|(segment, examined)| match examined {
            Examined::Sound { fragments } => SegmentView { segment, state: "sound", fragments: Some(fragments) },
            Examined::Voided => SegmentView { segment, state: "voided", fragments: None },
            Examined::Gone => SegmentView { segment, state: "gone", fragments: None },
        })
        .collect();
    if session.json() {
        return print::json(&views);
    }
    let count = |state: &str| views.iter().filter(|view| view.state == state).count();
    for view in views.iter().filter(|view| view.state != "sound") {
        let said = if view.state == "voided" { "is no codeword: the chain has voided it" } else { "is in no volume" };
        print::line(format!("segment {} {said}", view.segment))?;
    }
    let (all, sound) = (views.len(), count("sound"));
    print::line(format!("{sound} of {all} segments are sound as far as their fragments can be had"))
}
