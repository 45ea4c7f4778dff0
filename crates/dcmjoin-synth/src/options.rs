//! What to make: how many, of what, and how much of it is amiss.

use serde::{Deserialize, Serialize};

use crate::error::SynthError;
use crate::recipe::{Preset, Recipe};

/// Members a metadata archive has by default. Headers are small, so archives are counted in
/// thousands of them.
const METADATA_MEMBERS: u64 = 2_500;
/// Members an image archive has by default.
const IMAGE_MEMBERS: u64 = 500;
/// More instances than that would need more memory for their index than a laptop has.
const INSTANCES_MAX: u64 = 1_000_000_000;

/// What to make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SynthOptions {
    /// Instances, whole or with a half missing; at most a thousand million.
    pub instances: u64,
    /// The same seed and options give the same bytes.
    pub seed: u64,
    /// How many archives; `None` derives it from `instances`.
    pub archives: Option<Archives>,
    /// How much is amiss.
    pub shares: Shares,
    /// Of what.
    pub mix: Mix,
    /// Whether archives are compressed.
    pub compress: Option<ArchiveCompression>,
    /// How large pictures are.
    pub preset: Preset,
}

/// How many archives each side has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archives {
    /// Metadata archives, at least 1.
    pub metadata: u32,
    /// Image archives, at least 1.
    pub images: u32,
}

/// How archives are compressed as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArchiveCompression {
    /// `.tar.gz`
    Gz,
    /// `.tar.zst`
    Zst,
}

/// Parts of `instances`, each from 0 to 1. The groups do not overlap.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shares {
    /// Headers without a payload.
    pub unpaired_metadata: f64,
    /// Payloads without a header.
    pub unpaired_images: f64,
    /// Halves that stand in two archives with the same bytes.
    pub duplicate: f64,
    /// Halves that stand in two archives with other bytes.
    pub conflict: f64,
    /// Halves or pairs that cannot become a file.
    pub broken: f64,
    /// Instances without pixels.
    pub header_only: f64,
    /// Headers in lawful spellings other than the usual one.
    pub other_spellings: f64,
}

/// Weights of the recipes; those without pixels share [`Shares::header_only`] among them, the
/// others share the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mix(Vec<(Recipe, f64)>);

impl SynthOptions {
    /// Returns the default options for a number of instances and a seed.
    #[must_use]
    pub fn new(instances: u64, seed: u64) -> Self {
        Self {
            instances,
            seed,
            archives: None,
            shares: Shares::default(),
            mix: Mix::default(),
            compress: None,
            preset: Preset::default(),
        }
    }

    /// Returns the archives of each side. By default at least two and three, so that a duplicate
    /// always has another archive to be in.
    #[must_use]
    pub fn archives(&self) -> Archives {
        let count = |members: u64, least: u64| {
            u32::try_from(self.instances.div_ceil(members).max(least)).unwrap_or(u32::MAX)
        };
        self.archives.unwrap_or_else(|| Archives {
            metadata: count(METADATA_MEMBERS, 2),
            images: count(IMAGE_MEMBERS, 3),
        })
    }

    /// Checks what types cannot.
    pub(crate) fn check(&self) -> Result<(), SynthError> {
        let fail = |text: String| Err(SynthError::Options(text));
        if self.instances > INSTANCES_MAX {
            return fail(format!("{} instances, at most {INSTANCES_MAX}", self.instances));
        }
        let archives = self.archives();
        if archives.metadata == 0 || archives.images == 0 {
            return fail("each side needs at least one archive".into());
        }
        let Shares {
            unpaired_metadata,
            unpaired_images,
            duplicate,
            conflict,
            broken,
            header_only,
            other_spellings,
        } = self.shares;
        let special =
            [unpaired_metadata, unpaired_images, duplicate, conflict, broken, header_only];
        if !special.iter().chain([&other_spellings]).all(|share| (0.0..=1.0).contains(share)) {
            return fail("a share is a number from 0 to 1".into());
        }
        if special.iter().sum::<f64>() > 1.0 {
            return fail("the shares of special instances exceed 1".into());
        }
        if self.mix.0.iter().any(|&(_, weight)| !weight.is_finite() || weight < 0.0) {
            return fail("a weight is a finite number from 0".into());
        }
        if self.mix.weights(false).next().is_none() {
            return fail("the mix has no recipe with pixels".into());
        }
        Ok(())
    }
}

impl Default for SynthOptions {
    fn default() -> Self {
        Self::new(1_000, 1)
    }
}

impl Shares {
    /// Nothing amiss, every instance with pixels, every header in the usual spelling.
    pub const CLEAN: Self = Self {
        unpaired_metadata: 0.0,
        unpaired_images: 0.0,
        duplicate: 0.0,
        conflict: 0.0,
        broken: 0.0,
        header_only: 0.0,
        other_spellings: 0.0,
    };
}

impl Default for Shares {
    fn default() -> Self {
        Self {
            unpaired_metadata: 0.005,
            unpaired_images: 0.005,
            duplicate: 0.005,
            conflict: 0.005,
            broken: 0.005,
            header_only: 0.04,
            other_spellings: 0.03,
        }
    }
}

impl Mix {
    /// Returns a mix of the given recipes only.
    #[must_use]
    pub fn of(weights: &[(Recipe, f64)]) -> Self {
        Self(weights.to_vec())
    }

    /// Returns the recipes with or without pixels that have a weight, in order of declaration.
    pub(crate) fn weights(&self, header_only: bool) -> impl Iterator<Item = (Recipe, f64)> + '_ {
        self.0
            .iter()
            .copied()
            .filter(move |&(recipe, weight)| weight > 0.0 && recipe.is_header_only() == header_only)
    }
}

impl Default for Mix {
    fn default() -> Self {
        Self(Recipe::ALL.iter().map(|&recipe| (recipe, recipe.default_weight())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_pass_and_nonsense_does_not() {
        assert!(SynthOptions::default().check().is_ok());
        let bad: [fn(&mut SynthOptions); 5] = [
            |options| options.shares.broken = -0.1,
            |options| options.shares.duplicate = 1.0,
            |options| options.instances = u64::MAX,
            |options| options.archives = Some(Archives { metadata: 0, images: 1 }),
            |options| options.mix = Mix::of(&[(Recipe::Report, 1.0)]),
        ];
        for (case, spoil) in bad.into_iter().enumerate() {
            let mut options = SynthOptions::default();
            spoil(&mut options);
            assert!(options.check().is_err(), "case {case}");
        }
    }
}
