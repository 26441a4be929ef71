use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::bytes::Fields;
use super::node::{Node, read_entries};
use crate::engine::chunking::Chunking;
use crate::engine::error::{MapError, Result};
use crate::engine::keys::Binding;
use crate::engine::limits::{FAN, INLINE, MAX_LEVEL};
use crate::engine::suite::Suite;
use crate::store::ChunkId;

const MAGIC: &[u8; 5] = b"SEMAP";
const VERSION: u8 = 1;
const FLAG_INLINE: u8 = 1;
const DIGEST: usize = 32;
/// The root without entries or inline bytes, digest included.
const FIXED: usize = 5 + 6 + 3 * 4 + 8 + 4 + DIGEST;
/// The longest root, for 512 entries are longer than any inline data. Longer bytes are refused unread.
pub(super) const MAX_ROOT: usize = FIXED + FAN * super::Entry::LEN;

const SHORT: &str = "it is cut short";

/// Everything that is needed to read data back, and therefore itself a secret.
///
/// It holds the keys of the chunks, and small inputs whole. `Debug` shows neither;
/// [`to_secret_bytes`](Self::to_secret_bytes) is the only way out, and [`seal`](Self::seal) makes bytes
/// that may be stored anywhere.
#[derive(Clone)]
pub struct DataMap {
    header: Header,
    body: Body,
}

/// What a root says before its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Header {
    pub(in crate::engine) suite: Suite,
    pub(in crate::engine) binding: Binding,
    /// `None` for an inline map.
    pub(in crate::engine) chunking: Option<Chunking>,
    pub(in crate::engine) total: u64,
}

/// Small data itself, or the top of the tree.
#[derive(Clone)]
pub(in crate::engine) enum Body {
    Inline(Arc<Zeroizing<Vec<u8>>>),
    Tree(Arc<Node>),
}

/// What a map says of one chunk, keys left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkInfo {
    /// Where its data begins.
    pub offset: u64,
    /// The length of its data in bytes; for a map page, of the data under it.
    pub len: u64,
    /// The length of what is stored, in bytes.
    pub stored: u32,
    /// The name it is stored under.
    pub name: ChunkId,
}

impl DataMap {
    pub(in crate::engine) fn new(header: Header, body: Body) -> Self {
        Self { header, body }
    }

    /// Reads a bare map.
    ///
    /// # Errors
    /// A [`MapError`]: not a map, newer, sealed, damaged, or breaking a rule of the format. Limits are
    /// checked before anything is allocated.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        if Self::is_sealed(bytes) {
            return Err(MapError::Sealed.into());
        }
        Ok(parse(bytes)?)
    }

    /// The bytes to keep the map as. Whoever has them can read the data.
    #[must_use]
    pub fn to_secret_bytes(&self) -> Zeroizing<Vec<u8>> {
        let (level, flags, p) = match self.header.chunking {
            None => (0, FLAG_INLINE, [0; 3]),
            Some(chunking) => (self.level(), 0, chunking.parameters()),
        };
        let chunker = self.header.chunking.map_or(0, Chunking::id);
        let mut out = Zeroizing::new(Vec::with_capacity(MAX_ROOT));
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[VERSION, self.header.suite.id(), level, flags]);
        out.extend_from_slice(&[self.header.binding as u8, chunker]);
        for parameter in p {
            out.extend_from_slice(&parameter.to_le_bytes());
        }
        out.extend_from_slice(&self.header.total.to_le_bytes());
        let count = match &self.body {
            Body::Inline(data) => data.len(),
            Body::Tree(node) => node.entries.len(),
        };
        #[allow(clippy::cast_possible_truncation)] // at most INLINE or FAN
        out.extend_from_slice(&(count as u32).to_le_bytes());
        match &self.body {
            Body::Inline(data) => out.extend_from_slice(data),
            Body::Tree(node) => node.entries.iter().for_each(|entry| entry.write(&mut out)),
        }
        let digest = self.header.suite.hash(&[], &out);
        out.extend_from_slice(&digest);
        out
    }

    /// The length of the data in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.header.total
    }

    /// Whether the data is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.header.total == 0
    }

    /// The algorithms of the map and all its chunks.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.header.suite
    }

    /// What the keys of data chunks are bound to.
    #[must_use]
    pub fn binding(&self) -> Binding {
        self.header.binding
    }

    /// How the data was cut; `None` if it is small enough to be in the map itself.
    #[must_use]
    pub fn chunking(&self) -> Option<Chunking> {
        self.header.chunking
    }

    /// Levels of pages between the map and the data chunks: 0 up to 512 chunks.
    #[must_use]
    pub fn level(&self) -> u8 {
        match &self.body {
            Body::Inline(_) => 0,
            Body::Tree(node) => node.level,
        }
    }

    /// Whether the map holds the data itself.
    #[must_use]
    pub fn is_inline(&self) -> bool {
        matches!(self.body, Body::Inline(_))
    }

    /// The entries in the map itself: data chunks at level 0, else the topmost pages.
    pub fn entries(&self) -> impl Iterator<Item = ChunkInfo> {
        let node = match &self.body {
            Body::Inline(_) => None,
            Body::Tree(node) => Some(node),
        };
        node.into_iter().flat_map(|node| (0..node.entries.len()).map(|index| node.info(index)))
    }

    pub(in crate::engine) fn body(&self) -> &Body {
        &self.body
    }
}

impl Node {
    /// What entry `index` says, keys left out.
    pub(in crate::engine) fn info(&self, index: usize) -> ChunkInfo {
        let (entry, offset) = (&self.entries[index], self.start_of(index));
        ChunkInfo { offset, len: entry.end - offset, stored: entry.stored, name: entry.name }
    }
}

impl fmt::Debug for DataMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataMap")
            .field("header", &self.header)
            .field("level", &self.level())
            .field("entries", &self.entries().count())
            .finish_non_exhaustive()
    }
}

fn parse(bytes: &[u8]) -> Result<DataMap, MapError> {
    let invalid = MapError::Invalid;
    let rest = bytes.strip_prefix(MAGIC).ok_or(MapError::NotADataMap)?;
    match rest.first() {
        Some(&VERSION) => {}
        Some(&version) if version > VERSION => return Err(MapError::NewerVersion(version)),
        _ => return Err(MapError::Damaged),
    }
    if bytes.len() < FIXED || bytes.len() > MAX_ROOT {
        return Err(MapError::Damaged);
    }
    let suite = rest.get(1).copied().and_then(Suite::from_id).ok_or(invalid("unknown suite"))?;
    let (signed, digest) = bytes.split_at(bytes.len() - DIGEST);
    if suite.hash(&[], signed) != digest {
        return Err(MapError::Damaged);
    }
    parse_fields(suite, &mut Fields(&signed[MAGIC.len() + 2..])).map_err(invalid)
}

/// Reads what follows the suite.
fn parse_fields(suite: Suite, fields: &mut Fields<'_>) -> Result<DataMap, &'static str> {
    let [level, flags, binding, chunker] = fields.array().ok_or(SHORT)?;
    let mut parameters = [0; 3];
    for parameter in &mut parameters {
        *parameter = fields.u32().ok_or(SHORT)?;
    }
    let total = fields.u64().ok_or(SHORT)?;
    if flags & !FLAG_INLINE != 0 {
        return Err("unknown flag");
    }
    let binding = Binding::from_id(binding).ok_or("unknown binding")?;
    let inline = flags & FLAG_INLINE != 0;
    if inline != (total <= INLINE) {
        return Err("small data is in the map, and only small data");
    }
    if inline {
        if level != 0 || chunker != 0 || binding != Binding::Own || parameters != [0; 3] {
            return Err("an inline map has no level, binding or chunker");
        }
        let header = Header { suite, binding, chunking: None, total };
        return Ok(DataMap::new(header, Body::Inline(parse_inline(fields, total)?)));
    }
    let chunking = Chunking::from_parameters(chunker, parameters).ok_or("unknown or impossible chunker")?;
    let header = Header { suite, binding, chunking: Some(chunking), total };
    Ok(DataMap::new(header, Body::Tree(parse_tree(fields, level, total)?)))
}

fn parse_inline(fields: &mut Fields<'_>, total: u64) -> Result<Arc<Zeroizing<Vec<u8>>>, &'static str> {
    let count = fields.u32().ok_or(SHORT)?;
    if u64::from(count) != total || fields.0.len() as u64 != total {
        return Err("the inline data has another length than is said");
    }
    Ok(Arc::new(Zeroizing::new(fields.0.to_vec())))
}

fn parse_tree(fields: &mut Fields<'_>, level: u8, total: u64) -> Result<Arc<Node>, &'static str> {
    if level > MAX_LEVEL {
        return Err("more levels than there can be");
    }
    let entries = read_entries(fields).ok_or("the number of entries and the length disagree")?;
    if level > 0 && entries.len() < 2 {
        return Err("a level with one page");
    }
    let node = Node::new(level, 0, true, entries)?;
    if node.end() != total {
        return Err("the entries do not end where the data does");
    }
    Ok(Arc::new(node))
}
