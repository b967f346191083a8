use huly_client::Clock;
use huly_protocol::Chain;

use super::*;
use crate::core::{Asked, CallNumber, Gate, Input, Role, Run, Seed};
use crate::runtime::gate::{Gatekeeper, gate};
use crate::runtime::hosting::Hosting;
use crate::runtime::watchdog::Watch;

/// Leases are so long that the agent's thread, which a test has none of, need not wake.
pub(super) const ASLEEP: Gate = Gate {
    length: Duration::from_secs(3_600),
    ..Gate::NEW
};

/// Closed for the first time, as after a pause.
pub(super) const CLOSED: Gate = Gate {
    open: false,
    closings: 1,
    ..ASLEEP
};
/// Open again.
pub(super) const OPEN: Gate = Gate {
    open: true,
    ..CLOSED
};

/// One container without an agent's core.
pub(super) struct Host {
    pub(super) keeper: Gatekeeper,
    pub(super) hosting: Hosting,
    pub(super) reports: mpsc::UnboundedReceiver<Input>,
    pub(super) run: Run,
}

impl Host {
    /// Starts it on the current runtime and waits until it has.
    pub(super) async fn start(kinds: Kinds, kind: &str, watch: Watch) -> Self {
        Self::start_as(kinds, kind, watch, false).await
    }

    /// The same of a serial one.
    pub(super) async fn start_serial(kinds: Kinds, kind: &str, watch: Watch) -> Self {
        Self::start_as(kinds, kind, watch, true).await
    }

    async fn start_as(kinds: Kinds, kind: &str, watch: Watch, serial: bool) -> Self {
        let (keeper, gate) = gate(Clock::default());
        keeper.set(ASLEEP);
        let (reported, reports) = mpsc::unbounded_channel();
        let workers = tokio::runtime::Handle::current();
        let agent = "agent-1".to_owned();
        let mut host = Self {
            keeper,
            hosting: Hosting::new(workers, kinds, agent, gate, reported, watch),
            reports,
            run: Run(1),
        };
        let seed = Seed {
            uuid: "u".into(),
            kind: kind.into(),
            labels: Vec::new(),
            extra: None,
            epoch: None,
            role: Role::Ordinary,
            serial,
        };
        host.hosting.start(host.run, seed);
        let started = patient(host.reports.recv()).await;
        assert!(matches!(
            started,
            Some(Input::Started { result: Ok(()), .. })
        ));
        host
    }

    /// Hands it a request; the data is the call's number.
    pub(super) fn request(&self, call: CallNumber, operation: &str, until: Option<Duration>) {
        let asked = Asked {
            call,
            operation: operation.to_owned(),
            data: Json::of(&call.0).unwrap(),
            client: None,
            until,
            chain: Chain::default(),
        };
        self.hosting.request(self.run, asked);
    }

    pub(super) async fn answered(&mut self) -> (CallNumber, Result<Json, ErrorPayload>) {
        match patient(self.reports.recv()).await {
            Some(Input::Answered { call, result }) => (call, result),
            other => panic!("{other:?}"),
        }
    }
}
