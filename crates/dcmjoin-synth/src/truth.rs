//! The truth: what a correct run on the data set must report.

use std::fs;
use std::path::Path;

use dcmjoin_model::{Books, Half, Ignored, Instances, Reason, Side};
use serde::{Deserialize, Serialize};

use crate::error::SynthError;
use crate::layout::Layout;
use crate::options::SynthOptions;
use crate::plan::Plan;
use crate::recipe::Recipe;
use crate::roles::{Fault, Role, Roles};

/// The file in the data set's folder that holds its [`Synthesis`].
pub const TRUTH_FILE: &str = "truth.json";

/// A data set that was made, and what a correct run on it must report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Synthesis {
    /// What was asked for.
    pub options: SynthOptions,
    /// The accounts of a first run that writes every file.
    pub books: Books,
    /// Why members are ignored.
    pub ignored: IgnoredMembers,
    /// The instances that are not simply whole, by kind, each in the plan's order.
    pub groups: Groups,
    /// How many instances each recipe has.
    pub recipes: Vec<RecipeCount>,
}

/// Why members of each side are ignored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IgnoredMembers {
    /// Members of metadata archives.
    pub metadata: Ignored,
    /// Members of image archives.
    pub images: Ignored,
}

/// SOP Instance UIDs by what is amiss.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups {
    /// Headers without a payload.
    pub unpaired_metadata: Vec<String>,
    /// Payloads without a header, those of rejected headers not counted.
    pub unpaired_images: Vec<String>,
    /// Headers that come twice with the same bytes.
    pub duplicate_metadata: Vec<String>,
    /// Payloads that come twice with the same bytes.
    pub duplicate_images: Vec<String>,
    /// Headers that come twice with other bytes.
    pub conflict_metadata: Vec<String>,
    /// Payloads that come twice with other bytes.
    pub conflict_images: Vec<String>,
    /// Instances that cannot become a file.
    pub broken: Vec<Broken>,
}

/// An instance that cannot become a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// The name of its members.
    pub uid: String,
    /// What is wrong with it.
    pub fault: Fault,
    /// Which half shows it. A broken header is rejected by itself, and its payload stays unpaired;
    /// a broken payload makes a pair that is rejected.
    pub half: Half,
    /// The reason that a correct run gives.
    pub reason: Reason,
}

/// How many instances a recipe has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipeCount {
    /// The recipe.
    pub recipe: Recipe,
    /// Its instances.
    pub instances: u64,
}

impl Synthesis {
    /// Counts what was laid out.
    pub(crate) fn new(
        options: &SynthOptions,
        plan: &Plan,
        roles: &Roles,
        metadata: &Layout,
        images: &Layout,
    ) -> Self {
        let ignored = IgnoredMembers { metadata: metadata.ignored(), images: images.ignored() };
        Self {
            options: options.clone(),
            books: books(plan, roles, metadata, images),
            ignored,
            groups: groups(plan, roles),
            recipes: recipes(plan),
        }
    }

    /// Reads the truth of a data set from its folder.
    ///
    /// # Errors
    /// [`SynthError`] where the file cannot be read or is something else.
    pub fn read(folder: &Path) -> Result<Self, SynthError> {
        let path = folder.join(TRUTH_FILE);
        let text =
            fs::read(&path).map_err(|source| SynthError::Read { path: path.clone(), source })?;
        serde_json::from_slice(&text).map_err(|source| SynthError::Truth { path, source })
    }

    /// Writes the truth into a data set's folder.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), SynthError> {
        let path = folder.join(TRUTH_FILE);
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|source| SynthError::Truth { path: path.clone(), source })?;
        text.push(b'\n');
        fs::write(&path, text).map_err(SynthError::write(path))
    }
}

/// Counts the accounts.
fn books(plan: &Plan, roles: &Roles, metadata: &Layout, images: &Layout) -> Books {
    let mut books = Books { metadata: side(metadata), images: side(images), ..Books::default() };
    let account = &mut books;
    for instance in plan.instances() {
        if instance.series.recipe.is_header_only() {
            account.metadata.header_only += 1;
            continue;
        }
        match roles.of(instance.index) {
            Role::Unpaired(Half::Metadata) => account.metadata.unpaired += 1,
            Role::Unpaired(Half::Image) => account.images.unpaired += 1,
            Role::Broken(fault) if fault.half() == Half::Metadata => {
                account.metadata.rejected += 1;
                account.images.unpaired += 1;
            }
            role => {
                account.instances.pairs += 1;
                account.instances.rejected += u64::from(matches!(role, Role::Broken(_)));
                match role {
                    Role::Duplicate(Half::Metadata) | Role::Conflict(Half::Metadata) => {
                        account.metadata.duplicate += 1;
                    }
                    Role::Duplicate(Half::Image) | Role::Conflict(Half::Image) => {
                        account.images.duplicate += 1;
                    }
                    _ => {}
                }
            }
        }
    }
    let Instances { pairs, rejected, .. } = books.instances;
    books.metadata.paired = pairs;
    books.images.paired = pairs;
    books.instances.header_only = books.metadata.header_only;
    books.instances.published = pairs + books.metadata.header_only - rejected;
    books
}

/// Counts what is seen without knowing the halves.
fn side(layout: &Layout) -> Side {
    Side {
        archives: layout.archives.len() as u64,
        members: layout.members().count() as u64,
        ignored: layout.ignored().total(),
        ..Side::default()
    }
}

/// Lists the special instances.
fn groups(plan: &Plan, roles: &Roles) -> Groups {
    let mut groups = Groups::default();
    for (index, role) in roles.special() {
        let uid = plan.instance(index).uid();
        match role {
            Role::Plain => {}
            Role::Unpaired(Half::Metadata) => groups.unpaired_metadata.push(uid),
            Role::Unpaired(Half::Image) => groups.unpaired_images.push(uid),
            Role::Duplicate(Half::Metadata) => groups.duplicate_metadata.push(uid),
            Role::Duplicate(Half::Image) => groups.duplicate_images.push(uid),
            Role::Conflict(Half::Metadata) => groups.conflict_metadata.push(uid),
            Role::Conflict(Half::Image) => groups.conflict_images.push(uid),
            Role::Broken(fault) => {
                let (half, reason) = (fault.half(), fault.reason());
                groups.broken.push(Broken { uid, fault, half, reason });
            }
        }
    }
    groups
}

/// Counts the instances of each recipe.
fn recipes(plan: &Plan) -> Vec<RecipeCount> {
    let mut counts = vec![0; Recipe::ALL.len()];
    for instance in plan.instances() {
        counts[instance.series.recipe as usize] += 1;
    }
    let counted = Recipe::ALL.iter().zip(counts);
    counted
        .filter(|&(_, instances)| instances > 0)
        .map(|(&recipe, instances)| RecipeCount { recipe, instances })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Extra, Member, Version};
    use crate::options::Shares;

    fn synthesis(options: &SynthOptions) -> (Synthesis, Layout, Layout) {
        let plan = Plan::new(options);
        let roles = Roles::new(&plan, &options.shares);
        let metadata = Layout::new(&plan, &roles, Half::Metadata, options.archives().metadata);
        let images = Layout::new(&plan, &roles, Half::Image, options.archives().images);
        (Synthesis::new(options, &plan, &roles, &metadata, &images), metadata, images)
    }

    #[test]
    fn the_books_obey_the_laws() {
        for (instances, seed) in [(0, 1), (1, 2), (30, 3), (1_000, 4), (12_345, 5)] {
            let (truth, ..) = synthesis(&SynthOptions::new(instances, seed));
            truth.books.check().unwrap();
            let whole = truth.books.instances.pairs + truth.books.instances.header_only;
            let rest = truth.books.metadata.unpaired + truth.books.images.unpaired;
            assert_eq!(whole + rest, instances, "seed {seed}");
        }
    }

    #[test]
    fn a_clean_set_is_complete() {
        let (truth, ..) =
            synthesis(&SynthOptions { shares: Shares::CLEAN, ..SynthOptions::new(300, 1) });
        truth.books.check().unwrap();
        assert!(truth.books.is_complete());
        assert_eq!(truth.books.instances.published, 300);
    }

    #[test]
    fn the_layout_holds_the_broken_halves_that_the_truth_lists() {
        let (truth, metadata, images) = synthesis(&SynthOptions::new(4_000, 9));
        let laid = |layout: &Layout| {
            let broken = |member: &Member| {
                matches!(member, Member::Half { version: Version::Broken(_), .. })
            };
            let extras = |member: &Member| matches!(member, Member::Extra(Extra::Readme));
            assert_eq!(layout.members().filter(extras).count(), 1);
            layout.members().filter(broken).count()
        };
        assert_eq!(laid(&metadata) + laid(&images), truth.groups.broken.len());
        assert_eq!(truth.groups.broken.len(), 20);
    }
}
