//! What of the chart is generated: templates of the definitions, the README, and what it renders
//! to, to be looked at in reviews.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{Files, write_file};
use crate::command::{self, Program};
use crate::go_programs::ChartTools;
use crate::workspace::Workspace;

/// The chart.
const CHART: &str = "charts/huly-network";

/// Its templates of the custom resource definitions.
pub(super) const DEFINITIONS: &str = "charts/huly-network/templates/crds";

/// The rules of its roles.
pub(super) const ROLES: &str = "charts/huly-network/files/rbac";

/// What it renders to.
pub(super) const GOLDEN: &str = "tests/chart/golden";

/// The values that are rendered: the name, the namespace of the release, files in the chart.
const RENDERED: [(&str, &str, &[&str]); 5] = [
    ("default", "huly", &[]),
    ("full", "huly", &[]),
    ("ha", "huly", &["values-ha.yaml"]),
    ("least", "huly", &[]),
    ("second", "second", &[]),
];

/// The template of a definition: there behind one value, kept behind another.
///
/// # Errors
/// When the text is not as definitions are printed, or would be taken for a template.
pub(super) fn definition(text: &str) -> Result<String> {
    if text.contains("{{") {
        bail!("a definition must not contain {{{{, which is Helm's");
    }
    let Some((before, after)) = text.split_once("\nmetadata:\n") else {
        bail!("a definition without metadata");
    };
    Ok(format!(
        "{{{{- if .Values.crds.install }}}}\n{before}\nmetadata:\n  labels:\n    \
         {{{{- include \"huly-network.labels\" . | nindent 4 }}}}\n  \
         {{{{- if .Values.crds.keep }}}}\n  annotations:\n    helm.sh/resource-policy: keep\n  \
         {{{{- end }}}}\n{after}{{{{- end }}}}\n"
    ))
}

/// Renders the chart with `files` in the place of what is there.
///
/// # Errors
/// When helm or helm-docs says no.
pub(super) async fn render(
    workspace: &Workspace,
    tools: &ChartTools,
    files: &Files,
) -> Result<Files> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let chart = folder.path().join("huly-network");
    copy(&workspace.root.join(CHART), &chart)?;
    for generated in [DEFINITIONS, ROLES] {
        let place = chart.join(Path::new(generated).strip_prefix(CHART)?);
        crate::files::remove_folder(&place)?;
    }
    for (path, text) in files {
        if let Ok(inside) = path.strip_prefix(CHART) {
            write_file(&chart.join(inside), text)?;
        }
    }

    let mut made = Files::new();
    made.insert(
        Path::new(CHART).join("README.md"),
        readme(tools, &chart).await?,
    );
    for (name, namespace, values) in RENDERED {
        let own = workspace
            .root
            .join(format!("tests/chart/values/{name}.yaml"));
        let values = values.iter().map(|file| chart.join(file)).chain([own]);
        let mut template = Program::new(tools.helm())
            .arguments(["template", "huly"])
            .argument(&chart)
            .arguments(["--namespace", namespace])
            .folder(folder.path());
        for file in values {
            template = template.argument("--values").argument(file);
        }
        let text = command::capture(template).await?;
        made.insert(PathBuf::from(format!("{GOLDEN}/{name}.yaml")), text);
    }
    Ok(made)
}

async fn readme(tools: &ChartTools, chart: &Path) -> Result<String> {
    let values = fs::read_to_string(chart.join("values.yaml")).context("a chart without values")?;
    check_comments(&values)?;
    let docs = Program::new(tools.helm_docs())
        .argument("--chart-search-root")
        .argument(chart)
        .arguments(["--sort-values-order", "file", "--log-level", "warning"])
        .folder(chart);
    command::capture(docs).await?;
    let path = chart.join("README.md");
    fs::read_to_string(&path).context("helm-docs wrote no README.md")
}

/// Fails if helm-docs would not understand a comment: the last dashes of one are to it where its
/// text begins.
fn check_comments(values: &str) -> Result<()> {
    for (number, line) in values.lines().enumerate() {
        let comment = line.trim_start().strip_prefix('#').unwrap_or_default();
        let text = comment.split_once(" -- ").map_or(comment, |(_, text)| text);
        if text.contains("--") {
            bail!(
                "values.yaml, line {}: no `--` in a comment: {line}",
                number + 1
            );
        }
    }
    Ok(())
}

/// Copies a folder and all in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let failed = || format!("cannot copy {}", from.display());
    fs::create_dir_all(to).with_context(failed)?;
    for entry in fs::read_dir(from).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        let place = to.join(entry.file_name());
        if entry.file_type().with_context(failed)?.is_dir() {
            copy(&entry.path(), &place)?;
        } else {
            fs::copy(entry.path(), place).with_context(failed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_becomes_a_template() {
        let text = "kind: CustomResourceDefinition\nmetadata:\n  name: a\nspec: {}\n";
        let template = definition(text).unwrap();
        assert!(
            template.starts_with("{{- if .Values.crds.install }}\nkind: CustomResourceDefinition"),
            "{template}"
        );
        assert!(
            template.ends_with("{{- end }}\n  name: a\nspec: {}\n{{- end }}\n"),
            "{template}"
        );
    }

    #[test]
    fn a_comment_that_would_be_lost_is_named() {
        assert!(check_comments("a:\n  # -- A number.\n  b: 1\n  # @default -- one\n").is_ok());
        let error = check_comments("# -- As `--help` says.\na: 1\n").unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
    }

    #[test]
    fn what_helm_would_take_for_its_own_is_refused() {
        assert!(definition("a:\nmetadata:\n  name: \"{{ x }}\"\n").is_err());
        assert!(definition("kind: CustomResourceDefinition\n").is_err());
    }
}
