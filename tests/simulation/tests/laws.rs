//! Each law notices when it is broken: what a driver does wrong on purpose is found within some
//! seeds, and without it nothing is.

use huly_simulation::{LAWS, Sabotage, Telling, same_twice, simulate};

/// Seeds within which a law notices.
const SEEDS: u64 = 500;

/// What is done wrong, and the law that it breaks.
const DEEDS: &[(Sabotage, &str)] = &[
    (Sabotage::OneEpochForAll, "one-copy-per-epoch"),
    (Sabotage::LongLeases, "exclusive-one-accepting"),
    (Sabotage::LongLeases, "exclusive-one-begins"),
    (Sabotage::PassTheGate, "exclusive-one-begins"),
    (Sabotage::NoMargin, "exclusive-one-accepting"),
    (Sabotage::DropStops, "one-copy"),
    (Sabotage::LowerEpochs, "higher-epoch-wins"),
    (Sabotage::DropStops, "latest-goes-on"),
    (Sabotage::DropStarts, "served-again"),
    (Sabotage::DropStarts, "served-in-time"),
    (Sabotage::DropReleases, "references-are-held"),
    (Sabotage::DropHolders, "durable-survives"),
    (Sabotage::DropHolders, "durable-is-recorded"),
    (Sabotage::ForgetHolders, "durable-is-recorded"),
    (Sabotage::DropReassertions, "restart-ends-nothing"),
    (Sabotage::NoOrphanGrace, "orphans-are-spared"),
    (Sabotage::KeepPings, "in-touch-is-kept"),
    (Sabotage::KeepClientPings, "in-touch-is-kept"),
    (Sabotage::AskOthers, "asked-of-it"),
    (Sabotage::GetOthers, "asked-of-it"),
    (Sabotage::DoubleRequests, "executed-once"),
    (Sabotage::SwapRequests, "starts-in-order"),
    (Sabotage::ForgetRunning, "serial-one-at-a-time"),
    (Sabotage::DropTimeouts, "answered-in-time"),
    (Sabotage::ClaimNotRun, "answer-fits"),
    (Sabotage::ClaimTryNotRun, "answer-fits"),
    (Sabotage::ClaimNoKind, "answer-fits"),
    (Sabotage::NoLimits, "within-bounds"),
    (Sabotage::DropReleases, "within-bounds"),
    (Sabotage::DropReplies, "bounded"),
    (Sabotage::DropStops, "nothing-leaks"),
    (Sabotage::EmptyFeed, "feed-is-true"),
    (Sabotage::DropMoves, "holders-know-where"),
    (Sabotage::ForgetSpecs, "placed-as-specified"),
    (Sabotage::DropRations, "max-per-agent"),
    (Sabotage::ShortIdle, "idle-is-spared"),
    (Sabotage::LongIdle, "idle-is-ended"),
    (Sabotage::HideSlow, "slow-are-spared"),
    (Sabotage::EarlyRoom, "told-as-it-reads"),
    (Sabotage::DropSpecs, "kinds-are-known"),
    (Sabotage::DropActivations, "standbys-take-over"),
    (Sabotage::DropConnects, "connections-lead-there"),
    (Sabotage::MixDoors, "connections-lead-there"),
    (Sabotage::FreshIds, "executed-once"),
    (Sabotage::BlindWrites, "one-leads"),
    (Sabotage::ClaimRenewals, "one-leads"),
    (Sabotage::SameNumbers, "fenced-out"),
    (Sabotage::RefuseLeases, "led-again"),
    (Sabotage::Unseeded, "same-seed-same-story"),
];

fn is_noticed(sabotage: Sabotage, law: &str) -> bool {
    (0..SEEDS).any(|seed| {
        let outcome = simulate(seed, Some(sabotage), Telling::Silent);
        let twice = same_twice(seed, outcome.hash, Some(sabotage));
        let mut broken = outcome.violations.into_iter().chain(twice);
        broken.any(|violation| violation.law == law)
    })
}

#[test]
fn what_is_done_wrong_is_noticed_by_its_law() {
    let missed: Vec<_> = DEEDS
        .iter()
        .filter(|(sabotage, law)| !is_noticed(*sabotage, law))
        .collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn every_law_has_its_deed() {
    let mut laws: Vec<&str> = LAWS.iter().map(|law| law.name).collect();
    let mut deeds: Vec<&str> = DEEDS.iter().map(|(_, law)| *law).collect();
    laws.sort_unstable();
    deeds.sort_unstable();
    // Some are broken in more than one way.
    deeds.dedup();
    assert_eq!(deeds, laws);
}

#[test]
fn a_story_names_who_and_when_and_is_told_again_alike() {
    let first = simulate(7, None, Telling::Deeds);
    let again = simulate(7, None, Telling::Deeds);
    assert_eq!(first.story, again.story);
    assert!(first.executed > 0);
    let told = |what: &str| first.story.iter().any(|line| line.contains(what));
    assert!(told("server is started") && told("starts container"));
    let opening = first.opening.join("\n");
    assert!(opening.starts_with("seed 7: a server, ") && opening.contains("leases of"));
    // Words for people, not values of this program.
    let debug = first.story.iter().find(|line| {
        let made_of = ["Some(", "None", "{ ", "[\""];
        made_of.iter().any(|of| line.contains(of))
    });
    assert_eq!(debug, None);
    assert_ne!(first.hash, simulate(8, None, Telling::Silent).hash);
}
