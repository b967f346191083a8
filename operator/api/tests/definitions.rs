//! The definitions as they are printed, and the examples of the repository against the types.

use huly_operator_api::{ContainerClaim, ContainerKind, crds};
use serde::Deserialize;
use serde_json::Value;

fn definitions() -> Result<Vec<Value>, serde_json::Error> {
    crds()?.iter().map(serde_json::to_value).collect()
}

/// Each schema in a definition with its path.
fn schemas(value: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    if let Some(map) = value.as_object() {
        if map.contains_key("type") && map["type"].is_string() {
            found.push((path.to_owned(), value.clone()));
        }
        for (key, member) in map {
            schemas(member, &format!("{path}.{key}"), found);
        }
    }
}

fn all_schemas() -> Result<Vec<(String, Value)>, serde_json::Error> {
    let mut found = Vec::new();
    for definition in definitions()? {
        let properties = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        schemas(&properties["properties"]["spec"], "spec", &mut found);
        schemas(&properties["properties"]["status"], "status", &mut found);
    }
    assert!(found.len() > 40, "{} schemas", found.len());
    Ok(found)
}

#[test]
fn everything_is_bounded() {
    for (path, schema) in all_schemas().unwrap() {
        let has = |name: &str| schema.get(name).is_some();
        let bounded = match schema["type"].as_str() {
            Some("string") => has("maxLength") || has("enum"),
            Some("array") => has("maxItems") && has("x-kubernetes-list-type"),
            Some("object") => has("properties") || has("maxProperties"),
            _ => true,
        };
        assert!(bounded, "{path} has no bound: {schema}");
    }
}

#[test]
fn an_optional_field_is_absent_and_never_null() {
    for (path, schema) in all_schemas().unwrap() {
        assert_eq!(schema.get("nullable"), None, "{path}");
        let format = schema.get("format").and_then(Value::as_str);
        assert!(
            !format.is_some_and(|format| format.starts_with('u')),
            "{path}"
        );
    }
}

#[test]
fn every_field_is_described() {
    for definition in definitions().unwrap() {
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        for part in ["spec", "status"] {
            let properties = schema["properties"][part]["properties"].as_object();
            for (name, property) in properties.unwrap() {
                // Conditions are described where they are listed.
                let described = property.get("description").is_some();
                assert!(described, "{part}.{name} has no description");
            }
        }
    }
}

#[test]
fn the_examples_are_of_the_types() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/manifests");
    let (mut kinds, mut claims) = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for document in serde_yaml_ng::Deserializer::from_str(&text) {
            let value = serde_yaml_ng::Value::deserialize(document).unwrap();
            match value["kind"].as_str() {
                Some("ContainerKind") => {
                    let _: ContainerKind = serde_yaml_ng::from_value(value).unwrap();
                    kinds += 1;
                }
                Some("ContainerClaim") => {
                    let claim: ContainerClaim = serde_yaml_ng::from_value(value).unwrap();
                    assert_eq!(claim.metadata.namespace.as_deref(), Some("demo"));
                    claims += 1;
                }
                other => assert_eq!(other, Some("Namespace")),
            }
        }
    }
    assert_eq!((kinds, claims), (3, 3));
}
