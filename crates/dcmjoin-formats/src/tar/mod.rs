//! The sans-io tar parser.
