//! `huly-operator check`, with exactly the roles that it prints for itself.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use huly_tests::{Layout, Said, Scenario, huly_operator, kubectl, scenario};
use kube::api::ListParams;
use serde_json::json;

/// A service account that may do what the check needs, in a namespace of its own.
struct Account {
    namespace: String,
    kubeconfig: PathBuf,
    binding: String,
    _folder: tempfile::TempDir,
}

impl Account {
    async fn make(test: &Scenario) -> Result<Self> {
        let namespace = test.cluster.namespace("check").await?;
        let binding = test.cluster.kind_name("check");
        let folder = tempfile::tempdir()?;
        let admin = PathBuf::from(std::env::var("HULY_TEST_KUBECONFIG")?);
        let roles = huly_operator(&admin, &["rbac"]).await?.stdout;
        let file = folder.path().join("roles.yaml");
        std::fs::write(&file, roles)?;
        let file = file.display().to_string();
        let ns = ["--namespace", &namespace];
        let apply = ["apply", "--server-side", "--filename", &file];
        kubectl(&[&ns[..], &apply].concat()).await?;
        kubectl(&[&ns[..], &["create", "serviceaccount", "check"]].concat()).await?;
        let account = format!("--serviceaccount={namespace}:check");
        let role = "--role=huly-operator-check";
        kubectl(&[&ns[..], &["create", "rolebinding", "check", role, &account]].concat()).await?;
        let role = "--clusterrole=huly-operator-check";
        kubectl(&["create", "clusterrolebinding", &binding, role, &account]).await?;

        let token = kubectl(&[&ns[..], &["create", "token", "check"]].concat()).await?;
        let config = std::fs::read_to_string(&admin)?;
        let mut config: serde_json::Value = serde_yaml_ng::from_str(&config)?;
        config["users"][0]["user"] = json!({ "token": token.trim() });
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, serde_yaml_ng::to_string(&config)?)?;
        Ok(Self {
            namespace,
            kubeconfig,
            binding,
            _folder: folder,
        })
    }

    async fn check(&self, test: &Scenario, more: &[&str]) -> Result<Said> {
        let network = &test.network;
        let base = [
            "check",
            "--network",
            &network.address,
            "--network-name",
            &network.name,
            "--namespace",
            &self.namespace,
        ];
        huly_operator(&self.kubeconfig, &[&base[..], more].concat()).await
    }

    /// That nothing of a check is left.
    async fn clean(&self, test: &Scenario) -> Result<()> {
        let all = ListParams::default();
        let claims = test.cluster.claims(&self.namespace).list(&all).await?.items;
        ensure!(claims.is_empty(), "{claims:?}");
        let kinds = test.cluster.kinds().list(&all).await?.items;
        let mut ours = kinds
            .iter()
            .filter(|kind| kind.data["spec"]["networkName"] == json!(test.network.name))
            .filter_map(|kind| kind.metadata.name.clone())
            .filter(|name| name.starts_with("huly-check-"));
        ensure!(ours.next().is_none(), "a ContainerKind is left");
        Ok(())
    }

    async fn end(self) -> Result<()> {
        kubectl(&["delete", "clusterrolebinding", &self.binding])
            .await
            .map(drop)
    }
}

#[tokio::test]
async fn a_network_that_works_passes_and_nothing_is_left() -> Result<()> {
    scenario(Layout::agents(1), async |test| {
        let account = Account::make(test).await?;
        let said = account.check(test, &[]).await?;
        ensure!(said.success, "{said:?}");
        for step in [
            "the network server at",
            "there is a ContainerKind of echo",
            "is Ready: agent agent-0, node node-0",
            "answers: with what it was sent",
            "what was made is deleted",
        ] {
            ensure!(said.stdout.contains(step), "{step}: {}", said.stdout);
        }
        account.clean(test).await?;

        // A kind that is there is used, and stays; a container that cannot echo answers, too.
        let kind = test.cluster.kind("counter", json!({})).await?;
        let said = account.check(test, &["--kind-name", "counter"]).await?;
        ensure!(said.success, "{said:?}");
        ensure!(
            said.stdout.contains(&format!("counter: {kind}\n")),
            "{said:?}"
        );
        ensure!(
            said.stdout.contains("answers: that it cannot echo"),
            "{said:?}"
        );
        test.cluster.kinds().get(&kind).await?;
        account.clean(test).await?;
        account.end().await
    })
    .await
}

#[tokio::test]
async fn what_does_not_work_is_said_and_nothing_is_left() -> Result<()> {
    scenario(Layout::agents(1).started(0), async |test| {
        let account = Account::make(test).await?;
        let brief = ["--timeout", "3"];
        let said = account.check(test, &brief).await?;
        ensure!(!said.success, "{said:?}");
        ensure!(
            said.stderr.contains("is Ready; last seen: Bound=False/"),
            "{said:?}"
        );
        account.clean(test).await?;

        test.network.operator.kill().await?;
        let said = account.check(test, &brief).await?;
        ensure!(!said.success, "{said:?}");
        ensure!(
            said.stderr.contains("no operator has written its status"),
            "{said:?}"
        );
        account.clean(test).await?;

        test.network.server.kill().await?;
        let said = account.check(test, &brief).await?;
        ensure!(!said.success, "{said:?}");
        let late = format!(
            "not within 3 s: the network server at {}",
            test.network.address
        );
        ensure!(said.stderr.contains(&late), "{said:?}");
        account.end().await
    })
    .await
}

#[tokio::test]
async fn the_server_of_another_network_is_named() -> Result<()> {
    scenario(Layout::agents(0), async |test| {
        let account = Account::make(test).await?;
        let network = &test.network;
        let said = huly_operator(
            &account.kubeconfig,
            &[
                "check",
                "--network",
                &network.address,
                "--network-name",
                "another",
            ],
        )
        .await?;
        ensure!(!said.success, "{said:?}");
        let serves = format!("serves the network {:?}, not \"another\"", network.name);
        ensure!(said.stderr.contains(&serves), "{said:?}");
        account.end().await
    })
    .await
}
