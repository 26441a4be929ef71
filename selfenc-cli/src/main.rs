//! The `selfenc` command: encrypts files into a store of chunks and brings them back.
#![forbid(unsafe_code)]

mod args;
mod commands;
mod corners;
mod exit;
mod folders;
mod maps;
mod output;
mod progress;
mod resources;
mod secrets;
mod sizes;
mod stores;
mod text;
mod ui;

use std::io;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use clap::Parser;
use tokio::runtime::{Builder, Runtime};

use crate::args::Cli;
use crate::corners::Corners;
use crate::exit::{Context, Failure, Result};
use crate::ui::Ui;

/// How long an ended run waits for requests in flight: long enough to remove temporaries, short enough
/// not to be felt when a read of the terminal, which nothing can wake, is among them.
const GRACE: Duration = Duration::from_millis(500);

/// Threads for files. With glibc each thread that allocates chunks keeps memory of its own: sixteen kept
/// twice the memory budget of a 4 GiB run, and read it no faster.
const FILE_THREADS: usize = 4;

/// Threads for tasks when a store is tested, at least: some cases keep one busy and ask another to go on.
const TEST_THREADS: usize = 4;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr();
    let ui = Ui::new(cli.quiet);
    let mut runtime = Builder::new_multi_thread();
    if cli.command.strains_the_store() {
        runtime.worker_threads(available_parallelism().map_or(TEST_THREADS, |n| n.get().max(TEST_THREADS)));
    } else {
        runtime.max_blocking_threads(FILE_THREADS);
    }
    let result = match runtime.enable_all().build() {
        Ok(runtime) => run(runtime, cli, ui),
        Err(e) => Err(e).context("cannot start the runtime"),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Runs the command in a task of its own, so that a signal is seen whatever the command waits for.
fn run(runtime: Runtime, cli: Cli, ui: Ui) -> Result<()> {
    let result = runtime.block_on(async {
        let corners = Corners::default();
        let mut task = tokio::spawn(cli.command.run(ui, corners.clone()));
        let ended = tokio::select! {
            done = &mut task => done,
            failure = interruption() => {
                // Dropping the command's future cancels it and removes its temporary files.
                task.abort();
                let _ = tokio::time::timeout(GRACE, task).await;
                Ok(Err(failure))
            }
        };
        // Removing what a test stored may take longer; a second signal ends it.
        let removed = tokio::select! {
            removed = corners.close() => removed,
            failure = interruption() => Err(failure.and(corners.abandoned())),
        };
        let result = ended.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
        match (result, removed) {
            (Err(failure), Err(left)) => Err(failure.and(left)),
            (result, removed) => result.and(removed),
        }
    });
    runtime.shutdown_timeout(GRACE);
    result
}

#[cfg(unix)]
async fn interruption() -> Failure {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = || {
        let [int, term, hangup] = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        io::Result::Ok((signal(int)?, signal(term)?, signal(hangup)?))
    };
    match listen() {
        Err(e) => Failure::io("cannot listen for signals", &e),
        Ok((mut int, mut term, mut hangup)) => tokio::select! {
            _ = int.recv() => Failure::interrupted(130),
            _ = term.recv() => Failure::interrupted(143),
            _ = hangup.recv() => Failure::interrupted(129),
        },
    }
}

#[cfg(not(unix))]
async fn interruption() -> Failure {
    match tokio::signal::ctrl_c().await {
        Ok(()) => Failure::interrupted(130),
        Err(e) => Failure::io("cannot listen for signals", &e),
    }
}

/// Logs what `RUST_LOG` asks for, and nothing without it.
fn log_to_stderr() {
    if let Ok(filter) = tracing_subscriber::EnvFilter::try_from_default_env() {
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false).init();
    }
}
