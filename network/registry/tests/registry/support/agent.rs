use std::collections::{BTreeMap, BTreeSet};

use huly_protocol::{Frame, Op};
use serde_json::{Value, json};

use super::{Answer, Side, text};

/// A call of the server to an agent.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) method: String,
    pub(crate) params: Value,
    /// The extension beside the parameters; null without.
    pub(crate) ext: Value,
}

/// A container at an agent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Copy {
    pub(crate) kind: String,
    pub(crate) endpoint: String,
    pub(crate) labels: Value,
    pub(crate) extra: Value,
    /// What a Rust agent keeps beside it: the server's StartExt.
    pub(crate) huly: Value,
}

/// An agent that does as it is told.
#[derive(Debug)]
pub(crate) struct AgentSim {
    pub(crate) id: String,
    pub(crate) side: Side,
    pub(crate) kinds: Vec<String>,
    pub(crate) labels: Value,
    pub(crate) specs: Value,
    pub(crate) draining: bool,
    pub(crate) containers: BTreeMap<String, Copy>,
    /// Containers that it is ending.
    pub(crate) stopping: BTreeMap<String, Copy>,
    /// Uuids of which it makes containers beforehand.
    pub(crate) stateless: BTreeSet<String>,
    /// Calls of these methods are left unanswered.
    pub(crate) mute: Vec<&'static str>,
    /// Why it refuses to start anything.
    pub(crate) refuses: Option<String>,
    /// Every call, in the order in which they came.
    pub(crate) calls: Vec<Call>,
    /// Requests that containers ran: uuid, operation.
    pub(crate) ran: Vec<(String, String)>,
    done: BTreeMap<String, Answer>,
    made: u32,
}

impl AgentSim {
    pub(crate) fn new(id: &str, side: Side, kinds: &[&str]) -> Self {
        Self {
            id: id.into(),
            side,
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            labels: json!({}),
            specs: json!([]),
            draining: false,
            containers: BTreeMap::new(),
            stopping: BTreeMap::new(),
            stateless: BTreeSet::new(),
            mute: Vec::new(),
            refuses: None,
            calls: Vec::new(),
            ran: Vec::new(),
            done: BTreeMap::new(),
            made: 0,
        }
    }

    /// The parameters of `ar`.
    pub(crate) fn registration(&self) -> Value {
        let records = |of: &BTreeMap<String, Copy>| -> Vec<Value> {
            let record = |(uuid, copy): (&String, &Copy)| {
                let mut record = json!({
                    "agentId": self.id, "uuid": uuid, "kind": copy.kind,
                    "endpoint": copy.endpoint, "lastVisit": 0,
                });
                if self.side == Side::Rust {
                    // A TypeScript agent's registration has neither (W24).
                    record["labels"] = copy.labels.clone();
                    record["extra"] = copy.extra.clone();
                    record["huly"] = copy.huly.clone();
                }
                record
            };
            of.iter().map(record).collect()
        };
        let containers = records(&self.containers);
        let mut params = json!({
            "uuid": self.id, "kinds": self.kinds, "containers": containers,
            "endpoint": self.endpoint(None, &Value::Null),
        });
        if self.side == Side::Rust {
            params["huly"] = json!({
                "labels": self.labels, "specs": self.specs, "draining": self.draining,
                "stopping": records(&self.stopping),
            });
        }
        params
    }

    pub(crate) fn endpoint(&self, uuid: Option<&str>, epoch: &Value) -> String {
        let mut endpoint = json!({"kind": 0, "host": self.id, "port": 3738, "agentId": self.id});
        if let Some(uuid) = uuid {
            endpoint["uuid"] = uuid.into();
        }
        if self.side == Side::Rust && !epoch.is_null() {
            endpoint["epoch"] = epoch.clone();
        }
        endpoint.to_string()
    }

    /// Puts a container there without being asked.
    pub(crate) fn put(&mut self, uuid: &str, kind: &str, huly: Value) {
        let copy = Copy {
            kind: kind.into(),
            endpoint: self.endpoint(Some(uuid), &huly["epoch"]),
            huly,
            ..Copy::default()
        };
        self.containers.insert(uuid.into(), copy);
    }

    /// Begins to end a container, for its own reasons or because a server said so.
    pub(crate) fn begin_to_end(&mut self, uuid: &str) {
        let copy = self.containers.remove(uuid).expect("a container");
        self.stopping.insert(uuid.into(), copy);
    }

    /// Makes a container beforehand, in reserve.
    pub(crate) fn stand_by(&mut self, uuid: &str, kind: &str) {
        let huly = match self.side {
            Side::Plain => json!({}),
            Side::Rust => json!({"stateless": "Standby"}),
        };
        self.put(uuid, kind, huly);
        self.stateless.insert(uuid.to_owned());
    }

    /// Takes a call; returns the answer if it gives one now.
    pub(crate) fn call(&mut self, frame: &Frame) -> Option<Answer> {
        let payload: Value = serde_json::from_slice(&frame.payload).expect("a request is JSON");
        let call = Call {
            id: frame.id.clone(),
            method: text(&payload[0]),
            params: payload[1][1].clone(),
            ext: payload[1][2].clone(),
        };
        assert_eq!(payload[1][0], self.id.as_str(), "a call for another agent");
        self.calls.push(call.clone());
        let muted = self.mute.iter().any(|method| *method == call.method);
        (!muted).then(|| self.act(&call))
    }

    /// Does what a call asks for.
    pub(crate) fn act(&mut self, call: &Call) -> Answer {
        let params = &call.params;
        match call.method.as_str() {
            "gg" => self.start(params, &call.ext),
            "ct" => {
                let uuid = text(&params[0]);
                let known = &self
                    .containers
                    .get(&uuid)
                    .map(|copy| copy.huly["epoch"].clone());
                let meant = &call.ext["epoch"];
                self.stopping.remove(&uuid);
                if meant.is_null() || known.as_ref().is_none_or(|known| known == meant) {
                    self.containers.remove(&uuid);
                }
                Ok(json!(""))
            }
            "cs" => self.run(params, &call.ext),
            "xh" => {
                for told in params.as_array().unwrap() {
                    if let Some(copy) = self.containers.get_mut(&text(&told["uuid"])) {
                        copy.huly["holders"] = told["holders"].clone();
                        copy.huly["lastFailover"] = told["lastFailover"].clone();
                    }
                }
                Ok(json!("ok"))
            }
            "xc" => Ok(json!("ok")),
            "ks" => {
                self.specs = params.clone();
                Ok(json!("ok"))
            }
            "kr" => {
                self.specs = json!([]);
                Ok(json!("ok"))
            }
            other => panic!("the server called {other}"),
        }
    }

    fn start(&mut self, params: &Value, ext: &Value) -> Answer {
        if let Some(why) = &self.refuses {
            return Err(json!({"message": why, "stack": ""}));
        }
        let (kind, request) = (text(&params[0]), &params[1]);
        let uuid = match request["uuid"].as_str() {
            Some(uuid) => uuid.to_owned(),
            None => {
                assert_eq!(self.side, Side::Plain, "a Rust agent is told the uuid");
                self.made += 1;
                format!("made-by-{}-{}", self.id, self.made)
            }
        };
        let mut huly = ext.clone();
        if self.side == Side::Rust && self.stateless.contains(&uuid) {
            huly["stateless"] = "Owner".into();
        }
        let copy = Copy {
            kind,
            endpoint: self.endpoint(Some(&uuid), &ext["epoch"]),
            labels: request["labels"].clone(),
            extra: request["extra"].clone(),
            huly,
        };
        let endpoint = copy.endpoint.clone();
        self.containers.insert(uuid.clone(), copy);
        Ok(json!([uuid, endpoint]))
    }

    fn run(&mut self, params: &Value, ext: &Value) -> Answer {
        let (uuid, operation) = (text(&params[0]), text(&params[1]));
        let name = format!("{}/{}/{}", ext["client"], ext["request"], ext["epoch"]);
        if self.side == Side::Rust
            && let Some(answer) = self.done.get(&name)
        {
            return answer.clone();
        }
        let answer = match self.containers.get(&uuid) {
            None => Err(json!({"message": format!("no container {uuid}"), "stack": ""})),
            Some(copy) if self.side == Side::Rust && copy.huly["epoch"] != ext["epoch"] => {
                Err(json!({"message": "another life", "stack": "", "code": "gone"}))
            }
            Some(_) => {
                self.ran.push((uuid, operation.clone()));
                Ok(json!({"on": self.id, "did": operation, "with": params[2]}))
            }
        };
        self.done.insert(name, answer.clone());
        answer
    }

    pub(crate) fn answer_frame(id: &str, answer: Answer) -> Frame {
        match answer {
            Ok(value) => Frame::new(Op::Response, id, value.to_string()),
            Err(error) => Frame::new(Op::ResponseError, id, error.to_string()),
        }
    }

    /// The calls of a method, in order.
    pub(crate) fn called(&self, method: &str) -> Vec<Call> {
        let calls = self.calls.iter().filter(|call| call.method == method);
        calls.cloned().collect()
    }
}
