//! The layout: which member is in which archive, in which order.
//!
//! The two sides are shuffled apart, so nothing in one archive tells where the other half is.
//! Memory: eight bytes a member, which is all that grows with the data set.

use dcmjoin_model::{Half, Ignored};

use crate::plan::Plan;
use crate::random::{Random, Use};
use crate::roles::{Fault, Role, Roles};

/// One member to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Member {
    /// A half of an instance.
    Half { index: u32, version: Version },
    /// Something that is no half.
    Extra(Extra),
}

/// Which bytes a half has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    Right,
    /// Other bytes, as good as the right ones: the same image retouched, the same header corrected.
    Other,
    Broken(Fault),
}

/// A member that is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extra {
    Folder,
    Readme,
    Link,
}

impl Extra {
    const ALL: [Self; 3] = [Self::Folder, Self::Readme, Self::Link];
}

/// The members of one side, archive by archive.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) half: Half,
    pub(crate) archives: Vec<Vec<Member>>,
}

/// A half that stands in the data set a second time.
struct Repeated {
    index: u32,
    version: Version,
}

impl Layout {
    /// Lays out one side.
    pub(crate) fn new(plan: &Plan, roles: &Roles, half: Half, archives: u32) -> Self {
        let (mut members, repeated) = halves(plan, roles, half);
        let mut random = Random::of(plan.seed, Use::Shuffle, half as u64, 0);
        random.shuffle(&mut members);

        let mut parts = deal(members, archives as usize);
        let additions = additions(&parts, repeated, &mut random);
        add_extras(plan, half, &mut parts);
        for (archive, member) in additions {
            let at = random.below(parts[archive].len() as u64 + 1) as usize;
            parts[archive].insert(at, member);
        }
        Self { half, archives: parts }
    }

    /// Returns all members.
    pub(crate) fn members(&self) -> impl Iterator<Item = Member> + '_ {
        self.archives.iter().flatten().copied()
    }

    /// Counts what is to be ignored.
    pub(crate) fn ignored(&self) -> Ignored {
        let mut ignored = Ignored::default();
        for member in self.members() {
            match member {
                Member::Half { .. } => {}
                Member::Extra(Extra::Folder) => ignored.folders += 1,
                Member::Extra(Extra::Readme) => ignored.junk += 1,
                Member::Extra(Extra::Link) => ignored.links += 1,
            }
        }
        ignored
    }
}

/// Returns the halves of one side in the plan's order, and those that come a second time.
fn halves(plan: &Plan, roles: &Roles, half: Half) -> (Vec<Member>, Vec<Repeated>) {
    let mut members = Vec::with_capacity(plan.instances as usize);
    let mut repeated = Vec::new();
    for instance in plan.instances() {
        if half == Half::Image && instance.series.recipe.is_header_only() {
            continue;
        }
        let index = instance.index;
        let version = match roles.of(index) {
            Role::Unpaired(only) if only != half => continue,
            Role::Broken(fault) if fault.spoils() == half => Version::Broken(fault),
            Role::Duplicate(twice) if twice == half => {
                repeated.push(Repeated { index, version: Version::Right });
                Version::Right
            }
            Role::Conflict(twice) if twice == half => {
                repeated.push(Repeated { index, version: Version::Other });
                Version::Right
            }
            _ => Version::Right,
        };
        members.push(Member::Half { index, version });
    }
    (members, repeated)
}

/// Deals members to archives in runs of equal length.
fn deal(members: Vec<Member>, archives: usize) -> Vec<Vec<Member>> {
    let total = members.len();
    let mut members = members.into_iter();
    (0..archives)
        .map(|number| {
            let length = total * (number + 1) / archives - total * number / archives;
            members.by_ref().take(length).collect()
        })
        .collect()
}

/// Finds for each repeated half an archive other than the one it is in, if there is another.
fn additions(
    parts: &[Vec<Member>],
    repeated: Vec<Repeated>,
    random: &mut Random,
) -> Vec<(usize, Member)> {
    let mut homes: Vec<(u32, usize)> = Vec::with_capacity(repeated.len());
    for (archive, part) in parts.iter().enumerate() {
        for member in part {
            if let Member::Half { index, .. } = *member
                && repeated.binary_search_by_key(&index, |repeated| repeated.index).is_ok()
            {
                homes.push((index, archive));
            }
        }
    }
    homes.sort_unstable();
    repeated
        .into_iter()
        .zip(homes)
        .map(|(Repeated { index, version }, (_, home))| {
            let others = parts.len() as u64 - 1;
            let step = if others == 0 { 0 } else { 1 + random.below(others) as usize };
            ((home + step) % parts.len(), Member::Half { index, version })
        })
        .collect()
}

/// Puts folders, notes and links among the members: a folder entry first in every fourth archive,
/// the others somewhere in the first archives.
fn add_extras(plan: &Plan, half: Half, parts: &mut [Vec<Member>]) {
    let mut random = Random::of(plan.seed, Use::Place, half as u64, 0);
    for part in parts.iter_mut().step_by(4) {
        part.insert(0, Member::Extra(Extra::Folder));
    }
    let archives = parts.len();
    for (number, extra) in Extra::ALL.into_iter().enumerate() {
        let part = &mut parts[number % archives];
        let at = random.below(part.len() as u64 + 1) as usize;
        part.insert(at, Member::Extra(extra));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::options::SynthOptions;

    #[test]
    fn repeated_halves_are_in_different_archives() {
        let options = SynthOptions::new(3_000, 11);
        let plan = Plan::new(&options);
        let roles = Roles::new(&plan, &options.shares);
        for half in [Half::Metadata, Half::Image] {
            let layout = Layout::new(&plan, &roles, half, 5);
            let mut places: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
            for (archive, members) in layout.archives.iter().enumerate() {
                for member in members {
                    if let Member::Half { index, .. } = *member {
                        places.entry(index).or_default().push(archive);
                    }
                }
            }
            let twice: Vec<_> = places.values().filter(|places| places.len() > 1).collect();
            assert_eq!(twice.len(), if half == Half::Metadata { 16 } else { 14 });
            assert!(twice.iter().all(|places| places.len() == 2 && places[0] != places[1]));
            assert_eq!(layout.ignored().total(), 2 + 3);
        }
    }

    #[test]
    fn the_sides_are_in_unrelated_orders() {
        let options = SynthOptions::new(1_000, 11);
        let plan = Plan::new(&options);
        let order = |half| {
            let layout = Layout::new(&plan, &Roles::default(), half, 2);
            let halves = layout.members().filter_map(|member| match member {
                Member::Half { index, .. } => Some(index),
                Member::Extra(_) => None,
            });
            halves
                .filter(|&index| !plan.instance(index).series.recipe.is_header_only())
                .collect::<Vec<u32>>()
        };
        let (metadata, images) = (order(Half::Metadata), order(Half::Image));
        assert_eq!(metadata.len(), images.len());
        let same = metadata.iter().zip(&images).filter(|(a, b)| a == b).count();
        assert!(same < 20, "{same} of {}", metadata.len());
    }
}
