//! etcd, the API server and the controller manager as plain processes, and kubectl against them.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::Environment;
use super::network::ready_at;
use crate::command::{self, Program};
use crate::go_programs::GoPrograms;

const ETCD: &str = "etcd";
const API_SERVER: &str = "kube-apiserver";
const CONTROLLER_MANAGER: &str = "kube-controller-manager";
pub(super) const SCHEDULER: &str = "kube-scheduler";
pub(super) const COREDNS: &str = "coredns";

/// The names of the control plane's programs.
pub(super) const PROGRAMS: [&str; 5] = [ETCD, API_SERVER, CONTROLLER_MANAGER, SCHEDULER, COREDNS];

/// How long a start may take on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

impl Environment {
    /// Starts the control plane and waits until it serves and makes service accounts.
    ///
    /// # Errors
    /// When one of its programs ends or is not ready in time.
    pub(crate) async fn start_control_plane(&mut self, programs: &GoPrograms) -> Result<()> {
        self.start(ETCD, &self.etcd(programs))?;
        // An API server without it ends much later, and says little.
        let health = format!("http://127.0.0.1:{}/health", self.ports().etcd);
        self.await_ready(ETCD, PATIENCE, || ready_at(health.clone()))
            .await?;
        self.start(API_SERVER, &self.api_server(programs))?;
        let ready = self
            .kubectl(programs)
            .arguments(["get", "--raw", "/readyz"]);
        self.await_ready(API_SERVER, PATIENCE, || asked(ready.clone()))
            .await?;
        self.start(CONTROLLER_MANAGER, &self.controller_manager(programs))?;
        // It has no address to ask; the default service account is the first thing it makes.
        let ready = self
            .kubectl(programs)
            .arguments(["get", "serviceaccount", "default"]);
        self.await_ready(CONTROLLER_MANAGER, PATIENCE, || asked(ready.clone()))
            .await
    }

    /// kubectl with full access to this control plane.
    pub(crate) fn kubectl(&self, programs: &GoPrograms) -> Program {
        Program::new(programs.kubectl())
            .argument(format!(
                "--kubeconfig={}",
                self.keys.admin_kubeconfig().display()
            ))
            .argument(format!(
                "--cache-dir={}",
                self.folder.join("kubectl-cache").display()
            ))
    }

    /// Applies the custom resource definitions in a folder and waits until they are served.
    ///
    /// # Errors
    /// When kubectl says no.
    pub(crate) async fn apply_definitions(
        &self,
        programs: &GoPrograms,
        folder: &Path,
    ) -> Result<String> {
        let apply = self
            .kubectl(programs)
            .arguments(["apply", "--server-side", "--filename"])
            .argument(folder);
        let mut said = command::capture(apply).await?;
        let wait = self
            .kubectl(programs)
            .arguments([
                "wait",
                "--for=condition=Established",
                "--timeout=30s",
                "--filename",
            ])
            .argument(folder);
        said.push_str(&command::capture(wait).await?);
        Ok(said)
    }

    fn etcd(&self, programs: &GoPrograms) -> Program {
        let client = format!("http://127.0.0.1:{}", self.ports().etcd);
        let peer = format!("http://127.0.0.1:{}", self.ports().etcd_peer);
        Program::new(programs.etcd()).arguments([
            format!("--data-dir={}", self.folder.join("etcd").display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=default={peer}"),
            // Its data need not survive the machine.
            "--unsafe-no-fsync".to_owned(),
        ])
    }

    fn api_server(&self, programs: &GoPrograms) -> Program {
        let keys = &self.keys;
        let program = Program::new(programs.api_server()).arguments([
            format!("--etcd-servers=http://127.0.0.1:{}", self.ports().etcd),
            format!("--bind-address={}", self.host()),
            format!("--secure-port={}", self.ports().apiserver),
            format!("--tls-cert-file={}", keys.server_certificate().display()),
            format!("--tls-private-key-file={}", keys.server_key().display()),
            format!("--client-ca-file={}", keys.authority().display()),
            format!("--token-auth-file={}", keys.tokens().display()),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!(
                "--service-account-key-file={}",
                keys.service_account_public_key().display()
            ),
            format!(
                "--service-account-signing-key-file={}",
                keys.service_account_key().display()
            ),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            "--allow-privileged=true".to_owned(),
        ]);
        if self.plan().is_none() {
            // Nothing reaches it through a Service, and loopback may be no endpoint.
            return program.argument("--endpoint-reconciler-type=none");
        }
        program.arguments([
            "--enable-admission-plugins=NodeRestriction".to_owned(),
            "--kubelet-preferred-address-types=InternalIP".to_owned(),
            format!(
                "--kubelet-client-certificate={}",
                keys.kubelet_client_certificate().display()
            ),
            format!(
                "--kubelet-client-key={}",
                keys.kubelet_client_key().display()
            ),
        ])
    }

    fn controller_manager(&self, programs: &GoPrograms) -> Program {
        let keys = &self.keys;
        Program::new(programs.controller_manager()).arguments([
            format!(
                "--kubeconfig={}",
                keys.controller_manager_kubeconfig().display()
            ),
            format!(
                "--service-account-private-key-file={}",
                keys.service_account_key().display()
            ),
            format!("--root-ca-file={}", keys.authority().display()),
            "--use-service-account-credentials".to_owned(),
            "--leader-elect=false".to_owned(),
            "--secure-port=0".to_owned(),
            // It would make a folder of the machine's.
            format!(
                "--flex-volume-plugin-dir={}",
                self.folder.join("volume-plugins").display()
            ),
            // One client per controller: at the default rate, their start takes seconds.
            "--kube-api-qps=200".to_owned(),
            "--kube-api-burst=400".to_owned(),
            // A lost node is to be noticed in seconds.
            "--node-monitor-period=1s".to_owned(),
            "--node-monitor-grace-period=8s".to_owned(),
        ])
    }
}

async fn asked(program: Program) -> Result<()> {
    command::capture(program).await.map(|_| ())
}
