//! Figures for people and scripts to read from the tests' output.

use std::io::Write;
use std::time::Duration;

/// Prints a time that a test saw, as `measured: WHAT: MS ms`.
///
/// It is written past the test harness's capture, which keeps the output of passing tests to itself.
pub fn measured(what: &str, took: Duration) {
    let milliseconds = took.as_secs_f64() * 1e3;
    reported(&format!("measured: {what}: {milliseconds:.1} ms"));
}

/// Prints a line past the capture.
pub fn reported(line: &str) {
    // Output that nobody takes is no failure.
    let _ = writeln!(std::io::stdout(), "{line}");
}
