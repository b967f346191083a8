//! Which agent gets a container.

use std::collections::BTreeMap;

use huly_protocol::{KindSpec, Rejection};

use crate::registry::{Id, Registry};

impl Registry {
    /// The agents that may get a container of the kind, by number, or why there are none. With a
    /// uuid only those that keep a container of it in reserve.
    fn candidates(
        &self,
        kind: &Id,
        spec: Option<&KindSpec>,
        standby: Option<&Id>,
        on: Option<&Id>,
    ) -> Result<Vec<(u64, &Id)>, Vec<Rejection>> {
        let mut rejected: BTreeMap<&'static str, u32> = BTreeMap::new();
        let mut fit = Vec::new();
        for (id, agent) in &self.agents {
            let hosts = agent.by_kind.get(kind).copied().unwrap_or_default();
            let in_reserve = standby.and_then(|uuid| agent.standbys.get(uuid)) == Some(kind);
            let reason = if on.is_some_and(|on| on != id) {
                "OtherAgent"
            } else if !agent.kinds.contains(kind) && !in_reserve {
                "KindNotServed"
            } else if agent.suspected {
                "Suspected"
            } else if agent.draining {
                "Draining"
            } else if spec.is_some_and(|spec| !spec.agent_selector.matches(&agent.ext.labels)) {
                "SelectorMismatch"
            } else if standby.is_some() && !(in_reserve && agent.rust) {
                // A TypeScript agent cannot be told: it registers it by itself.
                "NoStandby"
            } else if standby.is_none()
                && spec
                    .and_then(|spec| spec.max_per_agent)
                    .is_some_and(|max| hosts >= max)
            {
                "AtCapacity"
            } else {
                fit.push((agent.seq, id));
                continue;
            };
            *rejected.entry(reason).or_default() += 1;
        }
        if fit.is_empty() {
            let count = |(reason, agents): (&str, u32)| Rejection {
                reason: reason.into(),
                agents,
            };
            return Err(rejected
                .into_iter()
                .map(|(reason, n)| count((reason, n)))
                .collect());
        }
        fit.sort_unstable();
        Ok(fit)
    }

    /// The agent that a container gets. One of a uuid whose containers are made beforehand goes to
    /// an agent that keeps one in reserve; if its kind's specification does not want it so and nobody
    /// has one, to any.
    pub(crate) fn pick_for(&self, uuid: &Id, kind: &Id) -> Result<(u64, Id), Vec<Rejection>> {
        let spec = self.spec_of(uuid);
        let on = self.entries.get(uuid).and_then(|entry| entry.on.as_ref());
        if !self.is_stateless(uuid) {
            return self.pick(kind, spec, None, on);
        }
        self.pick(kind, spec, Some(uuid), on).or_else(|rejections| {
            match self.names(kind, uuid) || self.any_standby(uuid) {
                true => Err(rejections),
                false => self.pick(kind, spec, None, on),
            }
        })
    }

    /// The next agent by round robin: the first after the one that was picked last. One that was not
    /// heard of lately may be gone, and is the next only where that holds for all.
    fn pick(
        &self,
        kind: &Id,
        spec: Option<&KindSpec>,
        standby: Option<&Id>,
        on: Option<&Id>,
    ) -> Result<(u64, Id), Vec<Rejection>> {
        let fit = self.candidates(kind, spec, standby, on)?;
        // A kind's first container goes on where the last placement of any kind was, so that the
        // first ones of many kinds do not all meet on one agent.
        let cursor = self.cursors.get(kind).copied().unwrap_or(self.last_pick);
        let (before, after) = fit.split_at(fit.partition_point(|(seq, _)| *seq <= cursor));
        let mut turns = after.iter().chain(before);
        let lives = |id: &Id| {
            let agent = self.agents.get(id);
            agent.is_some_and(|agent| self.shows_life(&agent.client))
        };
        let alive = turns.clone().find(|(_, id)| lives(id));
        let next = alive.or_else(|| turns.next());
        next.map(|(seq, id)| (*seq, (*id).clone()))
            .ok_or_else(Vec::new)
    }

    /// The agent that a new container of the kind would get.
    pub(crate) fn peek(&self, kind: &Id) -> Option<Id> {
        let spec = self.kinds.get(kind).map(|known| &known.spec);
        self.pick(kind, spec, None, None)
            .ok()
            .map(|(_, agent)| agent)
    }

    /// Moves the round robin on, as a placement does.
    pub(crate) fn advance(&mut self, kind: &Id) {
        let spec = self.kinds.get(kind).map(|known| &known.spec);
        if let Ok((seq, _)) = self.pick(kind, spec, None, None) {
            self.cursors.insert(kind.clone(), seq);
            self.last_pick = seq;
        }
    }
}
