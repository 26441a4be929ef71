//! Epochs of keys that seal data maps.
//!
//! A data map is all that is needed to read its data. A [`KeyStore`] seals it under the key of its newest
//! epoch, and what comes out may be stored anywhere. Now and then a new epoch starts; old ones stay readable
//! until they are retired, and a map moves from one to another without its data being touched.
//!
//! ```
//! # use std::sync::Arc;
//! use selfenc::classic::keys::{KeyConfig, KeyStore};
//! use selfenc::{EncryptionConfig, Engine, MemoryStore, Scope};
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Arc::new(MemoryStore::new());
//! let engine = Engine::new(EncryptionConfig::new())?;
//! let map = engine.write_bytes(store.clone(), &Scope::Private, &vec![7; 100_000]).await?.map;
//!
//! let keys = KeyStore::new(KeyConfig::default())?;
//! let sealed = keys.seal(&map)?;
//! assert_eq!(KeyStore::epoch_of(&sealed)?, 1);
//!
//! // A new key; the old map can be read still, and is moved.
//! keys.rotate()?;
//! let moved = keys.rewrap(&sealed)?;
//! assert_eq!(KeyStore::epoch_of(&moved)?, 2);
//!
//! // Nothing needs the old key any more. What was sealed under it is closed for good.
//! keys.retire(1)?;
//! assert!(keys.unseal(&sealed).is_err());
//! let data = engine.open(store, keys.unseal(&moved)?).read_at(0, 100_000).await?;
//! assert_eq!(data, vec![7; 100_000]);
//! # Ok(())
//! # }
//! ```
//!
//! # The keys are in memory only
//!
//! There is no `save` or `load` yet; they come with a later layer. **When a key store is dropped, what it
//! sealed under keys of its own making can never be opened again.** A program that reads its maps tomorrow
//! [imports](KeyStore::import) a key that it keeps elsewhere, first thing after [`KeyStore::new`] and in the
//! same order each time, for epochs are known by their numbers, or [with its number](KeyStore::import_as); and it sets
//! [`rotation_interval`](KeyConfig::rotation_interval) to `Duration::MAX`.
//!
//! # What sealing gives
//!
//! A sealed map shows its epoch and its length, which grows with the number of chunks up to 512; a change of
//! any bit of it is noticed. Sealing uses only symmetric primitives, 256-bit keys and 256-bit hashes; no known
//! quantum attack does better than Grover/BHT-type speedups. Whoever gets the key of an epoch opens every map
//! that was sealed under it, then and now: rotation bounds what one key opens, and retiring wipes the copy of
//! it that is here. It takes nothing back from who once had the map, for the map's own keys do not change.
//!
//! # Format
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 5 | `SEPOC` |
//! | 5 | 1 | version: 1 |
//! | 6 | 8 | the epoch, from 1, little-endian |
//! | 14 | 152 to 55 448 | the sealed map under the epoch's key, as [`DataMap::seal`](crate::DataMap::seal) makes it |

mod clock;
mod envelope;
mod epochs;
mod material;
mod store;

pub use clock::Clock;
pub use epochs::Epoch;
pub use selfenc_core::engine::KeyConfig;
pub use store::KeyStore;
