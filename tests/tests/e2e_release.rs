//! The life of a release that people work with: from an older chart through an upgrade, back, away,
//! and there again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use huly_tests::{
    Cluster, Counted, Counters, NODES, Release, chart, eventually, helm, kubectl, measured,
    on_cluster, released_chart,
};
use serde_json::json;

/// Two on each agent, by turns.
const COUNTERS: usize = 6;

/// More than five times what it takes until claims are true once all Pods are.
const TRUE: Duration = Duration::from_secs(60);

/// More than five times what Kubernetes takes to clear away Pods.
const CLEARED: Duration = Duration::from_secs(60);

/// A Secret that is there before the release.
const OWN: &str = "own";

/// Of each image, what is on the nodes: the present version, whatever the chart's is.
const TAGS: &str = concat!(
    "images.network.tag=",
    env!("CARGO_PKG_VERSION"),
    ",images.operator.tag=",
    env!("CARGO_PKG_VERSION"),
    ",images.agent.tag=",
    env!("CARGO_PKG_VERSION"),
);

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn claims_stay_bound_from_install_to_rollback_and_are_served_again() -> Result<()> {
    on_cluster(async |cluster| {
        // The definitions are that release's.
        Release::shared(cluster).await?;
        let restricted = json!({ "pod-security.kubernetes.io/enforce": "restricted" });
        let namespace = cluster.labelled_namespace("life", &restricted).await?;
        let life = Life { cluster, namespace };
        let told = life.story().await;
        told.and(life.uninstall().await)
    })
    .await
}

struct Life<'a> {
    cluster: &'a Cluster,
    namespace: String,
}

impl Life<'_> {
    async fn story(&self) -> Result<()> {
        let what = "Kubernetes has put into the namespace what each has";
        let inside = eventually(CLEARED, what, async || {
            let inside = self.inside().await?;
            for own in ["serviceaccount/default", "configmap/kube-root-ca.crt"] {
                ensure!(inside.contains(own), "{inside:?}");
            }
            Ok(inside)
        })
        .await?;
        let before = [inside, outside().await?];
        let release = self.install(&released_chart(), &[]).await?;
        self.control_secret_is(&["huly-huly-network-control"])
            .await?;
        let counters = Counters::claim(self.cluster, &release, COUNTERS).await?;
        let first = counters.agree(&NODES, TRUE).await?;

        let present = chart();
        let more = ["--reset-then-reuse-values", "--set", "log.filter=debug"];
        let upgrade = [&["upgrade", "huly", &present], &more[..]].concat();
        let next = self.to_another(&counters, "upgrade", &upgrade).await?;
        ensure!(next != first, "no agent was replaced: {next:?}");
        let back = ["rollback", "huly", "1"];
        let last = self.to_another(&counters, "rollback", &back).await?;
        ensure!(last != next, "no agent was replaced: {last:?}");
        counters.stayed_bound()?;

        self.tested_and_gone(&release, &before).await?;

        // Another server, other agents, a control secret of one's own, and the claims that were left.
        self.kubectl(&[
            "create",
            "secret",
            "generic",
            OWN,
            "--from-literal=token=abc",
        ])
        .await?;
        let ha = format!("{present}/values-ha.yaml");
        let own = format!("controlSecret.existingSecret={OWN},controlSecret.key=token");
        let more = ["--values", &ha, "--set", &own];
        let release = self.install(&present, &more).await?;
        self.control_secret_is(&[]).await?;
        let [server, operator] = [release.server().await?, release.operator().await?];
        ensure!(server.node != operator.node, "both are on {}", server.node);
        let again = counters.agree(&NODES, TRUE).await?;
        for (was, is) in last.iter().zip(&again) {
            let anew = is.value == 0 && is.agent != was.agent && is.epoch != was.epoch;
            ensure!(anew, "{was:?} became {is:?}");
        }
        let [mut inside, outside] = before;
        inside.insert(format!("secret/{OWN}"));
        self.tested_and_gone(&release, &[inside, outside]).await?;
        self.kubectl(&["delete", "secret", OWN]).await.map(drop)
    }

    /// Which Secrets with a control secret the chart has made.
    async fn control_secret_is(&self, expected: &[&str]) -> Result<()> {
        let selector = "app.kubernetes.io/managed-by=Helm";
        let names = "jsonpath={.items[*].metadata.name}";
        let get = ["get", "secrets", "--selector", selector, "--output", names];
        let made = self.kubectl(&get).await?;
        let made: Vec<&str> = made.split_whitespace().collect();
        ensure!(made == expected, "{made:?}");
        Ok(())
    }

    async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        kubectl(&[arguments, &["--namespace", &self.namespace]].concat()).await
    }

    /// Installs a chart, for a network of the test's own.
    async fn install(&self, chart: &str, more: &[&str]) -> Result<Release> {
        let network = format!("networkName={},crds.install=false", self.cluster.network());
        let values = format!("{network},{TAGS}");
        let install = ["install", "huly", chart, "--set", &values];
        self.helm(&[&install[..], more].concat()).await?;
        Release::ready(self.cluster, &self.namespace).await
    }

    /// What helm does, with all Pods replaced: all claims are true again.
    async fn to_another(
        &self,
        counters: &Counters<'_>,
        what: &str,
        arguments: &[&str],
    ) -> Result<Vec<Counted>> {
        let began = Instant::now();
        self.helm(arguments).await?;
        measured(&format!("helm {what}"), began.elapsed());
        let counted = counters.agree(&NODES, TRUE).await?;
        measured(&format!("helm {what} → claims are true"), began.elapsed());
        Ok(counted)
    }

    async fn helm(&self, arguments: &[&str]) -> Result<()> {
        let place = ["--namespace", &self.namespace];
        let wait = ["--wait", "--timeout", "3m"];
        helm(&[arguments, &place, &wait].concat()).await.map(drop)
    }

    async fn uninstall(&self) -> Result<()> {
        self.helm(&["uninstall", "huly", "--ignore-not-found"])
            .await
    }

    /// Has the release test itself and uninstalls it: nothing is there but what was before, and all
    /// of that, inside the namespace and outside.
    async fn tested_and_gone(
        &self,
        release: &Release,
        [inside, outside]: &[BTreeSet<String>; 2],
    ) -> Result<()> {
        let said = release.helm_test().await?;
        ensure!(said.contains("Phase:          Succeeded"), "{said}");
        self.uninstall().await?;
        eventually(CLEARED, "nothing of the release is left", async || {
            let now = self.inside().await?;
            nothing_more(inside, &now)?;
            let gone: Vec<_> = inside.difference(&now).collect();
            ensure!(gone.is_empty(), "there is no longer {gone:?}");
            nothing_more(outside, &self::outside().await?)
        })
        .await
    }

    /// Everything in the namespace but Events, which go by themselves, and the operators' Lease, which
    /// stays.
    async fn inside(&self) -> Result<BTreeSet<String>> {
        let place = ["--namespace", &self.namespace];
        let all = everything("--namespaced=true", &place).await?;
        Ok(all
            .into_iter()
            .filter(|name| !name.starts_with("event") && !name.starts_with("lease"))
            .collect())
    }
}

/// Everything that is in no namespace but namespaces, and kinds, which stay.
async fn outside() -> Result<BTreeSet<String>> {
    let all = everything("--namespaced=false", &[]).await?;
    Ok(all
        .into_iter()
        .filter(|name| !name.starts_with("namespace/") && !name.starts_with("containerkind"))
        .collect())
}

/// The names of all objects of all types, as `TYPE/NAME`.
async fn everything(types: &str, place: &[&str]) -> Result<BTreeSet<String>> {
    let types = kubectl(&["api-resources", types, "--verbs=list", "--output=name"]).await?;
    let types = types.split_whitespace().collect::<Vec<_>>().join(",");
    let get = ["get", &types, "--output=name", "--ignore-not-found"];
    let names = kubectl(&[&get[..], place].concat()).await?;
    Ok(names.lines().map(str::to_owned).collect())
}

fn nothing_more(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Result<()> {
    let left: Vec<_> = after.difference(before).collect();
    ensure!(left.is_empty(), "there is still {left:?}");
    Ok(())
}
