use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use futures::TryStreamExt;
use futures::future::BoxFuture;
use selfenc::Bytes;
use selfenc::store::{Backend, ChunkId, Error, ErrorKind, OpenMode, Result as StoreResult};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::corners::{Corners, no_corner};
use crate::exit::{Failure, Result};
use crate::progress::Steps;
use crate::sizes::parse_size;
use crate::stores::UrlArg;
use crate::text::size;
use crate::ui::{Ui, print, print_json};

/// What is measured unless told otherwise: size and number of the chunks.
const ROUNDS: [(usize, usize); 2] = [(1 << 20, 256), (4 << 10, 2048)];

/// Such a round puts no more chunks after this, so that a slow store is measured within seconds too.
const PUT_AT_MOST: Duration = Duration::from_secs(3);

/// Listings of all chunks.
const LISTINGS: usize = 5;

/// Each chunk is this many bytes further on in the same random bytes. It is odd, so that no two chunks
/// hold the same blocks for a file system to find.
const STRIDE: usize = 13;

const OPS: [&str; 6] = ["put", "put again", "get", "stat", "list", "delete"];

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  selfenc store bench file:/mnt/backup/chunks
  selfenc store bench file:/mnt/backup/chunks --size 64K --count 10000 --in-flight 64

Stores random chunks in a corner of its own, 'selfenc-test-' and 16 hex digits in the
folder, and removes it in the end, also after Ctrl-C. Without --size and --count it
takes two sizes and some ten seconds. 'put' stores new chunks and ends with a flush;
'put again' stores the same ones; 'list' counts the chunks that are listed. Reads may
come from the system's cache: what was just written is read.")]
pub(crate) struct StoreBench {
    #[command(flatten)]
    store: UrlArg,

    /// Bytes in a chunk, such as 64K [default: 1M, then 4K]
    #[arg(long, value_parser = parse_len)]
    size: Option<usize>,

    /// How many chunks [default: what can be put in some seconds, at most 256 of 1M or 2048]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    count: Option<u32>,

    /// Requests at the same time
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    in_flight: u16,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn parse_len(text: &str) -> Result<usize, String> {
    let len = usize::try_from(parse_size(text)?).ok().filter(|len| (1..=1 << 30).contains(len));
    len.ok_or_else(|| format!("'{text}' is no size for a chunk; give 1 to 1G"))
}

/// Chunks of one size.
#[derive(Clone, Copy, Debug)]
struct Round {
    size: usize,
    count: usize,
    at_most: Duration,
}

impl StoreBench {
    fn rounds(&self) -> Vec<Round> {
        let asked = self.count.map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        let at_most = if asked.is_some() { Duration::MAX } else { PUT_AT_MOST };
        let round = |(size, count)| Round { size, count: asked.unwrap_or(count), at_most };
        match self.size {
            None => ROUNDS.map(round).to_vec(),
            Some(size) => vec![round((size, if size < ROUNDS[0].0 { ROUNDS[1].1 } else { ROUNDS[0].1 }))],
        }
    }
}

pub(crate) async fn run(args: StoreBench, ui: Ui, corners: Corners) -> Result<()> {
    let url = args.store.url()?;
    // First: where there is no memory for them, nothing is to be cleaned up.
    let mut rounds = args.rounds().into_iter().map(Chunks::random).collect::<Result<Vec<_>>>()?;
    let open = async || corners.make(&url).await?.open(OpenMode::Create).await;
    let store = open().await.map_err(|e| no_corner(&url, e))?;
    let max = store.capabilities().max_chunk_len;
    if let Some(asked) = args.size.filter(|asked| *asked as u64 > max) {
        let line = format!("the store takes no chunk of {}", size(asked as u64));
        return Err(Failure::usage(line).hint(format!("{} is the most", size(max))));
    }
    fit(&mut rounds, max);
    let steps = Steps::new(ui, "measuring", (rounds.len() * OPS.len()) as u64);
    let mut measured = Vec::new();
    let mut bench = Bench { store: &store, in_flight: usize::from(args.in_flight), steps: &steps, kept: 0 };
    for round in rounds {
        measured.push(bench.round(round).await?);
    }
    steps.done();
    let info = store.info().to_string();
    if args.json {
        let rounds: Vec<_> = measured.iter().map(Measured::to_json).collect();
        return print_json(&json!({ "store": info, "in_flight": args.in_flight, "rounds": rounds }));
    }
    let mut lines = vec![format!("{info}, {} requests in flight", args.in_flight)];
    measured.iter().for_each(|round| round.table(&mut lines));
    print(&lines)
}

/// Makes the chunks no longer than the store takes. Rounds that become the same are one.
fn fit(rounds: &mut Vec<Chunks>, max: u64) {
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    rounds.iter_mut().for_each(|chunks| chunks.round.size = chunks.round.size.min(max));
    rounds.dedup_by_key(|chunks| chunks.round.size);
}

struct Bench<'a> {
    store: &'a Arc<dyn Backend>,
    in_flight: usize,
    steps: &'a Steps,
    /// Chunks of earlier rounds that are still there, where the store cannot delete.
    kept: usize,
}

impl Bench<'_> {
    async fn round(&mut self, mut chunks: Chunks) -> Result<Measured> {
        let begun = Instant::now();
        let mut first = self.each("put", &chunks, chunks.round.at_most, put).await?;
        self.store.flush().await?;
        first.took = begun.elapsed();
        chunks.ids.truncate(first.count);
        let mut ops = vec![first];
        ops.push(self.each("put again", &chunks, Duration::MAX, put).await?);
        ops.push(self.each("get", &chunks, Duration::MAX, get).await?);
        ops.push(self.each("stat", &chunks, Duration::MAX, stat).await?);
        let can = self.store.capabilities();
        if can.lists {
            ops.push(self.listings(self.kept + chunks.ids.len()).await?);
        }
        if can.deletes {
            ops.push(self.each("delete", &chunks, Duration::MAX, delete).await?);
        } else {
            self.kept += chunks.ids.len();
        }
        Ok(Measured { size: chunks.round.size, chunks: chunks.ids.len(), ops })
    }

    /// Does `work` with each chunk, several at a time, and begins none after `at_most`.
    async fn each(&self, name: &'static str, chunks: &Chunks, at_most: Duration, work: Work) -> Result<Op> {
        let (begun, mut tasks, mut latencies) = (Instant::now(), JoinSet::new(), Vec::new());
        let mut chunks = chunks.each();
        loop {
            let room = tasks.len() < self.in_flight && begun.elapsed() < at_most;
            if let Some((id, data)) = if room { chunks.next() } else { None } {
                let work = work(Arc::clone(self.store), id, data);
                tasks.spawn(async move {
                    let begun = Instant::now();
                    work.await.map(|()| begun.elapsed())
                });
            } else if let Some(done) = tasks.join_next().await {
                latencies.push(done.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))?);
            } else {
                break;
            }
        }
        self.steps.next(name);
        Ok(Op::new(name, latencies.len(), begun.elapsed(), latencies))
    }

    async fn listings(&self, chunks: usize) -> Result<Op> {
        let (begun, mut latencies) = (Instant::now(), Vec::new());
        for _ in 0..LISTINGS {
            let begun = Instant::now();
            let listed = self.store.list(None).try_fold(0, async |n, _| Ok(n + 1)).await?;
            if listed != chunks {
                return Err(Failure::damaged(format!("{listed} of {chunks} chunks were listed")));
            }
            latencies.push(begun.elapsed());
        }
        self.steps.next("list");
        Ok(Op::new("list", chunks * LISTINGS, begun.elapsed(), latencies))
    }
}

/// What is done with one chunk.
type Work = fn(Arc<dyn Backend>, ChunkId, Bytes) -> BoxFuture<'static, StoreResult<()>>;

fn put(store: Arc<dyn Backend>, id: ChunkId, data: Bytes) -> BoxFuture<'static, StoreResult<()>> {
    Box::pin(async move { store.put(id, data).await.map(drop) })
}

fn get(store: Arc<dyn Backend>, id: ChunkId, data: Bytes) -> BoxFuture<'static, StoreResult<()>> {
    Box::pin(async move { check(id, &data, store.get(id).await?.map(|data| data.len() as u64)) })
}

fn stat(store: Arc<dyn Backend>, id: ChunkId, data: Bytes) -> BoxFuture<'static, StoreResult<()>> {
    Box::pin(async move { check(id, &data, store.stat(id).await?.map(|meta| meta.len)) })
}

fn delete(store: Arc<dyn Backend>, id: ChunkId, _: Bytes) -> BoxFuture<'static, StoreResult<()>> {
    Box::pin(async move { store.delete(id).await })
}

fn check(id: ChunkId, data: &Bytes, found: Option<u64>) -> StoreResult<()> {
    match found {
        Some(found) if found == data.len() as u64 => Ok(()),
        Some(found) => {
            let message = format!("{found} bytes came back of {}", data.len());
            Err(Error::new(ErrorKind::Corrupt, "get", message).with_chunk(id))
        }
        None => Err(Error::new(ErrorKind::ChunkMissing, "get", "it was just put").with_chunk(id)),
    }
}

/// Chunks that share one buffer, so that they cost neither time nor memory while the clock runs.
struct Chunks {
    round: Round,
    ids: Vec<ChunkId>,
    bytes: Bytes,
}

impl Chunks {
    fn random(round: Round) -> Result<Self> {
        let unrandom = |e| Failure::new(format!("the system gives no random bytes: {e}"));
        let too_many = |_| {
            let line =
                format!("there is no memory for {} chunks of {}", round.count, size(round.size as u64));
            Failure::usage(line).hint("give a smaller --count or --size")
        };
        let len = round.size.saturating_add(STRIDE.saturating_mul(round.count));
        let (mut bytes, mut ids) = (Vec::new(), Vec::new());
        bytes.try_reserve_exact(len).map_err(too_many)?;
        ids.try_reserve_exact(round.count).map_err(too_many)?;
        bytes.resize(len, 0);
        getrandom::fill(&mut bytes).map_err(unrandom)?;
        for _ in 0..round.count {
            // A store does not care which hash made a name.
            let mut id = [0; 32];
            getrandom::fill(&mut id).map_err(unrandom)?;
            ids.push(ChunkId::from_bytes(id));
        }
        Ok(Self { round, ids, bytes: Bytes::from(bytes) })
    }

    fn each(&self) -> impl Iterator<Item = (ChunkId, Bytes)> {
        let chunk = |n| self.bytes.slice(n * STRIDE..n * STRIDE + self.round.size);
        self.ids.iter().enumerate().map(move |(n, id)| (*id, chunk(n)))
    }
}

/// One operation over all chunks of a round.
struct Op {
    name: &'static str,
    count: usize,
    took: Duration,
    /// Ascending.
    latencies: Vec<Duration>,
}

impl Op {
    fn new(name: &'static str, count: usize, took: Duration, mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        Self { name, count, took, latencies }
    }

    /// The latency that this share of the calls stays within.
    fn quantile(&self, share: f64) -> Duration {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and the length
        let rank = (self.latencies.len() as f64 * share).ceil() as usize;
        self.latencies.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    fn per_second(&self) -> f64 {
        self.count as f64 / self.took.as_secs_f64().max(1e-9)
    }

    /// For what moves the chunks' bytes.
    fn mib_per_second(&self, size: usize) -> Option<f64> {
        let moves = matches!(self.name, "put" | "put again" | "get");
        moves.then(|| self.per_second() * size as f64 / f64::from(1 << 20))
    }
}

/// What a round found.
struct Measured {
    size: usize,
    chunks: usize,
    ops: Vec<Op>,
}

impl Measured {
    fn table(&self, lines: &mut Vec<String>) {
        lines.push(String::new());
        lines.push(format!("{} chunks of {}", self.chunks, size(self.size as u64)));
        lines.push(format!("{:<10}{:>11}{:>12}{:>13}{:>13}", "", "MiB/s", "ops/s", "median", "p99"));
        for op in &self.ops {
            let speed = op.mib_per_second(self.size).map_or_else(|| "-".to_owned(), |v| format!("{v:.1}"));
            let ms = |share| format!("{:.3} ms", op.quantile(share).as_secs_f64() * 1e3);
            let (median, p99, ops) = (ms(0.5), ms(0.99), op.per_second());
            lines.push(format!("{:<10}{speed:>11}{ops:>12.0}{median:>13}{p99:>13}", op.name));
        }
    }

    fn to_json(&self) -> Value {
        let ms = |op: &Op, share| op.quantile(share).as_secs_f64() * 1e3;
        let op = |op: &Op| {
            json!({
                "op": op.name,
                "count": op.count,
                "seconds": op.took.as_secs_f64(),
                "mib_per_s": op.mib_per_second(self.size),
                "ops_per_s": op.per_second(),
                "median_ms": ms(op, 0.5),
                "p99_ms": ms(op, 0.99),
            })
        };
        json!({ "size": self.size, "chunks": self.chunks, "ops": self.ops.iter().map(op).collect::<Vec<_>>() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_latencies_that_were_met() {
        let op =
            |n: u64| Op::new("get", 0, Duration::ZERO, (1..=n).rev().map(Duration::from_millis).collect());
        assert_eq!(op(100).quantile(0.5), Duration::from_millis(50));
        assert_eq!(op(100).quantile(0.99), Duration::from_millis(99));
        assert_eq!(op(1).quantile(0.99), Duration::from_millis(1));
        assert_eq!(op(3).quantile(0.5), Duration::from_millis(2));
        assert_eq!(op(0).quantile(0.5), Duration::ZERO);
    }

    fn chunks(size: usize, count: usize) -> Result<Chunks> {
        Chunks::random(Round { size, count, at_most: Duration::MAX })
    }

    #[test]
    fn chunks_differ_in_name_and_content() {
        let chunks: Vec<_> = chunks(100, 50).unwrap().each().collect();
        assert_eq!(chunks.len(), 50);
        for (n, (id, data)) in chunks.iter().enumerate() {
            assert_eq!(data.len(), 100);
            assert!(chunks[..n].iter().all(|(other, bytes)| other != id && bytes != data));
        }
    }

    #[test]
    fn what_no_memory_holds_is_wrong_usage() {
        for (size, count) in [(usize::MAX / 2, 1), (1, usize::MAX / 2), (usize::MAX, usize::MAX)] {
            let failure = format!("{:?}", chunks(size, count).err().unwrap());
            assert!(failure.contains("code: 2") && failure.contains("no memory"), "{failure}");
        }
    }

    #[test]
    fn rounds_are_cut_to_what_the_store_takes() {
        for (max, sizes) in [(1 << 30, &[1000, 40][..]), (100, &[100, 40]), (40, &[40]), (7, &[7])] {
            let mut rounds = vec![chunks(1000, 3).unwrap(), chunks(40, 3).unwrap()];
            fit(&mut rounds, max);
            assert_eq!(rounds.iter().map(|chunks| chunks.round.size).collect::<Vec<_>>(), sizes);
            assert!(rounds.iter().all(|chunks| chunks.each().all(|(_, data)| data.len() as u64 <= max)));
        }
    }
}
