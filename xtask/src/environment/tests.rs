use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::Notify;

use super::*;

/// How long a program may take to be ready, or to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// A cache of its own; its programs are ended when the test's environment is taken down.
fn workspace(folder: &Path) -> Workspace {
    Workspace {
        root: folder.into(),
        target: folder.join("target"),
        cache: folder.join("cache"),
    }
}

fn shell(script: &str) -> Program {
    Program::new("sh").arguments(["-c", script])
}

fn identity(environment: &Environment, name: &str) -> Identity {
    environment.state.process(name).unwrap().identity.clone()
}

#[tokio::test]
async fn a_program_that_ends_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut environment = Environment::create(&workspace(folder.path()), "one")
        .await
        .unwrap();
    environment
        .start("broken", &shell("echo no such flag; exit 3"))
        .unwrap();
    let never = || async { bail!("no answer") };
    let error = environment
        .await_ready("broken", PATIENCE, never)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("exit status: 3") && error.contains("no such flag"),
        "{error}"
    );
    environment.take_down().await.unwrap();
}

#[tokio::test]
async fn another_program_that_ends_meanwhile_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut environment = Environment::create(&workspace(folder.path()), "one")
        .await
        .unwrap();
    let sleep = Program::new("sleep").argument("600");
    environment.start("waiting", &sleep).unwrap();
    environment
        .start("needed", &shell("echo no space left; exit 4"))
        .unwrap();
    // It ended later, for want of the other.
    environment.start("another", &shell("exit 5")).unwrap();
    for name in ["needed", "another"] {
        let child = environment.children.get_mut(name).unwrap();
        child.wait().await.unwrap();
    }
    let hangs = || std::future::pending();
    let error = environment
        .await_ready("waiting", PATIENCE, hangs)
        .await
        .unwrap_err()
        .to_string();
    let expected = "needed ended while waiting was waited for (exit status: 4)";
    assert!(
        error.starts_with(expected) && error.contains("no space left"),
        "{error}"
    );
    environment.take_down().await.unwrap();
}

#[tokio::test]
async fn a_program_that_ends_is_told_while_an_answer_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut environment = Environment::create(&workspace(folder.path()), "one")
        .await
        .unwrap();
    let sleep = Program::new("sleep").argument("600");
    environment.start("needed", &sleep).unwrap();
    environment.start("waiting", &sleep).unwrap();
    let needed = identity(&environment, "needed");
    let asked = Notify::new();
    let waits = || async {
        asked.notify_one();
        std::future::pending().await
    };
    let waiting = environment.await_ready("waiting", Duration::from_hours(1), waits);
    let killing = async {
        asked.notified().await;
        needed.signal(rustix::process::Signal::KILL)
    };
    let (waited, killed) = tokio::join!(waiting, killing);
    killed.unwrap();
    let error = waited.unwrap_err().to_string();
    assert!(error.starts_with("needed ended"), "{error}");
    environment.take_down().await.unwrap();
}

#[tokio::test]
async fn a_program_that_is_never_ready_says_what_it_waits_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut environment = Environment::create(&workspace(folder.path()), "one")
        .await
        .unwrap();
    environment
        .start("slow", &Program::new("sleep").argument("600"))
        .unwrap();
    let patience = Duration::from_millis(200);
    let unready = || async { bail!("it waits for the moon") };
    let error = environment
        .await_ready("slow", patience, unready)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("it waits for the moon"), "{error}");
    let hangs = || std::future::pending();
    let error = environment
        .await_ready("slow", patience, hangs)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("does not answer"), "{error}");
    environment.take_down().await.unwrap();
}

#[tokio::test]
async fn a_program_is_asked_until_it_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let mut environment = Environment::create(&workspace(folder.path()), "one")
        .await
        .unwrap();
    environment
        .start("server", &Program::new("sleep").argument("600"))
        .unwrap();
    let asked = AtomicU32::new(0);
    let third = || async {
        let number = asked.fetch_add(1, Ordering::Relaxed) + 1;
        if number < 3 { bail!("not yet") } else { Ok(()) }
    };
    environment
        .await_ready("server", PATIENCE, third)
        .await
        .unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    environment.take_down().await.unwrap();
}

#[tokio::test]
async fn taking_down_ends_every_program_and_keeps_the_logs() {
    let folder = tempfile::tempdir().unwrap();
    let workspace = workspace(folder.path());
    let mut environment = Environment::create(&workspace, "one").await.unwrap();
    let polite = "trap 'echo bye; exit' TERM; echo ready; while :; do sleep 0.01; done";
    environment.start("polite", &shell(polite)).unwrap();
    environment
        .start("sleeper", &Program::new("sleep").argument("600"))
        .unwrap();
    let started = ["polite", "sleeper"].map(|name| identity(&environment, name));
    let log = environment.log("polite");
    let said = || async {
        anyhow::ensure!(std::fs::read_to_string(&log)?.contains("ready"), "not yet");
        Ok(())
    };
    environment
        .await_ready("polite", PATIENCE, said)
        .await
        .unwrap();
    environment.take_down().await.unwrap();
    assert!(started.iter().all(|process| !process.is_alive()));
    assert!(!workspace.environments().join("one").exists());
    assert!(std::fs::read_to_string(log).unwrap().contains("bye"));
}

#[tokio::test]
async fn what_an_earlier_run_left_is_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let workspace = workspace(folder.path());
    let mut environment = Environment::create(&workspace, "one").await.unwrap();
    environment
        .start("sleeper", &Program::new("sleep").argument("600"))
        .unwrap();
    let left = identity(&environment, "sleeper");
    // As when the run that started it was ended by force.
    drop(environment);
    assert!(left.is_alive());
    let next = Environment::create(&workspace, "one").await.unwrap();
    assert!(!left.is_alive());
    next.take_down().await.unwrap();
}

#[tokio::test]
async fn a_program_that_is_not_written_down_never_begins() {
    let folder = tempfile::tempdir().unwrap();
    let mut environment = Environment::create(&workspace(folder.path()), "one")
        .await
        .unwrap();
    // As when the run is killed right after the start, or its disk is full.
    files::remove_folder(&environment.folder).unwrap();
    std::fs::write(&environment.folder, "not a folder").unwrap();
    let begun = folder.path().join("begun");
    let program = shell(&format!("echo > {}; sleep 600", begun.display()));
    assert!(environment.start("lost", &program).is_err());
    let mut child = environment.children.remove("lost").unwrap();
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await.unwrap();
    assert!(!ended.unwrap().success());
    assert!(!begun.exists());
}

#[tokio::test]
async fn a_running_environment_is_left_alone_until_it_is_taken_down() {
    let folder = tempfile::tempdir().unwrap();
    let workspace = workspace(folder.path());
    let mut environment = Environment::create(&workspace, "one").await.unwrap();
    environment
        .start("sleeper", &Program::new("sleep").argument("600"))
        .unwrap();
    environment.complete().unwrap();
    let running = identity(&environment, "sleeper");
    drop(environment);
    let refused = Environment::create(&workspace, "one")
        .await
        .err()
        .unwrap()
        .to_string();
    let shell = workspace.environments().join("one/env");
    for part in [
        "one is up already".to_owned(),
        format!("source {}", shell.display()),
        "cargo xtask down --name one".to_owned(),
    ] {
        assert!(refused.contains(&part), "{part}: {refused}");
    }
    assert!(running.is_alive());
    assert!(down(&workspace, "one").await.unwrap());
    assert!(!running.is_alive());
    assert!(workspace.logs("one").join("sleeper.log").exists());
    assert!(!down(&workspace, "one").await.unwrap());
}

#[tokio::test]
async fn two_runs_do_not_work_on_one_environment() {
    let folder = tempfile::tempdir().unwrap();
    let workspace = workspace(folder.path());
    let first = Environment::create(&workspace, "one").await.unwrap();
    assert!(Environment::create(&workspace, "one").await.is_err());
    let refused = down(&workspace, "one").await.unwrap_err().to_string();
    assert!(refused.contains("press Ctrl-C"), "{refused}");
    let second = Environment::create_unused(&workspace, "one").await.unwrap();
    assert_eq!(second.name(), "one-2");
    let ports = |environment: &Environment| environment.ports().all().collect::<Vec<_>>();
    let of_first = ports(&first);
    assert!(ports(&second).iter().all(|port| !of_first.contains(port)));
    second.take_down().await.unwrap();
    first.take_down().await.unwrap();
}

#[tokio::test]
async fn killing_what_has_ended_before_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut environment = Environment::create(&workspace(folder.path()), "one")
        .await
        .unwrap();
    environment
        .start("sleeper", &Program::new("sleep").argument("600"))
        .unwrap();
    environment.kill("sleeper").await.unwrap();
    let error = environment.kill("sleeper").await.unwrap_err().to_string();
    assert!(error.contains("had ended before"), "{error}");
    assert!(environment.kill("unknown").await.is_err());
    environment.take_down().await.unwrap();
}

#[tokio::test]
async fn logs_stay_until_the_next_environment_of_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let workspace = workspace(folder.path());
    let mut first = Environment::create(&workspace, "one").await.unwrap();
    let sleep = Program::new("sleep").argument("600");
    first.start("sleeper", &sleep).unwrap();
    let log = first.log("sleeper");
    first.take_down().await.unwrap();
    let other = Environment::create(&workspace, "two").await.unwrap();
    assert!(log.exists());
    other.take_down().await.unwrap();
    let second = Environment::create(&workspace, "one").await.unwrap();
    assert!(!log.exists());
    second.take_down().await.unwrap();
}
