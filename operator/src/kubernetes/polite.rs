//! Waits as long as the API server says, and no longer than it takes to notice that it does not answer.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::header::RETRY_AFTER;
use http::{Request, Response, StatusCode};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tower::{BoxError, Layer, Service};

/// How long an answer may take to begin.
const ANSWER: Duration = Duration::from_secs(30);
/// What is waited where the API server has too much to do and does not say for how long.
const UNSAID: Duration = Duration::from_secs(1);
/// The longest that is waited, whatever it says.
const LONGEST: Duration = Duration::from_secs(60);

/// Makes each request wait while the API server has asked for a pause: `429`, or `503` with
/// `Retry-After`. Such an answer goes to its caller as any other.
#[derive(Debug, Clone, Copy)]
pub(super) struct PoliteLayer;

impl<S> Layer<S> for PoliteLayer {
    type Service = Polite<S>;

    fn layer(&self, inner: S) -> Polite<S> {
        Polite {
            inner,
            pause: Pause::default(),
            waiting: None,
        }
    }
}

/// Until when nothing is asked.
#[derive(Debug, Clone, Default)]
struct Pause(Arc<Mutex<Option<Instant>>>);

impl Pause {
    fn until(&self) -> Option<Instant> {
        let until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        until.filter(|until| *until > Instant::now())
    }

    fn heed<B>(&self, answer: &Response<B>) {
        let said = answer.headers().get(RETRY_AFTER);
        let said = said.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let pause = match (answer.status(), said) {
            (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, Some(seconds)) => {
                Duration::from_secs(seconds).min(LONGEST)
            }
            (StatusCode::TOO_MANY_REQUESTS, None) => UNSAID,
            _ => return,
        };
        let until = Instant::now() + pause;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(known.map_or(until, |known| known.max(until)));
    }
}

/// See [`PoliteLayer`].
#[derive(Debug)]
pub(super) struct Polite<S> {
    inner: S,
    pause: Pause,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S, B, A> Service<Request<B>> for Polite<S>
where
    S: Service<Request<B>, Response = Response<A>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    type Response = Response<A>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<A>, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        while let Some(until) = self.pause.until() {
            let waiting = self
                .waiting
                .get_or_insert_with(|| Box::pin(sleep_until(until)));
            if waiting.deadline() < until {
                waiting.as_mut().reset(until);
            }
            if waiting.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
        self.waiting = None;
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (answer, pause) = (self.inner.call(request), self.pause.clone());
        Box::pin(async move {
            let answer = timeout(ANSWER, answer)
                .await
                .map_err(|_| format!("no answer within {ANSWER:?}"))?
                .map_err(Into::into)?;
            pause.heed(&answer);
            Ok(answer)
        })
    }
}

#[cfg(test)]
mod tests {
    use tower::{ServiceExt, service_fn};

    use super::*;

    /// How long a request waits that comes after this answer.
    async fn after(status: StatusCode, said: Option<&str>) -> Duration {
        let said = said.map(str::to_owned);
        let server = service_fn(move |()| {
            let mut answer = Response::builder().status(status);
            if let Some(said) = &said {
                answer = answer.header(RETRY_AFTER, said);
            }
            std::future::ready(answer.body(()))
        });
        let server = server.map_request(|request: Request<()>| request.into_body());
        let mut polite = PoliteLayer.layer(server);
        let first = polite.ready().await.unwrap().call(Request::new(()));
        assert_eq!(first.await.unwrap().status(), status, "it is not hidden");
        let answered = Instant::now();
        polite.ready().await.unwrap();
        answered.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_as_long_as_it_is_told() {
        let busy = StatusCode::TOO_MANY_REQUESTS;
        let away = StatusCode::SERVICE_UNAVAILABLE;
        for (status, said, seconds) in [
            (busy, Some("7"), 7),
            (away, Some("7"), 7),
            (busy, None, 1),
            (busy, Some("soon"), 1),
            (busy, Some("86400"), 60),
            (away, None, 0),
            (StatusCode::INTERNAL_SERVER_ERROR, Some("7"), 0),
            (StatusCode::OK, Some("7"), 0),
        ] {
            let waited = after(status, said).await;
            assert_eq!(waited.as_secs(), seconds, "{status} {said:?}: {waited:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_come_is_given_up() {
        let silent =
            service_fn(|_: Request<()>| std::future::pending::<Result<Response<()>, BoxError>>());
        let asked = Instant::now();
        let error = PoliteLayer.layer(silent).oneshot(Request::new(())).await;
        assert!(error.unwrap_err().to_string().contains("no answer"));
        assert_eq!(asked.elapsed(), ANSWER);
    }
}
