use std::sync::Arc;

use clap::Args;
use futures::{StreamExt, TryStreamExt};
use selfenc::Bytes;
use selfenc::store::{Backend, ChunkId, ChunkMeta, ChunkStore, Error, OpenMode};
use serde_json::json;
use tokio::sync::Semaphore;

use super::chunk_check::{Content, IN_FLIGHT, MEMORY_KIB, kib, read};
use crate::exit::{Failure, Result};
use crate::progress::Meter;
use crate::stores::open;
use crate::text::{count, size};
use crate::ui::{Ui, print, print_json};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  selfenc store copy file:/mnt/backup/chunks file:/mnt/second/chunks
  selfenc store copy sqlite:/var/chunks.db file:/mnt/backup/chunks --json

Copies chunks alone: published names are not copied. The target is made if it is
not there. What it has already is not sent, so a copy that was interrupted goes on
where it stopped when it is run again.

Every chunk is checked against its name: before it is sent, after it was written,
and where the target has it already; a damaged one in the target is replaced. One
that is damaged in the source is not sent but named, the others are copied all the
same, and the run ends with 3. Some 64 MiB of memory are enough for any store.")]
pub(crate) struct StoreCopy {
    /// The store to read
    #[arg(value_name = "SRC")]
    source: String,

    /// The store to copy into
    #[arg(value_name = "DST")]
    target: String,

    /// Do not read the target: believe that it has what it lists, and keeps what it is given
    #[arg(long)]
    no_verify: bool,

    /// Print one JSON object instead of the closing line
    #[arg(long)]
    json: bool,
}

/// What became of one chunk.
enum Outcome {
    Copied(ChunkMeta),
    Present(ChunkMeta),
    /// The target's was damaged and was replaced.
    Healed(ChunkMeta),
    /// Not copied: the source has something else under this name.
    Damaged(ChunkMeta, String),
    /// Deleted since it was listed.
    Gone,
}

#[derive(Default)]
struct Totals {
    copied: u64,
    present: u64,
    healed: u64,
    bytes: u64,
    damaged: Vec<ChunkId>,
}

pub(crate) async fn run(args: StoreCopy, ui: Ui) -> Result<()> {
    let source = open(&args.source, OpenMode::Existing).await?;
    let target = open(&args.target, OpenMode::Create).await?;
    let copier = Copier {
        source: Arc::clone(&source),
        target: Arc::clone(&target),
        memory: Semaphore::new(MEMORY_KIB as usize),
        verify: !args.no_verify,
    };
    let meter = Meter::new(ui, "copying", None);
    let mut outcomes = source.list(None).map(|meta| copier.copy(meta)).buffer_unordered(IN_FLIGHT);
    let mut totals = Totals::default();
    while let Some(outcome) = outcomes.try_next().await? {
        meter.add(outcome.meta().map_or(0, |meta| meta.len));
        if let (Outcome::Damaged(meta, why), false) = (&outcome, args.json) {
            meter.suspend(|| print(&[format!("{} damaged: {why}", meta.id)]))?;
        }
        totals.add(&outcome);
    }
    drop(outcomes);
    target.flush().await?;
    meter.done();
    finish(&args, &*source, &*target, ui, &totals)
}

fn finish(
    args: &StoreCopy,
    source: &dyn Backend,
    target: &dyn Backend,
    ui: Ui,
    totals: &Totals,
) -> Result<()> {
    let Totals { copied, present, healed, bytes, damaged } = totals;
    if args.json {
        print_json(&json!({
            "source": source.info().to_string(),
            "target": target.info().to_string(),
            "copied": copied,
            "present": present,
            "healed": healed,
            "bytes": bytes,
            "damaged": damaged.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }))?;
    } else {
        let healed =
            if *healed == 0 { String::new() } else { format!(", {healed} damaged ones there were replaced") };
        ui.say(&format!(
            "{} ({}) copied to {}, {present} were there already{healed}; names are not copied",
            count(*copied, "chunk"),
            size(*bytes),
            target.info(),
        ));
    }
    if damaged.is_empty() {
        return Ok(());
    }
    let line = format!(
        "{} in {} are damaged and were not copied",
        count(damaged.len() as u64, "chunk"),
        source.info()
    );
    Err(Failure::damaged(line).hint(
        "copy them from another good store, or encrypt the files they belong to again into the new one",
    ))
}

struct Copier {
    source: Arc<dyn Backend>,
    target: Arc<dyn Backend>,
    memory: Semaphore,
    verify: bool,
}

impl Copier {
    async fn copy(&self, meta: Result<ChunkMeta, Error>) -> Result<Outcome> {
        let meta = meta?;
        // It is never closed; were it, copying on without a limit would still be right.
        let _permit = self.memory.acquire_many(kib(meta.len)).await.ok();
        let there = self.target.stat(meta.id).await? == Some(meta);
        if there && (!self.verify || matches!(read(&*self.target, meta.id).await?, Content::Good(_))) {
            return Ok(Outcome::Present(meta));
        }
        let data = match read(&*self.source, meta.id).await? {
            Content::Good(data) => data,
            Content::Damaged(why) => return Ok(Outcome::Damaged(meta, why)),
            Content::Gone => return Ok(Outcome::Gone),
        };
        if there {
            // The good bytes are in hand, and a put would take those of the same length for present.
            self.target.delete(meta.id).await?;
        }
        self.put(meta.id, data).await?;
        Ok(if there { Outcome::Healed(meta) } else { Outcome::Copied(meta) })
    }

    async fn put(&self, id: ChunkId, data: Bytes) -> Result<()> {
        self.target.put(id, data).await?;
        if !self.verify {
            return Ok(());
        }
        let why = match read(&*self.target, id).await? {
            Content::Good(_) => return Ok(()),
            Content::Damaged(why) => why,
            Content::Gone => "it is not there".to_owned(),
        };
        let target = self.target.info();
        let line = format!("chunk {} was written to {target} and does not read back: {why}", id.short());
        Err(Failure::faulty_store(line)
            .hint("try this disk or service with 'selfenc store test' before you trust it"))
    }
}

impl Outcome {
    fn meta(&self) -> Option<&ChunkMeta> {
        match self {
            Self::Copied(meta) | Self::Present(meta) | Self::Healed(meta) | Self::Damaged(meta, _) => {
                Some(meta)
            }
            Self::Gone => None,
        }
    }
}

impl Totals {
    fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Copied(meta) => {
                self.copied += 1;
                self.bytes = self.bytes.saturating_add(meta.len);
            }
            Outcome::Present(_) => self.present += 1,
            Outcome::Healed(meta) => {
                self.healed += 1;
                self.bytes = self.bytes.saturating_add(meta.len);
            }
            Outcome::Damaged(meta, _) => self.damaged.push(meta.id),
            Outcome::Gone => {}
        }
    }
}
