//! `huly-operator check`: a claim from its making to an answer of its container, as a user's goes.

mod progress;
#[cfg(test)]
mod tests;

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures::StreamExt;
use huly_client::{Client as NetworkClient, ErrorKind, Json};
use huly_operator_api::condition::claim::{BOUND, READY};
use huly_operator_api::{
    ContainerClaim, ContainerClaimSpec, ContainerClaimStatus, ContainerKind, ContainerKindSpec,
    Lifecycle,
};
use huly_program::shutdown_signal;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::watch_object;
use kube::{Api, Client};
use tokio::time::timeout;
use uuid::Uuid;

use self::progress::Progress;
use crate::args::CheckArgs;
use crate::kubernetes;
use crate::model::Kind;
use crate::plan::conditions::{condition, is_true};
use crate::plan::kinds::{KindState, plan_kinds};

/// What an echo answers with what it is sent.
const OPERATION: &str = "echo";

/// How long deleting what was made may take.
const CLEANING: Duration = Duration::from_secs(10);

/// Does the steps and deletes what they made.
///
/// # Errors
/// The first failure: what was done, and what was seen last.
pub(crate) async fn run(args: CheckArgs) -> anyhow::Result<()> {
    let mut shutdown = shutdown_signal()?;
    let patience = Duration::from_secs(args.timeout);
    let mut progress = Progress::default();
    let check = Check::new(args, kubernetes::connect().await?);
    let mut made = Made::default();
    let outcome = tokio::select! {
        outcome = timeout(patience, check.steps(&mut progress, &mut made)) => match outcome {
            Ok(outcome) => outcome,
            Err(_) => Err(progress.late(patience)),
        },
        signal = shutdown.recv() => Err(anyhow::anyhow!("ended by {signal}")),
    };
    check.network.close().await;
    let cleaned = timeout(CLEANING, check.clean_up(&mut progress, &made))
        .await
        .context("what was made could not be deleted in time")
        .and_then(|cleaned| cleaned);
    match (outcome, cleaned) {
        (Err(error), Err(also)) => Err(error.context(format!("and then: {also:#}"))),
        (outcome, cleaned) => outcome.and(cleaned),
    }
}

struct Check {
    args: CheckArgs,
    network: NetworkClient,
    kinds: Api<ContainerKind>,
    claims: Api<ContainerClaim>,
    /// The name of what is made.
    name: String,
    namespace: String,
}

/// What is to be deleted: noted before it is made, for nobody knows how far a request got that was
/// given up.
#[derive(Debug, Default)]
struct Made {
    kind: bool,
    claim: bool,
}

impl Check {
    fn new(args: CheckArgs, kube: Client) -> Self {
        let namespace = args
            .namespace
            .clone()
            .unwrap_or_else(|| kube.default_namespace().to_owned());
        let random = Uuid::new_v4().simple().to_string();
        Self {
            network: NetworkClient::builder(&args.network).build(),
            kinds: Api::all(kube.clone()),
            claims: Api::namespaced(kube, &namespace),
            name: format!("huly-check-{}", &random[..8]),
            namespace,
            args,
        }
    }

    async fn steps(&self, progress: &mut Progress, made: &mut Made) -> anyhow::Result<()> {
        let CheckArgs {
            network,
            network_name,
            kind_name,
            ..
        } = &self.args;
        progress.begin(format!("the network server at {network} answers"));
        self.network.ready().await;
        let server = self.network.session().borrow().server.clone();
        if let Some(server) = server {
            ensure!(
                server.network == *network_name,
                "the server at {network} serves the network {:?}, not {network_name:?}",
                server.network
            );
        }
        progress.done("");

        let object = self.kind(progress, made).await?;
        let status = self.claim(progress, made, &object).await?;

        let uuid = status.uuid.context("the claim is Ready without a uuid")?;
        progress.begin(format!("the container {uuid} answers"));
        let said = self.call(kind_name, &uuid).await?;
        progress.done(&said);
        Ok(())
    }

    /// The ContainerKind of the kind's name: the one that is there, or a new one.
    async fn kind(&self, progress: &mut Progress, made: &mut Made) -> anyhow::Result<String> {
        let CheckArgs {
            network_name,
            kind_name,
            ..
        } = &self.args;
        progress.begin(format!("there is a ContainerKind of {kind_name}"));
        let list = self.kinds.list(&ListParams::default()).await;
        let all = list.context("cannot list the ContainerKinds")?.items;
        if let Some(name) = oldest(all, network_name, kind_name) {
            progress.done(&name);
            return Ok(name);
        }
        let spec = ContainerKindSpec {
            network_name: network_name.clone(),
            kind_name: Some(kind_name.clone()),
            lifecycle: Lifecycle {
                // Nobody is to hear of its container again.
                idle_timeout_seconds: 0,
                ..Lifecycle::default()
            },
            ..ContainerKindSpec::default()
        };
        let kind = ContainerKind::new(&self.name, spec);
        made.kind = true;
        let created = self.kinds.create(&PostParams::default(), &kind).await;
        created.context("cannot make a ContainerKind")?;
        progress.done(&format!("{}, made", self.name));
        Ok(self.name.clone())
    }

    /// Makes the claim and waits until it is Ready.
    async fn claim(
        &self,
        progress: &mut Progress,
        made: &mut Made,
        kind: &str,
    ) -> anyhow::Result<ContainerClaimStatus> {
        let (name, namespace) = (&self.name, &self.namespace);
        progress.begin(format!("the claim {namespace}/{name} is Ready"));
        progress.seen("no operator has written its status".to_owned());
        let spec = ContainerClaimSpec {
            network_name: self.args.network_name.clone(),
            container_kind_name: kind.to_owned(),
            ..ContainerClaimSpec::default()
        };
        let claim = ContainerClaim::new(name, spec);
        made.claim = true;
        let created = self.claims.create(&PostParams::default(), &claim).await;
        created.with_context(|| format!("cannot make a ContainerClaim in {namespace}"))?;
        let versions = watch_object(self.claims.clone(), name).default_backoff();
        let mut versions = std::pin::pin!(versions);
        while let Some(version) = versions.next().await {
            match version {
                Err(error) => progress.seen(format!("the claim cannot be watched: {error}")),
                // The list may come from before the claim was made.
                Ok(None) => {}
                Ok(Some(claim)) => {
                    let Some(status) = claim.status else { continue };
                    if is_ready(&status) {
                        progress.done(&place(&status));
                        return Ok(status);
                    }
                    progress.seen(shown(&status));
                }
            }
        }
        bail!("the watch of the claim ended")
    }

    /// Sends the container a request; what it answers is all that matters, also an error of its
    /// own: kinds other than echo need not know the operation.
    async fn call(&self, kind: &str, uuid: &str) -> anyhow::Result<String> {
        let data = Json::of(&serde_json::json!({ "check": self.name }))?;
        let container = self.network.get(kind).uuid(uuid).strict().await?;
        let answer = container.request_json(OPERATION, data.clone()).await;
        let said = match answer {
            Ok(answer) if answer == data => "with what it was sent".to_owned(),
            Ok(_) => "in its own way".to_owned(),
            Err(error) if matches!(error.kind, ErrorKind::Failed | ErrorKind::BadRequest) => {
                format!("that it cannot {OPERATION}: {error}")
            }
            Err(error) => return Err(error).context("the container does not answer"),
        };
        container.release().await?;
        Ok(said)
    }

    async fn clean_up(&self, progress: &mut Progress, made: &Made) -> anyhow::Result<()> {
        if !made.kind && !made.claim {
            return Ok(());
        }
        let delete = DeleteParams::default();
        progress.begin("what was made is deleted".to_owned());
        let claim = match made.claim {
            true => deleted(self.claims.delete(&self.name, &delete).await),
            false => Ok(()),
        };
        // The claim's failure is no reason to leave the kind.
        let kind = match made.kind {
            true => deleted(self.kinds.delete(&self.name, &delete).await),
            false => Ok(()),
        };
        claim.with_context(|| format!("cannot delete the claim {}", self.name))?;
        kind.with_context(|| format!("cannot delete the ContainerKind {}", self.name))?;
        progress.done("");
        Ok(())
    }
}

/// The one of a network's objects of one kind name that counts: the one that the operator accepts.
fn oldest(all: Vec<ContainerKind>, network: &str, kind: &str) -> Option<String> {
    let all: Vec<Kind> = all.into_iter().map(Kind::from).collect();
    let of_kind = all.iter().filter(|object| object.kind_name() == kind);
    plan_kinds(network, of_kind)
        .into_iter()
        .find_map(|(name, state)| matches!(state, KindState::Accepted(_)).then_some(name))
}

/// What a delete came to; what was never made need not be deleted.
fn deleted<T>(outcome: kube::Result<T>) -> kube::Result<()> {
    match outcome {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        outcome => outcome.map(drop),
    }
}

fn is_ready(status: &ContainerClaimStatus) -> bool {
    is_true(&status.conditions, READY)
}

/// Where a claim's container lives.
fn place(status: &ContainerClaimStatus) -> String {
    let parts = [
        ("agent", &status.agent),
        ("Pod", &status.pod_name),
        ("node", &status.node_name),
    ];
    let said = parts.iter().filter_map(|(what, name)| {
        let name = name.as_ref()?;
        Some(format!("{what} {name}"))
    });
    said.collect::<Vec<_>>().join(", ")
}

/// Why a claim is not Ready: the condition that comes first says it.
fn shown(status: &ContainerClaimStatus) -> String {
    let conditions = &status.conditions;
    let why = match is_true(conditions, BOUND) {
        true => condition(conditions, READY),
        false => condition(conditions, BOUND).or_else(|| condition(conditions, READY)),
    };
    match why {
        None => "a status without conditions".to_owned(),
        Some(why) => format!(
            "{}={}/{}: {}",
            why.type_, why.status, why.reason, why.message
        ),
    }
}
