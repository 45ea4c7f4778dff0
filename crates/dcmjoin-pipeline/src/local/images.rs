//! Images of one archive on their way to the output.

use std::pin::pin;
use std::sync::Arc;

use dcmjoin_objects::{Root, on_waiting_thread};
use futures::future::poll_immediate;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::into_shards::IntoShards;
use super::joined;
use super::notes::Notes;
use super::stream::{Image, Stream};
use crate::catalog::Draft;
use crate::error::RunError;

/// Images that go to a folder, or into a shard, in one task.
const TASK_IMAGES: usize = 32;

/// Which pass over an archive it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// The one that reads all of it.
    Scan,
    /// One for the images whose header came after them.
    Late,
}

/// Images of one archive that are being assembled and published.
///
/// To a store each is a task, which waits for its answer. To a folder several are one task on a
/// thread that may wait for the device: handing over a thread costs as much as creating a file.
/// Into shards they go in the archive's order, so that one task goes on where the last one ended.
pub(super) struct Images {
    stream: Arc<Stream>,
    draft: Option<Arc<Draft>>,
    /// Less than a task's.
    waiting: Vec<Image>,
    way: Way,
}

enum Way {
    Apart(JoinSet<Result<(), RunError>>),
    /// At most one task, which gives back what it was given.
    InShards(Option<Box<IntoShards>>, JoinSet<Result<Box<IntoShards>, RunError>>),
}

impl Images {
    pub(super) fn of(stream: &Arc<Stream>, notes: &Notes, pass: Pass) -> Self {
        let way = match IntoShards::begin(stream, notes, pass) {
            Some(into_shards) => Way::InShards(Some(Box::new(into_shards)), JoinSet::new()),
            None => Way::Apart(JoinSet::new()),
        };
        let draft = notes.draft.clone();
        Self { stream: Arc::clone(stream), draft, waiting: Vec::new(), way }
    }

    /// Takes an image up, with those that wait, once they are enough for a task.
    pub(super) async fn add(&mut self, image: Image) -> Result<(), RunError> {
        self.waiting.push(image);
        let enough = match &self.way {
            Way::Apart(_) => enough(&self.stream.run.output),
            Way::InShards(..) => TASK_IMAGES,
        };
        if self.waiting.len() >= enough { self.take_up().await } else { Ok(()) }
    }

    /// Waits for something of the archive. Where it is not there at once, the images that wait are
    /// taken up first: it may need the memory that they hold.
    pub(super) async fn meanwhile<T>(
        &mut self,
        next: impl Future<Output = T>,
    ) -> Result<T, RunError> {
        meanwhile(next, self.take_up()).await
    }

    /// Waits for room, then takes up the images that wait.
    async fn take_up(&mut self) -> Result<(), RunError> {
        let images = std::mem::take(&mut self.waiting);
        if images.is_empty() {
            return Ok(());
        }
        let to_folder = self.stream.run.output.is_folder();
        match &mut self.way {
            Way::Apart(tasks) => {
                let permit = Arc::clone(&self.stream.publishing).acquire_owned().await;
                while let Some(done) = tasks.try_join_next() {
                    joined(Some(done))?;
                }
                let (stream, draft) = (Arc::clone(&self.stream), self.draft.clone());
                let task = async move {
                    let _permit = permit;
                    for image in images {
                        stream.image(image, draft.as_deref()).await?;
                    }
                    Ok(())
                };
                spawn(tasks, to_folder, task);
            }
            Way::InShards(idle, tasks) => {
                let mut into_shards = into_shards(idle, tasks).await?;
                let task = async move {
                    for image in images {
                        into_shards.take(image).await?;
                    }
                    into_shards.flush().await?;
                    Ok(into_shards)
                };
                spawn(tasks, to_folder, task);
            }
        }
        Ok(())
    }

    pub(super) async fn join(mut self) -> Result<(), RunError> {
        self.take_up().await?;
        match self.way {
            Way::Apart(mut tasks) => {
                while let Some(done) = tasks.join_next().await {
                    joined(Some(done))?;
                }
                Ok(())
            }
            Way::InShards(mut idle, mut tasks) => {
                into_shards(&mut idle, &mut tasks).await?.finish().await
            }
        }
    }
}

/// Returns the shards once nobody writes to them.
async fn into_shards(
    idle: &mut Option<Box<IntoShards>>,
    tasks: &mut JoinSet<Result<Box<IntoShards>, RunError>>,
) -> Result<Box<IntoShards>, RunError> {
    let given_back = match idle.take() {
        Some(into_shards) => Some(into_shards),
        None => joined(tasks.join_next().await)?,
    };
    given_back.ok_or_else(|| RunError::Internal("an archive's shards are gone".to_owned()))
}

/// Returns how many members make a task that writes there.
pub(super) fn enough(to: &Root) -> usize {
    if to.is_folder() { TASK_IMAGES } else { 1 }
}

/// Waits for what is next; where it is not there at once, takes up what waits first.
pub(super) async fn meanwhile<T>(
    next: impl Future<Output = T>,
    take_up: impl Future<Output = Result<(), RunError>>,
) -> Result<T, RunError> {
    let mut next = pin!(next);
    if let Some(next) = poll_immediate(next.as_mut()).await {
        return Ok(next);
    }
    take_up.await?;
    Ok(next.await)
}

/// Spawns a task; one that writes to a folder, on a thread that may wait for the device.
pub(crate) fn spawn<T: Send + 'static>(
    tasks: &mut JoinSet<Result<T, RunError>>,
    to_folder: bool,
    task: impl Future<Output = Result<T, RunError>> + Send + 'static,
) {
    if to_folder {
        let runtime = Handle::current();
        tasks.spawn_blocking(move || runtime.block_on(on_waiting_thread(task)));
    } else {
        tasks.spawn(task);
    }
}
