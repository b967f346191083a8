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
fn what_is_named_exists_once() {
    let (laws, tests) = (laws(), sources::tests());
    assert!(tests.len() > 500, "the sources are read wrongly: {tests:?}");
    let wrong: Vec<String> = page::sentences(PAGE)
        .iter()
        .flat_map(|sentence| sentence.names(&laws))
        .filter_map(|name| {
            let tests = tests.get(&name).copied().unwrap_or_default();
            match usize::from(laws.contains(name.as_str())) + tests {
                0 => Some(format!("{name} is neither law nor test")),
                1 => None,
                more => Some(format!("{more} are named {name}")),
            }
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Who names what holds it up promises something.
#[test]
fn what_is_not_promised_names_nothing() {
    let laws = laws();
    let denials = page::denials(PAGE);
    assert!(!denials.is_empty(), "the page is read wrongly");
    let naming: Vec<String> = denials
        .iter()
        .filter(|sentence| !sentence.names(&laws).is_empty())
        .map(ToString::to_string)
        .collect();
    assert!(
        naming.is_empty(),
        "promised where nothing is:\n{}",
        naming.join("\n")
    );
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
