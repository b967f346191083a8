//! bench faults: the fate of each request while a network is broken in many ways.

mod book;
mod caller;
mod counter;
mod fault;
mod network;
mod process;
mod programs;
mod progress;
mod report;
mod tally;
pub(crate) mod tied;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow};
use clap::{ValueEnum, value_parser};
use huly_program::Shutdown;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use self::book::Book;
use self::caller::{Caller, Manner};
use self::fault::Fault;
use self::network::{Network, Programs};
use self::progress::Progress;
pub(crate) use self::report::Broken;
use self::report::{COLUMNS, Part, Report, WIDE_COLUMNS};
use crate::args::{Output, seconds};
use crate::output::{json, line, table};

/// How long all clients may take until each was answered for the first time.
const BEGIN: Duration = Duration::from_secs(60);

/// How long references may stay of clients that have left.
const LEFT: Duration = Duration::from_secs(10);

/// The shortest pause: the alive timeout is over before, of clients and agents.
const PAUSE: Duration = Duration::from_secs(4);

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Only this fault; may be repeated. All of them unless given, in the order of this list.
    #[arg(long = "fault", value_enum)]
    faults: Vec<Fault>,
    /// Agents of the network.
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u16).range(2..=100))]
    agents: u16,
    /// Clients: each has one request under way at most. A fifth each sends them through the
    /// server, the same marked idempotent, over direct connections, these marked idempotent, and
    /// gets and releases containers.
    #[arg(long, default_value_t = 25, value_parser = value_parser!(u16).range(5..=1_000))]
    clients: u16,
    /// Requests in a second, of all clients, while nothing goes wrong.
    #[arg(long, default_value_t = 250, value_parser = value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// How long the load is looked at with each fault at least, in seconds.
    #[arg(long = "seconds", default_value = "8", value_parser = seconds,
          allow_negative_numbers = true)]
    duration: Duration,
    /// How long what is frozen or cut off stays so, in seconds; 4 at least, for who is silent for
    /// less than 3 is not given up.
    #[arg(long, default_value = "5", value_parser = pause, allow_negative_numbers = true)]
    pause: Duration,
    /// How long a request may take until its client gives it up, in seconds.
    #[arg(long, default_value = "10", value_parser = seconds,
          allow_negative_numbers = true)]
    deadline: Duration,
    /// How long each way between clients, server and agents takes, in ms, as between machines.
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u64).range(0..=1_000))]
    latency_ms: u64,
    /// After how long an answer counts as late, in seconds.
    #[arg(long, default_value = "1", value_parser = seconds,
          allow_negative_numbers = true)]
    late: Duration,
    /// The network server; unless given huly-network beside this program, or on PATH.
    #[arg(long, value_name = "FILE")]
    network_program: Option<PathBuf>,
    /// The agent, one with the kind `counter`; unless given huly-agent beside this program, or on
    /// PATH.
    #[arg(long, value_name = "FILE")]
    agent_program: Option<PathBuf>,
    /// A folder for the programs' logs, which are thrown away else.
    #[arg(long, value_name = "FOLDER")]
    logs: Option<PathBuf>,
}

/// Runs the script, and prints what became of the requests; where it cannot be run to its end, of
/// those of the faults that were over.
///
/// # Errors
/// When it cannot be run to its end, or a promise was broken ([`Broken`]).
pub(crate) async fn run(
    arguments: &Arguments,
    output: Output,
    shutdown: &mut Shutdown,
) -> Result<()> {
    let mut hangup = signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?;
    let mut report = Report {
        agents: arguments.agents.into(),
        clients: arguments.clients.into(),
        rate: arguments.rate,
        faults: Vec::new(),
        cut_short: None,
        references_left: None,
        broken: Vec::new(),
    };
    let book = Arc::new(Book::new(arguments.clients.into(), arguments.late));
    let mut present = None;
    // Dropped on the way out, everything that was started is ended.
    let measured = tokio::select! {
        measured = measure(arguments, &book, &mut report, &mut present) => measured,
        _ = hangup.recv() => Err(anyhow!("the terminal is gone")),
        name = shutdown.recv() => Err(anyhow!("ended by {name}")),
    };
    match (present, report.faults.last_mut()) {
        (Some(fault), _) => {
            report.cut_short = Some(Part::new(fault, book.part(), Duration::ZERO));
        }
        // What came in after it belongs to the last.
        (None, Some(last)) => *last = Part::new(last.fault, book.part(), last.again),
        (None, None) => {}
    }
    report.judge();
    let why = match measured.map_err(Error::downcast::<Broken>) {
        Ok(()) => None,
        Err(Ok(Broken(what))) => {
            let fault = present.map_or_else(String::new, Fault::name);
            let what = what.into_iter().map(|what| format!("{fault}: {what}"));
            report.broken.extend(what);
            None
        }
        Err(Err(why)) => Some(why),
    };
    let is_broken = !report.broken.is_empty();
    if why.is_none() || is_broken || !report.faults.is_empty() {
        print(&report, arguments, output)?;
    }
    let broken = Broken(report.broken);
    match why {
        Some(why) if is_broken => Err(why.context(broken)),
        Some(why) => Err(why),
        None if is_broken => Err(broken.into()),
        None => Ok(()),
    }
}

fn print(report: &Report, arguments: &Arguments, output: Output) -> Result<()> {
    match output {
        Output::Json => return json(report),
        Output::Table => table(COLUMNS, report.rows()),
        Output::Wide => table(WIDE_COLUMNS, report.wide_rows()),
    }
    line(&format!("\n{}", explained(arguments)));
    Ok(())
}

fn pause(text: &str) -> Result<Duration, String> {
    let pause = seconds(text)?;
    if pause < PAUSE {
        return Err(format!(
            "{} seconds or more were expected: an agent or client that is silent for less than 3 is not \
             given up, and the fault would be none",
            PAUSE.as_secs()
        ));
    }
    Ok(pause)
}

/// What the numbers of the table are.
fn explained(arguments: &Arguments) -> String {
    let Arguments {
        agents,
        clients,
        rate,
        late,
        ..
    } = arguments;
    format!(
        "{agents} agents, {clients} clients, {rate} requests a second. RESENT: answered after it was \
         sent again. LATE: answered\nafter {} s or more. NOT RUN, UNKNOWN: failed, and says that it \
         did not run, or that it may have. TWICE, LOST:\nincrements of counters that ran twice, or \
         were answered and are not there. NO END: neither answered nor failed.\nSILENCE: the longest \
         that a client had no answer. AGAIN: from the last deed until all clients had one again.",
        late.as_secs_f64()
    )
}

/// Puts what it measures into the report, fault by fault, and says which is the present one until all
/// are over.
async fn measure(
    arguments: &Arguments,
    book: &Arc<Book>,
    report: &mut Report,
    present: &mut Option<Fault>,
) -> Result<()> {
    let programs = Programs {
        network: programs::find(
            "huly-network",
            "--network-program",
            arguments.network_program.as_deref(),
        )?,
        agent: programs::find(
            "huly-agent",
            "--agent-program",
            arguments.agent_program.as_deref(),
        )?,
    };
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let logs = match &arguments.logs {
        Some(logs) => {
            let made = std::fs::create_dir_all(logs);
            made.with_context(|| format!("cannot make {}", logs.display()))?;
            logs.as_path()
        }
        None => folder.path(),
    };
    let faults = match &arguments.faults[..] {
        [] => Fault::value_variants(),
        some => some,
    };
    let progress = Progress::begin(faults.len() + 1);
    progress.step("start a network");
    let latency = Duration::from_millis(arguments.latency_ms);
    let mut network = Network::start(&programs, report.agents, latency, logs).await?;
    let address = network.address();
    let load = Load::start(&address, arguments, book);
    let load = network.during(load).await??;
    for fault in faults {
        progress.step(&fault.name());
        book.turn();
        *present = Some(*fault);
        let end = Instant::now() + arguments.duration;
        let done = async {
            let again = fault.run(&mut network, book, arguments.pause).await?;
            network.during(sleep_until(end)).await?;
            anyhow::Ok(again)
        };
        let again = done.await.with_context(|| fault.name())?;
        report.faults.push(Part::new(*fault, book.part(), again));
    }
    *present = None;
    progress.step("end");
    network.during(load.stop()).await??;
    report.references_left = Some(network.references_left(LEFT).await?);
    progress.end();
    Ok(())
}

/// The clients, at work.
struct Load {
    stop: watch::Sender<bool>,
    callers: JoinSet<Result<()>>,
}

impl Load {
    /// Starts them, and returns when each was answered.
    async fn start(address: &str, arguments: &Arguments, book: &Arc<Book>) -> Result<Self> {
        let clients = usize::from(arguments.clients);
        let manner = Manner {
            pace: Duration::from_secs(1) * u32::from(arguments.clients) / arguments.rate,
            deadline: arguments.deadline,
        };
        let run = format!("bench-{:08x}", rand::random::<u32>());
        let (stop, stopped) = watch::channel(false);
        let mut callers = JoinSet::new();
        for number in 0..clients {
            let caller = Caller::start(address, &run, number, book.clone(), manner).await?;
            callers.spawn(caller.run(stopped.clone()));
        }
        let began = Instant::now();
        let answered = tokio::time::timeout(BEGIN, book.all_answered(began)).await;
        answered.context("the network does not answer all clients")?;
        Ok(Self { stop, callers })
    }

    /// Has each ask once more, and waits until all have left.
    async fn stop(mut self) -> Result<()> {
        self.stop.send_replace(true);
        while let Some(left) = self.callers.join_next().await {
            left.context("a client was cut off")??;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_a_fault() {
        for short in ["0", "1", "3", "3.9"] {
            assert!(pause(short).is_err(), "{short}");
        }
        assert!(pause("3").unwrap_err().contains("4 seconds or more"));
        assert_eq!(pause("4"), Ok(PAUSE));
        assert!(pause("5.5").is_ok());
    }
}
