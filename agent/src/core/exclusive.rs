//! Exclusive kinds: at most one container of a uuid accepts requests, ever.
//!
//! A server places such a container elsewhere only once the lease of the agent that has it is
//! certainly over. So a container accepts while its agent has the lease, and, in each session anew,
//! once the server has said that the container is this agent's: a server that has just started may
//! not know yet that it was placed elsewhere meanwhile.

use huly_protocol::{Confirmed, Epoch, ErrorPayload, Json};

use super::container::{Container, State};
use super::gate::Permit;
use super::link::read;
use super::types::{Effect, Id};
use super::{Agent, json};

impl Agent {
    /// Whether a container's kind is exclusive: by what its agent was told of the kind, or when the
    /// container was placed.
    fn is_exclusive(&self, container: &Container) -> bool {
        let placed_with = container.told.spec.as_ref();
        let known = self.specs.get(&*container.kind);
        known.is_some_and(|spec| spec.exclusive) || placed_with.is_some_and(|spec| spec.exclusive)
    }

    fn permit_of(&self, container: &Container) -> Permit {
        if !self.is_exclusive(container) {
            Permit::Always
        } else if container.confirmed && !container.is_stopping() {
            Permit::Leased
        } else {
            Permit::Never
        }
    }

    /// Whether a container accepts requests now, as far as its agent's lease goes.
    pub(super) fn has_lease_for(&self, container: &Container) -> bool {
        self.lease.gate().admits(container.permit, self.now)
    }

    /// Tells a container's worker what it may begin with, where that has changed.
    pub(super) fn say_permit(&mut self, uuid: &str) {
        let Some(container) = self.containers.get(uuid) else {
            return;
        };
        let permit = self.permit_of(container);
        if let Some(container) = self.containers.get_mut(uuid)
            && container.permit != permit
        {
            container.permit = permit;
            let run = container.run;
            self.effect(Effect::Permit { run, permit });
        }
    }

    /// Specifications have changed.
    pub(super) fn say_permits(&mut self) {
        let all: Vec<Id> = self.containers.keys().cloned().collect();
        for uuid in all {
            self.say_permit(&uuid);
            self.dispatch_waiting(&uuid);
        }
    }

    /// Tells the workers what the lease is, where that has changed.
    pub(super) fn say_gate(&mut self) {
        let gate = self.lease.gate();
        if std::mem::replace(&mut self.gate, gate) != gate {
            self.effect(Effect::Gate(gate));
        }
    }

    /// The server's session is another one: it has to say again which containers are this agent's.
    pub(super) fn session_is_over(&mut self) {
        let (holds, held) = (
            self.lease.holds(self.now),
            self.lease.former_holds(self.now),
        );
        for container in self.containers.values_mut() {
            let kept = container.kept && held;
            container.kept = (container.confirmed && holds) || kept;
            container.confirmed = false;
            if let State::Stopping {
                next: Some(next), ..
            } = &mut container.state
            {
                next.confirmed = false;
            }
        }
        self.lease.session_over(self.now);
        self.say_gate();
        self.say_permits();
    }

    /// Whether nobody can have placed a container elsewhere before this session began.
    pub(super) fn is_leased(&self, container: &Container) -> bool {
        let confirmed = container.confirmed && self.lease.holds(self.now);
        self.is_exclusive(container) && (container.kept || confirmed)
    }

    /// `xc`: the server says that containers are this agent's.
    pub(super) fn confirm(&mut self, params: &Json) -> Result<Json, ErrorPayload> {
        let all: Vec<Confirmed> = read(params, "[{uuid, epoch}]")?;
        for said in all {
            self.is_ours(&said.uuid, said.epoch);
        }
        Ok(json("ok"))
    }

    /// The server says in this session that this life of a container is this agent's.
    pub(super) fn is_ours(&mut self, uuid: &str, epoch: Option<Epoch>) {
        let known = self.containers.get_mut(uuid);
        if let Some(container) = known.filter(|c| epoch.is_some() && c.epoch() == epoch) {
            let uuid = container.uuid.clone();
            container.confirmed = true;
            self.say_permit(&uuid);
            self.dispatch_waiting(&uuid);
        }
    }
}
