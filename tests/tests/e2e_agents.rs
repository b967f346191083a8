//! Agents end in all the ways in which Pods do. Their claims are bound elsewhere and say so truly,
//! nothing runs twice, and nothing moves that need not.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use huly_tests::{
    AgentPod, Counted, Counters, NODES, Release, SOON, eventually, kubectl, measured,
    on_loaded_nodes,
};

/// Three on each node: they are placed one after the other.
const COUNT: usize = 9;

/// How long Pods may take to be replaced on a busy machine.
const REPLACED: Duration = Duration::from_secs(90);

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn the_claims_of_a_deleted_agent_are_bound_elsewhere() -> Result<()> {
    on_loaded_nodes(REPLACED, async |cluster, release| {
        let (mut counters, before) = Counters::agreed(cluster, release, COUNT).await?;
        let victim = AgentPod::on_node(release, "node-2").await?;
        let lost = victim.those_on_it(&before)?;

        let deleted = Instant::now();
        delete(release, &victim).await?;
        let bound = counters.until_bound_again(&lost, SOON).await?;
        measured(
            "agent's Pod deleted → its claims Bound elsewhere",
            bound - deleted,
        );
        let after = counters.agree(&NODES, REPLACED).await?;
        measured("agent's Pod deleted → another is there", deleted.elapsed());
        Counted::only_these_moved(&before, &after, &lost)?;

        let new = AgentPod::on_node(release, "node-2").await?;
        assert_ne!(new.pod.uid, victim.pod.uid, "it is another Pod");
        counters.nothing_moves_to(&new, &after).await
    })
    .await?;
    Ok(())
}

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn an_agent_killed_inside_its_pod_is_started_again_in_place() -> Result<()> {
    on_loaded_nodes(REPLACED, async |cluster, release| {
        let (mut counters, before) = Counters::agreed(cluster, release, COUNT).await?;
        let victim = AgentPod::on_node(release, "node-3").await?;
        let lost = victim.those_on_it(&before)?;

        let killed = Instant::now();
        victim.kill()?;
        let bound = counters.until_bound_again(&lost, SOON).await?;
        measured(
            "agent killed in its Pod → its claims Bound elsewhere",
            bound - killed,
        );
        let new = started_again(release, &victim).await?;
        measured("agent killed in its Pod → it is back", killed.elapsed());
        let after = counters.agree(&NODES, SOON).await?;
        Counted::only_these_moved(&before, &after, &lost)?;
        counters.nothing_moves_to(&new, &after).await
    })
    .await?;
    Ok(())
}

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn all_agents_killed_at_once() -> Result<()> {
    on_loaded_nodes(REPLACED, async |cluster, release| {
        let (counters, before) = Counters::agreed(cluster, release, COUNT).await?;
        let victims = AgentPod::on(release, &NODES).await?;

        let killed = Instant::now();
        for victim in &victims {
            victim.kill()?;
        }
        for victim in &victims {
            started_again(release, victim).await?;
        }
        let all: Vec<&Counted> = before.iter().collect();
        let bound = counters.until_bound_again(&all, REPLACED).await?;
        measured("all agents killed → all claims Bound", bound - killed);
        let after = counters.agree(&NODES, SOON).await?;
        Counted::only_these_moved(&before, &after, &all)
    })
    .await?;
    Ok(())
}

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn all_agents_deleted_at_once() -> Result<()> {
    on_loaded_nodes(REPLACED, async |cluster, release| {
        let (counters, before) = Counters::agreed(cluster, release, COUNT).await?;
        let victims = AgentPod::on(release, &NODES).await?;

        let deleted = Instant::now();
        let names = victims.iter().map(|victim| victim.pod.name.as_str());
        let command = ["delete", "pod", "--wait=false", "--namespace"];
        let command = command.into_iter().chain([release.namespace.as_str()]);
        kubectl(&command.chain(names).collect::<Vec<_>>()).await?;
        let all: Vec<&Counted> = before.iter().collect();
        let bound = counters.until_bound_again(&all, REPLACED).await?;
        measured(
            "all agents' Pods deleted → all claims Bound",
            bound - deleted,
        );
        // What was bound again may have been on an agent that was about to end, too.
        let after = counters.agree(&NODES, REPLACED).await?;
        measured("all agents' Pods deleted → all replaced", deleted.elapsed());
        Counted::only_these_moved(&before, &after, &all)?;
        all_are_other_pods(&victims, &AgentPod::on(release, &NODES).await?)
    })
    .await?;
    Ok(())
}

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn all_agents_restarted_one_after_the_other_leave_no_claim_unbound() -> Result<()> {
    on_loaded_nodes(REPLACED, async |cluster, release| {
        let (counters, before) = Counters::agreed(cluster, release, COUNT).await?;
        let old = AgentPod::on(release, &NODES).await?;

        let began = Instant::now();
        release.restart_agents().await?;
        measured("all agents restarted one after the other", began.elapsed());
        let after = counters.agree(&NODES, REPLACED).await?;
        Counted::only_these_moved(&before, &after, &before.iter().collect::<Vec<_>>())?;
        all_are_other_pods(&old, &AgentPod::on(release, &NODES).await?)?;
        // The new Pod is ready before the old one goes: there is always a place.
        counters.stayed_bound()
    })
    .await?;
    Ok(())
}

async fn delete(release: &Release, agent: &AgentPod) -> Result<()> {
    let place = ["--namespace", &release.namespace, &agent.pod.name];
    kubectl(&[&["delete", "pod", "--wait=false"], &place[..]].concat()).await?;
    Ok(())
}

/// Waits until a Pod has another agent in it, by a restart that Kubernetes counts.
async fn started_again(release: &Release, was: &AgentPod) -> Result<AgentPod> {
    let what = format!("the agent on {} is back", was.pod.node);
    eventually(REPLACED, &what, async || {
        let now = AgentPod::on_node(release, &was.pod.node).await?;
        ensure!(now.pod.uid == was.pod.uid, "it is another Pod");
        ensure!(now.id != was.id, "it is the agent of before");
        ensure!(now.pod.restarts == was.pod.restarts + 1, "{now:?}");
        Ok(now)
    })
    .await
}

fn all_are_other_pods(old: &[AgentPod], new: &[AgentPod]) -> Result<()> {
    for (old, new) in old.iter().zip(new) {
        ensure!(old.pod.uid != new.pod.uid, "{old:?} is there");
    }
    Ok(())
}
