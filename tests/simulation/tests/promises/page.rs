//! The page: which of its sentences promise something, and what they name.

use std::collections::BTreeSet;
use std::fmt;

/// The section that says what is not promised.
const DENIED: &str = "What is not promised";

/// Sections that tell of tests and programs.
const OTHERS: [&str; 3] = ["Load while failing", "Real programs", "The simulation"];

/// What a section is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Promises,
    Denies,
    Tells,
}

impl Section {
    fn of(heading: &str) -> Self {
        match heading {
            DENIED => Self::Denies,
            other if OTHERS.contains(&other) => Self::Tells,
            _ => Self::Promises,
        }
    }
}

/// A sentence of a point of a list, or of a paragraph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sentence {
    section: Section,
    /// The line that its point or paragraph begins in, from 1.
    line: usize,
    text: String,
}

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

impl Sentence {
    /// What it names in parentheses, between backticks: laws, and what looks like a test or a law.
    pub(crate) fn names(&self, laws: &BTreeSet<&str>) -> Vec<String> {
        let mut names = Vec::new();
        let (mut depth, mut quoted) = (0_u32, None::<String>);
        for letter in self.text.chars() {
            match (letter, &mut quoted) {
                ('`', Some(name)) => {
                    let name = std::mem::take(name);
                    if depth > 0 && is_name(&name, laws) {
                        names.push(name);
                    }
                    quoted = None;
                }
                ('`', None) => quoted = Some(String::new()),
                (letter, Some(name)) => name.push(letter),
                ('(', None) => depth += 1,
                (')', None) => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        names
    }
}

/// Other things stand between backticks in parentheses too: flags, codes, methods.
fn is_name(text: &str, laws: &BTreeSet<&str>) -> bool {
    let letters = |letter: char| {
        letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-".contains(letter)
    };
    let of_words =
        text.contains(['_', '-']) && text.starts_with(|it: char| it.is_ascii_lowercase());
    laws.contains(text) || of_words && text.chars().all(letters)
}

/// The sentences that promise something. Those that end with a colon introduce what does.
pub(crate) fn promises(page: &str) -> Vec<Sentence> {
    let mut found = sentences(page);
    found.retain(|it| it.section == Section::Promises && !it.text.ends_with(':'));
    found
}

/// The sentences that say what is not promised.
pub(crate) fn denials(page: &str) -> Vec<Sentence> {
    let mut found = sentences(page);
    found.retain(|it| it.section == Section::Denies);
    found
}

/// The sentences of all sections, but for tables and for what stands between fences.
pub(crate) fn sentences(page: &str) -> Vec<Sentence> {
    let mut blocks: Vec<Sentence> = Vec::new();
    let (mut section, mut within, mut fenced) = (None, false, false);
    for (number, line) in page.lines().enumerate() {
        let text = line.trim();
        let fence = text.starts_with("```");
        fenced ^= fence;
        if let Some(heading) = text.strip_prefix("## ") {
            section = Some(Section::of(heading));
        }
        let Some(section) = section else { continue };
        if fenced || fence || text.is_empty() || text.starts_with(['#', '|']) {
            within = false;
            continue;
        }
        let (point, begins) = match text.strip_prefix("- ") {
            Some(point) => (point, true),
            None => (text, false),
        };
        match blocks.last_mut() {
            Some(block) if within && !begins => {
                block.text.push(' ');
                block.text.push_str(point);
            }
            _ => blocks.push(Sentence {
                section,
                line: number + 1,
                text: point.to_owned(),
            }),
        }
        within = true;
    }
    blocks.iter().flat_map(sentences_of).collect()
}

/// The sentences of a point or paragraph: what ends with a full stop before a capital.
fn sentences_of(block: &Sentence) -> Vec<Sentence> {
    let mut found = Vec::new();
    let mut rest = block.text.as_str();
    let begins = |text: &str| text.starts_with(|it: char| it.is_ascii_uppercase() || it == '`');
    let mut from = 0;
    while let Some(stop) = rest[from..].find(". ") {
        from += stop + 2;
        if begins(&rest[from..]) {
            found.push(rest[..from].trim());
            rest = &rest[from..];
            from = 0;
        }
    }
    found.push(rest.trim());
    let sentence = |text: &str| Sentence {
        text: text.to_owned(),
        ..*block
    };
    found.into_iter().map(sentence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let sentence = Sentence {
            section: Section::Promises,
            line: 1,
            text: text.to_owned(),
        };
        sentence.names(&BTreeSet::from(["bounded", "one-copy"]))
    }

    #[test]
    fn a_promise_is_a_sentence_of_a_section_that_promises() {
        let page = "# Title\n\n- before any section\n\n## Containers\n\nIt is so. They\n\
                    introduce:\n\n- One\n  goes on (`a_b`). Another (3.5 s, `c-d`)\n  ends. `x` too.\n\
                    - More\n\n| a | table |\n\n```text\nA picture.\n```\n\nThe last.\n\n\
                    ## What is not promised\n\n- This.\n\n## The simulation\n\nIt simulates.\n";
        let texts = |sentences: Vec<Sentence>| -> Vec<String> {
            sentences.iter().map(ToString::to_string).collect()
        };
        let expected = [
            "line 7: It is so.",
            "line 10: One goes on (`a_b`).",
            "line 10: Another (3.5 s, `c-d`) ends.",
            "line 10: `x` too.",
            "line 13: More",
            "line 21: The last.",
        ];
        assert_eq!(texts(promises(page)), expected);
        assert_eq!(texts(denials(page)), ["line 25: This."]);
        // One introduces.
        assert_eq!(sentences(page).len(), expected.len() + 3);
    }

    #[test]
    fn names_stand_in_parentheses() {
        assert_eq!(
            names("It lives (`one-copy`, `a_test`: soon)."),
            ["one-copy", "a_test"]
        );
        assert_eq!(names("It is `not_named`, and `bounded`."), [""; 0]);
        assert_eq!(
            names("Flags (`--grace-ms`, `busy`), laws (`bounded`)."),
            ["bounded"]
        );
        assert_eq!(
            names("A method (`new_container()`, `Client::new_one`)."),
            [""; 0]
        );
        assert_eq!(
            names("A law that is not there (`no-such-law`)."),
            ["no-such-law"]
        );
    }
}
