//! Reading custom resources as kubectl shows them: by field names, not by the operator's types.

use kube::core::DynamicObject;
use serde::Deserialize;
use serde_json::Value;

/// One of an object's conditions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// A constant.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Which generation of the object it is about.
    pub observed_generation: Option<i64>,
}

/// What tests read of an object.
pub trait Object {
    /// The value at a JSON pointer, `/status/agent`; null if there is none.
    fn at(&self, pointer: &str) -> &Value;

    /// The text at a JSON pointer; empty if there is none.
    fn text(&self, pointer: &str) -> &str {
        self.at(pointer).as_str().unwrap_or_default()
    }

    /// The number at a JSON pointer; 0 if there is none.
    fn number(&self, pointer: &str) -> i64 {
        self.at(pointer).as_i64().unwrap_or_default()
    }

    /// The condition of a type.
    fn condition(&self, kind: &str) -> Option<Condition> {
        let conditions = self.at("/status/conditions").as_array()?;
        conditions
            .iter()
            .filter_map(|condition| Condition::deserialize(condition).ok())
            .find(|condition| condition.kind == kind)
    }

    /// Whether the condition of a type is True.
    fn is(&self, kind: &str) -> bool {
        self.condition(kind)
            .is_some_and(|condition| condition.status == "True")
    }

    /// Whether the condition of a type is False for a reason.
    fn is_not(&self, kind: &str, reason: &str) -> bool {
        self.condition(kind)
            .is_some_and(|condition| condition.status == "False" && condition.reason == reason)
    }

    /// Its status, for messages.
    fn shown(&self) -> String {
        match self.at("/status") {
            Value::Null => "no status".to_owned(),
            status => format!("{status:#}"),
        }
    }

    /// Its version: another one after each write.
    fn version(&self) -> &str;

    /// Its metadata.uid.
    fn uid(&self) -> &str;

    /// Its metadata.name.
    fn name(&self) -> &str;
}

impl Object for DynamicObject {
    fn at(&self, pointer: &str) -> &Value {
        self.data.pointer(pointer).unwrap_or(&Value::Null)
    }

    fn version(&self) -> &str {
        self.metadata
            .resource_version
            .as_deref()
            .unwrap_or_default()
    }

    fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }
}
