//! A session whose time and peer are the test's.

use std::time::Duration;

use huly_protocol::{
    ErrorCode, Frame, GetExt, GetParams, GetRequest, HelloAnswer, Json, Limits, Op,
    PROTOCOL_VERSION, Request,
};
use huly_session::{Call, Config, Effect, Input, Peer, Session, Token};
use serde_json::{Value, json};

pub(crate) const LEASE_MS: u64 = 1_000;

pub(crate) fn config() -> Config {
    Config {
        peer: Peer::Server,
        client_id: "client".into(),
        nonce: "nonce".into(),
        request_prefix: "client-p-".into(),
        secret: None,
        fencing: None,
        container: None,
        alive_timeout: Duration::from_secs(3),
        request_timeout: Duration::from_secs(30),
        seed: 7,
    }
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn hello_answer(session: &str, instance: &str, term: u64, in_flight: u32) -> Frame {
    answer(session, instance, term, in_flight, 1 << 20, None)
}

/// A container's own ROUTER.
pub(crate) fn hello_answer_of(container: &str, instance: &str) -> Frame {
    answer("s-1", instance, 0, 1_024, 1 << 20, Some(container.into()))
}

/// A server that takes no larger messages.
pub(crate) fn limited(session: &str, message_bytes: u64) -> Frame {
    answer(session, "i-1", 1_000, 1_024, message_bytes, None)
}

fn answer(
    session: &str,
    instance: &str,
    term: u64,
    in_flight: u32,
    message_bytes: u64,
    container: Option<String>,
) -> Frame {
    let answer = HelloAnswer {
        v: PROTOCOL_VERSION,
        instance: instance.into(),
        term,
        network: "test".into(),
        features: Vec::new(),
        control: true,
        limits: Limits {
            message_bytes,
            requests_in_flight: in_flight,
            lease_ms: LEASE_MS,
        },
        container,
    };
    let payload = serde_json::to_vec(&answer).expect("JSON");
    Frame::new(Op::Hello, session, payload)
}

pub(crate) struct Rig {
    pub(crate) session: Session,
    pub(crate) now: Duration,
    token: Token,
}

impl Rig {
    /// A session that has dialed.
    pub(crate) fn new(config: Config) -> Self {
        let mut rig = Self {
            session: Session::new(config),
            now: ms(1_000_000),
            token: 0,
        };
        let dialed = rig.input(Input::Start);
        assert_eq!(dialed, [Effect::Dial { after: ms(0) }]);
        rig
    }

    /// One whose hello was answered.
    pub(crate) fn up() -> Self {
        let mut rig = Self::new(config());
        rig.connect("s-1");
        rig
    }

    pub(crate) fn input(&mut self, input: Input) -> Vec<Effect> {
        let mut out = Vec::new();
        self.session.handle(self.now, input, &mut out);
        out
    }

    pub(crate) fn frame(&mut self, frame: Frame) -> Vec<Effect> {
        self.input(Input::Frame(frame))
    }

    /// A connection over which the server answers hello; what it brings about then.
    pub(crate) fn connect(&mut self, session: &str) -> Vec<Effect> {
        let hello = self.input(Input::Connected);
        assert_eq!(sent(&hello)[0].op, Op::Hello);
        self.frame(hello_answer(session, "i-1", 1_000, 1_024))
    }

    /// Its connection ends, and another is there.
    pub(crate) fn reconnect(&mut self, session: &str) -> Vec<Effect> {
        self.input(Input::Disconnected);
        self.connect(session)
    }

    /// Lets time pass as a driver does: it comes back whenever it is to.
    pub(crate) fn run(&mut self, time: Duration) -> Vec<Effect> {
        let end = self.now + time;
        let mut all = Vec::new();
        while let Some(wake) = self.session.next_wake().filter(|wake| *wake <= end) {
            self.now = wake.max(self.now);
            all.extend(self.input(Input::Wake));
        }
        self.now = end;
        all
    }

    pub(crate) fn token(&mut self) -> Token {
        self.token += 1;
        self.token
    }

    pub(crate) fn call(&mut self, method: &'static str, params: Value) -> (Token, Vec<Effect>) {
        let token = self.token();
        let call = Call::new(token, method, json_of(params));
        (token, self.input(Input::Call(call)))
    }

    pub(crate) fn get(&mut self, uuid: Option<&str>) -> (Token, Vec<Effect>) {
        self.get_for(uuid, false, None)
    }

    pub(crate) fn get_for(
        &mut self,
        uuid: Option<&str>,
        durable: bool,
        timeout: Option<Duration>,
    ) -> (Token, Vec<Effect>) {
        let token = self.token();
        let effects = self.input(Input::Get {
            token,
            params: GetParams {
                kind: "echo".into(),
                request: GetRequest {
                    uuid: uuid.map(str::to_owned),
                    ..GetRequest::default()
                },
                huly: durable.then(|| GetExt {
                    durable,
                    ..GetExt::default()
                }),
            },
            raw: durable,
            timeout,
        });
        (token, effects)
    }

    pub(crate) fn answer(&mut self, request: &Frame, answer: Value) -> Vec<Effect> {
        let payload = answer.to_string().into_bytes();
        self.frame(Frame::new(Op::Response, request.id.clone(), payload))
    }
}

pub(crate) fn json_of(value: Value) -> Json {
    Json::of(&value).expect("JSON")
}

/// The messages sent, pings left out.
pub(crate) fn sent(effects: &[Effect]) -> Vec<Frame> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send(frame) if frame.op != Op::Ping => Some(frame.clone()),
            _ => None,
        })
        .collect()
}

/// The requests sent: their methods and ids.
pub(crate) fn requests(effects: &[Effect]) -> Vec<(String, String)> {
    sent(effects)
        .into_iter()
        .filter(|frame| frame.op == Op::Request)
        .map(|frame| {
            let request = Request::read(&frame.payload).expect("a request");
            (request.method.into_owned(), frame.id)
        })
        .collect()
}

pub(crate) fn pings(effects: &[Effect]) -> Vec<Frame> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send(frame) if frame.op == Op::Ping => Some(frame.clone()),
            _ => None,
        })
        .collect()
}

/// How calls ended: token, and the code of its failure.
pub(crate) fn ended(effects: &[Effect]) -> Vec<(Token, Option<ErrorCode>)> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Answered { token, result } => {
                Some((*token, result.as_ref().err().and_then(|error| error.code())))
            }
            Effect::Got { token, result } => {
                Some((*token, result.as_ref().err().and_then(|error| error.code())))
            }
            _ => None,
        })
        .collect()
}

pub(crate) fn params(frame: &Frame) -> Value {
    let request = Request::read(&frame.payload).expect("a request");
    serde_json::from_str(request.params.get()).expect("JSON")
}

pub(crate) fn got(uuid: &str) -> Value {
    json!([uuid, "endpoint", {"kind": "echo", "agentId": "a", "epoch": [1_000, 1]}])
}
