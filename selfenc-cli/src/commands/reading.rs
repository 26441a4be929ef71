//! What decrypt, cat, verify and convert have in common.

use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::Arc;

use clap::Args;
use futures::TryStreamExt;
use futures::stream::{BoxStream, StreamExt};
use selfenc::compat::{self, AnyMap, Generation};
use selfenc::store::{Backend, OpenMode};
use selfenc::{Bytes, EncryptionConfig, Engine, Error, Reader};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::exit::{Failure, Result};
use crate::maps::MapArgs;
use crate::output::Output;
use crate::progress::Meter;
use crate::resources::Resources;
use crate::stores::StoreArg;
use crate::ui::Ui;

/// A map, the store that holds its chunks, and what reading may use.
#[derive(Args, Clone, Debug)]
pub(crate) struct Source {
    #[command(flatten)]
    pub(crate) map: MapArgs,

    #[command(flatten)]
    store: StoreArg,

    /// Repair a map that an old release of self_encryption has damaged, as it does beyond some ten thousand
    /// chunks
    #[arg(long)]
    repair_nested: bool,

    #[command(flatten)]
    resources: Resources,
}

impl Source {
    /// Opens the store and reads the map.
    pub(crate) async fn open(&self) -> Result<Opened> {
        let engine = Engine::new(self.resources.apply(EncryptionConfig::new()))?;
        // A map in a file is read first: what is no map needs no store to say so.
        let (map, store) = if self.map.name.is_some() {
            let store = self.store.open(OpenMode::Existing).await?;
            (self.map.load(Some(&*store)).await?, store)
        } else {
            (self.map.load(None).await?, self.store.open(OpenMode::Existing).await?)
        };
        if self.repair_nested && matches!(map, AnyMap::Native(_)) {
            return Err(Failure::usage("this map is selfenc's own, and never nested")
                .hint("leave out --repair-nested"));
        }
        Ok(Opened { engine, map, store, repair_nested: self.repair_nested })
    }
}

/// What is needed for reading.
pub(crate) struct Opened {
    engine: Engine,
    map: AnyMap,
    store: Arc<dyn Backend>,
    repair_nested: bool,
}

impl Opened {
    /// The reader, which tells `meter` how far it is.
    pub(crate) async fn reader(self, meter: &Meter, ui: Ui) -> Result<Reading> {
        let engine = self.engine.with_observer(Arc::new(meter.clone()));
        let reading = match self.map {
            AnyMap::Native(map) => Reading::Native(engine.open(self.store as _, map)),
            AnyMap::Compat(map) => {
                Reading::open_compat(&engine, self.store, map, self.repair_nested, ui).await?
            }
        };
        meter.expect(reading.len());
        Ok(reading)
    }
}

/// A reader of data in any format.
pub(crate) enum Reading {
    Native(Reader),
    Compat(compat::Reader),
}

impl Reading {
    /// Reads what self_encryption wrote. Says if its map had to be repaired.
    pub(crate) async fn open_compat(
        engine: &Engine,
        store: Arc<dyn Backend>,
        map: compat::DataMap,
        repair_nested: bool,
        ui: Ui,
    ) -> Result<Self> {
        // Which generation it would write does not matter for reading.
        let engine = compat::Engine::new(engine, Generation::Two);
        if !repair_nested {
            return Ok(Self::Compat(engine.open(store as _, map).await?));
        }
        let (reader, repaired) = engine.open_repairing(store as _, map).await?;
        match repaired {
            0 => ui.say("the map is sound; nothing had to be repaired"),
            1 => ui.say("the map was nested: one level repaired"),
            levels => ui.say(&format!("the map was nested: {levels} levels repaired")),
        }
        Ok(Self::Compat(reader))
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Native(reader) => reader.len(),
            Self::Compat(reader) => reader.len(),
        }
    }

    /// Whether the data is in the map itself.
    pub(crate) fn is_inline(&self) -> bool {
        matches!(self, Self::Native(reader) if reader.map().is_inline())
    }

    /// Of data that self_encryption wrote.
    pub(crate) fn generation(&self) -> Option<Generation> {
        match self {
            Self::Native(_) => None,
            Self::Compat(reader) => Some(reader.generation()),
        }
    }

    pub(crate) fn stream(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes, Error>> {
        match self {
            Self::Native(reader) => reader.stream(range),
            Self::Compat(reader) => reader.stream(range),
        }
    }

    /// The length of each chunk that is as it should be; goes on after others.
    pub(crate) fn check(&self) -> BoxStream<'static, Result<u64, Error>> {
        match self {
            Self::Native(reader) => reader.check().map_ok(|info| info.len).boxed(),
            Self::Compat(reader) => reader.check().map_ok(|info| info.src_size).boxed(),
        }
    }
}

/// The failure of a reader whose data was being written again.
pub(crate) fn unwrapped(e: Error) -> Failure {
    match e {
        Error::Source(e) => match e.downcast::<Error>() {
            Ok(e) => e.into(),
            Err(e) => Error::Source(e).into(),
        },
        e => e.into(),
    }
}

/// Pieces that wait for their turn to be written: the next one is there when one is done.
const WAITING: usize = 1;

/// Writes a part of a file to `output`; the engine hands out only what it has checked.
///
/// A thread of its own writes: the task that takes pieces from the reader is the one that begins to fetch and to
/// open further ones, and would keep the processor waiting for as long as a write takes.
pub(crate) async fn pour(reader: &Reading, range: Range<u64>, mut output: Output) -> Result<Output> {
    let (pieces, mut waiting) = mpsc::channel::<Bytes>(WAITING);
    let writing = spawn_blocking(move || {
        while let Some(data) = waiting.blocking_recv() {
            output.write(&data)?;
        }
        Ok(output)
    });
    let mut stream = reader.stream(range);
    let read = loop {
        match stream.try_next().await {
            Err(e) => break Err(e),
            Ok(None) => break Ok(()),
            Ok(Some(data)) => {
                if pieces.send(data).await.is_err() {
                    break Ok(()); // the writer tells why
                }
            }
        }
    };
    drop(pieces);
    let written = writing.await.unwrap_or_else(|e| resume_unwind(e.into_panic()));
    read?;
    written
}
