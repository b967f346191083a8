use huly_protocol::FrameError;
use prometheus::core::Collector;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::core::{Figures, Observed, Route};

/// From 100 µs to 10 s: a request inside a container takes microseconds or waits for something.
const BUCKETS: [f64; 11] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.01, 0.05, 0.25, 1.0, 2.5, 10.0,
];

/// Why messages are bad whose frames can be read.
const BAD_MESSAGES: [&str; 6] = [
    "bad_hello",
    "client_id_too_long",
    "bad_request",
    "unexpected_op",
    "unknown_answer",
    "unknown_method",
];

/// The agent's metrics. Labels are bounded: kinds are those that the agent serves.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    containers: IntGaugeVec,
    standbys: IntGaugeVec,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    starts: IntCounterVec,
    ends: IntCounterVec,
    lease_lost: IntCounter,
    bad_messages: IntCounterVec,
    clients: IntGauge,
    waiting: IntGauge,
    session_up: IntGauge,
    leased: IntGauge,
    blocked_workers: IntGauge,
    worker_blocks: IntCounterVec,
}

fn named(name: &str, help: &str) -> Opts {
    Opts::new(format!("huly_agent_{name}"), help)
}

impl Metrics {
    pub(crate) fn new<'a>(
        registry: &Registry,
        kinds: impl Iterator<Item = &'a str>,
    ) -> prometheus::Result<Self> {
        let metrics = Self {
            containers: IntGaugeVec::new(
                named(
                    "containers",
                    "Containers by kind: starting, living, ending.",
                ),
                &["kind"],
            )?,
            standbys: IntGaugeVec::new(
                named(
                    "standbys",
                    "Containers that were made beforehand and stand by, by kind.",
                ),
                &["kind"],
            )?,
            requests: IntCounterVec::new(
                named(
                    "requests_total",
                    "Requests to containers by outcome (ok or an error's code).",
                ),
                &["kind", "route", "outcome"],
            )?,
            request_seconds: HistogramVec::new(
                HistogramOpts::from(named(
                    "request_seconds",
                    "From a request's coming to its answer.",
                ))
                .buckets(BUCKETS.to_vec()),
                &["kind", "route"],
            )?,
            starts: IntCounterVec::new(
                named("starts_total", "Starts of containers by outcome."),
                &["kind", "outcome"],
            )?,
            ends: IntCounterVec::new(
                named("ends_total", "Ends of containers by reason."),
                &["kind", "reason"],
            )?,
            lease_lost: IntCounter::with_opts(named(
                "lease_lost_total",
                "How often the agent overslept its lease.",
            ))?,
            bad_messages: IntCounterVec::new(
                named("bad_messages_total", "What is not the protocol."),
                &["reason"],
            )?,
            clients: IntGauge::with_opts(named(
                "connected_clients",
                "Clients of the agent's ROUTER and of its containers'.",
            ))?,
            waiting: IntGauge::with_opts(named(
                "waiting_calls",
                "Requests that wait: for their container to start or to begin with them, or for the lease.",
            ))?,
            session_up: IntGauge::with_opts(named(
                "session_up",
                "1 while the agent is registered at a server that it reaches.",
            ))?,
            leased: IntGauge::with_opts(named(
                "leased",
                "1 while the agent has its lease: containers of exclusive kinds accept requests.",
            ))?,
            blocked_workers: IntGauge::with_opts(named(
                "blocked_workers",
                "Workers that a container blocks now: it does not reach an await.",
            ))?,
            worker_blocks: IntCounterVec::new(
                named(
                    "worker_blocks_total",
                    "How often a container blocked its worker.",
                ),
                &["kind"],
            )?,
        };
        metrics.register(registry)?;
        // A count that appears with its first event looks, until then, like one that is not there.
        for kind in kinds {
            metrics.containers.with_label_values(&[kind]).set(0);
            metrics.standbys.with_label_values(&[kind]).set(0);
            metrics.worker_blocks.with_label_values(&[kind]).reset();
            metrics.starts.with_label_values(&[kind, "ok"]).reset();
            for reason in ["Terminated", "PingFailed"] {
                metrics.ends.with_label_values(&[kind, reason]).reset();
            }
            for route in ["routed", "direct"] {
                let requests = [kind, route, "ok"];
                metrics.requests.with_label_values(&requests).reset();
            }
        }
        let unreadable = FrameError::ALL.map(FrameError::reason);
        for reason in BAD_MESSAGES.into_iter().chain(unreadable) {
            metrics.bad_messages.with_label_values(&[reason]).reset();
        }
        Ok(metrics)
    }

    fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        let all: [Box<dyn Collector>; 14] = [
            Box::new(self.containers.clone()),
            Box::new(self.standbys.clone()),
            Box::new(self.requests.clone()),
            Box::new(self.request_seconds.clone()),
            Box::new(self.starts.clone()),
            Box::new(self.ends.clone()),
            Box::new(self.lease_lost.clone()),
            Box::new(self.bad_messages.clone()),
            Box::new(self.clients.clone()),
            Box::new(self.waiting.clone()),
            Box::new(self.session_up.clone()),
            Box::new(self.leased.clone()),
            Box::new(self.blocked_workers.clone()),
            Box::new(self.worker_blocks.clone()),
        ];
        all.into_iter().try_for_each(|one| registry.register(one))
    }

    pub(crate) fn observe(&self, observed: &Observed) {
        match observed {
            Observed::Request {
                kind,
                route,
                outcome,
                took,
            } => {
                let route = match route {
                    Route::Routed => "routed",
                    Route::Direct => "direct",
                };
                self.requests
                    .with_label_values(&[kind, route, outcome])
                    .inc();
                self.request_seconds
                    .with_label_values(&[kind, route])
                    .observe(took.as_secs_f64());
            }
            Observed::Start { kind, outcome } => {
                self.starts.with_label_values(&[kind, *outcome]).inc();
            }
            Observed::End { kind, reason } => {
                self.ends.with_label_values(&[kind, *reason]).inc();
            }
            Observed::LeaseLost => self.lease_lost.inc(),
            Observed::BadMessage { reason } => {
                self.bad_messages.with_label_values(&[reason]).inc();
            }
        }
    }

    /// The figures of the core, and the requests that containers have and have not begun with.
    pub(crate) fn set(&self, figures: &Figures<'_>, in_mailboxes: usize) {
        for (kind, count) in figures.containers {
            self.containers
                .with_label_values(&[kind])
                .set(whole(*count));
        }
        for (kind, count) in figures.standbys {
            self.standbys.with_label_values(&[kind]).set(whole(*count));
        }
        self.clients.set(whole(figures.clients));
        self.waiting.set(whole(figures.waiting + in_mailboxes));
        self.session_up.set(i64::from(figures.registered));
        self.leased.set(i64::from(figures.leased));
    }

    /// A container blocks its worker.
    pub(crate) fn worker_blocked(&self, kind: &str) {
        self.worker_blocks.with_label_values(&[kind]).inc();
    }

    /// So many do now.
    pub(crate) fn set_blocked(&self, workers: usize) {
        self.blocked_workers.set(whole(workers));
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
