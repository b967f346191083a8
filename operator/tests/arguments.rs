//! The program's flags, where the environment says a part of them.

use std::io::Result;
use std::process::{Command, Output};

/// What the program comes to where HULY_NETWORK is set, as in a shell that looks at a network.
fn run(arguments: &[&str]) -> Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_huly-operator"))
        .args(arguments)
        .env_clear()
        .env("HULY_NETWORK", "127.0.0.1:1")
        .env("KUBECONFIG", "/no/such/file")
        .output()
}

#[test]
fn subcommands_need_nothing_of_what_operating_needs() {
    for name in ["crds", "rbac"] {
        let output = run(&[name]).unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
    }
    // It gets as far as to look for the API server.
    let output = run(&["check"]).unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("API server"), "{said}");
}

#[test]
fn operating_needs_all_of_it() {
    let output = run(&[]).unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--control-secret-file"), "{said}");
}
