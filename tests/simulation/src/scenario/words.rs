//! What a story begins with: what its seed is made of.

use std::collections::BTreeMap;
use std::time::Duration;

use huly_protocol::KindSpec;

use super::breadth::{Beforehand, STATELESS};
use super::{Limits, Scenario, Step};

impl Scenario {
    /// In words, a line each.
    pub(crate) fn in_words(&self) -> Vec<String> {
        let mut lines = vec![format!("seed {}: {}", self.seed, self.who())];
        lines.extend(self.breadth.specs.iter().map(of_spec));
        if !self.wanted.is_empty() {
            let wanted: Vec<&str> = self.wanted.iter().map(|(uuid, _)| uuid.as_str()).collect();
            lines.push(format!("  the operator wants {}", wanted.join(", ")));
        }
        lines.extend([self.of_times(), self.of_manners()]);
        lines.extend(self.of_breadth());
        lines.extend(of_limits(&self.limits));
        lines.push(self.of_faults());
        lines
    }

    fn who(&self) -> String {
        let several = |count: usize, what: &str| match count {
            0 => None,
            1 => Some(format!("1 {what}")),
            count => Some(format!("{count} {what}s")),
        };
        let operators = match (self.operator, self.rivals) {
            (false, _) => None,
            (true, false) => Some("an operator".to_owned()),
            (true, true) => Some("two operators, of which one leads".to_owned()),
        };
        let all = [
            Some("a server".to_owned()),
            several(self.agents, "agent"),
            several(self.plain_agents, "TypeScript agent"),
            several(self.clients, "client"),
            several(self.plain_clients, "TypeScript client"),
            operators,
        ];
        let all: Vec<String> = all.into_iter().flatten().collect();
        let uuids = self.uuids.iter();
        let uuids: Vec<String> = uuids
            .map(|(uuid, kind)| format!("{uuid} ({kind})"))
            .collect();
        let (all, uuids) = (all.join(", "), uuids.join(", "));
        format!("{all}; clients share {uuids}")
    }

    fn of_times(&self) -> String {
        let times = &self.times;
        let drift = times.drift as f64 / 1e4;
        format!(
            "  leases of {}, {} until it has settled, {} of grace, {} for TypeScript agents; clocks are \
             up to {drift} % wrong",
            of_time(times.lease),
            of_time(times.settle),
            of_time(times.grace),
            of_time(times.plain_grace),
        )
    }

    fn of_manners(&self) -> String {
        let manners = &self.manners;
        format!(
            "  containers start and end within {} ms and answer within {} ms, {} starts of 100 fail; \
             clients wish something every {} ms at the latest",
            manners.slow_ms, manners.work_ms, manners.failing, self.pause_ms,
        )
    }

    fn of_breadth(&self) -> Option<String> {
        let breadth = &self.breadth;
        let uuid = STATELESS.0;
        let listening = breadth.listening.as_ref();
        let all = [
            (breadth.connecting).then(|| "clients connect directly".to_owned()),
            listening.map(|kind| format!("each {kind} listens itself")),
            breadth
                .watching
                .then(|| "clients subscribe to the feed".to_owned()),
            breadth.beforehand.map(|by| match by {
                Beforehand::Agents => format!("agents make {uuid} beforehand"),
                Beforehand::Kind => format!("by its kind {uuid} is made beforehand"),
            }),
            (breadth.message_bytes).map(|most| format!("messages have {most} bytes at most")),
        ];
        let all: Vec<String> = all.into_iter().flatten().collect();
        (!all.is_empty()).then(|| format!("  {}", all.join("; ")))
    }

    /// What happens but that all are started once, and how often.
    fn of_faults(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for name in self.steps.iter().filter_map(|(_, step)| name(step)) {
            *counts.entry(name).or_default() += 1;
        }
        let until = of_time(self.mended);
        if counts.is_empty() {
            return format!("  nothing happens; everybody is in order after {until}");
        }
        let counts: Vec<String> = counts
            .iter()
            .map(|(name, count)| format!("{name} ({count})"))
            .collect();
        format!("  until {until}: {}", counts.join(", "))
    }
}

/// What happens, but for what ends it.
fn name(step: &Step) -> Option<&'static str> {
    Some(match step {
        Step::Crash { silent: false, .. } => "killed",
        Step::Crash { .. } => "a machine dies",
        Step::Cut(_) => "connections cut",
        Step::Pause(_) => "paused",
        Step::Isolate(_) => "isolated",
        Step::Part(_) => "parted from the server",
        Step::LoseApi(_) => "parted from the API server",
        Step::Slow { ms, .. } if *ms > 0 => "slow messages",
        Step::Read { pace: Some(_), .. } => "reads slowly",
        Step::SetClock { .. } => "time of day set",
        Step::Clog(_) => "given up by the server",
        Step::LoseContainer(_) => "a container ends by itself",
        Step::Leave(_) => "leaves",
        Step::Double { .. } => "a second server",
        Step::SetKind(_) => "a kind changes",
        Step::DeleteKind(_) => "a kind is deleted",
        Step::Start(_)
        | Step::Thaw(_)
        | Step::Join(_)
        | Step::Meet(_)
        | Step::FindApi(_)
        | Step::Slow { .. }
        | Step::Read { .. }
        | Step::Single => return None,
    })
}

fn of_spec(spec: &KindSpec) -> String {
    let ms = |what: &str, ms: Option<u64>| ms.map(|ms| format!("{what} {ms} ms"));
    let all = [
        spec.exclusive.then(|| "exclusive".to_owned()),
        spec.serial.then(|| "serial".to_owned()),
        (!spec.agent_selector.is_empty()).then(|| "not on every agent".to_owned()),
        ms("idle time", spec.idle_timeout_ms),
        ms("starts within", spec.start_timeout_ms),
        ms("ends within", spec.termination_grace_ms),
    ];
    let all: Vec<String> = all.into_iter().flatten().collect();
    let (kind, all) = (&spec.kind, all.join(", "));
    match all.is_empty() {
        true => format!("  kind {kind} is specified, as it would be by default"),
        false => format!("  kind {kind} is specified: {all}"),
    }
}

/// What there is little room for.
fn of_limits(limits: &Limits) -> Option<String> {
    let large = Limits::large();
    let of = |few: bool, count: u128, what: &str| few.then(|| format!("{count} {what}"));
    let all = [
        of(
            limits.requests_in_flight < large.requests_in_flight,
            u128::from(limits.requests_in_flight),
            "requests of a client in flight",
        ),
        of(
            limits.calls_per_container < large.calls_per_container,
            u128::from(limits.calls_per_container),
            "requests to a container",
        ),
        of(
            limits.waiting_calls < large.waiting_calls,
            limits.waiting_calls as u128,
            "waiting requests to a container",
        ),
        of(
            limits.hold_bytes < large.hold_bytes,
            limits.hold_bytes as u128,
            "bytes held",
        ),
        of(
            limits.answers_bytes < large.answers_bytes,
            limits.answers_bytes as u128,
            "bytes of answers",
        ),
        of(
            limits.answers_window < large.answers_window,
            limits.answers_window.as_millis(),
            "ms for which answers are remembered",
        ),
    ];
    let all: Vec<String> = all.into_iter().flatten().collect();
    (!all.is_empty()).then(|| format!("  at most {}", all.join(", ")))
}

fn of_time(time: Duration) -> String {
    format!("{} s", time.as_millis() as f64 / 1e3)
}
