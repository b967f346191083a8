//! What runs on a node, and how it is started there.

use std::path::PathBuf;

use super::Tools;
use super::config::{Files, SOCKET};
use super::plan::Node;
use crate::command::Program;
use crate::environment::{Environment, Identity};
use crate::go_programs::NodePrograms;

/// A program on the node that `init` is the first process of.
pub(super) fn inside(init: &Identity, program: Program) -> Program {
    let target = format!("--target={}", init.pid);
    let spaces = ["--mount", "--pid", "--net", "--uts", "--ipc", "--"];
    program.through(Program::new("nsenter").argument(target).arguments(spaces))
}

/// A client of the API server that gives a dead connection up after four seconds instead of
/// forty-five, so that a node whose cable is mended comes back soon.
fn impatient(path: impl Into<PathBuf>) -> Program {
    Program::new(path)
        .variable("HTTP2_READ_IDLE_TIMEOUT_SECONDS", "2")
        .variable("HTTP2_PING_TIMEOUT_SECONDS", "2")
}

pub(super) fn containerd(environment: &Environment, tools: Tools<'_>, node: &Node) -> Program {
    let files = Files::of(&environment.folder, node);
    let folder = &tools.node.containerd;
    // It finds its shim beside others on the path.
    let path = std::env::var("PATH").unwrap_or_default();
    Program::new(folder.join("containerd"))
        .variable("PATH", format!("{}:{path}", folder.display()))
        .argument(format!("--config={}", files.containerd().display()))
}

pub(super) fn ctr(init: &Identity, programs: &NodePrograms) -> Program {
    let program = Program::new(programs.containerd.join("ctr"));
    inside(init, program.arguments(["--address", SOCKET]))
}

pub(super) fn kubelet(environment: &Environment, tools: Tools<'_>, node: &Node) -> Program {
    let files = Files::of(&environment.folder, node);
    let kubeconfig = environment.keys.node_kubeconfig(&node.name);
    impatient(tools.node.kubelet()).arguments([
        format!("--config={}", files.kubelet().display()),
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--hostname-override={}", node.name),
        format!("--node-ip={}", node.address),
        format!("--node-labels=topology.kubernetes.io/zone={}", node.zone),
    ])
}

pub(super) fn proxy(environment: &Environment, tools: Tools<'_>, node: &Node) -> Program {
    let kubeconfig = environment.keys.proxy_kubeconfig();
    impatient(tools.node.proxy()).arguments([
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--hostname-override={}", node.name),
        "--proxy-mode=nftables".to_owned(),
        // These are the machine's, not a node's.
        "--conntrack-max-per-core=0".to_owned(),
        "--conntrack-tcp-timeout-established=0".to_owned(),
        "--conntrack-tcp-timeout-close-wait=0".to_owned(),
    ])
}
