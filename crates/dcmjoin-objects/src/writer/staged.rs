//! A file that is written beside its place, and then put there in one step.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Operation};

/// How many names are tried for a staged file; the others are a killed run's.
const NAMES_MAX: u32 = 1_000;

/// A staged file; it is removed when dropped.
#[derive(Debug)]
pub(super) struct Staged {
    /// Absent while a write goes on, and after one that was given up.
    file: Option<File>,
    path: PathBuf,
    place: PathBuf,
    /// How errors name the place.
    name: String,
}

impl Staged {
    /// Makes an empty file for a place, and the folders above it.
    pub(super) fn new(place: PathBuf, name: String) -> Result<Self, Error> {
        let (file, path) =
            create(&place).map_err(|error| Error::from_io(Operation::Write, &name, error))?;
        Ok(Self { file: Some(file), path, place, name })
    }

    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        let Some(mut file) = self.file.take() else { return Err(self.gave_up()) };
        let written = blocking(move || file.write_all(&bytes).map(|()| file)).await;
        self.file = Some(written.map_err(|error| self.failed(error))?);
        Ok(())
    }

    /// Puts the file in its place: over what stands there, or only where nothing does.
    pub(super) async fn publish(&mut self, only_new: bool) -> Result<(), Error> {
        let Some(file) = self.file.take() else { return Err(self.gave_up()) };
        let (staged, place) = (self.path.clone(), self.place.clone());
        let moved = blocking(move || {
            drop(file);
            if only_new {
                // A link fails where something stands, a rename does not.
                fs::hard_link(&staged, &place)
            } else {
                fs::rename(&staged, &place)
            }
        });
        moved.await.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> Error {
        Error::from_io(Operation::Write, &self.name, error)
    }

    fn gave_up(&self) -> Error {
        let detail = "a write before was not waited for";
        Error::new(Operation::Write, self.name.clone(), ErrorKind::Other, detail)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Gone already where it was renamed.
        let _ = fs::remove_file(&self.path);
    }
}

/// Names are those of `object_store`'s own staged files, which its listings leave out.
fn create(place: &Path) -> io::Result<(File, PathBuf)> {
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    for number in 1..=NAMES_MAX {
        let mut staged = place.as_os_str().to_owned();
        staged.push(format!("#{number}"));
        match File::create_new(&staged) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            file => return Ok((file?, staged.into())),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

async fn blocking<T: Send + 'static>(
    task: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(task).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
