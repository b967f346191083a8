//! The pure core of a peer's session with a network server.
