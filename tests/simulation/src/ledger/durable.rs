//! What was said of durable references, and to whom.

use std::collections::{BTreeMap, BTreeSet};

use super::News;
use crate::world::ProcessId;

/// Of a container that the operator holds.
#[derive(Debug, Clone)]
pub(crate) enum Durable {
    /// The server says that the operator holds it.
    Held { uuid: String },
    /// The server tells the agent who holds it: the operator, or not.
    Told { uuid: String, named: bool },
    /// The agent registers it, and says who holds it.
    Said { uuid: String, named: bool },
    /// The server has that registration.
    Registered,
}

/// Who knows of the operator's references.
#[derive(Debug, Default)]
pub(super) struct Known {
    servers: BTreeSet<(ProcessId, String)>,
    agents: BTreeSet<(ProcessId, String)>,
    /// What an agent said last.
    said: BTreeMap<ProcessId, BTreeSet<String>>,
}

impl Known {
    /// A peer of a server saw that. Returns what there is to judge.
    pub(super) fn note(&mut self, by: ProcessId, server: ProcessId, seen: Durable) -> Option<News> {
        match seen {
            Durable::Held { uuid } => {
                self.servers.insert((server, uuid));
                None
            }
            Durable::Told { uuid, named } => {
                let of_agent = (by, uuid.clone());
                match named {
                    true => self.agents.insert(of_agent),
                    false => self.agents.remove(&of_agent),
                };
                let known = self.servers.contains(&(server, uuid.clone()));
                known.then_some(News::Holders {
                    by: server,
                    uuid,
                    named,
                })
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
