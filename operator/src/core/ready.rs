//! What the operator says of itself.

use std::collections::BTreeMap;

use huly_operator_api::condition::{claim, kind};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::Core;
use crate::plan::conditions::condition;
use crate::plan::kinds::KindState;

/// Counts by (status, reason) of a condition.
pub(crate) type Counts = BTreeMap<(String, String), u64>;

/// What the operator says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// What it waits for before it works.
    pub(crate) waits: Vec<String>,
    /// Whether it leads.
    pub(crate) leads: bool,
    /// The same for people.
    pub(crate) role: String,
    /// Whether the network server lets it do its work.
    pub(crate) session_up: bool,
    /// Claims by their Bound condition.
    pub(crate) claims: Counts,
    /// Kinds by their Ready condition.
    pub(crate) kinds: Counts,
}

impl Core {
    /// How the operator is.
    pub(crate) fn report(&self) -> Report {
        let claims = self.claims.values().map(|entry| {
            let conditions = &entry.claim.status.conditions;
            state(condition(conditions, claim::BOUND))
        });
        let ours = self
            .kinds
            .iter()
            .filter(|(name, _)| !matches!(self.states.get(*name), Some(KindState::OtherNetwork)));
        let kinds = ours.map(|(_, entry)| {
            let conditions = &entry.kind.status.conditions;
            state(condition(conditions, kind::READY))
        });
        Report {
            waits: self.waits(),
            leads: self.leads,
            role: String::new(),
            session_up: self.session.is_usable(),
            claims: counted(claims),
            kinds: counted(kinds),
        }
    }

    fn waits(&self) -> Vec<String> {
        let mut waits = Vec::new();
        let mut unless = |is: bool, what: &str| {
            if !is {
                waits.push(what.to_owned());
            }
        };
        unless(self.listed.kinds, "the list of ContainerKinds");
        unless(self.listed.claims, "the list of ContainerClaims");
        unless(self.listed.namespaces, "the list of Namespaces");
        for (what, why) in &self.unwatched {
            unless(false, &format!("a watch of {what}: {why}"));
        }
        if !self.leads {
            return waits;
        }
        if let Err(why) = &self.session.facts.usable {
            unless(false, &format!("the network server: {why}"));
        } else {
            unless(
                self.control.kinds_told(),
                "the network server to know the kinds",
            );
            unless(self.control.was_synced(), "the sync of references");
            unless(self.feed.complete, "the snapshot of the network");
        }
        if !self.unreadable.is_empty() {
            let count = self.unreadable.len();
            unless(
                false,
                &format!("{count} claims that cannot be read to be mended"),
            );
        }
        waits
    }
}

fn state(condition: Option<&Condition>) -> (String, String) {
    match condition {
        Some(condition) => (condition.status.clone(), condition.reason.clone()),
        None => ("Unknown".to_owned(), "Pending".to_owned()),
    }
}

fn counted(states: impl Iterator<Item = (String, String)>) -> Counts {
    let mut counts = Counts::new();
    for state in states {
        *counts.entry(state).or_default() += 1;
    }
    counts
}
