//! Reads and writes the Lease as the elector says.

use std::time::Duration;

use huly_client::boot_clock;
use huly_election::{Effect, Elector, Input, NotRead, Record, Terms, Why, Write, WriteError};
use huly_program::with_causes;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Error};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::Tenure;
use crate::metrics::Metrics;

/// Who writes, as the Lease's managedFields say.
const FIELD_MANAGER: &str = "huly-operator";
/// How long giving the Lease free may take at the end.
const LEAVE: Duration = Duration::from_secs(3);

/// Who wants to lead.
pub(crate) struct Candidate {
    pub(crate) kube: Client,
    pub(crate) namespace: String,
    /// The Lease's name.
    pub(crate) lease: String,
    pub(crate) identity: String,
    pub(crate) terms: Terms,
    pub(crate) metrics: Metrics,
}

/// Where this process stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    /// None while another one leads, or none.
    pub(crate) leadership: Option<Leadership>,
    /// Who holds the Lease, as far as is known.
    pub(crate) holder: Option<String>,
    /// What is wrong.
    pub(crate) trouble: Option<String>,
}

/// This process leads.
#[derive(Debug, Clone)]
pub(crate) struct Leadership {
    /// The fencing number.
    pub(crate) number: u64,
    /// The Lease's version at the beginning: whoever leads acts on nothing older. 0 if it is no number.
    pub(crate) version: u64,
    pub(crate) tenure: Tenure,
}

/// The task that wants to lead. Dropped, it ends, and its Lease is let expire.
#[derive(Debug)]
pub(crate) struct Campaign {
    pub(crate) standing: watch::Receiver<Standing>,
    orders: UnboundedSender<Input>,
}

impl Campaign {
    pub(crate) fn start(candidate: Candidate) -> Self {
        let (orders, inputs) = unbounded_channel();
        let (standing, watched) = watch::channel(Standing::default());
        tokio::spawn(run(candidate, inputs, standing));
        Self {
            standing: watched,
            orders,
        }
    }

    /// The network server knows a higher fencing number.
    pub(crate) fn superseded(&self) {
        // If nobody listens, the process ends.
        let _ = self.orders.send(Input::Superseded);
    }

    /// Gives the Lease free, if it is this process's: another one may lead at once.
    pub(crate) async fn leave(mut self) {
        let _ = self.orders.send(Input::Leave);
        let left = async { while self.standing.changed().await.is_ok() {} };
        if timeout(LEAVE, left).await.is_err() {
            tracing::warn!("the Lease is not given free: others wait until it is over");
        }
    }
}

async fn run(
    candidate: Candidate,
    mut orders: UnboundedReceiver<Input>,
    standing: watch::Sender<Standing>,
) {
    let (answer, mut answers) = unbounded_channel();
    let (identity, terms) = (candidate.identity.clone(), candidate.terms);
    let mut elector = Elector::new(identity, terms, boot_clock());
    let lease = LeaseApi::new(&candidate);
    let mut tenure = Tenure::default();
    loop {
        let at = elector.deadline();
        let due = async {
            match at {
                Some(at) => sleep(at.saturating_sub(boot_clock())).await,
                None => std::future::pending().await,
            }
        };
        let input = tokio::select! {
            order = orders.recv() => match order {
                Some(order) => order,
                None => return tenure.end(),
            },
            Some((input, trouble)) = answers.recv() => {
                standing.send_if_modified(|standing| {
                    let changed = standing.trouble != trouble;
                    standing.trouble = trouble;
                    changed
                });
                input
            }
            () = due => Input::Tick,
        };
        for effect in elector.handle(boot_clock(), input) {
            match effect {
                Effect::Read => lease.read(&answer),
                Effect::Write(write) => lease.write(write, &answer),
                Effect::Lead {
                    number,
                    version,
                    until,
                } => {
                    tracing::info!(number, "this operator leads");
                    tenure = Tenure::default();
                    tenure.last_until(until);
                    let leadership = Leadership {
                        number,
                        version: version.parse().unwrap_or_default(),
                        tenure: tenure.clone(),
                    };
                    standing.send_modify(|standing| standing.leadership = Some(leadership));
                }
                Effect::Prolong { until } => tenure.last_until(until),
                Effect::Follow(why) => {
                    tenure.end();
                    let text = reason(why);
                    tracing::warn!("this operator leads no more: {text}");
                    standing.send_modify(|standing| {
                        standing.leadership = None;
                        standing.trouble = Some(text.to_owned());
                    });
                }
                Effect::Left => return tenure.end(),
            }
        }
        let holder = elector.holder();
        standing.send_if_modified(|standing| {
            let changed = standing.holder.as_deref() != holder;
            if changed {
                standing.holder = holder.map(str::to_owned);
                tracing::info!(holder, "the Lease has another holder");
            }
            changed
        });
    }
}

/// Why it leads no more, for people.
fn reason(why: Why) -> &'static str {
    match why {
        Why::NotRenewed => "the Lease was not renewed in time",
        Why::Taken => "another operator holds the Lease",
        Why::Superseded => "the network server prefers another operator of this network",
    }
}

/// What comes of a request, and what was wrong with it.
type Answer = (Input, Option<String>);

/// The Lease at the API server.
struct LeaseApi {
    api: Api<Lease>,
    namespace: String,
    name: String,
    terms: Terms,
    metrics: Metrics,
}

impl LeaseApi {
    fn new(candidate: &Candidate) -> Self {
        Self {
            api: Api::namespaced(candidate.kube.clone(), &candidate.namespace),
            namespace: candidate.namespace.clone(),
            name: candidate.lease.clone(),
            terms: candidate.terms,
            metrics: candidate.metrics.clone(),
        }
    }

    fn read(&self, answers: &UnboundedSender<Answer>) {
        let (api, name) = (self.api.clone(), self.name.clone());
        let asked = async move { api.get_opt(&name).await };
        let (complain, answers) = (self.complaint("read"), answers.clone());
        let patience = self.patience();
        tokio::spawn(async move {
            let (result, trouble) = match timeout(patience, asked).await {
                Ok(Ok(lease)) => (Ok(lease.map(record)), None),
                Ok(Err(error)) => (Err(NotRead), Some(complain(&with_causes(&error)))),
                Err(_) => (Err(NotRead), Some(complain("no answer"))),
            };
            // If nobody listens, the process ends.
            let _ = answers.send((Input::Read(result), trouble));
        });
    }

    fn write(&self, write: Write, answers: &UnboundedSender<Answer>) {
        let (api, name) = (self.api.clone(), self.name.clone());
        let spec = spec(&write, self.terms.duration, Timestamp::now());
        let written = async move {
            match write.follows {
                None => api.create(&posting(), &new_lease(name, spec)).await,
                Some(version) => {
                    let patch = patch(&version, &spec);
                    let patching = PatchParams {
                        field_manager: Some(FIELD_MANAGER.to_owned()),
                        ..PatchParams::default()
                    };
                    api.patch(&name, &patching, &Patch::Merge(patch)).await
                }
            }
        };
        let (complain, answers) = (self.complaint("written"), answers.clone());
        let patience = self.patience();
        tokio::spawn(async move {
            let (result, trouble) = match timeout(patience, written).await {
                Ok(Ok(lease)) => (Ok(record(lease)), None),
                // Another one was quicker, or it is gone.
                Ok(Err(Error::Api(status))) if matches!(status.code, 404 | 409) => {
                    (Err(WriteError::Conflict), None)
                }
                Ok(Err(error)) => {
                    let said = complain(&with_causes(&error));
                    (Err(WriteError::Failed), Some(said))
                }
                Err(_) => (Err(WriteError::Failed), Some(complain("no answer"))),
            };
            let _ = answers.send((Input::Written(result), trouble));
        });
    }

    /// How long an answer may take, so that a second try is still in time.
    fn patience(&self) -> Duration {
        self.terms.renew_deadline / 2
    }

    fn complaint(&self, what: &'static str) -> impl Fn(&str) -> String + Send + use<> {
        let metrics = self.metrics.clone();
        let lease = format!("{}/{}", self.namespace, self.name);
        move |error| {
            metrics.error("lease");
            format!("the Lease {lease} cannot be {what}: {error}")
        }
    }
}

fn record(lease: Lease) -> Record {
    let Lease { metadata, spec } = lease;
    let spec = spec.unwrap_or_default();
    let seconds = spec.lease_duration_seconds;
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    let created = metadata.creation_timestamp.map(|time| time.0.as_second());
    let transitions = spec.lease_transitions.unwrap_or_default();
    Record {
        version: metadata.resource_version.unwrap_or_default(),
        created: created.unwrap_or_default(),
        holder: spec.holder_identity,
        duration: seconds.map(Duration::from_secs),
        transitions: u32::try_from(transitions).unwrap_or_default(),
        renewed: spec.renew_time.map(|time| time.0.as_nanosecond()),
    }
}

fn spec(write: &Write, duration: Duration, now: Timestamp) -> LeaseSpec {
    let seconds = i32::try_from(duration.as_secs()).unwrap_or(i32::MAX);
    LeaseSpec {
        holder_identity: write.holder.clone(),
        lease_duration_seconds: Some(seconds),
        lease_transitions: Some(i32::try_from(write.transitions).unwrap_or(i32::MAX)),
        renew_time: Some(MicroTime(now)),
        acquire_time: write.acquires.then_some(MicroTime(now)),
        ..LeaseSpec::default()
    }
}

fn posting() -> PostParams {
    PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    }
}

fn new_lease(name: String, spec: LeaseSpec) -> Lease {
    Lease {
        metadata: ObjectMeta {
            name: Some(name),
            ..ObjectMeta::default()
        },
        spec: Some(spec),
    }
}

/// What is absent in the spec stays, but for the holder.
fn patch(version: &str, spec: &LeaseSpec) -> Value {
    let mut patch = json!({ "metadata": { "resourceVersion": version }, "spec": spec });
    if spec.holder_identity.is_none() {
        patch["spec"]["holderIdentity"] = Value::Null;
    }
    patch
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(holder: Option<&str>, acquires: bool) -> LeaseSpec {
        let write = Write {
            follows: Some("7".into()),
            holder: holder.map(str::to_owned),
            transitions: 3,
            acquires,
        };
        spec(&write, Duration::from_secs(15), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_renewal_follows_what_was_seen_and_leaves_the_time_of_the_change_of_hands() {
        let patch = patch("7", &write(Some("me"), false));
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        assert_eq!(patch["spec"]["holderIdentity"], "me");
        assert_eq!(patch["spec"]["leaseDurationSeconds"], 15);
        assert_eq!(patch["spec"]["leaseTransitions"], 3);
        assert!(patch["spec"].get("renewTime").is_some());
        assert!(patch["spec"].get("acquireTime").is_none());
    }

    #[test]
    fn giving_it_free_removes_the_holder() {
        let patch = patch("7", &write(None, false));
        assert_eq!(patch["spec"].get("holderIdentity"), Some(&Value::Null));
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let lease = Lease {
            metadata: ObjectMeta {
                resource_version: Some("8".into()),
                ..ObjectMeta::default()
            },
            spec: Some(write(Some("me"), true)),
        };
        let record = record(lease);
        assert_eq!(record.holder.as_deref(), Some("me"));
        assert_eq!((record.version.as_str(), record.transitions), ("8", 3));
        assert_eq!(record.duration, Some(Duration::from_secs(15)));
        assert_eq!(record.renewed, Some(0));
    }
}
