//! What is in a scenario beside the plain things: each seed has some of it.

use std::time::Duration;

use huly_protocol::{KindSpec, LabelSelector, Operator, Requirement};

use super::Step;
use crate::random::Random;

/// Drawn from numbers of its own, so that what the rest of a scenario is does not depend on it.
const OWN: u64 = 0x31de_0000_0000;

/// The same for which kinds are exclusive: the rest of the breadth does not depend on it either.
const EXCLUSIVE: u64 = 0xa10e_0000_0000;

/// The largest message of a server that takes only small ones, in bytes: an agent's registration,
/// clients' references and the operator's set come in chunks of a few.
const SMALL_MESSAGES: u64 = 2_000;

/// The label that selectors ask for, and its values.
pub(crate) const ZONE: &str = "zone";
const ZONES: [&str; 2] = ["a", "b"];

/// The zone of the agent that has a place: the first one's is that which selectors want.
pub(crate) fn zone_of(place: &str) -> &'static str {
    ZONES[usize::from(place.ends_with(['2', '4']))]
}

/// The uuid of which a container is made beforehand, and its kind.
pub(crate) const STATELESS: (&str, &str) = ("s0", "lobby");

/// Who says that a container is made beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beforehand {
    /// The agents do it of their own accord; the kind is not among those that they can host.
    Agents,
    /// The specification of its kind says so.
    Kind,
}

/// What is in it.
#[derive(Debug, Clone)]
pub(crate) struct Breadth {
    /// The largest message that servers take, in bytes.
    pub(crate) message_bytes: Option<u64>,
    /// Whether clients of ours subscribe to the feed.
    pub(crate) watching: bool,
    /// Whether clients of ours connect to containers directly.
    pub(crate) connecting: bool,
    /// The kind whose containers listen themselves.
    pub(crate) listening: Option<String>,
    /// Who says that a container is made beforehand, if one is.
    pub(crate) beforehand: Option<Beforehand>,
    /// The specifications of kinds at the beginning.
    pub(crate) specs: Vec<KindSpec>,
    random: Random,
}

impl Breadth {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed ^ OWN);
        Self {
            message_bytes: random.percent(20).then_some(SMALL_MESSAGES),
            watching: random.percent(25),
            connecting: false,
            listening: None,
            beforehand: None,
            specs: Vec::new(),
            random,
        }
    }

    /// Some kinds have specifications, where there is an operator to say them.
    pub(super) fn specify(&mut self, kinds: &[String]) {
        if self.random.percent(40) {
            self.specs = kinds.iter().map(|kind| self.spec(kind, 1)).collect();
        }
    }

    /// Some of them are exclusive, from the beginning to the end; those have specifications.
    pub(super) fn make_exclusive(
        &mut self,
        seed: u64,
        kinds: &[String],
        steps: &mut [(Duration, Step)],
    ) {
        let mut random = Random::new(seed ^ EXCLUSIVE);
        for kind in kinds.iter().filter(|_| random.percent(40)) {
            self.always(kind, steps, |spec| spec.exclusive = true);
        }
    }

    /// Sets something in all that is ever specified of a kind, which is from the beginning on.
    pub(super) fn always(
        &mut self,
        kind: &str,
        steps: &mut [(Duration, Step)],
        set: impl Fn(&mut KindSpec),
    ) {
        if !self.specs.iter().any(|spec| spec.kind == kind) {
            self.specs.push(KindSpec {
                revision: 1,
                ..KindSpec::defaults(kind)
            });
        }
        let later = steps.iter_mut().filter_map(|(_, step)| match step {
            Step::SetKind(spec) => Some(&mut **spec),
            _ => None,
        });
        let all = self.specs.iter_mut().chain(later);
        all.filter(|spec| spec.kind == kind).for_each(set);
    }

    pub(crate) fn has_exclusive(&self) -> bool {
        self.specs.iter().any(|spec| spec.exclusive)
    }

    /// The specifications change until then.
    pub(super) fn change_specs(&mut self, until: Duration) -> Vec<(Duration, Step)> {
        let mut steps = Vec::new();
        let until = until.as_millis() as u64;
        if self.specs.is_empty() || self.random.percent(30) {
            return steps;
        }
        let mut times: Vec<Duration> = (0..self.random.of(1..5))
            .map(|_| self.random.millis(1_000..until))
            .collect();
        times.sort_unstable();
        // A later one has a higher revision, also where the kind was deleted between; but for where
        // Kubernetes' state is restored.
        for (at, later) in times.into_iter().zip(2_u64..) {
            let restored = at.as_millis().is_multiple_of(4);
            let revision = if restored { 1 } else { later };
            let of = self.random.index(self.specs.len());
            let kind = self.specs[of].kind.clone();
            steps.push((
                at,
                match self.random.percent(75) {
                    true => Step::SetKind(Box::new(self.spec(&kind, revision))),
                    false => Step::DeleteKind(kind),
                },
            ));
        }
        steps
    }

    /// Some have a uuid of which agents make a container beforehand.
    pub(super) fn make_beforehand(&mut self, operator: bool) {
        if !self.random.percent(25) {
            return;
        }
        if operator && self.random.percent(50) {
            self.beforehand = Some(Beforehand::Kind);
            self.specs.push(KindSpec {
                stateless_uuid: Some(STATELESS.0.to_owned()),
                ..KindSpec {
                    revision: 1,
                    ..KindSpec::defaults(STATELESS.1)
                }
            });
        } else {
            self.beforehand = Some(Beforehand::Agents);
        }
    }

    /// Clients may connect to containers, and some of those listen themselves.
    pub(super) fn connect(&mut self, kinds: &[String]) {
        self.connecting = self.random.percent(50);
        if self.random.percent(50) {
            self.listening = self.random.pick(kinds).cloned();
        }
    }

    /// Where there are two routes, some places are parted from the server alone.
    pub(super) fn part(&mut self, places: &[String], until: Duration) -> Vec<(Duration, Step)> {
        let mut steps = Vec::new();
        if !self.connecting {
            return steps;
        }
        for _ in 0..self.random.of(0..4) {
            let Some(place) = self.random.pick(places).cloned() else {
                break;
            };
            let at = self.random.millis(1_000..until.as_millis() as u64);
            let longest = [400, 2_000, 6_000][self.random.index(3)];
            let later = at + self.random.millis(10..longest);
            if place != "server" && later < until {
                steps.push((at, Step::Part(place.clone())));
                steps.push((later, Step::Meet(place)));
            }
        }
        steps
    }

    fn spec(&mut self, kind: &str, revision: u64) -> KindSpec {
        let random = &mut self.random;
        let mut agent_selector = LabelSelector::default();
        match random.of(0..4) {
            0 => {
                let zone = (ZONE.to_owned(), ZONES[0].to_owned());
                agent_selector.match_labels = [zone].into();
            }
            // TypeScript agents have no labels: this lets them.
            1 => agent_selector.match_expressions.push(Requirement {
                key: ZONE.to_owned(),
                operator: Operator::NotIn,
                values: vec![ZONES[1].to_owned()],
            }),
            _ => {}
        }
        KindSpec {
            revision,
            agent_selector,
            idle_timeout_ms: [None, Some(500), Some(9_000)][random.index(3)],
            start_timeout_ms: [None, Some(1_000)][random.index(2)],
            termination_grace_ms: [None, Some(300)][random.index(2)],
            serial: random.percent(40),
            ..KindSpec::defaults(kind)
        }
    }
}
