use std::fmt;

/// The operations of a store, for those who count them or make them fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // each is the method of this name
#[non_exhaustive]
pub enum Op {
    Put,
    Get,
    Delete,
    List,
    Stat,
    Flush,
    PutMany,
    DeleteMany,
    Load,
    Swap,
    Names,
}

impl Op {
    /// Every operation, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::Put,
        Self::Get,
        Self::Delete,
        Self::List,
        Self::Stat,
        Self::Flush,
        Self::PutMany,
        Self::DeleteMany,
        Self::Load,
        Self::Swap,
        Self::Names,
    ];

    /// The method's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Stat => "stat",
            Self::Flush => "flush",
            Self::PutMany => "put_many",
            Self::DeleteMany => "delete_many",
            Self::Load => "load",
            Self::Swap => "swap",
            Self::Names => "names",
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
