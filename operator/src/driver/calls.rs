//! Calls to the network server.

use std::collections::BTreeMap;

use huly_client::{Client, Error, ErrorKind};

use crate::core::{Effect, NetworkError, Outcome, Sample};
use crate::plan::push::KindStep;

/// References of a kind with more containers are not listed to be counted.
const MOST_LISTED: u64 = 10_000;

/// Does what is the network server's to do; none for other effects.
pub(super) async fn call(network: &Client, effect: Effect) -> Option<Outcome> {
    Some(match effect {
        Effect::Get {
            uuid,
            generation,
            params,
        } => Outcome::Got {
            uuid,
            generation,
            result: match network.get_raw(params).await {
                Ok(answer) => Ok(Box::new(answer)),
                Err(error) => Err(error.into()),
            },
        },
        Effect::Release { uuid, generation } => Outcome::Released {
            result: network.release_raw(&uuid).await.map_err(Into::into),
            uuid,
            generation,
        },
        Effect::SetKinds { generation, steps } => Outcome::KindsSet {
            generation,
            result: logged("set the kinds", set_kinds(network, steps).await),
        },
        Effect::Sync { generation, uuids } => Outcome::Synced {
            generation,
            result: logged("sync", network.sync(uuids).await),
        },
        Effect::Sample { kinds } => {
            Outcome::Sampled(logged("ask for figures", sample(network, kinds).await))
        }
        Effect::WriteClaim { .. }
        | Effect::WriteKind { .. }
        | Effect::Event { .. }
        | Effect::Count(_) => return None,
    })
}

fn logged<T>(what: &str, result: Result<T, Error>) -> Result<T, NetworkError> {
    result.map_err(|error| {
        tracing::warn!(%error, "cannot {what}");
        error.into()
    })
}

async fn set_kinds(network: &Client, steps: Vec<KindStep>) -> Result<(), Error> {
    for step in steps {
        match step {
            KindStep::Set(spec) => network.set_kind(spec).await?,
            KindStep::Barrier(kinds) => {
                let removed = network.kind_barrier(kinds).await?;
                if !removed.is_empty() {
                    tracing::info!(?removed, "kinds have no specification any more");
                }
            }
        }
    }
    Ok(())
}

async fn sample(network: &Client, kinds: Vec<String>) -> Result<Sample, Error> {
    let agents = network.agents().await?;
    let mut references = BTreeMap::new();
    for kind in kinds {
        let counts = agents.iter().filter_map(|agent| agent.huly.as_ref());
        let containers: u64 = counts
            .filter_map(|ext| ext.containers_by_kind.get(&kind))
            .map(|count| u64::from(*count))
            .sum();
        if containers > MOST_LISTED {
            continue;
        }
        let mut held = 0;
        if containers > 0 {
            let records = network.containers(Some(&kind)).await?;
            let exts = records.iter().filter_map(|record| record.huly.as_ref());
            held = exts.filter_map(|ext| ext.references).map(u64::from).sum();
        }
        references.insert(kind, held);
    }
    Ok(Sample { agents, references })
}

impl From<Error> for NetworkError {
    fn from(error: Error) -> Self {
        match error.kind {
            ErrorKind::NoSuitableAgent | ErrorKind::NoSuchKind => Self::NotPlaceable {
                message: error.message,
                rejections: error.rejections,
            },
            ErrorKind::OtherKind => Self::OtherKind(error.message),
            ErrorKind::Failed | ErrorKind::BadRequest | ErrorKind::Exhausted => {
                Self::Failed(error.message)
            }
            _ => Self::Unknown(error.message),
        }
    }
}
