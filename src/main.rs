//! The `squall` binary: calls the library and turns the result into an exit code.
fn main() {}
