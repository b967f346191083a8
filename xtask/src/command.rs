//! Running other programs to their end: streamed, captured, or into a log file.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout};

use crate::files;

/// How to run a program: nothing is started until one of this module's functions is given it.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    variables: Vec<(String, OsString)>,
    /// Variables of this program's own whose names start so are not handed on.
    hidden: &'static [&'static str],
    folder: Option<PathBuf>,
}

impl Program {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            arguments: Vec::new(),
            variables: Vec::new(),
            hidden: &[],
            folder: None,
        }
    }

    /// Cargo, as if it were called from a shell: what cargo tells a program that it runs would
    /// make build scripts run again.
    pub(crate) fn cargo() -> Self {
        Self::new("cargo").without_variables(&["CARGO_PKG_", "CARGO_MANIFEST_"])
    }

    pub(crate) fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub(crate) fn arguments<A: AsRef<OsStr>>(
        mut self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        self.arguments.extend(
            arguments
                .into_iter()
                .map(|argument| argument.as_ref().to_owned()),
        );
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables
            .push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Keeps variables whose names start with one of `prefixes` from the program.
    pub(crate) fn without_variables(mut self, prefixes: &'static [&'static str]) -> Self {
        self.hidden = prefixes;
        self
    }

    /// The same, started by another program that takes it as its last arguments.
    pub(crate) fn through(self, starter: Self) -> Self {
        Self {
            path: starter.path,
            arguments: starter
                .arguments
                .into_iter()
                .chain([self.path.into_os_string()])
                .chain(self.arguments)
                .collect(),
            ..self
        }
    }

    pub(crate) fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// The program's name, without its folder.
    pub(crate) fn name(&self) -> String {
        self.path
            .file_name()
            .unwrap_or(self.path.as_os_str())
            .to_string_lossy()
            .into_owned()
    }

    /// Its name and first arguments, for messages.
    fn shown(&self) -> String {
        let mut shown = self.name();
        for argument in self.arguments.iter().take(4) {
            shown.push(' ');
            shown.push_str(&argument.to_string_lossy());
        }
        if self.arguments.len() > 4 {
            shown.push_str(" …");
        }
        shown
    }

    /// The same program behind a gate: it begins once a line comes on its standard input, and never
    /// if that ends before.
    pub(crate) fn gated(&self) -> Self {
        let mut gated = self.clone();
        gated.path = "sh".into();
        gated.arguments = ["-c", "read -r go && exec \"$0\" \"$@\" </dev/null"]
            .map(OsString::from)
            .into_iter()
            .chain([self.path.clone().into_os_string()])
            .chain(self.arguments.iter().cloned())
            .collect();
        gated
    }

    /// Starts it in a process group of its own, so that it and all it starts can be ended
    /// together and a Ctrl-C reaches it through this program alone.
    pub(crate) fn spawn(&self, output: Stdio, errors: Stdio) -> Result<Child> {
        self.spawn_with(Stdio::null(), output, errors)
    }

    /// As [`Program::spawn`], with something to read.
    pub(crate) fn spawn_with(&self, input: Stdio, output: Stdio, errors: Stdio) -> Result<Child> {
        let mut command = tokio::process::Command::new(&self.path);
        for (name, _) in std::env::vars_os() {
            let shown = name.to_string_lossy();
            if self.hidden.iter().any(|prefix| shown.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command
            .args(&self.arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(input)
            .stdout(output)
            .stderr(errors)
            .process_group(0);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
            .spawn()
            .with_context(|| format!("cannot start {}", self.path.display()))
    }
}

/// Ends the process group of a program that is not waited for any longer.
pub(crate) struct Running {
    child: Child,
    group: Option<Pid>,
}

impl Running {
    pub(crate) fn new(child: Child) -> Self {
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        Self { child, group }
    }

    /// What it says on stdout, if that is a pipe; once.
    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// What it says on stderr, if that is a pipe; once.
    pub(crate) fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Waits for its end.
    pub(crate) async fn wait(&mut self) -> Result<ExitStatus> {
        let status = self
            .child
            .wait()
            .await
            .context("cannot wait for a program")?;
        self.group = None;
        Ok(status)
    }

    /// Ends it by force (SIGKILL), but nothing that it has started, and waits for its end.
    pub(crate) async fn kill(mut self) -> Result<()> {
        self.child.start_kill().context("cannot end a program")?;
        self.wait().await.map(drop)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // An error means that it is gone already.
            let _ = kill_process_group(group, Signal::TERM);
        }
    }
}

/// Runs a program with its output going where this program's goes.
///
/// # Errors
/// When it cannot be started or does not succeed.
pub(crate) async fn stream(program: Program) -> Result<()> {
    let child = program.spawn(Stdio::inherit(), Stdio::inherit())?;
    let status = Running::new(child).wait().await?;
    if !status.success() {
        bail!("{} failed: {status}", program.shown());
    }
    Ok(())
}

/// Runs a program and returns what it printed.
///
/// # Errors
/// When it cannot be started or does not succeed: with what it said on stderr.
pub(crate) async fn capture(program: Program) -> Result<String> {
    let errors = tempfile::tempfile().context("cannot make a temporary file")?;
    let output = tempfile::tempfile().context("cannot make a temporary file")?;
    let child = program.spawn(
        output
            .try_clone()
            .context("cannot share a temporary file")?
            .into(),
        errors
            .try_clone()
            .context("cannot share a temporary file")?
            .into(),
    )?;
    let status = Running::new(child).wait().await?;
    if !status.success() {
        let said = files::read_from_start(errors)?;
        bail!("{} failed: {status}: {}", program.shown(), said.trim());
    }
    files::read_from_start(output)
}

/// Runs a program with what it says on stderr going to a file, line by line, and to `each`.
///
/// # Errors
/// When it cannot be started or does not succeed: with the last lines of the file.
pub(crate) async fn watched(
    program: Program,
    log: &Path,
    mut each: impl FnMut(&str),
) -> Result<()> {
    files::create_parent(log)?;
    let mut file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut running = Running::new(program.spawn(Stdio::null(), Stdio::piped())?);
    let said = running.take_stderr().context("its output is missing")?;
    let mut said = BufReader::new(said);
    let mut line = Vec::new();
    while said.read_until(b'\n', &mut line).await? > 0 {
        file.write_all(&line)
            .with_context(|| format!("cannot write {}", log.display()))?;
        each(String::from_utf8_lossy(&line).trim());
        line.clear();
    }
    let status = running.wait().await?;
    if !status.success() {
        bail!(
            "{} failed: {status}; {} ends with\n{}",
            program.shown(),
            log.display(),
            files::tail(log, 15)
        );
    }
    Ok(())
}

/// Opens a log file for appending, making it if need be.
pub(crate) fn append_to(log: &Path) -> Result<File> {
    files::create_parent(log)?;
    File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("cannot write to {}", log.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program::new("sh").arguments(["-c", script])
    }

    #[tokio::test]
    async fn a_program_through_another_keeps_its_arguments_and_variables() {
        let program = shell("echo $0 $WORD")
            .argument("zero")
            .variable("WORD", "w");
        let through = program.through(Program::new("env").argument("-u").argument("NOTHING"));
        assert_eq!(capture(through).await.unwrap(), "zero w\n");
    }

    #[tokio::test]
    async fn capture_returns_stdout_alone() {
        let said = capture(shell("echo out; echo err >&2")).await.unwrap();
        assert_eq!(said, "out\n");
    }

    #[tokio::test]
    async fn a_failure_says_what_was_on_stderr() {
        let error = capture(shell("echo because >&2; exit 3"))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("because") && error.contains("exit status: 3"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn what_is_watched_is_in_the_log_and_a_failure_shows_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("logs/a.log");
        let mut seen = Vec::new();
        // The second is said once the first is in the log.
        let script = format!(
            "echo ' first' >&2; until grep -q first {}; do :; done; echo last >&2; exit $0",
            log.display()
        );
        for status in ["0", "1"] {
            let program = shell(&script).argument(status);
            let done = watched(program, &log, |line| seen.push(line.to_owned())).await;
            assert_eq!(seen, ["first", "last"]);
            assert_eq!(std::fs::read_to_string(&log).unwrap(), " first\nlast\n");
            assert_eq!(done.is_ok(), status == "0");
            if let Err(error) = done {
                let error = error.to_string();
                assert!(error.contains("a.log ends with\n    "), "{error}");
                assert!(error.contains("last"), "{error}");
            }
            seen.clear();
        }
    }

    #[tokio::test]
    async fn a_program_no_longer_waited_for_is_ended_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", pid.display());
        let work = capture(shell(&script));
        let written = async {
            while !std::fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n')) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            _ = work => panic!("the program ended by itself"),
            () = written => {}
        }
        let pid: u32 = std::fs::read_to_string(&pid)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while crate::environment::Identity::of(pid).is_some_and(|found| found.is_alive()) {
            assert!(
                std::time::Instant::now() < deadline,
                "process {pid} is still there"
            );
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}
