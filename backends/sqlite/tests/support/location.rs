//! What happens to a store's file behind its back.

// Each test file uses its own part.
#![allow(dead_code, unreachable_pub)]

use std::fs;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use selfenc_backend_tests::Damage;
use selfenc_core::store::ChunkId;

pub type Done = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// A connection that is none of the store's.
pub fn foreign(path: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open(path)?;
    conn.busy_timeout(Duration::from_secs(10))?;
    Ok(conn)
}

/// Where SQLite keeps something beside the file.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Overwrites bytes of the file itself.
pub type Overwrite<'a> = &'a dyn Fn(u64, &[u8]) -> Done;

/// Damages a chunk, by a connection that is none of the store's; `None` for what cannot happen to a row.
pub fn damage(
    conn: &mut Connection,
    overwrite: Overwrite<'_>,
    id: ChunkId,
    damage: Damage,
    max_chunk_len: u64,
) -> Option<Done> {
    Some(match damage {
        Damage::Truncate => edit(conn, id, "substr(data, 1, length(data) / 2)"),
        Damage::FlipBit => flip_bit(conn, id),
        Damage::Extend => edit(conn, id, "CAST(data || x'6d6f7265' AS BLOB)"),
        Damage::Zero => edit(conn, id, "zeroblob(length(data))"),
        Damage::TooLong => edit(conn, id, &format!("zeroblob({})", max_chunk_len + 1)),
        Damage::SwapWith(other) => swap(conn, id, other),
        Damage::Page => overwrite_page(conn, overwrite, id),
        _ => return None,
    })
}

/// The bytes change; the length that the store wrote beside them does not.
fn edit(conn: &Connection, id: ChunkId, data: &str) -> Done {
    let sql = format!("UPDATE bodies SET data = {data} WHERE n = (SELECT n FROM chunks WHERE id = ?1)");
    one_row(conn.execute(&sql, [id.as_bytes()])?)
}

fn flip_bit(conn: &Connection, id: ChunkId) -> Done {
    let find = "SELECT b.n, b.data FROM chunks c JOIN bodies b ON b.n = c.n WHERE c.id = ?1";
    let (n, mut data): (i64, Vec<u8>) =
        conn.query_row(find, [id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let half = data.len() / 2;
    data[half] ^= 1;
    one_row(conn.execute("UPDATE bodies SET data = ?2 WHERE n = ?1", (n, data))?)
}

fn swap(conn: &mut Connection, id: ChunkId, other: ChunkId) -> Done {
    let work = conn.transaction()?;
    let n = |id: ChunkId| {
        work.query_row("SELECT n FROM chunks WHERE id = ?1", [id.as_bytes()], |row| row.get::<_, i64>(0))
    };
    let (a, b) = (n(id)?, n(other)?);
    for (id, n) in [(id, b), (other, a)] {
        work.execute("UPDATE chunks SET n = ?2 WHERE id = ?1", (id.as_bytes(), n))?;
    }
    Ok(work.commit()?)
}

/// Overwrites the page where the chunk's bytes begin, in the file itself.
fn overwrite_page(conn: &Connection, overwrite: Overwrite<'_>, id: ChunkId) -> Done {
    move_log(conn)?;
    // Pages of rows, and not those that a row goes on in.
    let sql = "SELECT pageno FROM dbstat WHERE name = 'bodies' AND pagetype = 'leaf' ORDER BY path LIMIT 1";
    let first: u64 = conn.query_row(sql, [], |row| row.get(0))?;
    let n: i64 = conn.query_row("SELECT n FROM chunks WHERE id = ?1", [id.as_bytes()], |row| row.get(0))?;
    // The first chunk that was put is on the first of them.
    if n != 1 {
        return Err("which page it is on is not known".into());
    }
    let size: u32 = conn.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    overwrite((first - 1) * u64::from(size), &vec![0xa5; size as usize])?;
    touch(conn)
}

/// Whoever has pages in memory reads them again after somebody's commit.
pub fn touch(conn: &Connection) -> Done {
    Ok(conn.execute_batch("PRAGMA user_version = 1")?)
}

/// For a file of the operating system's.
pub fn overwrite_file(path: &Path, at: u64, bytes: &[u8]) -> Done {
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    file.seek(SeekFrom::Start(at))?;
    Ok(file.write_all(bytes)?)
}

fn move_log(conn: &Connection) -> Done {
    let busy: i64 = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy == 0 { Ok(()) } else { Err("the log is in use".into()) }
}

fn one_row(changed: usize) -> Done {
    if changed == 1 { Ok(()) } else { Err(format!("{changed} rows are damaged, should be one").into()) }
}

/// Files that may stand beside a store.
pub const LITTER: [&str; 6] =
    [".DS_Store", "Thumbs.db", "store.db.bak", "store.db-wal.old", "store.db-journal2", "other.db"];

/// Leaves things in the database that are no chunks or roots.
pub fn litter(conn: &Connection) -> Done {
    conn.execute_batch(
        "CREATE TABLE notes (id BLOB PRIMARY KEY, len INTEGER, n INTEGER, data BLOB);
         INSERT INTO notes VALUES (zeroblob(32), 5, 1, 'notes');
         CREATE INDEX by_length ON chunks (len);
         CREATE VIEW lengths AS SELECT len FROM chunks;",
    )?;
    Ok(())
}

/// Copies file and log into another folder as they are at a moment between two transactions: what a
/// killed process leaves.
pub fn copy_as_killed(path: &Path, to: &Path) -> Done {
    let conn = foreign(path)?;
    // Nobody writes to the log, or starts it anew; a checkpoint only copies what is in it.
    loop {
        match conn.execute_batch("BEGIN IMMEDIATE") {
            Err(e) if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
            begun => break begun?,
        }
    }
    for suffix in ["", "-wal"] {
        match fs::copy(beside(path, suffix), beside(to, suffix)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            copied => drop(copied?),
        }
    }
    Ok(conn.execute_batch("ROLLBACK")?)
}
