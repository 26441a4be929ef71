//! What decrypt, cat and verify have in common.

use std::sync::Arc;

use clap::Args;
use futures::TryStreamExt;
use selfenc::store::{Backend, OpenMode};
use selfenc::{EncryptionConfig, Engine, Reader};
use std::ops::Range;

use crate::exit::Result;
use crate::maps::MapArgs;
use crate::output::Output;
use crate::progress::Meter;
use crate::resources::Resources;
use crate::stores::StoreArg;

/// A map, the store that holds its chunks, and what reading may use.
#[derive(Args, Clone, Debug)]
pub(crate) struct Source {
    #[command(flatten)]
    pub(crate) map: MapArgs,

    #[command(flatten)]
    store: StoreArg,

    #[command(flatten)]
    resources: Resources,
}

impl Source {
    /// Opens the store, reads the map, and makes the reader.
    pub(crate) async fn open(&self) -> Result<Opened> {
        let engine = Engine::new(self.resources.apply(EncryptionConfig::new()))?;
        // A map in a file is read first: what is no map needs no store to say so.
        let (map, store) = if self.map.name.is_some() {
            let store = self.store.open(OpenMode::Existing).await?;
            (self.map.load(Some(&*store)).await?, store)
        } else {
            (self.map.load(None).await?, self.store.open(OpenMode::Existing).await?)
        };
        Ok(Opened { engine, map, store })
    }
}

/// What is needed for reading.
pub(crate) struct Opened {
    engine: Engine,
    pub(crate) map: selfenc::DataMap,
    store: Arc<dyn Backend>,
}

impl Opened {
    /// The reader, which tells `meter` how far it is.
    pub(crate) fn reader(self, meter: &Meter) -> Reader {
        let engine = self.engine.with_observer(Arc::new(meter.clone()));
        engine.open(self.store as _, self.map)
    }
}

/// Writes a part of a file to `output`; the engine hands out only what it has checked.
pub(crate) async fn pour(reader: &Reader, range: Range<u64>, output: &mut Output) -> Result<()> {
    let mut stream = reader.stream(range);
    while let Some(data) = stream.try_next().await? {
        output.write(&data)?;
    }
    Ok(())
}
