use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

use crate::{ContainerClaim, ContainerKind};

/// The definitions of both resources, as an API server is to be given them.
///
/// # Errors
/// When the derived schema is not that of a definition, which the tests rule out.
pub fn crds() -> Result<Vec<CustomResourceDefinition>, serde_json::Error> {
    [ContainerKind::crd(), ContainerClaim::crd()]
        .into_iter()
        .map(|crd| {
            let mut value = serde_json::to_value(crd)?;
            tidy(&mut value);
            serde_json::from_value(value)
        })
        .collect()
}

/// Takes out what is derived and not meant: an optional field is absent, never null; integer
/// formats that OpenAPI does not know draw warnings from the API server.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("nullable").is_some_and(Value::is_boolean) {
                map.remove("nullable");
            }
            if map.get("type").is_some_and(|is| is == "integer")
                && let Some(Value::String(format)) = map.get_mut("format")
                && format.starts_with('u')
            {
                *format = if format == "uint64" { "int64" } else { "int32" }.to_owned();
            }
            map.values_mut().for_each(tidy);
        }
        Value::Array(list) => list.iter_mut().for_each(tidy),
        _ => {}
    }
}
