//! dcmjoin.
fn main() {}
