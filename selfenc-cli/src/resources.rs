use clap::{Args, ValueHint};

use crate::sizes::parse_size;

/// What a run may use of the machine.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Resources {
    /// Memory for everything in flight, for example 64M
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "256M", value_hint = ValueHint::Other)]
    pub(crate) memory: u64,

    /// Threads that encrypt or decrypt; 0 takes all cores
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) threads: usize,
}

impl Resources {
    /// These limits in the engine's configuration.
    pub(crate) fn apply(self, config: selfenc::EncryptionConfig) -> selfenc::EncryptionConfig {
        config.with_memory_budget(self.memory).with_threads(self.threads)
    }
}
