//! Show what a gateway does: `cess gateway status`, and metrics for Prometheus.

use super::GatewayFile;
use crate::{
    cli::format_bytes,
    print::{self, Table},
};
use anyhow::{Context, Result, bail};
use gateway::metrics::{Metrics, Summary};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};

/// How long a question may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes of a question, and of an answer.
const REQUEST_BYTES_MAX: usize = 4096;
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Answers `GET /metrics` for Prometheus and `GET /status` for people, one question for each connection, until told to stop.
pub async fn serve(listener: TcpListener, metrics: Arc<Metrics>, mut stop: watch::Receiver<()>) {
    loop {
        let accepted = tokio::select! {
            _ = stop.changed() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            // One after the other: who asks is Prometheus or a person.
            Ok((stream, _)) => drop(timeout(PATIENCE, answer(stream, &metrics)).await),
            Err(error) => {
                tracing::warn!(%error, "metrics are not shown");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(mut stream: TcpStream, metrics: &Metrics) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < REQUEST_BYTES_MAX {
        if stream.read_buf(&mut request).await? == 0 {
            break;
        }
    }
    let (status, kind, body) = if request.starts_with(b"GET /metrics ") {
        ("200 OK", "text/plain; version=0.0.4", metrics.prometheus())
    } else if request.starts_with(b"GET /status ") {
        ("200 OK", "application/json", serde_json::to_string(&metrics.summary())?)
    } else {
        ("404 Not Found", "text/plain", "there are /metrics and /status\n".into())
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// Asks a gateway what it does.
pub async fn show(file: &GatewayFile, json: bool) -> Result<()> {
    let summary = timeout(PATIENCE, ask(file)).await.context("the gateway does not answer: check that it runs")??;
    if json {
        return print::json(&summary);
    }
    let (received, sent) = (format_bytes(summary.received_bytes), format_bytes(summary.sent_bytes));
    print::line(format!("{} received, {} sent, {} objects expired", received, sent, summary.expired_count))?;
    if let Some(cache) = summary.cache {
        let (ratio, bytes) = (cache.hit_ratio() * 100.0, format_bytes(cache.hit_bytes));
        let (memory, disk) = (cache.memory_hits, cache.disk_hits);
        print::line(format!("cache: {ratio:.1} % of reads, {bytes}: {memory} from memory, {disk} from disk"))?;
    }
    let mut table = Table::new(["method", "requests", "client errors", "own errors", "p50 ms", "p90 ms", "p99 ms"]);
    for method in summary.methods {
        table.row([
            method.method,
            method.request_count.to_string(),
            method.client_error_count.to_string(),
            method.server_error_count.to_string(),
            method.p50_ms.to_string(),
            method.p90_ms.to_string(),
            method.p99_ms.to_string(),
        ]);
    }
    table.print()
}

async fn ask(file: &GatewayFile) -> Result<Summary> {
    let advice = || format!("no gateway answers at {}: check that it runs", file.metrics);
    let mut stream = TcpStream::connect(file.metrics).await.with_context(advice)?;
    stream.write_all(b"GET /status HTTP/1.1\r\nhost: gateway\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let Some((_, body)) = answer.split_once("\r\n\r\n") else { bail!("{} is no gateway's", file.metrics) };
    serde_json::from_str(body).with_context(|| format!("{} is no gateway's", file.metrics))
}
