//! Two operators at once: one leads, and whatever becomes of it, claims are right, and no container
//! is ended or started again.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use huly_tests::{
    Churn, Layout, Object, Program, SILENCE, SOON, Scenario, Stay, eventually, kubectl, measured,
    scenario,
};
use kube::core::DynamicObject;
use serde_json::{Value, json};

/// The Lease's times: in seconds what is tens of them otherwise.
const SHORT: [(&str, &str); 3] = [
    ("--lease-seconds", "5"),
    ("--lease-renew-ms", "3000"),
    ("--lease-retry-ms", "500"),
];
/// How long another one may take to lead: the Lease, and what many tests on two cores take.
const FOLLOWED: Duration = Duration::from_secs(30);
/// How long claims may take to be right once one leads.
const RIGHT: Duration = Duration::from_secs(30);

/// Two operators, the first of which leads; claims that come and go; and two that stay.
struct Two {
    a: Program,
    b: Program,
    churn: Churn,
    stay: Stay,
}

impl Two {
    async fn start(test: &mut Scenario) -> Result<Self> {
        test.network.operator.terminate().await?;
        let mut a = test.network.another_operator("operator-a", &SHORT)?;
        a.start().await?;
        ensure!(leads(&a).await?, "nobody else is there");
        let mut b = test.network.another_operator("operator-b", &SHORT)?;
        b.start().await?;
        looks_on(&b, "operator-a").await?;

        let stay = Stay::claimed(test, on_agents(["0", "1"])).await?;
        let churn = Churn::start(test, &stay).await?;
        churn.bound_more(10, SOON).await?;
        Ok(Self { a, b, churn, stay })
    }

    /// Ends the load of claims: all is right, and was so all the time.
    async fn comes_right(self, test: &Scenario) -> Result<()> {
        self.churn.bound_more(10, SOON).await?;
        self.churn.comes_right(test, RIGHT).await?;
        self.stay.are_untouched(test).await
    }
}

/// The spec of a kind whose containers live on two of the agents.
fn on_agents(zones: [&str; 2]) -> Value {
    let of_zones = json!({"key": "zone", "operator": "In", "values": zones});
    json!({"placement": {"agentSelector": {"matchExpressions": [of_zones]}}})
}

/// Whether it leads, by its metrics.
async fn leads(operator: &Program) -> Result<bool> {
    Ok(operator.metrics().await?.sum("huly_operator_leader", &[])? == 1.0)
}

async fn until_it_leads(operator: &Program, deadline: Duration) -> Result<()> {
    eventually(deadline, "the other one leads", async || {
        ensure!(leads(operator).await?, "it does not");
        let (status, body) = operator.page("/readyz").await?;
        ensure!(
            status == 200 && body.contains("leads, fencing number"),
            "{body}"
        );
        Ok(())
    })
    .await
}

/// Waits until it is ready, and says that it looks on.
async fn looks_on(operator: &Program, leader: &str) -> Result<()> {
    eventually(SOON, "it looks on", async || {
        let (status, body) = operator.page("/readyz").await?;
        let says = format!("looks on: {leader} leads");
        ensure!(status == 200 && body.contains(&says), "{status}: {body}");
        ensure!(!leads(operator).await?, "it leads");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_leader_is_killed() -> Result<()> {
    scenario(Layout::agents(2).loaded(), async |test| {
        let mut two = Two::start(test).await?;
        two.a.kill().await?;
        let killed = Instant::now();
        until_it_leads(&two.b, FOLLOWED).await?;
        measured("leader killed → the other one leads", killed.elapsed());
        // Under another identity it would have to wait; under its own it leads nothing while b does.
        two.a.start().await?;
        looks_on(&two.a, "operator-b").await?;
        two.comes_right(test).await?;
        test.end_load(SOON).await?.nothing_restarted()
    })
    .await
}

#[tokio::test]
async fn the_leader_ends_again_and_again() -> Result<()> {
    scenario(Layout::agents(2).loaded(), async |test| {
        let mut two = Two::start(test).await?;
        for leader in ["operator-b", "operator-a", "operator-b"] {
            two.a.terminate().await?;
            let ended = Instant::now();
            // It gives its Lease free: nobody waits until it is over.
            until_it_leads(&two.b, FOLLOWED).await?;
            measured("leader ended → the other one leads", ended.elapsed());
            two.a.start().await?;
            looks_on(&two.a, leader).await?;
            two.churn.bound_more(5, SOON).await?;
            std::mem::swap(&mut two.a, &mut two.b);
        }
        two.comes_right(test).await?;
        test.end_load(SOON).await?.nothing_restarted()
    })
    .await
}

#[tokio::test]
async fn the_leader_is_frozen_for_longer_than_its_lease() -> Result<()> {
    scenario(Layout::agents(4).loaded(), async |test| {
        let two = Two::start(test).await?;
        // One that moves meanwhile: what the first one knows of it is wrong then.
        let kind = test.cluster.kind("direct-room", on_agents(["2", "3"]));
        let (kind, namespace) = (kind.await?, test.cluster.namespace("moves").await?);
        let claim = test.cluster.claim(&namespace, "moves", &kind, json!({}));
        let moves = claim.await?;
        let (before, _) = moves.until_ready().await?;

        two.a.freeze().await?;
        let frozen = Instant::now();
        until_it_leads(&two.b, FOLLOWED).await?;
        measured("leader frozen → the other one leads", frozen.elapsed());
        let agent = before.text("/status/agent");
        test.network.agent(agent)?.kill().await?;
        let again =
            |claim: &DynamicObject| claim.is("Ready") && claim.text("/status/agent") != agent;
        let (moved, _) = moves.until(SOON, "is Bound elsewhere", again).await?;
        two.churn.bound_more(5, SOON).await?;
        two.a.thaw()?;
        looks_on(&two.a, "operator-b").await?;
        two.comes_right(test).await?;
        let now = test.cluster.claims(&namespace).get("moves").await?;
        ensure!(
            now.version() == moved.version(),
            "written since: {}",
            now.shown()
        );
        test.end_load(SILENCE).await?.one_lost_a_life()
    })
    .await
}

/// Their Leases are two: only the network server keeps them apart.
#[tokio::test]
async fn an_operator_in_another_namespace_has_the_higher_number() -> Result<()> {
    scenario(Layout::agents(2).loaded(), async |test| {
        let mut two = Two::start(test).await?;
        two.b.terminate().await?;
        let elsewhere = test.cluster.namespace("elsewhere").await?;
        let lease = [
            "--verb=get,create,patch",
            "--resource=leases.coordination.k8s.io",
        ];
        let whom = ["--role=operator", "--user=huly-operator"];
        for (what, more) in [("role", lease), ("rolebinding", whom)] {
            let create = ["create", what, "operator", "--namespace", &elsewhere];
            kubectl(&[&create[..], &more].concat()).await?;
        }
        let flags = [&SHORT[..], &[("--namespace", &elsewhere)]].concat();
        let mut other = test.network.another_operator("operator-c", &flags)?;
        // Its Lease was made later: its number is the higher one.
        other.start().await?;
        until_it_leads(&other, SOON).await?;
        eventually(
            SOON,
            "the first one says why it does not lead",
            async || {
                let (status, body) = two.a.page("/readyz").await?;
                let says = body.contains("higher fencing number");
                ensure!(status == 503 && says, "{status}: {body}");
                Ok(())
            },
        )
        .await?;
        // It tries again, in vain.
        two.churn.bound_more(80, FOLLOWED).await?;
        ensure!(leads(&other).await?, "it leads no more");
        let metrics = other.metrics().await?;
        let syncs = metrics.sum("huly_operator_sync_total", &[("outcome", "ok")])?;
        // One at the begin of a session, and one a minute.
        ensure!(syncs <= 2.0, "it had {syncs} sessions");
        two.a.terminate().await?;
        two.comes_right(test).await?;
        test.end_load(SOON).await?.nothing_restarted()
    })
    .await
}

/// Nothing else happens that would make it look at itself: no load either, whose containers are to be
/// shown.
#[tokio::test]
async fn a_leader_without_work_says_that_it_leads_no_more() -> Result<()> {
    scenario(Layout::agents(1), async |test| {
        test.network.operator.terminate().await?;
        let mut first = test.network.another_operator("operator-a", &SHORT)?;
        first.start().await?;
        until_it_leads(&first, SOON).await?;
        let mut second = test.network.another_operator("operator-b", &SHORT)?;
        second.start().await?;
        first.freeze().await?;
        until_it_leads(&second, FOLLOWED).await?;
        first.thaw()?;
        looks_on(&first, "operator-b").await
    })
    .await
}
