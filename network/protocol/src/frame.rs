use std::fmt;

use bytes::Bytes;

/// The longest id frame that is accepted, in bytes. Ids are uuids and `<client id>-<counter>`.
pub const MAX_ID_BYTES: usize = 512;

/// The longest payload of a ping that its pong repeats, in bytes.
const MAX_PING_BYTES: usize = 32;

/// What a message is: the first frame, as decimal text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Op {
    /// A client says who it is; the server answers with the uuid of the client session.
    Hello = 0,
    /// A request `[method, params]`.
    Request = 1,
    /// The answer to a request, a JSON value.
    Response = 2,
    /// A failed request, an [`ErrorPayload`](crate::ErrorPayload).
    ResponseError = 3,
    /// An event, a JSON value.
    Event = 4,
    /// A client is alive.
    Ping = 5,
    /// The answer to a ping.
    Pong = 6,
    /// The same request is to be sent again after the payload's number of ticks.
    Retry = 7,
    /// A client leaves; its references are released.
    Close = 8,
    /// The server does not know the sender: say hello again.
    AskHello = 9,
}

impl Op {
    /// Every op, in the order of their numbers.
    pub const ALL: [Op; 10] = [
        Op::Hello,
        Op::Request,
        Op::Response,
        Op::ResponseError,
        Op::Event,
        Op::Ping,
        Op::Pong,
        Op::Retry,
        Op::Close,
        Op::AskHello,
    ];

    /// The op's decimal text.
    pub fn text(self) -> &'static str {
        ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"][self as usize]
    }

    fn parse(text: &[u8]) -> Option<Op> {
        match text {
            [digit @ b'0'..=b'9'] => Some(Op::ALL[usize::from(digit - b'0')]),
            _ => None,
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// One message without the ROUTER's identity frame: op, id, payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What the message is.
    pub op: Op,
    /// A client id, a session uuid or a request id, as the op says; often empty.
    pub id: String,
    /// JSON text, or empty.
    pub payload: Bytes,
}

/// Why a message is not one of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// There are no frames at all.
    #[error("the message has no frames: [op, id, payload] was expected")]
    Empty,
    /// The first frame is not a decimal number from 0 to 9.
    #[error("the first frame is not an op: decimal text from 0 to 9 was expected")]
    UnknownOp,
    /// The op needs an id and there is none.
    #[error("the op needs an id in the second frame")]
    MissingId,
    /// The id is longer than [`MAX_ID_BYTES`].
    #[error("the id is longer than {MAX_ID_BYTES} bytes")]
    IdTooLong,
    /// The id is not UTF-8.
    #[error("the id is not UTF-8 text")]
    IdNotText,
}

impl FrameError {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Empty,
        Self::UnknownOp,
        Self::MissingId,
        Self::IdTooLong,
        Self::IdNotText,
    ];

    /// What it is counted as.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Empty => "no_frames",
            Self::UnknownOp => "unknown_op",
            Self::MissingId => "missing_id",
            Self::IdTooLong => "id_too_long",
            Self::IdNotText => "id_not_text",
        }
    }
}

impl Frame {
    /// A frame of `op` with an id and a payload.
    pub fn new(op: Op, id: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self {
            op,
            id: id.into(),
            payload: payload.into(),
        }
    }

    /// A frame of `op` without id and payload.
    pub fn bare(op: Op) -> Self {
        Self::new(op, "", Bytes::new())
    }

    /// The answer to a ping of this payload, `uuid` being the session's (W07). The payload of a Rust
    /// peer's ping is a number: one of up to 32 bytes is repeated, what is longer is left out.
    pub fn pong(uuid: impl Into<String>, ping: Bytes) -> Self {
        let repeated = match ping.len() {
            0..=MAX_PING_BYTES => ping,
            _ => Bytes::new(),
        };
        Self::new(Op::Pong, uuid, repeated)
    }

    /// Reads the frames of one message (without the ROUTER's identity frame).
    ///
    /// Frames after the third are ignored and a missing payload reads as empty, since peers differ
    /// in both.
    ///
    /// # Errors
    /// When the frames are not a message of the protocol.
    pub fn decode(parts: impl IntoIterator<Item = Bytes>) -> Result<Self, FrameError> {
        let mut parts = parts.into_iter();
        let op = parts.next().ok_or(FrameError::Empty)?;
        let op = Op::parse(&op).ok_or(FrameError::UnknownOp)?;
        let id = parts.next().unwrap_or_default();
        let payload = parts.next().unwrap_or_default();
        if id.len() > MAX_ID_BYTES {
            return Err(FrameError::IdTooLong);
        }
        let id = std::str::from_utf8(&id).map_err(|_| FrameError::IdNotText)?;
        let needs_id = matches!(
            op,
            Op::Hello | Op::Request | Op::Response | Op::ResponseError | Op::Retry
        );
        if needs_id && id.is_empty() {
            return Err(FrameError::MissingId);
        }
        Ok(Self {
            op,
            id: id.to_owned(),
            payload,
        })
    }

    /// The frames of this message as a ROUTER sends them, without the identity frame.
    pub fn encode(self) -> [Bytes; 3] {
        [
            Bytes::from_static(self.op.text().as_bytes()),
            Bytes::from(self.id.into_bytes()),
            self.payload,
        ]
    }

    /// The payload as text, for logs and tests; lossy where it is not UTF-8.
    pub fn payload_text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.payload)
    }
}
