//! What a failure means to whoever called: what to do about it, and the exit code.

use huly_client::{Error, ErrorKind};
use serde::Serialize;

use crate::bench::Broken;

/// Any other failure.
const FAILED: u8 = 1;
/// A request that may or may not have run: a script must not just send it again.
const OUTCOME_UNKNOWN: u8 = 3;
/// A benchmark saw that what is promised was not kept.
const BROKEN: u8 = 4;

/// What is said of a failure.
#[derive(Debug, Serialize)]
pub(crate) struct Complaint {
    pub(crate) error: String,
    /// What kind of error of a network it was, as the client crate names it.
    pub(crate) kind: Option<String>,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl Complaint {
    /// `name` is how the command line was called.
    pub(crate) fn about(failure: &anyhow::Error, name: &str) -> Self {
        Self {
            error: format!("{failure:#}"),
            kind: kind(failure).map(|kind| format!("{kind:?}")),
            hint: hint(failure, name),
        }
    }
}

/// The exit code of a failure.
pub(crate) fn code(failure: &anyhow::Error) -> u8 {
    match kind(failure) {
        _ if failure.is::<Broken>() => BROKEN,
        Some(ErrorKind::OutcomeUnknown) => OUTCOME_UNKNOWN,
        _ => FAILED,
    }
}

fn hint(failure: &anyhow::Error, name: &str) -> Option<String> {
    let text = match kind(failure)? {
        ErrorKind::OutcomeUnknown => {
            "it may have run, or run still: look at the container before you send it again; \
             --timeout SECONDS waits longer"
                .to_owned()
        }
        ErrorKind::TimedOut => "try again; --timeout SECONDS waits longer".to_owned(),
        ErrorKind::Busy | ErrorKind::Interrupted => "nothing was done, so try again".to_owned(),
        ErrorKind::NoSuchContainer | ErrorKind::Gone => {
            format!(
                "{name} containers lists those that live; {name} get KIND --uuid UUID makes one"
            )
        }
        ErrorKind::NoSuitableAgent | ErrorKind::NoSuchKind => {
            format!("{name} agents shows what each agent serves, {name} kinds the limits")
        }
        _ => return None,
    };
    Some(text)
}

fn kind(failure: &anyhow::Error) -> Option<ErrorKind> {
    let error = failure.downcast_ref::<Error>();
    error.map(|error| error.kind)
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    fn failure(kind: ErrorKind) -> anyhow::Error {
        Error::new(kind, "it failed").into()
    }

    #[test]
    fn an_unknown_outcome_is_told_from_other_failures() {
        assert_eq!(code(&failure(ErrorKind::OutcomeUnknown)), 3);
        let with_context = Err::<(), _>(failure(ErrorKind::OutcomeUnknown)).context("context");
        assert_eq!(code(&with_context.unwrap_err()), 3);
        assert_eq!(code(&failure(ErrorKind::TimedOut)), 1);
        assert_eq!(code(&failure(ErrorKind::Failed)), 1);
        assert_eq!(code(&anyhow!("another")), 1);
    }

    #[test]
    fn a_broken_promise_is_told_from_a_benchmark_that_did_not_end() {
        let broken = || Broken(vec!["2 ran twice".to_owned()]);
        assert_eq!(code(&broken().into()), 4);
        let ended = anyhow!("ended by SIGINT").context(broken());
        assert_eq!(code(&ended), 4);
        let said = Complaint::about(&ended, "huly").error;
        assert_eq!(said, "broken promises: 2 ran twice: ended by SIGINT");
    }

    #[test]
    fn scripts_read_what_failed() {
        let complaint = Complaint::about(&failure(ErrorKind::TimedOut), "huly");
        let json = serde_json::to_value(complaint).unwrap();
        assert_eq!(json["kind"], "TimedOut");
        assert!(json["hint"].as_str().unwrap().contains("try again"));
        let json = serde_json::to_value(Complaint::about(&anyhow!("another"), "huly")).unwrap();
        let expected = serde_json::json!({ "error": "another", "kind": null, "hint": null });
        assert_eq!(json, expected);
    }

    #[test]
    fn what_may_be_sent_again_is_said() {
        let said = |kind| hint(&failure(kind), "kubectl huly").unwrap_or_default();
        for kind in [ErrorKind::TimedOut, ErrorKind::Busy, ErrorKind::Interrupted] {
            assert!(said(kind).contains("try again"), "{kind:?}");
        }
        assert!(said(ErrorKind::OutcomeUnknown).contains("before you send it again"));
        assert!(said(ErrorKind::NoSuchContainer).contains("kubectl huly containers"));
        assert_eq!(
            said(ErrorKind::Failed),
            "",
            "the container's own error says it"
        );
        assert_eq!(hint(&anyhow!("another"), "huly"), None);
    }
}
