use std::collections::BTreeMap;
use std::time::Duration;

use huly_protocol::FrameError;
use huly_registry::{METHODS, Snapshot};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, GaugeVec, IntCounterVec, Opts};
use tokio::sync::mpsc::UnboundedSender;

use crate::serve::Ask;

/// How long a scrape waits for the serving loop.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the serving loop at each scrape, so that a figure is of its moment and the loop does no
/// work for figures that nobody reads.
pub(crate) struct StatsCollector {
    ask: UnboundedSender<Ask>,
    descs: Vec<Desc>,
}

impl StatsCollector {
    pub(crate) fn new(ask: UnboundedSender<Ask>) -> prometheus::Result<Self> {
        let families = Families::new()?;
        let descs = families
            .collectors()
            .iter()
            .flat_map(|c| c.desc())
            .cloned()
            .collect();
        Ok(Self { ask, descs })
    }

    fn snapshot(&self) -> Option<Snapshot> {
        let (answer, asked) = std::sync::mpsc::channel();
        self.ask.send(Ask::Scrape(answer)).ok()?;
        asked.recv_timeout(PATIENCE).ok()
    }
}

impl Collector for StatsCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Some(snapshot) = self.snapshot() else {
            return Vec::new();
        };
        let Ok(families) = Families::new() else {
            return Vec::new();
        };
        families.fill(&snapshot);
        families
            .collectors()
            .iter()
            .flat_map(|c| c.collect())
            .collect()
    }
}

/// Why an agent is gone.
const AGENT_LOST: [&str; 4] = [
    "AgentDraining",
    "AgentSilent",
    "AgentUnregistered",
    "ConnectionClosed",
];
/// Why a container ends whose agent is there.
const CONTAINER_ENDED: &str = "ContainerEnded";
/// Why a container ends that nobody holds.
const IDLE: &str = "Idle";
const STARTED: [&str; 2] = ["ok", "failed"];
/// Why messages are bad whose frames can be read.
const BAD_MESSAGES: [&str; 8] = [
    "bad_answer",
    "bad_hello",
    "bad_record",
    "bad_request",
    "client_id_too_long",
    "late_answer",
    "unexpected_op",
    "unknown_answer",
];
struct Families {
    settling: GaugeVec,
    term: GaugeVec,
    sessions: GaugeVec,
    agents: GaugeVec,
    containers: GaugeVec,
    standbys: GaugeVec,
    waiting: GaugeVec,
    references: GaugeVec,
    held: GaugeVec,
    held_bytes: GaugeVec,
    calls: GaugeVec,
    kinds: GaugeVec,
    requests: IntCounterVec,
    bad_messages: IntCounterVec,
    failovers: IntCounterVec,
    starts: IntCounterVec,
    ends: IntCounterVec,
    agents_lost: IntCounterVec,
    cuts: IntCounterVec,
    failover_seconds: Counter,
}

fn gauge(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<GaugeVec> {
    GaugeVec::new(Opts::new(format!("huly_network_{name}"), help), labels)
}

fn counter(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    IntCounterVec::new(
        Opts::new(format!("huly_network_{name}_total"), help),
        labels,
    )
}

impl Families {
    fn new() -> prometheus::Result<Self> {
        Ok(Self {
            settling: gauge(
                "settling",
                "1 while agents may still register what they host.",
                &[],
            )?,
            term: gauge(
                "term_seconds",
                "The server's term, in seconds since 1970.",
                &[],
            )?,
            sessions: gauge(
                "client_sessions",
                "Client sessions by dialect.",
                &["dialect"],
            )?,
            agents: gauge("agents", "Agents by state.", &["state"])?,
            containers: gauge("containers", "Living containers by kind.", &["kind"])?,
            standbys: gauge(
                "standbys",
                "Containers that were made beforehand and stand by, by kind.",
                &["kind"],
            )?,
            waiting: gauge(
                "containers_waiting",
                "Containers to be placed, by kind.",
                &["kind"],
            )?,
            references: gauge(
                "references",
                "References to containers, by kind.",
                &["kind"],
            )?,
            held: gauge(
                "held_requests",
                "Requests that wait for their container.",
                &[],
            )?,
            held_bytes: gauge("held_request_bytes", "Payload of those requests.", &[])?,
            calls: gauge(
                "agent_calls_in_flight",
                "Calls to agents without an answer.",
                &[],
            )?,
            kinds: gauge("kinds_specified", "Kinds with a specification.", &[])?,
            requests: counter(
                "requests",
                "Requests of clients by method and outcome (ok or an error's code).",
                &["method", "outcome"],
            )?,
            bad_messages: counter("bad_messages", "What is not the protocol.", &["reason"])?,
            failovers: counter("failovers", "Containers placed again.", &["reason"])?,
            starts: counter("starts", "Starts of containers by outcome.", &["outcome"])?,
            ends: counter("ends", "Containers ended by reason.", &["reason"])?,
            agents_lost: counter("agents_lost", "Agents that are gone.", &["reason"])?,
            cuts: counter(
                "connections_cut",
                "Connections that were cut, for their peers did not read.",
                &[],
            )?,
            failover_seconds: Counter::new(
                "huly_network_failover_seconds_total",
                "Time from the last sign of life to the container's being there again, summed up.",
            )?,
        })
    }

    fn collectors(&self) -> Vec<&dyn Collector> {
        vec![
            &self.settling,
            &self.term,
            &self.sessions,
            &self.agents,
            &self.containers,
            &self.standbys,
            &self.waiting,
            &self.references,
            &self.held,
            &self.held_bytes,
            &self.calls,
            &self.kinds,
            &self.requests,
            &self.bad_messages,
            &self.failovers,
            &self.starts,
            &self.ends,
            &self.agents_lost,
            &self.cuts,
            &self.failover_seconds,
        ]
    }

    /// Begins every count at 0: one that appears with its first event looks, until then, like one
    /// that is not there, and its first event is no increase.
    fn announce(&self) {
        let begin = |counter: &IntCounterVec, labels: &[&str]| {
            counter.with_label_values(labels);
        };
        for method in METHODS {
            begin(&self.requests, &[method, "ok"]);
        }
        let unreadable = FrameError::ALL.map(FrameError::reason);
        for reason in BAD_MESSAGES.into_iter().chain(unreadable) {
            begin(&self.bad_messages, &[reason]);
        }
        for outcome in STARTED {
            begin(&self.starts, &[outcome]);
        }
        for reason in AGENT_LOST {
            begin(&self.agents_lost, &[reason]);
        }
        for reason in AGENT_LOST.into_iter().chain([CONTAINER_ENDED]) {
            begin(&self.failovers, &[reason]);
            begin(&self.ends, &[reason]);
        }
        begin(&self.ends, &[IDLE]);
    }

    fn fill(&self, snapshot: &Snapshot) {
        self.announce();
        let one = |gauge: &GaugeVec, value: f64| gauge.with_label_values::<&str>(&[]).set(value);
        one(&self.settling, f64::from(u8::from(snapshot.settling)));
        one(&self.term, snapshot.term as f64 / 1e3);
        one(&self.held, snapshot.held.0 as f64);
        one(&self.held_bytes, snapshot.held.1 as f64);
        one(&self.calls, snapshot.calls as f64);
        one(&self.kinds, snapshot.kinds as f64);
        self.sessions
            .with_label_values(&["typescript"])
            .set(snapshot.sessions.0 as f64);
        self.sessions
            .with_label_values(&["rust"])
            .set(snapshot.sessions.1 as f64);
        for state in ["Live", "Suspected", "Draining"] {
            let count = snapshot.agents.get(state).copied().unwrap_or_default();
            self.agents.with_label_values(&[state]).set(count as f64);
        }
        by_kind(&self.containers, &snapshot.containers);
        for kind in snapshot.containers.keys() {
            self.waiting.with_label_values(&[kind]).set(0.0);
            self.standbys.with_label_values(&[kind]).set(0.0);
        }
        by_kind(&self.standbys, &snapshot.standbys);
        by_kind(&self.waiting, &snapshot.waiting);
        by_kind(&self.references, &snapshot.references);
        let counted = &snapshot.counted;
        for ((method, outcome), count) in &counted.requests {
            self.requests
                .with_label_values(&[method, outcome])
                .inc_by(*count);
        }
        by_reason(&self.bad_messages, &counted.bad_messages);
        by_reason(&self.failovers, &counted.failovers);
        by_reason(&self.starts, &counted.starts);
        by_reason(&self.ends, &counted.ends);
        by_reason(&self.agents_lost, &counted.agents_lost);
        let no_labels: [&str; 0] = [];
        self.cuts.with_label_values(&no_labels).inc_by(counted.cuts);
        self.failover_seconds
            .inc_by(counted.failover_time.as_secs_f64());
    }
}

fn by_kind(gauge: &GaugeVec, counts: &BTreeMap<String, usize>) {
    for (kind, count) in counts {
        gauge.with_label_values(&[kind]).set(*count as f64);
    }
}

fn by_reason(counter: &IntCounterVec, counts: &BTreeMap<&'static str, u64>) {
    for (reason, count) in counts {
        counter.with_label_values(&[reason]).inc_by(*count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(snapshot: &Snapshot) -> BTreeMap<String, usize> {
        let families = Families::new().unwrap();
        families.fill(snapshot);
        let collected = families.collectors().into_iter().flat_map(|c| c.collect());
        collected
            .map(|family| (family.name().to_owned(), family.get_metric().len()))
            .collect()
    }

    #[test]
    fn nothing_that_is_counted_is_left_out_before_it_happens() {
        let snapshot = Snapshot {
            containers: [("echo".to_owned(), 0)].into(),
            references: [("echo".to_owned(), 0)].into(),
            ..Snapshot::default()
        };
        let samples = samples(&snapshot);
        let absent: Vec<&String> = samples
            .iter()
            .filter(|(_, count)| **count == 0)
            .map(|(name, _)| name)
            .collect();
        assert!(absent.is_empty(), "no samples of {absent:?}");
    }

    #[test]
    fn what_happened_is_of_the_series_that_were_announced() {
        let all = |keys: &[&'static str]| keys.iter().map(|key| (*key, 1)).collect();
        let mut happened = Snapshot::default();
        happened.counted.failovers = all(&["AgentSilent", "ContainerEnded"]);
        happened.counted.ends = all(&["Idle", "AgentDraining"]);
        happened.counted.agents_lost = all(&["ConnectionClosed", "AgentUnregistered"]);
        happened.counted.starts = all(&["ok", "failed"]);
        happened.counted.bad_messages = all(&["unexpected_op", "no_frames"]);
        happened.counted.requests = METHODS.map(|method| ((method, "ok"), 1)).into();
        assert_eq!(samples(&happened), samples(&Snapshot::default()));
    }
}
