//! What values are refused, and how: by their names, before anything is made; and what are taken.

use anyhow::{Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use huly_tests::{chart, helm, helm_refuses, helm_says};
use serde_json::Value;

use super::otherwise::defaults;

/// How many helms run at once.
const AT_ONCE: usize = 4;

/// What is said otherwise, and what the refusal names.
const WRONG: [(&str, &str); 49] = [
    ("servr.resources=1", "servr"),
    ("server.resorces.limits.memory=1Gi", "resorces"),
    ("server.extraArgs=--grace-ms=1", "/server/extraArgs"),
    (
        "server.resources.limits.memory=lots",
        "/server/resources/limits/memory",
    ),
    ("server.resources.requests.cpuu=1", "cpuu"),
    ("server.priorityClassName=A B", "/server/priorityClassName"),
    ("server.settleMilliseconds=-1", "/server/settleMilliseconds"),
    ("server.leaseMilliseconds=499", "/server/leaseMilliseconds"),
    ("server.leaseMilliseconds=3001", "/server/leaseMilliseconds"),
    ("server.nodeSelector.pool=a b", "/server/nodeSelector/pool"),
    ("server.podLabels.a b=c", "a b"),
    ("server.podAnnotations.a=1", "/server/podAnnotations/a"),
    (
        "server.tolerations[0].operator=Exist",
        "/server/tolerations/0/operator",
    ),
    ("server.tolerations[0].effects=NoExecute", "effects"),
    ("server.affinity.nodeAfinity.a=b", "nodeAfinity"),
    ("operator.topologyKeys[0]=a b", "/operator/topologyKeys/0"),
    ("networkName=", "/networkName"),
    ("nameOverride=Big_Name", "/nameOverride"),
    ("fullnameOverride=-x", "/fullnameOverride"),
    ("fullnameOverride=1x", "/fullnameOverride"),
    (
        "nodeLossTolerationSeconds=soon",
        "/nodeLossTolerationSeconds",
    ),
    ("listenAddress=everywhere", "/listenAddress"),
    ("listenAddress=1.2.3", "/listenAddress"),
    ("listenAddress=999.1.1.1", "/listenAddress"),
    ("log.format=xml", "/log/format"),
    ("images.registry=a b", "/images/registry"),
    ("images.agent.digest=abc", "/images/agent/digest"),
    ("images.agent.repository=Big", "/images/agent/repository"),
    ("images.network.tag=latest:1", "/images/network/tag"),
    ("images.pullPolicy=Sometimes", "/images/pullPolicy"),
    ("images.pullSecrets[0].nam=a", "nam"),
    ("crds.install=maybe", "/crds/install"),
    (
        "controlSecret.existingSecret=A_B",
        "/controlSecret/existingSecret",
    ),
    (
        "podSecurityContext.runAsUser=root",
        "/podSecurityContext/runAsUser",
    ),
    ("podSecurityContext.runAsUsr=1", "runAsUsr"),
    ("securityContext.capabilities.dropp[0]=ALL", "dropp"),
    ("agents[0].labels.a=b", "name"),
    ("agents[0].name=Big", "/agents/0/name"),
    ("agents[0].name=a,agents[0].replicas=2", "replicas"),
    (
        "agents[0].name=a,agents[0].labels.zone=b\\,c",
        "/agents/0/labels/zone",
    ),
    (
        "agents[0].name=a,agents[1].name=a",
        "two entries named \"a\"",
    ),
    (
        "agents[0].name=a,agents[0].env[0].value=b",
        "/agents/0/env/0",
    ),
    ("agentDefaults.labels.a b=c", "a b"),
    (
        "agentDefaults.updateStrategy.type=Never",
        "/agentDefaults/updateStrategy/type",
    ),
    (
        "agentDefaults.updateStrategy.rollingUpdate.maxSurge=some",
        "/agentDefaults/updateStrategy/rollingUpdate/maxSurge",
    ),
    // The last ten seconds are for what has not ended.
    (
        "agentDefaults.terminationGracePeriodSeconds=10",
        "/agentDefaults/terminationGracePeriodSeconds",
    ),
    ("networkPolicy.namespaceSelector.team=a", "team"),
    (
        "metrics.podMonitor.interval=often",
        "/metrics/podMonitor/interval",
    ),
    ("test.timeoutSeconds=0", "/test/timeoutSeconds"),
];

/// What looks odd and is right.
const RIGHT: [&str; 24] = [
    "nameOverride=x",
    "fullnameOverride=a-1",
    "global.team=a",
    "controlSecret.existingSecret=a.b-c",
    "images.registry=registry.example.com:5000/team/a_b/",
    "images.network.registry=localhost:5000",
    "images.agent.repository=[::1]:5000/a/b--c",
    "images.cli.tag=V1.2_sha-abc",
    "server.priorityClassName=a.b",
    r"server.resources.limits.nvidia\.com/gpu=1",
    "server.resources.limits.ephemeral-storage=1.5Gi",
    "server.resources.limits.memory=null",
    "server.resources.requests.cpu=0.5",
    "server.resources.requests.memory=1e9",
    r"server.nodeSelector.kubernetes\.io/arch=amd64",
    r"server.podAnnotations.a\.b/c=x y",
    "server.tolerations[0].operator=Exists",
    "podSecurityContext=null",
    "podSecurityContext.runAsUser=null",
    "agents[0].name=a,agents[0].labels.zone=",
    "agentDefaults.terminationGracePeriodSeconds=11",
    "agentDefaults.updateStrategy.rollingUpdate.maxSurge=100%",
    "agentDefaults.updateStrategy.rollingUpdate=null",
    "networkPolicy.extraPeers[0].ipBlock.cidr=192.0.2.0/24",
];

#[tokio::test]
async fn what_looks_odd_and_is_right_is_taken() -> Result<()> {
    let chart = chart();
    stream::iter(RIGHT)
        .map(async |right| {
            let template = ["template", "huly", &chart, "--set", right];
            helm(&template).await.map(drop)
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

#[tokio::test]
async fn a_wrong_value_is_refused_by_its_name() -> Result<()> {
    let chart = chart();
    stream::iter(WRONG)
        .map(async |(wrong, named)| {
            let said = helm_refuses(&["template", "huly", &chart, "--set", wrong]).await?;
            ensure!(said.contains(named), "{wrong}: {said}");
            Ok(())
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// Null takes a value away: then nothing is rendered of it, or it is missed by its name.
#[tokio::test]
async fn a_value_that_is_taken_away_is_missed_by_its_name_or_not_at_all() -> Result<()> {
    let chart = chart();
    let mut all = Vec::new();
    names(&defaults()?, "", &mut all);
    ensure!(all.len() > 100, "there are {} values", all.len());
    let missed: Vec<String> = stream::iter(all)
        .map(async |name| {
            let null = format!("{name}=null");
            let said = helm_says(&["template", "huly", &chart, "--set", &null]).await?;
            if said.success {
                ensure!(!said.stdout.contains("<nil>"), "{null}: {}", said.stdout);
                return Ok(None);
            }
            let member = name.rsplit('.').next().unwrap_or_default();
            let missing = format!("missing property '{member}'");
            ensure!(said.stderr.contains(&missing), "{null}: {}", said.stderr);
            Ok(Some(name))
        })
        .buffer_unordered(AT_ONCE)
        .try_filter_map(async |missed| Ok(missed))
        .try_collect()
        .await?;
    for name in ["server", "networkPolicy", "nodeLossTolerationSeconds"] {
        ensure!(
            missed.iter().any(|missed| missed == name),
            "{name} is not missed"
        );
    }
    Ok(())
}

/// The names of all values, those with members among them.
fn names(value: &Value, path: &str, all: &mut Vec<String>) {
    for (name, member) in value.as_object().into_iter().flatten() {
        let path = match path {
            "" => name.clone(),
            path => format!("{path}.{name}"),
        };
        names(member, &path, all);
        all.push(path);
    }
}
