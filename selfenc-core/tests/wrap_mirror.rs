//! `Mirror`, its chunks: written to all, read from the first good copy, healed.
#![allow(clippy::unwrap_used)] // in a test, a panic is the report

#[path = "support/probe.rs"]
mod probe;

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use probe::{At, Probe, Step, id, is_named, named};
use selfenc_core::store::{
    Backend, Capabilities, ChunkId, ChunkStore, ChunkStoreExt, Durability, Error, ErrorKind, PutOutcome,
    RootStore,
};
use selfenc_core::wrap::Mirror;

fn over(probes: &[Probe]) -> Arc<Mirror> {
    let replicas = probes.iter().map(|probe| Arc::new(probe.clone()) as Arc<dyn Backend>).collect();
    Arc::new(Mirror::new(replicas).unwrap().with_check(is_named))
}

fn three() -> ([Probe; 3], Arc<Mirror>) {
    let probes = ["a", "b", "c"].map(Probe::called);
    let mirror = over(&probes);
    (probes, mirror)
}

fn have(probes: &[Probe], id: ChunkId) -> Vec<bool> {
    probes.iter().map(|probe| probe.peek(id).is_some_and(|data| is_named(id, &data))).collect()
}

#[tokio::test]
async fn mirror_reads_through_failure() {
    let ([a, b, c], mirror) = three();
    let (id, data) = named(b"chunk");
    mirror.put(id, data.clone()).await.unwrap();
    for (broken, kind) in [(&a, ErrorKind::Unavailable), (&b, ErrorKind::PermissionDenied)] {
        broken.break_down("get", kind);
        broken.break_down("stat", kind);
        assert_eq!(mirror.get(id).await.unwrap().unwrap(), data);
        assert_eq!(mirror.stat(id).await.unwrap().unwrap().len, 5);
    }
    // Absence must be certain: what fails may have it.
    c.uproot(id);
    let e = mirror.get(id).await.unwrap_err();
    assert_eq!((e.kind(), e.chunk(), e.is_transient()), (ErrorKind::Unavailable, Some(id), true));
    assert!(e.source().is_some());
    let text = e.to_string();
    assert!(text.contains("replica 0 (probe:a)") && text.contains("replica 1 (probe:b)"), "{text}");
    // That it is not everywhere is certain already.
    assert!(mirror.stat(id).await.unwrap().is_none());
    c.break_down("stat", ErrorKind::Unavailable);
    assert!(mirror.stat(id).await.is_err());
    c.heal();
    // If one of the failures is for good and one is not, it is worth trying again.
    a.heal();
    a.uproot(id);
    a.fail("get", ErrorKind::Other, 1);
    b.heal();
    b.uproot(id);
    b.fail("get", ErrorKind::Throttled, 1);
    let e = mirror.get(id).await.unwrap_err();
    assert_eq!((e.kind(), e.is_transient()), (ErrorKind::Throttled, true));
    assert!(mirror.get(id).await.unwrap().is_none(), "all answer, none has it");
    assert!(mirror.stat(id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_read_heals_those_before_the_good_copy() {
    let (probes, mirror) = three();
    let (id, data) = named(b"chunk");
    // Absent, damaged in place, good.
    probes[1].plant(id, Bytes::from_static(b"CHUNK"));
    probes[2].plant(id, data.clone());
    assert_eq!(mirror.get(id).await.unwrap().unwrap(), data);
    assert_eq!(have(&probes, id), [true; 3]);
    assert_eq!((mirror.stats().healed, mirror.stats().heal_failed), (2, 0));
    // What the replica itself calls corrupt, of the same length.
    probes[0].plant(id, Bytes::from_static(b"KCHUN"));
    probes[0].fail("get", ErrorKind::Corrupt, 1);
    assert_eq!(mirror.get(id).await.unwrap().unwrap(), data);
    assert_eq!(have(&probes, id), [true; 3]);
    // One that does not answer is left alone, and one that cannot be healed costs nothing.
    probes[0].fail("get", ErrorKind::Unavailable, 1);
    probes[1].uproot(id);
    probes[1].fail("put", ErrorKind::Full, 1);
    let puts = probes[0].calls("put");
    assert_eq!(mirror.get(id).await.unwrap().unwrap(), data);
    assert_eq!(have(&probes, id), [true, false, true]);
    assert_eq!(probes[0].calls("put"), puts);
    assert_eq!((mirror.stats().healed, mirror.stats().heal_failed), (3, 1));
}

#[tokio::test]
async fn without_a_good_copy_damage_is_left_as_it_is() {
    let (probes, mirror) = three();
    let (id, _) = named(b"chunk");
    for probe in &probes[..2] {
        probe.plant(id, Bytes::from_static(b"CHUNK"));
    }
    let e = mirror.get(id).await.unwrap_err();
    assert_eq!((e.kind(), e.is_transient(), e.chunk()), (ErrorKind::Corrupt, false, Some(id)));
    assert!(probes[..2].iter().all(|probe| probe.peek(id).unwrap() == "CHUNK"));
    assert_eq!(probes.iter().map(|probe| probe.calls("delete") + probe.calls("put")).sum::<usize>(), 0);
}

#[tokio::test]
async fn mirror_reports_partial_write() {
    let ([a, b, c], mirror) = three();
    let (id, data) = named(b"chunk");
    b.fail("put", ErrorKind::Full, 1);
    c.fail("put", ErrorKind::Unavailable, 1);
    let e = mirror.put(id, data.clone()).await.unwrap_err();
    assert_eq!((e.kind(), e.op(), e.chunk()), (ErrorKind::Full, "put", Some(id)));
    assert!(!e.is_transient(), "trying again does not empty a full disk");
    let text = e.to_string();
    assert!(text.contains("2 of 3 replicas failed; done by replica 0 (probe:a)"), "{text}");
    assert!(text.contains("replica 1 (probe:b): put") && text.contains("replica 2 (probe:c): put"), "{text}");
    assert_eq!(have(&[a.clone(), b.clone(), c.clone()], id), [true, false, false]);
    // Once it can be repeated, it can be finished.
    c.fail("put", ErrorKind::Timeout, 1);
    assert!(mirror.put(id, data.clone()).await.unwrap_err().is_transient());
    assert_eq!(mirror.put(id, data.clone()).await.unwrap(), PutOutcome::Inserted);
    assert_eq!(mirror.put(id, data).await.unwrap(), PutOutcome::Present);
    // The other writes to all.
    for op in ["delete", "flush"] {
        c.fail(op, ErrorKind::Unavailable, 1);
        let done = if op == "delete" { mirror.delete(id).await } else { mirror.flush().await };
        let e = done.unwrap_err();
        assert_eq!((e.kind(), e.op(), e.is_transient()), (ErrorKind::Unavailable, op, true));
        assert!(e.to_string().contains("done by replica 0 (probe:a), replica 1 (probe:b)"), "{e}");
    }
}

#[tokio::test]
async fn each_member_of_a_batch_has_its_own_answer() {
    let (probes, mirror) = three();
    let chunks = [named(b"a"), named(b"b"), named(b"c")];
    probes[0].plant(chunks[0].0, chunks[0].1.clone());
    probes[1].script("item", [Step::Pass, Step::Before(ErrorKind::Full)]);
    let results = mirror.put_many(chunks.to_vec()).await;
    let kinds: Vec<_> = results.into_iter().map(|result| result.map_err(|e| (e.kind(), e.chunk()))).collect();
    assert_eq!(
        kinds,
        [Ok(PutOutcome::Inserted), Err((ErrorKind::Full, Some(chunks[1].0))), Ok(PutOutcome::Inserted)]
    );
    assert!(probes.iter().all(|probe| probe.calls("put_many") == 1 && probe.calls("put") == 0));
    let ids: Vec<_> = chunks.iter().map(|(id, _)| *id).collect();
    probes[2].script("item", [Step::Before(ErrorKind::Unavailable)]);
    let results = mirror.delete_many(ids).await;
    assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(probes.iter().map(|probe| probe.ids().len()).collect::<Vec<_>>(), [0, 0, 1]);
}

#[tokio::test]
async fn what_one_cannot_take_is_sent_to_none() {
    let small = Capabilities::new(Durability::OnFlush).with_max_chunk_len(4);
    let probes = [Probe::new(), Probe::with_capabilities(small)];
    let mirror = over(&probes);
    let e = mirror.put(id(1), Bytes::from_static(b"12345")).await.unwrap_err();
    assert_eq!((e.kind(), e.chunk()), (ErrorKind::ChunkTooLarge, Some(id(1))));
    let batch = vec![(id(1), Bytes::from_static(b"12345")), (id(2), Bytes::from_static(b"1234"))];
    let results = mirror.put_many(batch).await;
    assert_eq!(results[0].as_ref().unwrap_err().kind(), ErrorKind::ChunkTooLarge);
    assert!(results[1].is_ok());
    assert!(probes.iter().all(|probe| probe.ids() == [id(2)]));
    // One that cannot delete stops the others from it.
    let keeper = Probe::with_capabilities(Capabilities::new(Durability::OnPut).with_deletes(false));
    let mirror = over(&[probes[0].clone(), keeper]);
    let mut results = mirror.delete_many(vec![id(2)]).await;
    results.push(mirror.delete(id(2)).await);
    for result in results {
        let e = result.unwrap_err();
        assert_eq!((e.kind(), e.chunk()), (ErrorKind::Unsupported, Some(id(2))));
    }
    assert_eq!(probes[0].ids(), [id(2)]);
}

#[tokio::test]
async fn a_listing_is_the_union_in_order() {
    let (probes, mirror) = three();
    for (n, mask) in [(1, 0b111), (2, 0b100), (3, 0b010), (5, 0b001), (8, 0b101), (9, 0b110)] {
        for (bit, probe) in probes.iter().enumerate() {
            if mask >> bit & 1 == 1 {
                // Each replica's length tells whose it is.
                probe.plant(id(n), vec![0; bit + 1]);
            }
        }
    }
    let all: Vec<_> = mirror.list(None).try_collect().await.unwrap();
    let seen: Vec<_> = all.iter().map(|meta| (meta.id, meta.len)).collect();
    assert_eq!(seen, [(id(1), 1), (id(2), 3), (id(3), 2), (id(5), 1), (id(8), 1), (id(9), 2)]);
    for from in 0..=9 {
        let after: Vec<_> = mirror.list(Some(id(from))).try_collect().await.unwrap();
        assert_eq!(after, all.iter().filter(|meta| meta.id > id(from)).copied().collect::<Vec<_>>());
    }
    // One that fails is not one that is empty.
    probes[1].script("next", [Step::Pass, Step::Before(ErrorKind::Unavailable)]);
    let listed: Vec<Result<_, Error>> = mirror.list(None).collect().await;
    assert!(listed.len() < all.len() && listed.iter().rev().skip(1).all(Result::is_ok));
    let e = listed.last().unwrap().as_ref().unwrap_err();
    assert_eq!((e.kind(), e.is_transient()), (ErrorKind::Unavailable, true));
    assert!(e.to_string().contains("replica 1 (probe:b)"), "{e}");
}

#[tokio::test]
async fn what_is_deleted_is_not_healed_back() {
    let (probes, mirror) = three();
    let (id, data) = named(b"chunk");
    probes[2].plant(id, data.clone());
    probes[2].hold("get", At::End);
    let reader = tokio::spawn({
        let mirror = Arc::clone(&mirror);
        async move { mirror.get(id).await }
    });
    probes[2].until_waiting("get", 1).await;
    mirror.delete(id).await.unwrap();
    probes[2].release("get");
    assert_eq!(reader.await.unwrap().unwrap().unwrap(), data);
    assert_eq!(have(&probes, id), [false; 3]);
}

#[tokio::test]
async fn a_delete_waits_for_a_repair_even_if_nobody_polls_the_reader() {
    let (probes, mirror) = three();
    let (id, data) = named(b"chunk");
    probes[1].plant(id, data);
    probes[0].hold("put", At::Start);
    let mut reader = mirror.get(id);
    assert!(futures::poll!(&mut reader).is_pending());
    probes[0].until_waiting("put", 1).await;
    let delete = tokio::spawn({
        let mirror = Arc::clone(&mirror);
        async move { mirror.delete(id).await }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!delete.is_finished());
    probes[0].release("put");
    tokio::time::timeout(Duration::from_secs(10), delete).await.expect("it ends").unwrap().unwrap();
    reader.await.unwrap();
    assert_eq!(have(&probes, id), [false; 3]);
}

#[tokio::test]
async fn a_repair_does_not_undo_a_put() {
    // Without a check, a truncated copy is as good as any.
    let probes = ["a", "b"].map(Probe::called);
    let replicas = probes.iter().map(|probe| Arc::new(probe.clone()) as Arc<dyn Backend>).collect();
    let mirror = Mirror::new(replicas).unwrap();
    for gate in ["get", "put"] {
        probes[0].uproot(id(1));
        probes[1].plant(id(1), Bytes::from_static(b"chu"));
        let held = if gate == "get" { &probes[1] } else { &probes[0] };
        held.hold(gate, if gate == "get" { At::End } else { At::Start });
        let mut reader = mirror.get(id(1));
        assert!(futures::poll!(&mut reader).is_pending());
        held.until_waiting(gate, 1).await;
        let mut put = mirror.put(id(1), Bytes::from_static(b"chunk"));
        let waits = futures::poll!(&mut put).is_pending();
        held.release(gate);
        if waits {
            put.await.unwrap();
        }
        reader.await.unwrap();
        assert!(probes.iter().all(|probe| probe.peek(id(1)).unwrap() == "chunk"), "held at {gate}");
    }
}

#[tokio::test]
async fn many_readers_of_one_damaged_chunk_heal_it_once() {
    let (probes, mirror) = three();
    let (id, data) = named(b"chunk");
    mirror.put(id, data.clone()).await.unwrap();
    probes[0].plant(id, Bytes::from_static(b"CHUNK"));
    probes[0].delay("get", Duration::from_millis(5));
    let readers = (0..50).map(|_| mirror.get(id));
    for read in futures::future::join_all(readers).await {
        assert_eq!(read.unwrap().unwrap(), data);
    }
    assert_eq!(have(&probes, id), [true; 3]);
    assert_eq!((mirror.stats().healed, probes[0].calls("delete")), (1, 1));
}

#[tokio::test]
async fn an_error_of_an_exhausted_retry_stays_marked() {
    let (probes, mirror) = three();
    let (id, data) = named(b"chunk");
    let spent = selfenc_core::wrap::RetryPolicy::new().with_max_attempts(3).with_base_delay(Duration::ZERO);
    let retried = selfenc_core::wrap::Retry::new(probes[0].clone(), spent);
    let mirror_of_retry = Mirror::new(vec![Arc::new(retried)]).unwrap();
    probes[0].break_down("put", ErrorKind::Unavailable);
    let e = mirror_of_retry.put(id, data.clone()).await.unwrap_err();
    assert_eq!(e.attempts(), Some(3), "an outer retry must not multiply it");
    assert_eq!(mirror.put(id, data).await.unwrap_err().attempts(), None);
}

#[test]
fn a_mirror_has_one_to_255_replicas() {
    let replica = || Arc::new(Probe::new()) as Arc<dyn Backend>;
    for wrong in [0, 256] {
        let e = Mirror::new((0..wrong).map(|_| replica()).collect()).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidInput);
    }
    let mirror = over(&[Probe::called("a"), Probe::called("b")]);
    assert_eq!(ChunkStore::info(&*mirror).to_string(), "mirror(probe:a, probe:b)");
    assert_eq!(mirror.replicas().len(), 2);
    let _: &dyn RootStore = &*mirror;
}

#[tokio::test]
async fn stat_says_whether_it_is_everywhere() {
    let (probes, mirror) = three();
    let (id, data) = named(b"chunk");
    for (planted, everywhere) in [(0b000, false), (0b001, false), (0b110, false), (0b111, true)] {
        for (bit, probe) in probes.iter().enumerate() {
            probe.uproot(id);
            if planted >> bit & 1 == 1 {
                probe.plant(id, data.clone());
            }
        }
        assert_eq!(mirror.stat(id).await.unwrap().map(|meta| meta.len), everywhere.then_some(5));
    }
    probes[1].fail("stat", ErrorKind::Unavailable, 1);
    assert_eq!(mirror.stat(id).await.unwrap().unwrap().len, 5, "those that answer have it");
    probes[2].plant(id, Bytes::from_static(b"chu"));
    assert!(mirror.stat(id).await.unwrap().is_none(), "one is truncated");
}

#[tokio::test]
async fn a_copy_fills_what_the_last_one_left_out() {
    let (source, (probes, mirror)) = (Probe::called("source"), three());
    let (id, data) = named(b"chunk");
    source.plant(id, data);
    probes[1].fail("put", ErrorKind::Full, 1);
    probes[1].script("item", [Step::Before(ErrorKind::Full)]);
    assert!(source.copy_to(&*mirror, None).await.is_err());
    assert_eq!(have(&probes, id), [true, false, true]);
    probes[1].heal();
    source.copy_to(&*mirror, None).await.unwrap();
    assert_eq!(have(&probes, id), [true; 3]);
}

#[tokio::test]
async fn what_a_replica_cannot_take_is_not_healed_there() {
    let small = Capabilities::new(Durability::OnPut).with_max_chunk_len(4);
    let probes = [Probe::build("small", small), Probe::called("empty"), Probe::called("large")];
    let mirror = over(&probes);
    let (id, data) = named(b"chunk");
    probes[2].plant(id, data.clone());
    assert_eq!(mirror.get(id).await.unwrap().unwrap(), data);
    assert_eq!(have(&probes, id), [false, true, true]);
    assert_eq!((probes[0].calls("put"), probes[0].calls("delete")), (0, 0));
    assert_eq!((mirror.stats().healed, mirror.stats().heal_failed), (1, 0));
}
