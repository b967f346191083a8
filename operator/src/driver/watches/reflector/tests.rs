//! A reflector before an API server that does as it is told, in made time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::client::Body;
use kube::core::PartialObjectMeta;
use prometheus::Registry;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::model;

/// How a watch is answered.
#[derive(Debug, Clone)]
enum Watch {
    /// It says these events, and ends.
    Says(Vec<Value>),
    Refused(u16),
}

/// An API server with namespaces.
#[derive(Debug, Clone, Default)]
struct Server(Arc<Mutex<Script>>);

#[derive(Debug, Default)]
struct Script {
    /// Versions and what is listed at them; the last one stays.
    lists: VecDeque<(u64, Vec<&'static str>)>,
    watches: VecDeque<Watch>,
    /// How all other watches are answered.
    otherwise: Option<Watch>,
    asked: Vec<String>,
}

impl Server {
    fn client(&self) -> Client {
        let script = self.0.clone();
        let server = tower::service_fn(move |request: Request<Body>| {
            let answer = script.lock().unwrap().answer(&request);
            std::future::ready(Ok::<_, std::convert::Infallible>(answer))
        });
        Client::new(server, "default")
    }

    /// How often something was asked.
    fn count(&self, what: &str) -> usize {
        let script = self.0.lock().unwrap();
        let asked = script.asked.iter().filter(|asked| asked.contains(what));
        asked.count()
    }

    fn then(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.0.lock().unwrap());
    }
}

impl Script {
    fn answer(&mut self, request: &Request<Body>) -> Response<Body> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let is_watch = query.contains("watch=true");
        self.asked.push(query);
        if !is_watch {
            let (version, names) = match self.lists.len() {
                1 => self.lists[0].clone(),
                _ => self.lists.pop_front().unwrap(),
            };
            let items: Vec<Value> = names.iter().map(|name| object(name, version)).collect();
            let list =
                json!({ "metadata": { "resourceVersion": version.to_string() }, "items": items });
            return Response::new(Body::from(list.to_string().into_bytes()));
        }
        let watch = self.watches.pop_front().or_else(|| self.otherwise.clone());
        match watch.unwrap_or(Watch::Says(vec![])) {
            Watch::Refused(code) => {
                let status = json!({ "kind": "Status", "status": "Failure", "code": code });
                let body = Body::from(status.to_string().into_bytes());
                Response::builder().status(code).body(body).unwrap()
            }
            Watch::Says(events) => {
                let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
                Response::new(Body::from(lines.into_bytes()))
            }
        }
    }
}

fn object(name: &str, version: u64) -> Value {
    let metadata = json!({ "name": name, "resourceVersion": version.to_string() });
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata })
}

fn event(kind: &str, name: &str, version: u64) -> Value {
    json!({ "type": kind, "object": object(name, version) })
}

/// What is told from a floor on.
fn told(server: &Server, floor: u64) -> (UnboundedReceiver<Input>, watch::Sender<Audience>) {
    let api: Api<PartialObjectMeta<Namespace>> = Api::all(server.client());
    let reflector = Reflector {
        api,
        fields: None,
        what: "Namespaces",
        reason: "watch_namespaces",
        read: |object: PartialObjectMeta<Namespace>| -> Object<model::Namespace> {
            Object::Read(object.metadata.into())
        },
        input: Input::Namespaces,
        metrics: Metrics::new(&Registry::new()).unwrap(),
    };
    let (inputs, told) = unbounded_channel();
    let (audience, watched) = watch::channel(Audience { inputs, floor });
    tokio::spawn(reflector.run(watched));
    (told, audience)
}

/// The next input, in words.
async fn next(told: &mut UnboundedReceiver<Input>) -> String {
    let name = |object: &Object<model::Namespace>| match object {
        Object::Read(namespace) => namespace.name.clone(),
        Object::Unreadable(_) => "unreadable".to_owned(),
    };
    match told.recv().await.unwrap() {
        Input::Namespaces(Watched::Listed(objects)) => {
            let names: Vec<String> = objects.iter().map(name).collect();
            format!("listed {}", names.join(" "))
        }
        Input::Namespaces(Watched::Applied(object)) => format!("applied {}", name(&object)),
        Input::Namespaces(Watched::Deleted(object)) => format!("deleted {}", name(&object)),
        Input::Watch { trouble, .. } => match trouble {
            Some(why) => format!("trouble: {why}"),
            None => "well".to_owned(),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_listed_and_changes_is_told() {
    let server = Server::default();
    server.then(|script| {
        script.lists = [(5, vec!["a", "b"])].into();
        let events = vec![event("ADDED", "c", 6), event("DELETED", "a", 7)];
        script.watches = [Watch::Says(events)].into();
    });
    let (mut told, _audience) = told(&server, 0);
    for expected in ["listed a b", "applied c", "deleted a"] {
        assert_eq!(next(&mut told).await, expected);
    }
    // It goes on from there.
    while server.count("resourceVersion=7") == 0 {
        assert!(next(&mut told).await.starts_with("trouble"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_older_than_what_was_told_is_not_told() {
    let server = Server::default();
    server.then(|script| {
        script.lists = [
            (5, vec!["a"]),
            (4, vec![]),
            (5, vec!["a"]),
            (8, vec!["a", "c"]),
        ]
        .into();
        let changed = Watch::Says(vec![event("ADDED", "c", 7)]);
        script.watches = [changed, Watch::Refused(410)].into();
    });
    let (mut told, _audience) = told(&server, 0);
    for expected in ["listed a", "applied c", "trouble: version 7 is too old"] {
        let said = next(&mut told).await;
        assert!(said.starts_with(expected), "{said}");
    }
    for older in [4, 5] {
        let said = next(&mut told).await;
        let expected = format!("lists version {older}, which is older than 7");
        assert!(said.contains(&expected), "{said}");
    }
    assert_eq!(next(&mut told).await, "well");
    assert_eq!(next(&mut told).await, "listed a c");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_to_a_leader_that_is_older_than_its_lease() {
    let server = Server::default();
    server.then(|script| script.lists = [(5, vec![]), (9, vec![]), (10, vec!["a"])].into());
    let (mut told, _audience) = told(&server, 10);
    for older in [5, 9] {
        let said = next(&mut told).await;
        assert!(said.contains(&format!("lists version {older}")), "{said}");
    }
    assert_eq!(next(&mut told).await, "well");
    assert_eq!(next(&mut told).await, "listed a");
}

#[tokio::test(start_paused = true)]
async fn another_audience_is_told_everything_anew() {
    let server = Server::default();
    server.then(|script| {
        script.lists = [(5, vec!["a"]), (6, vec!["a", "b"])].into();
        script.otherwise = Some(Watch::Refused(500));
    });
    let (mut first, audience) = told(&server, 0);
    assert_eq!(next(&mut first).await, "listed a");
    let (inputs, mut second) = unbounded_channel();
    audience.send_replace(Audience { inputs, floor: 6 });
    assert_eq!(next(&mut second).await, "listed a b");
}

/// How many watches are asked for in a minute.
async fn watches_in_a_minute(watch: Watch) -> usize {
    let server = Server::default();
    server.then(|script| {
        script.lists = [(5, vec!["a"])].into();
        script.otherwise = Some(watch);
    });
    let (_told, _audience) = told(&server, 0);
    tokio::time::sleep(Duration::from_secs(60)).await;
    server.count("watch=true")
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_is_tried_ever_more_seldom() {
    let expired = json!({ "type": "ERROR", "object": { "kind": "Status", "code": 410 } });
    for watch in [
        Watch::Says(vec![]),
        Watch::Says(vec![expired]),
        Watch::Refused(410),
        Watch::Refused(500),
    ] {
        let asked = watches_in_a_minute(watch.clone()).await;
        assert!((8..=25).contains(&asked), "{watch:?}: {asked}");
    }
}
