//! What is said otherwise in `tests/chart/values`: all that there is, and each with an effect.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use huly_tests::{chart, helm};
use serde_json::Value;

use super::super::ALL;
use super::values::FOLDER;

/// Values that no golden file has otherwise, and why.
const AS_THEY_ARE: [(&str, &str); 3] = [
    ("podSecurityContext.runAsNonRoot", RESTRICTED),
    ("securityContext.allowPrivilegeEscalation", RESTRICTED),
    ("securityContext.readOnlyRootFilesystem", RESTRICTED),
];

const RESTRICTED: &str = "all that is rendered passes the standard `restricted`";

/// What is in the notes alone, which have a test of their own.
const NOTED: &str = "images.cli.";

/// How many helms run at once.
const AT_ONCE: usize = 4;

#[test]
fn every_value_is_said_otherwise_in_some_golden_file() -> Result<()> {
    let defaults = defaults()?;
    let files = files()?;
    let leaves = leaves(&defaults);
    ensure!(leaves.len() > 80, "there are {} values", leaves.len());
    let mut same: BTreeSet<String> = leaves
        .iter()
        .filter(|(path, default)| !files.values().any(|file| differs(file, path, default)))
        .map(|(path, _)| plain(path))
        .collect();
    for (name, why) in AS_THEY_ARE {
        ensure!(same.remove(name), "{name} need not be left out: {why}");
    }
    ensure!(
        same.is_empty(),
        "in tests/chart/values no file says otherwise: {same:?}"
    );
    Ok(())
}

/// A value that no template reads is found by leaving out where it is said otherwise.
#[tokio::test]
async fn what_is_said_otherwise_is_read() -> Result<()> {
    let defaults = defaults()?;
    let files = files()?;
    let rendered = BTreeMap::from_iter(rendered(&files).await?);
    let mut less = Vec::new();
    let mut expected = BTreeSet::new();
    for (path, default) in leaves(&defaults) {
        for (name, file) in &files {
            if differs(file, &path, default) {
                less.push((plain(&path), name, without(file, &path)?));
                expected.insert(plain(&path));
            }
        }
    }
    // Entries of agents are no values of the chart, but have members that are.
    for (name, file) in &files {
        let entries = file["agents"].as_array().map_or(0, Vec::len);
        for entry in 0..entries {
            for (path, _) in leaves(&file["agents"][entry]) {
                if path != "/name" {
                    let path = format!("/agents/{entry}{path}");
                    less.push((plain(&path), name, without(file, &path)?));
                    expected.insert(plain(&path));
                }
            }
        }
    }
    let read: BTreeSet<String> = stream::iter(less)
        .map(async |(what, name, less)| {
            let text = render(name, &less).await?;
            anyhow::Ok((text != rendered[name]).then_some(what))
        })
        .buffer_unordered(AT_ONCE)
        .try_filter_map(async |read| Ok(read))
        .try_collect()
        .await?;
    let unread: BTreeSet<&String> = expected.difference(&read).collect();
    let noted: BTreeSet<&String> = expected
        .iter()
        .filter(|path| path.starts_with(NOTED))
        .collect();
    ensure!(noted.len() == 4, "in the notes alone: {noted:?}");
    ensure!(unread == noted, "no template reads {unread:?}");
    Ok(())
}

/// Every value that there is.
pub(crate) fn defaults() -> Result<Value> {
    read(&PathBuf::from(chart()).join("values.yaml"))
}

/// The values of the golden files, by their names.
fn files() -> Result<BTreeMap<String, Value>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(format!("{FOLDER}/values"))? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str());
        files.insert(name.context("a file's name")?.to_owned(), read(&path)?);
    }
    ensure!(files.keys().eq(&ALL), "{:?} are not all", files.keys());
    Ok(files)
}

fn read(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path)?;
    serde_yaml_ng::from_str(&text).with_context(|| path.display().to_string())
}

/// What each of the files renders to.
async fn rendered(files: &BTreeMap<String, Value>) -> Result<Vec<(String, String)>> {
    let all = stream::iter(files).then(async |(name, file)| {
        let text = render(name, file).await?;
        anyhow::Ok((name.clone(), text))
    });
    all.try_collect().await
}

/// What the chart renders to with these values; those named `ha` come after the chart's own.
async fn render(name: &str, values: &Value) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("values.json");
    fs::write(&file, values.to_string())?;
    let (chart, file) = (chart(), file.display().to_string());
    let ha = format!("{chart}/values-ha.yaml");
    let mut arguments = vec!["template", "huly", &chart];
    if name == "ha" {
        arguments.extend(["--values", &ha]);
    }
    arguments.extend(["--values", &file]);
    Ok(helm(&arguments).await?.stdout)
}

/// The innermost values, by JSON pointers.
fn leaves(value: &Value) -> Vec<(String, &Value)> {
    fn collect<'a>(value: &'a Value, path: &str, leaves: &mut Vec<(String, &'a Value)>) {
        match value.as_object() {
            Some(members) if !members.is_empty() => {
                for (name, member) in members {
                    collect(member, &format!("{path}/{name}"), leaves);
                }
            }
            _ => leaves.push((path.to_owned(), value)),
        }
    }
    let mut all = Vec::new();
    collect(value, "", &mut all);
    all
}

/// Whether a file says something at a place, and not the default.
fn differs(file: &Value, path: &str, default: &Value) -> bool {
    file.pointer(path).is_some_and(|value| value != default)
}

/// Values without the one at a place.
fn without(values: &Value, path: &str) -> Result<Value> {
    let mut values = values.clone();
    let (parent, name) = path.rsplit_once('/').context("the values as a whole")?;
    let parent = values.pointer_mut(parent).and_then(Value::as_object_mut);
    let gone = parent.and_then(|parent| parent.remove(name));
    gone.with_context(|| format!("there is no {path}"))?;
    Ok(values)
}

/// A place as people write it.
fn plain(path: &str) -> String {
    path[1..].replace('/', ".")
}
