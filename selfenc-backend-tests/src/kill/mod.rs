//! Real crashes: a child process works on a store and acknowledges on a pipe, is killed with `SIGKILL` at a
//! random moment, and what it was told must hold. For stores that a second process can open.
//!
//! The child is the test's own binary, run again: so the test calls [`child_if_asked`] before all else.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use selfenc_backend_tests::kill::{Kill, child_if_asked};
//! use selfenc_core::store::{Backend, Result};
//! # async fn open_or_create(location: String) -> Result<Arc<dyn Backend>> {
//! #     Ok(Arc::new(selfenc_memory::MemoryStore::new()))
//! # }
//!
//! #[test]
//! fn killed_at_random() {
//!     child_if_asked(open_or_create);
//!     let location = std::env::temp_dir().join("killed").display().to_string();
//!     let kill = Kill::from_env("killed_at_random", location).unwrap();
//!     println!("{}", kill.run(open_or_create).unwrap());
//! }
//! ```
//!
//! Later rounds go on with the store that earlier ones left, so each life meets the litter of those before.

mod child;
mod model;

use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use selfenc_core::store::{Backend, Durability, Result};

use crate::data::Rng;
use crate::{Options, Scale};

pub use child::child_if_asked;
use model::Model;

/// The location that the child works on.
const CHILD: &str = "SELFENC_KILL_CHILD";
/// Where the child's chance comes from.
const CHILD_SEED: &str = "SELFENC_KILL_SEED";

/// A child, the word that it has opened the store, and, at its end, its lines.
type Running = (Child, Receiver<()>, JoinHandle<Vec<String>>);

/// How long a child may take to open the store before it is taken to hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// Rounds of killing; see the [module](self).
pub struct Kill {
    test: String,
    location: String,
    rounds: u64,
    seed: u64,
    open_limit: Duration,
    temporaries: Option<Box<dyn Fn() -> u64>>,
}

impl Kill {
    /// As many rounds as `SELFENC_SUITE` asks for (quick 10, full 200, soak 1000), with the seed of
    /// `SELFENC_SEED`. `test` is the full name of the calling `#[test]`, as the test runner prints it;
    /// `location` is what its `open` is given, and is new.
    ///
    /// # Errors
    /// If one of the variables is set to something else than a scale or a number.
    pub fn from_env(test: impl Into<String>, location: impl Into<String>) -> Result<Self, String> {
        let options = Options::from_env()?;
        let rounds = match options.scale {
            Scale::Quick => 10,
            Scale::Full => 200,
            Scale::Soak => 1000,
        };
        Ok(Self {
            test: test.into(),
            location: location.into(),
            rounds,
            seed: options.seed,
            open_limit: Duration::from_secs(1),
            temporaries: None,
        })
    }

    /// The same, with so many rounds.
    #[must_use]
    pub fn with_rounds(mut self, rounds: u64) -> Self {
        self.rounds = rounds;
        self
    }

    /// The same; `count` counts the temporaries in the location, of which none may be left once the store
    /// was opened again.
    #[must_use]
    pub fn with_temporaries(mut self, count: impl Fn() -> u64 + 'static) -> Self {
        self.temporaries = Some(Box::new(count));
        self
    }

    /// The same; opening after a kill may take this long instead of a second. One opening in twenty may be
    /// slower, for the machine may be busy.
    #[must_use]
    pub fn with_open_limit(mut self, limit: Duration) -> Self {
        self.open_limit = limit;
        self
    }

    /// Does it. `open` opens the store at the location, and makes it if it is not there.
    ///
    /// # Errors
    /// What the store did wrong, with the round and the seed.
    pub fn run<F, Fut>(&self, open: F) -> Result<Summary, String>
    where
        F: Fn(String) -> Fut,
        Fut: Future<Output = Result<Arc<dyn Backend>>>,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|e| format!("no runtime: {e}"))?;
        let (mut model, mut rng) = (Model::default(), Rng::new(self.seed));
        let mut summary = Summary { rounds: self.rounds, acknowledged: 0, slowest_open: Duration::ZERO };
        let mut slow = 0;
        runtime.block_on(self.look(&open, &mut model))?;
        for round in 0..self.rounds {
            let context = |e: String| {
                format!("round {round}: {e}; to see it again, more or less: SELFENC_SEED={}", self.seed)
            };
            let lines = self.live(&mut rng).map_err(context)?;
            summary.acknowledged += model.follow(&lines).map_err(context)?;
            let took = runtime.block_on(self.look(&open, &mut model)).map_err(context)?;
            summary.slowest_open = summary.slowest_open.max(took);
            slow += u64::from(took > self.open_limit);
            if slow > 1 + self.rounds / 20 {
                return Err(context(format!("{slow} openings took longer than {:?}", self.open_limit)));
            }
        }
        if self.rounds > 0 && summary.acknowledged == 0 {
            return Err("no child was told that anything is done, so nothing was tried".to_owned());
        }
        Ok(summary)
    }

    /// Opens the store and compares it with the model; how long the opening took.
    async fn look<F, Fut>(&self, open: &F, model: &mut Model) -> Result<Duration, String>
    where
        F: Fn(String) -> Fut,
        Fut: Future<Output = Result<Arc<dyn Backend>>>,
    {
        let start = Instant::now();
        let store = open(self.location.clone()).await.map_err(|e| format!("it does not open: {e}"))?;
        let took = start.elapsed();
        let left = self.temporaries.as_ref().map_or(0, |count| count());
        if left > 0 {
            return Err(format!("{left} temporaries are left after opening"));
        }
        if store.capabilities().durability == Durability::Volatile {
            return Err("a Volatile store keeps nothing for another process".to_owned());
        }
        model.on_put = store.capabilities().durability == Durability::OnPut;
        model.check(&*store).await?;
        Ok(took)
    }

    /// One life of a child; the lines that it wrote.
    fn live(&self, rng: &mut Rng) -> Result<Vec<String>, String> {
        let (mut child, lines, reader) = self.spawn(rng.next())?;
        // Some die while they open the store, or before.
        let (in_opening, wait) = (rng.below(4) == 0, rng.below(1 << 20));
        let is_ready = in_opening || lines.recv_timeout(PATIENCE).is_ok();
        std::thread::sleep(Duration::from_micros(if in_opening { wait / 32 } else { wait / 6 }));
        // If it has ended by itself there is nothing to kill; that is found out below.
        let _ = child.kill();
        let status = child.wait().map_err(|e| format!("cannot wait for the child: {e}"))?;
        let lines = reader.join().map_err(|_| "the reader of the pipe panicked".to_owned())?;
        if let Some(problem) = lines.iter().find_map(|line| line.strip_prefix("wrong ")) {
            return Err(problem.to_owned());
        }
        if !is_ready || !was_killed(status) {
            return Err(format!(
                "the child ended by itself ({status}); does a test named {} call child_if_asked first?",
                self.test
            ));
        }
        Ok(lines)
    }

    fn spawn(&self, seed: u64) -> Result<Running, String> {
        let binary = std::env::current_exe().map_err(|e| format!("cannot find the test's binary: {e}"))?;
        let child = Command::new(binary)
            .args([&self.test, "--exact", "--nocapture", "--include-ignored", "--test-threads=1"])
            .env(CHILD, &self.location)
            .env(CHILD_SEED, seed.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.map_err(|e| format!("cannot start a child: {e}"))?;
        let pipe = child.stdout.take().ok_or("the child has no pipe")?;
        let (ready, is_ready) = channel();
        let reader = std::thread::spawn(move || {
            let (mut pipe, mut lines) = (BufReader::new(pipe), Vec::new());
            let mut line = String::new();
            // A line without its end was cut off by the kill.
            while pipe.read_line(&mut line).is_ok_and(|_| line.ends_with('\n')) {
                // The test runner may have left a line of its own unfinished before it.
                if let Some((_, said)) = line.trim_end().split_once(child::PREFIX) {
                    if said == "ready" {
                        // Nobody waits for it if the child is to die early.
                        let _ = ready.send(());
                    }
                    lines.push(said.to_owned());
                }
                line.clear();
            }
            lines
        });
        Ok((child, is_ready, reader))
    }
}

/// Whether it died of our signal, and not of one of its own making, such as an abort.
fn was_killed(status: ExitStatus) -> bool {
    #[cfg(unix)]
    return std::os::unix::process::ExitStatusExt::signal(&status) == Some(9);
    #[cfg(not(unix))]
    return !status.success();
}

impl fmt::Debug for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Kill");
        out.field("test", &self.test).field("location", &self.location);
        out.field("rounds", &self.rounds).field("seed", &self.seed).finish_non_exhaustive()
    }
}

/// What was survived.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// How many children were killed.
    pub rounds: u64,
    /// How many puts, deletes, flushes and swaps they were told to be done.
    pub acknowledged: u64,
    /// The longest time that opening the store took after a kill.
    pub slowest_open: Duration,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, acknowledged, slowest_open } = self;
        write!(f, "{rounds} kills, {acknowledged} acknowledgements kept, slowest opening {slowest_open:?}")
    }
}
