//! Tests of the recogniser.
