use serde::{Deserialize, Serialize};

use crate::{Epoch, Failover};

/// Parameters that name a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uuid {
    /// The container.
    pub uuid: String,
}

/// Parameters that name an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentUuid {
    /// The agent.
    pub uuid: String,
}

/// Parameters of a list of containers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Find {
    /// Only containers of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// Parameters of `cc`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connect {
    /// The containers whose events the client wants.
    pub uuid: OneOrMany,
}

/// One text or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Any number.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    pub fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

/// Parameters of `kr` from the operator (extension): the full set of kinds, after each was set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindBarrier {
    /// Every kind that has a specification; others lose theirs.
    pub kinds: Vec<String>,
}

/// Parameters of `xs` (extension): a chunk of the full set of durable references.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sync {
    /// Names the sync; a new name begins a new one and forgets an unfinished one.
    pub sync: String,
    /// Which chunk this is, from 0: one that does not follow its predecessor is refused, so that
    /// half a set never releases the rest.
    #[serde(default)]
    pub chunk: u32,
    /// Containers that the client holds durably.
    pub uuids: Vec<String>,
    /// Whether this chunk is the last: then what is not in the set is released.
    pub last: bool,
}

/// The answer to `xs`: of the last chunk, what came of it; of others, empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Synced {
    /// Durable references that were released, as the set did not have them.
    #[serde(default)]
    pub released: Vec<String>,
    /// Members of the set that the server does not hold for the client: to be got again.
    #[serde(default)]
    pub missing: Vec<String>,
}

/// Durable holders of a container, written into its record at its agent (extension).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holders {
    /// The container.
    pub uuid: String,
    /// Client ids.
    pub holders: Vec<String>,
    /// The container's last failover, with its final figures.
    #[serde(
        default,
        rename = "lastFailover",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_failover: Option<Failover>,
}

/// A container of an exclusive kind that is this agent's and nobody else's, now that a client
/// session has begun (extension).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// The container.
    pub uuid: String,
    /// The life that is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
}
