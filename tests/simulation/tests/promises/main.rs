//! docs/soundness.md keeps to its word: each sentence that promises something names laws or tests
//! that there are, and each law is named.
#![allow(clippy::unwrap_used, reason = "a test that fails says so by a panic")]

mod page;
mod sources;

use std::collections::BTreeSet;

use huly_simulation::LAWS;

use crate::page::Sentence;

const PAGE: &str = include_str!("../../../../docs/soundness.md");

fn laws() -> BTreeSet<&'static str> {
    LAWS.iter().map(|law| law.name).collect()
}

/// The sentences that promise something on the page.
fn promises() -> Vec<Sentence> {
    let found = page::promises(PAGE);
    assert!(found.len() > 20, "the page is read wrongly: {found:?}");
    found
}

#[test]
fn each_promise_names_what_holds_it_up() {
    let laws = laws();
    let without: Vec<String> = promises()
        .iter()
        .filter(|sentence| sentence.names(&laws).is_empty())
        .map(ToString::to_string)
        .collect();
    assert!(
        without.is_empty(),
        "no law, no test:\n{}",
        without.join("\n")
    );
}

#[test]
fn what_is_named_exists() {
    let (laws, tests) = (laws(), sources::tests());
    assert!(tests.len() > 500, "the sources are read wrongly: {tests:?}");
    let exists = |name: &str| laws.contains(name) || tests.contains(name);
    let missing: Vec<String> = promises()
        .iter()
        .flat_map(|sentence| sentence.names(&laws))
        .filter(|name| !exists(name))
        .collect();
    assert!(missing.is_empty(), "neither law nor test: {missing:?}");
}

#[test]
fn each_law_is_on_the_page() {
    let laws = laws();
    let promises = promises();
    let named: BTreeSet<String> = promises
        .iter()
        .flat_map(|sentence| sentence.names(&laws))
        .collect();
    let missing: Vec<_> = laws.iter().filter(|law| !named.contains(**law)).collect();
    assert!(
        missing.is_empty(),
        "laws that no promise names: {missing:?}"
    );
}

#[test]
fn each_section_stands_once() {
    let mut seen = BTreeSet::new();
    let headings = PAGE.lines().filter(|line| line.starts_with("## "));
    let twice: Vec<&str> = headings.filter(|line| !seen.insert(*line)).collect();
    assert!(twice.is_empty(), "these stand twice: {twice:?}");
}
