//! A writer of the selfenc format for tiny inputs, from sections 9 and 4 to 6 of `docs/format.md`.
//!
//! It shares no code with the reference reader or the engine, and every step can be bent, so that tests can make
//! what no right writer makes.

use std::collections::HashMap;

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeEncrypt, KeyIvInit};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use sha3::{Digest, Sha3_256};
use shake::{ExtendableOutput, Shake256, Update, XofReader};

/// Section 4, field by field.
#[derive(Clone)]
pub(crate) struct Root {
    pub(crate) version: u8,
    pub(crate) suite: u8,
    pub(crate) level: u8,
    pub(crate) flags: u8,
    pub(crate) binding: u8,
    pub(crate) chunker: u8,
    pub(crate) p: [u32; 3],
    pub(crate) total: u64,
    pub(crate) count: u32,
    pub(crate) body: Vec<u8>,
}

impl Root {
    /// The root's bytes, with the right digest, however wrong the fields are.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut map = b"SEMAP".to_vec();
        let (suite, level, flags) = (self.suite, self.level, self.flags);
        map.extend([self.version, suite, level, flags, self.binding, self.chunker]);
        self.p.iter().for_each(|p| map.extend(p.to_le_bytes()));
        map.extend(self.total.to_le_bytes());
        map.extend(self.count.to_le_bytes());
        map.extend(&self.body);
        let digest = hash(suite, &[&map]);
        [map, digest.to_vec()].concat()
    }
}

/// Section 5.1.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) end: u64,
    pub(crate) stored: u32,
    pub(crate) name: [u8; 32],
    pub(crate) ck: [u8; 32],
    pub(crate) e: [u8; 32],
}

impl Entry {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let numbers = [self.end.to_le_bytes().as_slice(), &self.stored.to_le_bytes()].concat();
        [numbers.as_slice(), &self.name, &self.ck, &self.e].concat()
    }
}

/// One suite, secret and binding, and the chunks written with them.
pub(crate) struct Writer {
    pub(crate) suite: u8,
    pub(crate) secret: [u8; 32],
    pub(crate) binding: u8,
    pub(crate) chunks: HashMap<[u8; 32], Vec<u8>>,
}

impl Writer {
    /// Public scope, binding own.
    pub(crate) fn new(suite: u8) -> Self {
        Self { suite, secret: [0; 32], binding: 0, chunks: HashMap::new() }
    }

    /// Section 9 whole: fixed chunks of `size`, codec 0.
    pub(crate) fn write(&mut self, input: &[u8], size: u32) -> Root {
        if input.len() <= 4096 {
            return self.inline(input);
        }
        let pieces: Vec<&[u8]> = input.chunks(size as usize).collect();
        let envelopes: Vec<Vec<u8>> = pieces.iter().map(|piece| plain_envelope(piece)).collect();
        let e: Vec<[u8; 32]> =
            envelopes.iter().map(|envelope| content_hash(self.suite, 0, envelope)).collect();
        let k = e.len();
        let mut entries = Vec::new();
        let mut end = 0;
        for i in 0..k {
            let (a, b) = match self.binding {
                0 => ([0; 32], [0; 32]),
                _ => (e[(i + 1) % k], e[(i + 2) % k]),
            };
            let ck = self.chunk_key(0, self.binding, e[i], a, b);
            end += pieces[i].len() as u64;
            entries.push(self.put(0, end, &envelopes[i], ck, e[i]));
        }
        let mut root = self.tree(entries);
        root.p[0] = size;
        root
    }

    pub(crate) fn inline(&self, input: &[u8]) -> Root {
        let count = u32::try_from(input.len()).expect("inline inputs are short");
        Root {
            version: 1,
            suite: self.suite,
            level: 0,
            flags: 1,
            binding: 0,
            chunker: 0,
            p: [0; 3],
            total: u64::from(count),
            count,
            body: input.to_vec(),
        }
    }

    /// Section 9.5, from any list of data entries.
    pub(crate) fn tree(&mut self, mut entries: Vec<Entry>) -> Root {
        let mut level = 0;
        while entries.len() > 512 {
            entries = entries.chunks(512).map(|run| self.page(level, run)).collect();
            level += 1;
        }
        self.root(level, &entries)
    }

    /// A root over these entries as they are.
    pub(crate) fn root(&self, level: u8, entries: &[Entry]) -> Root {
        Root {
            version: 1,
            suite: self.suite,
            level,
            flags: 0,
            binding: self.binding,
            chunker: 1,
            p: [1024, 0, 0],
            total: entries.last().map_or(0, |entry| entry.end),
            count: u32::try_from(entries.len()).expect("few entries"),
            body: entries.iter().flat_map(Entry::bytes).collect(),
        }
    }

    /// Section 5.2: stores a page and returns its entry.
    pub(crate) fn page(&mut self, level: u8, run: &[Entry]) -> Entry {
        let count = u32::try_from(run.len()).expect("few entries");
        let mut plain = vec![level];
        plain.extend(count.to_le_bytes());
        run.iter().for_each(|entry| plain.extend(entry.bytes()));
        let end = run.last().map_or(0, |entry| entry.end);
        self.own(1, end, &plain_envelope(&plain))
    }

    /// Stores an envelope, right or wrong, with binding own.
    pub(crate) fn own(&mut self, kind: u8, end: u64, envelope: &[u8]) -> Entry {
        let e = content_hash(self.suite, kind, envelope);
        let ck = self.chunk_key(kind, 0, e, [0; 32], [0; 32]);
        self.put(kind, end, envelope, ck, e)
    }

    /// Encrypts, stores, and returns the entry.
    fn put(&mut self, kind: u8, end: u64, envelope: &[u8], ck: [u8; 32], e: [u8; 32]) -> Entry {
        let stored = encrypt(self.suite, kind, &ck, envelope);
        self.put_raw(end, stored, ck, e)
    }

    /// Stores `stored` as it is.
    pub(crate) fn put_raw(&mut self, end: u64, stored: Vec<u8>, ck: [u8; 32], e: [u8; 32]) -> Entry {
        let name = hash(self.suite, &[&stored]);
        let len = u32::try_from(stored.len()).expect("chunks are short");
        self.chunks.insert(name, stored);
        Entry { end, stored: len, name, ck, e }
    }

    /// Section 9.4.
    fn chunk_key(&self, kind: u8, binding: u8, own: [u8; 32], a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
        let choices = [self.suite, kind, binding];
        hash(self.suite, &[b"selfenc v1 chunk key\0", &choices, &self.secret, &own, &a, &b])
    }
}

/// Section 6.2, without filler.
pub(crate) fn envelope(codec: u8, len: usize, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(len).expect("short");
    let body_len = u32::try_from(body.len()).expect("short");
    [&[codec], len.to_le_bytes().as_slice(), &body_len.to_le_bytes(), body].concat()
}

pub(crate) fn plain_envelope(content: &[u8]) -> Vec<u8> {
    envelope(0, content.len(), content)
}

/// Section 6.2: e.
pub(crate) fn content_hash(suite: u8, kind: u8, envelope: &[u8]) -> [u8; 32] {
    hash(suite, &[b"selfenc v1 content\0", &[suite, kind], envelope])
}

/// Sections 6.3 and 6.4.
pub(crate) fn encrypt(suite: u8, kind: u8, ck: &[u8; 32], envelope: &[u8]) -> Vec<u8> {
    if suite == 0x11 {
        let key = blake3::derive_key("selfenc v1 expand", &[&[suite], ck.as_slice()].concat());
        return chacha(&key, [0; 12], &[suite, kind], envelope);
    }
    let secrets = shake(&[b"selfenc v1 expand\0", &[suite], ck], 112);
    let mut buffer = envelope.to_vec();
    buffer.resize((envelope.len() / 16 + 1) * 16, 0);
    let cbc =
        cbc::Encryptor::<aes::Aes256>::new_from_slices(&secrets[..32], &secrets[32..48]).expect("sizes");
    cbc.encrypt_padded::<Pkcs7>(&mut buffer, envelope.len()).expect("room for padding");
    for (i, byte) in buffer.iter_mut().enumerate() {
        *byte ^= secrets[48 + i % 64];
    }
    buffer
}

/// Section 3.
pub(crate) fn seal(key: &[u8; 32], salt: [u8; 32], root: &[u8]) -> Vec<u8> {
    let secrets = shake(&[b"selfenc v1 seal\0", key, &salt], 76);
    let head = [b"SESL\x01".as_slice(), &salt, &secrets[44..]].concat();
    let nonce = secrets[32..44].try_into().expect("12 bytes");
    let ct = chacha(secrets[..32].try_into().expect("32 bytes"), nonce, &head, root);
    [head, ct].concat()
}

fn chacha(key: &[u8; 32], nonce: [u8; 12], aad: &[u8], msg: &[u8]) -> Vec<u8> {
    let cipher = ChaCha20Poly1305::new(&Key::from(*key));
    cipher.encrypt(&Nonce::from(nonce), Payload { msg, aad }).expect("short message")
}

/// H of the parts, one after the other. Suites that do not exist hash like 10 (hex).
pub(crate) fn hash(suite: u8, parts: &[&[u8]]) -> [u8; 32] {
    let bytes = parts.concat();
    if suite == 0x11 { blake3::hash(&bytes).into() } else { Sha3_256::digest(&bytes).into() }
}

pub(crate) fn shake(parts: &[&[u8]], len: usize) -> Vec<u8> {
    let mut hasher = Shake256::default();
    hasher.update(&parts.concat());
    let mut out = vec![0; len];
    hasher.finalize_xof().read(&mut out);
    out
}
