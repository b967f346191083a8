//! A ROUTER that a test plays the network server with.

use std::time::Duration;

use bytes::Bytes;
use huly_client::{Client, ClientBuilder};
use huly_protocol::{Frame, HelloAnswer, Limits, Op, PROTOCOL_VERSION, Request};
use tokio::time::timeout;
use zeromq::{RouterSocket, Socket, SocketRecv, SocketSend, ZmqMessage};

const PATIENCE: Duration = Duration::from_secs(10);

/// What a server says of itself.
#[derive(Clone)]
pub(crate) struct Persona {
    pub(crate) session: &'static str,
    pub(crate) instance: &'static str,
    pub(crate) term: u64,
}

pub(crate) const FIRST: Persona = Persona {
    session: "session-1",
    instance: "instance-1",
    term: 1_000,
};

pub(crate) struct FakeServer {
    socket: RouterSocket,
    pub(crate) address: String,
    /// Whether pings are answered on their own while something else is awaited.
    pub(crate) pongs: bool,
    session: String,
}

/// A message and whom it is from.
pub(crate) struct From {
    pub(crate) peer: Bytes,
    pub(crate) frame: Frame,
}

impl From {
    pub(crate) fn method(&self) -> String {
        let request = Request::read(&self.frame.payload).expect("a request's payload");
        request.method.into_owned()
    }

    /// Of a request to a container: what is asked, and what is said beside it.
    pub(crate) fn asked(&self) -> (serde_json::Value, serde_json::Value) {
        let params = self.params();
        let all = params.as_array().expect("an array");
        assert_eq!(
            all.len(),
            4,
            "a Rust client says how long it waits: {params}"
        );
        (all[..3].to_vec().into(), all[3].clone())
    }

    pub(crate) fn params(&self) -> serde_json::Value {
        let request = Request::read(&self.frame.payload).expect("a request's payload");
        serde_json::from_str(request.params.get()).expect("JSON")
    }
}

impl FakeServer {
    pub(crate) async fn start() -> Self {
        Self::listen("127.0.0.1:0").await
    }

    pub(crate) async fn listen(address: &str) -> Self {
        let listener = std::net::TcpListener::bind(address).expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let mut socket = RouterSocket::new();
        socket.bind_listener(listener).await.expect("listening");
        Self {
            socket,
            address,
            pongs: true,
            session: String::new(),
        }
    }

    /// Ends it, as a process does, and starts another one at the same address.
    pub(crate) async fn restart(self) -> Self {
        let address = self.address.clone();
        self.end().await;
        Self::listen(&address).await
    }

    pub(crate) async fn end(mut self) {
        let errors = self.socket.unbind_all().await;
        assert!(errors.is_empty(), "{errors:?}");
    }

    pub(crate) fn client(&self) -> ClientBuilder {
        Client::builder(&self.address).client_id("client-1")
    }

    /// The next message, pings left out where they are answered.
    pub(crate) async fn next(&mut self) -> From {
        loop {
            let message = timeout(PATIENCE, self.socket.recv())
                .await
                .expect("a message in time")
                .expect("a message");
            let mut parts = message.into_vecdeque().into_iter();
            let peer = parts.next().expect("an identity");
            let frame = Frame::decode(parts).expect("a message of the protocol");
            if frame.op == Op::Ping {
                if self.pongs {
                    let session = self.session.clone();
                    self.send(&peer, Frame::new(Op::Pong, session, frame.payload))
                        .await;
                }
                continue;
            }
            return From { peer, frame };
        }
    }

    pub(crate) async fn send(&mut self, peer: &Bytes, frame: Frame) {
        let [op, id, payload] = frame.encode();
        let mut message = ZmqMessage::from(peer.clone());
        message.push_back(op);
        message.push_back(id);
        message.push_back(payload);
        // A peer that has just left is no concern of the test's.
        let _ = self.socket.send(message).await;
    }

    /// The next hello, answered.
    pub(crate) async fn welcome(&mut self, persona: &Persona) -> From {
        let hello = self.next().await;
        assert_eq!(hello.frame.op, Op::Hello, "a hello comes first");
        let answer = HelloAnswer {
            v: PROTOCOL_VERSION,
            instance: persona.instance.to_owned(),
            term: persona.term,
            network: "test".to_owned(),
            features: Vec::new(),
            control: false,
            limits: Limits {
                message_bytes: 1 << 20,
                requests_in_flight: 1_024,
                lease_ms: 1_000,
            },
            container: None,
        };
        self.session = persona.session.to_owned();
        let payload = serde_json::to_vec(&answer).expect("JSON");
        self.send(&hello.peer, Frame::new(Op::Hello, persona.session, payload))
            .await;
        hello
    }

    /// The next hello, answered as an original server does.
    pub(crate) async fn welcome_plainly(&mut self, uuid: &str) -> From {
        let hello = self.next().await;
        assert_eq!(hello.frame.op, Op::Hello, "a hello comes first");
        self.session = uuid.to_owned();
        self.send(&hello.peer, Frame::new(Op::Hello, uuid, ""))
            .await;
        hello
    }

    /// The next request, which must be of `method`.
    pub(crate) async fn request(&mut self, method: &str) -> From {
        let request = self.next().await;
        assert_eq!(request.frame.op, Op::Request);
        assert_eq!(request.method(), method);
        request
    }

    pub(crate) async fn answer(&mut self, request: &From, answer: serde_json::Value) {
        let frame = Frame::new(
            Op::Response,
            request.frame.id.clone(),
            answer.to_string().into_bytes(),
        );
        self.send(&request.peer, frame).await;
    }
}
