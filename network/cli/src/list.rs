//! agents, kinds, containers.

mod kinds;

use huly_client::Client;
use huly_protocol::{AgentInfo, ContainerRecord, Endpoint, KindSpec};

pub(crate) use self::kinds::kinds;
use crate::args::{Find, Output};
use crate::output::{self, json, table, wide};

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

const COLUMNS: [&str; 6] = ["UUID", "KIND", "AGENT", "REFERENCES", "FAILOVERS", "LABELS"];

const WIDE_COLUMNS: [&str; 9] = wide(COLUMNS, &["EXCLUSIVE", "EPOCH", "ENDPOINT"]);

pub(crate) async fn containers(client: &Client, find: &Find, output: Output) -> anyhow::Result<()> {
    let containers = client.containers(find.kind.as_deref()).await?;
    match output {
        Output::Json => json(&containers)?,
        Output::Table => table(COLUMNS, containers.iter().map(row).collect()),
        Output::Wide => {
            let specs = kinds::specs(client).await?;
            let rows = containers.iter().map(|it| wide_row(it, &specs));
            table(WIDE_COLUMNS, rows.collect());
        }
    }
    Ok(())
}

fn row(container: &ContainerRecord) -> [String; COLUMNS.len()] {
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
    ]
}

fn wide_row(container: &ContainerRecord, specs: &[KindSpec]) -> [String; WIDE_COLUMNS.len()] {
    let spec = specs.iter().find(|spec| spec.kind == container.kind);
    // Of one whose kind has lost its specification the server does not say it.
    let exclusive = spec.map_or_else(|| "-".to_owned(), |spec| kinds::yes_no(spec.exclusive));
    let epoch = container.huly.as_ref().and_then(|more| more.epoch);
    let more = [
        exclusive,
        epoch
            .map(|epoch| format!("{}.{}", epoch.term, epoch.n))
            .unwrap_or_default(),
        authority(&container.endpoint),
    ];
    output::wide_row(row(container), more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_a_container_is_exclusive_is_said_by_its_kind() {
        let exclusive = KindSpec {
            exclusive: true,
            ..KindSpec::defaults("one")
        };
        let specs = [exclusive, KindSpec::defaults("many")];
        for (kind, said) in [("one", "yes"), ("many", "no"), ("unknown", "-")] {
            let container = ContainerRecord {
                agent_id: "a".to_owned(),
                uuid: "u".to_owned(),
                kind: kind.to_owned(),
                endpoint: String::new(),
                last_visit: 0.0,
                extra: None,
                labels: None,
                huly: None,
            };
            let row = wide_row(&container, &specs);
            assert_eq!(WIDE_COLUMNS[6], "EXCLUSIVE");
            assert_eq!(row[6], said, "{kind}");
        }
        assert_eq!(WIDE_COLUMNS[..COLUMNS.len()], COLUMNS);
    }
}
