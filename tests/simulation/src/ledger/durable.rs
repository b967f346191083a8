//! What was said of durable references, and to whom.

use std::collections::{BTreeMap, BTreeSet};

use super::{Ledger, News};
use crate::world::ProcessId;

/// Of a container that the operator holds.
#[derive(Debug, Clone)]
pub(crate) enum Durable {
    /// The server says that the operator holds it.
    Held { uuid: String },
    /// The server sends to its agent who holds it: the operator, or not.
    Tells { uuid: String, named: bool },
    /// The agent hears that, perhaps much later: what was sent in between lay in its socket.
    Told { uuid: String, named: bool },
    /// The agent registers it, and says who holds it.
    Said { uuid: String, named: bool },
    /// The server has that registration.
    Registered,
}

/// Who knows of the operator's references.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// What an operator was ever told that it holds, as long as anybody can know it.
    held: BTreeSet<String>,
    servers: BTreeSet<(ProcessId, String)>,
    agents: BTreeSet<(ProcessId, String)>,
    /// What an agent said last.
    said: BTreeMap<ProcessId, BTreeSet<String>>,
}

impl Known {
    /// That server or a peer of it saw that. Returns what there is to judge.
    pub(super) fn note(&mut self, by: ProcessId, server: ProcessId, seen: Durable) -> Option<News> {
        match seen {
            Durable::Held { uuid } => {
                self.held.insert(uuid.clone());
                self.servers.insert((server, uuid));
                None
            }
            Durable::Tells { uuid, named } => {
                // Of one that no operator ever got the get may have failed meanwhile, as it was told.
                let known = self.servers.contains(&(server, uuid.clone()));
                let known = known && self.held.contains(&uuid);
                known.then_some(News::Holders { by, uuid, named })
            }
            Durable::Told { uuid, named } => {
                let of_agent = (by, uuid);
                match named {
                    true => self.agents.insert(of_agent),
                    false => self.agents.remove(&of_agent),
                };
                None
            }
            Durable::Said { uuid, named } => {
                if named {
                    self.said.entry(by).or_default().insert(uuid.clone());
                }
                let known = self.agents.contains(&(by, uuid.clone()));
                known.then_some(News::Holders { by, uuid, named })
            }
            Durable::Registered => {
                let said = self.said.remove(&by).unwrap_or_default();
                self.servers
                    .extend(said.into_iter().map(|uuid| (server, uuid)));
                None
            }
        }
    }
}

impl Ledger {
    /// Whether an operator was ever told that it holds a container, and somebody else can know it.
    pub(crate) fn was_held_durably(&self, uuid: &str) -> bool {
        self.durable.held.contains(uuid)
    }

    /// A process is gone: what no server and no record at an agent says any more is lost.
    pub(crate) fn lose_durable(&mut self, server: Option<ProcessId>) {
        let (servers, accepting) = (&self.durable.servers, &self.accepting);
        self.durable.held.retain(|uuid| {
            let known = server.is_some_and(|server| servers.contains(&(server, uuid.clone())));
            known || accepting.get(uuid).is_some_and(|copies| !copies.is_empty())
        });
    }
}
