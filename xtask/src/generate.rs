//! `generate`: files that are made from the source and checked in.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_yaml_ng::Value;

use crate::command::{self, Program};
use crate::interrupt::interruptible;
use crate::workspace::Workspace;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Write nothing; fail if a file is not what would be written
    #[arg(long)]
    check: bool,
}

/// Writes the generated files, or compares them.
pub(crate) async fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    interruptible(async {
        if arguments.check {
            check(workspace).await
        } else {
            write(workspace).await
        }
    })
    .await
}

/// Fails if a generated file is not what the built programs make, or is left over.
///
/// # Errors
/// Names each such file.
pub(crate) async fn check(workspace: &Workspace) -> Result<()> {
    let expected = generated(workspace).await?;
    let found = on_disk(workspace)?;
    let stale = differences(&expected, &found);
    if !stale.is_empty() {
        bail!(
            "{}\nrun `cargo xtask generate` and commit the result",
            stale.join("\n")
        );
    }
    println!("{} generated files are fresh", expected.len());
    Ok(())
}

async fn write(workspace: &Workspace) -> Result<()> {
    let expected = generated(workspace).await?;
    let found = on_disk(workspace)?;
    fs::create_dir_all(workspace.definitions()).context("cannot make the folder crds")?;
    for name in found.keys().filter(|name| !expected.contains_key(*name)) {
        let path = workspace.definitions().join(name);
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        println!("removed {}", workspace.shown(&path));
    }
    for (name, text) in &expected {
        let path = workspace.definitions().join(name);
        if found.get(name) != Some(text) {
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            println!("wrote {}", workspace.shown(&path));
        }
    }
    Ok(())
}

/// The definitions that the built operator prints, by file name.
async fn generated(workspace: &Workspace) -> Result<BTreeMap<String, String>> {
    let operator = workspace.binaries().join("huly-operator");
    let printed = command::capture(Program::new(operator).argument("crds")).await?;
    split(&printed)
}

fn on_disk(workspace: &Workspace) -> Result<BTreeMap<String, String>> {
    let folder = workspace.definitions();
    let mut found = BTreeMap::new();
    if !folder.is_dir() {
        return Ok(found);
    }
    let entries = fs::read_dir(&folder).context("cannot list the folder crds")?;
    for entry in entries {
        let path: PathBuf = entry.context("cannot list the folder crds")?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.ends_with(".yaml") {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            found.insert(name, text);
        }
    }
    Ok(found)
}

/// Splits a stream of definitions into one file each, named by the plural of its resource.
fn split(printed: &str) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for document in format!("\n{printed}").split("\n---") {
        let document = document.trim();
        if document.is_empty() {
            continue;
        }
        let definition: Value =
            serde_yaml_ng::from_str(document).context("huly-operator crds printed no YAML")?;
        let plural = definition["spec"]["names"]["plural"]
            .as_str()
            .context("huly-operator crds printed something without spec.names.plural")?;
        if files
            .insert(format!("{plural}.yaml"), format!("{document}\n"))
            .is_some()
        {
            bail!("huly-operator crds printed {plural} twice");
        }
    }
    if files.is_empty() {
        bail!("huly-operator crds printed no definition");
    }
    Ok(files)
}

fn differences(
    expected: &BTreeMap<String, String>,
    found: &BTreeMap<String, String>,
) -> Vec<String> {
    let mut stale = Vec::new();
    for (name, text) in expected {
        match found.get(name) {
            None => stale.push(format!("crds/{name} is missing")),
            Some(other) if other != text => {
                let line = text
                    .lines()
                    .zip(other.lines())
                    .take_while(|(a, b)| a == b)
                    .count()
                    + 1;
                stale.push(format!("crds/{name} is stale, from line {line} on"));
            }
            Some(_) => {}
        }
    }
    for name in found.keys().filter(|name| !expected.contains_key(*name)) {
        stale.push(format!("crds/{name} is left over"));
    }
    stale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(plural: &str) -> String {
        format!("kind: CustomResourceDefinition\nspec:\n  names:\n    plural: {plural}\n")
    }

    #[test]
    fn each_definition_becomes_a_file() {
        let printed = format!("---\n{}---\n{}", definition("kinds"), definition("claims"));
        let files = split(&printed).unwrap();
        assert_eq!(files["kinds.yaml"], definition("kinds"));
        assert_eq!(files["claims.yaml"], definition("claims"));
        assert_eq!(split(&files["kinds.yaml"]).unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_definition_is_refused() {
        for bad in [
            "",
            "---\n",
            "a: 1",
            &[definition("a"), definition("a")].join("---\n"),
        ] {
            assert!(split(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn stale_missing_and_left_over_files_are_named() {
        let files = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect()
        };
        let expected = files(&[("a", "1\n2\n"), ("b", "1\n"), ("c", "1\n")]);
        let found = files(&[("a", "1\n3\n"), ("c", "1\n"), ("d", "")]);
        let said = differences(&expected, &found);
        assert_eq!(
            said,
            [
                "crds/a is stale, from line 2 on",
                "crds/b is missing",
                "crds/d is left over"
            ]
        );
    }
}
