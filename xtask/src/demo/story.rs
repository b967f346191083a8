//! The steps of the story. Each tells what it does; one whose outcome did not happen is an error.

use anyhow::{Result, bail, ensure};
use serde_json::json;

use super::cluster_view::Cluster;
use super::network_view::Network;
use crate::environment::{AGENTS, Environment, NETWORK};
use crate::go_programs::GoPrograms;
use crate::huly_programs::HulyPrograms;
use crate::report::{show, step};
use crate::workspace::Workspace;

/// The claims of examples/manifests.
const ECHO: &str = "my-echo";
const COUNTER: &str = "my-counter";
const ROOM: &str = "lobby";

/// Starts everything and tells the story.
///
/// # Errors
/// The first step that did not happen.
pub(super) async fn tell(
    workspace: &Workspace,
    environment: &mut Environment,
    go: &GoPrograms,
    huly: &HulyPrograms,
) -> Result<()> {
    start(workspace, environment, go, huly).await?;
    let cluster = Cluster::new(environment.kubectl(go));
    let network = Network::new(huly.cli(), environment.network_address());
    claims_become_ready(workspace, &cluster).await?;
    containers_answer(&cluster, &network).await?;
    an_event_arrives(&cluster, &network).await?;
    an_agent_dies(environment, huly, &cluster).await?;
    the_network_server_dies(environment, huly, &cluster, &network).await
}

async fn start(
    workspace: &Workspace,
    environment: &mut Environment,
    go: &GoPrograms,
    huly: &HulyPrograms,
) -> Result<()> {
    step(
        "Start the Kubernetes control plane",
        environment.start_control_plane(go),
    )
    .await?;
    step("Start the network server", environment.start_network(huly)).await?;
    step("Start two agents", environment.start_agents(huly)).await?;
    let definitions = workspace.definitions();
    let said = step(
        "Apply the custom resource definitions",
        environment.apply_definitions(go, &definitions),
    )
    .await?;
    show(&said);
    step("Start the operator", environment.start_operator(go, huly)).await
}

async fn claims_become_ready(workspace: &Workspace, cluster: &Cluster) -> Result<()> {
    let manifests = workspace.root.join("examples/manifests");
    let said = step(
        "Apply examples/manifests: three kinds, three claims",
        cluster.apply(&manifests),
    )
    .await?;
    show(&said);
    step("Every claim becomes Ready", cluster.await_all_ready()).await?;
    step(
        "Every kind counts its container",
        cluster.await_all_counted(),
    )
    .await?;
    let said = step(
        "kubectl get containerkinds,containerclaims --all-namespaces",
        cluster.kinds_and_claims(),
    )
    .await?;
    show(&said);
    Ok(())
}

async fn containers_answer(cluster: &Cluster, network: &Network) -> Result<()> {
    let echo = cluster.claim(ECHO).await?;
    let hello = json!({ "text": "hello, network" });
    let said = step(
        format!("Ask the claimed echo: huly request {} echo", echo.uuid),
        network.request(&echo.uuid, "echo", &hello),
    )
    .await?;
    show(&said.to_string());
    ensure!(said == hello, "the echo answered {said}, not {hello}");

    let counter = cluster.claim(COUNTER).await?;
    let counted = async {
        let before = network.value(&counter.uuid).await?;
        let after = network.increment(&counter.uuid).await?;
        ensure!(
            after == before + 1,
            "the counter went from {before} to {after}"
        );
        Ok(after)
    };
    let value = step(
        format!("Count: huly request {} increment", counter.uuid),
        counted,
    )
    .await?;
    show(&format!("the counter is at {value}"));
    Ok(())
}

async fn an_event_arrives(cluster: &Cluster, network: &Network) -> Result<()> {
    let room = cluster.claim(ROOM).await?;
    let mut watch = step(
        format!("Enter the chat room: huly watch --container {}", room.uuid),
        network.watch_room(&room.uuid),
    )
    .await?;
    let text = "is anybody here?";
    let arrives = async {
        let said = json!({ "from": "demo", "text": text });
        network.request(&room.uuid, "say", &said).await?;
        watch.event_with(text).await
    };
    let event = step(
        format!(
            "Say something, and its event arrives: huly request {} say",
            room.uuid
        ),
        arrives,
    )
    .await?;
    show(&event);
    Ok(())
}

async fn an_agent_dies(
    environment: &mut Environment,
    huly: &HulyPrograms,
    cluster: &Cluster,
) -> Result<()> {
    let before = cluster.claim(ECHO).await?;
    let Some(agent) = AGENTS.iter().find(|agent| agent.name == before.agent) else {
        bail!(
            "the claim {ECHO} says that it lives on {}, which is no agent here",
            before.agent
        );
    };
    step(
        format!(
            "Kill {} (SIGKILL), which hosts the claim {ECHO}",
            agent.name
        ),
        environment.kill(agent.name),
    )
    .await?;
    let after = step(
        format!("The claim {ECHO} fails over"),
        cluster.await_failover(ECHO, &before.agent),
    )
    .await?;
    ensure!(
        after.uuid == before.uuid,
        "the claim {ECHO} had the uuid {} and has {} now",
        before.uuid,
        after.uuid
    );
    show(&cluster.claims().await?);
    let events = step(
        format!("Its Events tell of it: kubectl events --for containerclaim/{ECHO}"),
        cluster.await_event(ECHO, "FailedOver"),
    )
    .await?;
    show(&events);
    step(
        format!("Start {} again", agent.name),
        environment.start_agent(agent.name, huly),
    )
    .await
}

async fn the_network_server_dies(
    environment: &mut Environment,
    huly: &HulyPrograms,
    cluster: &Cluster,
    network: &Network,
) -> Result<()> {
    let before = cluster.claim(COUNTER).await?;
    let counted = async {
        network.increment(&before.uuid).await?;
        network.increment(&before.uuid).await
    };
    let value = step("Count on: twice", counted).await?;
    show(&format!(
        "the counter {} on {} is at {value}",
        before.uuid, before.agent
    ));
    step(
        "Kill the network server (SIGKILL)",
        environment.kill(NETWORK),
    )
    .await?;
    step(
        "Start the network server again",
        environment.start_network(huly),
    )
    .await?;
    let found = step(
        "The same container still answers",
        network.value(&before.uuid),
    )
    .await?;
    ensure!(
        found == value,
        "the counter was at {value} and is at {found} now"
    );
    let after = cluster.claim(COUNTER).await?;
    ensure!(
        after == before,
        "its claim said {before:?} and says {after:?} now"
    );
    show(&format!(
        "the counter {} on {} is at {found}",
        after.uuid, after.agent
    ));
    Ok(())
}
