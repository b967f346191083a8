//! Documents whose commands are run as they stand.

use anyhow::{Context, Result, bail, ensure};

use crate::shell::shell;
use crate::tools::Said;

/// The shell blocks (```` ```sh ````) of a document, with what each is to print (```` ```text ````
/// after it). Left out are blocks of `yaml`, which is shown, and `sh cluster` and `sh server`, for
/// readers without what the test has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walkthrough {
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    /// The line of the document that the block begins in.
    line: usize,
    commands: String,
    /// Lines to be found, in order.
    expected: Vec<String>,
}

impl Walkthrough {
    /// Reads a document in Markdown.
    ///
    /// # Errors
    /// When a block has no end or is of another language, or a text block follows no shell block.
    pub fn read(document: &str) -> Result<Self> {
        let mut steps: Vec<Step> = Vec::new();
        let mut lines = document.lines().zip(1..);
        while let Some((text, line)) = lines.next() {
            let Some(language) = text.strip_prefix("```") else {
                let fence = text.trim_start();
                let odd = fence.starts_with("```") || fence.starts_with("~~~");
                ensure!(!odd, "line {line}: a block that is not read: {text}");
                continue;
            };
            let mut block = Vec::new();
            loop {
                match lines.next() {
                    Some(("```", _)) => break,
                    Some((text, _)) => block.push(text.to_owned()),
                    None => bail!("the block of line {line} has no end"),
                }
            }
            match language {
                "sh" => steps.push(Step {
                    line,
                    commands: block.join("\n"),
                    expected: Vec::new(),
                }),
                "text" => {
                    let step = steps.last_mut().filter(|step| step.expected.is_empty());
                    let step = step.with_context(|| format!("line {line}: what prints this?"))?;
                    step.expected = block;
                }
                "sh cluster" | "sh server" | "yaml" => {}
                other => bail!("line {line}: a block of {other:?} would be run by nobody"),
            }
        }
        ensure!(!steps.is_empty(), "there is no shell block");
        Ok(Self { steps })
    }

    /// The commands of each block, with the lines that they are to print.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (&str, &[String])> {
        let steps = self.steps.iter();
        steps.map(|step| (step.commands.as_str(), step.expected.as_slice()))
    }

    /// Runs all blocks, each as [`shell`] does. The last block takes away what the others made: after a
    /// failure it is run, too.
    ///
    /// # Errors
    /// When a command fails, or does not print what it is to.
    pub async fn run(&self) -> Result<()> {
        for (number, step) in self.steps.iter().enumerate() {
            let Err(error) = step.run().await else {
                continue;
            };
            if let Some(last) = self.steps.last()
                && number + 1 < self.steps.len()
            {
                // It fails at what was not made yet, and goes on.
                let _ = last.shell(&[]).await;
            }
            return Err(error.context(format!("the block of line {}", step.line)));
        }
        Ok(())
    }
}

impl Step {
    async fn run(&self) -> Result<()> {
        let said = self.shell(&["-o", "errexit", "-o", "pipefail"]).await?;
        ensure!(said.success, "{}", said.stdout);
        if let Err(line) = find(&self.expected, &said.stdout) {
            bail!("no line {line:?} in its place in\n{}", said.stdout);
        }
        Ok(())
    }

    async fn shell(&self, options: &[&str]) -> Result<Said> {
        shell(&self.commands, options).await
    }
}

/// Finds each expected line in the output, in order, other lines between them; else says which is
/// not there.
fn find<'e>(expected: &'e [String], output: &str) -> Result<(), &'e str> {
    let mut lines = output.lines();
    for line in expected {
        if !lines.any(|said| fits(line, said)) {
            return Err(line);
        }
    }
    Ok(())
}

/// Whether a line was said: `…` stands for any text, and any white space for any other.
fn fits(expected: &str, said: &str) -> bool {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (expected, said) = (plain(expected), plain(said));
    let Some((first, rest)) = expected.split_once('…') else {
        return expected == said;
    };
    let Some(mut left) = said.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = rest.split('…').collect();
    let Some((last, middle)) = parts.split_last() else {
        return true;
    };
    for part in middle {
        match left.split_once(part) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_read_with_what_they_print() -> Result<()> {
        let text = "# A\n```sh\na\nb\n```\n\n```text\nc\n```\n```sh cluster\nd\n```\n```yaml\ne\n```\n```sh\nf\n```\n";
        let read = Walkthrough::read(text)?;
        let step = |line, commands: &str, expected: &[&str]| Step {
            line,
            commands: commands.to_owned(),
            expected: expected.iter().map(|line| (*line).to_owned()).collect(),
        };
        assert_eq!(read.steps, [step(2, "a\nb", &["c"]), step(16, "f", &[])]);
        Ok(())
    }

    #[test]
    fn odd_documents_are_refused() {
        let good = "```sh\na\n```\n";
        for bad in [
            "text",
            "```sh\na",
            "```text\na\n```\n```sh\nb\n```",
            &format!("{good}```\nb\n```\n"),
            &format!("{good}```bash\nb\n```\n"),
            &format!("{good}```sh \nb\n```\n"),
            &format!("{good}```sh nodes\nb\n```\n"),
            &format!("{good}  ```sh\n  b\n  ```\n"),
            &format!("{good}~~~sh\nb\n~~~\n"),
        ] {
            assert!(Walkthrough::read(bad).is_err(), "{bad:?} was taken");
        }
        assert!(Walkthrough::read(good).is_ok(), "{good:?} was refused");
    }

    #[test]
    fn lines_are_found_in_order() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let output = "NAME   READY\nother\nx-1a2b 1/1   3s\n";
        for good in ["", "NAME READY", "NAME  READY\nx-… 1/1 …", "…READY\n… 3s"] {
            assert_eq!(find(&lines(good), output), Ok(()), "{good:?}");
        }
        for (bad, missing) in [
            ("x-… 1/1 …\nNAME READY", "NAME READY"),
            ("x-… 0/1 …", "x-… 0/1 …"),
            ("NAME", "NAME"),
            ("x-…1/1", "x-…1/1"),
        ] {
            assert_eq!(find(&lines(bad), output), Err(missing), "{bad:?}");
        }
    }
}
