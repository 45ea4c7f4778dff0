#!/bin/sh
# Runs a fuzz target for some seconds, on the stable toolchain: fuzz/run.sh tar 60
set -eu
cd "$(dirname "$0")"
target=${1:?usage: run.sh TARGET [SECONDS]}
seconds=${2:-60}
host=$(rustc -vV | sed -n 's/^host: //p')

# What cargo-fuzz passes with `--sanitizer none`: coverage for libFuzzer, by options that stable has.
# With --target they are not for build scripts.
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares ${RUSTFLAGS:-}" \
    cargo build --release --target "$host" --bin "$target"

# New inputs go to `found/`, which is not kept; the seeds stay as they are.
mkdir -p "found/$target" "artifacts/$target"
exec "${CARGO_TARGET_DIR:-target}/$host/release/$target" "found/$target" "corpus/$target" \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=512 -max_len=16384 \
    -artifact_prefix="artifacts/$target/" -print_final_stats=1 -verbosity=0
