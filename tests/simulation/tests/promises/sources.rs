//! The tests of this repository, by their names.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The folders that have tests, in Rust and in Python.
const FOLDERS: [&str; 6] = ["agent", "examples", "network", "operator", "tests", "xtask"];

/// The names of all tests, and how many tests have each.
pub(crate) fn tests() -> BTreeMap<String, usize> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = BTreeMap::new();
    for folder in FOLDERS {
        read(&root.join(folder), &mut found);
    }
    found
}

fn read(folder: &Path, found: &mut BTreeMap<String, usize>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Those of Python, and caches of tools.
        if name.starts_with('.') || name.starts_with("__") || name == "target" {
            continue;
        }
        if path.is_dir() {
            read(&path, found);
            continue;
        }
        let of = match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => of_rust,
            Some("py") => of_python,
            _ => continue,
        };
        for name in of(&fs::read_to_string(&path).unwrap()) {
            *found.entry(name).or_default() += 1;
        }
    }
}

/// Functions after `#[test]`, `#[tokio::test(…)]` and the like, whatever else is between but what
/// leaves them out.
fn of_rust(source: &str) -> Vec<String> {
    let (mut found, mut pending, mut left_out) = (Vec::new(), false, false);
    for line in source.lines().map(str::trim) {
        pending |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        // Those that want something of the machine are run by a part of their own.
        left_out |= line.starts_with("#[ignore") && !line.contains(": cargo xtask test ");
        let function = line.strip_prefix("async ").unwrap_or(line);
        if let Some(function) = function.strip_prefix("fn ") {
            let name = function.split(['(', '<']).next().unwrap_or_default();
            if pending && !left_out {
                found.push(name.to_owned());
            }
            (pending, left_out) = (false, false);
        }
    }
    found
}

fn of_python(source: &str) -> Vec<String> {
    let (mut found, mut left_out) = (Vec::new(), false);
    for line in source.lines() {
        left_out |= ["@pytest.mark.skip", "@pytest.mark.xfail"]
            .iter()
            .any(|mark| line.starts_with(mark));
        let function = line.strip_prefix("async ").unwrap_or(line);
        if let Some(function) = function.strip_prefix("def ") {
            let name = function.split('(').next().unwrap_or_default();
            if name.starts_with("test_") && !left_out {
                found.push(name.to_owned());
            }
            left_out = false;
        }
    }
    found
}

#[test]
fn tests_are_told_from_other_functions() {
    let rust = "fn helper() {}\n#[test]\n#[cfg(unix)]\nfn one() {}\nfn another() {}\n\
                #[tokio::test(start_paused = true)]\nasync fn two<T>() {}\n\
                #[test]\n#[ignore = \"slow\"]\nfn never_run() {}\n#[test]\nfn three() {}\n\
                #[test]\n#[ignore = \"it needs nodes: cargo xtask test nodes\"]\nfn four() {}\n";
    assert_eq!(of_rust(rust), ["one", "two", "three", "four"]);
    let python = "def helper() -> None:\ndef test_a(x: int) -> None:\n    def test_b():\n\
                  @pytest.mark.skip\ndef test_never():\nasync def test_c():\n";
    assert_eq!(of_python(python), ["test_a", "test_c"]);
}
