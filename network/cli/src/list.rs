//! agents, kinds, containers.

use huly_client::Client;
use huly_protocol::{AgentInfo, ContainerRecord, Endpoint, KindSpec};

use crate::args::{Find, Output};
use crate::is_original;
use crate::output::{json, table};

pub(crate) async fn agents(client: &Client, output: Output) -> anyhow::Result<()> {
    let agents = client.agents().await?;
    match output {
        Output::Json => json(&agents)?,
        Output::Table => table(
            ["AGENT", "STATE", "NODE", "CONTAINERS", "KINDS"],
            agents
                .iter()
                .map(|agent| {
                    let [id, state, node, containers, kinds, ..] = agent_row(agent);
                    [id, state, node, containers, kinds]
                })
                .collect(),
        ),
        Output::Wide => table(
            [
                "AGENT",
                "STATE",
                "NODE",
                "CONTAINERS",
                "KINDS",
                "POD",
                "LABELS",
                "ENDPOINT",
            ],
            agents.iter().map(agent_row).collect(),
        ),
    }
    Ok(())
}

fn agent_row(agent: &AgentInfo) -> [String; 8] {
    let ext = agent.huly.clone().unwrap_or_default();
    let pod = ext.pod.map(|pod| format!("{}/{}", pod.namespace, pod.name));
    let labels: Vec<String> = ext
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    [
        agent.agent_id.clone(),
        ext.state,
        ext.node.unwrap_or_default(),
        agent.containers.to_string(),
        agent.kinds.join(","),
        pod.unwrap_or_default(),
        labels.join(","),
        authority(agent.endpoint.as_deref().unwrap_or_default()),
    ]
}

/// `host:port` of an endpoint text; the text itself where it is none of ours.
pub(crate) fn authority(endpoint: &str) -> String {
    Endpoint::parse(endpoint).map_or_else(|_| endpoint.to_owned(), |parsed| parsed.authority())
}

pub(crate) async fn kinds(client: &Client, output: Output) -> anyhow::Result<()> {
    let served = client.kinds().await?;
    let specs = match is_original(client) {
        true => Vec::new(),
        false => client.kind_specs().await?,
    };
    if output == Output::Json {
        return json(&serde_json::json!({ "served": served, "specifications": specs }));
    }
    let mut names: Vec<&str> = served
        .iter()
        .chain(specs.iter().map(|spec| &spec.kind))
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names.dedup();
    let rows = names.into_iter().map(|name| {
        let spec = specs.iter().find(|spec| spec.kind == name);
        let is_served = served.iter().any(|kind| kind == name);
        kind_row(name, is_served, spec)
    });
    table(
        [
            "KIND",
            "SERVED",
            "SPECIFIED",
            "IDLE",
            "MAX-PER-AGENT",
            "EXCLUSIVE",
            "SERIAL",
            "STATELESS",
        ],
        rows.collect(),
    );
    Ok(())
}

fn kind_row(name: &str, served: bool, spec: Option<&KindSpec>) -> [String; 8] {
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let defaults = KindSpec::defaults(name);
    let rules = spec.unwrap_or(&defaults);
    [
        name.to_owned(),
        yes(served),
        yes(spec.is_some()),
        format!("{} s", rules.idle_timeout_ms() as f64 / 1e3),
        rules
            .max_per_agent
            .map_or_else(|| "-".to_owned(), |max| max.to_string()),
        yes(rules.exclusive),
        yes(rules.serial),
        rules
            .stateless_uuid
            .clone()
            .unwrap_or_else(|| "-".to_owned()),
    ]
}

pub(crate) async fn containers(client: &Client, find: &Find, output: Output) -> anyhow::Result<()> {
    let containers = client.containers(find.kind.as_deref()).await?;
    match output {
        Output::Json => json(&containers)?,
        Output::Table => table(
            ["UUID", "KIND", "AGENT", "REFERENCES", "FAILOVERS", "LABELS"],
            containers
                .iter()
                .map(|container| {
                    let [uuid, kind, agent, references, failovers, labels, ..] =
                        container_row(container);
                    [uuid, kind, agent, references, failovers, labels]
                })
                .collect(),
        ),
        Output::Wide => table(
            [
                "UUID",
                "KIND",
                "AGENT",
                "REFERENCES",
                "FAILOVERS",
                "LABELS",
                "EPOCH",
                "ENDPOINT",
            ],
            containers.iter().map(container_row).collect(),
        ),
    }
    Ok(())
}

fn container_row(container: &ContainerRecord) -> [String; 8] {
    let ext = container.huly.clone().unwrap_or_default();
    [
        container.uuid.clone(),
        container.kind.clone(),
        container.agent_id.clone(),
        ext.references
            .map(|count| count.to_string())
            .unwrap_or_default(),
        ext.failovers.to_string(),
        container.labels.clone().unwrap_or_default().join(","),
        ext.epoch
            .map(|epoch| format!("{}.{}", epoch.term, epoch.n))
            .unwrap_or_default(),
        authority(&container.endpoint),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_shown_with_what_its_specification_says() {
        let spec = KindSpec {
            idle_timeout_ms: Some(1_500),
            max_per_agent: Some(7),
            exclusive: true,
            ..KindSpec::defaults("k")
        };
        let row = kind_row("k", true, Some(&spec));
        assert_eq!(row, ["k", "yes", "yes", "1.5 s", "7", "yes", "no", "-"]);
        let spec = KindSpec {
            serial: true,
            stateless_uuid: Some("u".to_owned()),
            ..KindSpec::defaults("k")
        };
        let row = kind_row("k", false, Some(&spec));
        assert_eq!(row, ["k", "no", "yes", "5 s", "-", "no", "yes", "u"]);
        let row = kind_row("k", true, None);
        assert_eq!(row, ["k", "yes", "no", "5 s", "-", "no", "no", "-"]);
    }
}
