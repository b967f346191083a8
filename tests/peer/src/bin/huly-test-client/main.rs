//! A client steered by lines of JSON: one command a line on standard input, one line on standard
//! output for each answer and each thing that happens. It takes one argument, the server's
//! `host:port`.

mod command;
mod peer;

use std::io::BufRead;

use anyhow::{Context, Result};
use huly_client::Client;
use tokio::sync::mpsc;

use crate::command::Line;
use crate::peer::Peer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let server = std::env::args()
        .nth(1)
        .context("the network server's HOST:PORT is expected")?;
    let peer = Peer::new(Client::builder(server).build());
    let mut lines = read_lines();
    while let Some(line) = lines.recv().await {
        let line: Line =
            serde_json::from_str(&line).with_context(|| format!("this is no command: {line}"))?;
        // Begun in the order of the lines; they wait side by side.
        tokio::spawn(peer.clone().run(line));
    }
    Ok(())
}

/// What comes on standard input, to its end.
fn read_lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}
