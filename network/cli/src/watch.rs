//! watch: what happens, one line each.

use std::pin::pin;

use futures::StreamExt;
use huly_client::{Client, Update};
use huly_protocol::{EventKind, FeedEvent};

use crate::args::{Output, Watch};
use crate::call::hold;
use crate::is_original;
use crate::output::line;

pub(crate) async fn watch(client: &Client, args: &Watch, output: Output) -> anyhow::Result<()> {
    match &args.container {
        Some(uuid) => container(client, uuid).await,
        None => network(client, output).await,
    }
}

/// The events of one container, as the JSON that it sends.
async fn container(client: &Client, uuid: &str) -> anyhow::Result<()> {
    let container = hold(client, uuid).await?;
    let connection = container.connect().await?;
    let mut events = pin!(connection.events());
    while let Some(event) = events.next().await {
        line(event.text());
    }
    anyhow::bail!("container {uuid} is gone")
}

async fn network(client: &Client, output: Output) -> anyhow::Result<()> {
    if is_original(client) {
        anyhow::bail!("the network server is an original one, which does not tell what happens");
    }
    let mut updates = pin!(client.updates());
    let mut began = false;
    while let Some(update) = updates.next().await {
        match update {
            // In JSON the next snapshot says so.
            Update::Reset if began && output != Output::Json => {
                line("network    again    what there is now follows");
            }
            Update::Reset => began = true,
            Update::Snapshot(event) | Update::Event(event) => print(&event, output)?,
        }
    }
    anyhow::bail!("the network server's feed ended")
}

fn print(event: &FeedEvent, output: Output) -> anyhow::Result<()> {
    if output == Output::Json {
        line(&serde_json::to_string(event)?);
        return Ok(());
    }
    let word = |kind| match kind {
        // What happens while chunks come is told among them.
        EventKind::Added if event.snapshot.is_some() => "there",
        EventKind::Added => "added",
        EventKind::Updated => "updated",
        EventKind::Removed => "removed",
    };
    for agent in &event.agents {
        let ext = agent.agent.huly.clone().unwrap_or_default();
        let node = ext
            .node
            .map(|node| format!(" on node {node}"))
            .unwrap_or_default();
        line(&format!(
            "agent      {:<8} {}{node} {} [{}]",
            word(agent.event),
            agent.agent.agent_id,
            ext.state,
            agent.agent.kinds.join(",")
        ));
    }
    for container in &event.containers {
        let record = &container.container;
        line(&format!(
            "container  {:<8} {} of kind {} on agent {}",
            word(container.event),
            record.uuid,
            record.kind,
            record.agent_id
        ));
    }
    Ok(())
}
