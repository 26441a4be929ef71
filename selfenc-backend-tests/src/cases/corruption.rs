//! Chunks damaged behind the store's back. A store need not notice; it must not hide, panic or spread it.

use std::sync::Arc;

use selfenc_core::store::{Backend, ChunkId, ChunkStore, ErrorKind};
use selfenc_core::wrap::Verify;

use crate::data::{Sample, metas, sample, samples};
use crate::{Damage, Failure, Outcome, Trial, Verdict::*};

/// A store with a chunk to be damaged and ten that are not.
struct Shelf {
    store: Arc<dyn Backend>,
    x: Sample,
    others: Vec<Sample>,
}

impl Shelf {
    async fn new(h: &Trial<'_>) -> Result<Self, Failure> {
        let shelf =
            Self { store: must!(G8, h.open().await), x: sample(1, 10_000), others: samples(2, 10, 1000) };
        shelf.put().await?;
        for y in &shelf.others {
            must!(G1, shelf.store.put(y.id, y.data.clone()).await);
        }
        Ok(shelf)
    }

    async fn put(&self) -> Result<(), Failure> {
        must!(Bytes, self.store.put(self.x.id, self.x.data.clone()).await);
        Ok(())
    }

    /// `get` gives something else than the chunk, or says `Corrupt`: whoever checks will notice.
    async fn check_damaged(&self, damage: Damage) -> Result<(), Failure> {
        match self.store.get(self.x.id).await {
            Ok(Some(got)) => check!(Bytes, got != self.x.data, "{damage:?} did not reach what get reads"),
            Ok(None) => fail!(G5, "{damage:?}: damage is not absence"),
            Err(e) => {
                check_eq!(G8, e.kind(), ErrorKind::Corrupt, format!("{damage:?}: {e}: its kind"));
                check_eq!(G8, e.chunk(), Some(self.x.id), format!("{damage:?}: the chunk in the error"));
            }
        }
        Ok(())
    }

    /// The chunk is whole again, and the others are as they were.
    async fn check_whole(&self, damage: Damage) -> Result<(), Failure> {
        match must!(Bytes, self.store.get(self.x.id).await) {
            Some(got) => check_bytes!(Bytes, got, self.x.data, format!("{damage:?}: the healed chunk")),
            None => fail!(Bytes, "{damage:?}: the healed chunk is absent"),
        }
        self.check_others(damage).await?;
        let all = metas(self.others.iter().chain([&self.x]));
        check_listed!(G7, self.store, all, format!("{damage:?}: the listing"));
        Ok(())
    }

    async fn check_others(&self, damage: Damage) -> Result<(), Failure> {
        for y in &self.others {
            let got = must!(Bytes, self.store.get(y.id).await);
            check!(Bytes, got.as_ref() == Some(&y.data), "{damage:?} of one chunk spread to another");
        }
        Ok(())
    }
}

/// Damage that changes the length: a `put` of the true bytes heals it.
async fn healed_by_put(h: &Trial<'_>, damage: Damage) -> Outcome {
    let shelf = Shelf::new(h).await?;
    hook!("corrupt", h.corrupt(shelf.x.id, damage).await);
    shelf.check_damaged(damage).await?;
    shelf.check_others(damage).await?;
    shelf.put().await?;
    shelf.check_whole(damage).await?;
    Ok(Passed)
}

pub async fn truncated(h: &Trial<'_>) -> Outcome {
    healed_by_put(h, Damage::Truncate).await
}

pub async fn trailing_garbage(h: &Trial<'_>) -> Outcome {
    healed_by_put(h, Damage::Extend).await
}

fn is_named_by_its_hash(id: ChunkId, data: &[u8]) -> bool {
    blake3::hash(data) == *id.as_bytes()
}

/// Damage that keeps the length: stores know no hashes, so nothing need be noticed below. Readers check.
async fn caught_by_readers(h: &Trial<'_>, damage: Damage) -> Outcome {
    let shelf = Shelf::new(h).await?;
    hook!("corrupt", h.corrupt(shelf.x.id, damage).await);
    shelf.check_damaged(damage).await?;
    shelf.check_others(damage).await?;
    let verified = Verify::new(Arc::clone(&shelf.store), is_named_by_its_hash);
    match verified.get(shelf.x.id).await {
        Err(e) => {
            check_eq!(Bytes, e.kind(), ErrorKind::Corrupt, format!("{e}: its kind"));
            check_eq!(Bytes, e.chunk(), Some(shelf.x.id), "the chunk in the error");
        }
        Ok(got) => fail!(Bytes, "Verify lets {damage:?} pass: {:?} bytes", got.map(|got| got.len())),
    }
    for y in &shelf.others {
        let got = must!(Bytes, verified.get(y.id).await);
        check!(Bytes, got.as_ref() == Some(&y.data), "a good chunk, read through Verify");
    }
    Ok(Passed)
}

pub async fn bit_flip_caught_by_verified(h: &Trial<'_>) -> Outcome {
    caught_by_readers(h, Damage::FlipBit).await
}

pub async fn zero_filled(h: &Trial<'_>) -> Outcome {
    caught_by_readers(h, Damage::Zero).await
}

pub async fn contents_swapped(h: &Trial<'_>) -> Outcome {
    let (store, [x, y]) = (must!(G8, h.open().await), [1, 2].map(|n| sample(n, 5000)));
    for Sample { id, data } in [&x, &y] {
        must!(G1, store.put(*id, data.clone()).await);
    }
    hook!("corrupt", h.corrupt(x.id, Damage::SwapWith(y.id)).await);
    let verified = Verify::new(Arc::clone(&store), is_named_by_its_hash);
    for (here, there) in [(&x, &y), (&y, &x)] {
        match store.get(here.id).await {
            Ok(Some(got)) => check!(Bytes, got == there.data, "the swap did not reach what get reads"),
            Ok(None) => fail!(G5, "a chunk in another's place is not absence"),
            Err(e) => check_eq!(G8, e.kind(), ErrorKind::Corrupt, "the kind of the error"),
        }
        let kind = verified.get(here.id).await.err().map(|e| e.kind());
        check_eq!(Bytes, kind, Some(ErrorKind::Corrupt), "a chunk in another's place, read through Verify");
    }
    Ok(Passed)
}

pub async fn same_length_damage_is_returned_or_reported(h: &Trial<'_>) -> Outcome {
    let shelf = Shelf::new(h).await?;
    for damage in [Damage::FlipBit, Damage::Zero] {
        hook!("corrupt", h.corrupt(shelf.x.id, damage).await);
        shelf.check_damaged(damage).await?;
        if !shelf.store.capabilities().deletes {
            return Ok(Weaker("deletes are off: damage of the same length stays"));
        }
        must!(G3, shelf.store.delete(shelf.x.id).await);
        shelf.put().await?;
        shelf.check_whole(damage).await?;
    }
    Ok(Passed)
}

pub async fn replaced_by_directory_or_symlink(h: &Trial<'_>) -> Outcome {
    for damage in [Damage::Directory, Damage::Symlink] {
        let shelf = Shelf::new(h).await?;
        hook!("corrupt", h.corrupt(shelf.x.id, damage).await);
        shelf.check_damaged(damage).await?;
        shelf.check_others(damage).await?;
        check_listed!(G7, shelf.store, metas(&shelf.others), format!("{damage:?}: the listing without it"));
        match shelf.store.put(shelf.x.id, shelf.x.data.clone()).await {
            Ok(_) => shelf.check_whole(damage).await?,
            // A folder is not removed with what may be in it.
            Err(e) => {
                check_eq!(G8, e.kind(), ErrorKind::Corrupt, format!("{damage:?}: {e}: its kind"));
                shelf.check_damaged(damage).await?;
                shelf.check_others(damage).await?;
            }
        }
    }
    Ok(Passed)
}

pub async fn database_page_damage_is_error_not_panic(h: &Trial<'_>) -> Outcome {
    let shelf = Shelf::new(h).await?;
    hook!("corrupt (a database page)", h.corrupt(shelf.x.id, Damage::Page).await);
    shelf.check_damaged(Damage::Page).await?;
    // The page may hold others too, or the way to them: what is given is right, or it is an error.
    for y in &shelf.others {
        match shelf.store.get(y.id).await {
            Ok(Some(got)) => check!(Bytes, got == y.data, "a damaged page spread to another chunk"),
            Ok(None) => fail!(G5, "damage is not absence"),
            Err(e) => check_eq!(G8, e.kind(), ErrorKind::Corrupt, "the kind of the error"),
        }
    }
    Ok(Passed)
}

pub async fn delete_then_put_heals(h: &Trial<'_>) -> Outcome {
    open_with!(h, deletes);
    let shelf = Shelf::new(h).await?;
    for damage in [Damage::FlipBit, Damage::Truncate, Damage::Extend, Damage::Zero, Damage::TooLong] {
        hook!("corrupt", h.corrupt(shelf.x.id, damage).await);
        must!(G3, shelf.store.delete(shelf.x.id).await);
        check_eq!(G5, must!(G5, shelf.store.get(shelf.x.id).await), None, "a deleted chunk");
        shelf.put().await?;
        shelf.check_whole(damage).await?;
    }
    Ok(Passed)
}
