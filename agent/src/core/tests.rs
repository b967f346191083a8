//! The core alone: time and inputs in, effects out.

mod budgets;
mod deadlines;
mod direct;
mod ends;
mod exclusive;
mod lease;
mod own_router;
mod pings;
mod registering;
mod requests;
mod serial;
mod standby;
mod starts;

use std::time::Duration;

use bytes::Bytes;
use huly_protocol::{AgentRegistration, ErrorCode, ErrorPayload, Frame, Json, Op};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Agent, AgentUpdate, Audience, CallNumber, Config, Conn, Door, Effect, EndReport, Input, Reason,
    Run, ServerCall, Token,
};

const MS: Duration = Duration::from_millis(1);

/// An agent with a clock of its own. Time goes by in small steps, as it does for a thread that is
/// awake, unless a test pauses it.
struct Rig {
    agent: Agent,
    now: Duration,
    tokens: u64,
    out: Vec<Effect>,
}

impl Rig {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new("agent-1", Uuid::from_u128(7), "10.0.0.1", 3738);
        config.kinds = ["echo", "counter"].map(str::to_owned).into();
        change(&mut config);
        let now = Duration::from_secs(1_000);
        Self {
            agent: Agent::new(config, now),
            now,
            tokens: 0,
            out: Vec::new(),
        }
    }

    /// One that is registered and has its lease.
    fn registered() -> Self {
        let mut rig = Self::new();
        rig.register_and_renew();
        rig
    }

    fn register_and_renew(&mut self) {
        self.register_and_renew_out();
        self.out.clear();
    }

    /// The same; what it does then stays to be looked at.
    fn register_and_renew_out(&mut self) {
        self.input(Input::Register);
        self.input(Input::Registered { end: Vec::new() });
        self.renew();
    }

    fn renew(&mut self) {
        let until = self.now + 1_000 * MS;
        let length = 1_000 * MS;
        self.input(Input::Lease { until, length });
    }

    fn input(&mut self, input: Input) {
        self.agent.handle(self.now, input, &mut self.out);
    }

    fn take(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.out)
    }

    /// Time goes by and the thread is awake.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = (self.now + 100 * MS).min(end);
            self.input(Input::Wake);
        }
    }

    /// The same, and the server is there.
    fn pass_leased(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = (self.now + 100 * MS).min(end);
            self.renew();
        }
    }

    /// Time goes by and the thread is not awake.
    fn pause(&mut self, time: Duration) {
        self.now += time;
    }

    fn call(&mut self, method: &str, params: Value, ext: Value) -> Token {
        self.tokens += 1;
        let token = Token(self.tokens);
        let ext = (!ext.is_null()).then(|| Json::of(&ext).unwrap());
        self.input(Input::Call(ServerCall {
            token,
            method: method.to_owned(),
            params: Json::of(&params).unwrap(),
            ext,
        }));
        token
    }

    fn get(&mut self, uuid: &str, epoch: u64) -> Token {
        self.get_with(uuid, &json!({ "epoch": [10, epoch] }))
    }

    fn get_with(&mut self, uuid: &str, told: &Value) -> Token {
        let params = json!(["echo", { "uuid": uuid }]);
        self.call("gg", params, told.clone())
    }

    /// A container that lives, by what the server said of it at its start.
    fn placed(&mut self, uuid: &str, told: &Value) -> Run {
        let token = self.get_with(uuid, told);
        let run = self.last_start();
        self.input(Input::Started {
            run,
            result: Ok(()),
        });
        self.answer(token).unwrap();
        run
    }

    /// A container that lives; what came of that is taken away.
    fn living(&mut self, uuid: &str, epoch: u64) -> Run {
        let run = self.placed(uuid, &json!({ "epoch": [10, epoch] }));
        self.out.clear();
        run
    }

    /// One that has a ROUTER of its own, on port 4000.
    fn living_with_router(&mut self, uuid: &str, epoch: u64) -> Run {
        let token = self.get(uuid, epoch);
        let run = self.last_start();
        self.input(Input::Opened { run, port: 4_000 });
        self.input(Input::Started {
            run,
            result: Ok(()),
        });
        self.answer(token).unwrap();
        self.out.clear();
        run
    }

    fn last_start(&self) -> Run {
        self.starts().pop().expect("a start")
    }

    fn starts(&self) -> Vec<Run> {
        let run = |effect: &Effect| match effect {
            Effect::Start { run, .. } => Some(*run),
            _ => None,
        };
        self.out.iter().filter_map(run).collect()
    }

    /// Containers that stood by and were told that they have their uuids.
    fn activated(&self) -> Vec<Run> {
        let run = |effect: &Effect| match effect {
            Effect::Activate { run, .. } => Some(*run),
            _ => None,
        };
        self.out.iter().filter_map(run).collect()
    }

    fn ended(&mut self, run: Run, how: EndReport) {
        self.input(Input::Ended { run, how });
    }

    fn request(&mut self, uuid: &str, data: Value, request: &str) -> Token {
        self.call(
            "cs",
            json!([uuid, "do", data]),
            json!({ "client": "c1", "request": request }),
        )
    }

    /// The same, of a caller that waits for so long.
    fn request_for(&mut self, uuid: &str, request: &str, timeout_ms: u64) -> Token {
        self.call(
            "cs",
            json!([uuid, "do", request]),
            json!({ "client": "c1", "request": request, "timeoutMs": timeout_ms }),
        )
    }

    /// What was handed to containers: run, number, data.
    fn dispatched(&self) -> Vec<(Run, CallNumber, Value)> {
        let dispatch = |effect: &Effect| match effect {
            Effect::Dispatch { run, asked } => Some((*run, asked.call, asked.data.read().unwrap())),
            _ => None,
        };
        self.out.iter().filter_map(dispatch).collect()
    }

    /// The answer to a call of the server, if there is one yet.
    fn answered(&self, token: Token) -> Option<Result<Value, ErrorPayload>> {
        let answer = |effect: &Effect| match effect {
            Effect::Answer { token: of, result } if *of == token => Some(
                result
                    .clone()
                    .map(|data| data.read::<Value>().expect("JSON")),
            ),
            _ => None,
        };
        self.out.iter().find_map(answer)
    }

    fn answer(&self, token: Token) -> Result<Value, ErrorPayload> {
        self.answered(token).expect("an answer")
    }

    fn code(&self, token: Token) -> ErrorCode {
        let error = self.answer(token).expect_err("an error");
        error.code.expect("a code")
    }

    fn registrations(&self) -> Vec<AgentRegistration> {
        let registration = |effect: &Effect| match effect {
            Effect::Register(registration) => Some(registration.clone()),
            _ => None,
        };
        self.out.iter().filter_map(registration).collect()
    }

    fn has(&self, wanted: impl Fn(&Effect) -> bool) -> bool {
        self.out.iter().any(wanted)
    }

    /// A message on the ROUTER from a connection; what is sent back is taken.
    fn message(&mut self, conn: &str, op: Op, id: &str, payload: &str) -> Vec<(String, Frame)> {
        self.message_at(Door::Agent, conn, op, id, payload)
    }

    fn message_at(
        &mut self,
        door: Door,
        conn: &str,
        op: Op,
        id: &str,
        payload: &str,
    ) -> Vec<(String, Frame)> {
        let frame = Frame::new(op, id, payload.to_owned());
        let name = Bytes::from(conn.to_owned());
        let conn = Conn { door, name };
        self.input(Input::Message { conn, frame });
        self.sent()
    }

    fn sent(&mut self) -> Vec<(String, Frame)> {
        let mut sent = Vec::new();
        self.out.retain(|effect| match effect {
            Effect::Send { conn, frame } => {
                let conn = String::from_utf8_lossy(&conn.name).into_owned();
                sent.push((conn, frame.clone()));
                false
            }
            _ => true,
        });
        sent
    }

    /// A Rust client says hello.
    fn rust_hello(&mut self, conn: &str, client: &str) -> String {
        let hello = r#"{"aliveTimeout":60,"huly":{"v":1,"nonce":"n"}}"#;
        let sent = self.message(conn, Op::Hello, client, hello);
        sent[0].1.id.clone()
    }

    /// A request on the ROUTER with what a Rust client says beside it; what is sent back is taken.
    fn ask(&mut self, conn: &str, id: &str, uuid: &str, ext: Value) -> Vec<(String, Frame)> {
        let payload = json!(["cs", [uuid, "do", id, ext]]).to_string();
        self.message(conn, Op::Request, id, &payload)
    }

    fn hello(&mut self, conn: &str, client: &str) -> String {
        let sent = self.message(conn, Op::Hello, client, r#"{"aliveTimeout":3}"#);
        sent[0].1.id.clone()
    }
}

/// A connection to the agent's own ROUTER.
fn at_agent(name: &str) -> Conn {
    Conn {
        door: Door::Agent,
        name: Bytes::from(name.to_owned()),
    }
}

/// The code of the error that was sent.
fn sent_code(sent: &[(String, Frame)]) -> ErrorCode {
    assert_eq!((sent.len(), sent[0].1.op), (1, Op::ResponseError));
    ErrorPayload::read(&sent[0].1.payload).code.expect("a code")
}

fn ok(value: Value) -> Result<Json, ErrorPayload> {
    Ok(Json::of(&value).unwrap())
}
