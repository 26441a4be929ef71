use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;

use futures::stream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::classic::chunk::Chunk;
use crate::classic::chunk_store::AnyStore;
use crate::classic::encryptor::ENCRYPTING;
use crate::classic::error::{Error, Result};
use crate::classic::held::Held;
use crate::classic::setup::Setup;
use crate::store::{ChunkId, ChunkStore};
use crate::{Bytes, DataMap, EncryptionConfig, Scope, Written};

/// Bytes that are handed over at once, and how many such pieces may wait.
const PIECE: usize = 256 << 10;
const PIECES: usize = 2;

/// Encrypts what it is given, piece by piece. The scope is [`Scope::Public`].
///
/// With a store, chunks go there as they are made, and [`finalize`](StreamEncryptor::finalize) gives their names.
/// Without one they are held in memory, half of the memory budget at most:
///
/// ```
/// use selfenc::EncryptionConfig;
/// use selfenc::classic::SelfEncryptor;
/// use selfenc::classic::streaming::StreamEncryptor;
/// # #[tokio::main]
/// # async fn main() -> selfenc::classic::error::Result<()> {
///
/// let mut encryptor = StreamEncryptor::new(EncryptionConfig::new())?;
/// encryptor.write(b"first part, ").await?;
/// encryptor.write(b"second part").await?;
/// let (data_map, chunks) = encryptor.finalize().await?;
/// assert_eq!(SelfEncryptor::from_data_map(data_map, chunks)?.decrypt()?, "first part, second part");
/// # Ok(())
/// # }
/// ```
///
/// It needs a runtime of tokio around it. Dropped before its end, it leaves whole chunks in the store, and no map.
pub struct StreamEncryptor<Out = Chunk> {
    setup: Setup,
    store: Option<AnyStore>,
    state: State,
    out: PhantomData<fn() -> Out>,
}

enum State {
    New,
    Running(Running),
    /// An error was returned, or a call dropped: what was written is lost.
    Failed,
}

/// A write on a task of its own, which ends with this.
struct Running {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    task: JoinHandle<crate::Result<Written>>,
    held: Held,
    budget: u64,
}

impl StreamEncryptor {
    /// With this configuration, which is checked here, and no store yet.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] naming the setting and its range; [`Error::Unsupported`] for keys: seal the map
    /// when it is there; and for a cache: nothing is read back.
    pub fn new(config: EncryptionConfig) -> Result<Self> {
        let setup = Setup::new(config)?;
        setup.check_keys(None)?;
        setup.refuse_cache(ENCRYPTING)?;
        Ok(Self { setup, store: None, state: State::New, out: PhantomData })
    }

    /// The same, with a store that the chunks go to: a [`ChunkStore`](crate::classic::ChunkStore) of your own, or
    /// any store of this crate. For the beginning, before anything is written.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if something was written already.
    pub fn with_store(self, store: impl Into<AnyStore>) -> Result<StreamEncryptor<ChunkId>> {
        if !matches!(self.state, State::New) {
            return Err(Error::Unsupported("a store is given before anything is written".into()));
        }
        Ok(StreamEncryptor {
            setup: self.setup,
            store: Some(store.into()),
            state: State::New,
            out: PhantomData,
        })
    }

    /// Ends the data: its map, and every chunk once.
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    pub async fn finalize(mut self) -> Result<(DataMap, Vec<Chunk>)> {
        let (map, held) = self.end().await?;
        let chunks = held.take(&self.setup.engine, &map).await?;
        Ok((map, chunks))
    }
}

impl StreamEncryptor<ChunkId> {
    /// Ends the data and flushes the store: the map, and the name of every chunk once. They are in the order of the
    /// data, or, if the map has pages and the store does not give them back, in that in which they were stored.
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    pub async fn finalize(mut self) -> Result<(DataMap, Vec<ChunkId>)> {
        let (map, held) = self.end().await?;
        let store = self.store.take().map_or_else(|| held.before(None), AnyStore::into_store);
        // The map is what counts.
        let in_order = held.names(&self.setup.engine, store, &map).await;
        Ok((map, in_order.unwrap_or_else(|_| held.as_they_came())))
    }
}

impl<Out> StreamEncryptor<Out> {
    /// Takes the next bytes, when those before are on their way: what is in flight stays within the memory budget.
    ///
    /// # Errors
    /// [`Error::ChunkStore`] as the store fails; [`Error::OverBudget`] if there is no store and the chunks are more
    /// than may be held; [`Error::Unsupported`] outside a runtime of tokio. After an error there is no map, nor after
    /// a call whose future was dropped before its end: nobody knows how much of `data` it took.
    pub async fn write(&mut self, data: &[u8]) -> Result<()> {
        let running = self.take_running()?;
        for piece in data.chunks(PIECE) {
            if running.pieces.send(Ok(Bytes::copy_from_slice(piece))).await.is_err() {
                // Nobody takes any more: the write has failed, and says why.
                let failed = running.finish().await.err();
                return Err(failed.unwrap_or(Error::Encryption(crate::Error::Cancelled)));
            }
        }
        self.state = State::Running(running);
        Ok(())
    }

    /// The running write. Until it is put back, this has failed.
    fn take_running(&mut self) -> Result<Running> {
        if let State::New = self.state {
            let store = self.store.clone().map(AnyStore::into_store);
            self.state = State::Running(Running::start(&self.setup, store)?);
        }
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Running(running) => Ok(running),
            State::New | State::Failed => {
                let message = "nothing can be written after an error or a dropped call; begin anew";
                Err(Error::Unsupported(message.into()))
            }
        }
    }

    async fn end(&mut self) -> Result<(DataMap, Held)> {
        self.take_running()?.finish().await
    }
}

impl Running {
    fn start(setup: &Setup, store: Option<Arc<dyn ChunkStore>>) -> Result<Self> {
        let runtime = Handle::try_current().map_err(|_| {
            Error::Unsupported(
                "streaming needs a runtime of tokio around it; SelfEncryptor needs none".into(),
            )
        })?;
        let budget = setup.engine.config().memory_budget();
        let (engine, held) = match &store {
            Some(_) => (setup.engine.clone(), Held::names_only()),
            None => {
                let (engine, left) = setup.sharing_memory()?;
                (engine, Held::up_to(left))
            }
        };
        let (pieces, mut taken) = mpsc::channel(PIECES);
        let store = held.before(store);
        let task = runtime.spawn(async move {
            let source = stream::poll_fn(move |cx| taken.poll_recv(cx));
            engine.write_stream(store, &Scope::Public, source).await
        });
        Ok(Self { pieces, task, held, budget })
    }

    async fn finish(mut self) -> Result<(DataMap, Held)> {
        let (closed, _) = mpsc::channel(1);
        drop(std::mem::replace(&mut self.pieces, closed));
        let written = match (&mut self.task).await {
            Ok(written) => written,
            Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
            Err(_) => return Err(Error::Encryption(crate::Error::Cancelled)),
        };
        match written {
            Ok(written) => Ok((written.map, self.held.clone())),
            Err(_) if self.held.is_over() => Err(Error::OverBudget { budget: self.budget }),
            Err(e) => Err(e.into()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<Out> fmt::Debug for StreamEncryptor<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamEncryptor").field("store", &self.store).finish_non_exhaustive()
    }
}
