//! docs/client.md says what the code does.

use huly_client::{ClientBuilder, Error, ErrorKind, Operation};

const GUIDE: &str = include_str!("../../../../docs/client.md");

/// The rows of a table under a heading, each cell trimmed of blanks and backticks.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let section = GUIDE.split("\n## ").find(|text| text.starts_with(heading));
    let lines = section.expect("the section").lines();
    let rows = lines.filter(|line| line.starts_with('|'));
    let cells = |line: &'static str| {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().trim_matches('`')).collect()
    };
    rows.skip(2).map(cells).collect()
}

#[test]
fn the_defaults() {
    let said = |option: &str| {
        let rows = table("Options");
        let row = rows.iter().find(|row| row[0] == option);
        let row = row.expect("a row of the option");
        assert_eq!(row[2], "seconds");
        row[1].parse::<u64>().expect("a number")
    };
    assert_eq!(
        said("alive_timeout"),
        ClientBuilder::ALIVE_TIMEOUT.as_secs()
    );
    assert_eq!(
        said("request_timeout"),
        ClientBuilder::REQUEST_TIMEOUT.as_secs()
    );
    let port = format!("a host alone means port {}.", ClientBuilder::PORT);
    assert!(GUIDE.contains(&port), "{port}");
}

#[test]
fn what_may_be_tried_again() {
    let rows = table("Errors");
    let kinds: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    let all: Vec<String> = ErrorKind::ALL
        .iter()
        .map(|kind| format!("{kind:?}"))
        .collect();
    assert_eq!(kinds, all);
    for (row, &kind) in rows.iter().zip(ErrorKind::ALL) {
        for &operation in Operation::ALL {
            let column = match operation {
                Operation::Get => 1,
                Operation::Connect => 2,
                Operation::Request | Operation::Call => 3,
                _ => 4,
            };
            let error = Error::new(kind, "it failed").of(operation);
            let said = match row[column] {
                "yes" => true,
                "no" => false,
                other => panic!("{other} is no answer"),
            };
            assert_eq!(error.is_retryable(), said, "{error:?}");
        }
    }
}
