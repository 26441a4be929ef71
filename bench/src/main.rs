//! selfenc and its peers in one run, on the same bytes, in turn. The method is in `docs/performance.md`.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr)] // tables, and how far it has come

mod end_to_end;
mod memory;
mod ours;
mod peer;
mod render;
mod report;
mod results;
mod stream;

use clap::{Parser, Subcommand};
use selfenc_bench::Result;

/// Compares selfenc with its peers. Without a command: `memory`.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    memory: memory::Memory,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Encryption and decryption in memory, against the crate self_encryption; prints tables
    Memory(memory::Memory),
    /// Everything: files against age, restic, borg and rclone, memory against self_encryption, the stages'
    /// ceiling; writes JSON
    EndToEnd(end_to_end::EndToEnd),
    /// A generated stream into a store that keeps nothing, for who watches memory and time
    Stream(stream::Stream),
    /// Tables and plots of docs/performance.md from that JSON
    Render(render::Render),
}

fn main() -> Result<()> {
    let args = Args::parse();
    match args.command.unwrap_or(Command::Memory(args.memory)) {
        Command::Memory(args) => memory::run(args),
        Command::EndToEnd(args) => end_to_end::run(&args),
        Command::Stream(args) => stream::run(&args),
        Command::Render(args) => render::run(&args),
    }
}
