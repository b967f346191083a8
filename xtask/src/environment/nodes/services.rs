//! What a cluster with nodes has beside its control plane: the scheduler and DNS.

use std::time::Duration;

use anyhow::Result;

use super::{Tools, config};
use crate::command::{self, Program};
use crate::environment::control_plane::{COREDNS, SCHEDULER};
use crate::environment::network::ready_at;
use crate::environment::{Environment, keys};
use crate::files::write_private;

const PATIENCE: Duration = Duration::from_secs(30);

impl Environment {
    /// Starts the scheduler and DNS, and waits until DNS knows the cluster's Services.
    ///
    /// # Errors
    /// When one ends, or DNS is not ready in time.
    pub(crate) async fn start_services(&mut self, tools: Tools<'_>) -> Result<()> {
        let scheduler = Program::new(tools.node.scheduler()).arguments([
            format!(
                "--kubeconfig={}",
                self.keys.scheduler_kubeconfig().display()
            ),
            "--leader-elect=false".to_owned(),
            "--secure-port=0".to_owned(),
            "--kube-api-qps=200".to_owned(),
            "--kube-api-burst=400".to_owned(),
        ]);
        self.start(SCHEDULER, &scheduler)?;

        let plan = self.nodes()?;
        let role = self.folder.join("coredns-role.json");
        write_private(&role, &config::coredns_role(keys::COREDNS)?)?;
        let apply = self
            .kubectl(tools.cluster)
            .arguments(["apply", "--server-side", "--filename"])
            .argument(&role);
        command::capture(apply).await?;
        let corefile = self.folder.join("Corefile");
        let text = config::coredns(plan, &self.keys.coredns_kubeconfig());
        write_private(&corefile, &text)?;
        let coredns = Program::new(tools.node.coredns())
            .argument("-conf")
            .argument(&corefile);
        self.start(COREDNS, &coredns)?;
        let url = format!("http://{}:{}/ready", plan.host(), config::COREDNS_READY);
        self.await_ready(COREDNS, PATIENCE, || ready_at(url.clone()))
            .await
    }
}
