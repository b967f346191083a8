//! The programs of a Kubernetes cluster, built from Go modules into the cache.

mod module;

use std::path::PathBuf;

use anyhow::Result;

pub(crate) use self::module::short_hex;
use self::module::{Module, helm_versions, kubernetes_versions, unversioned};
use crate::workspace::Workspace;

const KUBERNETES: Module = Module {
    name: "kubernetes",
    folder: "kubernetes",
    programs: &[
        ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
        (
            "kube-controller-manager",
            "k8s.io/kubernetes/cmd/kube-controller-manager",
        ),
        ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    ],
    sources: &[],
    tags: "",
    versions: kubernetes_versions,
};

const ETCD: Module = Module {
    name: "etcd",
    folder: "etcd",
    programs: &[("etcd", "go.etcd.io/etcd/server/v3")],
    sources: &[],
    tags: "",
    versions: unversioned,
};

/// What a cluster with nodes needs beyond the control plane: who has no nodes does not build it.
const KUBERNETES_NODE: Module = Module {
    name: "kubernetes-node",
    folder: "kubernetes",
    programs: &[
        ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
        ("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
        ("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
    ],
    sources: &[],
    tags: "",
    versions: kubernetes_versions,
};

const CONTAINERD: Module = Module {
    name: "containerd",
    folder: "containerd",
    programs: &[
        (
            "containerd",
            "github.com/containerd/containerd/v2/cmd/containerd",
        ),
        (
            "containerd-shim-runc-v2",
            "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
        ),
        ("ctr", "github.com/containerd/containerd/v2/cmd/ctr"),
    ],
    sources: &[],
    tags: "no_btrfs,no_devmapper,no_zfs",
    versions: unversioned,
};

const CNI: Module = Module {
    name: "cni",
    folder: "cni",
    programs: &[
        (
            "bridge",
            "github.com/containernetworking/plugins/plugins/main/bridge",
        ),
        (
            "loopback",
            "github.com/containernetworking/plugins/plugins/main/loopback",
        ),
        (
            "host-local",
            "github.com/containernetworking/plugins/plugins/ipam/host-local",
        ),
        (
            "portmap",
            "github.com/containernetworking/plugins/plugins/meta/portmap",
        ),
    ],
    sources: &[],
    tags: "",
    versions: unversioned,
};

const COREDNS: Module = Module {
    name: "coredns",
    folder: "coredns",
    programs: &[("coredns", ".")],
    sources: &["main.go"],
    tags: "",
    versions: unversioned,
};

const HELM: Module = Module {
    name: "helm",
    folder: "helm",
    programs: &[("helm", "helm.sh/helm/v3/cmd/helm")],
    sources: &[],
    tags: "",
    versions: helm_versions,
};

const HELM_DOCS: Module = Module {
    name: "helm-docs",
    folder: "helm-docs",
    programs: &[("helm-docs", "github.com/norwoodj/helm-docs/cmd/helm-docs")],
    sources: &[],
    tags: "",
    versions: unversioned,
};

/// Only a test needs it: who just has nodes does not build it.
const PROMETHEUS: Module = Module {
    name: "prometheus",
    folder: "prometheus",
    programs: &[(
        "prometheus",
        "github.com/prometheus/prometheus/cmd/prometheus",
    )],
    sources: &[],
    tags: "",
    versions: unversioned,
};

/// What runs in Pods: the project's own few lines.
const PODS: Module = Module {
    name: "pods",
    folder: "pods",
    programs: &[("pause", "./pause"), ("echo", "./echo")],
    sources: &["pause/main.go", "echo/main.go"],
    tags: "",
    versions: unversioned,
};

/// The built programs of a control plane, and helm.
#[derive(Debug, Clone)]
pub(crate) struct GoPrograms {
    kubernetes: PathBuf,
    etcd: PathBuf,
    helm: PathBuf,
}

/// What the chart's generated files are made with.
#[derive(Debug, Clone)]
pub(crate) struct ChartTools {
    helm: PathBuf,
    helm_docs: PathBuf,
}

impl ChartTools {
    /// Builds what is not in the cache yet.
    ///
    /// # Errors
    /// When a program cannot be built.
    pub(crate) async fn build(workspace: &Workspace) -> Result<Self> {
        Ok(Self {
            helm: HELM.build(workspace).await?,
            helm_docs: HELM_DOCS.build(workspace).await?,
        })
    }

    pub(crate) fn helm(&self) -> PathBuf {
        self.helm.join("helm")
    }

    pub(crate) fn helm_docs(&self) -> PathBuf {
        self.helm_docs.join("helm-docs")
    }
}

impl GoPrograms {
    /// Builds what is not in the cache yet; minutes the first time, nothing after that.
    ///
    /// # Errors
    /// When a program cannot be built.
    pub(crate) async fn build(workspace: &Workspace) -> Result<Self> {
        Ok(Self {
            etcd: ETCD.build(workspace).await?,
            kubernetes: KUBERNETES.build(workspace).await?,
            helm: HELM.build(workspace).await?,
        })
    }

    pub(crate) fn etcd(&self) -> PathBuf {
        self.etcd.join("etcd")
    }

    pub(crate) fn api_server(&self) -> PathBuf {
        self.kubernetes.join("kube-apiserver")
    }

    pub(crate) fn controller_manager(&self) -> PathBuf {
        self.kubernetes.join("kube-controller-manager")
    }

    pub(crate) fn kubectl(&self) -> PathBuf {
        self.kubernetes.join("kubectl")
    }

    pub(crate) fn helm(&self) -> PathBuf {
        self.helm.join("helm")
    }
}

/// The built programs that a cluster with nodes has beyond the control plane's.
#[derive(Debug, Clone)]
pub(crate) struct NodePrograms {
    kubernetes: PathBuf,
    /// The folder with containerd, its shim and ctr.
    pub(crate) containerd: PathBuf,
    /// The folder of the network plugins.
    pub(crate) network_plugins: PathBuf,
    coredns: PathBuf,
    pods: PathBuf,
}

impl NodePrograms {
    /// Builds what is not in the cache yet; minutes the first time, nothing after that.
    ///
    /// # Errors
    /// When a program cannot be built.
    pub(crate) async fn build(workspace: &Workspace) -> Result<Self> {
        Ok(Self {
            pods: PODS.build(workspace).await?,
            network_plugins: CNI.build(workspace).await?,
            kubernetes: KUBERNETES_NODE.build(workspace).await?,
            containerd: CONTAINERD.build(workspace).await?,
            coredns: COREDNS.build(workspace).await?,
        })
    }

    pub(crate) fn scheduler(&self) -> PathBuf {
        self.kubernetes.join("kube-scheduler")
    }

    pub(crate) fn kubelet(&self) -> PathBuf {
        self.kubernetes.join("kubelet")
    }

    pub(crate) fn proxy(&self) -> PathBuf {
        self.kubernetes.join("kube-proxy")
    }

    pub(crate) fn coredns(&self) -> PathBuf {
        self.coredns.join("coredns")
    }

    /// What holds a Pod's namespaces open.
    pub(crate) fn pause(&self) -> PathBuf {
        self.pods.join("pause")
    }

    /// What tests run in Pods: it answers over HTTP, and asks others.
    pub(crate) fn echo(&self) -> PathBuf {
        self.pods.join("echo")
    }
}

/// Builds Prometheus, unless it is in the cache, and says where it is.
///
/// # Errors
/// When it cannot be built.
pub(crate) async fn prometheus(workspace: &Workspace) -> Result<PathBuf> {
    Ok(PROMETHEUS.build(workspace).await?.join("prometheus"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_program_is_a_tool_of_its_module_or_a_package_in_it() {
        let modules = [
            &KUBERNETES,
            &ETCD,
            &KUBERNETES_NODE,
            &CONTAINERD,
            &CNI,
            &COREDNS,
            &HELM,
            &HELM_DOCS,
            &PROMETHEUS,
            &PODS,
        ];
        for module in modules {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../tests/cluster")
                .join(module.folder);
            let text = fs::read_to_string(folder.join("go.mod")).unwrap();
            for (program, package) in module.programs {
                let there = text.lines().any(|line| {
                    let line = line.trim();
                    line.strip_prefix("tool ").unwrap_or(line) == *package
                });
                let source = format!("{package}/main.go");
                let own = module
                    .sources
                    .iter()
                    .any(|own| source == format!("./{own}"));
                assert!(there || own, "{program} is not in {}", module.folder);
            }
            for source in module.sources {
                assert!(folder.join(source).is_file(), "{source} is not there");
            }
        }
    }
}
