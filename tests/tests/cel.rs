//! The rules of the custom resources, judged by a real API server: each has an accepted and a
//! refused example, and its message says what to do.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use huly_tests::{Cluster, Object, on_cluster};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

const KINDS: &str = "containerkinds.network.huly.io";
const CLAIMS: &str = "containerclaims.network.huly.io";

/// A rule and what it is shown.
struct Rule {
    /// Its custom resource definition.
    resource: &'static str,
    /// Where it stands in the schema.
    path: &'static str,
    message: &'static str,
    /// The spec of the object that is changed; a rule without one judges new objects.
    before: Option<Value>,
    accepted: Vec<Value>,
    refused: Vec<Value>,
}

impl Rule {
    /// A field that never changes: `before` with other values of `field` (null: without it) is
    /// refused.
    fn immutable(
        resource: &'static str,
        message: &'static str,
        before: &Value,
        field: &str,
        others: &[Value],
    ) -> Self {
        let refused = others
            .iter()
            .map(|other| with(before, field, other))
            .collect();
        Self {
            resource,
            path: ".spec",
            message,
            before: Some(before.clone()),
            accepted: vec![before.clone()],
            refused,
        }
    }
}

/// A spec with another value of a field; null: without it.
fn with(spec: &Value, field: &str, value: &Value) -> Value {
    let mut spec = spec.clone();
    if let Some(members) = spec.as_object_mut() {
        members.remove(field);
        if !value.is_null() {
            members.insert(field.to_owned(), value.clone());
        }
    }
    spec
}

fn rules() -> Vec<Rule> {
    let mut rules = claim_rules();
    rules.extend(kind_rules());
    rules.push(selector_rule());
    rules.push(requirement_rule(
        ".spec.placement.agentSelector.matchExpressions[]",
        |requirement| json!({"placement": {"agentSelector": {"matchExpressions": [requirement]}}}),
    ));
    rules.push(requirement_rule(
        ".spec.allowedNamespaces.selector.matchExpressions[]",
        |requirement| {
            let selector = json!({"matchExpressions": [requirement]});
            json!({"allowedNamespaces": {"from": "Selector", "selector": selector}})
        },
    ));
    rules
}

fn claim_rules() -> Vec<Rule> {
    let full = json!({
        "networkName": "nobody-watches-this",
        "containerKindName": "echo",
        "uuid": "u",
        "containerLabels": ["a", "b"],
        "extra": {"topic": "x", "n": 1},
    });
    let bare = json!({"networkName": "nobody-watches-this", "containerKindName": "echo"});
    let uuid = "uuid is immutable: delete the claim and create one with the other uuid";
    let labels =
        "containerLabels is immutable: delete the claim and create one with the other labels";
    let extra = "extra is immutable: delete the claim and create one with the other extra";
    vec![
        Rule::immutable(
            CLAIMS,
            "networkName is immutable: delete the object and create it in the other network",
            &full,
            "networkName",
            &[json!("other"), Value::Null],
        ),
        Rule::immutable(
            CLAIMS,
            "containerKindName is immutable: delete the claim and create one of the other kind",
            &full,
            "containerKindName",
            &[json!("other")],
        ),
        Rule::immutable(CLAIMS, uuid, &full, "uuid", &[json!("v"), Value::Null]),
        Rule::immutable(CLAIMS, uuid, &bare, "uuid", &[json!("u")]),
        Rule::immutable(
            CLAIMS,
            labels,
            &full,
            "containerLabels",
            &[json!(["a"]), json!(["a", "b", "c"]), Value::Null],
        ),
        Rule::immutable(CLAIMS, labels, &bare, "containerLabels", &[json!(["a"])]),
        Rule::immutable(
            CLAIMS,
            extra,
            &full,
            "extra",
            &[
                json!({"topic": "x"}),
                json!({"topic": "y", "n": 1}),
                Value::Null,
            ],
        ),
        Rule::immutable(CLAIMS, extra, &bare, "extra", &[json!({"topic": "x"})]),
    ]
}

fn kind_rules() -> Vec<Rule> {
    let named = json!({"networkName": "nobody-watches-this", "kindName": "echo"});
    let bare = json!({"networkName": "nobody-watches-this"});
    let kind_name = "kindName is immutable: create another ContainerKind for the other name";
    let mut network_name = Rule::immutable(
        KINDS,
        "networkName is immutable: delete the object and create it in the other network",
        &named,
        "networkName",
        &[json!("other"), Value::Null],
    );
    // What a kind says of placement, life and access may change.
    network_name.accepted.extend([
        with(&named, "placement", &json!({"maxPerAgent": 3})),
        with(&named, "lifecycle", &json!({"idleTimeoutSeconds": 60})),
        with(&named, "serial", &json!(true)),
        with(&named, "allowedNamespaces", &json!({"from": "None"})),
    ]);
    let others = [json!("other"), Value::Null];
    let stateless =
        "stateless is immutable: delete the ContainerKind and create it with the other uuid";
    let leader = with(&named, "stateless", &json!({"uuid": "leader"}));
    vec![
        network_name,
        Rule::immutable(
            KINDS,
            stateless,
            &leader,
            "stateless",
            &[json!({"uuid": "other"}), Value::Null],
        ),
        Rule::immutable(
            KINDS,
            stateless,
            &named,
            "stateless",
            &[json!({"uuid": "leader"})],
        ),
        Rule::immutable(KINDS, kind_name, &named, "kindName", &others),
        Rule::immutable(KINDS, kind_name, &bare, "kindName", &[json!("echo")]),
    ]
}

fn selector_rule() -> Rule {
    let selector = json!({"matchLabels": {"team": "a"}});
    let of = |allowed: Value| json!({"networkName": "nobody-watches-this", "allowedNamespaces": allowed});
    Rule {
        resource: KINDS,
        path: ".spec.allowedNamespaces",
        message: "selector goes with from: Selector, and only then: set both or leave the selector out",
        before: None,
        accepted: vec![
            of(json!({"from": "Selector", "selector": selector})),
            of(json!({"from": "All"})),
            of(json!({"uuidScope": "Cluster"})),
        ],
        refused: vec![
            of(json!({"from": "Selector"})),
            of(json!({"from": "All", "selector": selector})),
            of(json!({"from": "None", "selector": selector})),
            of(json!({"selector": selector})),
        ],
    }
}

fn requirement_rule(path: &'static str, inside: impl Fn(Value) -> Value) -> Rule {
    let of = |operator: &str, values: Option<Value>| {
        let mut requirement = json!({"key": "zone", "operator": operator});
        if let Some(values) = values {
            requirement["values"] = values;
        }
        with(
            &inside(requirement),
            "networkName",
            &json!("nobody-watches-this"),
        )
    };
    Rule {
        resource: KINDS,
        path,
        message: "values goes with the operators In and NotIn, at least one, and with no other: mend the values",
        before: None,
        accepted: vec![
            of("In", Some(json!(["a"]))),
            of("NotIn", Some(json!(["a", "b"]))),
            of("Exists", None),
            of("DoesNotExist", None),
            of("Exists", Some(json!([]))),
        ],
        refused: vec![
            of("In", None),
            of("In", Some(json!([]))),
            of("NotIn", None),
            of("Exists", Some(json!(["a"]))),
            of("DoesNotExist", Some(json!(["a"]))),
        ],
    }
}

/// Where the examples of one rule are made.
struct Place<'a> {
    cluster: &'a Cluster,
    namespace: &'a str,
    made: usize,
}

impl Place<'_> {
    /// Makes an object, changes it if the rule is about that, and says what became of it.
    async fn show(&mut self, rule: &Rule, spec: &Value) -> Result<(), String> {
        let Some(before) = &rule.before else {
            return self.create(rule.resource, spec).await.map(drop);
        };
        let name = self.create(rule.resource, before).await?;
        let api = match rule.resource {
            KINDS => self.cluster.kinds(),
            _ => self.cluster.claims(self.namespace),
        };
        let mut object = api.get(&name).await.map_err(words)?;
        object.data["spec"] = spec.clone();
        let replaced = api.replace(&name, &PostParams::default(), &object).await;
        replaced.map(drop).map_err(words)
    }

    async fn create(&mut self, resource: &str, spec: &Value) -> Result<String, String> {
        self.made += 1;
        let name = self.cluster.kind_name(&self.made.to_string());
        let made = match resource {
            KINDS => self.cluster.create_kind(&name, spec.clone()).await,
            _ => {
                self.cluster
                    .create_claim(self.namespace, &name, spec.clone())
                    .await
            }
        };
        match made {
            Ok(object) => Ok(object.name().to_owned()),
            Err(error) => Err(format!("{error:#}")),
        }
    }
}

fn words(error: kube::Error) -> String {
    error.to_string()
}

#[tokio::test]
async fn every_rule_accepts_and_refuses() -> Result<()> {
    on_cluster(async |cluster| {
        let namespace = cluster.namespace("cel").await?;
        let mut place = Place {
            cluster,
            namespace: &namespace,
            made: 0,
        };
        let mut wrong = Vec::new();
        for rule in rules() {
            for spec in &rule.accepted {
                if let Err(said) = place.show(&rule, spec).await {
                    wrong.push(format!("{}: {spec} was refused: {said}", rule.message));
                }
            }
            for spec in &rule.refused {
                match place.show(&rule, spec).await {
                    Ok(()) => wrong.push(format!("{}: {spec} was taken", rule.message)),
                    Err(said) if said.contains(rule.message) => {}
                    Err(said) => {
                        wrong.push(format!("{}: {spec} was refused by: {said}", rule.message));
                    }
                }
            }
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn every_rule_has_examples() -> Result<()> {
    on_cluster(async |cluster| {
        let definitions: Api<CustomResourceDefinition> = Api::all(cluster.client());
        let mut there = BTreeSet::new();
        for resource in [KINDS, CLAIMS] {
            let definition = serde_json::to_value(definitions.get(resource).await?)?;
            let versions = definition["spec"]["versions"].as_array();
            for version in versions.context("a definition has versions")? {
                collect(
                    &version["schema"]["openAPIV3Schema"],
                    resource,
                    "",
                    &mut there,
                );
            }
        }
        let told: BTreeSet<_> = rules()
            .into_iter()
            .filter(|rule| !rule.accepted.is_empty() && !rule.refused.is_empty())
            .map(|rule| (rule.resource, rule.path.to_owned(), rule.message.to_owned()))
            .collect();
        assert_eq!(
            there, told,
            "left: rules of the API server, right: rules with examples"
        );
        Ok(())
    })
    .await
}

/// The rules of a schema, wherever they stand in it.
fn collect(
    schema: &Value,
    resource: &'static str,
    path: &str,
    found: &mut BTreeSet<(&'static str, String, String)>,
) {
    for rule in schema["x-kubernetes-validations"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let message = rule["message"]
            .as_str()
            .unwrap_or("a rule without a message");
        found.insert((resource, path.to_owned(), message.to_owned()));
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        collect(inner, resource, &format!("{path}.{name}"), found);
    }
    for (member, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[member].is_object() {
            collect(&schema[member], resource, &format!("{path}{mark}"), found);
        }
    }
}
