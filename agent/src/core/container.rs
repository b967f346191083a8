use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use huly_protocol::{
    ContainerRecord, Endpoint, EndpointKind, Epoch, GetRequest, KindSpec, RecordExt, StartExt,
    Stateless,
};

use super::config::Config;
use super::types::{Asked, CallNumber, Id, Role, Run, Seed, Token};

/// A container of this agent.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) run: Run,
    pub(super) uuid: Id,
    pub(super) kind: Id,
    pub(super) role: Role,
    /// Whether it is asked one thing at a time, in this life.
    pub(super) serial: bool,
    /// When its making began.
    pub(super) made: Duration,
    /// When it must have started, or be ready to have its uuid.
    pub(super) starts_until: Duration,
    /// Whether it is pinged regularly.
    pub(super) pinged: bool,
    pub(super) request: GetRequest,
    /// What the server wants to be told again: epoch, specification, holders, failovers.
    pub(super) told: StartExt,
    pub(super) endpoint: String,
    pub(super) state: State,
    /// How many registrations had been sent when its start was asked for.
    pub(super) asked_after: u64,
    pub(super) last_visit: Duration,
    /// Requests that were not handed to it yet, in the order in which they came.
    pub(super) waiting: VecDeque<Asked>,
    /// Its requests without an answer: those that wait and those that run.
    pub(super) calls: BTreeSet<CallNumber>,
    /// Clients of the ROUTER that want its events, also while they are away (W27).
    pub(super) connected: BTreeSet<Id>,
}

#[derive(Debug)]
pub(super) enum State {
    /// These gets wait for it.
    Starting { waiters: Vec<Token> },
    /// It takes requests.
    Live,
    /// It is being ended.
    Stopping {
        reason: Reason,
        /// Calls that asked for the end.
        enders: Vec<Token>,
        /// What is started under the uuid when it has ended.
        next: Option<Box<Start>>,
    },
}

/// Why a container is ended or has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The network server said so: nobody holds it any more.
    Terminated,
    /// The application that runs the agent said so.
    TerminatedHere,
    /// The network server said so: it lives elsewhere.
    LivesElsewhere,
    /// The server places it here anew, at a higher epoch.
    Replaced,
    /// The agent leaves.
    Drain,
    /// It had not started in time.
    StartTimeout,
    /// It could not start.
    StartFailed,
    /// By its own wish.
    ByItself,
    /// It panicked.
    Panicked,
    /// It was asked whether it is well, and is not.
    PingFailed,
    /// It stood by, and nobody wants that any more.
    Unwanted,
}

impl Reason {
    /// Its name, as the metrics have it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Terminated => "Terminated",
            Self::TerminatedHere => "TerminatedHere",
            Self::LivesElsewhere => "LivesElsewhere",
            Self::Replaced => "Replaced",
            Self::Drain => "Drain",
            Self::StartTimeout => "StartTimeout",
            Self::StartFailed => "StartFailed",
            Self::ByItself => "ByItself",
            Self::Panicked => "Panicked",
            Self::PingFailed => "PingFailed",
            Self::Unwanted => "Unwanted",
        }
    }

    /// Whether the server has to be told: it does not know of these ends.
    pub(super) fn is_news(self) -> bool {
        matches!(
            self,
            Self::TerminatedHere
                | Self::Drain
                | Self::ByItself
                | Self::Panicked
                | Self::PingFailed
                | Self::Unwanted
        )
    }
}

/// What is needed to start a container.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) uuid: Id,
    pub(super) kind: Id,
    pub(super) request: GetRequest,
    pub(super) told: StartExt,
    pub(super) waiters: Vec<Token>,
    /// How many registrations had been sent when it was asked for.
    pub(super) asked_after: u64,
}

impl Container {
    pub(super) fn new(start: Start, run: Run, role: Role, config: &Config, now: Duration) -> Self {
        let endpoint = Endpoint {
            kind: EndpointKind::Routed,
            host: config.host.clone(),
            port: config.port,
            agent_id: config.agent.clone(),
            uuid: Some(start.uuid.to_string()),
            epoch: start.told.epoch,
        };
        Self {
            run,
            role,
            serial: is_serial(&start.told),
            made: now,
            starts_until: now,
            pinged: false,
            uuid: start.uuid,
            kind: start.kind,
            request: start.request,
            told: start.told,
            endpoint: endpoint.text(),
            state: State::Starting {
                waiters: start.waiters,
            },
            asked_after: start.asked_after,
            last_visit: now,
            waiting: VecDeque::new(),
            calls: BTreeSet::new(),
            connected: BTreeSet::new(),
        }
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(self.state, State::Live)
    }

    pub(super) fn is_stopping(&self) -> bool {
        matches!(self.state, State::Stopping { .. })
    }

    pub(super) fn epoch(&self) -> Option<Epoch> {
        self.told.epoch
    }

    /// The highest that this agent knows of the uuid: that of what is to follow, if there is any.
    fn latest_epoch(&self) -> Option<Epoch> {
        let next = match &self.state {
            State::Stopping {
                next: Some(next), ..
            } => next.told.epoch,
            _ => None,
        };
        self.epoch().max(next)
    }

    pub(super) fn start_timeout(&self) -> Duration {
        let ms = self.told.spec.as_ref().map_or(
            KindSpec::DEFAULT_START_TIMEOUT_MS,
            KindSpec::start_timeout_ms,
        );
        Duration::from_millis(ms)
    }

    pub(super) fn termination_grace(&self) -> Duration {
        let ms = self.told.spec.as_ref().map_or(
            KindSpec::DEFAULT_TERMINATION_GRACE_MS,
            KindSpec::termination_grace_ms,
        );
        Duration::from_millis(ms)
    }

    /// Whether it has all of these labels.
    pub(super) fn has_labels(&self, asked: &[String]) -> bool {
        let labels = self.request.labels.as_deref().unwrap_or_default();
        asked.iter().all(|label| labels.contains(label))
    }

    pub(super) fn seed(&self) -> Seed {
        Seed {
            uuid: self.uuid.clone(),
            kind: self.kind.clone(),
            labels: self.request.labels.clone().unwrap_or_default(),
            extra: self.request.extra.clone(),
            epoch: self.epoch(),
            role: self.role,
            serial: self.serial,
        }
    }

    pub(super) fn record(&self, config: &Config) -> ContainerRecord {
        let told = &self.told;
        ContainerRecord {
            agent_id: config.agent.clone(),
            uuid: self.uuid.to_string(),
            kind: self.kind.to_string(),
            endpoint: self.endpoint.clone(),
            last_visit: (config.zero_ms + self.last_visit.as_secs_f64() * 1e3).floor(),
            extra: self.request.extra.clone(),
            labels: self.request.labels.clone(),
            huly: Some(RecordExt {
                epoch: self.latest_epoch(),
                spec: told.spec.clone(),
                holders: told.holders.clone(),
                references: None,
                failovers: told.failovers,
                last_failover: told.last_failover.clone(),
                first_client: told.first_client.clone(),
                by_uuid: told.by_uuid,
                stateless: match self.role {
                    Role::Ordinary => None,
                    Role::Standby => Some(Stateless::Standby),
                    Role::Owner => Some(Stateless::Owner),
                },
            }),
        }
    }
}

/// What the specification says by which a life of a container begins; a later one changes nothing.
pub(super) fn is_serial(told: &StartExt) -> bool {
    told.spec.as_ref().is_some_and(|spec| spec.serial)
}
