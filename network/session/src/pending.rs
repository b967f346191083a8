use std::borrow::Cow;
use std::time::Duration;

use huly_protocol::{Chain, ContainerCall, Epoch, ErrorPayload, GetParams, Json, method};

use crate::io::Token;

/// Where a pending request stands in the order of sending: what the session itself needs first,
/// then by number.
pub(crate) type Key = (u8, u64);

/// A request of the session's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Internal {
    /// References of one chunk, in order (`xr`).
    Reassert(Vec<String>),
    /// One reference, at an original server (`gg`).
    Regain(String),
    /// The feed (`xw`).
    Watch,
    /// The events of containers, again (`cc`).
    Connect,
    /// That those of one are wanted no more (`cd`).
    Disconnect(String),
    /// What nobody waits for.
    Quiet,
    /// The end (`xd`).
    Detach,
}

/// Who is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A call.
    Caller(Token),
    /// A call that registers an agent.
    Registers(Token),
    /// A get; without a token nobody waits for it any more.
    Get { token: Option<Token>, raw: bool },
    /// A connect of a container (`cc`).
    Connect { token: Token, uuid: String },
    /// A release.
    Release(Option<Token>),
    /// The session itself.
    Internal(Internal),
}

impl Owner {
    pub(crate) fn token(&self) -> Option<Token> {
        match self {
            Self::Caller(token) | Self::Registers(token) | Self::Connect { token, .. } => {
                Some(*token)
            }
            Self::Get { token, .. } | Self::Release(token) => *token,
            Self::Internal(_) => None,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Body {
    Json(Json),
    /// Written when sent: an original server is told no extension.
    Get(Box<GetParams>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// To be sent.
    Queued,
    /// Sent over the present connection, or over one that is gone.
    Sent,
    /// To be sent again then.
    Retry { at: Duration },
    /// To be sent when its container is known at the server again.
    Held,
}

/// What a request may wait for at the server, the longest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It is answered at once.
    Not,
    /// A container's start.
    ForPlacement,
    /// A container's answer.
    ForContainer,
}

/// A request that is not answered yet.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    pub(crate) id: String,
    pub(crate) method: Cow<'static, str>,
    pub(crate) body: Body,
    pub(crate) owner: Owner,
    pub(crate) stage: Stage,
    pub(crate) deadline: Option<Duration>,
    /// When it was sent over the present connection, if once only.
    pub(crate) sent_at: Option<Duration>,
    /// Whether it may have reached the peer.
    pub(crate) ever_sent: bool,
    /// Whether all to whom it was sent were former sessions, of which the present one knows nothing.
    pub(crate) former: bool,
    pub(crate) only_in: Option<String>,
    pub(crate) fail_when_cut: bool,
    /// The life of the container that it may have reached.
    pub(crate) epoch: Option<Epoch>,
    /// Whether it may have reached it on another route.
    pub(crate) sent_before: bool,
    pub(crate) idempotent: bool,
    /// The containers that wait for it.
    pub(crate) chain: Chain,
    /// Sent to a container's own ROUTER: the method is the container's operation.
    pub(crate) is_operation: bool,
    /// Why it was refused last, of one that is tried again.
    pub(crate) refused: Option<ErrorPayload>,
    /// The container that it asks through a server, once that was looked for.
    asked: Option<String>,
}

impl Pending {
    pub(crate) fn new(id: String, method: Cow<'static, str>, body: Body, owner: Owner) -> Self {
        Self {
            id,
            method,
            body,
            owner,
            stage: Stage::Queued,
            deadline: None,
            sent_at: None,
            ever_sent: false,
            former: false,
            only_in: None,
            fail_when_cut: false,
            epoch: None,
            sent_before: false,
            idempotent: false,
            chain: Chain::default(),
            is_operation: false,
            refused: None,
            asked: None,
        }
    }

    /// Whether it asks a container.
    pub(crate) fn is_container_call(&self) -> bool {
        self.is_operation || self.method == method::CONTAINER_REQUEST
    }

    /// The container that it asks through a server, if it does.
    pub(crate) fn asked(&mut self) -> Option<&str> {
        let (false, true, Body::Json(params)) =
            (self.is_operation, self.is_container_call(), &self.body)
        else {
            return None;
        };
        let asked = self.asked.get_or_insert_with(|| {
            let call = serde_json::from_str::<ContainerCall<'_>>(params.text());
            call.map_or_else(|_| String::new(), |call| call.uuid.into_owned())
        });
        Some(asked)
    }

    /// Whether it asks that container through a server.
    pub(crate) fn asks(&mut self, uuid: &str) -> bool {
        self.asked() == Some(uuid)
    }

    /// Whether it may have reached the container already, if it asks one.
    pub(crate) fn is_again(&self) -> bool {
        self.ever_sent || self.sent_before
    }

    /// How long it may wait at the server.
    pub(crate) fn wait(&self) -> Wait {
        if self.is_container_call() {
            return Wait::ForContainer;
        }
        match self.method.as_ref() {
            method::GET => Wait::ForPlacement,
            _ => Wait::Not,
        }
    }

    /// Whether it was sent on another route before, by which it may run as well, or have run: who
    /// answers on this one cannot know.
    pub(crate) fn is_sent_twice(&self) -> bool {
        self.is_container_call() && self.sent_before && !self.idempotent
    }

    /// Whether it was sent more than once by a direct way: whoever answers the last time cannot know
    /// whether it ran before.
    pub(crate) fn is_directly_again(&self) -> bool {
        self.fail_when_cut && self.ever_sent && self.sent_at.is_none() && !self.idempotent
    }

    /// Whether it may have run in a life of the container that its caller cannot name.
    pub(crate) fn in_unknown_life(&self) -> bool {
        self.is_container_call() && self.epoch.is_none() && !self.idempotent
    }

    /// Whether somebody waits for a get that may bring a reference to `uuid`, which was of `kind`.
    pub(crate) fn may_get(&self, uuid: &str, kind: Option<&str>) -> bool {
        let (Owner::Get { token: Some(_), .. }, Body::Get(params)) = (&self.owner, &self.body)
        else {
            return false;
        };
        match &params.request.uuid {
            Some(asked) => asked == uuid,
            None => kind.is_none_or(|kind| kind == params.kind),
        }
    }
}
