use bytes::Bytes;

use crate::engine::error::{Error, Result};
use crate::engine::limits::MAX_LEVEL;
use crate::engine::map::{Entry, Growth, Node, Tree};
use crate::engine::pool::CpuPool;
use crate::engine::sealing::{Recipe, Sealed};
use crate::store::ChunkId;

/// Builds the data map from chunks in file order, making pages as their runs fill up.
pub(super) struct Builder<'a> {
    pool: &'a CpuPool,
    recipe: &'a Recipe,
    tree: Tree,
    end: u64,
}

/// What comes next into the store; the root is the last.
pub(super) enum Step {
    Chunk(Sealed),
    Page { name: ChunkId, stored: Bytes },
    Root(Node),
}

impl<'a> Builder<'a> {
    pub(super) fn new(pool: &'a CpuPool, recipe: &'a Recipe) -> Self {
        Self { pool, recipe, tree: Tree::default(), end: 0 }
    }

    /// Adds the next chunks; pages follow the chunk that filled them up.
    pub(super) async fn add(&mut self, chunks: Vec<Sealed>) -> Result<Vec<Step>> {
        let mut steps = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            self.end += chunk.len;
            let entry = Entry { end: self.end, ..chunk.entry.clone() };
            steps.push(Step::Chunk(chunk));
            self.push(0, entry, &mut steps).await?;
        }
        Ok(steps)
    }

    /// Every run below the root becomes a page; then the root.
    pub(super) async fn finish(mut self) -> Result<Vec<Step>> {
        let (mut steps, mut level) = (Vec::new(), 0);
        loop {
            match self.tree.close(usize::from(level)) {
                Ok(entries) => {
                    steps.push(Step::Root(Node { level, start: 0, last: true, entries }));
                    return Ok(steps);
                }
                Err(run) => {
                    let page = self.make_page(level, run, &mut steps).await?;
                    level += 1;
                    self.push(level, page, &mut steps).await?;
                }
            }
        }
    }

    async fn push(&mut self, mut level: u8, mut entry: Entry, steps: &mut Vec<Step>) -> Result<()> {
        while let Growth::Page(run) = self.tree.push(usize::from(level), entry) {
            entry = self.make_page(level, run, steps).await?;
            level += 1;
        }
        Ok(())
    }

    async fn make_page(&self, level: u8, run: Vec<Entry>, steps: &mut Vec<Step>) -> Result<Entry> {
        if level >= MAX_LEVEL {
            return Err(Error::InvalidConfig("the input has more chunks than a data map can hold".into()));
        }
        let recipe = self.recipe.clone();
        let (stored, entry) = self.pool.run(move || recipe.seal_page(level, &run)).await;
        steps.push(Step::Page { name: entry.name, stored });
        Ok(entry)
    }
}
