//! Makes a data set and says how fast: `synthesize OUT [INSTANCES] [SEED] [full]`.

use std::env;
use std::path::PathBuf;
use std::time::Instant;

use dcmjoin_synth::{Preset, SynthOptions, synthesize};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let out = PathBuf::from(arguments.next().ok_or("expected a folder to write to")?);
    let instances = arguments.next().map_or(Ok(1_000), |text| text.parse())?;
    let seed = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let mut options = SynthOptions::new(instances, seed);
    if arguments.next().is_some_and(|word| word == "full") {
        options.preset = Preset::Full;
    }
    let begin = Instant::now();
    let mut bytes = 0;
    let truth = synthesize(&options, &out, &mut |progress| bytes = progress.bytes)?;
    let seconds = begin.elapsed().as_secs_f64();
    println!("{} instances, {bytes} bytes in {seconds:.2} s", truth.options.instances);
    Ok(())
}
