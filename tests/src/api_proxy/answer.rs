//! Answers: the API server's, and those that are wrong.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::fault::{Asked, Fault, Verb};
use super::{State, locked};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

impl State {
    pub(super) async fn answer(&self, number: usize, request: Request<Incoming>) -> Result<Answer> {
        let asked = locked(&self.asked).get(number).cloned();
        let asked = asked.context("it was noted")?;
        let answer = match self.fault_for(&asked) {
            None => self.ask(&asked, request).await?,
            Some(fault) => self.do_wrong(fault, &asked, request).await?,
        };
        if let Some(asked) = locked(&self.asked).get_mut(number) {
            asked.status = Some(answer.status().as_u16());
        }
        Ok(answer)
    }

    async fn do_wrong(
        &self,
        fault: Fault,
        asked: &Asked,
        request: Request<Incoming>,
    ) -> Result<Answer> {
        match fault {
            Fault::Late(time) => {
                sleep(time).await;
                self.ask(asked, request).await
            }
            Fault::Status(code) => refusal(code, None),
            Fault::Busy(seconds) => refusal(429, Some(seconds)),
            Fault::Cut => Ok(self.ask(asked, request).await?.map(cut)),
            Fault::Closed(events) => {
                let answer = self.ask(asked, request).await?;
                Ok(answer.map(|body| closed_after(events, body)))
            }
            Fault::Expired => {
                let event = json!({ "type": "ERROR", "object": status(410) });
                json_answer(StatusCode::OK, None, &format!("{event}\n"))
            }
            Fault::Silent => {
                let answer = self.ask(asked, request).await?;
                Ok(answer.map(|_| streamed(stream::pending())))
            }
            Fault::Unanswered => std::future::pending().await,
            Fault::Old => {
                let old = locked(&self.old_lists).get(&key(&request)).cloned();
                let old = old.context("a list that was not remembered")?;
                let text = String::from_utf8(old.to_vec())?;
                json_answer(StatusCode::OK, None, &text)
            }
        }
    }

    /// Asks the API server.
    async fn ask(&self, asked: &Asked, request: Request<Incoming>) -> Result<Answer> {
        let key = key(&request);
        let (mut parts, body) = request.into_parts();
        for header in [HOST, AUTHORIZATION, CONNECTION, CONTENT_LENGTH] {
            parts.headers.remove(header);
        }
        let body = body.collect().await?.to_bytes().to_vec();
        let request = Request::from_parts(parts, Body::from(body));
        let (mut parts, body) = self.upstream.send(request).await?.into_parts();
        // Its length may become another one.
        parts.headers.remove(CONTENT_LENGTH);
        let body = body.map_err(BoxError::from).boxed_unsync();
        if asked.verb != Verb::List || parts.status != StatusCode::OK {
            return Ok(Response::from_parts(parts, body));
        }
        let whole = match body.collect().await {
            Ok(whole) => whole.to_bytes(),
            Err(error) => bail!("the API server's list: {error}"),
        };
        locked(&self.lists).insert(key, whole.clone());
        Ok(Response::from_parts(parts, full(whole)))
    }
}

fn key(request: &Request<Incoming>) -> String {
    request.uri().to_string()
}

fn full(bytes: Bytes) -> UnsyncBoxBody<Bytes, BoxError> {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn streamed(
    chunks: impl Stream<Item = Result<Bytes, BoxError>> + Send + 'static,
) -> UnsyncBoxBody<Bytes, BoxError> {
    StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))).boxed_unsync()
}

/// The first half of the first chunk, and then the end of the connection.
fn cut(body: UnsyncBoxBody<Bytes, BoxError>) -> UnsyncBoxBody<Bytes, BoxError> {
    let chunks = body.into_data_stream().take(1).flat_map(|chunk| {
        let half = chunk.map(|chunk| chunk.slice(..chunk.len() / 2));
        stream::iter([half, Err("cut".into())])
    });
    streamed(chunks)
}

/// So many lines, and then the orderly end.
fn closed_after(
    lines: usize,
    body: UnsyncBoxBody<Bytes, BoxError>,
) -> UnsyncBoxBody<Bytes, BoxError> {
    let chunks = stream::unfold(
        (body.into_data_stream(), lines),
        async |(mut body, left)| {
            if left == 0 {
                return None;
            }
            let chunk = match body.next().await? {
                Ok(chunk) => chunk,
                Err(error) => return Some((Err(error), (body, 0))),
            };
            let mut ends = chunk.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
            match ends.nth(left - 1) {
                Some((at, _)) => Some((Ok(chunk.slice(..=at)), (body, 0))),
                None => {
                    let seen = chunk.iter().filter(|byte| **byte == b'\n').count();
                    Some((Ok(chunk), (body, left - seen)))
                }
            }
        },
    );
    streamed(chunks)
}

/// An error as the API server says one.
fn refusal(code: u16, retry_after: Option<u64>) -> Result<Answer> {
    let text = status(code).to_string();
    json_answer(StatusCode::from_u16(code)?, retry_after, &text)
}

fn status(code: u16) -> Value {
    let reason = match code {
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "as the test says",
        "reason": reason,
        "code": code,
    })
}

fn json_answer(status: StatusCode, retry_after: Option<u64>, text: &str) -> Result<Answer> {
    let mut answer = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json");
    if let Some(seconds) = retry_after {
        answer = answer.header(RETRY_AFTER, seconds);
    }
    Ok(answer.body(full(Bytes::copy_from_slice(text.as_bytes())))?)
}
