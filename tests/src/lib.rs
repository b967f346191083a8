//! Tests that need several programs.
