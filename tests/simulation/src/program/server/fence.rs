//! Who of several operators the server let in, and what it does of what another one says.

use std::collections::BTreeMap;

use huly_protocol::{Frame, Hello, Op, PeerEvent};
use huly_registry::{ConnId, Effect, Input};

/// What a server made of what an operator said.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fencing {
    /// A hello, after that number was the highest of which one was let in.
    Hello {
        number: u64,
        before: Option<u64>,
        let_in: bool,
    },
    /// Something else, of one with a lower number than that.
    Said { number: u64, applied: bool },
}

/// The fencing numbers that were said over each connection, and the highest that was let in.
#[derive(Debug, Default)]
pub(super) struct Fence {
    numbers: BTreeMap<ConnId, u64>,
    highest: Option<u64>,
}

/// Something to judge.
#[derive(Debug)]
pub(super) struct Heard {
    conn: ConnId,
    number: u64,
    hello: bool,
}

impl Fence {
    pub(super) fn hears(&mut self, conn: &ConnId, frame: &Frame) -> Option<Heard> {
        let hello = frame.op == Op::Hello;
        if hello {
            let said = serde_json::from_slice::<Hello>(&frame.payload).ok()?;
            let number = said.huly?.fencing?;
            self.numbers.insert(conn.clone(), number);
        }
        let number = *self.numbers.get(conn)?;
        let lower = self.highest.is_some_and(|highest| number < highest);
        (hello || lower).then(|| Heard {
            conn: conn.clone(),
            number,
            hello,
        })
    }

    pub(super) fn forget(&mut self, conn: &ConnId) {
        self.numbers.remove(conn);
    }

    /// What came of it: by what the server sends, and whether it is as before.
    pub(super) fn judge(&mut self, heard: &Heard, effects: &[Effect], changed: bool) -> Fencing {
        let number = heard.number;
        let before = self.highest;
        if heard.hello {
            let turned_away = effects.iter().any(|effect| match effect {
                Effect::Send { conn, frame } => *conn == heard.conn && is_superseded(frame),
                _ => false,
            });
            let let_in = !turned_away;
            if let_in {
                self.highest = before.max(Some(number));
            }
            return Fencing::Hello {
                number,
                before,
                let_in,
            };
        }
        let others = effects.iter().any(|effect| match effect {
            Effect::Send { conn, frame } => *conn != heard.conn || frame.op == Op::Response,
            _ => false,
        });
        Fencing::Said {
            number,
            applied: changed || others,
        }
    }
}

fn is_superseded(frame: &Frame) -> bool {
    let event = || serde_json::from_slice::<PeerEvent>(&frame.payload);
    frame.op == Op::Event && event().is_ok_and(|event| matches!(event, PeerEvent::Superseded(_)))
}

/// Every operator's hello has the same number.
pub(super) fn with_one_number(input: Input) -> Input {
    let Input::Message { conn, mut frame } = input else {
        return input;
    };
    if frame.op == Op::Hello
        && let Ok(mut said) = serde_json::from_slice::<Hello>(&frame.payload)
        && let Some(ext) = said.huly.as_mut().filter(|ext| ext.fencing.is_some())
    {
        ext.fencing = Some(1);
        if let Ok(payload) = serde_json::to_vec(&said) {
            frame = Frame::new(frame.op, frame.id, payload);
        }
    }
    Input::Message { conn, frame }
}
