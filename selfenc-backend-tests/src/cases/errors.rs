//! What errors say. The faults are the harness's: its backend's own table of what can go wrong below it.

use std::time::Duration;

use selfenc_core::store::{Capabilities, Error, ErrorKind, Expect};

use crate::data::{Sample, listed, noise, root, sample, samples};
use crate::scene::{Scene, causes, has_chunk};
use crate::{Expected, Failure, Fault, Op, Outcome, Trial, Verdict::*};

/// What a store without the hook `fault` cannot show.
const NO_FAULTS: Outcome = Ok(NotExercised("fault"));

/// The one error that every store can be made to give: a chunk above its limit.
async fn too_large(h: &Trial<'_>) -> Result<Option<(Sample, Error)>, Failure> {
    let store = must!(G8, h.open().await);
    let max = store.capabilities().max_chunk_len;
    if max > 80 << 20 {
        return Ok(None);
    }
    let x = Sample::of(vec![3; usize::try_from(max + 1).unwrap_or(usize::MAX)]);
    match store.put(x.id, x.data.clone()).await {
        Ok(_) => fail!(Bound, "a chunk above the limit was taken"),
        Err(e) => Ok(Some((x, e))),
    }
}

/// The faults whose operation this store has.
fn faults(h: &Trial<'_>, capabilities: Capabilities) -> Vec<Fault> {
    let has = |op| match op {
        Op::Delete => capabilities.deletes,
        Op::List => capabilities.lists,
        Op::Load | Op::Swap | Op::Names => capabilities.roots,
        _ => true,
    };
    h.faults().into_iter().filter(|fault| has(fault.op)).collect()
}

/// Switches a fault on or off; whether the harness can.
async fn switch(h: &Trial<'_>, fault: Option<&Fault>) -> Result<bool, Failure> {
    match h.fault(fault).await {
        Some(switched) => {
            must!(Honesty, switched);
            Ok(true)
        }
        None => Ok(false),
    }
}

/// What a case finds out under each fault.
type Findings = Vec<(Fault, u64, Error)>;

/// The error of every fault that is to give one; `None` without the hook.
async fn provoked(h: &Trial<'_>) -> Result<Option<(Scene, Findings)>, Failure> {
    let scene = Scene::new(must!(G8, h.open().await)).await?;
    let mut found = Vec::new();
    for (n, fault) in (0..).zip(faults(h, scene.store.capabilities())) {
        scene.prepare(fault.op, n).await?;
        if !switch(h, Some(&fault)).await? {
            continue;
        }
        let answer = scene.act(fault.op, n).await;
        switch(h, None).await?;
        scene.check_works(&fault, n).await?;
        if let Err(e) = answer? {
            found.push((fault, n, e));
        }
    }
    Ok((!found.is_empty()).then_some((scene, found)))
}

pub async fn fault_table(h: &Trial<'_>) -> Outcome {
    let scene = Scene::new(must!(G8, h.open().await)).await?;
    let faults = faults(h, scene.store.capabilities());
    for (n, fault) in (0..).zip(&faults) {
        scene.prepare(fault.op, n).await?;
        hook!("fault", h.fault(Some(fault)).await);
        let answer = scene.act(fault.op, n).await;
        hook!("fault", h.fault(None).await);
        let (op, cause) = (fault.op.as_str(), fault.cause);
        match (answer?, fault.expected) {
            (Ok(()), Expected::Succeeds) => {}
            (Err(e), Expected::Fails(kind, transient)) => {
                check_eq!(G8, e.kind(), kind, format!("{op} with {cause}: {e}: its kind"));
                check_eq!(G8, e.is_transient(), transient, format!("{op} with {cause}: {e}: is_transient"));
            }
            (Ok(()), Expected::Fails(kind, _)) => fail!(G8, "{op} with {cause} is Ok, should be {kind:?}"),
            (Err(e), Expected::Succeeds) => fail!(G8, "{op} does not cope with {cause}: {e}"),
        }
        scene.check_works(fault, n).await?;
    }
    scene.check_whole().await?;
    if faults.is_empty() { NO_FAULTS } else { Ok(Passed) }
}

pub async fn retry_class_is_consistent(h: &Trial<'_>) -> Outcome {
    if let Some((_, e)) = too_large(h).await? {
        check_eq!(G8, e.kind(), ErrorKind::ChunkTooLarge, "the kind of the error");
        check!(G8, !e.is_transient(), "it invites to retry what can never work: {e}");
    }
    let Some((_, found)) = provoked(h).await? else { return NO_FAULTS };
    for (fault, _, e) in found {
        let (op, cause) = (fault.op.as_str(), fault.cause);
        // These pass by themselves, or never; the others depend on the case.
        let known = match e.kind() {
            ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::Timeout => Some(true),
            ErrorKind::Unsupported | ErrorKind::InvalidInput | ErrorKind::ChunkTooLarge => Some(false),
            ErrorKind::Corrupt | ErrorKind::ReadOnly | ErrorKind::PermissionDenied => Some(false),
            ErrorKind::Full | ErrorKind::Closed => Some(false),
            _ => None,
        };
        let is_consistent = known.is_none_or(|transient| transient == e.is_transient());
        check!(G8, is_consistent, "{op} with {cause}: is_transient is {} for {e}", e.is_transient());
    }
    Ok(Passed)
}

pub async fn error_names_op_and_id(h: &Trial<'_>) -> Outcome {
    if let Some((x, e)) = too_large(h).await? {
        check_eq!(G8, e.op(), "put", "the operation in the error");
        check_eq!(G8, e.chunk(), Some(x.id), "the chunk in the error");
    }
    let Some((scene, found)) = provoked(h).await? else { return NO_FAULTS };
    for (fault, n, e) in found {
        let op = fault.op;
        // A swap loads first.
        let is_named = e.op() == op.as_str() || (op == Op::Swap && e.op() == "load");
        check!(G8, is_named, "{} with {}: the error names {}: {e}", op.as_str(), fault.cause, e.op());
        if has_chunk(op) {
            let chunk = Some(scene.subject(op, n));
            check_eq!(G8, e.chunk(), chunk, format!("{} with {}: its chunk", op.as_str(), fault.cause));
        }
    }
    Ok(Passed)
}

pub async fn source_chain_kept(h: &Trial<'_>) -> Outcome {
    let Some((_, found)) = provoked(h).await? else { return NO_FAULTS };
    for (fault, _, e) in found {
        let (op, cause, count) = (fault.op.as_str(), fault.cause, causes(&e));
        check!(G8, count > 0, "{op} with {cause}: the error has lost its cause: {e}");
        check!(G8, count < 20, "{op} with {cause}: the chain of causes does not end: {e}");
    }
    Ok(Passed)
}

/// One line, with no more than the short name of the chunk.
fn check_display(e: &Error, x: &Sample, op: Op) -> Result<(), Failure> {
    let (line, name) = (e.to_string(), x.id.to_string());
    check!(G8, !line.contains(char::is_control), "not one plain line: {line:?}");
    check!(G8, !has_chunk(op) || line.contains(&x.id.short()), "it does not name the chunk: {line}");
    check!(G8, !line.contains(&name) && !line.contains(&name[2..]), "it holds a whole chunk id: {line}");
    let debug = format!("{e:?}");
    check!(
        G8,
        !debug.contains(&name) && !debug.contains(&name[2..]),
        "Debug holds a whole chunk id: {debug}"
    );
    Ok(())
}

pub async fn display_is_one_line_without_secrets(h: &Trial<'_>) -> Outcome {
    if let Some((x, e)) = too_large(h).await? {
        check_display(&e, &x, Op::Put)?;
    }
    let Some((scene, found)) = provoked(h).await? else { return NO_FAULTS };
    for (fault, n, e) in found {
        let subject =
            if matches!(fault.op, Op::Get | Op::Stat) { scene.old.clone() } else { Scene::fresh(n) };
        check_display(&e, &subject, fault.op)?;
    }
    Ok(Passed)
}

pub async fn missing_container_is_an_error(h: &Trial<'_>) -> Outcome {
    let scene = Scene::new(must!(G8, h.open().await)).await?;
    let capabilities = scene.store.capabilities();
    hook!("remove_container", h.remove_container().await);
    let store = &*scene.store;
    let absent = sample(5000, 10).id;
    let mut said = vec![
        ("put", store.put(absent, noise(1, 10)).await.err()),
        ("get", store.get(scene.old.id).await.err()),
        ("get of an absent chunk", store.get(absent).await.err()),
        ("stat", store.stat(scene.old.id).await.err()),
        ("stat of an absent chunk", store.stat(absent).await.err()),
    ];
    if capabilities.deletes {
        said.push(("delete", store.delete(scene.old.id).await.err()));
    }
    if capabilities.lists {
        said.push(("list", listed(store, None).await.err()));
    }
    if capabilities.roots {
        said.push(("load", store.load(&root("x")).await.err()));
        said.push(("swap", store.swap(&root("x"), Expect::Absent, Some(noise(1, 10))).await.err()));
        said.push(("names", scene.act(Op::Names, 0).await?.err()));
    }
    for (op, e) in said {
        match e {
            Some(e) => check_eq!(G5, e.kind(), ErrorKind::ContainerMissing, format!("{op}: {e}: its kind")),
            None => fail!(G5, "the location is gone, and {op} is Ok"),
        }
    }
    Ok(Passed)
}

pub async fn read_only_location(h: &Trial<'_>) -> Outcome {
    let scene = Scene::new(must!(G8, h.open().await)).await?;
    drop(scene);
    let store = hook!("readonly", h.readonly().await);
    let capabilities = store.capabilities();
    // The scene's chunk and root, seen through the other store.
    let (old, x) = (sample(1000, 5000), sample(5000, 100));
    let mut said = vec![("put", store.put(x.id, x.data.clone()).await.err())];
    if capabilities.deletes {
        said.push(("delete", store.delete(old.id).await.err()));
    }
    if capabilities.roots {
        said.push(("swap", store.swap(&root("x"), Expect::Absent, Some(noise(1, 10))).await.err()));
        check!(Roots, must!(Roots, store.load(&root("scene")).await).is_some(), "load finds no root");
        check_eq!(Roots, must!(Roots, store.load(&root("x")).await), None, "a root that was refused");
    }
    for (op, e) in said {
        let kind = e.as_ref().map(Error::kind);
        let is_refused = matches!(kind, Some(ErrorKind::ReadOnly | ErrorKind::PermissionDenied));
        check!(G8, is_refused, "{op} where nothing can be written: {e:?}, should be ReadOnly");
        check!(G8, e.is_some_and(|e| !e.is_transient()), "{op}: it invites to retry");
    }
    let got = must!(G5, store.get(old.id).await);
    check!(G5, got == Some(old.data.clone()), "get where nothing can be written finds another chunk or none");
    check_eq!(G5, must!(G5, store.stat(old.id).await), Some(old.meta()), "stat of the chunk");
    check_eq!(G5, must!(G5, store.get(x.id).await), None, "a chunk that was refused");
    check_listed!(G7, store, [old.meta()], "the listing");
    Ok(Passed)
}

pub async fn recovers_when_fault_clears(h: &Trial<'_>) -> Outcome {
    let scene = Scene::new(must!(G8, h.open().await)).await?;
    let failing = |fault: &Fault| matches!(fault.expected, Expected::Fails(..));
    let mut faults: Vec<_> = faults(h, scene.store.capabilities()).into_iter().filter(failing).collect();
    faults.sort_by_key(|fault| fault.op.as_str());
    faults.dedup_by_key(|fault| fault.op);
    for (n, fault) in (0..).zip(&faults) {
        scene.prepare(fault.op, n).await?;
        hook!("fault", h.fault(Some(fault)).await);
        // More often than any pool is deep: what each failure leaks is used up.
        for _ in 0..h.pick(70, 300, 300) {
            if scene.act(fault.op, n).await?.is_ok() && fault.op != Op::Flush {
                fail!(G8, "{} with {} was an error, and is Ok now", fault.op.as_str(), fault.cause);
            }
        }
        hook!("fault", h.fault(None).await);
        match tokio::time::timeout(Duration::from_secs(30), scene.check_works(fault, n)).await {
            Ok(works) => works?,
            Err(_) => fail!(G8, "{} hangs after many failures by {}", fault.op.as_str(), fault.cause),
        }
    }
    scene.check_whole().await?;
    if faults.is_empty() { NO_FAULTS } else { Ok(Passed) }
}

pub async fn full_disk_keeps_old_chunks(h: &Trial<'_>) -> Outcome {
    let (store, old, new) = (must!(G8, h.open().await), samples(1, 5, 3000), samples(2, 3, 3000));
    for x in &old {
        must!(G1, store.put(x.id, x.data.clone()).await);
    }
    must!(G4, store.flush().await);
    let is_full =
        |fault: &&Fault| fault.op == Op::Put && fault.expected == Expected::Fails(ErrorKind::Full, false);
    let faults = h.faults();
    let full: Vec<_> = faults.iter().filter(is_full).collect();
    for fault in &full {
        hook!("fault", h.fault(Some(fault)).await);
        for x in &new {
            let kind = store.put(x.id, x.data.clone()).await.err().map(|e| e.kind());
            check_eq!(G8, kind, Some(ErrorKind::Full), format!("put with {}", fault.cause));
            check_eq!(
                G1,
                must!(G5, store.get(x.id).await),
                None,
                format!("a chunk refused by {}", fault.cause)
            );
        }
        for x in &old {
            let got = must!(G5, store.get(x.id).await);
            check!(G1, got.as_ref() == Some(&x.data), "{} cost a chunk that was there", fault.cause);
            // It is there already, so it may succeed; it must not harm.
            let _ = store.put(x.id, x.data.clone()).await;
        }
        hook!("fault", h.fault(None).await);
    }
    for x in old.iter().chain(&new) {
        must!(G8, store.put(x.id, x.data.clone()).await);
        check!(G2, must!(G2, store.get(x.id).await).as_ref() == Some(&x.data), "a chunk once there is space");
    }
    must!(G8, store.flush().await);
    if full.is_empty() { NO_FAULTS } else { Ok(Passed) }
}

pub async fn error_is_small_send_sync_static(h: &Trial<'_>) -> Outcome {
    fn movable<T: Send + Sync + std::error::Error + 'static>(e: T) -> T {
        e
    }
    check_eq!(G8, size_of::<Error>(), size_of::<usize>(), "the size of an error");
    let Some((x, e)) = too_large(h).await? else { return Ok(Weaker("its limit is too high to exceed here")) };
    // It goes to another thread, past the store, and still says what it said.
    let (before, e) = (e.to_string(), movable(e));
    let there = must!(G8, tokio::task::spawn_blocking(move || (e.to_string(), e.chunk())).await);
    check_eq!(G8, there, (before, Some(x.id)), "the error on another thread");
    Ok(Passed)
}
