use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::error::{Error, Result};

/// 32 secret bytes, wiped when the last copy of the handle goes; `Debug` shows nothing.
#[derive(Clone)]
pub(crate) struct Secret(Arc<Zeroizing<[u8; 32]>>);

impl Secret {
    pub(crate) fn new(bytes: [u8; 32]) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    pub(crate) fn random() -> Result<Self> {
        Ok(Self(Arc::new(random()?)))
    }

    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// 32 bytes from the operating system.
pub(super) fn random() -> Result<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut()).map_err(|e| Error::system("randomness", e))?;
    Ok(bytes)
}

/// Who can deduplicate with whom, and who can confirm a guess.
///
/// Whatever the scope, a data map holds derived keys and never the secret: sharing a map shares one file.
#[derive(Clone, Debug)]
pub enum Scope {
    /// Everybody: equal data gives equal chunks for all who use this scope.
    ///
    /// Whoever sees the store can confirm a guessed file, and fill in what is missing of a known form.
    Public,
    /// The holders of one secret deduplicate among themselves, and only they can confirm a guess.
    Group(GroupSecret),
    /// A fresh secret for each input: nothing is shared with any other, not even an equal one.
    ///
    /// Equal chunks inside one input still coincide.
    Private,
}

impl Scope {
    /// The 32 bytes that enter every chunk key of one input.
    pub(super) fn secret(&self) -> Result<Secret> {
        match self {
            Self::Public => Ok(Secret::new([0; 32])),
            Self::Group(group) => Ok(group.0.clone()),
            Self::Private => Secret::random(),
        }
    }

    pub(super) fn is_public(&self) -> bool {
        matches!(self, Self::Public)
    }
}

/// The convergence secret of a group: 32 random bytes. There is no way to make one from a password.
#[derive(Clone)]
pub struct GroupSecret(Secret);

impl GroupSecret {
    /// A new one, from the operating system's randomness.
    ///
    /// # Errors
    /// [`Error::System`] if there is none.
    pub fn generate() -> Result<Self> {
        Ok(Self(Secret::random()?))
    }

    /// An existing one.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] if all bytes are zero, which would be the public scope.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self> {
        if bytes == [0; 32] {
            return Err(Error::InvalidConfig("a group secret of zero bytes is no secret".into()));
        }
        Ok(Self(Secret::new(bytes)))
    }

    /// The secret itself, for storing it.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

impl fmt::Debug for GroupSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GroupSecret(…)")
    }
}

/// The key that seals data maps: 32 random bytes held by the caller.
#[derive(Clone)]
pub struct SealKey(Secret);

impl SealKey {
    /// A new one, from the operating system's randomness.
    ///
    /// # Errors
    /// [`Error::System`] if there is none.
    pub fn generate() -> Result<Self> {
        Ok(Self(Secret::random()?))
    }

    /// An existing one.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// The key itself, for storing it.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(…)")
    }
}
