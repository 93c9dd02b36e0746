//! Count requests, bytes and time, for people and for Prometheus.

use cache::{Cache, CacheCounts};
use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Methods that are counted apart.
const METHODS: [&str; 6] = ["GET", "HEAD", "PUT", "POST", "DELETE", "other"];
/// Classes of statuses.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];
/// Bounds of the time that requests take: each a quarter more than the one before, from 0.1 ms to about 70 s.
const BUCKETS: usize = 61;
const FIRST_BOUND_S: f64 = 0.000_1;
const GROWTH: f64 = 1.25;

/// How a request ended.
pub struct Outcome {
    /// Its method.
    pub method: Method,
    /// The answer's status.
    pub status: StatusCode,
    /// From its headers to the answer's.
    pub took: Duration,
}

/// What a gateway has done since it started.
#[derive(Default)]
pub struct Metrics {
    requests: [[AtomicU64; CLASSES.len()]; METHODS.len()],
    times: [Histogram; METHODS.len()],
    received: AtomicU64,
    sent: AtomicU64,
    expired: AtomicU64,
    cache: Option<Arc<Cache>>,
}

struct Histogram {
    counts: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: std::array::from_fn(|_| AtomicU64::new(0)), sum_us: AtomicU64::new(0) }
    }
}

/// What a gateway has done, for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Bytes of bodies that clients have sent.
    pub received_bytes: u64,
    /// Bytes of bodies that they were sent.
    pub sent_bytes: u64,
    /// Objects and versions that lifecycle rules have removed.
    pub expired_count: u64,
    /// What was kept of what was read, and how often it was of use.
    pub cache: Option<CacheCounts>,
    /// By method.
    pub methods: Vec<MethodSummary>,
}

/// Requests with one method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodSummary {
    /// The method.
    pub method: String,
    /// Requests.
    pub request_count: u64,
    /// Those that failed by the client's fault.
    pub client_error_count: u64,
    /// Those that failed by ours.
    pub server_error_count: u64,
    /// Half were answered within this.
    pub p50_ms: f64,
    /// 9 of 10 were.
    pub p90_ms: f64,
    /// 99 of 100 were.
    pub p99_ms: f64,
}

impl Metrics {
    /// Counts nothing yet, and shows what a cache counts.
    pub fn new(cache: Option<Arc<Cache>>) -> Self {
        Self { cache, ..Self::default() }
    }

    /// Counts a request.
    pub fn answered(&self, outcome: &Outcome) {
        let method = METHODS.iter().position(|name| *name == outcome.method.as_str()).unwrap_or(METHODS.len() - 1);
        let class = usize::from(outcome.status.as_u16() / 100).clamp(2, 5) - 2;
        self.requests[method][class].fetch_add(1, Ordering::Relaxed);
        self.times[method].note(outcome.took);
    }

    /// Counts bytes from clients.
    pub fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts bytes to clients.
    pub fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts what lifecycle rules removed.
    pub fn expired(&self, count: u64) {
        self.expired.fetch_add(count, Ordering::Relaxed);
    }

    /// All of it, for people.
    pub fn summary(&self) -> Summary {
        let methods = METHODS.iter().enumerate().map(|(index, method)| {
            let count = |class: usize| self.requests[index][class].load(Ordering::Relaxed);
            MethodSummary {
                method: (*method).into(),
                request_count: (0..CLASSES.len()).map(count).sum(),
                client_error_count: count(2),
                server_error_count: count(3),
                p50_ms: self.times[index].percentile_ms(0.5),
                p90_ms: self.times[index].percentile_ms(0.9),
                p99_ms: self.times[index].percentile_ms(0.99),
            }
        });
        Summary {
            received_bytes: self.received.load(Ordering::Relaxed),
            sent_bytes: self.sent.load(Ordering::Relaxed),
            expired_count: self.expired.load(Ordering::Relaxed),
            cache: self.cache.as_ref().map(|cache| cache.counts()),
            methods: methods.filter(|method| method.request_count > 0).collect(),
        }
    }

    /// All of it, as Prometheus reads it.
    pub fn prometheus(&self) -> String {
        let mut text = String::new();
        let mut line = |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("a string takes everything");
        line(format_args!("# TYPE gateway_requests_total counter"));
        for (method, classes) in METHODS.iter().zip(&self.requests) {
            for (class, count) in CLASSES.iter().zip(classes) {
                let count = count.load(Ordering::Relaxed);
                line(format_args!("gateway_requests_total{{method=\"{method}\",status=\"{class}\"}} {count}"));
            }
        }
        let totals = [
            ("gateway_received_bytes_total", &self.received),
            ("gateway_sent_bytes_total", &self.sent),
            ("gateway_expired_objects_total", &self.expired),
        ];
        for (name, count) in totals {
            line(format_args!("# TYPE {name} counter"));
            line(format_args!("{name} {}", count.load(Ordering::Relaxed)));
        }
        if let Some(cache) = self.cache.as_ref().map(|cache| cache.counts()) {
            let totals = [
                ("gateway_cache_memory_hits_total", cache.memory_hits),
                ("gateway_cache_disk_hits_total", cache.disk_hits),
                ("gateway_cache_misses_total", cache.misses),
                ("gateway_cache_hit_bytes_total", cache.hit_bytes),
                ("gateway_cache_written_bytes_total", cache.written_bytes),
            ];
            for (name, count) in totals {
                line(format_args!("# TYPE {name} counter"));
                line(format_args!("{name} {count}"));
            }
            line(format_args!("# TYPE gateway_cache_memory_bytes gauge"));
            line(format_args!("gateway_cache_memory_bytes {}", cache.memory_bytes));
        }
        line(format_args!("# TYPE gateway_request_seconds histogram"));
        for (method, times) in METHODS.iter().zip(&self.times) {
            let mut total = 0;
            for (index, count) in times.counts.iter().enumerate() {
                total += count.load(Ordering::Relaxed);
                // One in four bounds is enough for a graph.
                if index % 4 == 3 && index + 1 < BUCKETS {
                    let bound = bound_s(index);
                    line(format_args!(
                        "gateway_request_seconds_bucket{{method=\"{method}\",le=\"{bound:.6}\"}} {total}"
                    ));
                }
            }
            line(format_args!("gateway_request_seconds_bucket{{method=\"{method}\",le=\"+Inf\"}} {total}"));
            let sum_s = times.sum_us.load(Ordering::Relaxed) as f64 / 1e6;
            line(format_args!("gateway_request_seconds_sum{{method=\"{method}\"}} {sum_s}"));
            line(format_args!("gateway_request_seconds_count{{method=\"{method}\"}} {total}"));
        }
        text
    }
}

fn bound_s(index: usize) -> f64 {
    FIRST_BOUND_S * GROWTH.powi(index as i32)
}

impl Histogram {
    fn note(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let index = (0..BUCKETS - 1).find(|index| seconds <= bound_s(*index)).unwrap_or(BUCKETS - 1);
        self.counts[index].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The bound below which so many lie.
    fn percentile_ms(&self, share: f64) -> f64 {
        let counts: Vec<u64> = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let wanted = (counts.iter().sum::<u64>() as f64 * share).ceil();
        let mut seen = 0.0;
        for (index, count) in counts.iter().enumerate() {
            seen += *count as f64;
            if seen >= wanted && seen > 0.0 {
                return (bound_s(index) * 1e6).round() / 1e3;
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_percentiles() {
        let metrics = Metrics::default();
        for index in 0..100u64 {
            let took = Duration::from_millis(if index < 95 { 2 } else { 200 });
            metrics.answered(&Outcome { method: Method::GET, status: StatusCode::OK, took });
        }
        metrics.answered(&Outcome { method: Method::PUT, status: StatusCode::NOT_FOUND, took: Duration::ZERO });
        metrics.sent(7);
        let summary = metrics.summary();
        assert_eq!((summary.sent_bytes, summary.methods.len()), (7, 2));
        let get = &summary.methods[0];
        assert!((2.0..2.6).contains(&get.p50_ms) && (200.0..260.0).contains(&get.p99_ms), "{get:?}");
        assert_eq!(summary.methods[1].client_error_count, 1);
        let text = metrics.prometheus();
        assert!(text.contains("gateway_requests_total{method=\"GET\",status=\"2xx\"} 100"), "{text}");
        assert!(text.contains("gateway_request_seconds_count{method=\"GET\"} 100"));
    }

    #[tokio::test]
    async fn the_dashboard_shows_what_there_is() {
        let config = cache::CacheConfig { memory_bytes: 1 << 20, disk: None };
        let cache = Arc::new(Cache::open(&config).await.expect("opens"));
        let text = Metrics::new(Some(cache)).prometheus();
        let dashboard = include_str!("../../../docs/operate/gateway-dashboard.json");
        let words = dashboard.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let named: Vec<&str> = words.filter(|word| word.starts_with("gateway_")).collect();
        assert!(named.len() > 10);
        for name in named {
            let shown = text.lines().any(|line| line.split(['{', ' ']).next() == Some(name));
            assert!(shown, "there is no {name}");
        }
    }
}
