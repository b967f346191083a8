//! Laws of peers that read slowly.

use super::verdict::{Verdict, unless};
use crate::ledger::News;
use crate::program::server::Reading;
use crate::world::World;

pub(super) fn spared(_: &World, news: &News) -> Verdict {
    let News::Reading(reading) = news else {
        return None;
    };
    match reading {
        Reading::Slow => Some(Ok(())),
        Reading::Handed { wire } => unless(true, || {
            format!(
                "a client's request goes over wire {}, for which much waits",
                wire.0
            )
        }),
        Reading::Chunk { .. } => None,
    }
}

pub(super) fn told_in_time(_: &World, news: &News) -> Verdict {
    let News::Reading(Reading::Chunk { wire, may }) = news else {
        return None;
    };
    unless(!may, || {
        format!(
            "a chunk of all there is goes over wire {}, which has no room",
            wire.0
        )
    })
}
