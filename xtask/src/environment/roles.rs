//! What the operator may do: exactly its own role.

use anyhow::{Context, Result};
use serde_json::json;

use super::Environment;
use super::keys::OPERATOR_USER;
use crate::command::{self, Program};
use crate::files::write_private;
use crate::go_programs::GoPrograms;
use crate::huly_programs::HulyPrograms;

impl Environment {
    /// Makes the roles that the operator prints, and binds its own to the user that it is here.
    ///
    /// # Errors
    /// When the operator does not print them, or kubectl says no.
    pub(crate) async fn apply_operator_role(
        &self,
        go: &GoPrograms,
        huly: &HulyPrograms,
    ) -> Result<String> {
        let roles = command::capture(Program::new(huly.operator()).argument("rbac")).await?;
        let binding = |kind: &str, of: &str| {
            let binding = json!({
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": kind,
                "metadata": { "name": OPERATOR_USER },
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": of,
                    "name": "huly-operator",
                },
                "subjects": [{
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "User",
                    "name": OPERATOR_USER,
                }],
            });
            serde_yaml_ng::to_string(&binding).context("cannot write a binding")
        };
        let everywhere = binding("ClusterRoleBinding", "ClusterRole")?;
        let in_namespace = binding("RoleBinding", "Role")?;
        let file = self.folder.join("operator-role.yaml");
        write_private(
            &file,
            &format!("{roles}---\n{everywhere}---\n{in_namespace}"),
        )?;
        let apply = self
            .kubectl(go)
            .arguments(["apply", "--server-side", "--filename"])
            .argument(&file);
        command::capture(apply).await
    }
}
