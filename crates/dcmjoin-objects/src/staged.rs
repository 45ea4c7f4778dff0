//! A file of a folder that is written before it has its place, and then put there in one step.
//!
//! On Linux it has no name until then, so a process that is killed leaves nothing behind. File
//! systems that have no such files (NFS, FUSE) get one beside its place, whose name listings leave
//! out.

use std::fs::{self, File};
use std::io::{self, IoSlice, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

/// How many names are tried for a staged file; the others are a killed run's.
const NAMES_MAX: u32 = 1_000;
/// Slices that go in one system call: `IOV_MAX` of Linux.
const SLICES_MAX: usize = 1024;

/// A staged file; it is removed when dropped.
#[derive(Debug)]
pub(crate) struct Staged {
    file: File,
    /// Absent where it has no name yet.
    name: Option<PathBuf>,
    place: PathBuf,
}

impl Staged {
    /// Makes an empty file for a place, and the folders above it.
    pub(crate) fn new(place: PathBuf) -> io::Result<Self> {
        let folder = place.parent().unwrap_or(Path::new("."));
        let made = match nameless(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(folder)?;
                nameless(folder)
            }
            made => made,
        };
        match made {
            Ok(file) => Ok(Self { file, name: None, place }),
            Err(error) if has_none(&error) => {
                let (file, name) = named(&place)?;
                Ok(Self { file, name: Some(name), place })
            }
            Err(error) => Err(error),
        }
    }

    /// Appends the segments.
    pub(crate) fn write(&mut self, segments: &[Bytes]) -> io::Result<()> {
        for segments in segments.chunks(SLICES_MAX) {
            let mut slices: Vec<_> = segments.iter().map(|bytes| IoSlice::new(bytes)).collect();
            let mut slices = &mut slices[..];
            IoSlice::advance_slices(&mut slices, 0);
            while !slices.is_empty() {
                match self.file.write_vectored(slices) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => IoSlice::advance_slices(&mut slices, written),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Puts the file in its place: over what stands there, or only where nothing does.
    pub(crate) fn publish(mut self, only_new: bool) -> io::Result<()> {
        if only_new {
            return match &self.name {
                None => link(&self.file, &self.place),
                // A link fails where something stands, a rename does not.
                Some(name) => fs::hard_link(name, &self.place),
            };
        }
        let name = match self.name.take() {
            Some(name) => name,
            None => free_name(&self.place, |name| link(&self.file, name))?.1,
        };
        let renamed = fs::rename(&name, &self.place);
        // Once it is renamed the name is free, and may be another writer's already.
        self.name = renamed.is_err().then_some(name);
        renamed
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // It may be gone.
            let _ = fs::remove_file(name);
        }
    }
}

#[cfg(target_os = "linux")]
fn nameless(folder: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    // As `File::create`: what the user's mask leaves of it.
    Ok(rustix::fs::open(folder, flags, Mode::from_raw_mode(0o666))?.into())
}

#[cfg(target_os = "linux")]
fn link(file: &File, place: &Path) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    use rustix::fs::{AtFlags, CWD, linkat};
    use rustix::io::Errno;
    match linkat(file, "", CWD, place, AtFlags::EMPTY_PATH) {
        // Before Linux 6.10 this needs a capability. Then the way that open(2) shows.
        Err(Errno::NOENT) => {
            let own = format!("/proc/self/fd/{}", file.as_raw_fd());
            Ok(linkat(CWD, own, CWD, place, AtFlags::SYMLINK_FOLLOW)?)
        }
        linked => Ok(linked?),
    }
}

#[cfg(not(target_os = "linux"))]
fn nameless(_: &Path) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
fn link(_: &File, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Returns whether an error says that there are no nameless files here: kernels and file systems
/// that do not know the flag take it for the opening of a folder.
fn has_none(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Unsupported | io::ErrorKind::IsADirectory | io::ErrorKind::InvalidInput
    )
}

fn named(place: &Path) -> io::Result<(File, PathBuf)> {
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    free_name(place, |name| File::create_new(name))
}

/// Makes something under the first name that is free. Names are those of `object_store`'s own
/// staged files, which its listings leave out.
fn free_name<T>(place: &Path, make: impl Fn(&Path) -> io::Result<T>) -> io::Result<(T, PathBuf)> {
    for number in 1..=NAMES_MAX {
        let mut name = place.as_os_str().to_owned();
        name.push(format!("#{number}"));
        match make(Path::new(&name)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return Ok((result?, name.into())),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn staged(place: &Path, text: &'static str) -> Staged {
        let mut staged = Staged::new(place.to_owned()).unwrap();
        staged.write(&[Bytes::new(), text.into(), Bytes::new(), text.into()]).unwrap();
        staged
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn many_who_write_over_one_place_do_not_take_each_others_names() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("b.dcm");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        staged(&place, "one").publish(false).unwrap();
                    }
                });
            }
        });
        assert_eq!(names(dir.path()), ["b.dcm"]);
    }

    #[test]
    fn a_file_has_its_place_when_it_is_whole_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("a/b.dcm");
        let first = staged(&place, "one");
        assert!(!place.exists());
        first.publish(true).unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"oneone");
        let second = staged(&place, "two").publish(true).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::AlreadyExists);
        staged(&place, "three").publish(false).unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"threethree");
        drop(staged(&place, "four"));
        assert_eq!(names(place.parent().unwrap()), ["b.dcm"]);
    }

    #[test]
    fn more_segments_than_one_call_takes_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("x");
        let segments: Vec<_> = (0..3 * SLICES_MAX).map(|at| Bytes::from(vec![at as u8])).collect();
        let mut staged = Staged::new(place.clone()).unwrap();
        staged.write(&segments).unwrap();
        staged.publish(true).unwrap();
        assert_eq!(fs::read(place).unwrap(), segments.concat());
    }

    #[test]
    fn without_nameless_files_named_ones_do() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("x");
        for (only_new, text) in [(true, "one"), (false, "two")] {
            let (file, name) = named(&place).unwrap();
            let mut staged = Staged { file, name: Some(name), place: place.clone() };
            staged.write(&[text.into()]).unwrap();
            staged.publish(only_new).unwrap();
            assert_eq!(fs::read_to_string(&place).unwrap(), text);
        }
        assert_eq!(names(dir.path()), ["x"]);
    }
}
