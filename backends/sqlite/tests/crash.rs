//! Power cuts. Random work on a store on a simulated disk, the power off at a random step, the store opened
//! again, everything checked; then on with what is left, so that later cuts meet the litter of earlier ones.
//! Every failure prints its seed, and the seed replays it: `SELFENC_SEED=17 cargo test --test crash`.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

#[path = "support/vfs/mod.rs"]
mod vfs;

use std::thread;

use selfenc_core::store::{BlockingEngine, Durability, ErrorKind, OpenMode};
use vfs::content::Geometry;
use vfs::model::{ALL, Fate, Model, Run};
use vfs::store::{Rig, Store};
use vfs::world::{Rates, SimDisk};
use vfs::{Rng, chunk};

/// Crashes for each seed.
const LIVES: u64 = 20;

const GEOMETRIES: [Geometry; 4] = [
    Geometry { sector: 512, powersafe: true },
    Geometry { sector: 512, powersafe: false },
    Geometry { sector: 4096, powersafe: true },
    Geometry { sector: 4096, powersafe: false },
];

const NO_FAULTS: Rates = Rates { sync: 0, no_space: 0, other: 0 };
const SOME_FAULTS: Rates = Rates { sync: 60, no_space: 30, other: 3 };

/// Odd seeds have faults. After a failed sync a log is written anew, which is safe only on a powersafe disk.
fn geometry(seed: u64) -> Geometry {
    let geometry = GEOMETRIES[(seed / 2) as usize % 4];
    Geometry { powersafe: geometry.powersafe || seed % 2 == 1, ..geometry }
}

fn run(seed: u64, durability: Durability) -> Run {
    let page_size = [4096, 4096, 8192, 16384][seed as usize / 8 % 4];
    let disk = SimDisk::new(seed, geometry(seed));
    Run::new(Rig { disk, durability, page_size }, seed)
}

/// One seed's lives.
fn lives(run: &mut Run, rates: Rates) -> Result<(), String> {
    drop(run.rig.open(OpenMode::Create).map_err(|e| e.to_string())?);
    for life in 0..LIVES {
        let in_life = |e| format!("life {life}: {e}");
        let store = run.reopen().map_err(in_life)?;
        run.check_all(&store).map_err(in_life)?;
        let mut handles = vec![store];
        // Where syncs fail, another process cannot know what to distrust.
        if rates.sync == 0 && run.rng.chance(300) {
            handles.push(run.rig.open(OpenMode::Existing).map_err(|e| in_life(e.to_string()))?);
        }
        run.rig.disk.set_rates(rates);
        run.live(&mut handles, rates.sync > 0).map_err(in_life)?;
        run.rig.disk.set_rates(NO_FAULTS);
        if rates.sync == 0 && run.rng.chance(200) {
            run.rig.disk.kill();
        } else {
            run.rig.disk.power_cut();
        }
        drop(handles);
    }
    let store = run.reopen()?;
    run.check_all(&store)
}

/// Runs 500 seeds on two threads, or only the one that is to be replayed.
fn survive(durability: Durability, seeds: std::ops::Range<u64>) {
    let one = |seed: u64| {
        let rates = if seed.is_multiple_of(2) { NO_FAULTS } else { SOME_FAULTS };
        if let Err(problem) = lives(&mut run(seed, durability), rates) {
            panic!("SELFENC_SEED={seed} {durability:?}: {problem}");
        }
        LIVES
    };
    if let Ok(seed) = std::env::var("SELFENC_SEED") {
        one(seed.parse().unwrap());
        return;
    }
    let survived: u64 = thread::scope(|scope| {
        let halves = [0, 1].map(|half| {
            let seeds = seeds.clone().filter(move |seed| seed / 2 % 2 == half);
            scope.spawn(move || seeds.map(one).sum::<u64>())
        });
        halves.into_iter().map(|half| half.join().expect("see above")).sum()
    });
    assert_eq!(survived, 10_000);
}

#[test]
fn ten_thousand_crashes_on_put() {
    survive(Durability::OnPut, 0..500);
}

#[test]
fn ten_thousand_crashes_on_flush() {
    survive(Durability::OnFlush, 10_000..10_500);
}

/// The simulation must catch a store whose syncs do nothing.
#[test]
fn on_a_lying_disk_losses_are_found() {
    for durability in [Durability::OnPut, Durability::OnFlush] {
        let problems = (0..30).filter_map(|seed| {
            let mut run = run(2 * seed, durability);
            drop(run.rig.open(OpenMode::Create).unwrap());
            run.rig.disk.ignore_syncs();
            lives(&mut run, NO_FAULTS).err()
        });
        let problems: Vec<_> = problems.collect();
        assert!(problems.len() > 20, "{durability:?}: only {problems:?}");
        assert!(problems.iter().any(|p| p.contains("is lost")), "{durability:?}: {problems:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = || {
        let mut run = run(78, Durability::OnPut);
        lives(&mut run, NO_FAULTS).unwrap();
        (run.rig.disk.steps(), format!("{:?}", run.model))
    };
    assert_eq!(run(), run());
}

/// Making a store, with the power off, or the process killed, at every single step.
#[test]
fn an_interrupted_making_is_completed_by_the_next() {
    let steps = {
        let run = run(0, Durability::OnPut);
        drop(run.rig.open(OpenMode::Create).unwrap());
        run.rig.disk.steps()
    };
    assert!(steps > 8, "{steps} steps");
    for at in 1..=steps {
        for seed in 0..40 {
            let mut run = run(seed << 32 | at << 1, Durability::OnPut);
            run.rig.disk.cut_after(at);
            drop(run.rig.open(OpenMode::Create));
            if seed.is_multiple_of(4) {
                run.rig.disk.kill();
            } else {
                run.rig.disk.power_cut();
            }
            let context = |e| format!("seed {seed} step {at}: {e}");
            if seed % 2 == 1 {
                // It is whole, or it is none and is left for somebody to complete.
                match run.rig.open(OpenMode::Existing) {
                    Ok(_) => {}
                    Err(e) => assert_eq!(e.kind(), ErrorKind::ContainerMissing, "{}", context(e.to_string())),
                }
            }
            let store = run.rig.open(OpenMode::Create).map_err(|e| context(e.to_string())).unwrap();
            assert!(run.put(&store, 0, 2), "seed {seed} step {at}");
            // The store is still open when the power goes off: nothing is moved into the file.
            run.rig.disk.power_cut();
            drop(store);
            let store = run.reopen().map_err(context).unwrap();
            run.check_all(&store).map_err(context).unwrap();
        }
    }
}

/// Short work and the end of the store, with the power off at every single step, many times each.
#[test]
fn cut_at_every_step() {
    for durability in [Durability::OnPut, Durability::OnFlush] {
        for seed in (0..6).map(|n| 2 * n) {
            let mut made = run(seed, durability);
            let store = made.rig.open(OpenMode::Create).unwrap();
            for n in [1, 7, 20] {
                assert!(made.put(&store, 0, n));
            }
            assert!(made.flush(&store, 0));
            drop(store);
            let mut ended = false;
            for at in 1.. {
                for fate in 0..6 {
                    let mut run = made.fork(seed ^ fate << 32 ^ at << 40);
                    let store = run.rig.open(OpenMode::Existing).unwrap();
                    run.rig.disk.cut_after(at);
                    for n in [3, 5, 7] {
                        run.put(&store, 0, n);
                    }
                    run.delete(&store, 0, 1);
                    run.publish(&store, 0);
                    run.put(&store, 0, 6);
                    run.flush(&store, 0);
                    drop(store);
                    ended = !run.rig.disk.is_cut();
                    run.rig.disk.power_cut();
                    let check = run.reopen().and_then(|store| run.check_all(&store));
                    check.unwrap_or_else(|e| panic!("{durability:?} seed {seed} step {at} fate {fate}: {e}"));
                }
                if ended {
                    assert!(at > 20, "only {at} steps");
                    break;
                }
            }
        }
    }
}

/// Many threads work at the same time, so that their chunks are committed together.
#[test]
fn cut_while_many_work() {
    for seed in 0..100_u64 {
        let durability = [Durability::OnPut, Durability::OnFlush][seed as usize % 2];
        let mut run = run(2 * seed, durability);
        drop(run.rig.open(OpenMode::Create).unwrap());
        for life in 0..5 {
            let store = run.reopen().unwrap_or_else(|e| panic!("seed {seed} life {life}: {e}"));
            run.check_all(&store).unwrap_or_else(|e| panic!("seed {seed} life {life}: {e}"));
            run.rig.disk.cut_after(1 + run.rng.below(300));
            many_work(&mut run.model, &store, durability, seed << 8 | life);
            if run.rng.chance(200) {
                run.rig.disk.kill();
            } else {
                run.rig.disk.power_cut();
            }
            drop(store);
        }
        let store = run.reopen().unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        run.check_all(&store).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    }
}

/// Eight threads put and delete chunks of their own until nothing works any more.
fn many_work(model: &mut Model, store: &Store, durability: Durability, seed: u64) {
    let before = &model.clone();
    let done: Vec<Model> = thread::scope(|scope| {
        let threads = (0..8).map(|thread| {
            scope.spawn(move || {
                let mut own = before.only(|n| n % 8 == thread);
                let mut rng = Rng(seed << 8 | thread);
                for _ in 0..1000 {
                    let n = rng.below(ALL / 8) * 8 + thread;
                    let (fate, ok) = match rng.chance(300) {
                        true => (Fate::Absent, store.delete(chunk(n).0).is_ok()),
                        false => (Fate::Present, store.put(chunk(n).0, &chunk(n).1).is_ok()),
                    };
                    own.acted(n, 0, fate, ok, durability);
                    if !ok {
                        return own;
                    }
                    if rng.chance(100) && store.flush().is_ok() {
                        own.flushed(0);
                    }
                }
                panic!("the power never went off");
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    done.into_iter().for_each(|own| model.merge(own));
}
