//! What went over the wires, for people and for comparing two runs.

use std::time::Duration;

use huly_protocol::Frame;

use super::fabric::Name;
use crate::clock::Clock;

/// A line for each message, connection and end, where that is wanted.
#[derive(Default)]
pub(super) struct Trace {
    clock: Clock,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(super) fn new(clock: Clock, traced: bool) -> Self {
        let lines = traced.then(Vec::new);
        Self { clock, lines }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.clone().unwrap_or_default()
    }

    pub(super) fn note(&mut self, what: &str) {
        if let Some(lines) = &mut self.lines {
            let at: Duration = self.clock.now();
            lines.push(format!("{:>10.3} {what}", at.as_secs_f64()));
        }
    }

    pub(super) fn sent(&mut self, from: &Name, to: &Name, frame: &Frame) {
        if self.lines.is_some() {
            let (op, id) = (frame.op, &frame.id);
            let payload = String::from_utf8_lossy(&frame.payload);
            self.note(&format!(
                "{} → {}: {op:?} {id} {payload}",
                from.text, to.text
            ));
        }
    }

    pub(super) fn connected(&mut self, from: &Name, to: &Name) {
        self.note(&format!("{} → {}: connects", from.text, to.text));
    }

    pub(super) fn closed(&mut self, from: &Name, to: &Name) {
        self.note(&format!("{} → {}: closes", from.text, to.text));
    }

    pub(super) fn ended(&mut self, process: &Name) {
        self.note(&format!("{} ends", process.text));
    }
}
