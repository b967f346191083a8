//! Names of the methods. Two letters each; the first group is the original's, the second ours.

/// Register an agent: client → server, [`AgentRegistration`](crate::AgentRegistration) → `[uuid]`.
pub const REGISTER_AGENT: &str = "ar";
/// Unregister an agent: client → server, [`AgentUuid`](crate::AgentUuid) → `"ok"`.
pub const UNREGISTER_AGENT: &str = "au";
/// List agents: client → server, `{}` → `[AgentInfo]`.
pub const LIST_AGENTS: &str = "al";
/// List kinds: client → server, `{}` → `[text]`.
pub const LIST_KINDS: &str = "ak";
/// List containers: client → server, [`Find`](crate::Find) → `[ContainerRecord]`; server → agent,
/// `[agent, [kind]]`.
pub const LIST_CONTAINERS: &str = "cl";
/// Get a container: client → server, [`GetParams`](crate::GetParams) →
/// [`GotContainer`](crate::GotContainer); server → agent, `[agent, [kind, request]]`.
pub const GET: &str = "gg";
/// Release a reference: client → server, [`Uuid`](crate::Uuid) → `"ok"`.
pub const RELEASE: &str = "cr";
/// Request to a container: client → server or agent, [`ContainerCall`](crate::ContainerCall);
/// server → agent, `[agent, ContainerCall, CallExt?]`.
pub const CONTAINER_REQUEST: &str = "cs";
/// Container update: agent's client → server, [`NetworkEvent`](crate::NetworkEvent) → `"ok"`.
pub const CONTAINER_UPDATE: &str = "cu";
/// Terminate a container: server → agent, `[agent, [uuid], CallExt?]` → `""`.
pub const TERMINATE: &str = "ct";
/// Connect to containers for their events: client → agent's ROUTER,
/// [`Connect`](crate::Connect) → number.
pub const CONNECT: &str = "cc";
/// Disconnect from a container: client → agent's ROUTER, [`Uuid`](crate::Uuid) → `"ok"`.
pub const DISCONNECT: &str = "cd";

/// Leave without releasing (extension): client → server, `{}` → `"ok"`.
pub const DETACH: &str = "xd";
/// Assert references again in bulk (extension): client → server, [`Reassert`](crate::Reassert) →
/// `[GotContainer | null]`.
pub const REASSERT: &str = "xr";
/// Subscribe to the feed (extension): client → server, `{}` → [`FeedEvent`](crate::FeedEvent)
/// without changes; then events.
pub const WATCH: &str = "xw";
/// End a subscription (extension): client → server, `{}` → `"ok"`.
pub const UNWATCH: &str = "xu";
/// Say that an agent takes nothing new (extension): client → server,
/// [`AgentUuid`](crate::AgentUuid) → `"ok"`.
pub const DRAIN: &str = "xg";
/// Set the specification of a kind (extension, control): client → server,
/// [`KindSpec`](crate::KindSpec) → `"ok"`; server → agent, `[agent, [KindSpec]]`.
pub const SET_KIND: &str = "ks";
/// End the full set of kinds (extension, control): client → server,
/// [`KindBarrier`](crate::KindBarrier) → `[kind]` that were removed; server → agent,
/// `[agent, [kind]]` to be forgotten.
pub const REMOVE_KINDS: &str = "kr";
/// Say that containers of exclusive kinds are the agent's (extension): server → agent,
/// `[agent, [Confirmed]]` → `"ok"`.
pub const CONFIRM: &str = "xc";
/// List the specifications of kinds (extension): client → server, `{}` → `[KindSpec]`.
pub const LIST_KIND_SPECS: &str = "kl";
/// Sync durable references (extension, control): client → server, [`Sync`](crate::Sync) →
/// [`Synced`](crate::Synced).
pub const SYNC: &str = "xs";
/// Write durable holders into containers' records (extension): server → agent,
/// `[agent, [Holders]]` → `"ok"`.
pub const SET_HOLDERS: &str = "xh";
