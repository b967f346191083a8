//! Frames recorded between TypeScript peers: every one is read, and what we write of it means the
//! same (members that are null and members that are absent are alike, W09).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails says so by a panic"
)]

use bytes::Bytes;
use huly_protocol::{
    AgentCall, AgentInfo, AgentRegistration, Connect, ContainerCall, ContainerRecord, ErrorPayload,
    Find, Frame, GetParams, GetRequest, GotContainer, Hello, NetworkEvent, Op, Request, Uuid,
    method,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[derive(serde::Deserialize)]
struct Line {
    peer: String,
    dir: String,
    frames: Vec<String>,
}

fn lines(text: &str) -> Vec<Line> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn network() -> Vec<Line> {
    let files = [
        include_str!("transcripts/network.jsonl"),
        include_str!("transcripts/restart.jsonl"),
    ];
    files.into_iter().flat_map(lines).collect()
}

fn all() -> Vec<Line> {
    network()
        .into_iter()
        .chain(lines(include_str!("transcripts/agent.jsonl")))
        .collect()
}

fn frame(line: &Line) -> Frame {
    Frame::decode(line.frames.iter().map(|text| Bytes::from(text.clone()))).unwrap()
}

/// Drops members that are null: they mean the same as absent ones.
fn meaning(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, meaning(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(meaning).collect()),
        other => other,
    }
}

fn same<T: DeserializeOwned + Serialize>(text: &str) -> T {
    let read: T = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let written = serde_json::to_value(&read).unwrap();
    let recorded: Value = serde_json::from_str(text).unwrap();
    assert_eq!(meaning(written), meaning(recorded), "{text}");
    read
}

#[test]
fn every_frame_is_read_and_written_alike() {
    let lines = all();
    assert!(lines.len() > 100, "the recordings are there");
    for line in lines {
        let frame = frame(&line);
        let written: Vec<String> = frame
            .encode()
            .iter()
            .map(|part| String::from_utf8(part.to_vec()).unwrap())
            .collect();
        let recorded = &line.frames[..line.frames.len().min(3)];
        assert_eq!(
            written[..recorded.len()],
            *recorded,
            "{} {}",
            line.peer,
            line.dir
        );
    }
}

#[test]
fn hellos() {
    let hellos: Vec<Line> = all()
        .into_iter()
        .filter(|line| line.dir == "to-server" && line.frames[0] == "0")
        .collect();
    assert!(hellos.len() > 5);
    for line in hellos {
        let hello: Hello = same(&line.frames[2]);
        assert_eq!(hello.alive_timeout, Some(3.0));
        assert_eq!(hello.huly, None);
    }
}

#[test]
fn every_request_and_answer_has_its_type() {
    let mut asked = std::collections::BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    for line in network() {
        let frame = frame(&line);
        let key = |to_server: bool| (line.peer.clone(), to_server, frame.id.clone());
        let text = frame.payload_text().into_owned();
        let to_server = line.dir == "to-server";
        match frame.op {
            Op::Request => {
                let request = Request::read(text.as_bytes()).unwrap();
                asked.insert(key(to_server), request.method.to_string());
                seen.insert((to_server, request.method.to_string()));
                if to_server {
                    to_network(&request);
                } else {
                    to_agent(&request);
                }
            }
            Op::Response => {
                let method = asked
                    .get(&key(!to_server))
                    .expect("an answer to a request")
                    .as_str();
                answer(method, to_server, &text);
            }
            Op::ResponseError => {
                let error: ErrorPayload = same(&text);
                assert!(!error.message.is_empty());
                assert_eq!(error.code, None);
            }
            Op::Event => {
                let event: NetworkEvent = same(&text);
                assert!(!event.agents.is_empty() || !event.containers.is_empty());
            }
            _ => {}
        }
    }
    for method in ["ar", "au", "al", "ak", "gg", "cr", "cs", "cl"] {
        assert!(
            seen.contains(&(true, method.to_owned())),
            "{method} is in the recordings"
        );
    }
    for method in ["gg", "cs", "ct"] {
        assert!(
            seen.contains(&(false, method.to_owned())),
            "{method} to an agent"
        );
    }
}

fn to_network(request: &Request<'_>) {
    let text = request.params.get();
    match request.method.as_ref() {
        method::REGISTER_AGENT => {
            let registration: AgentRegistration = same(text);
            assert!(registration.huly.is_none());
        }
        method::GET => {
            let params: GetParams = same(text);
            assert!(params.huly.is_none());
        }
        method::CONTAINER_REQUEST => {
            container_call(text);
        }
        method::RELEASE | method::UNREGISTER_AGENT => {
            same::<Uuid>(text);
        }
        method::LIST_CONTAINERS | method::LIST_AGENTS | method::LIST_KINDS => {
            same::<Find>(text);
        }
        other => panic!("{other} is not known"),
    }
}

fn container_call(text: &str) {
    let call: ContainerCall<'_> = serde_json::from_str(text).unwrap();
    let recorded: Value = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_value(&call).unwrap(), recorded);
}

fn to_agent(request: &Request<'_>) {
    let call: AgentCall<'_> = serde_json::from_str(request.params.get()).unwrap();
    assert!(call.ext.is_none());
    match request.method.as_ref() {
        method::GET => {
            let (kind, asked): (String, GetRequest) =
                serde_json::from_str(call.params.get()).unwrap();
            assert_eq!(
                kind,
                if asked.uuid.as_deref() == Some("room-1") {
                    "room"
                } else {
                    "chat-room"
                }
            );
        }
        method::CONTAINER_REQUEST => container_call(call.params.get()),
        method::TERMINATE => {
            let [uuid]: [String; 1] = serde_json::from_str(call.params.get()).unwrap();
            assert!(!uuid.is_empty());
        }
        other => panic!("{other} is not known"),
    }
}

fn answer(method: &str, to_server: bool, text: &str) {
    match (method, to_server) {
        (method::GET, _) => {
            let got: GotContainer = same(text);
            let endpoint = huly_protocol::Endpoint::parse(&got.endpoint).unwrap();
            assert_eq!(endpoint.uuid.as_deref(), Some(got.uuid.as_str()));
            let again = huly_protocol::Endpoint::parse(&endpoint.text()).unwrap();
            assert_eq!(again, endpoint);
        }
        (method::LIST_AGENTS, _) => {
            same::<Vec<AgentInfo>>(text);
        }
        (method::LIST_CONTAINERS, _) => {
            same::<Vec<ContainerRecord>>(text);
        }
        (method::REGISTER_AGENT | method::LIST_KINDS, _) => {
            same::<Vec<String>>(text);
        }
        _ => {}
    }
}

#[test]
fn the_agents_own_router() {
    let mut events = 0;
    for line in lines(include_str!("transcripts/agent.jsonl")) {
        let frame = frame(&line);
        let text = frame.payload_text().into_owned();
        match frame.op {
            Op::Request => {
                let request = Request::read(text.as_bytes()).unwrap();
                match request.method.as_ref() {
                    method::CONNECT => {
                        let connect: Connect = same(request.params.get());
                        assert_eq!(connect.uuid.into_vec(), ["room-general"]);
                    }
                    method::DISCONNECT => {
                        same::<Uuid>(request.params.get());
                    }
                    method::CONTAINER_REQUEST => container_call(request.params.get()),
                    other => panic!("{other} is not known"),
                }
            }
            Op::Event => {
                let (uuid, data): (String, Value) = serde_json::from_str(&text).unwrap();
                assert_eq!(
                    (uuid.as_str(), &data["type"]),
                    ("room-general", &"said".into())
                );
                events += 1;
            }
            _ => {}
        }
    }
    assert_eq!(events, 1);
}
