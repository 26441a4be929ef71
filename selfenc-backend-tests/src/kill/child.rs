//! The process that is to be killed: tasks that put, delete, flush and swap, and say what they begin and
//! what they were told is done.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use selfenc_core::store::{Backend, Expect, Result, Swap};
use tokio::task::JoinSet;

use super::model::{LOOSE, PINNED, TASKS, chunk, root_of, root_value};
use super::{CHILD, CHILD_SEED};
use crate::data::Rng;

/// Tells the child's lines from those of the test runner.
pub(super) const PREFIX: &str = "@kill ";

/// A child that nobody kills ends by itself, so that none is left behind.
const LIFETIME: Duration = Duration::from_secs(120);

/// If this process is a child of [`Kill::run`](super::Kill::run), works on the store until it is killed;
/// otherwise returns at once. To be called before anything else.
pub fn child_if_asked<F, Fut>(open: F)
where
    F: Fn(String) -> Fut,
    Fut: Future<Output = Result<Arc<dyn Backend>>>,
{
    let Ok(location) = std::env::var(CHILD) else { return };
    let seed = std::env::var(CHILD_SEED).ok().and_then(|seed| seed.parse().ok()).unwrap_or_default();
    let work = async {
        let store = open(location).await.map_err(|e| format!("it does not open: {e}"))?;
        say("ready");
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            tasks.spawn(Worker::new(Arc::clone(&store), task, seed).run());
        }
        match tokio::time::timeout(LIFETIME, tasks.join_next()).await {
            Ok(Some(Ok(ended))) => ended,
            Ok(Some(Err(panic))) => Err(format!("a task of the child panicked: {panic}")),
            _ => Err("nobody kills the child".to_owned()),
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    let ended = runtime.map_err(|e| format!("no runtime: {e}")).and_then(|runtime| runtime.block_on(work));
    say(&format!("wrong {}", ended.err().unwrap_or_default()));
    std::process::exit(1);
}

/// Writes a line on the pipe. If nobody reads it any more, the parent is gone, and so is the child.
fn say(line: &str) {
    let line = format!("{PREFIX}{line}\n");
    // In one piece: lines of several tasks must not mix.
    if std::io::stdout().lock().write_all(line.as_bytes()).is_err() {
        std::process::exit(1);
    }
}

/// One task, with chunks and a root of its own.
struct Worker {
    store: Arc<dyn Backend>,
    task: u64,
    rng: Rng,
    /// What it knows of its chunks from this life.
    known: HashMap<u64, bool>,
    swaps: u64,
}

impl Worker {
    fn new(store: Arc<dyn Backend>, task: u64, seed: u64) -> Self {
        Self { store, task, rng: Rng::new(seed ^ (task << 48)), known: HashMap::new(), swaps: seed }
    }

    async fn run(mut self) -> Result<(), String> {
        let capabilities = self.store.capabilities();
        loop {
            let n = self.rng.below(LOOSE / TASKS) * TASKS + self.task;
            let work = match self.rng.below(10) {
                0..=4 => self.put(n).await,
                5 | 6 if capabilities.deletes => self.delete(n).await,
                7 if capabilities.roots => self.publish().await,
                8 => self.flush().await,
                _ => self.look(n).await?,
            };
            work.map_err(|e| format!("an error in a life without faults: {e}"))?;
        }
    }

    async fn put(&mut self, n: u64) -> Result<()> {
        let x = chunk(n);
        say(&format!("begin put {n}"));
        self.store.put(x.id, x.data).await?;
        say(&format!("done put {n}"));
        self.known.insert(n, true);
        Ok(())
    }

    async fn delete(&mut self, n: u64) -> Result<()> {
        say(&format!("begin delete {n}"));
        self.store.delete(chunk(n).id).await?;
        say(&format!("done delete {n}"));
        self.known.insert(n, false);
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        say(&format!("begin flush {}", self.task));
        self.store.flush().await?;
        say(&format!("done flush {}", self.task));
        Ok(())
    }

    /// A chunk, a flush, and a root that names it.
    async fn publish(&mut self) -> Result<()> {
        let n = LOOSE + self.rng.below(PINNED / TASKS) * TASKS + self.task;
        self.put(n).await?;
        self.flush().await?;
        let (name, current) = (root_of(self.task), self.store.load(&root_of(self.task)).await?);
        self.swaps = self.swaps.wrapping_add(1);
        let (task, swap) = (self.task, self.swaps);
        say(&format!("begin swap {task} {swap} {n}"));
        let new = Bytes::from(root_value(swap, n));
        match self.store.swap(&name, Expect::from(current.as_ref()), Some(new)).await? {
            Swap::Done(_) => say(&format!("done swap {task} {swap} {n}")),
            Swap::Conflict(_) => say(&format!("wrong a conflict over root {task}, and nobody else swaps it")),
        }
        Ok(())
    }

    /// Reads a chunk: within a life, what was done shows at once.
    async fn look(&mut self, n: u64) -> Result<Result<()>, String> {
        let x = chunk(n);
        let found = match self.store.get(x.id).await {
            Ok(found) => found,
            Err(e) => return Ok(Err(e)),
        };
        match (&found, self.known.get(&n)) {
            (Some(data), _) if *data != x.data => Err(format!("chunk {n} reads back wrong")),
            (None, Some(true)) => Err(format!("chunk {n} was put and does not show")),
            (Some(_), Some(false)) => Err(format!("chunk {n} was deleted and still shows")),
            _ => Ok(Ok(())),
        }
    }
}
