//! Make the group key together with the other validators of a draft.

use crate::{cli::CeremonyArgs, config, devnet::write_whole, secret};
use alloy_primitives::{Bytes, hex};
use anyhow::{Context, Result, bail, ensure};
use chain::ceremony::{self, CeremonyConfig, Generated};
use std::{fs, sync::mpsc, thread, time::Duration};
use tokio::sync::watch;
use types::ChainSpec;

/// Longest ceremony on one machine; it takes seconds.
const CEREMONY_HERE_MAX: Duration = Duration::from_secs(120);

/// Takes part from this machine, and writes the specification and this validator's share.
pub fn take_part(arguments: CeremonyArgs) -> Result<()> {
    config::start_log("info,commonware=warn")?;
    let text = config::read_text(&arguments.draft)?;
    let draft = ChainSpec::from_toml(&text).with_context(|| arguments.draft.display().to_string())?;
    ensure!(draft.output.is_empty(), "{} is no draft: it has a key already", arguments.draft.display());
    let key = *config::read_key(&arguments.key)?;
    let out = arguments.out;
    fs::create_dir_all(&out).with_context(|| format!("{} cannot be created", out.display()))?;
    let (genesis, share) = (out.join("genesis.toml"), out.join("share"));
    for path in [&genesis, &share] {
        ensure!(!path.exists(), "{} is there already", path.display());
    }
    let data = tempfile::TempDir::new_in(&out).context("a folder for the ceremony cannot be made")?;
    let config = CeremonyConfig { draft: draft.clone(), key, listen: arguments.listen, data: data.path().into() };
    eprintln!("waiting for the other {} validators of the draft", draft.validators.len().saturating_sub(1));
    let (written_in, written) = mpsc::channel();
    let stay = Duration::from_secs(arguments.stay_s);
    ceremony::run(config, move |generated| {
        let done = secret::write_new(&share, &hex::encode(&generated.share)).and_then(|()| {
            let spec = ChainSpec { output: generated.output, ..draft };
            write_whole(&genesis, spec.to_toml().as_bytes())
                .with_context(|| format!("{} cannot be written", genesis.display()))
        });
        Box::pin(async move {
            let is_done = done.is_ok();
            if is_done {
                eprintln!(
                    "wrote {} and {}; helping the others for {} s more",
                    genesis.display(),
                    share.display(),
                    stay.as_secs()
                );
            }
            // The receiver outlives the ceremony.
            let _ = written_in.send(done);
            if is_done {
                tokio::select! {
                    () = tokio::time::sleep(stay) => {}
                    _ = tokio::signal::ctrl_c() => {}
                }
            }
        })
    })?;
    written.recv().context("the ceremony ended without a result")?
}

/// Runs a ceremony of all validators of a draft at once, each on a thread of its own with its own mesh: for networks on
/// one machine. The keys are in the order of the draft's validators; so are the shares.
pub fn run_here(draft: &ChainSpec, keys: &[[u8; 32]]) -> Result<(Bytes, Vec<Bytes>)> {
    let data = tempfile::TempDir::new().context("a folder for the key generation cannot be made")?;
    let (results_in, results) = mpsc::channel();
    let (release, released) = watch::channel(false);
    let take_part = |position: usize, key: &[u8; 32]| -> Result<_> {
        let listen = draft.validators[position].address.parse().context("a devnet's addresses are numbers")?;
        let config =
            CeremonyConfig { draft: draft.clone(), key: *key, listen, data: data.path().join(position.to_string()) };
        let (results_in, mut released) = (results_in.clone(), released.clone());
        let run = move || {
            let done = results_in.clone();
            let outcome = ceremony::run(config, move |generated| {
                Box::pin(async move {
                    let _ = done.send((position, Ok(generated)));
                    // Others may still need this one. The sender goes when all are done, or one has failed.
                    let _ = released.wait_for(|released| *released).await;
                })
            });
            if let Err(error) = outcome {
                let _ = results_in.send((position, Err(error)));
            }
        };
        Ok(thread::Builder::new().name(format!("ceremony-{position}")).spawn(run)?)
    };
    let threads: Vec<_> =
        keys.iter().enumerate().map(|(position, key)| take_part(position, key)).collect::<Result<_>>()?;
    let mut generated: Vec<Option<Generated>> = vec![None; keys.len()];
    let mut outcome = Ok(());
    for _ in keys {
        match results.recv_timeout(CEREMONY_HERE_MAX) {
            Ok((position, Ok(result))) => generated[position] = Some(result),
            Ok((_, Err(error))) => {
                outcome = Err(error).context("the validators' key generation failed");
                break;
            }
            Err(_) => {
                outcome =
                    Err(anyhow::anyhow!("the validators' key generation took too long; is the machine very busy?"));
                break;
            }
        }
    }
    release.send_replace(true);
    if outcome.is_ok() {
        threads.into_iter().for_each(|thread| drop(thread.join()));
    }
    outcome?;
    let generated: Vec<Generated> = generated.into_iter().flatten().collect();
    let Some(output) = generated.first().map(|first| first.output.clone()) else { bail!("there are no validators") };
    ensure!(generated.iter().all(|other| other.output == output), "the validators generated different keys");
    Ok((output, generated.into_iter().map(|generated| generated.share).collect()))
}
