//! The simulated disk itself, under SQLite alone: with synchronous=FULL nothing acknowledged is lost, and
//! what should be caught is.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

#[path = "support/vfs/mod.rs"]
mod vfs;

use rusqlite::{Connection, OpenFlags};
use vfs::Rng;
use vfs::content::Geometry;
use vfs::world::SimDisk;

const GEOMETRIES: [Geometry; 3] = [
    Geometry { sector: 512, powersafe: false },
    Geometry { sector: 4096, powersafe: false },
    Geometry { sector: 4096, powersafe: true },
];

fn connect(vfs: &str) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags_and_vfs("/db", OpenFlags::default(), vfs)?;
    conn.pragma_update(None, "page_size", 4096)?;
    Ok(conn)
}

fn numbers(conn: &Connection) -> rusqlite::Result<Vec<i64>> {
    conn.prepare("SELECT n FROM t ORDER BY n")?.query_map([], |row| row.get(0))?.collect()
}

/// Inserts rows until the power goes off; which were acknowledged.
fn work(conn: &Connection, from: i64, rng: &mut Rng) -> Vec<i64> {
    let mut acknowledged = Vec::new();
    for n in from.. {
        let len = rng.below(9000) as usize;
        let insert = conn.execute("INSERT INTO t VALUES (?1, ?2)", (n, vec![n as u8; len]));
        if insert.is_err() {
            break;
        }
        acknowledged.push(n);
        if rng.chance(150) && conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).is_err() {
            break;
        }
    }
    acknowledged
}

/// Cuts the power many times; how often something was lost or broken.
fn losses(journal: &str, synchronous: &str, lying: bool, seeds: i64) -> i64 {
    let mut lost = 0;
    for seed in 0..seeds {
        let disk = SimDisk::new(seed as u64, GEOMETRIES[seed as usize % 3]);
        let process = disk.process(false);
        let conn = connect(process.name()).unwrap();
        conn.pragma_update(None, "journal_mode", journal).unwrap();
        conn.pragma_update(None, "synchronous", synchronous).unwrap();
        conn.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY, data BLOB)").unwrap();
        // SQLite leaves to others to sync the name of the file itself.
        disk.sync_folder();
        if lying {
            disk.ignore_syncs();
        }
        let mut rng = Rng(seed as u64);
        disk.cut_after(1 + rng.below(60));
        let acknowledged = work(&conn, 0, &mut rng);
        drop((conn, process));
        disk.power_cut();
        let process = disk.process(false);
        let check = || -> rusqlite::Result<bool> {
            let conn = connect(process.name())?;
            let found = numbers(&conn)?;
            let ok: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
            Ok(ok == "ok" && found.starts_with(&acknowledged) && found.len() <= acknowledged.len() + 1)
        };
        let found = check();
        lost += i64::from(!matches!(found, Ok(true)));
    }
    lost
}

#[test]
fn sqlite_loses_nothing_with_syncs() {
    assert_eq!(losses("WAL", "FULL", false, 300), 0);
    assert_eq!(losses("DELETE", "EXTRA", false, 300), 0);
}

#[test]
fn without_syncs_losses_are_found() {
    for (journal, synchronous, lying) in
        [("WAL", "FULL", true), ("WAL", "NORMAL", false), ("WAL", "OFF", false), ("DELETE", "OFF", false)]
    {
        let lost = losses(journal, synchronous, lying, 100);
        assert!(lost > 20, "{journal} {synchronous} {lying}: only {lost} of 100");
    }
}

/// Two connections share the log through the simulated memory, also while both write.
#[test]
fn connections_see_each_other_and_take_turns() {
    let disk = SimDisk::new(1, GEOMETRIES[0]);
    let process = disk.process(false);
    let one = connect(process.name()).unwrap();
    one.pragma_update(None, "journal_mode", "WAL").unwrap();
    one.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY, data BLOB)").unwrap();
    std::thread::scope(|scope| {
        for thread in 0..3_i64 {
            let conn = connect(process.name()).unwrap();
            conn.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
            scope.spawn(move || {
                for n in 0..100 {
                    conn.execute("INSERT INTO t VALUES (?1, x'00')", [thread * 100 + n]).unwrap();
                    assert!(numbers(&conn).unwrap().contains(&(thread * 100 + n)));
                }
            });
        }
    });
    assert_eq!(numbers(&one).unwrap(), (0..300).collect::<Vec<_>>());
}

#[test]
fn the_dead_have_no_effect() {
    let disk = SimDisk::new(1, GEOMETRIES[0]);
    let old = disk.process(false);
    let conn = connect(old.name()).unwrap();
    conn.pragma_update(None, "journal_mode", "WAL").unwrap();
    conn.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY, data BLOB); BEGIN IMMEDIATE").unwrap();
    conn.execute("INSERT INTO t VALUES (1, x'00')", []).unwrap();
    disk.kill();
    let process = disk.process(false);
    let next = connect(process.name()).unwrap();
    assert_eq!(numbers(&next).unwrap(), [0; 0]);
    next.execute("INSERT INTO t VALUES (2, x'00')", []).unwrap();
    conn.execute_batch("COMMIT").unwrap_err();
    drop(conn);
    assert_eq!(numbers(&next).unwrap(), [2]);
}
