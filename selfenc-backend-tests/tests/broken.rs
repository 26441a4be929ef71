//! The test of the tests: stores that are broken on purpose, each of which the named case must reject, and
//! the same store unbroken, which every case must accept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use selfenc_backend_tests::{CASES, Clause, Harness, Options, Outcome, async_trait, run_case};
use selfenc_core::store::{
    Backend, Capabilities, ChunkId, ChunkMeta, ChunkStore, Expect, PutOutcome, Result, Root, RootName,
    RootStore, RootVersion, Swap,
};
use selfenc_memory::MemoryStore;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The control.
    None,
    /// Every 100th put is acknowledged and forgotten.
    DropsPuts,
    /// What is longer than 64 KiB is cut there.
    TruncatesAt64KiB,
    /// A chunk of another length counts as present.
    KeepsWrongLength,
    /// `after` is listed once more.
    InclusiveAfter,
    /// The listing is in the order of the ids' last bytes.
    Unordered,
    /// Every put says `Inserted`.
    AlwaysInserted,
    /// Deleting what is absent is an error.
    DeleteAbsentFails,
    /// The disk is written where the executor runs.
    Blocks,
    /// A root's version is a hash of its value.
    VersionIsHash,
    /// `swap` looks and writes in two steps.
    SwapRaces,
    /// A dropped delete lands later.
    LateDeletes,
}

/// A memory store with one fault.
#[derive(Debug)]
struct Broken {
    inner: MemoryStore,
    fault: Fault,
    puts: AtomicU64,
}

#[derive(Debug)]
struct BrokenHarness(Fault);

#[async_trait]
impl Harness for BrokenHarness {
    async fn open(&self) -> Result<Arc<dyn Backend>> {
        Ok(Arc::new(Broken { inner: MemoryStore::new(), fault: self.0, puts: AtomicU64::new(0) }))
    }
}

#[async_trait]
impl ChunkStore for Broken {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put(&self, id: ChunkId, mut data: Bytes) -> Result<PutOutcome> {
        match self.fault {
            Fault::DropsPuts if self.puts.fetch_add(1, Ordering::Relaxed) % 100 == 99 => {
                return Ok(PutOutcome::Inserted);
            }
            Fault::TruncatesAt64KiB => data.truncate(64 << 10),
            Fault::KeepsWrongLength if self.inner.stat(id).await?.is_some() => {
                return Ok(PutOutcome::Present);
            }
            Fault::Blocks => std::thread::sleep(Duration::from_millis(data.len() as u64 >> 18)),
            _ => {}
        }
        let outcome = self.inner.put(id, data).await?;
        Ok(if self.fault == Fault::AlwaysInserted { PutOutcome::Inserted } else { outcome })
    }

    async fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        self.inner.get(id).await
    }

    async fn delete(&self, id: ChunkId) -> Result<()> {
        match self.fault {
            Fault::DeleteAbsentFails if self.inner.stat(id).await?.is_none() => {
                use selfenc_core::store::{Error, ErrorKind};
                Err(Error::new(ErrorKind::Other, "delete", "no such chunk").with_chunk(id))
            }
            Fault::LateDeletes => {
                let inner = self.inner.clone();
                let late = tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(3)).await;
                    inner.delete(id).await
                });
                late.await.expect("it does not panic")
            }
            _ => self.inner.delete(id).await,
        }
    }

    fn list(&self, after: Option<ChunkId>) -> BoxStream<'static, Result<ChunkMeta>> {
        let (inner, items) = (self.inner.clone(), self.inner.list(after));
        match (self.fault, after) {
            (Fault::InclusiveAfter, Some(after)) => {
                let first = async move { inner.stat(after).await.transpose() };
                futures::stream::once(first).filter_map(std::future::ready).chain(items).boxed()
            }
            (Fault::Unordered, _) => {
                let all = async move {
                    let mut all: Vec<_> = items.collect().await;
                    all.sort_by_key(|item| item.as_ref().ok().map(|meta: &ChunkMeta| meta.id.as_bytes()[31]));
                    futures::stream::iter(all)
                };
                futures::stream::once(all).flatten().boxed()
            }
            _ => items,
        }
    }

    async fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        self.inner.stat(id).await
    }
}

fn hashed(root: Root) -> Root {
    Root { version: RootVersion::new(root.value.clone()), ..root }
}

#[async_trait]
impl RootStore for Broken {
    async fn load(&self, name: &RootName) -> Result<Option<Root>> {
        let root = self.inner.load(name).await?;
        Ok(if self.fault == Fault::VersionIsHash { root.map(hashed) } else { root })
    }

    async fn swap(&self, name: &RootName, expect: Expect, new: Option<Bytes>) -> Result<Swap> {
        if !matches!(self.fault, Fault::VersionIsHash | Fault::SwapRaces) {
            return self.inner.swap(name, expect, new).await;
        }
        let current = self.load(name).await?;
        if !expect.matches(current.as_ref()) {
            return Ok(Swap::Conflict(current));
        }
        if self.fault == Fault::SwapRaces {
            tokio::task::yield_now().await;
        }
        let now = self.inner.load(name).await?;
        match self.inner.swap(name, Expect::from(now.as_ref()), new.clone()).await? {
            Swap::Done(Some(_)) if self.fault == Fault::VersionIsHash => {
                Ok(Swap::Done(new.map(RootVersion::new)))
            }
            swap => Ok(swap),
        }
    }

    fn names(&self) -> BoxStream<'static, Result<RootName>> {
        self.inner.names()
    }
}

fn run(fault: Fault, name: &str) -> Outcome {
    let (group, case) = name.split_once("::").expect("group::case");
    let case = CASES.iter().find(|c| c.group == group && c.name == case);
    run_case(case.unwrap_or_else(|| panic!("no case {name}")), &BrokenHarness(fault), &Options::new())
}

/// The case must reject the broken store for this clause, and accept the unbroken one.
fn rejects(name: &str, fault: Fault, clause: Clause) {
    match run(fault, name) {
        Err(failure) => {
            assert_eq!(failure.clause, clause, "{failure}");
            let line = failure.to_string();
            assert!(line.contains(&clause.to_string()) && line.contains(".rs:"), "{line}");
        }
        Ok(verdict) => panic!("{name} accepts a store that is broken by {fault:?}: {verdict:?}"),
    }
    if let Err(failure) = run(Fault::None, name) {
        panic!("{name} rejects a good store: {failure}");
    }
}

#[test]
fn lost_puts_are_noticed() {
    rejects("basic::thousand_small_chunks", Fault::DropsPuts, Clause::G2);
}

#[test]
fn truncation_is_noticed() {
    rejects("size::boundary_sizes", Fault::TruncatesAt64KiB, Clause::Bytes);
}

#[test]
fn a_chunk_of_another_length_must_be_healed() {
    rejects("put::present_of_other_length_is_replaced", Fault::KeepsWrongLength, Clause::Bytes);
}

#[test]
fn an_inclusive_after_is_noticed() {
    rejects("list::after_is_exclusive", Fault::InclusiveAfter, Clause::G7);
    rejects("list::resume_covers_everything_once", Fault::InclusiveAfter, Clause::G7);
}

#[test]
fn an_unordered_listing_is_noticed() {
    rejects("list::ordered", Fault::Unordered, Clause::G7);
}

#[test]
fn false_outcomes_are_noticed() {
    rejects("put::outcome_exact", Fault::AlwaysInserted, Clause::Honesty);
    rejects("put::outcome_never_falsely_inserted", Fault::AlwaysInserted, Clause::Honesty);
    rejects("put::fifty_identical_puts_all_ok", Fault::AlwaysInserted, Clause::Honesty);
}

#[test]
fn a_delete_that_minds_absence_is_noticed() {
    rejects("delete::absent_is_ok", Fault::DeleteAbsentFails, Clause::G3);
    rejects("batch::delete_many_with_absent_in_the_middle", Fault::DeleteAbsentFails, Clause::G3);
}

#[test]
fn blocking_the_executor_is_noticed() {
    rejects("concurrency::does_not_block_the_executor", Fault::Blocks, Clause::G9);
}

#[test]
fn versions_that_repeat_are_noticed() {
    rejects("roots::aba_is_detected", Fault::VersionIsHash, Clause::Roots);
    rejects("roots::same_bytes_new_version", Fault::VersionIsHash, Clause::Roots);
}

#[test]
fn a_swap_in_two_steps_is_noticed() {
    rejects("roots::one_winner_of_fifty_creates", Fault::SwapRaces, Clause::Roots);
    rejects("roots::ten_workers_hundred_increments", Fault::SwapRaces, Clause::Roots);
}

#[test]
fn deletes_that_land_late_are_noticed() {
    rejects("cancellation::dropped_delete_never_erases_a_later_put", Fault::LateDeletes, Clause::G6);
}

#[test]
fn names_of_cases_are_unique_and_each_runs_as_itself() {
    let mut names: Vec<_> = CASES.iter().map(|c| (c.group, c.name)).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    assert!(all >= 60, "{all} cases");
}
