use super::{ChunkStore, RootStore};

/// A store of chunks and roots together. `Arc<dyn Backend>` upcasts to either half.
pub trait Backend: ChunkStore + RootStore {}

impl<T: ChunkStore + RootStore + ?Sized> Backend for T {}
