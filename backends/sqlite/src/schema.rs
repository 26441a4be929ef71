//! What is in the file.

use rusqlite::Connection;

/// Marks the file as ours: "SESQ" in its header.
pub(crate) const APPLICATION_ID: i32 = 0x5345_5351;

/// The schema's version, in the header's `user_version`.
pub(crate) const VERSION: i32 = 1;

/// Chunks are in two tables, so that a listing reads only names and lengths, and none of the bytes.
///
/// `bodies` has a key of its own, which ascends: new bytes go to the end of the table, wherever the name
/// belongs. A root's `sum` is BLAKE3 of its name, version and value; see `roots.rs`.
pub(crate) const TABLES: &str = "
    CREATE TABLE bodies (n INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE chunks (
        id BLOB PRIMARY KEY CHECK (typeof(id) = 'blob' AND length(id) = 32),
        len INTEGER NOT NULL CHECK (len >= 0),
        n INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE roots (
        name TEXT PRIMARY KEY NOT NULL,
        version BLOB NOT NULL,
        value BLOB NOT NULL,
        sum BLOB NOT NULL
    );
";

/// A write that changes nothing: it puts a frame at the end of the log, whose sync covers all before it.
pub(crate) const TOUCH: &str = "PRAGMA user_version = 1";

/// A pragma's number.
pub(crate) fn number(conn: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    conn.prepare_cached(&format!("PRAGMA {pragma}"))?.query_row([], |row| row.get(0))
}

/// Whether our tables are there and are as [`TABLES`] says, without triggers. Other tables, views and
/// indexes are harmless.
pub(crate) fn has_tables(conn: &Connection) -> rusqlite::Result<bool> {
    let made = Connection::open_in_memory()?;
    made.execute_batch(TABLES)?;
    Ok(definitions(conn)? == definitions(&made)?)
}

/// Of our tables and their triggers, in one spacing.
fn definitions(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT type || ' ' || sql FROM sqlite_schema WHERE type IN ('table', 'trigger') \
        AND lower(tbl_name) IN ('bodies', 'chunks', 'roots') ORDER BY name LIMIT 4";
    let spaced = |row: &rusqlite::Row<'_>| {
        Ok(row.get::<_, String>(0)?.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    conn.prepare(sql)?.query_map([], spaced)?.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_touch_keeps_the_version() {
        assert!(TOUCH.ends_with(&format!("= {VERSION}")));
    }

    #[test]
    fn a_listing_reads_no_bytes() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(TABLES).unwrap();
        let sql = format!("EXPLAIN QUERY PLAN {}", crate::store::PAGE_AFTER);
        let plan: String = conn.query_row(&sql, [[0_u8; 32]], |row| row.get(3)).unwrap();
        assert!(plan.starts_with("SEARCH chunks USING PRIMARY KEY (id>"), "{plan}");
    }
}
