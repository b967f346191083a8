use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use huly_operator_api::condition::claim::REASON_BOUND as BOUND;
use huly_operator_api::condition::kind::REASON_READY as READY;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::core::{Count, Counts, Report};

/// Buckets of the time until a claim is Bound, in seconds.
const BOUND_BUCKETS: [f64; 13] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0,
];

/// The reasons of errors.
const ERRORS: [&str; 15] = [
    "api_server",
    "event",
    "event_dropped",
    "lease",
    "network",
    "not_placeable",
    "other_kind",
    "sample",
    "set_kinds",
    "start_failed",
    "sync",
    "unreadable_claim",
    "watch_claims",
    "watch_kinds",
    "watch_namespaces",
];
/// How writes of statuses end.
const WRITTEN: [&str; 4] = ["ok", "gone", "conflict", "failed"];
/// Shown also when there are none: the claims that are as they should be.
const ALL_CLAIMS: [&str; 2] = ["True", BOUND];
/// The same of kinds.
const ALL_KINDS: [&str; 2] = ["True", READY];

#[derive(Debug, Default)]
struct Shown {
    claims: Counts,
    kinds: Counts,
}

/// The operator's metrics. Labels are bounded: condition statuses and reasons, outcomes.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    claims: IntGaugeVec,
    kinds: IntGaugeVec,
    session_up: IntGauge,
    leader: IntGauge,
    status_writes: IntCounterVec,
    claim_bound: Histogram,
    failovers: IntCounter,
    syncs: IntCounterVec,
    released: IntCounter,
    errors: IntCounterVec,
    /// What the gauges show.
    shown: Arc<Mutex<Shown>>,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            claims: IntGaugeVec::new(
                name("claims", "Claims by their Bound condition."),
                &["bound", "reason"],
            )?,
            kinds: IntGaugeVec::new(
                name("kinds", "Kinds of the network by their Ready condition."),
                &["ready", "reason"],
            )?,
            session_up: IntGauge::with_opts(name(
                "session_up",
                "1 while the network server lets the operator do its work.",
            ))?,
            leader: IntGauge::with_opts(name(
                "leader",
                "1 while this operator leads: the others look on.",
            ))?,
            status_writes: IntCounterVec::new(
                name("status_writes_total", "Writes of statuses."),
                &["kind", "outcome"],
            )?,
            claim_bound: Histogram::with_opts(
                HistogramOpts::new(
                    "huly_operator_claim_bound_seconds",
                    "From a new claim's being seen to Bound being in its status.",
                )
                .buckets(BOUND_BUCKETS.to_vec()),
            )?,
            failovers: IntCounter::with_opts(name(
                "failovers_total",
                "Failovers of claims' containers.",
            ))?,
            syncs: IntCounterVec::new(
                name("sync_total", "Syncs of the full set of references."),
                &["outcome"],
            )?,
            released: IntCounter::with_opts(name("released_total", "References released."))?,
            errors: IntCounterVec::new(
                name("errors_total", "What went wrong and is tried again."),
                &["reason"],
            )?,
            shown: Arc::default(),
        };
        registry.register(Box::new(metrics.claims.clone()))?;
        registry.register(Box::new(metrics.kinds.clone()))?;
        registry.register(Box::new(metrics.session_up.clone()))?;
        registry.register(Box::new(metrics.leader.clone()))?;
        registry.register(Box::new(metrics.status_writes.clone()))?;
        registry.register(Box::new(metrics.claim_bound.clone()))?;
        registry.register(Box::new(metrics.failovers.clone()))?;
        registry.register(Box::new(metrics.syncs.clone()))?;
        registry.register(Box::new(metrics.released.clone()))?;
        registry.register(Box::new(metrics.errors.clone()))?;
        metrics.announce();
        Ok(metrics)
    }

    /// Begins every count at 0: one that appears with its first event looks, until then, like one
    /// that is not there, and its first event is no increase.
    fn announce(&self) {
        for object in ["ContainerClaim", "ContainerKind"] {
            for outcome in WRITTEN {
                self.status_writes.with_label_values(&[object, outcome]);
            }
        }
        for outcome in ["ok", "failed"] {
            self.syncs.with_label_values(&[outcome]);
        }
        for reason in ERRORS {
            self.errors.with_label_values(&[reason]);
        }
        self.show(&Report::default());
    }

    /// Something went wrong.
    pub(crate) fn error(&self, reason: &str) {
        self.errors.with_label_values(&[reason]).inc();
    }

    pub(crate) fn count(&self, count: Count) {
        match count {
            Count::StatusWrite { object, outcome } => {
                let labels = [object, outcome];
                self.status_writes.with_label_values(&labels).inc();
            }
            Count::BoundAfter(time) => self.claim_bound.observe(seconds(time)),
            Count::Failovers(count) => self.failovers.inc_by(count),
            Count::Released(count) => self.released.inc_by(count),
            Count::Sync(outcome) => self.syncs.with_label_values(&[outcome]).inc(),
            Count::Error(reason) => self.error(reason),
        }
    }

    pub(crate) fn show(&self, report: &Report) {
        self.session_up.set(i64::from(report.session_up));
        self.leader.set(i64::from(report.leads));
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.claims = set(&self.claims, &shown.claims, &report.claims, ALL_CLAIMS);
        shown.kinds = set(&self.kinds, &shown.kinds, &report.kinds, ALL_KINDS);
    }
}

fn name(name: &str, help: &str) -> Opts {
    Opts::new(format!("huly_operator_{name}"), help)
}

/// Sets what is counted, and `always` at least to 0, and takes away what was counted before alone:
/// a scrape may come in between, and a reset would show it nothing. Returns what it set.
fn set(gauge: &IntGaugeVec, before: &Counts, counts: &Counts, always: [&str; 2]) -> Counts {
    let mut counts = counts.clone();
    counts.entry(always.map(str::to_owned).into()).or_default();
    for ((status, reason), count) in &counts {
        gauge
            .with_label_values(&[&*status.to_lowercase(), reason])
            .set(i64::try_from(*count).unwrap_or(i64::MAX));
    }
    for (status, reason) in before.keys().filter(|key| !counts.contains_key(*key)) {
        // What is not there any more is as wanted.
        let _ = gauge.remove_label_values(&[&*status.to_lowercase(), reason]);
    }
    counts
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use prometheus::{Encoder, TextEncoder};

    use super::*;

    #[test]
    fn nothing_that_is_counted_is_left_out_before_it_happens() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let lines = || {
            let mut text = Vec::new();
            let families = registry.gather();
            TextEncoder::new().encode(&families, &mut text).unwrap();
            let text = String::from_utf8(text).unwrap();
            let names = text.lines().filter_map(|line| line.rsplit_once(' '));
            let mut names: Vec<String> = names.map(|(name, _)| name.to_owned()).collect();
            names.retain(|name| !name.starts_with('#'));
            (registry.gather().len(), names)
        };
        let (families, before) = lines();
        assert_eq!(families, 10, "{before:?}");
        metrics.count(Count::Sync("failed"));
        metrics.count(Count::Error("sample"));
        metrics.count(Count::StatusWrite {
            object: "ContainerKind",
            outcome: "gone",
        });
        let one = |reason: &str| [(("True".to_owned(), reason.to_owned()), 1)].into();
        metrics.show(&Report {
            claims: one(BOUND),
            kinds: one(READY),
            ..Report::default()
        });
        metrics.show(&Report::default());
        assert_eq!(lines().1, before);
    }

    #[test]
    fn what_is_counted_is_shown() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let reason = |reason: &str| ("True".to_owned(), reason.to_owned());
        let mut report = Report {
            claims: [(reason("Old"), 1)].into(),
            ..Report::default()
        };
        metrics.show(&report);
        report.claims = [(reason("Bound"), 3)].into();
        metrics.show(&report);
        metrics.count(Count::BoundAfter(Duration::from_millis(20)));
        metrics.count(Count::Sync("ok"));
        metrics.count(Count::StatusWrite {
            object: "ContainerClaim",
            outcome: "ok",
        });
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&registry.gather(), &mut text)
            .unwrap();
        let text = String::from_utf8(text).unwrap();
        for line in [
            "huly_operator_claims{bound=\"true\",reason=\"Bound\"} 3",
            "huly_operator_session_up 0",
            "huly_operator_claim_bound_seconds_bucket{le=\"0.025\"} 1",
            "huly_operator_sync_total{outcome=\"ok\"} 1",
            "huly_operator_status_writes_total{kind=\"ContainerClaim\",outcome=\"ok\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("Old"), "{text}");
    }
}
