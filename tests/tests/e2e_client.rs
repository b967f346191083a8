//! What uses the network from inside the cluster.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use huly_tests::{Release, eventually, kubectl, on_nodes};
use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};
use uuid::Uuid;

/// How long a Pod may take to come, do its work and go.
const DONE: Duration = Duration::from_secs(60);

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn a_program_in_another_namespace_uses_the_network_by_the_services_name() -> Result<()> {
    on_nodes(async |cluster| {
        let release = Release::shared(cluster).await?;
        // The examples are for a release in the namespace `huly`.
        let job = fs::read_to_string(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../examples/in-cluster/job.yaml"
        ))?;
        let theirs = "huly-huly-network.huly.svc:3737";
        ensure!(job.contains(theirs), "{job}");
        let ours = format!("huly-huly-network.{}.svc:3737", release.namespace);
        let mut job: Value = serde_yaml_ng::from_str(&job.replace(theirs, &ours))?;
        // Nobody else has visited the container of this test.
        let uuid = format!("visits-{}", Uuid::new_v4());
        job["spec"]["template"]["spec"]["containers"][0]["args"] = json!([uuid]);
        let job: Job = serde_json::from_value(job)?;
        let standard = json!({ "pod-security.kubernetes.io/enforce": "restricted" });
        // The reference of this test keeps the container from ending between the two visits.
        let visits = release.live.client().get("counter").uuid(&uuid).await?;
        for visit in 1..=2 {
            let namespace = format!("visitor-{visit}");
            let namespace = cluster.labelled_namespace(&namespace, &standard).await?;
            let jobs: Api<Job> = Api::namespaced(cluster.client(), &namespace);
            jobs.create(&PostParams::default(), &job).await?;
            eventually(DONE, "the Job is complete", async || {
                let status = jobs.get("in-cluster").await?.status;
                let status = status.context("no status")?;
                ensure!(status.failed.is_none(), "its Pod failed: {status:?}");
                ensure!(status.succeeded == Some(1), "{status:?}");
                Ok(())
            })
            .await?;
            let log = kubectl(&["logs", "--namespace", &namespace, "job/in-cluster"]).await?;
            let expected = format!("visit {visit}\n{uuid} lives at {}\n", visits.endpoint());
            assert_eq!(log, expected);
        }
        visits.release().await?;
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn helm_test_claims_a_container_and_calls_it() -> Result<()> {
    on_nodes(async |cluster| {
        let release = Release::shared(cluster).await?;
        let said = release.helm_test().await?;
        ensure!(said.contains("Phase:          Succeeded"), "{said}");
        for step in ["is Ready: agent", "answers: with what it was sent"] {
            ensure!(said.contains(step), "{said}");
        }
        let made = ["get", "containerclaims,containerkinds"];
        let all = ["--all-namespaces", "--output", "name"];
        let left = kubectl(&[made.as_slice(), &all].concat()).await?;
        ensure!(!left.contains("huly-check"), "{left}");
        // Nor what the test itself is made of: that is no part of the release.
        let own = "pods,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings";
        let left = kubectl(&[["get", own].as_slice(), &all].concat()).await?;
        let left: Vec<&str> = left
            .lines()
            .filter(|name| name.ends_with("-check"))
            .collect();
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
    .await
}
