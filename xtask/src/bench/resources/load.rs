//! What the programs are loaded with.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::command::{self, Program};
use crate::environment::{Environment, OPERATOR};
use crate::go_programs::GoPrograms;

/// The package of the program that loads them, and its name.
pub(super) const PACKAGE: &str = "huly-load";

/// How long containers or claims may take in all.
const PATIENCE: Duration = Duration::from_secs(300);

const NAMESPACE: &str = "bench";

pub(super) struct Load<'a> {
    pub(super) go: &'a GoPrograms,
    pub(super) program: PathBuf,
}

impl Load<'_> {
    /// Makes containers and has them held until the environment's end.
    ///
    /// # Errors
    /// When they are not there in time.
    pub(super) async fn hold(&self, environment: &mut Environment, count: u32) -> Result<()> {
        let program = self.on(environment).argument("hold");
        let program = program.argument(format!("--count={count}"));
        environment.start(PACKAGE, &program)?;
        let log = environment.log(PACKAGE);
        let holding = || async {
            let said = fs::read_to_string(&log)?;
            ensure!(said.contains("holding"), "it makes {count} containers");
            Ok(())
        };
        environment.await_ready(PACKAGE, PATIENCE, holding).await
    }

    /// Makes claims and waits until each is Ready.
    ///
    /// # Errors
    /// When kubectl says no, or they are not in time.
    pub(super) async fn claim(&self, environment: &mut Environment, count: u32) -> Result<()> {
        let group = "network.huly.io/v1alpha1";
        let namespace =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
        let kind = json!({
            "apiVersion": group,
            "kind": "ContainerKind",
            "metadata": { "name": "echo" },
            "spec": {},
        });
        let claims = (0..count).map(|number| {
            json!({
                "apiVersion": group,
                "kind": "ContainerClaim",
                "metadata": { "name": format!("claim-{number}"), "namespace": NAMESPACE },
                "spec": { "containerKindName": "echo" },
            })
        });
        let items: Vec<_> = [namespace, kind].into_iter().chain(claims).collect();
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
        let path = environment.folder.join("claims.json");
        fs::write(&path, list.to_string())
            .with_context(|| format!("cannot write {}", path.display()))?;
        let create = environment
            .kubectl(self.go)
            .arguments(["create", "--filename"])
            .argument(path);
        command::capture(create).await?;
        let ready = environment.kubectl(self.go).arguments([
            "get",
            "containerclaims",
            "--namespace",
            NAMESPACE,
            "--output=jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].status}",
        ]);
        let all_ready = || async {
            let said = command::capture(ready.clone()).await?;
            let ready = said.split(' ').filter(|status| *status == "True").count();
            ensure!(
                ready == count as usize,
                "{ready} of {count} claims are Ready"
            );
            Ok(())
        };
        environment.await_ready(OPERATOR, PATIENCE, all_ready).await
    }

    /// Sends all containers requests, and returns what those came to.
    ///
    /// # Errors
    /// When the network does not answer at all.
    pub(super) async fn send(
        &self,
        environment: &Environment,
        rate: u32,
        seconds: u64,
    ) -> Result<String> {
        let send = self.on(environment).arguments([
            "send".to_owned(),
            format!("--rate={rate}"),
            format!("--seconds={seconds}"),
        ]);
        Ok(command::capture(send).await?.trim().to_owned())
    }

    fn on(&self, environment: &Environment) -> Program {
        let network = environment.network_address();
        Program::new(&self.program).argument(format!("--network={network}"))
    }
}
