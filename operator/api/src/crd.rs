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
/// formats that OpenAPI does not know draw warnings from the API server; a description's lines are
/// those of the source, and kubectl breaks them again.
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
            // A field of that name is an object.
            if let Some(Value::String(text)) = map.get_mut("description") {
                *text = flowing(text);
            }
            map.values_mut().for_each(tidy);
        }
        Value::Array(list) => list.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// The text with one line a paragraph.
fn flowing(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| {
        let lines = paragraph.lines().map(str::trim);
        lines.collect::<Vec<_>>().join(" ")
    });
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_is_a_line() {
        assert_eq!(
            flowing("One,\n two.\nThree.\n\nFour."),
            "One, two. Three.\n\nFour."
        );
    }

    #[test]
    fn no_description_is_broken_within_a_paragraph() {
        fn broken(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(map) => {
                    for (key, value) in map {
                        match value {
                            Value::String(text) if key == "description" => {
                                let lines = text.split("\n\n");
                                found.extend(
                                    lines.filter(|one| one.contains('\n')).map(str::to_owned),
                                );
                            }
                            value => broken(value, found),
                        }
                    }
                }
                Value::Array(list) => list.iter().for_each(|value| broken(value, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        for crd in crds().unwrap() {
            broken(&serde_json::to_value(crd).unwrap(), &mut found);
        }
        assert_eq!(found, [""; 0]);
    }
}
