//! Closures that borrow, fail, panic and call back; outside of async runtimes and inside.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::rc::Rc;
use std::thread;

use selfenc::classic::functions::{
    DataMap, XorName, decrypt, decrypt_from_storage, encrypt, get_root_data_map, get_root_data_map_parallel,
    stream_encrypt, streaming_decrypt, streaming_decrypt_from_storage, streaming_encrypt_from_file,
};
use selfenc::compat::Generation;
use selfenc::{Bytes, Error, Result, store};

use crate::{Storage, cutting, in_time, many, one, random, written};

fn refused() -> Error {
    store::Error::new(store::ErrorKind::Full, "put", "on purpose").into()
}

fn is_refused<T>(result: Result<T>) -> bool {
    matches!(result, Err(Error::Store(e)) if e.kind() == store::ErrorKind::Full)
}

/// Neither `Send` nor `'static`.
#[test]
fn closures_may_borrow_what_cannot_leave_the_thread() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("input"), folder.path().join("output"));
    let data = random(1, 100_000);
    fs::write(&input, &data).unwrap();
    let storage = Rc::new(RefCell::new(HashMap::new()));
    let here = thread::current().id();
    let map = cutting(Generation::Two, 1024)
        .streaming_encrypt_from_file(&input, |name, content| {
            assert_eq!(thread::current().id(), here);
            storage.borrow_mut().insert(name, content);
            Ok(())
        })
        .unwrap();
    let get = |name| Ok(Rc::clone(&storage).borrow()[&name].clone());
    decrypt_from_storage(&map, &output, get).unwrap();
    assert!(fs::read(&output).unwrap() == data);
    // The first chunk of a map is fetched once, although the reader looks at it twice.
    let asked = RefCell::new(HashMap::new());
    decrypt_from_storage(&map, &output, |name| {
        *asked.borrow_mut().entry(name).or_insert(0) += 1;
        get(name)
    })
    .unwrap();
    assert!(asked.borrow().values().all(|times| *times == 1));
}

/// Every function that takes one, with one that fails at its `nth` call.
fn failing(nth: usize, fail: impl Fn() -> Error + Copy) -> Vec<Result<()>> {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    let output = folder.path().join("output");
    let data = random(1, 10_000);
    fs::write(&input, &data).unwrap();
    let (map, storage) = written(Generation::Two, &data, 300);
    let root = get_root_data_map(map.clone(), &mut one(&storage)).unwrap();
    let encryption = cutting(Generation::Two, 300);
    let left = Cell::new(nth);
    let count = || {
        let calls = left.get();
        left.set(calls.saturating_sub(1));
        if calls == 0 { Err(fail()) } else { Ok(()) }
    };
    let store = |_: XorName, _: Bytes| count();
    let get = |name: XorName| count().and_then(|()| one(&storage)(name));
    let get_many = |wanted: &[(usize, XorName)]| count().and_then(|()| many(&storage)(wanted));
    let files = || fs::read_dir(folder.path()).unwrap().count();

    let mut results = Vec::new();
    let mut run = |function: &dyn Fn() -> Result<()>| {
        left.set(nth);
        results.push(function());
        assert_eq!(files(), 1, "nothing is left beside the input");
        assert_eq!(left.get(), 0, "it is not called again");
    };
    run(&|| encryption.streaming_encrypt_from_file(&input, store).map(drop));
    run(&|| encryption.shrink_data_map(root.clone(), store).map(drop));
    run(&|| decrypt_from_storage(&map, &output, get));
    run(&|| streaming_decrypt_from_storage(&map, &output, get_many));
    run(&|| get_root_data_map(map.clone(), &mut { get }).map(drop));
    run(&|| get_root_data_map_parallel(map.clone(), &get_many).map(drop));
    run(&|| streaming_decrypt(&map, get_many)?.range_full().map(drop));
    run(&|| streaming_decrypt(&map, get_many)?.collect::<Result<Vec<_>>>().map(drop));
    results
}

#[test]
fn a_closure_that_fails_ends_it_with_its_error() {
    in_time(|| {
        for nth in [0, 1] {
            for (at, result) in failing(nth, refused).into_iter().enumerate() {
                assert!(is_refused(result), "function {at}, call {nth}");
            }
        }
    });
}

#[test]
fn a_closure_that_panics_ends_it_with_its_panic() {
    in_time(|| {
        let folder = tempfile::tempdir().unwrap();
        let (input, output) = (folder.path().join("input"), folder.path().join("output"));
        let data = random(1, 10_000);
        fs::write(&input, &data).unwrap();
        let (map, storage) = written(Generation::Two, &data, 300);
        let root = get_root_data_map(map.clone(), &mut one(&storage)).unwrap();
        let encryption = cutting(Generation::Two, 300);
        let get_many = |_: &[(usize, XorName)]| -> Result<Vec<(usize, Bytes)>> { panic!("on purpose") };
        let store = |_: XorName, _: Bytes| -> Result<()> { panic!("on purpose") };
        let get = |_: XorName| -> Result<Bytes> { panic!("on purpose") };
        let functions: [&dyn Fn() -> Result<()>; 7] = [
            &|| encryption.streaming_encrypt_from_file(&input, store).map(drop),
            &|| encryption.shrink_data_map(root.clone(), store).map(drop),
            &|| decrypt_from_storage(&map, &output, get),
            &|| streaming_decrypt_from_storage(&map, &output, get_many),
            &|| get_root_data_map(map.clone(), &mut { get }).map(drop),
            &|| get_root_data_map_parallel(map.clone(), &get_many).map(drop),
            &|| streaming_decrypt(&root, get_many)?.range_full().map(drop),
        ];
        for (at, function) in functions.into_iter().enumerate() {
            let panic = catch_unwind(AssertUnwindSafe(function)).unwrap_err();
            assert_eq!(panic.downcast_ref(), Some(&"on purpose"), "function {at}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "function {at}");
        }
        // An iterator that panics leaves a stream that has ended.
        let mut stream = stream_encrypt(10, (0..).map(|_| -> Bytes { panic!("on purpose") })).unwrap();
        let panic = catch_unwind(AssertUnwindSafe(|| stream.chunks().count())).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"on purpose"));
        assert!(stream.chunks().next().is_none() && stream.datamap().is_none());
        // Nobody is the worse for it.
        let (map, chunks) = encrypt(data.clone().into()).unwrap();
        assert_eq!(decrypt(&map, &chunks).unwrap(), data);
    });
}

/// A closure calls the functions itself.
#[test]
fn closures_may_call_back() {
    in_time(|| {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("input");
        fs::write(&input, random(1, 5000)).unwrap();
        let (mut outer, mut inner) = (Storage::new(), Vec::new());
        let map = streaming_encrypt_from_file(&input, |name, content| {
            inner.push(encrypt(content.clone())?);
            outer.insert(name, content);
            Ok(())
        })
        .unwrap();
        let get = |name| {
            let (map, chunks) =
                inner.iter().find(|(map, chunks)| decrypt(map, chunks).unwrap() == outer[&name]).unwrap();
            decrypt(map, chunks)
        };
        let names: Vec<_> = map.infos().iter().map(|info| info.dst_hash).collect();
        assert!(names.iter().all(|name| get(*name).unwrap() == outer[name]));
        decrypt_from_storage(&map, &folder.path().join("output"), get).unwrap();
        assert!(fs::read(folder.path().join("output")).unwrap() == random(1, 5000));
    });
}

/// More requests than a task of tokio may make before it has to yield, which nobody could here.
fn everything(folder: &Path) {
    let (input, output) = (folder.join("input"), folder.join("output"));
    let data = random(1, 200_000);
    fs::write(&input, &data).unwrap();
    let encryption = cutting(Generation::Two, 200);
    let mut storage = Storage::new();
    let map = encryption
        .streaming_encrypt_from_file(&input, |name, content| {
            storage.insert(name, content);
            Ok(())
        })
        .unwrap();
    assert!(storage.len() > 1000);
    decrypt_from_storage(&map, &output, one(&storage)).unwrap();
    assert!(fs::read(&output).unwrap() == data);
    streaming_decrypt_from_storage(&map, &output, many(&storage)).unwrap();
    assert!(fs::read(&output).unwrap() == data);
    let (map, chunks) = encryption.encrypt(data.clone().into()).unwrap();
    assert!(decrypt(&map, &chunks).unwrap() == data);
    let mut stream =
        encryption.stream_encrypt(data.len(), data.chunks(100).map(Bytes::copy_from_slice)).unwrap();
    assert!(stream.chunks().all(|chunk| chunk.is_ok()));
    assert_eq!(stream.into_datamap().unwrap(), map);
}

#[test]
fn functions_work_outside_of_a_runtime() {
    in_time(|| everything(tempfile::tempdir().unwrap().path()));
}

#[test]
fn functions_work_inside_of_a_runtime() {
    in_time(|| {
        let folder = tempfile::tempdir().unwrap();
        let one_thread = tokio::runtime::Builder::new_current_thread().build().unwrap();
        one_thread.block_on(async { everything(folder.path()) });
        let many_threads = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let path = folder.path().to_owned();
        many_threads.block_on(async { tokio::spawn(async move { everything(&path) }).await.unwrap() });
    });
}

/// A stream that was begun here goes on there.
#[test]
fn streams_may_move_to_another_thread() {
    let data = random(1, 20_000);
    let pieces: Vec<_> = data.chunks(999).map(Bytes::copy_from_slice).collect();
    let mut stream = cutting(Generation::Two, 1000).stream_encrypt(20_000, pieces.into_iter()).unwrap();
    let mut storage: Storage = stream.chunks().take(5).map(Result::unwrap).collect();
    let (rest, map): (Storage, DataMap) = in_time(move || {
        let rest = stream.chunks().map(Result::unwrap).collect();
        (rest, stream.into_datamap().unwrap())
    });
    assert_eq!(storage.len(), 5);
    storage.extend(rest);
    assert!(streaming_decrypt(&map, many(&storage)).unwrap().range_full().unwrap() == data);
    // One that is dropped on its way leaves nothing waiting.
    let mut dropped = stream_encrypt(100_000, std::iter::repeat(Bytes::from_static(b"ten bytes!"))).unwrap();
    assert!(dropped.chunks().last().unwrap().is_err());
    drop(cutting(Generation::Two, 1000).stream_encrypt(20_000, std::iter::empty()).unwrap());
}
