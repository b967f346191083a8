//! The server's ROUTER.

use std::net::TcpListener;

use huly_protocol::Frame;
use huly_registry::{ConnId, Input};
use huly_router::{Came, Limits};

use crate::run::wall_ms;
use crate::serve::Sockets;

pub(crate) struct Router(huly_router::Router);

impl Router {
    pub(crate) async fn bind(listener: TcpListener, limits: Limits) -> anyhow::Result<Self> {
        Ok(Self(huly_router::Router::bind(listener, limits).await?))
    }

    pub(crate) fn endpoint(&self) -> &str {
        self.0.endpoint()
    }
}

impl Sockets for Router {
    type Error = anyhow::Error;

    async fn next(&mut self) -> anyhow::Result<Option<Input>> {
        Ok(self.0.next().await.map_err(failed)?.map(input))
    }

    async fn next_beside(&mut self) -> anyhow::Result<Option<Input>> {
        Ok(self.0.next_beside().await.map_err(failed)?.map(input))
    }

    fn send(&mut self, conn: &ConnId, frame: Frame) {
        self.0.send(conn, frame);
    }

    fn await_room(&mut self, conn: &ConnId) {
        self.0.await_room(conn);
    }

    fn wall_ms(&self) -> u64 {
        wall_ms()
    }
}

fn failed(error: impl std::error::Error) -> anyhow::Error {
    anyhow::anyhow!("the ROUTER failed: {error}")
}

fn input(came: Came) -> Input {
    match came {
        Came::Message { conn, frame } => match frame {
            Ok(frame) => Input::Message { conn, frame },
            Err(error) => Input::Unreadable {
                reason: error.reason(),
            },
        },
        Came::Closed { conn } => Input::Closed { conn },
        Came::Cut { conn } => Input::Cut { conn },
        Came::Slow { conn, slow } => Input::Slow { conn, slow },
        Came::Room { conn } => Input::Room { conn },
    }
}
