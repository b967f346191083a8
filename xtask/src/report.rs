//! What a person or a CI log sees while something runs: steps, their times, progress.

use std::future::Future;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

/// How often a step that goes on says so where there is no terminal to draw on.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);

/// One thing that is being done, with its time: a spinner on a terminal, plain lines elsewhere.
pub(crate) struct Step {
    what: String,
    started: Instant,
    spinner: Option<ProgressBar>,
    said: Instant,
}

impl Step {
    pub(crate) fn begin(what: impl Into<String>) -> Self {
        let what = what.into();
        let spinner = std::io::stderr().is_terminal().then(|| {
            let spinner = ProgressBar::new_spinner();
            if let Ok(style) =
                ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg:.dim}")
            {
                spinner.set_style(style);
            }
            spinner.set_prefix(what.clone());
            spinner.enable_steady_tick(Duration::from_millis(100));
            spinner
        });
        if spinner.is_none() {
            println!("  {what} …");
        }
        Self {
            what,
            started: Instant::now(),
            spinner,
            said: Instant::now(),
        }
    }

    /// How far it has come.
    pub(crate) fn progress(&mut self, message: &str) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(message.to_owned());
        } else if self.said.elapsed() >= SIGN_OF_LIFE {
            println!(
                "  {} … {}, {message}",
                self.what,
                seconds(self.started.elapsed())
            );
            self.said = Instant::now();
        }
    }

    /// It happened.
    pub(crate) fn done(self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
        println!("✓ {} ({})", self.what, seconds(self.started.elapsed()));
    }

    /// It did not happen.
    pub(crate) fn failed(self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
        println!("✗ {} ({})", self.what, seconds(self.started.elapsed()));
    }
}

/// Does one step and tells what it was, whether it happened and how long it took.
pub(crate) async fn step<T>(
    what: impl Into<String>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let step = Step::begin(what);
    let outcome = work.await;
    match &outcome {
        Ok(_) => step.done(),
        Err(_) => step.failed(),
    }
    outcome
}

/// Prints text below a step, set off from the steps.
pub(crate) fn show(text: &str) {
    for line in text.trim_end().lines() {
        println!("    {line}");
    }
}

/// A duration as people read it.
pub(crate) fn seconds(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else if duration < Duration::from_mins(1) {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!(
            "{} min {:02} s",
            duration.as_secs() / 60,
            duration.as_secs() % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_in_the_unit_that_fits() {
        assert_eq!(seconds(Duration::from_micros(12_500)), "12 ms");
        assert_eq!(seconds(Duration::from_millis(2_540)), "2.5 s");
        assert_eq!(seconds(Duration::from_secs(201)), "3 min 21 s");
    }
}
