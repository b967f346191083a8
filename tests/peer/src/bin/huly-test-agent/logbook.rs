//! A container that writes down what it executes, in a file that all agents of a test share.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use huly_agent::{Call, Container, ContainerContext, ContainerError, Json, answer};
use serde_json::{Value, json};

/// Each request is a line: which life of which container had which data. A line is one write to the
/// file's end, so the order of lines is the order in which the requests ran.
pub(crate) struct Logbook {
    context: ContainerContext,
    file: File,
}

impl Logbook {
    pub(crate) async fn open(
        context: ContainerContext,
        file: PathBuf,
    ) -> Result<Self, ContainerError> {
        let file = File::options().append(true).create(true).open(file);
        Ok(Self {
            context,
            file: file?,
        })
    }
}

impl Container for Logbook {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        let data: Value = call.read()?;
        let written = json!({
            "uuid": self.context.uuid,
            "agent": self.context.agent,
            "epoch": self.context.epoch,
            "data": data,
        });
        let line = format!("{written}\n");
        (&self.file).write_all(line.as_bytes())?;
        answer(&written)
    }
}
