//! What the server and the agent tell each other.

use std::time::Duration;

use huly_protocol::{
    AgentExt, AgentRegistration, ContainerRecord, Endpoint, EndpointKind, ErrorCode, ErrorPayload,
    Holders, Json, KindSpec, method,
};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::container::Reason;
use super::types::{Effect, Id, ServerCall};
use super::{Agent, error, json};

/// For how long started containers that a registration left out are gathered.
const REPORT_DELAY: Duration = Duration::from_millis(100);

impl Agent {
    /// Says what the agent is and what it has. Containers that are starting are left out: the answer
    /// to the call that began it says what becomes of them. That answer is lost when the session of
    /// the call is over, so they are said once they have started.
    pub(super) fn register(&mut self) {
        self.registrations += 1;
        self.deadlines.has_registered();
        let living = || self.containers.values().filter(|c| c.is_live());
        let containers = living().map(|c| c.record(&self.config, self.is_leased(c)));
        let containers: Vec<ContainerRecord> = containers.collect();
        // No uuid has to wait for a standby.
        let stopping = self.containers.values().filter(|c| c.is_stopping());
        let stopping = stopping.filter(|c| !c.is_standby());
        let stopping = stopping.map(|c| c.record(&self.config, false)).collect();
        self.reported = living().map(|c| (c.uuid.clone(), c.run)).collect();
        let config = &self.config;
        let endpoint = Endpoint {
            kind: EndpointKind::Direct,
            host: config.host.clone(),
            port: config.port,
            agent_id: config.agent.clone(),
            uuid: None,
            epoch: None,
        };
        let registration = AgentRegistration {
            uuid: config.agent.clone(),
            containers,
            kinds: config.kinds.iter().cloned().collect(),
            endpoint: Some(endpoint.text()),
            huly: Some(AgentExt {
                labels: config.labels.clone(),
                node: config.node.clone(),
                pod: config.pod.clone(),
                specs: self.specs.values().cloned().collect(),
                draining: self.drain.is_on(),
                stopping,
                chunk: None,
            }),
        };
        self.effect(Effect::Register(registration));
    }

    /// Registers again in a moment, once for all that start until then.
    pub(super) fn report_soon(&mut self) {
        self.deadlines.register_by(self.now + REPORT_DELAY);
    }

    pub(super) fn has_registered(&mut self, end: &[String]) {
        self.registered = true;
        self.up = true;
        self.lease.registered();
        // Only what was reported is meant: a container that was started since is another one.
        let reported = std::mem::take(&mut self.reported);
        for uuid in end {
            let same = self
                .containers
                .get(uuid.as_str())
                .is_some_and(|container| reported.get(uuid.as_str()) == Some(&container.run));
            // An original server means a standby too: it stays.
            let stands_by = self
                .containers
                .get(uuid.as_str())
                .is_some_and(|c| c.is_standby());
            if same && !stands_by {
                self.stop(&Id::from(uuid.as_str()), Reason::LivesElsewhere, None);
            }
        }
        self.own_what_is_free(reported, end);
        self.open_gate();
    }

    pub(super) fn server_call(&mut self, call: ServerCall) {
        let token = call.token;
        let ext = call.ext.as_ref();
        let done = match call.method.as_str() {
            // These are answered when it is done.
            method::GET if self.lease.is_fenced() => return self.hold_start(call),
            method::GET => self.get(token, &call.params, ext),
            method::CONTAINER_REQUEST => self.routed_request(token, &call.params, ext),
            method::TERMINATE => self.terminate(token, &call.params, ext),
            // These at once.
            method::LIST_CONTAINERS => self.list(&call.params).map(Some),
            method::SET_KIND => self.set_kinds(&call.params).map(Some),
            method::REMOVE_KINDS => self.remove_kinds(&call.params).map(Some),
            method::SET_HOLDERS => self.set_holders(&call.params).map(Some),
            method::CONFIRM => self.confirm(&call.params).map(Some),
            other => Err(error(
                ErrorCode::BadRequest,
                format!("an agent knows no method {other:?}"),
            )),
        };
        match done {
            Ok(None) => {}
            Ok(Some(answer)) => self.answer_server(token, Ok(answer)),
            Err(error) => self.answer_server(token, Err(error)),
        }
    }

    fn list(&self, params: &Json) -> Result<Json, ErrorPayload> {
        let kind: Option<String> = member(params, 0, "[kind]")?;
        let mut records = self.records(kind.as_deref());
        for record in &mut records {
            // As the original's: this answer has no extension, and the server may be one of those.
            record.huly = None;
        }
        Ok(json(&records))
    }

    /// The containers that the agent serves, or those of one kind, by uuid.
    pub fn records(&self, kind: Option<&str>) -> Vec<ContainerRecord> {
        self.containers
            .values()
            .filter(|container| container.is_live() && !container.is_standby())
            .filter(|container| kind.is_none_or(|kind| *container.kind == *kind))
            .map(|container| container.record(&self.config, false))
            .collect()
    }

    /// The specification of a kind, as far as the agent was told one.
    pub fn spec_of(&self, kind: &str) -> Option<&KindSpec> {
        self.specs.get(kind)
    }

    /// Kept for the next server, which the agent may tell before the operator does. The server's last
    /// word holds, whatever its revision.
    fn set_kinds(&mut self, params: &Json) -> Result<Json, ErrorPayload> {
        let specs: Vec<KindSpec> = read(params, "[specification]")?;
        for spec in specs {
            self.specs.insert(spec.kind.clone(), spec);
        }
        self.say_permits();
        self.plan_standbys();
        Ok(json("ok"))
    }

    fn remove_kinds(&mut self, params: &Json) -> Result<Json, ErrorPayload> {
        let kinds: Vec<String> = read(params, "[kind]")?;
        for kind in kinds {
            self.specs.remove(&kind);
        }
        self.say_permits();
        self.plan_standbys();
        Ok(json("ok"))
    }

    fn set_holders(&mut self, params: &Json) -> Result<Json, ErrorPayload> {
        let all: Vec<Holders> = read(params, "[{uuid, holders}]")?;
        for said in all {
            if let Some(container) = self.containers.get_mut(said.uuid.as_str()) {
                container.told.holders = said.holders;
                if said.last_failover.is_some() {
                    container.told.last_failover = said.last_failover;
                }
            }
        }
        Ok(json("ok"))
    }
}

pub(super) fn read<T: DeserializeOwned>(params: &Json, shape: &str) -> Result<T, ErrorPayload> {
    params.read().map_err(|cause| {
        let message = format!("wrong parameters, {shape} was expected: {cause}");
        error(ErrorCode::BadRequest, message)
    })
}

/// What the server says beside a call; what is absent says nothing.
pub(super) fn read_ext<T: DeserializeOwned + Default>(
    ext: Option<&Json>,
) -> Result<T, ErrorPayload> {
    ext.map_or_else(|| Ok(T::default()), |ext| read(ext, "an extension"))
}

/// One member of an array of parameters; null and absent read alike (W09).
pub(super) fn member<T: DeserializeOwned>(
    params: &Json,
    index: usize,
    shape: &str,
) -> Result<Option<T>, ErrorPayload> {
    let wrong = |cause: serde_json::Error| {
        let message = format!("wrong parameters, {shape} was expected: {cause}");
        error(ErrorCode::BadRequest, message)
    };
    let members: Vec<&RawValue> = serde_json::from_str(params.text()).map_err(wrong)?;
    match members.get(index) {
        None => Ok(None),
        Some(raw) => serde_json::from_str(raw.get()).map_err(wrong),
    }
}
