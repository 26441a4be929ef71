use std::time::SystemTime;

/// Where a [`KeyStore`](super::KeyStore) gets the time from. A closure is one.
///
/// It may go backwards: see [`KeyStore::with_clock`](super::KeyStore::with_clock).
pub trait Clock: Send + Sync + 'static {
    /// The time of day.
    fn now(&self) -> SystemTime;
}

impl<F: Fn() -> SystemTime + Send + Sync + 'static> Clock for F {
    fn now(&self) -> SystemTime {
        self()
    }
}
