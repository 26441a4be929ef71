/// The conditional writes that a service has, and keeps. Only trying tells: some ignore conditions and say
/// that all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// A write that is to create refuses what is there.
    pub create: bool,
    /// A write that is to update refuses what has changed.
    pub update: bool,
}

impl Conditions {
    /// None at all.
    pub const NONE: Self = Self { create: false, update: false };

    /// Whether roots can stand on them.
    #[must_use]
    pub const fn roots(self) -> bool {
        self.create && self.update
    }
}
