//! ContainerClaims: where each stands, and its status.

use std::time::Duration;

use huly_operator_api::ContainerClaimStatus;
use huly_operator_api::condition::claim as reason;

use super::kinds::outcome;
use super::network::TooEarly;
use super::{ClaimRef, Core, Count, Effect, Timer, WriteError, backoff};
use crate::model::Claim;
use crate::plan::Refusal;
use crate::plan::access::Access;
use crate::plan::claim_status::{Standing, claim_status};
use crate::plan::conditions::is_true;
use crate::plan::events;

/// A claim that was just seen is not refused within this time: the watches of kinds, claims and
/// namespaces are not in step.
const REFUSAL_GRACE: Duration = Duration::from_millis(300);
/// What takes less than this is not worth a status of its own.
pub(super) const QUIET: Duration = Duration::from_secs(1);
/// The same of a claim that was bound before the operator started or the session was a new one.
const REBIND_GRACE: Duration = Duration::from_secs(5);

/// A status on its way.
#[derive(Debug)]
struct Writing {
    /// The version of the object that it follows.
    follows: u64,
    /// The one that it follows: the watch may tell of the new one before the write is answered.
    before: ContainerClaimStatus,
    after: ContainerClaimStatus,
}

/// A claim that exists.
#[derive(Debug)]
pub(super) struct ClaimEntry {
    pub(super) claim: Claim,
    pub(super) access: Access,
    /// Whether it may have the uuid that it asks for.
    pub(super) share: Result<(), Refusal>,
    seen: Duration,
    /// Whether it was seen when it was new.
    live: bool,
    writing: Option<Box<Writing>>,
    queued: bool,
    attempts: u32,
    retry_at: Option<Duration>,
    /// Whether the next version is reason enough to try again.
    conflicted: bool,
}

impl ClaimEntry {
    /// Whether nobody can have asked for its uuid before.
    pub(super) fn is_fresh(&self) -> bool {
        self.live && self.claim.spec.uuid.is_none() && !self.claim.was_bound()
    }

    pub(super) fn reference(&self) -> ClaimRef {
        ClaimRef {
            namespace: self.claim.namespace.clone(),
            name: self.claim.name.clone(),
            uid: self.claim.age.uid.clone(),
        }
    }
}

impl Core {
    /// `listed_first`: by the first list, so that an earlier operator may have served it.
    pub(super) fn claim_applied(&mut self, mut claim: Claim, listed_first: bool) {
        let uid = claim.age.uid.clone();
        self.unreadable.remove(&uid);
        if let Some(entry) = self.claims.get_mut(&uid) {
            // An event from before our own last write brings an older status.
            if claim.version < entry.claim.version {
                claim.status = entry.claim.status.clone();
                claim.version = entry.claim.version;
            }
            let newer = claim.version > entry.claim.version;
            let again = newer && std::mem::take(&mut entry.conflicted);
            if again {
                entry.retry_at = None;
            }
            let same =
                entry.claim.status == claim.status && entry.claim.generation == claim.generation;
            entry.claim = claim;
            if again || !same {
                self.dirty.claims.insert(uid);
            }
            return;
        }
        let uuid = claim.uuid().to_owned();
        self.by_uuid
            .entry(uuid.clone())
            .or_default()
            .insert(claim.age.clone());
        let entry = ClaimEntry {
            claim,
            access: Access::NotYet,
            share: Ok(()),
            seen: self.now.mono,
            live: !listed_first,
            writing: None,
            queued: false,
            attempts: 0,
            retry_at: None,
            conflicted: false,
        };
        self.claims.insert(uid, entry);
        self.dirty.uuids.insert(uuid);
    }

    /// Where a claim stands; and, where that may change by time alone, when to look again.
    fn standing(&self, entry: &ClaimEntry) -> (Standing, Option<Duration>) {
        let now = self.now.mono;
        let refused = |refusal: &Refusal| {
            let due = entry.seen + REFUSAL_GRACE;
            match due > now {
                true => (Standing::Unchanged, Some(due)),
                false => (Standing::Refused(refusal.clone()), None),
            }
        };
        let kind_deleted = match &entry.access {
            Access::NotYet => return (Standing::Unchanged, None),
            Access::Refused(refusal) => return refused(refusal),
            Access::Granted => None,
            Access::KindDeleted(refusal) => Some(refusal.clone()),
        };
        if let Err(refusal) = &entry.share {
            return refused(refusal);
        }
        match self.unreachable() {
            Err(TooEarly) => return (Standing::Unchanged, None),
            Ok(Some(message)) => return (Standing::Unreachable { message }, None),
            Ok(None) => {}
        }
        let Some(reference) = self.references.get(entry.claim.uuid()) else {
            return (Standing::Unchanged, None);
        };
        if let Some(fact) = reference.bound_by(self.feed.round) {
            let bound = |failing_over| Standing::Bound {
                fact: Box::new(fact.clone()),
                failing_over,
                kind_deleted: kind_deleted.clone(),
            };
            return match reference.lost_since.map(|since| since + QUIET) {
                None => (bound(false), None),
                Some(due) if due > now => (Standing::Unchanged, Some(due)),
                Some(_) => match &reference.refusal {
                    Some(refusal) => (Standing::Unplaced(refusal.clone()), None),
                    None => (bound(true), None),
                },
            };
        }
        if let Some(deleted) = kind_deleted {
            if !self.control.is_synced() || reference.held {
                return (Standing::Unchanged, None);
            }
            let message = format!("{}, and its container has ended", deleted.message);
            let ended = Refusal::new(reason::REASON_KIND_DELETED, message);
            return (Standing::Unplaced(ended), None);
        }
        if let Some(refusal) = &reference.refusal {
            return (Standing::Unplaced(refusal.clone()), None);
        }
        let was_bound = is_true(&entry.claim.status.conditions, reason::BOUND);
        let grace = if was_bound { REBIND_GRACE } else { QUIET };
        let due = reference.wanted_since.max(self.session.usable_since) + grace;
        if due > now {
            return (Standing::Unchanged, Some(due));
        }
        let message = "the network is placing or starting the container";
        let placing = Refusal::new(reason::REASON_PLACING, message);
        (Standing::Unplaced(placing), None)
    }

    /// Brings a claim's status up to date.
    pub(super) fn step_claim(&mut self, uid: &str) {
        let now = self.now;
        let Some(entry) = self.claims.get(uid) else {
            return;
        };
        if entry.writing.is_some() || entry.queued {
            return;
        }
        if let Some(at) = entry.retry_at.filter(|at| *at > now.mono) {
            return self.look_again(at, Timer::Claim(uid.to_owned()));
        }
        let (standing, again) = self.standing(entry);
        let next = claim_status(
            &entry.claim.status,
            entry.claim.generation,
            entry.claim.uuid(),
            &standing,
            now.wall,
        );
        let next = next.filter(|next| *next != entry.claim.status);
        if let Some(at) = again {
            self.look_again(at, Timer::Claim(uid.to_owned()));
        }
        let Some(status) = next else { return };
        let may_write = self.may_write();
        let Some(entry) = self.claims.get_mut(uid) else {
            return;
        };
        let version = entry.claim.version;
        if !may_write {
            entry.queued = true;
            self.write_queue.push_back(uid.to_owned());
            return;
        }
        self.writes += 1;
        entry.writing = Some(Box::new(Writing {
            follows: version,
            before: entry.claim.status.clone(),
            after: status.clone(),
        }));
        let claim = entry.reference();
        self.effects.push(Effect::WriteClaim {
            claim,
            version,
            status: Box::new(status),
        });
    }

    /// Lets claims that wait for it write their statuses.
    pub(super) fn write_next(&mut self) {
        while self.may_write()
            && let Some(uid) = self.write_queue.pop_front()
        {
            if let Some(entry) = self.claims.get_mut(&uid) {
                entry.queued = false;
                self.step_claim(&uid);
            }
        }
    }

    pub(super) fn claim_written(&mut self, uid: &str, result: Result<u64, WriteError>) {
        let now = self.now.mono;
        self.writes = self.writes.saturating_sub(1);
        self.count(Count::StatusWrite {
            object: "ContainerClaim",
            outcome: outcome(&result),
        });
        self.write_answered(&result);
        let Some(entry) = self.claims.get_mut(uid) else {
            return;
        };
        let written = entry.writing.take();
        self.dirty.claims.insert(uid.to_owned());
        let Some(written) = written else { return };
        let version = match result {
            Ok(version) => version,
            Err(WriteError::Away) => return,
            Err(WriteError::Conflict) if entry.claim.version > written.follows => return,
            Err(error) => {
                entry.attempts += 1;
                entry.retry_at = Some(now + backoff(entry.attempts, uid));
                entry.conflicted = error == WriteError::Conflict;
                return;
            }
        };
        entry.attempts = 0;
        entry.retry_at = None;
        let Writing { before, after, .. } = *written;
        let waited = now.saturating_sub(entry.seen);
        let told = events::written(&before, &after, waited);
        let failovers = events::new_failovers(&before, &after);
        let bound = |status: &ContainerClaimStatus| is_true(&status.conditions, reason::BOUND);
        let newly_bound = bound(&after) && !bound(&before);
        let first_bound = before.uuid.is_none() && bound(&after);
        // Of a claim from before the start it is not known how long it waited.
        let first_bound = first_bound && entry.live;
        if version >= entry.claim.version {
            entry.claim.status = after;
            entry.claim.version = version;
        }
        let claim = entry.reference();
        if newly_bound {
            let kind = entry.claim.spec.container_kind_name.clone();
            self.figures_begin(&kind);
        }
        self.events
            .extend(told.into_iter().map(|event| (claim.clone(), event)));
        if failovers > 0 {
            self.count(Count::Failovers(failovers));
        }
        if first_bound {
            self.count(Count::BoundAfter(waited));
        }
    }
}
