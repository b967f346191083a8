use std::process::ExitCode;

/// How a program ends: an error is said in one line of the log, and exits with 1.
pub fn finish(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Before logging started, there is no log to say it in.
            if tracing::dispatcher::has_been_set() {
                tracing::error!("{error:#}");
            } else {
                #[allow(clippy::print_stderr, reason = "nothing else is there to say it with")]
                {
                    eprintln!("error: {error:#}");
                }
            }
            ExitCode::FAILURE
        }
    }
}
