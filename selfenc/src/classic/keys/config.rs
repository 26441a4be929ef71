use std::time::Duration;

use selfenc_core::compat::Generation;

use super::super::error::{Error, Result};

/// 30 days.
const ROTATION: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Below, a store in steady use would do little but make epochs.
const SHORTEST_ROTATION: Duration = Duration::from_secs(1);
/// What a key has at most, being 32 bytes.
const KEY_BITS: u32 = 256;
/// Fewer could be searched through some day.
const LEAST_BITS: u32 = 128;

/// How a [`KeyStore`](super::KeyStore) makes keys and takes them.
///
/// ```
/// use std::time::Duration;
/// use selfenc::classic::keys::{KeyConfig, KeyStore};
/// # fn main() -> selfenc::classic::error::Result<()> {
///
/// let weekly = KeyConfig { rotation_interval: Duration::from_secs(7 * 86_400), ..KeyConfig::default() };
/// let keys = KeyStore::new(weekly)?;
/// assert_eq!(keys.config().min_entropy, 256);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyConfig {
    /// After this time a new epoch starts: 1 second or more, 30 days unless told otherwise. `Duration::MAX`
    /// is never.
    pub rotation_interval: Duration,
    /// The bits that imported key material must be able to have: 128 to 256, which is the default.
    pub min_entropy: u32,
    /// Symmetric primitives with 256-bit keys and nothing else; on by default. It refuses `se1`, and needs a
    /// `min_entropy` of 256. There are no recipients yet; none may come in that is not hybrid post-quantum.
    pub quantum_safe: bool,
}

impl KeyConfig {
    /// Checks every setting, as [`KeyStore::new`](super::KeyStore::new) does.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] naming the setting and its range.
    pub fn validate(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::InvalidConfig(message));
        if self.rotation_interval < SHORTEST_ROTATION {
            return wrong("rotation_interval: 1 second or more; Duration::MAX is never".into());
        }
        if !(LEAST_BITS..=KEY_BITS).contains(&self.min_entropy) {
            return wrong(format!("min_entropy: {LEAST_BITS} to {KEY_BITS} bits"));
        }
        if self.quantum_safe && self.min_entropy < KEY_BITS {
            return wrong(format!(
                "min_entropy: {KEY_BITS} bits with quantum_safe; or set quantum_safe to false"
            ));
        }
        Ok(())
    }

    /// Checks that data of this generation may be written under these settings. Every native
    /// [`Suite`](crate::Suite) has 256-bit keys and needs no such check.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for `se1`, which is AES-128, if [`quantum_safe`](Self::quantum_safe) is on.
    pub fn check_generation(&self, generation: Generation) -> Result<()> {
        match generation {
            Generation::One if self.quantum_safe => Err(Error::Unsupported(
                "quantum_safe refuses se1, which is AES-128; use another suite, or set quantum_safe to false"
                    .into(),
            )),
            Generation::One | Generation::Two => Ok(()),
        }
    }
}

impl Default for KeyConfig {
    fn default() -> Self {
        Self { rotation_interval: ROTATION, min_entropy: KEY_BITS, quantum_safe: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_page() {
        let config = KeyConfig::default();
        assert_eq!(config.rotation_interval.as_secs(), 2_592_000);
        assert_eq!((config.min_entropy, config.quantum_safe), (256, true));
        config.validate().unwrap();
    }

    #[test]
    fn a_wrong_setting_is_named() {
        let good = KeyConfig::default();
        let lax = KeyConfig { quantum_safe: false, ..good };
        for (config, name) in [
            (KeyConfig { rotation_interval: Duration::ZERO, ..good }, "rotation_interval"),
            (KeyConfig { rotation_interval: Duration::from_nanos(999_999_999), ..good }, "rotation_interval"),
            (KeyConfig { min_entropy: 127, ..lax }, "min_entropy: 128 to 256"),
            (KeyConfig { min_entropy: 257, ..good }, "min_entropy: 128 to 256"),
            (KeyConfig { min_entropy: 255, ..good }, "quantum_safe"),
        ] {
            let Err(Error::InvalidConfig(message)) = config.validate() else { panic!("{config:?}") };
            assert!(message.contains(name), "{message}");
        }
        for config in [
            KeyConfig { rotation_interval: Duration::from_secs(1), ..good },
            KeyConfig { rotation_interval: Duration::MAX, ..good },
            KeyConfig { min_entropy: 128, ..lax },
        ] {
            config.validate().unwrap();
        }
    }

    #[test]
    fn quantum_safe_refuses_aes_128_and_nothing_else() {
        let strict = KeyConfig::default();
        let refused = strict.check_generation(Generation::One);
        assert!(matches!(refused, Err(Error::Unsupported(message)) if message.contains("se1")));
        strict.check_generation(Generation::Two).unwrap();
        let lax = KeyConfig { quantum_safe: false, ..strict };
        Generation::ALL.into_iter().for_each(|generation| lax.check_generation(generation).unwrap());
    }
}
