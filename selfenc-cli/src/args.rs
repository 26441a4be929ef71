//! The command line as a whole. Each command's own arguments are beside what it does, in `commands`.

use clap::{CommandFactory, Parser, Subcommand};

use crate::commands::{cat, completions, convert, decrypt, encrypt, info, keygen, names, store, verify};
use crate::corners::Corners;
use crate::exit::{self, Result};
use crate::ui::Ui;

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
    /// Move a file that self_encryption wrote into the native format
    Convert(convert::Convert),
    /// Tell what a data map says; never prints keys
    Info(info::Info),
    /// Look after a store: list, stat, scrub, copy, test, bench
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

impl Command {
    /// Runs the command to its end.
    ///
    /// What is in `corners` when it ends is removed then.
    pub(crate) async fn run(self, ui: Ui, corners: Corners) -> Result<()> {
        match self {
            Self::Encrypt(args) => encrypt::run(args, ui).await,
            Self::Decrypt(args) => decrypt::run(args, ui).await,
            Self::Cat(args) => cat::run(args, ui).await,
            Self::Verify(args) => verify::run(args, ui).await,
            Self::Convert(args) => convert::run(args, ui).await,
            Self::Info(args) => info::run(args).await,
            Self::Store(args) => store::run(args, ui, corners).await,
            Self::Names(args) => names::list(args).await,
            Self::RmName(args) => names::remove(args, ui).await,
            Self::Keygen(args) => keygen::run(&args, ui),
            Self::Completions(args) => completions::run(&args, Cli::command()),
        }
    }

    /// Whether it drives a store as hard as it can.
    pub(crate) fn strains_the_store(&self) -> bool {
        matches!(self, Self::Store(args) if args.strains_it())
    }

    /// Whether it reads no chunk.
    pub(crate) fn only_stores(&self) -> bool {
        matches!(self, Self::Encrypt(_))
    }
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
