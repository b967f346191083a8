//! Custom resource types of the Huly network operator: `network.huly.io/v1alpha1`.
//!
//! A [`ContainerKind`] says how a kind of container is placed and how long its containers live; a
//! [`ContainerClaim`] asks for one container and shows where it lives. docs/kinds.md and
//! docs/claims.md explain both for people.

#![allow(
    clippy::duplicated_attributes,
    reason = "each printer column has a type and a path"
)]

mod claim;
pub mod condition;
mod crd;
mod kind;
pub mod rules;
mod schema;
mod selector;

pub use claim::{
    ContainerClaim, ContainerClaimSpec, ContainerClaimStatus, EndpointMode, FailoverStatus,
};
pub use crd::crds;
pub use kind::{
    AgentStatus, AllowedNamespaces, ContainerKind, ContainerKindSpec, ContainerKindStatus,
    Lifecycle, NamespacesFrom, Placement, Stateless, Strategy, UuidScope,
};
pub use selector::{LabelSelector, Operator, Requirement};

/// The API group.
pub const GROUP: &str = "network.huly.io";

/// The network that kinds and claims belong to unless they say otherwise.
pub const DEFAULT_NETWORK: &str = "default";

/// The most characters of a container uuid, a kind's name and a container label.
pub const MAX_NAME: usize = 253;

fn default_network_name() -> String {
    DEFAULT_NETWORK.to_owned()
}
