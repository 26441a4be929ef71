//! The keys and what is known of their use: all that a key store has behind its lock.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::{Duration, SystemTime};

use selfenc_core::compat::Generation;
use selfenc_core::engine::{DataMap, SealKey};

use super::super::error::{Error, Result};
use super::envelope::Envelope;

/// What a [`KeyStore`](super::KeyStore) tells of an epoch, its key left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Epoch {
    /// Its number, from 1; a later one is greater, and none is used twice.
    pub id: u64,
    /// When it started, by the key store's clock.
    pub created: SystemTime,
    /// The sealed maps that are counted as needing it.
    pub maps: usize,
}

/// Epochs by id. The newest is never removed.
pub(super) struct Epochs {
    by_id: BTreeMap<u64, Secret>,
    /// From where the newest epoch's time is counted.
    since: SystemTime,
    interval: Duration,
}

struct Secret {
    created: SystemTime,
    key: SealKey,
    /// The sealed maps that need it, by their hashes: whoever forgets one twice takes out only that one.
    maps: HashSet<[u8; 32]>,
}

/// The last number that may be asked for: enough are left above it for all epochs that will ever be.
const LAST: u64 = u64::MAX >> 1;

fn mark(sealed: &[u8]) -> [u8; 32] {
    Generation::Two.hash(sealed)
}

impl Epochs {
    pub(super) fn new(interval: Duration) -> Self {
        Self { by_id: BTreeMap::new(), since: SystemTime::UNIX_EPOCH, interval }
    }

    /// Starts an epoch.
    pub(super) fn start(&mut self, key: SealKey, now: SystemTime) -> u64 {
        let id = self.newest_id() + 1;
        self.insert(id, key, now);
        id
    }

    /// Starts an epoch of this number, which is above all others.
    pub(super) fn start_as(&mut self, id: u64, key: SealKey, now: SystemTime) -> Result<()> {
        let newest = self.newest_id();
        if id <= newest || id > LAST {
            let range = format!("it must be above {newest}, the newest, and at most {LAST}");
            return Err(Error::InvalidConfig(format!("epoch {id}: {range}")));
        }
        self.insert(id, key, now);
        Ok(())
    }

    fn newest_id(&self) -> u64 {
        self.by_id.last_key_value().map_or(0, |(id, _)| *id)
    }

    fn insert(&mut self, id: u64, key: SealKey, now: SystemTime) {
        self.by_id.insert(id, Secret { created: now, key, maps: HashSet::new() });
        self.since = now;
    }

    /// The newest epoch's id, once a new one was started if it is time for it.
    pub(super) fn newest(&mut self, now: SystemTime) -> Result<u64> {
        if let Some((id, _)) = self.by_id.last_key_value() {
            match now.duration_since(self.since) {
                Ok(age) if age >= self.interval => {}
                Ok(_) => return Ok(*id),
                Err(_) => {
                    // The clock went back. Counted from here, the next epoch is an interval away: not now, and
                    // not only when the clock comes to where it once was, which may be years from now.
                    self.since = now;
                    return Ok(*id);
                }
            }
        }
        Ok(self.start(SealKey::generate()?, now))
    }

    pub(super) fn seal(&mut self, map: &DataMap, now: SystemTime) -> Result<Vec<u8>> {
        let epoch = self.newest(now)?;
        let secret = self.get_mut(epoch)?;
        let bytes = Envelope { epoch, sealed: &map.seal(&secret.key)? }.write();
        secret.maps.insert(mark(&bytes));
        Ok(bytes)
    }

    /// Seals the map of `bytes` anew unless it is in the newest epoch already.
    pub(super) fn rewrap(&mut self, bytes: &[u8], now: SystemTime) -> Result<Vec<u8>> {
        let envelope = Envelope::parse(bytes)?;
        let map = DataMap::unseal(&self.key(envelope.epoch)?, envelope.sealed)?;
        if self.newest(now)? == envelope.epoch {
            self.get_mut(envelope.epoch)?.maps.insert(mark(bytes));
            return Ok(bytes.to_vec());
        }
        let moved = self.seal(&map, now)?;
        self.forget(bytes);
        Ok(moved)
    }

    pub(super) fn key(&self, epoch: u64) -> Result<SealKey> {
        let found = self.by_id.get(&epoch).ok_or(Error::UnknownEpoch { epoch })?;
        Ok(found.key.clone())
    }

    fn get_mut(&mut self, epoch: u64) -> Result<&mut Secret> {
        self.by_id.get_mut(&epoch).ok_or(Error::UnknownEpoch { epoch })
    }

    pub(super) fn remember(&mut self, bytes: &[u8]) -> Result<()> {
        let Envelope { epoch, sealed } = Envelope::parse(bytes)?;
        // Opened, so that bytes of a stranger's making cannot keep an epoch alive.
        DataMap::unseal(&self.key(epoch)?, sealed)?;
        self.get_mut(epoch)?.maps.insert(mark(bytes));
        Ok(())
    }

    pub(super) fn forget(&mut self, bytes: &[u8]) -> bool {
        let mark = mark(bytes);
        self.by_id.values_mut().any(|secret| secret.maps.remove(&mark))
    }

    pub(super) fn retire(&mut self, epoch: u64) -> Result<()> {
        let maps = self.get_mut(epoch)?.maps.len();
        if maps > 0 {
            return Err(Error::EpochInUse { epoch, maps });
        }
        if self.by_id.last_key_value().is_some_and(|(newest, _)| *newest == epoch) {
            return Err(Error::EpochIsNewest { epoch });
        }
        self.by_id.remove(&epoch);
        Ok(())
    }

    pub(super) fn list(&self) -> Vec<Epoch> {
        let tell = |(id, secret): (&u64, &Secret)| Epoch {
            id: *id,
            created: secret.created,
            maps: secret.maps.len(),
        };
        self.by_id.iter().map(tell).collect()
    }
}

impl fmt::Debug for Epochs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list()).finish()
    }
}
