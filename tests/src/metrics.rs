//! Reading a program's metrics.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

/// The samples of one scrape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics(Vec<Sample>);

#[derive(Debug, Clone, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    /// Reads the text format.
    ///
    /// # Errors
    /// When a line is not of it.
    pub fn parse(text: &str) -> Result<Self> {
        text.lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| sample(line).with_context(|| format!("not a sample: {line}")))
            .collect::<Result<_>>()
            .map(Self)
    }

    /// The sum of the samples of a name that have these labels; 0 if it has none with them.
    ///
    /// # Errors
    /// When there is no sample of that name: programs announce what they count as 0.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Result<f64> {
        ensure!(
            self.0.iter().any(|sample| sample.name == name),
            "there is no metric {name}"
        );
        let fits = |sample: &&Sample| {
            sample.name == name
                && labels
                    .iter()
                    .all(|(key, value)| sample.labels.get(*key).is_some_and(|is| is == value))
        };
        let fitting = self.0.iter().filter(fits);
        // The sum of no floats is -0, which reads oddly.
        Ok(fitting.fold(0.0, |sum, sample| sum + sample.value))
    }
}

fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(mut inner) = rest.strip_prefix('{') {
        while !inner.starts_with('}') {
            let (key, after) = inner.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.insert(key.trim_start_matches(',').trim().to_owned(), value);
            inner = after;
        }
        rest = inner.strip_prefix('}')?;
    }
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// The text up to its closing quote, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_by_labels() -> Result<()> {
        let text = "# HELP x y\nx{kind=\"a\",op=\"q\\\"}\"} 2\nx{kind=\"a\",op=\"r\"} 3\nx{kind=\"b\",op=\"r\"} 5\ny 1.5e3\n";
        let metrics = Metrics::parse(text)?;
        assert_eq!(metrics.sum("x", &[("kind", "a")])?, 5.0);
        assert_eq!(metrics.sum("x", &[("op", "q\"}")])?, 2.0);
        assert_eq!(metrics.sum("x", &[("op", "s")])?, 0.0);
        assert_eq!(metrics.sum("x", &[])?, 10.0);
        assert_eq!(metrics.sum("y", &[])?, 1500.0);
        assert!(metrics.sum("z", &[]).is_err());
        Ok(())
    }

    #[test]
    fn other_text_is_refused() {
        for bad in ["<html>", "x{a=\"b} 1", "x one"] {
            assert!(Metrics::parse(bad).is_err(), "{bad:?} was taken");
        }
    }
}
