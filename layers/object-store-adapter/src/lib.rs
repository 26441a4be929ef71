//! An [`object_store::ObjectStore`] whose objects are encrypted and deduplicated over any selfenc store.
//!
//! For programs that speak `object_store` already: what they put is cut into chunks, encrypted with keys
//! made from the data itself, and kept in any [`Backend`](selfenc_core::store::Backend). Equal data is
//! stored once.
//!
//! ```
//! use std::sync::Arc;
//!
//! use object_store::path::Path;
//! use object_store::{ObjectStore, ObjectStoreExt};
//! use selfenc_core::engine::{EncryptionConfig, Engine, GroupSecret, Scope, SealKey};
//! use selfenc_memory::MemoryStore;
//! use selfenc_object_store_adapter::ObjectStoreAdapter;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Arc::new(MemoryStore::new());
//! let engine = Engine::new(EncryptionConfig::new())?;
//! // Keep both. The secret says with whom chunks are shared; the key opens the objects.
//! let (secret, key) = (GroupSecret::generate()?, SealKey::generate()?);
//! let objects = ObjectStoreAdapter::new(store, engine, Scope::Group(secret), key)?;
//!
//! let path = Path::from("reports/2026.csv");
//! objects.put(&path, vec![7; 3 << 20].into()).await?;
//! objects.copy(&path, &Path::from("backup.csv")).await?;
//!
//! let part = objects.get_range(&path, 1_000_000..1_000_004).await?;
//! assert_eq!(&part[..], [7; 4]);
//! # assert_eq!(objects.list_with_delimiter(None).await?.common_prefixes, [Path::from("reports")]);
//! # Ok(())
//! # }
//! ```
//!
//! # What an object is
//!
//! A path is a root. Its name is `obj-`, an id of the key, and a keyed hash of the path; its value is a
//! sealed map of the object's record: path, time, attributes, and the map of the data. The record is
//! encrypted and authenticated as a whole, and says whose it is, so a store that changes a root or gives
//! one for another is found out. Who has the store and no key sees how many objects a key has, how long
//! the records are, when each changes, and the chunks; no path, attribute or byte of data.
//!
//! A store can still give an **old** value of a root, or none: that is what the object was, or before there
//! was one, and nothing here notices.
//!
//! Several adapters share a store. With one key they see the same objects, from any number of processes
//! as far as the store allows it; with different keys they see nothing of each other, and still share
//! chunks if their scope is the same.
//!
//! # What operations cost
//!
//! | operation | requests to the store |
//! |---|---|
//! | put | the data's chunks, a flush, a load and a swap of a root; up to about 3900 bytes of data need no chunk |
//! | get, get_ranges | a load of the root, then the chunks that the range touches |
//! | head | a load of the root |
//! | copy | two loads and a swap; no data moves |
//! | rename | a copy, and a swap that removes the source |
//! | delete | a load and a swap |
//! | list, of every kind | the names of all roots, and a load of every object of this key, 16 at once |
//!
//! A record of more than 4096 bytes is a chunk itself: one more put or get where a record is written or
//! read. Its map makes it so long from about 35 chunks to 512 (above that, the map is in pages and short
//! again), or long attributes do, or data of nearly 4096 bytes, which stands in the record.
//!
//! Listings are sorted by path. They cost the same whatever the prefix, since roots are named by hashes,
//! and keep what matches in memory. A record that cannot be opened fails a listing.
//!
//! # What is promised
//!
//! * **put** is atomic and, where the store is durable, survives a crash: chunks, then map, then root. A
//!   dropped or failed put leaves no object, or what was there; its chunks stay.
//! * **Conditions**: `Create`, and `Update` by `e_tag`, are exact compare-and-swaps of the root. The e_tag
//!   changes with every put, also of the same bytes. Old versions are not kept, so there is no `version`.
//! * **get** gives the bytes of one version or an error. All were checked before they are handed out. A
//!   body streams within the engine's memory budget.
//! * **Multipart**: parts go into one writer in the order of the calls of `put_part`. `complete` with a
//!   part whose future has not ended is an error; the last `complete` wins. An upload that is aborted or
//!   dropped leaves no object. Memory is the engine's budget and the parts not yet awaited.
//! * **rename** is a copy and then a delete, and not atomic: in between both are there. The source is only
//!   deleted as it was copied; if it changed meanwhile, it stays and the rename fails.
//! * **delete** removes the root. Chunks stay, for other objects may need them; nothing collects them yet.
//!   To delete what is not there is `NotFound`.
//! * Attributes are kept. Tags are ignored, as `object_store` asks of stores that have none.
//!
//! Errors are `object_store`'s; a missing chunk is a generic error, for the object does exist.
//!
//! # What the scope leaks
//!
//! As everywhere in selfenc: in `Scope::Public` whoever sees the store can confirm a guessed file, in a
//! group only its members can, and `Scope::Private` shares no chunk between two objects. A copy shares
//! everything with its source in every scope.
#![forbid(unsafe_code)]

mod adapter;
mod error;
mod listing;
mod names;
mod objects;
mod record;
mod upload;

pub use adapter::ObjectStoreAdapter;
