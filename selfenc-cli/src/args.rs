//! The command line as a whole. Each command's own arguments are beside what it does, in `commands`.

use clap::{Args, Parser, Subcommand, ValueHint};

use crate::commands::{cat, completions, decrypt, encrypt, info, keygen, names, store, verify};
use crate::exit;
use crate::sizes::parse_size;

/// Encrypts files with keys made from the data itself, into chunks that deduplicate, in any store.
///
/// 'encrypt' cuts a file into encrypted chunks, puts them into a store, and writes a small data map. Whoever
/// holds the map and can reach the store gets the file back; the store alone tells nothing.
#[derive(Debug, Parser)]
#[command(name = "selfenc", version, after_help = EXAMPLES, after_long_help = long_help())]
pub(crate) struct Cli {
    /// Say nothing but failures
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Encrypt a file into a store and write its data map
    Encrypt(encrypt::Encrypt),
    /// Bring a file back from its data map and the store
    Decrypt(decrypt::Decrypt),
    /// Write a file, or a part of it, to standard output
    Cat(cat::Cat),
    /// Read and check everything of a file, and write nothing
    Verify(verify::Verify),
    /// Tell what a data map says; never prints keys
    Info(info::Info),
    /// Look after a store: list, stat, scrub, copy
    Store(store::Store),
    /// List the names under which maps are published in a store
    Names(names::Names),
    /// Remove a published name; the chunks stay
    RmName(names::RmName),
    /// Make a key file, or a secret file, of 32 random bytes
    Keygen(keygen::Keygen),
    /// Print completions for a shell
    Completions(completions::Completions),
}

const EXAMPLES: &str = "\
Examples:
  selfenc encrypt photo.jpg           into the default store; writes photo.jpg.selfenc
  selfenc decrypt photo.jpg.selfenc   brings it back as photo.jpg
  tar c ~/docs | selfenc encrypt - -o docs.selfenc --store file:/mnt/backup/chunks
  selfenc cat docs.selfenc --store file:/mnt/backup/chunks | tar t";

fn long_help() -> String {
    format!(
        "{EXAMPLES}\n\n{}\n\n\
         Environment:\n  \
         SELFENC_STORE    the store where no --store is given\n  \
         XDG_DATA_HOME    holds the default store, selfenc/store\n  \
         XDG_CONFIG_HOME  holds the default group secret, selfenc/group-secret\n  \
         RUST_LOG         what to log to standard error, for example selfenc_core=debug",
        exit::HELP
    )
}

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
