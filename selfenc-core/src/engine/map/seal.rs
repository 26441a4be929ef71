use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use shake::{ExtendableOutput, Shake256, Update, XofReader};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::root::{DataMap, MAX_ROOT};
use crate::engine::error::{Error, MapError, Result};
use crate::engine::secret::{SealKey, random};

const MAGIC: &[u8; 4] = b"SESL";
const VERSION: u8 = 1;
const LABEL: &[u8] = b"selfenc v1 seal\0";
/// Magic, version, salt and commitment: what the cipher authenticates beside the map.
const HEAD: usize = 4 + 1 + 32 + 32;
const TAG: usize = 16;

impl DataMap {
    /// Encrypts the map under `key`; the bytes may be stored or published anywhere.
    ///
    /// # Errors
    /// [`Error::System`] if there is no randomness.
    pub fn seal(&self, key: &SealKey) -> Result<Vec<u8>> {
        self.seal_with_salt(key, &*random()?)
    }

    fn seal_with_salt(&self, key: &SealKey, salt: &[u8; 32]) -> Result<Vec<u8>> {
        let expanded = Expanded::new(key, salt);
        let mut out = Vec::with_capacity(HEAD + MAX_ROOT + TAG);
        out.extend_from_slice(MAGIC);
        out.push(VERSION);
        out.extend_from_slice(salt);
        out.extend_from_slice(&expanded.commit);
        let root = self.to_secret_bytes();
        let sealed = expanded.cipher().encrypt(&expanded.nonce, Payload { msg: &root, aad: &out });
        // The cipher fails only above 256 GiB.
        out.extend_from_slice(&sealed.map_err(|_| Error::InvalidConfig("the map is too long".into()))?);
        Ok(out)
    }

    /// Opens a sealed map.
    ///
    /// # Errors
    /// [`Error::WrongKey`] if it was sealed under another key, or a [`MapError`]: not a sealed map, newer,
    /// or damaged.
    pub fn unseal(key: &SealKey, sealed: &[u8]) -> Result<Self> {
        let rest = sealed.strip_prefix(MAGIC).ok_or(MapError::NotADataMap)?;
        match rest.first() {
            Some(&VERSION) => {}
            Some(&version) if version > VERSION => return Err(MapError::NewerVersion(version).into()),
            _ => return Err(MapError::Damaged.into()),
        }
        if sealed.len() > HEAD + MAX_ROOT + TAG {
            return Err(MapError::Damaged.into());
        }
        let (head, ciphertext) = sealed.split_at_checked(HEAD).ok_or(MapError::Damaged)?;
        let (salt, commit) = head[5..].split_first_chunk::<32>().ok_or(MapError::Damaged)?;
        let expanded = Expanded::new(key, salt);
        if !bool::from(expanded.commit.ct_eq(commit)) {
            return Err(Error::WrongKey);
        }
        let root = expanded.cipher().decrypt(&expanded.nonce, Payload { msg: ciphertext, aad: head });
        Self::from_bytes(&Zeroizing::new(root.map_err(|_| MapError::Damaged)?))
    }

    /// Whether these bytes begin like a sealed map.
    #[must_use]
    pub fn is_sealed(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }
}

/// What a seal key and a salt give: key, nonce and commitment.
struct Expanded {
    key: Zeroizing<[u8; 32]>,
    nonce: Nonce,
    commit: [u8; 32],
}

impl Expanded {
    fn new(key: &SealKey, salt: &[u8; 32]) -> Self {
        let mut shake = Shake256::default();
        shake.update(LABEL);
        shake.update(key.expose());
        shake.update(salt);
        let mut reader = shake.finalize_xof();
        let mut expanded = Self { key: Zeroizing::new([0; 32]), nonce: Nonce::default(), commit: [0; 32] };
        reader.read(expanded.key.as_mut());
        reader.read(&mut expanded.nonce);
        reader.read(&mut expanded.commit);
        expanded
    }

    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new((&*self.key).into())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::root::{Body, Header};
    use super::*;
    use crate::engine::keys::Binding;
    use crate::engine::suite::Suite;

    fn map() -> DataMap {
        let header = Header { suite: Suite::default(), binding: Binding::Own, chunking: None, total: 5 };
        DataMap::new(header, Body::Inline(Arc::new(Zeroizing::new(b"hello".to_vec()))))
    }

    #[test]
    fn the_right_key_opens_it_and_no_other() {
        let key = SealKey::from_bytes([1; 32]);
        let sealed = map().seal(&key).unwrap();
        assert!(DataMap::is_sealed(&sealed));
        assert_eq!(DataMap::unseal(&key, &sealed).unwrap().to_secret_bytes(), map().to_secret_bytes());
        assert!(matches!(DataMap::unseal(&SealKey::from_bytes([2; 32]), &sealed), Err(Error::WrongKey)));
        assert!(matches!(DataMap::from_bytes(&sealed), Err(Error::BadMap(MapError::Sealed))));
    }

    #[test]
    fn two_seals_of_one_map_share_nothing() {
        let key = SealKey::from_bytes([1; 32]);
        assert_ne!(map().seal(&key).unwrap()[5..], map().seal(&key).unwrap()[5..]);
    }

    #[test]
    fn every_flip_and_every_cut_is_an_error() {
        let key = SealKey::from_bytes([1; 32]);
        let sealed = map().seal(&key).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(DataMap::unseal(&key, &damaged).is_err(), "bit {bit}");
        }
        for cut in 0..sealed.len() {
            assert!(DataMap::unseal(&key, &sealed[..cut]).is_err(), "cut at {cut}");
        }
    }
}
