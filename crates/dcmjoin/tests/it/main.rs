//! The program as its users have it: started as a process, judged by what it writes.
//!
//! One test binary, a module for each thing that users do.

mod s3;
