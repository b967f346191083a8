//! The kinds: who serves them, and what their specifications say.

use huly_client::Client;
use huly_protocol::{AgentInfo, KindSpec, LabelSelector, Operator, Requirement};

use crate::args::Output;
use crate::is_original;
use crate::output::{json, table, wide, wide_row};

const COLUMNS: [&str; 8] = [
    "KIND",
    "SERVED",
    "SPECIFIED",
    "IDLE",
    "MAX-PER-AGENT",
    "EXCLUSIVE",
    "SERIAL",
    "STATELESS",
];

const WIDE_COLUMNS: [&str; 14] = wide(
    COLUMNS,
    &[
        "AGENTS",
        "CONTAINERS",
        "START",
        "GRACE",
        "SELECTOR",
        "REVISION",
    ],
);

pub(crate) async fn kinds(client: &Client, output: Output) -> anyhow::Result<()> {
    let served = client.kinds().await?;
    let specs = specs(client).await?;
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
    let kinds = names.into_iter().map(|name| Kind {
        name,
        served: served.iter().any(|kind| kind == name),
        spec: specs.iter().find(|spec| spec.kind == name),
    });
    if output == Output::Wide {
        let agents = client.agents().await?;
        table(WIDE_COLUMNS, kinds.map(|it| it.wide_row(&agents)).collect());
    } else {
        table(COLUMNS, kinds.map(|it| it.row()).collect());
    }
    Ok(())
}

/// The specifications of kinds; of an original server none, for it knows none.
pub(super) async fn specs(client: &Client) -> anyhow::Result<Vec<KindSpec>> {
    Ok(match is_original(client) {
        true => Vec::new(),
        false => client.kind_specs().await?,
    })
}

/// A kind that agents serve, or that is specified.
struct Kind<'a> {
    name: &'a str,
    served: bool,
    spec: Option<&'a KindSpec>,
}

impl Kind<'_> {
    /// What its specification says, or the defaults.
    fn rules(&self) -> KindSpec {
        let defaults = || KindSpec::defaults(self.name);
        self.spec.cloned().unwrap_or_else(defaults)
    }

    fn row(&self) -> [String; COLUMNS.len()] {
        let rules = self.rules();
        [
            self.name.to_owned(),
            yes_no(self.served),
            yes_no(self.spec.is_some()),
            seconds(rules.idle_timeout_ms()),
            or_none(rules.max_per_agent.map(|max| max.to_string())),
            yes_no(rules.exclusive),
            yes_no(rules.serial),
            or_none(rules.stateless_uuid),
        ]
    }

    fn wide_row(&self, agents: &[AgentInfo]) -> [String; WIDE_COLUMNS.len()] {
        let rules = self.rules();
        let serve = agents
            .iter()
            .filter(|agent| agent.kinds.iter().any(|kind| kind == self.name));
        let more = [
            serve.count().to_string(),
            containers(self.name, agents),
            seconds(rules.start_timeout_ms()),
            seconds(rules.termination_grace_ms()),
            or_none(Some(selector(&rules.agent_selector)).filter(|text| !text.is_empty())),
            or_none(self.spec.map(|spec| spec.revision.to_string())),
        ];
        wide_row(self.row(), more)
    }
}

/// How many containers of a kind there are; nothing where the server does not say, as an original
/// one.
fn containers(kind: &str, agents: &[AgentInfo]) -> String {
    let told = agents.iter().filter_map(|agent| agent.huly.as_ref());
    let counts = told.map(|more| more.containers_by_kind.get(kind).copied().unwrap_or(0));
    let counts: Vec<u32> = counts.collect();
    match counts.is_empty() && !agents.is_empty() {
        true => String::new(),
        false => counts
            .iter()
            .map(|count| u64::from(*count))
            .sum::<u64>()
            .to_string(),
    }
}

/// A selector as kubectl writes one.
fn selector(selector: &LabelSelector) -> String {
    let labels = selector.match_labels.iter();
    let labels = labels.map(|(key, value)| format!("{key}={value}"));
    let expressions = selector.match_expressions.iter().map(requirement);
    labels.chain(expressions).collect::<Vec<_>>().join(",")
}

fn requirement(requirement: &Requirement) -> String {
    let Requirement {
        key,
        operator,
        values,
    } = requirement;
    let values = values.join(",");
    match operator {
        Operator::In => format!("{key} in ({values})"),
        Operator::NotIn => format!("{key} notin ({values})"),
        Operator::Exists => key.clone(),
        Operator::DoesNotExist => format!("!{key}"),
    }
}

fn seconds(milliseconds: u64) -> String {
    format!("{} s", milliseconds as f64 / 1e3)
}

fn or_none(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

pub(super) fn yes_no(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

#[cfg(test)]
mod tests {
    use huly_protocol::AgentInfoExt;

    use super::*;

    fn kind<'a>(spec: Option<&'a KindSpec>, served: bool) -> Kind<'a> {
        Kind {
            name: "k",
            served,
            spec,
        }
    }

    #[test]
    fn a_kind_is_shown_with_what_its_specification_says() {
        let spec = KindSpec {
            idle_timeout_ms: Some(1_500),
            max_per_agent: Some(7),
            exclusive: true,
            ..KindSpec::defaults("k")
        };
        let row = kind(Some(&spec), true).row();
        assert_eq!(row, ["k", "yes", "yes", "1.5 s", "7", "yes", "no", "-"]);
        let spec = KindSpec {
            serial: true,
            stateless_uuid: Some("u".to_owned()),
            ..KindSpec::defaults("k")
        };
        let row = kind(Some(&spec), false).row();
        assert_eq!(row, ["k", "no", "yes", "5 s", "-", "no", "yes", "u"]);
        let row = kind(None, true).row();
        assert_eq!(row, ["k", "yes", "no", "5 s", "-", "no", "no", "-"]);
    }

    fn agent(kinds: &[&str], containers: Option<u32>) -> AgentInfo {
        AgentInfo {
            agent_id: "a".to_owned(),
            endpoint: None,
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            containers: 9,
            huly: containers.map(|count| AgentInfoExt {
                containers_by_kind: [("k".to_owned(), count)].into(),
                ..AgentInfoExt::default()
            }),
        }
    }

    #[test]
    fn a_wide_row_says_more() {
        assert_eq!(WIDE_COLUMNS[..COLUMNS.len()], COLUMNS);
        let requirement = |key: &str, operator, values: &[&str]| Requirement {
            key: key.to_owned(),
            operator,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        let spec = KindSpec {
            revision: 4,
            start_timeout_ms: Some(2_000),
            agent_selector: LabelSelector {
                match_labels: [("zone".to_owned(), "a".to_owned())].into(),
                match_expressions: vec![
                    requirement("disk", Operator::In, &["ssd", "nvme"]),
                    requirement("old", Operator::NotIn, &["yes"]),
                    requirement("fast", Operator::Exists, &[]),
                    requirement("far", Operator::DoesNotExist, &[]),
                ],
            },
            ..KindSpec::defaults("k")
        };
        let agents = [
            agent(&["k"], Some(2)),
            agent(&["k", "l"], Some(3)),
            agent(&["l"], Some(0)),
        ];
        let known = kind(Some(&spec), true);
        let row = known.wide_row(&agents);
        assert_eq!(row[..COLUMNS.len()], known.row());
        let selector = "zone=a,disk in (ssd,nvme),old notin (yes),fast,!far";
        assert_eq!(
            row[COLUMNS.len()..],
            ["2", "5", "2 s", "10 s", selector, "4"]
        );
        // Of an original server.
        let row = kind(None, true).wide_row(&[agent(&["k"], None)]);
        assert_eq!(row[COLUMNS.len()..], ["1", "", "30 s", "10 s", "-", "-"]);
        let row = kind(None, false).wide_row(&[]);
        assert_eq!(row[COLUMNS.len()..], ["0", "0", "30 s", "10 s", "-", "-"]);
    }
}
