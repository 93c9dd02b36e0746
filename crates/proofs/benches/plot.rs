//! Measure plotting.

fn main() {}
