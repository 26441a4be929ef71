use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use selfenc_core::compat::{AnyMap, Generation};
use selfenc_core::engine::{DataMap, KeyConfig, SealKey};

use super::super::error::{Error, Result};
use super::clock::Clock;
use super::envelope::Envelope;
use super::epochs::{Epoch, Epochs};
use super::material;

/// Keys by epoch, which seal data maps and never chunks. The first epoch starts when one is needed.
///
/// Every method takes `&self`: one store may be shared by many threads, in an `Arc`. The keys are in memory
/// only, are wiped when their epoch is retired or the store is dropped, and `Debug` shows none; see the
/// [module](super) for what that means for tomorrow.
///
/// It counts the sealed maps that need an epoch, and refuses to [`retire`](Self::retire) it while there are
/// any: [`seal`](Self::seal) counts one, [`rewrap`](Self::rewrap) moves one, [`forget`](Self::forget) takes
/// one out, and [`remember`](Self::remember) counts one that was sealed elsewhere. It is told, it does not
/// look: a copy of sealed bytes is the same map to it. Each takes some 50 bytes of memory.
pub struct KeyStore {
    config: KeyConfig,
    clock: Box<dyn Clock>,
    epochs: Mutex<Epochs>,
}

impl KeyStore {
    /// A key store on the system's clock.
    ///
    /// ```
    /// use std::time::Duration;
    /// use selfenc::classic::keys::{KeyConfig, KeyStore};
    /// # fn main() -> selfenc::classic::error::Result<()> {
    ///
    /// let weekly = Duration::from_secs(7 * 86_400);
    /// let keys =
    ///     KeyStore::new(KeyConfig { rotation_interval: weekly, min_entropy: 256, quantum_safe: true })?;
    /// assert_eq!(keys.config().rotation_interval, weekly);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] naming the setting that is wrong, and its range.
    pub fn new(config: KeyConfig) -> Result<Self> {
        Self::with_clock(config, SystemTime::now)
    }

    /// A key store on another clock.
    ///
    /// A clock that goes back never starts an epoch: the time to the next one is counted anew from where it
    /// went to.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use std::time::{Duration, SystemTime};
    /// use selfenc::classic::keys::{KeyConfig, KeyStore};
    /// # fn main() -> selfenc::classic::error::Result<()> {
    ///
    /// let days = Arc::new(AtomicU64::new(0));
    /// let clock = {
    ///     let days = Arc::clone(&days);
    ///     move || SystemTime::UNIX_EPOCH + Duration::from_secs(86_400 * days.load(Ordering::Relaxed))
    /// };
    /// let keys = KeyStore::with_clock(KeyConfig::default(), clock)?;
    /// assert_eq!(keys.current_epoch()?, 1);
    /// days.store(29, Ordering::Relaxed);
    /// assert_eq!(keys.current_epoch()?, 1);
    /// days.store(30, Ordering::Relaxed);
    /// assert_eq!(keys.current_epoch()?, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn with_clock(config: KeyConfig, clock: impl Clock) -> Result<Self> {
        config.validate()?;
        let epochs = Mutex::new(Epochs::new(config.rotation_interval));
        Ok(Self { config, clock: Box::new(clock), epochs })
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &KeyConfig {
        &self.config
    }

    /// Seals a map under the newest epoch, a new one if it is time for it, and counts it there.
    ///
    /// # Errors
    /// [`Error::Encryption`] if there is no randomness.
    pub fn seal(&self, map: &DataMap) -> Result<Vec<u8>> {
        let now = self.clock.now();
        self.lock().seal(map, now)
    }

    /// The same for a map of any kind.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a map of self_encryption; else as for [`seal`](Self::seal).
    pub fn seal_any(&self, map: &AnyMap) -> Result<Vec<u8>> {
        match map {
            AnyMap::Native(map) => self.seal(map),
            AnyMap::Compat(_) => Err(Error::Unsupported(
                "a map of self_encryption is not sealed here; convert its data first, then seal the new map"
                    .into(),
            )),
        }
    }

    /// Opens a sealed map, of whatever epoch.
    ///
    /// # Errors
    /// [`Error::InvalidData`] if it is damaged or nothing that a key store sealed, [`Error::UnknownEpoch`] if
    /// its epoch is not here, and [`Error::Encryption`] if another key store's epoch of that number sealed it.
    pub fn unseal(&self, sealed: &[u8]) -> Result<DataMap> {
        let envelope = Envelope::parse(sealed)?;
        let key = self.lock().key(envelope.epoch)?;
        Ok(DataMap::unseal(&key, envelope.sealed)?)
    }

    /// Moves a sealed map to the newest epoch, a new one if it is time for it. Chunks are not touched.
    ///
    /// From now on the map counts for the newest epoch and the bytes that were given count for none: put
    /// what is returned in their place before you [`retire`](Self::retire) theirs. A map that is in the newest
    /// epoch already is returned as it is.
    ///
    /// # Errors
    /// As for [`unseal`](Self::unseal) and [`seal`](Self::seal); then the map is where it was.
    pub fn rewrap(&self, sealed: &[u8]) -> Result<Vec<u8>> {
        let now = self.clock.now();
        self.lock().rewrap(sealed, now)
    }

    /// Starts a new epoch now, and returns its id.
    ///
    /// # Errors
    /// [`Error::Encryption`] if there is no randomness.
    pub fn rotate(&self) -> Result<u64> {
        let (now, key) = (self.clock.now(), SealKey::generate()?);
        Ok(self.lock().start(key, now))
    }

    /// Starts a new epoch now with a key from elsewhere, and returns its id.
    ///
    /// `material` is [`min_entropy`](KeyConfig::min_entropy) bits or more and 1 KiB at most. 32 bytes are the
    /// key itself, of others it is the SHA3-256 after a label. A plain check of lengths and frequencies
    /// refuses text, repeats, counting and short alphabets. It cannot know whether the rest is random: a
    /// password must never get here, not even hashed.
    ///
    /// ```
    /// use selfenc::classic::error::Error;
    /// use selfenc::classic::keys::{KeyConfig, KeyStore};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///
    /// let keys = KeyStore::new(KeyConfig::default())?;
    /// let password = keys.import(b"correct horse battery staple 1234567");
    /// assert!(matches!(password, Err(Error::KeyMaterial(_))));
    ///
    /// let kept_elsewhere = selfenc::SealKey::generate()?;
    /// assert_eq!(keys.import(kept_elsewhere.expose())?, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::KeyMaterial`] with the reason; the material itself is not in it.
    pub fn import(&self, material: &[u8]) -> Result<u64> {
        let key = material::key(material, self.config.min_entropy)?;
        let now = self.clock.now();
        Ok(self.lock().start(key, now))
    }

    /// The same for an epoch of this number, above all that there are: for keys that are imported anew when earlier
    /// ones were retired, since a sealed map says the number of its epoch.
    ///
    /// ```
    /// use selfenc::SealKey;
    /// use selfenc::classic::keys::{KeyConfig, KeyStore};
    /// # fn main() -> selfenc::classic::error::Result<()> {
    /// # let store = std::sync::Arc::new(selfenc::MemoryStore::new());
    /// # let (map, _) = selfenc::classic::SelfEncryptor::with_store("x", store)?.encrypt()?;
    ///
    /// let (first, second) = (SealKey::generate()?, SealKey::generate()?);
    /// let keys = KeyStore::new(KeyConfig::default())?;
    /// keys.import(first.expose())?;
    /// keys.import(second.expose())?;
    /// keys.retire(1)?;
    /// let sealed = keys.seal(&map)?;
    ///
    /// let tomorrow = KeyStore::new(KeyConfig::default())?;
    /// tomorrow.import_as(2, second.expose())?;
    /// assert_eq!(tomorrow.unseal(&sealed)?.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`import`](Self::import), and [`Error::InvalidConfig`] for a number that is not above the newest.
    pub fn import_as(&self, epoch: u64, material: &[u8]) -> Result<()> {
        let key = material::key(material, self.config.min_entropy)?;
        let now = self.clock.now();
        self.lock().start_as(epoch, key, now)
    }

    /// The epoch that seals now, a new one if it is time for it.
    ///
    /// # Errors
    /// [`Error::Encryption`] if there is no randomness.
    pub fn current_epoch(&self) -> Result<u64> {
        let now = self.clock.now();
        self.lock().newest(now)
    }

    /// The epochs that can be read, the oldest first. Starts none.
    #[must_use]
    pub fn epochs(&self) -> Vec<Epoch> {
        self.lock().list()
    }

    /// Wipes the key of an epoch. What was sealed under it can never be opened again.
    ///
    /// # Errors
    /// [`Error::EpochInUse`] if sealed maps are counted that need it, [`Error::EpochIsNewest`] for the one that
    /// seals, and [`Error::UnknownEpoch`].
    pub fn retire(&self, epoch: u64) -> Result<()> {
        self.lock().retire(epoch)
    }

    /// Says that a sealed map is gone, or need not be opened any more. Whether it was counted.
    pub fn forget(&self, sealed: &[u8]) -> bool {
        self.lock().forget(sealed)
    }

    /// Says that a sealed map is needed: one that was sealed in an earlier run of the program, under a key that
    /// was [imported](Self::import) since, or one that was forgotten. One that is counted already stays so.
    ///
    /// # Errors
    /// As for [`unseal`](Self::unseal): bytes that cannot be opened are not counted.
    pub fn remember(&self, sealed: &[u8]) -> Result<()> {
        self.lock().remember(sealed)
    }

    /// Checks that data of this generation may be written under the settings, as
    /// [`KeyConfig::check_generation`] does.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for `se1`, which is AES-128, if [`quantum_safe`](KeyConfig::quantum_safe) is on.
    pub fn check_generation(&self, generation: Generation) -> Result<()> {
        Ok(self.config.check_generation(generation)?)
    }

    /// The epoch that a sealed map says it is of. Only opening it shows whether that is true.
    ///
    /// # Errors
    /// [`Error::InvalidData`] if it is nothing that a key store sealed.
    pub fn epoch_of(sealed: &[u8]) -> Result<u64> {
        Ok(Envelope::parse(sealed)?.epoch)
    }

    /// Whether these bytes begin like a map that a key store sealed.
    #[must_use]
    pub fn is_sealed(bytes: &[u8]) -> bool {
        Envelope::is_one(bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Epochs> {
        self.epochs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyStore").field("config", &self.config).field("epochs", &*self.lock()).finish()
    }
}
