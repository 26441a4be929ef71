//! One file per command: its arguments, and what it does.

pub(crate) mod cat;
pub(crate) mod completions;
pub(crate) mod decrypt;
pub(crate) mod encrypt;
pub(crate) mod info;
pub(crate) mod keygen;
pub(crate) mod names;
mod reading;
pub(crate) mod store;
mod store_copy;
mod store_scrub;
pub(crate) mod verify;

use crate::args::Command;
use crate::exit::Result;
use crate::ui::Ui;

/// Runs one command to its end.
pub(crate) async fn run(command: Command, ui: Ui) -> Result<()> {
    match command {
        Command::Encrypt(args) => encrypt::run(args, ui).await,
        Command::Decrypt(args) => decrypt::run(args, ui).await,
        Command::Cat(args) => cat::run(args, ui).await,
        Command::Verify(args) => verify::run(args, ui).await,
        Command::Info(args) => info::run(args).await,
        Command::Store(args) => store::run(args, ui).await,
        Command::Names(args) => names::list(args).await,
        Command::RmName(args) => names::remove(args, ui).await,
        Command::Keygen(args) => keygen::run(&args, ui),
        Command::Completions(args) => completions::run(&args),
    }
}
