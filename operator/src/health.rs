//! Health: the loop that does the work is asked how it is.

use huly_program::{BoxFuture, Probe};
use tokio::sync::{mpsc, oneshot};

use crate::core::Report;

/// A question to the loop.
#[derive(Debug)]
pub(crate) struct Ask(oneshot::Sender<Report>);

impl Ask {
    pub(crate) fn answer(self, report: Report) {
        // Whoever asked may have gone away.
        let _ = self.0.send(report);
    }
}

/// Asks the loop.
#[derive(Debug)]
pub(crate) struct Health(mpsc::UnboundedSender<Ask>);

impl Health {
    pub(crate) fn new(ask: mpsc::UnboundedSender<Ask>) -> Self {
        Self(ask)
    }

    async fn ask(&self) -> Result<Report, String> {
        let (answer, asked) = oneshot::channel();
        let ended = "the operator's loop has ended";
        self.0.send(Ask(answer)).map_err(|_| ended.to_owned())?;
        asked.await.map_err(|_| ended.to_owned())
    }
}

impl Probe for Health {
    fn live(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { self.ask().await.map(|_| ()) })
    }

    fn ready(&self) -> BoxFuture<'_, Result<String, String>> {
        Box::pin(async {
            let report = self.ask().await?;
            if report.waits.is_empty() {
                let sum = |counts: &crate::core::Counts| counts.values().sum::<u64>();
                let (kinds, claims) = (sum(&report.kinds), sum(&report.claims));
                let role = &report.role;
                return Ok(format!("ready\n{role}\nkinds: {kinds}\nclaims: {claims}"));
            }
            Err(report.waits.join("\n"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ready(report: Report) -> Result<String, String> {
        let (ask, mut asks) = mpsc::unbounded_channel();
        let health = Health::new(ask);
        let answers = async {
            if let Some(ask) = asks.recv().await {
                ask.answer(report);
            }
        };
        tokio::join!(health.ready(), answers).0
    }

    #[tokio::test]
    async fn readiness_says_what_is_waited_for() {
        assert!(ready(Report::default()).await.is_ok());
        let report = Report {
            waits: vec!["one".into(), "two".into()],
            ..Report::default()
        };
        assert_eq!(ready(report).await, Err("one\ntwo".into()));
    }

    #[tokio::test]
    async fn a_loop_that_has_ended_is_not_live() {
        let (ask, asks) = mpsc::unbounded_channel();
        drop(asks);
        assert!(Health::new(ask).live().await.is_err());
    }
}
