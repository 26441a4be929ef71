//! The engine for callers outside async: the same names, synchronous.
//!
//! Inside an async runtime every call returns [`Error::InsideRuntime`] instead of blocking a worker.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use futures::stream;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;

use super::{DataMap, EncryptionConfig, Error, ReadHandle, Result, Scope, Verified, Written};
use crate::store::ChunkStore;

/// [`Engine`](super::Engine) for callers outside async.
#[derive(Clone, Debug)]
pub struct Engine {
    engine: super::Engine,
    driver: Driver,
}

impl Engine {
    /// An engine with threads and a runtime of its own.
    ///
    /// # Errors
    /// As for [`Engine::new`](super::Engine::new), and [`Error::InsideRuntime`].
    pub fn new(config: EncryptionConfig) -> Result<Self> {
        Self::from_engine(super::Engine::new(config)?)
    }

    /// This engine, with a runtime of its own.
    ///
    /// # Errors
    /// [`Error::InsideRuntime`], or [`Error::System`] without a runtime.
    pub fn from_engine(engine: super::Engine) -> Result<Self> {
        Ok(Self { engine, driver: Driver::new()? })
    }

    /// See [`Engine::write`](super::Engine::write).
    ///
    /// The source is read on a thread of its own, so it may block, and may itself be a [`Reader`]. After a
    /// failure of the store this returns once the source's read in progress does.
    ///
    /// # Errors
    /// As there, and [`Error::InsideRuntime`].
    pub fn write(
        &self,
        store: Arc<dyn ChunkStore>,
        scope: &Scope,
        source: impl Read + Send,
    ) -> Result<Written> {
        outside_runtime()?;
        let (sender, mut pieces) = mpsc::channel(PIECES);
        thread::scope(|threads| {
            threads.spawn(move || send_pieces(source, &sender));
            let stream = stream::poll_fn(move |cx| pieces.poll_recv(cx));
            self.driver.run(self.engine.write_stream(store, scope, stream))
        })
    }

    /// See [`Engine::write_bytes`](super::Engine::write_bytes).
    ///
    /// # Errors
    /// As there, and [`Error::InsideRuntime`].
    pub fn write_bytes(&self, store: Arc<dyn ChunkStore>, scope: &Scope, data: &[u8]) -> Result<Written> {
        self.driver.run(self.engine.write_bytes(store, scope, data))
    }

    /// See [`Engine::open`](super::Engine::open).
    #[must_use]
    pub fn open(&self, store: Arc<dyn ChunkStore>, map: DataMap) -> Reader {
        let handle = self.engine.open(store, map).into_async_read();
        Reader { handle, driver: self.driver.clone() }
    }
}

/// [`Reader`](super::Reader) for callers outside async, with a position for `Read` and `Seek`.
#[derive(Debug)]
pub struct Reader {
    handle: ReadHandle,
    driver: Driver,
}

impl Reader {
    /// The map that is read.
    #[must_use]
    pub fn map(&self) -> &DataMap {
        self.handle.reader().map()
    }

    /// See [`Reader::read_at`](super::Reader::read_at). Leaves the position alone.
    ///
    /// # Errors
    /// As there, and [`Error::InsideRuntime`].
    pub fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        self.driver.run(self.handle.reader().read_at(offset, len))
    }

    /// See [`Reader::verify`](super::Reader::verify).
    ///
    /// # Errors
    /// As there, and [`Error::InsideRuntime`].
    pub fn verify(&self) -> Result<Verified> {
        self.driver.run(self.handle.reader().verify())
    }
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let handle = &mut self.handle;
        self.driver.run_io(handle.read(buf))
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let handle = &mut self.handle;
        self.driver.run_io(handle.seek(to))
    }
}

/// A runtime that runs one future at a time on the caller's thread.
#[derive(Clone)]
struct Driver(Arc<Quiet>);

/// A runtime that may be dropped anywhere: dropped inside another one's worker, a plain one would panic.
struct Quiet(Option<Runtime>);

impl Driver {
    fn new() -> Result<Self> {
        outside_runtime()?;
        let runtime = Builder::new_current_thread().enable_all().build();
        Ok(Self(Arc::new(Quiet(Some(runtime.map_err(|e| Error::system("a runtime", e))?)))))
    }

    fn run<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        outside_runtime()?;
        match &self.0.0 {
            Some(runtime) => runtime.block_on(future),
            None => Err(Error::InsideRuntime),
        }
    }

    fn run_io<T>(&self, future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        self.run(async { Ok(future.await) })?
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn outside_runtime() -> Result<()> {
    if Handle::try_current().is_ok() { Err(Error::InsideRuntime) } else { Ok(()) }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Driver")
    }
}

/// What is read of a source at once, in bytes, and how many such pieces wait for the engine.
const PIECE: usize = 256 << 10;
const PIECES: usize = 4;

/// Sends what the source gives until it ends, fails, or nobody takes it any more.
fn send_pieces(mut source: impl Read, sender: &mpsc::Sender<io::Result<Bytes>>) {
    let mut buffer = vec![0; PIECE];
    loop {
        let piece = match source.read(&mut buffer) {
            Ok(0) => return,
            Ok(len) => Ok(Bytes::copy_from_slice(&buffer[..len.min(PIECE)])),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => Err(e),
        };
        let failed = piece.is_err();
        if sender.blocking_send(piece).is_err() || failed {
            return;
        }
    }
}
