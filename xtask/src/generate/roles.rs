//! The rules of the operator's roles, for the chart to give names to.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_yaml_ng::Value;

use super::documents;

/// Takes the rules out of a stream of roles: one file each, `KIND-NAME.yaml`.
pub(super) fn split(printed: &str) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for document in documents(printed) {
        let role: Value =
            serde_yaml_ng::from_str(&document).context("huly-operator rbac printed no YAML")?;
        let said = |value: &Value| value.as_str().map(str::to_owned);
        let kind = said(&role["kind"]).context("a role without a kind")?;
        let name = said(&role["metadata"]["name"]).context("a role without a name")?;
        let rules = &role["rules"];
        if !rules.is_sequence() {
            bail!("the {kind} {name} has no rules");
        }
        let text = serde_yaml_ng::to_string(rules).context("cannot write rules as YAML")?;
        files.insert(format!("{}-{name}.yaml", kind.to_lowercase()), text);
    }
    if files.is_empty() {
        bail!("huly-operator rbac printed no role");
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_each_role_become_a_file() {
        let role = |kind: &str| {
            format!("---\nkind: {kind}\nmetadata:\n  name: a\nrules:\n- verbs:\n  - get\n")
        };
        let files = split(&(role("Role") + &role("ClusterRole"))).unwrap();
        let names: Vec<_> = files.keys().map(String::as_str).collect();
        assert_eq!(names, ["clusterrole-a.yaml", "role-a.yaml"]);
        assert_eq!(files["role-a.yaml"], "- verbs:\n  - get\n");
    }

    #[test]
    fn what_has_no_rules_is_refused() {
        for bad in ["", "a: 1", "kind: Role\nmetadata:\n  name: a\n"] {
            assert!(split(bad).is_err(), "{bad:?} was taken");
        }
    }
}
