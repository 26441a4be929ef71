/// The longest chunk a store takes unless it says otherwise: 72 MiB, above the engine's longest stored
/// chunk (64 MiB of data, and 4 MiB of room for encoding).
pub const DEFAULT_MAX_CHUNK_LEN: u64 = 72 << 20;

/// When an acknowledged `put` survives a crash of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Durability {
    /// Never: the store is gone with the process.
    Volatile,
    /// Once a later `flush` is `Ok`.
    OnFlush,
    /// Once the `put` itself is `Ok`.
    OnPut,
}

/// What a store promises beyond the guarantees that every store keeps. Constant for the life of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// When an acknowledged `put` survives a crash.
    pub durability: Durability,
    /// `put` answers exactly `Inserted` or `Present`; of many racing puts one is `Inserted`.
    pub exact_outcome: bool,
    /// Two openings of the same location, also by two processes, see each other.
    pub shared: bool,
    /// A dropped `delete` never erases a later `put` through the same handle (guarantee G6).
    pub drop_ordered: bool,
    /// `list` works.
    pub lists: bool,
    /// `delete` works.
    pub deletes: bool,
    /// The `RootStore` half works.
    pub roots: bool,
    /// The longest chunk that `put` takes, in bytes.
    pub max_chunk_len: u64,
}

impl Capabilities {
    /// Everything on, chunks up to [`DEFAULT_MAX_CHUNK_LEN`]; a backend switches off what it lacks.
    #[must_use]
    pub const fn new(durability: Durability) -> Self {
        Self {
            durability,
            exact_outcome: true,
            shared: true,
            drop_ordered: true,
            lists: true,
            deletes: true,
            roots: true,
            max_chunk_len: DEFAULT_MAX_CHUNK_LEN,
        }
    }

    /// The same, with `exact_outcome` as given.
    #[must_use]
    pub const fn with_exact_outcome(mut self, on: bool) -> Self {
        self.exact_outcome = on;
        self
    }

    /// The same, with `shared` as given.
    #[must_use]
    pub const fn with_shared(mut self, on: bool) -> Self {
        self.shared = on;
        self
    }

    /// The same, with `drop_ordered` as given.
    #[must_use]
    pub const fn with_drop_ordered(mut self, on: bool) -> Self {
        self.drop_ordered = on;
        self
    }

    /// The same, with `lists` as given.
    #[must_use]
    pub const fn with_lists(mut self, on: bool) -> Self {
        self.lists = on;
        self
    }

    /// The same, with `deletes` as given.
    #[must_use]
    pub const fn with_deletes(mut self, on: bool) -> Self {
        self.deletes = on;
        self
    }

    /// The same, with `roots` as given.
    #[must_use]
    pub const fn with_roots(mut self, on: bool) -> Self {
        self.roots = on;
        self
    }

    /// The same, with chunks of at most `bytes`.
    #[must_use]
    pub const fn with_max_chunk_len(mut self, bytes: u64) -> Self {
        self.max_chunk_len = bytes;
        self
    }
}
