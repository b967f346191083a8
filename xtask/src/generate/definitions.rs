//! The custom resource definitions: one file each.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_yaml_ng::Value;

use super::documents;

/// Where they are.
pub(super) const FOLDER: &str = "crds";

/// Splits a stream of definitions into one file each, named by the plural of its resource.
pub(super) fn split(printed: &str) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for document in documents(printed) {
        let definition: Value =
            serde_yaml_ng::from_str(&document).context("huly-operator crds printed no YAML")?;
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
}
