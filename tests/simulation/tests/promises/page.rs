//! The page: which of its sentences promise something, and what they name.

use std::collections::BTreeSet;
use std::fmt;

/// Sections that promise nothing.
const OTHERS: [&str; 3] = [
    "What is not promised",
    "Load while failing",
    "The simulation",
];

/// A sentence of a point of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sentence {
    /// The line that its point begins in, from 1.
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

/// The sentences of all points of lists, but in sections that promise nothing.
pub(crate) fn promises(page: &str) -> Vec<Sentence> {
    let mut points: Vec<Sentence> = Vec::new();
    let (mut promising, mut within) = (false, false);
    for (number, line) in page.lines().enumerate() {
        if let Some(heading) = line.strip_prefix("## ") {
            promising = !OTHERS.contains(&heading);
        }
        if let Some(text) = line.trim_start().strip_prefix("- ") {
            within = promising;
            if promising {
                points.push(Sentence {
                    line: number + 1,
                    text: text.to_owned(),
                });
            }
        } else if within && line.starts_with("  ") {
            if let Some(point) = points.last_mut() {
                point.text.push(' ');
                point.text.push_str(line.trim());
            }
        } else {
            within = false;
        }
    }
    points.into_iter().flat_map(sentences).collect()
}

/// A point's sentences: what ends with a full stop before a capital.
fn sentences(point: Sentence) -> Vec<Sentence> {
    let mut found = Vec::new();
    let mut rest = point.text.as_str();
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
        line: point.line,
        text: text.to_owned(),
    };
    found.into_iter().map(sentence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let sentence = Sentence {
            line: 1,
            text: text.to_owned(),
        };
        sentence.names(&BTreeSet::from(["bounded", "one-copy"]))
    }

    #[test]
    fn a_promise_is_a_sentence_of_a_list() {
        let page = "# Title\n\n- before any section\n\n## Containers\n\nAn explanation.\n\n- One\n  \
                    goes on (`a_b`). Another (3.5 s, `c-d`)\n  ends. `x` too.\n\nMore.\n  no point\n\n\
                    ## The simulation\n\n- It simulates.\n";
        let texts: Vec<String> = promises(page).iter().map(ToString::to_string).collect();
        let expected = [
            "line 9: One goes on (`a_b`).",
            "line 9: Another (3.5 s, `c-d`) ends.",
            "line 9: `x` too.",
        ];
        assert_eq!(texts, expected);
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
