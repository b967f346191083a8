use huly_protocol::HelloAnswer;

/// Where the client's session with the network server stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionState {
    /// Whether requests go out now; else they wait.
    pub up: bool,
    /// The session's uuid, as the server said it last.
    pub session: Option<String>,
    /// What the server says of itself; nothing of an original (TypeScript) one.
    pub server: Option<HelloAnswer>,
    /// Grows with each fresh session uuid: what the server knew of this client may be gone.
    pub generation: u64,
    /// Another process has the client id now, what the server said of it: the session is over.
    pub superseded: Option<String>,
}
