//! A ROUTER that clients connect to: the agent's own, or a container's.

use std::net::TcpListener;

use bytes::Bytes;
#[cfg(feature = "testing")]
use huly_client::testing::{Heard, Listener};
use huly_protocol::Frame;
use huly_router::{Came, Limits};

use crate::core::{Conn, Door, Input};

pub(crate) struct Router {
    door: Door,
    way: Way,
}

enum Way {
    Sockets(Box<huly_router::Router>),
    /// In a test's network.
    #[cfg(feature = "testing")]
    Wires(Listener),
}

impl Router {
    pub(crate) async fn bind(
        listener: TcpListener,
        door: Door,
        limits: Limits,
    ) -> anyhow::Result<Self> {
        let router = huly_router::Router::bind(listener, limits).await?;
        let way = Way::Sockets(Box::new(router));
        Ok(Self { door, way })
    }

    /// In a test's network.
    #[cfg(feature = "testing")]
    pub(crate) fn wires(listener: Listener, door: Door) -> Self {
        let way = Way::Wires(listener);
        Self { door, way }
    }

    /// What comes next; nothing where the core need not know. Safe to be dropped and called again.
    ///
    /// # Errors
    /// When the ROUTER itself failed.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Input>> {
        let door = self.door;
        match &mut self.way {
            Way::Sockets(router) => Ok(router.next().await?.and_then(|came| input(door, came))),
            #[cfg(feature = "testing")]
            Way::Wires(listener) => match listener.next().await {
                Some(Heard::Message { conn: name, frame }) => {
                    let conn = Conn { door, name };
                    Ok(Some(Input::Message { conn, frame }))
                }
                Some(Heard::Closed { conn: name }) => {
                    let conn = Conn { door, name };
                    Ok(Some(Input::Closed { conn }))
                }
                None => anyhow::bail!("the process has ended"),
            },
        }
    }

    /// Sends a message. Never waits: a peer that does not read must not hold up the others, and
    /// counts as gone in time.
    pub(crate) fn send(&mut self, name: &Bytes, frame: Frame) {
        match &mut self.way {
            Way::Sockets(router) => router.send(name, frame),
            #[cfg(feature = "testing")]
            Way::Wires(listener) => listener.send(name, frame),
        }
    }
}

fn input(door: Door, came: Came) -> Option<Input> {
    match came {
        Came::Message { conn: name, frame } => Some(match frame {
            Ok(frame) => {
                let conn = Conn { door, name };
                Input::Message { conn, frame }
            }
            Err(error) => Input::Unreadable {
                reason: error.reason(),
            },
        }),
        // Cut, a client may come back over the same connection: by a hello, as over another.
        Came::Closed { conn: name } | Came::Cut { conn: name } => {
            let conn = Conn { door, name };
            Some(Input::Closed { conn })
        }
        Came::Slow { .. } | Came::Room { .. } => None,
    }
}
