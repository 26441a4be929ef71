//! The extension traits, the registry, and the adapter for engines that block.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)] // in a test, a panic is the report

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::TryStreamExt;
use selfenc_core::async_trait;
use selfenc_core::store::{
    Backend, BackendExt, Blocking, BlockingEngine, Capabilities, ChunkId, ChunkMeta, ChunkStore,
    ChunkStoreExt, Durability, Error, ErrorKind, Expect, OpenMode, PutOutcome, Registry, Result, Root,
    RootName, RootStore, RootStoreExt, RootVersion, StoreFactory, StoreInfo, StoreUrl, Swap,
};

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// A blocking engine in memory that is as slow as it is told, and may answer a swap with an error.
#[derive(Debug, Default)]
struct Slow {
    chunks: Mutex<BTreeMap<ChunkId, Bytes>>,
    roots: Mutex<BTreeMap<RootName, (u64, Bytes)>>,
    delay: Duration,
    /// What the next call waits for.
    held: Mutex<Option<mpsc::Receiver<()>>>,
    /// Calls wait until so many have run at once.
    company: AtomicUsize,
    running: AtomicUsize,
    most_running: AtomicUsize,
    versions: AtomicUsize,
    log: Mutex<Vec<&'static str>>,
    /// Swaps that happen and still answer with a transient error.
    lost_replies: AtomicUsize,
    /// Whether it puts many chunks in one call.
    together: bool,
    /// And how many bytes of those that wait.
    group_bytes: usize,
}

impl Slow {
    fn wait(&self, op: &'static str) {
        let now = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_running.fetch_max(now, Ordering::SeqCst);
        let held = self.held.lock().unwrap().take();
        if let Some(held) = held {
            held.recv_timeout(LONG).expect("it is told to go on");
        }
        let start = Instant::now();
        while self.most_running.load(Ordering::SeqCst) < self.company.load(Ordering::SeqCst) {
            if start.elapsed() > LONG {
                // Nor need those after it wait for what does not come.
                self.company.store(0, Ordering::SeqCst);
            }
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(self.delay);
        self.running.fetch_sub(1, Ordering::SeqCst);
        self.log.lock().unwrap().push(op);
    }

    /// The next call waits in the engine until it is told to go on.
    fn hold(&self) -> mpsc::Sender<()> {
        let (go_on, held) = mpsc::channel();
        *self.held.lock().unwrap() = Some(held);
        go_on
    }

    fn root(&self, name: &RootName) -> Option<Root> {
        let roots = self.roots.lock().unwrap();
        roots.get(name).map(|(version, value)| Root {
            value: value.clone(),
            version: RootVersion::new(version.to_le_bytes().to_vec()),
        })
    }
}

impl BlockingEngine for Slow {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Durability::Volatile).with_max_chunk_len(1000)
    }
    fn info(&self) -> StoreInfo {
        StoreInfo::backend("slow", "x")
    }
    fn put(&self, id: ChunkId, data: &Bytes) -> Result<PutOutcome> {
        self.wait("put");
        assert!(data != "panic", "on purpose");
        let before = self.chunks.lock().unwrap().insert(id, data.clone());
        Ok(if before.is_some() { PutOutcome::Present } else { PutOutcome::Inserted })
    }
    fn put_many(&self, chunks: &[(ChunkId, Bytes)]) -> Option<Vec<Result<PutOutcome>>> {
        self.together.then(|| {
            self.log.lock().unwrap().push("put_many");
            chunks.iter().map(|(id, data)| self.put(*id, data)).collect()
        })
    }
    fn group_bytes(&self) -> usize {
        self.group_bytes
    }
    fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
        self.wait("get");
        Ok(self.chunks.lock().unwrap().get(&id).cloned())
    }
    fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
        Ok(self.chunks.lock().unwrap().get(&id).map(|data| ChunkMeta { id, len: data.len() as u64 }))
    }
    fn delete(&self, id: ChunkId) -> Result<()> {
        self.wait("delete");
        self.chunks.lock().unwrap().remove(&id);
        Ok(())
    }
    fn page(&self, after: Option<ChunkId>) -> Result<Vec<ChunkMeta>> {
        let chunks = self.chunks.lock().unwrap();
        let after = chunks.iter().filter(|(id, _)| Some(**id) > after);
        Ok(after.take(2).map(|(id, data)| ChunkMeta { id: *id, len: data.len() as u64 }).collect())
    }
    fn flush(&self) -> Result<()> {
        self.wait("flush");
        Ok(())
    }
    fn load(&self, name: &RootName) -> Result<Option<Root>> {
        Ok(self.root(name))
    }
    fn swap(&self, name: &RootName, expect: &Expect, new: Option<Bytes>) -> Result<Swap> {
        self.wait("swap");
        let current = self.root(name);
        if !expect.matches(current.as_ref()) {
            return Ok(Swap::Conflict(current));
        }
        let version = self.versions.fetch_add(1, Ordering::SeqCst) as u64;
        let mut roots = self.roots.lock().unwrap();
        match new {
            Some(value) => drop(roots.insert(name.clone(), (version, value))),
            None => drop(roots.remove(name)),
        }
        drop(roots);
        if self.lost_replies.load(Ordering::SeqCst) > 0 {
            self.lost_replies.fetch_sub(1, Ordering::SeqCst);
            return Err(Error::new(ErrorKind::Timeout, "swap", "the reply was lost"));
        }
        Ok(Swap::Done(self.root(name).map(|root| root.version)))
    }
    fn names(&self) -> Result<Vec<RootName>> {
        Ok(self.roots.lock().unwrap().keys().cloned().collect())
    }
}

fn id(byte: u8) -> ChunkId {
    ChunkId::from_bytes([byte; 32])
}

fn slow(millis: u64) -> Blocking<Slow> {
    Blocking::new(Slow { delay: Duration::from_millis(millis), ..Slow::default() })
}

/// Puts that wait are made together, so many bytes at once.
fn grouped(group_bytes: usize) -> Blocking<Slow> {
    Blocking::new(Slow { together: true, group_bytes, ..Slow::default() })
}

/// Waits until a call runs in the engine.
async fn begun(store: &Blocking<Slow>) {
    let begun = async {
        while store.engine().running.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LONG, begun).await.expect("a call begins");
}

/// Tells a held call to go on, after a while in which others may do what they should not.
async fn later(go_on: mpsc::Sender<()>) {
    tokio::time::sleep(Duration::from_millis(50)).await;
    go_on.send(()).unwrap();
}

#[tokio::test]
async fn a_dropped_delete_never_erases_a_later_put() {
    let store = slow(0);
    store.put(id(1), Bytes::from_static(b"old")).await.unwrap();
    let go_on = store.engine().hold();
    tokio::select! {
        deleted = store.delete(id(1)) => panic!("it is not held: {deleted:?}"),
        () = begun(&store) => {}
    }
    // It was dropped while it ran.
    let (put, ()) = tokio::join!(store.put(id(1), Bytes::from_static(b"new")), later(go_on));
    put.unwrap();
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(store.get(id(1)).await.unwrap().unwrap(), "new");
    assert_eq!(*store.engine().log.lock().unwrap(), ["put", "delete", "put", "get"]);
}

#[tokio::test]
async fn writes_of_one_id_queue_and_others_do_not() {
    let store = slow(20);
    let same = (0..5).map(|_| store.put(id(1), Bytes::new()));
    futures::future::try_join_all(same).await.unwrap();
    assert_eq!(store.engine().most_running.load(Ordering::SeqCst), 1);
    store.engine().company.store(6, Ordering::SeqCst);
    let different = (0..20).map(|n| store.put(id(n), Bytes::new()));
    futures::future::try_join_all(different).await.unwrap();
    assert!(store.engine().most_running.load(Ordering::SeqCst) > 5);
}

#[tokio::test]
async fn an_executor_of_one_thread_is_not_blocked() {
    let store = slow(0);
    let go_on = store.engine().hold();
    // The put ends only if this goes on while it runs.
    let beside = async {
        begun(&store).await;
        go_on.send(()).unwrap();
    };
    let (put, ()) = tokio::join!(store.put(id(1), Bytes::new()), beside);
    put.unwrap();
}

#[tokio::test]
async fn threads_are_limited_and_nothing_deadlocks() {
    let store = slow(2);
    let many = (0..500u32).map(|n| {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&(n % 50).to_le_bytes());
        store.put(ChunkId::from_bytes(bytes), Bytes::new())
    });
    futures::future::try_join_all(many).await.unwrap();
    assert!(store.engine().most_running.load(Ordering::SeqCst) <= 64);
    assert_eq!(store.count().await.unwrap(), 50);
}

#[tokio::test]
async fn requests_that_nobody_polls_stop_nobody() {
    use futures::StreamExt;
    let store = slow(1);
    store.put(id(1), Bytes::new()).await.unwrap();
    // Far more reads than there are threads, and puts of one id, of which only the first is waited for.
    let mut reads = futures::stream::iter(0..400).map(|_| store.get(id(1))).buffered(400);
    let mut puts = futures::stream::iter(0..400).map(|_| store.put(id(2), Bytes::new())).buffered(400);
    reads.next().await.unwrap().unwrap();
    puts.next().await.unwrap().unwrap();
    let put = tokio::time::timeout(2 * LONG, store.put(id(2), Bytes::from_static(b"x")));
    put.await.expect("it does not wait for what nobody polls").unwrap();
    drop((reads, puts));
}

#[tokio::test]
async fn a_call_that_was_dropped_before_it_began_never_happens() {
    for store in [slow(0), grouped(1000)] {
        never_happens_if_dropped(&store).await;
    }
}

async fn never_happens_if_dropped(store: &Blocking<Slow>) {
    let go_on = store.engine().hold();
    let first = store.put(id(1), Bytes::from_static(b"first"));
    let second = async {
        begun(store).await;
        let second = store.put(id(1), Bytes::from_static(b"second"));
        let second = tokio::time::timeout(Duration::from_millis(5), second).await;
        assert!(second.is_err(), "it did not wait for the first: {second:?}");
        if store.engine().group_bytes > 0 {
            // It waits for no lock, and for the thread that puts for all.
            let third = store.put(id(2), Bytes::from_static(b"third"));
            tokio::time::timeout(Duration::from_millis(5), third).await.unwrap_err();
        }
        go_on.send(()).unwrap();
    };
    let (first, ()) = tokio::join!(first, second);
    first.unwrap();
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(store.get(id(1)).await.unwrap().unwrap(), "first");
    assert_eq!(store.get(id(2)).await.unwrap(), None);
}

#[tokio::test]
async fn puts_that_wait_are_made_together_as_far_as_they_fit() {
    let store = grouped(10);
    let go_on = store.engine().hold();
    let first = store.put(id(0), Bytes::from_static(b"first"));
    let others = async {
        begun(&store).await;
        // 4 and 4 fit, then comes one that is too long for company, then 4, 6 and 0.
        let lens = [4, 4, 30, 4, 6, 0];
        let puts = (1..).zip(lens).map(|(n, len)| store.put(id(n), Bytes::from(vec![n; len])));
        futures::future::try_join_all(puts).await
    };
    let (first, others, ()) = tokio::join!(first, others, later(go_on));
    assert_eq!(first.unwrap(), PutOutcome::Inserted);
    assert_eq!(others.unwrap(), [PutOutcome::Inserted; 6]);
    let log = store.engine().log.lock().unwrap().join(" ");
    assert_eq!(log, "put_many put put_many put put put_many put put_many put put put");
    assert_eq!(store.engine().most_running.load(Ordering::SeqCst), 1);
    assert_eq!(store.put(id(3), Bytes::new()).await.unwrap(), PutOutcome::Present);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_of_many_that_put_together_has_its_own_answer() {
    let store = Arc::new(grouped(40));
    let tasks = (0..8u8).map(|task| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for n in 0..100 {
                let mut bytes = [task; 32];
                bytes[0] = n;
                let data = Bytes::from(vec![n; usize::from(n % 23)]);
                let id = ChunkId::from_bytes(bytes);
                assert_eq!(store.put(id, data.clone()).await.unwrap(), PutOutcome::Inserted);
                assert_eq!(store.put(id, data.clone()).await.unwrap(), PutOutcome::Present);
                assert_eq!(store.get(id).await.unwrap(), Some(data));
            }
        })
    });
    tokio::time::timeout(LONG, futures::future::try_join_all(tasks)).await.expect("all are led").unwrap();
}

#[tokio::test]
async fn who_puts_together_with_one_that_panics_is_told_and_the_next_is_put() {
    let store = grouped(1000);
    let go_on = store.engine().hold();
    let first = store.put(id(1), Bytes::from_static(b"panic"));
    let second = async {
        begun(&store).await;
        store.put(id(2), Bytes::from_static(b"second")).await
    };
    let (first, second, ()) = tokio::join!(first, second, later(go_on));
    for lost in [first, second] {
        assert!(lost.unwrap_err().to_string().contains("panicked"));
    }
    store.put(id(1), Bytes::from_static(b"third")).await.unwrap();
    assert_eq!((store.count().await.unwrap(), store.get(id(2)).await.unwrap()), (1, None));
}

#[tokio::test]
async fn pages_join_into_one_ascending_list() {
    let store = slow(0);
    for n in [5, 1, 9, 3, 7] {
        store.put(id(n), Bytes::from(vec![0; n.into()])).await.unwrap();
    }
    let all: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert_eq!(all.iter().map(|meta| meta.len).collect::<Vec<_>>(), [1, 3, 5, 7, 9]);
    let rest: Vec<_> = store.list(Some(id(4))).try_collect().await.unwrap();
    assert_eq!(rest, all[2..]);
}

#[tokio::test]
async fn a_chunk_over_the_limit_never_reaches_the_engine() {
    let store = slow(0);
    let error = store.put(id(1), Bytes::from(vec![0; 1001])).await.unwrap_err();
    assert_eq!((error.kind(), error.chunk()), (ErrorKind::ChunkTooLarge, Some(id(1))));
    assert!(store.engine().log.lock().unwrap().is_empty());
}

#[tokio::test]
async fn many_are_put_in_order_of_the_input_each_with_its_own_answer() {
    for together in [false, true] {
        let store = Blocking::new(Slow { together, ..Slow::default() });
        store.put(id(1), Bytes::from_static(b"old")).await.unwrap();
        let mut chunks: Vec<_> = (0..150).map(|n| (id(n), Bytes::from(vec![n; 3]))).collect();
        chunks[70].1 = Bytes::from(vec![0; 1001]);
        chunks.push((id(2), Bytes::from_static(b"again")));
        let answers = store.put_many(chunks).await;
        assert_eq!(answers.len(), 151);
        for (n, answer) in answers.iter().enumerate() {
            match (n, answer) {
                (70, Err(e)) => {
                    assert_eq!((e.kind(), e.chunk()), (ErrorKind::ChunkTooLarge, Some(id(70))));
                }
                (1 | 150, Ok(PutOutcome::Present)) => {}
                (n, Ok(PutOutcome::Inserted)) => assert!(![1, 70, 150].contains(&n)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(store.count().await.unwrap(), 149);
        assert_eq!(store.get(id(2)).await.unwrap().unwrap(), "again");
        let calls = store.engine().log.lock().unwrap().iter().filter(|op| **op == "put_many").count();
        assert_eq!(calls, if together { 3 } else { 0 });
        assert!(store.put_many(Vec::new()).await.is_empty());
    }
}

#[tokio::test]
async fn batches_that_share_ids_in_any_order_never_overlap_and_never_lock_each_other_out() {
    let engine = Slow { together: true, delay: Duration::from_millis(1), ..Slow::default() };
    let store = Blocking::new(engine);
    let ids = [1, 2, 3, 4];
    let batches = (0..40).map(|turn| {
        let mut ids = ids;
        ids.rotate_left(turn % 4);
        if turn % 2 == 0 {
            ids.reverse();
        }
        store.put_many(ids.map(|n| (id(n), Bytes::from(vec![n]))).to_vec())
    });
    let all = tokio::time::timeout(LONG, futures::future::join_all(batches)).await;
    assert!(all.unwrap().iter().flatten().all(Result::is_ok));
    assert_eq!(store.engine().most_running.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_dropped_batch_never_undoes_a_later_delete() {
    let store = Blocking::new(Slow { together: true, ..Slow::default() });
    let go_on = store.engine().hold();
    tokio::select! {
        put = store.put_many((0..3).map(|n| (id(n), Bytes::from_static(b"late"))).collect()) => {
            panic!("it is not held: {put:?}");
        }
        () = begun(&store) => {}
    }
    // It was dropped while it ran.
    let (deleted, ()) = tokio::join!(store.delete(id(2)), later(go_on));
    deleted.unwrap();
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(store.get(id(2)).await.unwrap(), None);
    assert_eq!(store.get(id(1)).await.unwrap().unwrap(), "late");
}

#[tokio::test]
async fn the_extension_of_chunks() {
    let (a, b) = (slow(0), slow(0));
    for n in 0..20 {
        a.put(id(n), Bytes::from(vec![n; 10])).await.unwrap();
    }
    b.put(id(3), Bytes::from(vec![3; 10])).await.unwrap();
    assert!(a.contains(id(1)).await.unwrap() && !a.contains(id(99)).await.unwrap());
    let missing = a.get_required(id(99)).await.unwrap_err();
    assert_eq!((missing.kind(), missing.chunk()), (ErrorKind::ChunkMissing, Some(id(99))));
    let many = a.get_many(vec![id(2), id(99), id(1)]).await;
    let firsts: Vec<_> = many.into_iter().map(|got| got.unwrap().map(|data| data[0])).collect();
    assert_eq!(firsts, [Some(2), None, Some(1)]);
    let report = a.copy_to(&b, None).await.unwrap();
    assert_eq!((report.copied, report.present, report.bytes), (19, 1, 190));
    assert_eq!(b.count().await.unwrap(), 20);
    assert_eq!(b.engine().log.lock().unwrap().last(), Some(&"flush"));
}

#[tokio::test]
async fn update_counts_to_a_thousand_with_ten_workers() {
    let store = Arc::new(slow(0));
    let name = RootName::new("counter").unwrap();
    let workers = (0..10).map(|_| {
        let (store, name) = (store.clone(), name.clone());
        tokio::spawn(async move {
            for _ in 0..100 {
                store.update(&name, |value| Ok(Some(increment(value)))).await.unwrap();
            }
        })
    });
    futures::future::try_join_all(workers).await.unwrap();
    assert_eq!(store.load(&name).await.unwrap().unwrap().value, "1000");
}

fn increment(value: Option<&Bytes>) -> Bytes {
    let before: u32 = value.map_or(0, |value| std::str::from_utf8(value).unwrap().parse().unwrap());
    (before + 1).to_string().into()
}

#[tokio::test]
async fn update_reads_again_after_a_lost_reply() {
    let store = slow(0);
    let name = RootName::new("counter").unwrap();
    store.engine().lost_replies.store(1, Ordering::SeqCst);
    let root = store.update(&name, |value| Ok(Some(increment(value)))).await.unwrap().unwrap();
    assert_eq!(root.value, "1");
    assert_eq!(store.load(&name).await.unwrap(), Some(root), "it happened once");
    assert_eq!(store.update(&name, |_| Ok(None)).await.unwrap(), None);
    assert_eq!(store.load(&name).await.unwrap(), None);
}

#[tokio::test]
async fn publish_flushes_first() {
    let store: Arc<dyn Backend> = Arc::new(slow(0));
    let name = RootName::new("map").unwrap();
    let swap = store.publish(&name, Expect::Absent, Bytes::from_static(b"v")).await.unwrap();
    assert!(matches!(swap, Swap::Done(Some(_))));
    let swap = store.publish(&name, Expect::Absent, Bytes::from_static(b"w")).await.unwrap();
    assert!(matches!(swap, Swap::Conflict(Some(root)) if root.value == "v"));
    let names: Vec<_> = store.names().try_collect().await.unwrap();
    assert_eq!(names, [name]);
    // Either half is to be had of the whole.
    let chunks: Arc<dyn ChunkStore> = store.clone();
    let roots: Arc<dyn RootStore> = store;
    assert_eq!(chunks.info().to_string(), "slow:x");
    assert!(roots.load(&RootName::new("none").unwrap()).await.unwrap().is_none());
}

#[derive(Debug)]
struct SlowFactory(&'static str);

#[async_trait]
impl StoreFactory for SlowFactory {
    fn scheme(&self) -> &'static str {
        self.0
    }
    async fn open(&self, url: &StoreUrl, _: OpenMode) -> Result<Arc<dyn Backend>> {
        url.allow_query(&["speed"])?;
        Ok(Arc::new(slow(0)))
    }
}

#[tokio::test]
async fn the_registry_is_open_and_lists_what_it_has() {
    let registry = Registry::new().register(SlowFactory("slow")).register(SlowFactory("other"));
    assert_eq!(registry.schemes().collect::<Vec<_>>(), ["other", "slow"]);
    assert!(registry.open("slow:x?speed=1", OpenMode::Existing).await.is_ok());
    let unknown = registry.open("s3://bucket", OpenMode::Existing).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::InvalidInput);
    assert!(unknown.to_string().contains("other, slow"), "{unknown}");
    let misspelt = registry.open("slow:x?sped=1", OpenMode::Existing).await.unwrap_err();
    assert!(misspelt.to_string().contains("'sped'") && misspelt.to_string().contains("speed"), "{misspelt}");
}

#[tokio::test]
async fn a_dropped_store_lets_go_of_its_engine() {
    #[derive(Debug)]
    struct Tell(Slow, mpsc::Sender<()>);
    impl Drop for Tell {
        fn drop(&mut self) {
            let _ = self.1.send(());
        }
    }
    impl BlockingEngine for Tell {
        fn capabilities(&self) -> Capabilities {
            self.0.capabilities()
        }
        fn info(&self) -> StoreInfo {
            self.0.info()
        }
        fn put(&self, id: ChunkId, data: &Bytes) -> Result<PutOutcome> {
            self.0.put(id, data)
        }
        fn put_many(&self, chunks: &[(ChunkId, Bytes)]) -> Option<Vec<Result<PutOutcome>>> {
            self.0.put_many(chunks)
        }
        fn group_bytes(&self) -> usize {
            self.0.group_bytes
        }
        fn get(&self, id: ChunkId) -> Result<Option<Bytes>> {
            self.0.get(id)
        }
        fn stat(&self, id: ChunkId) -> Result<Option<ChunkMeta>> {
            self.0.stat(id)
        }
        fn delete(&self, id: ChunkId) -> Result<()> {
            self.0.delete(id)
        }
        fn page(&self, after: Option<ChunkId>) -> Result<Vec<ChunkMeta>> {
            self.0.page(after)
        }
        fn flush(&self) -> Result<()> {
            self.0.flush()
        }
        fn load(&self, name: &RootName) -> Result<Option<Root>> {
            self.0.load(name)
        }
        fn swap(&self, name: &RootName, expect: &Expect, new: Option<Bytes>) -> Result<Swap> {
            self.0.swap(name, expect, new)
        }
        fn names(&self) -> Result<Vec<RootName>> {
            self.0.names()
        }
    }
    // Often, for the thread that put may be a little late.
    for turn in 0..200 {
        let (sender, dropped) = mpsc::channel();
        let engine = Slow { together: true, group_bytes: 10 * (turn % 2), ..Slow::default() };
        let store = Blocking::new(Tell(engine, sender));
        store.put(id(1), Bytes::new()).await.unwrap();
        let list = store.list(None);
        drop(store);
        assert!(dropped.try_recv().is_err(), "the list still needs it");
        drop(list);
        assert!(dropped.try_recv().is_ok());
    }
}
