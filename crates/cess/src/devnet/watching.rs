//! Show a person how a devnet starts, and what to try once it runs.

use super::{
    control::{Reply, Request, Supervisor},
    description::{Description, S3},
    folder::Folder,
    process::{last_line, open_log},
    supervisor::Interrupts,
};
use crate::print;
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::{process::Stdio, time::Duration};
use tokio::{
    process::{Child, Command},
    sync::watch,
    time::sleep,
};

/// Pause between two attempts to reach a supervisor that is starting.
const PAUSE: Duration = Duration::from_millis(50);

/// Starts the devnet in a process that stays, and returns when it is ready.
pub async fn detach(folder: &Folder, json: bool) -> Result<()> {
    let log = folder.log("devnet");
    let output = open_log(&log)?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["devnet", "--background", "--data"])
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .context("the devnet could not be started")?;
    let mut interrupts = Interrupts::new()?;
    let watched = async {
        let mut supervisor = connect(folder, &mut child).await?;
        supervisor.send(&Request::Watch).await?;
        let (phase, phases) = watch::channel(supervisor.reply().await?);
        let shown = tokio::spawn(show(folder.clone(), phases, json));
        while matches!(*phase.borrow(), Reply::Starting(_)) {
            phase.send_replace(supervisor.reply().await?);
        }
        let last = phase.borrow().clone();
        drop(phase);
        shown.await??;
        match last {
            Reply::Failed(reason) => bail!(reason),
            _ => Ok(()),
        }
    };
    tokio::select! {
        result = watched => result,
        () = interrupts.next() => {
            Supervisor::connect(folder).await?.ask(&Request::Stop).await?;
            bail!("interrupted: the devnet is being stopped")
        }
    }
}

async fn connect(folder: &Folder, child: &mut Child) -> Result<Supervisor> {
    loop {
        if let Ok(supervisor) = Supervisor::connect(folder).await {
            return Ok(supervisor);
        }
        if let Some(status) = child.try_wait()? {
            let said = last_line(&folder.log("devnet")).unwrap_or_else(|| status.to_string());
            bail!("the devnet did not start: {}", said.trim_start_matches("error: "));
        }
        sleep(PAUSE).await;
    }
}

/// Shows the phases of a start until it is over; then what to try.
pub async fn show(folder: Folder, mut phases: watch::Receiver<Reply>, json: bool) -> Result<()> {
    let bar = print::is_terminal().then(new_bar);
    loop {
        match phases.borrow_and_update().clone() {
            Reply::Starting(step) => {
                if let Some(bar) = &bar {
                    bar.set_length(step.total);
                    bar.set_position(step.done);
                    bar.set_message(step.what);
                }
            }
            Reply::Ready => {
                bar.inspect(ProgressBar::finish_and_clear);
                let description = Description::read(folder.path())?;
                return if json { print::json(&description) } else { welcome(&folder, &description) };
            }
            // Whoever runs the start reports the error.
            Reply::Failed(_) | Reply::Done(_) => {
                bar.inspect(ProgressBar::finish_and_clear);
                return Ok(());
            }
        }
        if phases.changed().await.is_err() {
            return Ok(());
        }
    }
}

fn new_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {pos}/{len} {msg} ({elapsed})").expect("the template is valid");
    let bar = ProgressBar::new(1).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn welcome(folder: &Folder, description: &Description) -> Result<()> {
    let account = description.accounts.first().context("devnet.json names no account")?;
    let dir = folder.path().display();
    let s3 = description.gateway.as_ref().map(s3_lines).unwrap_or_default();
    print::line(format!(
        "\
The network is ready.

  RPC        {rpc}  (chain id {chain_id})
  WebSocket  {ws}
  account    {address}
  key        {key}
  folder     {dir}  (devnet.json for programs, logs/ for people)

Try:
  {cess} territory buy --size 10GiB --days 30
  {cess} bucket create photos
  {cess} put some-file cess://photos/some-file
  {cess} ls cess://photos
  {cess} devnet kill miner-0
  {cess} get cess://photos/some-file copy
  {cess} devnet stop
{s3}
It is stopped by that, or here by Ctrl-C, and goes on where it was with `{cess} devnet`.",
        cess = print::program(),
        rpc = description.rpc_url,
        chain_id = description.chain_id,
        ws = description.ws_url,
        address = account.address,
        key = account.private_key,
    ))
}

/// What to paste to use S3's tools.
fn s3_lines(s3: &S3) -> String {
    let S3 { url, access_key_id: id, secret_access_key: secret, .. } = s3;
    format!(
        "
S3 is at {url}; buckets are made and paid for on demand. Paste these first:
  export AWS_ACCESS_KEY_ID={id} AWS_SECRET_ACCESS_KEY={secret} AWS_DEFAULT_REGION=us-east-1

Then try:
  aws --endpoint-url {url} s3 mb s3://holiday
  aws --endpoint-url {url} s3 cp some-file s3://holiday/some-file
  rclone ls :s3,provider=Other,env_auth,endpoint='{url}':holiday
  curl --aws-sigv4 aws:amz:us-east-1:s3 --user $AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY \
    --header x-amz-content-sha256:UNSIGNED-PAYLOAD {url}/holiday/some-file
"
    )
}
