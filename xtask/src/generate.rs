//! `generate`: files that are made from the source and checked in.

mod chart;
mod definitions;
mod roles;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::command::{self, Program};
use crate::files;
use crate::go_programs::ChartTools;
use crate::huly_programs::HulyPrograms;
use crate::interrupt::interruptible;
use crate::prerequisites::{self, CONTROL_PLANE, may_install};
use crate::workspace::Workspace;

/// Texts by their paths in the workspace.
type Files = BTreeMap<PathBuf, String>;

/// The folders whose every YAML file is generated.
const FOLDERS: [&str; 4] = [
    definitions::FOLDER,
    chart::DEFINITIONS,
    chart::ROLES,
    chart::GOLDEN,
];

#[derive(Args)]
pub(crate) struct Arguments {
    /// Write nothing; fail if a file is not what would be written
    #[arg(long)]
    check: bool,
}

/// Builds what the files are made by, and writes the files or compares them.
pub(crate) async fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    interruptible(async {
        prerequisites::ensure(workspace, CONTROL_PLANE, may_install(false)).await?;
        HulyPrograms::build(workspace).await?;
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
    let found = on_disk(&workspace.root, &expected)?;
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
    let found = on_disk(&workspace.root, &expected)?;
    for path in found.keys().filter(|path| !expected.contains_key(*path)) {
        fs::remove_file(workspace.root.join(path))
            .with_context(|| format!("cannot remove {}", path.display()))?;
        println!("removed {}", path.display());
    }
    for (path, text) in &expected {
        if found.get(path) != Some(text) {
            write_file(&workspace.root.join(path), text)?;
            println!("wrote {}", path.display());
        }
    }
    Ok(())
}

fn write_file(path: &Path, text: &str) -> Result<()> {
    files::create_parent(path)?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// All that is generated, from what the built operator prints.
async fn generated(workspace: &Workspace) -> Result<Files> {
    let operator = workspace.binaries().join("huly-operator");
    let printed = |what| command::capture(Program::new(operator.clone()).argument(what));
    let definitions = definitions::split(&printed("crds").await?)?;
    let roles = roles::split(&printed("rbac").await?)?;

    let mut files = Files::new();
    for (name, text) in &definitions {
        files.insert(Path::new(definitions::FOLDER).join(name), text.clone());
        let template = chart::definition(text)?;
        files.insert(Path::new(chart::DEFINITIONS).join(name), template);
    }
    for (name, text) in roles {
        files.insert(Path::new(chart::ROLES).join(name), text);
    }
    let tools = ChartTools::build(workspace).await?;
    let made = chart::render(workspace, &tools, &files).await?;
    files.extend(made);
    Ok(files)
}

/// What there is of what is expected, and in the folders where all is generated.
fn on_disk(root: &Path, expected: &Files) -> Result<Files> {
    let mut paths: Vec<PathBuf> = expected.keys().cloned().collect();
    for folder in FOLDERS {
        let all = root.join(folder);
        if !all.is_dir() {
            continue;
        }
        let entries = fs::read_dir(&all).with_context(|| format!("cannot list {folder}"))?;
        for entry in entries {
            let name = entry
                .with_context(|| format!("cannot list {folder}"))?
                .file_name();
            let path = Path::new(folder).join(name);
            if path.extension().is_some_and(|ending| ending == "yaml") {
                paths.push(path);
            }
        }
    }
    let mut found = Files::new();
    for path in paths {
        let whole = root.join(&path);
        if whole.exists() {
            let text = fs::read_to_string(&whole)
                .with_context(|| format!("cannot read {}", path.display()))?;
            found.insert(path, text);
        }
    }
    Ok(found)
}

/// The documents of a stream of YAML.
fn documents(printed: &str) -> Vec<String> {
    format!("\n{printed}")
        .split("\n---")
        .map(str::trim)
        .filter(|document| !document.is_empty())
        .map(str::to_owned)
        .collect()
}

fn differences(expected: &Files, found: &Files) -> Vec<String> {
    let mut stale = Vec::new();
    for (path, text) in expected {
        let path_shown = path.display();
        match found.get(path) {
            None => stale.push(format!("{path_shown} is missing")),
            Some(other) if other != text => {
                let line = text
                    .lines()
                    .zip(other.lines())
                    .take_while(|(a, b)| a == b)
                    .count()
                    + 1;
                stale.push(format!("{path_shown} is stale, from line {line} on"));
            }
            Some(_) => {}
        }
    }
    for path in found.keys().filter(|path| !expected.contains_key(*path)) {
        stale.push(format!("{} is left over", path.display()));
    }
    stale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(pairs: &[(&str, &str)]) -> Files {
        pairs
            .iter()
            .map(|(name, text)| (PathBuf::from(name), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn stale_missing_and_left_over_files_are_named() {
        let expected = files(&[("a", "1\n2\n"), ("b", "1\n"), ("c", "1\n")]);
        let found = files(&[("a", "1\n3\n"), ("c", "1\n"), ("d", "")]);
        let said = differences(&expected, &found);
        assert_eq!(
            said,
            [
                "a is stale, from line 2 on",
                "b is missing",
                "d is left over"
            ]
        );
    }

    #[test]
    fn what_is_left_over_is_found_where_all_is_generated() {
        let root = tempfile::tempdir().unwrap();
        let old = Path::new(chart::GOLDEN).join("old.yaml");
        write_file(&root.path().join(&old), "old").unwrap();
        write_file(&root.path().join(chart::GOLDEN).join("notes.md"), "").unwrap();
        write_file(&root.path().join("chart/README.md"), "read").unwrap();
        let expected = files(&[("chart/README.md", "read"), ("chart/none.md", "")]);
        let found = on_disk(root.path(), &expected).unwrap();
        assert_eq!(
            found,
            files(&[("chart/README.md", "read"), (old.to_str().unwrap(), "old")])
        );
    }
}
