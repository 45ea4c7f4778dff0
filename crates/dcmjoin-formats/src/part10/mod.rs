//! Part 10 files.
