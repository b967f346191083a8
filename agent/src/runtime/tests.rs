//! A whole agent in this process: its ROUTER is real, the server is the test.

mod containers;
mod direct;
mod dropped;
mod fair;
mod gate;
mod hooks;
mod host;
mod life;
mod own_router;
mod ping;
mod queue;
mod standby;
mod watchdog;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use huly_client::boot_clock;
use huly_protocol::{AgentRegistration, ErrorPayload, Frame, Json, Op};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use zeromq::{DealerSocket, Socket, SocketRecv, SocketSend, ZmqMessage};

use crate::core::Input;
use crate::kinds::Kinds;
use crate::options::AgentOptions;
use crate::run::AgentHandle;
use crate::runtime::LinkTo;
use crate::runtime::link::{Link, LinkCall, LinkInput, Reply, Told};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(10);

async fn patient<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what)
        .await
        .expect("it did not come in time")
}

/// An agent and its server, which the test plays.
struct Rig {
    agent: AgentHandle,
    inputs: mpsc::UnboundedSender<LinkInput>,
    told: mpsc::UnboundedReceiver<Told>,
}

impl Rig {
    fn new() -> Self {
        Self::with(kinds(), |_| {})
    }

    fn with(kinds: Kinds, change: impl FnOnce(&mut AgentOptions)) -> Self {
        Self::over(kinds, false, change)
    }

    /// Over the session of an application's client, if that is shared.
    fn over(kinds: Kinds, shared: bool, change: impl FnOnce(&mut AgentOptions)) -> Self {
        let (inputs, taken) = mpsc::unbounded_channel();
        let (tell, told) = mpsc::unbounded_channel();
        let mut options = AgentOptions::local("127.0.0.1:1").unwrap();
        options.workers = Some(2);
        options.id = Some("agent-1".to_owned());
        change(&mut options);
        let link = LinkTo::Test(Link::Test {
            inputs: taken,
            told: tell,
            shared,
        });
        let agent = AgentHandle::start_with(options, kinds, link).unwrap();
        Self {
            agent,
            inputs,
            told,
        }
    }

    /// One that is registered; its lease lasts as long as any test.
    async fn registered() -> Self {
        let mut rig = Self::new();
        rig.register().await;
        rig
    }

    async fn register(&mut self) -> AgentRegistration {
        self.link(Input::Register);
        let registration = loop {
            if let Told::Register(registration) = self.told().await {
                break *registration;
            }
        };
        let end = Vec::new();
        self.link(Input::Registered { end });
        let until = boot_clock() + Duration::from_secs(3_600);
        let length = Duration::from_secs(1);
        self.link(Input::Lease { until, length });
        registration
    }

    /// The server says something.
    fn link(&self, input: Input) {
        self.inputs.send(LinkInput::Core(input)).unwrap();
    }

    async fn told(&mut self) -> Told {
        patient(self.told.recv())
            .await
            .expect("the agent has ended")
    }

    /// The uuids of the containers that ended, as they are reported next.
    async fn told_removed(&mut self) -> Vec<String> {
        loop {
            if let Told::Update(event) = self.told().await {
                let uuids = event.containers.into_iter();
                return uuids.map(|change| change.container.uuid).collect();
            }
        }
    }

    fn call(
        &self,
        method: &str,
        params: Value,
        ext: Value,
    ) -> oneshot::Receiver<Result<Json, ErrorPayload>> {
        let (answer, answered) = oneshot::channel();
        let call = LinkCall {
            method: method.to_owned(),
            params: Json::of(&params).unwrap(),
            ext: (!ext.is_null()).then(|| Json::of(&ext).unwrap()),
            reply: Reply::Local(answer),
        };
        self.inputs.send(LinkInput::Call(call)).unwrap();
        answered
    }

    async fn ask(&self, method: &str, params: Value, ext: Value) -> Result<Value, ErrorPayload> {
        let answer = patient(self.call(method, params, ext)).await.unwrap();
        answer.map(|json| json.read().unwrap())
    }

    async fn get(&self, kind: &str, uuid: &str, ext: Value) -> Result<Value, ErrorPayload> {
        self.ask("gg", json!([kind, { "uuid": uuid }]), ext).await
    }

    async fn request(
        &self,
        uuid: &str,
        operation: &str,
        data: Value,
    ) -> Result<Value, ErrorPayload> {
        self.ask("cs", json!([uuid, operation, data]), Value::Null)
            .await
    }

    async fn dealer(&self, client: &str) -> Dealer {
        let mut dealer = Dealer::connect(&self.agent).await;
        let hello = dealer
            .say(Op::Hello, client, r#"{"aliveTimeout":60}"#)
            .await;
        assert_eq!(hello.op, Op::Hello);
        dealer
    }

    /// A page of the agent's HTTP side: status line and body.
    async fn page(&self, path: &str) -> (String, String) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(self.agent.http())
            .await
            .unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        patient(stream.read_to_string(&mut text)).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    /// Waits until a metric has a value.
    async fn metric(&self, line: &str) {
        let seen = async {
            while !self.page("/metrics").await.1.lines().any(|one| one == line) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, seen)
            .await
            .unwrap_or_else(|_| panic!("no {line}"));
    }
}

/// A client of the agent's ROUTER.
struct Dealer {
    socket: DealerSocket,
}

impl Dealer {
    async fn connect(agent: &AgentHandle) -> Self {
        Self::connect_to(agent.address().port()).await
    }

    async fn connect_to(port: u16) -> Self {
        let mut socket = DealerSocket::new();
        let endpoint = format!("tcp://127.0.0.1:{port}");
        patient(socket.connect(&endpoint)).await.unwrap();
        Self { socket }
    }

    async fn send(&mut self, op: Op, id: &str, payload: &str) {
        let [op, id, payload] = Frame::new(op, id, payload.to_owned()).encode();
        self.send_raw(vec![op, id, payload]).await;
    }

    async fn send_raw(&mut self, parts: Vec<Bytes>) {
        let message = ZmqMessage::try_from(parts).expect("a part");
        patient(self.socket.send(message)).await.unwrap();
    }

    async fn recv(&mut self) -> Frame {
        let message = patient(self.socket.recv()).await.unwrap();
        Frame::decode(message.into_vecdeque()).unwrap()
    }

    async fn say(&mut self, op: Op, id: &str, payload: &str) -> Frame {
        self.send(op, id, payload).await;
        self.recv().await
    }

    /// A request's answer.
    async fn ask(&mut self, id: &str, method: &str, params: Value) -> Result<Value, ErrorPayload> {
        let payload = json!([method, params]).to_string();
        let frame = self.say(Op::Request, id, &payload).await;
        assert_eq!(frame.id, id);
        match frame.op {
            Op::Response => Ok(serde_json::from_slice(&frame.payload).unwrap()),
            Op::ResponseError => Err(ErrorPayload::read(&frame.payload)),
            other => panic!("op {other}"),
        }
    }
}

fn kinds() -> Kinds {
    Kinds::new()
        .serve("probe", |context| async {
            Ok(containers::Probe::new(context))
        })
        .serve("stubborn", |_| async { Ok(containers::Stubborn) })
        .serve("broken", |_| containers::broken())
}
