//! Makes the data set: lays it out, then writes archive after archive on all cores.
//!
//! Archives do not depend on each other, so any number of threads gives the same bytes. A run that
//! fails leaves what it has written; it refuses a folder that is not empty, so the next one needs
//! another.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;

use dcmjoin_model::Half;

use crate::archive::Archive;
use crate::error::SynthError;
use crate::header;
use crate::layout::{Extra, Layout, Member, Version};
use crate::options::{ArchiveCompression, SynthOptions};
use crate::payload::Pool;
use crate::plan::Plan;
use crate::roles::Roles;
use crate::truth::Synthesis;

/// How far a data set is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Archives written.
    pub archives: u64,
    /// Archives in all.
    pub archives_total: u64,
    /// Members written.
    pub members: u64,
    /// Members in all.
    pub members_total: u64,
    /// Bytes of members written.
    pub bytes: u64,
}

/// An archive that was written.
struct Written {
    members: u64,
    bytes: u64,
}

/// Makes a data set in a folder, which is created, or there and empty.
///
/// `progress` is called after each archive.
///
/// # Errors
/// [`SynthError`] where the options make no sense or a file cannot be written.
pub fn synthesize(
    options: &SynthOptions,
    out: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Synthesis, SynthError> {
    options.check()?;
    prepare(out)?;
    let plan = Plan::new(options);
    let roles = Roles::new(&plan, &options.shares);
    let archives = options.archives();
    let images = Layout::new(&plan, &roles, Half::Image, archives.images);
    let metadata = Layout::new(&plan, &roles, Half::Metadata, archives.metadata);
    let truth = Synthesis::new(options, &plan, &roles, &metadata, &images);

    let pool = Pool::new(plan.preset);
    let writer = Writer { plan: &plan, pool: &pool, compress: options.compress, out };
    let mut state = Progress {
        archives_total: truth.books.metadata.archives + truth.books.images.archives,
        members_total: truth.books.metadata.members + truth.books.images.members,
        ..Progress::default()
    };
    writer.write_all(&[&images, &metadata], &mut |written| {
        state.archives += 1;
        state.members += written.members;
        state.bytes += written.bytes;
        progress(state);
    })?;
    truth.write(out)?;
    Ok(truth)
}

/// Creates the folders.
fn prepare(out: &Path) -> Result<(), SynthError> {
    for half in [Half::Metadata, Half::Image] {
        let folder = out.join(folder(half));
        fs::create_dir_all(&folder).map_err(SynthError::write(&folder))?;
        let mut entries = fs::read_dir(&folder).map_err(SynthError::write(&folder))?;
        if entries.next().is_some() {
            return Err(SynthError::NotEmpty(folder));
        }
    }
    Ok(())
}

/// Returns the name of a side's folder.
const fn folder(half: Half) -> &'static str {
    match half {
        Half::Metadata => "metadata",
        Half::Image => "images",
    }
}

/// What every thread needs to write archives.
struct Writer<'a> {
    plan: &'a Plan,
    pool: &'a Pool,
    compress: Option<ArchiveCompression>,
    out: &'a Path,
}

impl Writer<'_> {
    /// Writes the archives of all layouts, as many at once as there are cores.
    fn write_all(
        &self,
        layouts: &[&Layout],
        done: &mut dyn FnMut(&Written),
    ) -> Result<(), SynthError> {
        let work: Vec<(&Layout, usize)> = layouts
            .iter()
            .flat_map(|&layout| (0..layout.archives.len()).map(move |number| (layout, number)))
            .collect();
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let threads = thread::available_parallelism().map_or(1, usize::from).min(work.len());
        thread::scope(|scope| {
            let (results, received) = mpsc::channel();
            for _ in 0..threads {
                let results = results.clone();
                let (work, next, stop) = (&work, &next, &stop);
                scope.spawn(move || self.work(work, next, stop, &results));
            }
            drop(results);
            for result in received {
                done(&result.inspect_err(|_| stop.store(true, Ordering::Relaxed))?);
            }
            Ok(())
        })
    }

    /// Takes archives from the list until it is empty.
    fn work(
        &self,
        work: &[(&Layout, usize)],
        next: &AtomicUsize,
        stop: &AtomicBool,
        results: &Sender<Result<Written, SynthError>>,
    ) {
        let mut buffer = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let Some(&(layout, number)) = work.get(next.fetch_add(1, Ordering::Relaxed)) else {
                return;
            };
            // The receiver is gone only where another archive has failed.
            if results.send(self.archive(layout, number, &mut buffer)).is_err() {
                return;
            }
        }
    }

    /// Writes one archive.
    fn archive(
        &self,
        layout: &Layout,
        number: usize,
        buffer: &mut Vec<u8>,
    ) -> Result<Written, SynthError> {
        let path = self.path(layout.half, number);
        let mut archive =
            Archive::create(&path, self.compress).map_err(SynthError::write(&path))?;
        let members = &layout.archives[number];
        let mut bytes = 0;
        for &member in members {
            match member {
                Member::Extra(extra) => add_extra(&mut archive, layout.half, extra),
                Member::Half { index, version } => {
                    buffer.clear();
                    let name = self.half(layout.half, index, version, buffer)?;
                    bytes += buffer.len() as u64;
                    archive.file(&name, buffer)
                }
            }
            .map_err(SynthError::write(&path))?;
        }
        archive.finish().map_err(SynthError::write(&path))?;
        Ok(Written { members: members.len() as u64, bytes })
    }

    /// Returns the path of an archive.
    fn path(&self, half: Half, number: usize) -> PathBuf {
        let letter = if half == Half::Metadata { 'm' } else { 'i' };
        let extension = match self.compress {
            None => "tar",
            Some(ArchiveCompression::Gz) => "tar.gz",
            Some(ArchiveCompression::Zst) => "tar.zst",
        };
        self.out.join(folder(half)).join(format!("{letter}{number:05}.{extension}"))
    }

    /// Appends a half's bytes to the buffer, and returns its member's name.
    fn half(
        &self,
        half: Half,
        index: u32,
        version: Version,
        buffer: &mut Vec<u8>,
    ) -> Result<String, SynthError> {
        let instance = self.plan.instance(index);
        match half {
            Half::Metadata => header::write(&instance, version, buffer),
            Half::Image => self.pool.write(&instance, version, buffer)?,
        }
        let extension = if half == Half::Metadata { "json" } else { "j2c" };
        Ok(format!("{}.{extension}", instance.uid()))
    }
}

/// Appends a member that is no half.
fn add_extra(archive: &mut Archive, half: Half, extra: Extra) -> io::Result<()> {
    match extra {
        Extra::Folder => archive.folder("./"),
        Extra::Readme => archive.file(
            "README.txt",
            format!("Made by dcmjoin synth: {}, nothing of it real.\n", folder(half)).as_bytes(),
        ),
        Extra::Link => archive.link("latest", "README.txt"),
    }
}
