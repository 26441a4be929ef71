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
use std::pin::pin;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use clap::Parser;
use tokio::runtime::{Builder, Runtime};

use crate::args::Cli;
use crate::corners::Corners;
use crate::exit::{Context, Failure, Result};
use crate::ui::Ui;

/// How long an ended run waits for requests in flight: long enough to remove temporaries, short enough
/// not to be felt when a read of the terminal, which nothing can wake, is among them.
const GRACE: Duration = Duration::from_millis(500);

/// Removing what a test stored may take longer than that. A signal that comes this long after the first ends
/// it; one that comes sooner is the same wish, for a terminal that closes sends two.
const PATIENCE: Duration = Duration::from_secs(1);

/// The exit code of a run whose terminal has gone. That happens once, so a second time asks for nothing more.
const HANGUP: u8 = 129;

/// Threads for files. With glibc each thread that allocates chunks keeps memory of its own: sixteen kept
/// twice the memory budget of a 4 GiB run, and read it no faster.
const FILE_THREADS: usize = 4;

/// The same for a command that only stores: its buffers are the engine's, which come back. As many as the
/// engine keeps requests in flight, each of which waits for the disk; with four, 1 GiB took 1.4 times as long.
const STORING_THREADS: usize = 16;

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
        runtime.max_blocking_threads(if cli.command.only_stores() { STORING_THREADS } else { FILE_THREADS });
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
        let mut signals = Signals::listen().context("cannot listen for signals")?;
        let mut first = None;
        let mut task = tokio::spawn(cli.command.run(ui, corners.clone()));
        let ended = tokio::select! {
            done = &mut task => done,
            code = signals.next() => {
                first = Some(Instant::now());
                // Dropping the command's future cancels it and removes its temporary files.
                task.abort();
                let _ = tokio::time::timeout(GRACE, task).await;
                Ok(Err(Failure::interrupted(code)))
            }
        };
        let mut late = None;
        let removed = {
            let mut closing = pin!(corners.close());
            loop {
                tokio::select! {
                    biased;
                    removed = &mut closing => break removed,
                    code = signals.next() => match first {
                        Some(since) if code != HANGUP && since.elapsed() > PATIENCE => {
                            break Err(corners.abandoned());
                        }
                        Some(_) => {}
                        None => {
                            first = Some(Instant::now());
                            late = Some(Failure::interrupted(code));
                        }
                    },
                }
            }
        };
        let result = ended.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
        let result = result.and(late.map_or(Ok(()), Err));
        match (result, removed) {
            (Err(failure), Err(left)) => Err(failure.and(left)),
            (result, removed) => result.and(removed),
        }
    });
    runtime.shutdown_timeout(GRACE);
    result
}

/// The signals that end a run, as exit codes.
#[cfg(unix)]
struct Signals {
    int: tokio::signal::unix::Signal,
    term: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let [int, term, hangup] = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        Ok(Self { int: signal(int)?, term: signal(term)?, hangup: signal(hangup)? })
    }

    async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.int.recv() => 130,
            _ = self.term.recv() => 143,
            _ = self.hangup.recv() => HANGUP,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    #[allow(clippy::unnecessary_wraps)]
    fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> u8 {
        if tokio::signal::ctrl_c().await.is_err() {
            // There will be none.
            std::future::pending::<()>().await;
        }
        130
    }
}

/// Crates of the AWS SDK that log bodies, names of objects or values of profiles when they are asked for all
/// they have.
const TALKATIVE: [&str; 9] = [
    "aws_config",
    "aws_runtime",
    "aws_sdk_s3",
    "aws_sdk_sso",
    "aws_sdk_ssooidc",
    "aws_sdk_sts",
    "aws_sigv4",
    "aws_smithy_http_client",
    "aws_smithy_runtime",
];

/// Logs what `RUST_LOG` asks for, but for what may hold secrets, and nothing without it.
fn log_to_stderr() {
    if let Ok(filter) = tracing_subscriber::EnvFilter::try_from_default_env() {
        let quiet = TALKATIVE.iter().filter_map(|name| format!("{name}=warn").parse().ok());
        let filter = quiet.fold(filter, tracing_subscriber::EnvFilter::add_directive);
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false).init();
    }
}
