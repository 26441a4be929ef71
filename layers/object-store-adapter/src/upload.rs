//! Multipart uploads: parts go, in the order of the calls, into one writer.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::FutureExt;
use futures::stream::{self, Stream, StreamExt};
use object_store::path::Path;
use object_store::{
    Attributes, Error, MultipartUpload, PutMode, PutPayload, PutPayloadIntoIter, PutResult, Result,
    UploadPart,
};
use selfenc_core::engine::DataMap;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use crate::error::{Problem, generic};
use crate::objects::Objects;
use crate::record::Record;

/// An upload in parts. A task of its own encrypts; it ends when the upload is dropped.
///
/// A part's future is done when the engine has taken the part, so whoever awaits each part before the
/// next keeps no more in memory than the engine's budget and that part.
pub(crate) struct Upload {
    objects: Arc<Objects>,
    path: Path,
    attributes: Attributes,
    /// `None` once it was completed or aborted.
    open: Option<Open>,
    /// Parts whose futures have not ended well.
    unfinished: Arc<AtomicUsize>,
    failure: Failure,
}

struct Open {
    parts: mpsc::UnboundedSender<Part>,
    /// The map of all parts; `None` if there is a failure.
    writer: AbortOnDropHandle<Option<DataMap>>,
}

/// A part, and whom to tell that it was taken.
struct Part {
    pieces: PutPayloadIntoIter,
    taken: oneshot::Sender<()>,
}

/// Why the writer ended, for the first who asks.
#[derive(Clone, Default)]
struct Failure(Arc<Mutex<Option<Error>>>);

impl Failure {
    fn set(&self, e: Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(e);
    }

    fn take(&self, path: &Path) -> Error {
        let e = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        e.unwrap_or_else(|| Problem::UploadOver.at(path))
    }
}

impl Upload {
    pub(crate) fn begin(objects: Arc<Objects>, path: Path, attributes: Attributes) -> Result<Self> {
        let runtime = Handle::try_current().map_err(|_| Problem::NoRuntime.at(&path))?;
        let (sender, receiver) = mpsc::unbounded_channel();
        let failure = Failure::default();
        let writer = feed(Arc::clone(&objects), path.clone(), receiver, failure.clone());
        let writer = AbortOnDropHandle::new(runtime.spawn(writer));
        let open = Some(Open { parts: sender, writer });
        Ok(Self { objects, path, attributes, open, unfinished: Arc::default(), failure })
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    /// Queues the part at once: its place is that of the call, not of the first poll.
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (taken, answer) = oneshot::channel();
        self.unfinished.fetch_add(1, Ordering::Relaxed);
        if let Some(open) = &self.open {
            // If nobody receives it any more, the answer is dropped and says so.
            let _ = open.parts.send(Part { pieces: data.into_iter(), taken });
        }
        let (path, failure, unfinished) =
            (self.path.clone(), self.failure.clone(), Arc::clone(&self.unfinished));
        async move {
            answer.await.map_err(|_| failure.take(&path))?;
            unfinished.fetch_sub(1, Ordering::Relaxed);
            Ok(())
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let unfinished = self.unfinished.load(Ordering::Relaxed);
        if self.open.is_some() && unfinished > 0 {
            return Err(Problem::UnfinishedParts(unfinished).at(&self.path));
        }
        let open = self.open.take().ok_or_else(|| self.failure.take(&self.path))?;
        drop(open.parts);
        let map = open.writer.await.map_err(generic)?;
        let map = map.ok_or_else(|| self.failure.take(&self.path))?;
        let record = Record::new(self.path.clone(), std::mem::take(&mut self.attributes), map);
        self.objects.publish(&record, PutMode::Overwrite).await
    }

    /// Ends the writer. An upload that is over already stays as it is.
    async fn abort(&mut self) -> Result<()> {
        if let Some(open) = self.open.take() {
            open.writer.abort();
            // It is told to stop; this waits until it has, and the memory is free.
            let _ = open.writer.await;
        }
        Ok(())
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("path", &self.path)
            .field("open", &self.open.is_some())
            .finish_non_exhaustive()
    }
}

/// Writes the parts as they come, until there are no more senders.
async fn feed(
    objects: Arc<Objects>,
    path: Path,
    mut parts: mpsc::UnboundedReceiver<Part>,
    failure: Failure,
) -> Option<DataMap> {
    let mut current = None;
    match objects.write(&path, pieces(&mut parts, &mut current)).await {
        Ok(map) => Some(map),
        Err(e) => {
            // Before the parts are dropped, which is what tells their futures to look here.
            failure.set(e);
            None
        }
    }
}

/// The bytes of all parts. A part is taken when the engine asks for what comes after it.
fn pieces<'a>(
    parts: &'a mut mpsc::UnboundedReceiver<Part>,
    current: &'a mut Option<Part>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'a {
    stream::unfold((parts, current), |(parts, current)| async move {
        loop {
            if let Some(piece) = current.as_mut().and_then(|part| part.pieces.next()) {
                return Some((Ok(piece), (parts, current)));
            }
            if let Some(part) = current.take() {
                // Whoever waited for it may have gone.
                let _ = part.taken.send(());
            }
            *current = Some(parts.recv().await?);
        }
    })
    .fuse()
}
