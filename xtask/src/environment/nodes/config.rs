//! What a node's programs are told, in files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::plan::{Node, Plan};
use crate::files::create_parent;

/// containerd's socket, as the node sees it.
pub(super) const SOCKET: &str = "/run/containerd/containerd.sock";

/// The image that holds a Pod's namespaces open.
pub(super) const PAUSE: &str = "localhost/huly-network/pause:1";

/// Where the files of one node are.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) folder: PathBuf,
}

impl Files {
    pub(super) fn of(environment: &Path, node: &Node) -> Self {
        Self {
            folder: environment.join("nodes").join(&node.name),
        }
    }

    pub(super) fn containerd(&self) -> PathBuf {
        self.folder.join("containerd.toml")
    }

    pub(super) fn kubelet(&self) -> PathBuf {
        self.folder.join("kubelet.json")
    }

    fn network(&self) -> PathBuf {
        self.folder.join("network")
    }

    fn resolver(&self) -> PathBuf {
        self.folder.join("resolv.conf")
    }

    /// Writes all of them.
    pub(super) fn write(
        &self,
        plan: Plan,
        node: &Node,
        network_plugins: &Path,
        authority: &Path,
    ) -> Result<()> {
        let kubelet = kubelet(plan, node, &self.resolver(), authority);
        let containerd = containerd(&self.network(), network_plugins)?;
        write(&self.containerd(), &containerd)?;
        write(&self.kubelet(), &pretty(&kubelet)?)?;
        let network = self.network().join("10-bridge.conflist");
        write(&network, &pretty(&pod_network(node))?)?;
        write(&self.resolver(), &format!("nameserver {}\n", plan.host()))
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    create_parent(path)?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn pretty(value: &Value) -> Result<String> {
    serde_json::to_string_pretty(value).context("cannot write a configuration")
}

fn kubelet(plan: Plan, node: &Node, resolver: &Path, authority: &Path) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": { "x509": { "clientCAFile": authority } },
        "address": node.address,
        "readOnlyPort": 0,
        "clusterDNS": [plan.host()],
        "clusterDomain": "cluster.local",
        "resolvConf": resolver,
        "containerRuntimeEndpoint": format!("unix://{SOCKET}"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", node.space),
        "enforceNodeAllocatable": [],
        "failCgroupV1": false,
        "failSwapOn": false,
        "evictionHard": {},
        // What it may not do here is no reason to give up.
        "featureGates": { "KubeletInUserNamespace": true },
        "makeIPTablesUtilChains": false,
        // Renewed every second: the controller manager takes a node for lost after eight.
        "nodeLeaseDurationSeconds": 4,
        "podLogsDir": "/var/log/pods",
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        // Many Pods at once are what tests start.
        "registryPullQPS": 0,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
        "imageGCHighThresholdPercent": 100,
    })
}

/// AppArmor's profiles are the machine's, and would stay.
///
/// Paths are quoted as JSON's strings are, which TOML's basic strings take.
fn containerd(network: &Path, network_plugins: &Path) -> Result<String> {
    let network = serde_json::to_string(network).context("cannot write a path")?;
    let plugins = serde_json::to_string(network_plugins).context("cannot write a path")?;
    Ok(format!(
        r#"version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri"]

[grpc]
address = "{SOCKET}"

[plugins."io.containerd.internal.v1.opt"]
path = "/var/lib/containerd/opt"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{PAUSE}"

[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
disable_apparmor = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = [{plugins}]
conf_dir = {network}
"#
    ))
}

/// Leases of addresses are kept where the next start of the node does not find them.
fn pod_network(node: &Node) -> Value {
    let range = json!([{ "subnet": format!("{}/24", node.pods) }]);
    json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "pods",
                "isGateway": true,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": "/run/pod-addresses",
                    "ranges": [range],
                    "routes": [{ "dst": "0.0.0.0/0" }],
                },
            },
            {
                "type": "portmap",
                "backend": "nftables",
                "capabilities": { "portMappings": true },
            },
        ],
    })
}

/// Answers names of the cluster, and says of every other that there is none: a name server that
/// does not answer would hold programs up.
pub(super) fn coredns(plan: Plan, kubeconfig: &Path) -> String {
    format!(
        "cluster.local:53 in-addr.arpa:53 {{
    bind {host}
    errors
    ready {host}:{COREDNS_READY}
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {kubeconfig}
        ttl 5
    }}
}}
.:53 {{
    bind {host}
    errors
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
",
        host = plan.host(),
        kubeconfig = kubeconfig.display(),
    )
}

/// The port on the bridge's address that CoreDNS says there whether it is ready.
pub(super) const COREDNS_READY: u16 = 8181;

/// What CoreDNS may read.
pub(super) fn coredns_role(user: &str) -> Result<String> {
    let group = "rbac.authorization.k8s.io";
    let named = json!({ "name": "coredns" });
    let verbs = ["list", "watch"];
    let role = json!({
        "apiVersion": format!("{group}/v1"),
        "kind": "ClusterRole",
        "metadata": named,
        "rules": [
            {
                "apiGroups": [""],
                "resources": ["services", "pods", "namespaces"],
                "verbs": verbs,
            },
            {
                "apiGroups": ["discovery.k8s.io"],
                "resources": ["endpointslices"],
                "verbs": verbs,
            },
        ],
    });
    let binding = json!({
        "apiVersion": format!("{group}/v1"),
        "kind": "ClusterRoleBinding",
        "metadata": named,
        "roleRef": { "apiGroup": group, "kind": "ClusterRole", "name": "coredns" },
        "subjects": [{ "apiGroup": group, "kind": "User", "name": user }],
    });
    pretty(&json!({ "apiVersion": "v1", "kind": "List", "items": [role, binding] }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan { slot: 2, count: 3 };

    #[test]
    fn a_node_says_its_own_addresses_and_the_clusters_dns() {
        let folder = tempfile::tempdir().unwrap();
        let node = PLAN.node("node-3").unwrap();
        let files = Files::of(folder.path(), &node);
        let plugins = Path::new("/a \"cache\"/cni");
        files
            .write(PLAN, &node, plugins, Path::new("/keys/ca.crt"))
            .unwrap();
        let read = |path: PathBuf| fs::read_to_string(path).unwrap();

        let kubelet: Value = serde_json::from_str(&read(files.kubelet())).unwrap();
        assert_eq!(kubelet["address"], "10.130.0.13");
        assert_eq!(kubelet["clusterDNS"], json!(["10.130.0.1"]));
        assert_eq!(kubelet["cgroupRoot"], "/huly2-node-3");
        assert_eq!(read(files.resolver()), "nameserver 10.130.0.1\n");

        let network = read(files.network().join("10-bridge.conflist"));
        let network: Value = serde_json::from_str(&network).unwrap();
        assert_eq!(
            network["plugins"][0]["ipam"]["ranges"],
            json!([[{ "subnet": "10.130.3.0/24" }]])
        );
        let containerd = read(files.containerd());
        assert!(
            containerd.contains(r#"bin_dirs = ["/a \"cache\"/cni"]"#),
            "{containerd}"
        );
    }

    #[test]
    fn dns_answers_on_the_bridge_alone() {
        let text = coredns(PLAN, Path::new("/keys/coredns.kubeconfig"));
        assert_eq!(text.matches("\n    bind 10.130.0.1\n").count(), 2, "{text}");
        assert!(
            text.contains("\n        kubeconfig /keys/coredns.kubeconfig\n"),
            "{text}"
        );
        assert_eq!(text.matches('{').count(), text.matches('}').count());
    }
}
