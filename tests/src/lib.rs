//! Tests that need several programs: the network server, agents and the operator as processes,
//! against a real API server.
//!
//! `cargo xtask test cluster` starts the control plane and runs them. A test is a [`scenario`]: it
//! gets a network of its own, a cluster client that cleans up after it, and a client of the
//! network that shows what lives there.
//!
//! `cargo xtask test nodes` starts a cluster with nodes. Its tests share a [`Release`] of the chart.

mod agent_pod;
mod api_proxy;
mod churn;
mod cluster;
mod control_plane;
mod counter;
mod counters;
mod echo;
mod eventually;
mod example;
mod freeze;
mod held;
mod helm;
mod history;
mod http;
mod live;
mod lives;
mod load;
mod logbook;
mod metrics;
mod network;
mod nodes;
mod object;
mod original_agent;
mod original_client;
mod partition;
mod pod_process;
mod ports;
mod program;
mod prometheus;
mod release;
mod report;
mod scenario;
mod settings;
mod shell;
mod skew;
mod stay;
mod tools;
mod undo;
mod walkthrough;

pub use huly_relay::{Cable, Flow, Relay};

pub use self::agent_pod::AgentPod;
pub use self::api_proxy::{ApiProxy, Asked, Fault, Verb};
pub use self::churn::Churn;
pub use self::cluster::{Cluster, after_its_second};
pub use self::control_plane::{ControlPlane, Stopped};
pub use self::counter::Counter;
pub use self::counters::{Counted, Counters};
pub use self::echo::{Echo, EchoPod};
pub use self::eventually::{SOON, eventually};
pub use self::example::Example;
pub use self::held::{Held, Way};
pub use self::helm::{chart, commands_in, helm, helm_refuses, helm_says, released_chart, rendered};
pub use self::history::{History, Seen};
pub use self::live::Live;
pub use self::load::{Fates, Load, OriginalTalker, SILENCE};
pub use self::logbook::{Executed, Logbook};
pub use self::metrics::Metrics;
pub use self::network::{Layout, Network};
pub use self::nodes::{
    NODES, NOTICED, others, ready_is, until_ready_is, while_cordoned, while_cut, while_killed,
};
pub use self::object::{Condition, Object};
pub use self::original_agent::OriginalAgent;
pub use self::original_client::original_client;
pub use self::partition::Partition;
pub use self::pod_process::{kill_in_pod, processes_in_pod};
pub use self::program::Program;
pub use self::prometheus::{Found, Prometheus};
pub use self::release::{Component, Release, ReleasePod};
pub use self::report::{measured, reported};
pub use self::scenario::{Scenario, on_cluster, on_loaded_nodes, on_nodes, scenario};
pub use self::shell::shell;
pub use self::skew::{Cli, Lines, Skewed, Version};
pub use self::stay::Stay;
pub use self::tools::{Said, huly_operator, kubectl, kubectl_huly, kubectl_says, python_test};
pub use self::undo::and_undo;
pub use self::walkthrough::Walkthrough;
