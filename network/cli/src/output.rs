//! Standard output: tables and JSON.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the program's output"
)]

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::args::Output;
use crate::failure::Complaint;

/// Prints rows under a header, as kubectl does.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: Vec<[String; N]>) {
    if rows.is_empty() {
        eprintln!("nothing found");
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    println!("{}", table.trim_fmt());
}

/// The columns of a wide table: those of the plain one, and more.
pub(crate) const fn wide<const N: usize, const ALL: usize>(
    columns: [&'static str; N],
    more: &[&'static str],
) -> [&'static str; ALL] {
    assert!(columns.len() + more.len() == ALL);
    let mut all = [""; ALL];
    let mut at = 0;
    while at < ALL {
        all[at] = if at < N { columns[at] } else { more[at - N] };
        at += 1;
    }
    all
}

/// A row of such a table.
pub(crate) fn wide_row<const N: usize>(
    row: impl IntoIterator<Item = String>,
    more: impl IntoIterator<Item = String>,
) -> [String; N] {
    let mut row = row.into_iter().chain(more);
    std::array::from_fn(|_| row.next().unwrap_or_default())
}

/// Prints a value as JSON, for people to read.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Prints one line.
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// Says what is being done: on standard error, for the output is the result.
pub(crate) fn say(text: &str) {
    eprintln!("{text} …");
}

/// Says what went wrong, and what to do about it.
pub(crate) fn complain(complaint: &Complaint, output: Output) {
    if output == Output::Json
        && let Ok(json) = serde_json::to_string(complaint)
    {
        eprintln!("{json}");
        return;
    }
    eprintln!("error: {}", complaint.error);
    if let Some(hint) = &complaint.hint {
        eprintln!("hint: {hint}");
    }
}
