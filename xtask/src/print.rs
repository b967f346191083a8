//! `println!` and its like for this program: that nobody reads any more (`cargo xtask up | head -1`)
//! must not end the work half-way, as the standard ones do.

use std::fmt::Arguments;
use std::io::{Write, stderr, stdout};

macro_rules! print {
    ($($text:tt)*) => { $crate::print::to_stdout(format_args!($($text)*)) };
}

macro_rules! println {
    ($format:literal $($rest:tt)*) => { print!("{}\n", format_args!($format $($rest)*)) };
}

macro_rules! eprintln {
    ($($text:tt)*) => { $crate::print::to_stderr(format_args!("{}\n", format_args!($($text)*))) };
}

pub(crate) fn to_stdout(text: Arguments<'_>) {
    // Without a reader there is nobody to tell.
    let _ = stdout().lock().write_fmt(text);
}

pub(crate) fn to_stderr(text: Arguments<'_>) {
    // As above.
    let _ = stderr().lock().write_fmt(text);
}
