//! Roots: a row each.
//!
//! The version is a nonce that is fresh for each swap, so it never comes back, not even after the root was
//! removed. `sum` is BLAKE3 of `name_len u16le ‖ name ‖ version ‖ value`: SQLite's pages carry no check, and
//! above a root nobody else has one.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row};
use selfenc_core::store::{Error, ErrorKind, Expect, Result, Root, RootName, RootVersion, Swap};

use crate::change::{Change, Done, Trouble};
use crate::store::SqliteEngine;

pub(crate) const NONCE_LEN: usize = 16;

/// The longest value of a root. Roots are small; this keeps a damaged length from filling memory.
const MAX_VALUE_LEN: usize = 16 << 20;

/// Names per statement of a listing.
const PAGE: usize = 1000;

impl SqliteEngine {
    pub(crate) fn load_root(&self, name: &RootName) -> Result<Option<Root>> {
        self.check_there("load")?;
        let found = self.readers.with(|conn| match read_root(conn, "load", name) {
            Ok(found) => Ok(Ok(found)),
            Err(Trouble::Store(e)) => Ok(Err(e)),
            Err(Trouble::Sqlite(e)) => Err(e),
        });
        let found = found.map_err(|e| self.failed("load", "read", e))??;
        if found.is_none() {
            self.check_there("load")?;
        }
        Ok(found)
    }

    pub(crate) fn swap_root(&self, name: &RootName, expect: &Expect, new: Option<Bytes>) -> Result<Swap> {
        if new.as_ref().is_some_and(|value| value.len() > MAX_VALUE_LEN) {
            let message =
                format!("a root holds at most {MAX_VALUE_LEN} bytes; put larger things into chunks");
            return Err(Error::new(ErrorKind::InvalidInput, "swap", message));
        }
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|e| {
            Error::new(ErrorKind::Other, "swap", "the system gives no randomness for a version")
                .with_source(e)
        })?;
        let change = Change::Swap { name: name.clone(), expect: expect.clone(), new, nonce };
        match self.change("swap", change)? {
            Done::Swapped(swap) => Ok(swap),
            other => Err(Error::new(ErrorKind::Other, "swap", format!("the writer answered {other:?}"))),
        }
    }

    pub(crate) fn root_names(&self) -> Result<Vec<RootName>> {
        self.check_there("names")?;
        let mut names: Vec<RootName> = Vec::new();
        loop {
            let after = names.last().map_or("", RootName::as_str).to_owned();
            let page = self.readers.with(|conn| name_page(conn, &after));
            let page = page.map_err(|e| self.failed("names", "read", e))?;
            let is_last = page.len() < PAGE;
            for name in page {
                names.push(RootName::new(name).map_err(|e| self.damaged_root("names").with_source(e))?);
            }
            if is_last {
                break;
            }
        }
        if names.is_empty() {
            self.check_there("names")?;
        }
        Ok(names)
    }

    fn damaged_root(&self, op: &'static str) -> Error {
        let message = format!("{} holds a root whose name is none; remove that row", self.path().display());
        Error::new(ErrorKind::Corrupt, op, message)
    }
}

fn name_page(conn: &Connection, after: &str) -> rusqlite::Result<Vec<String>> {
    let sql = format!("SELECT name FROM roots WHERE name > ?1 ORDER BY name LIMIT {PAGE}");
    let mut statement = conn.prepare_cached(&sql)?;
    statement.query_map([after], |row| row.get(0))?.collect()
}

/// The root as it is now, checked.
pub(crate) fn read_root(
    conn: &Connection,
    op: &'static str,
    name: &RootName,
) -> Result<Option<Root>, Trouble> {
    // A value that is too long is not read.
    let sql = format!(
        "SELECT version, CASE WHEN length(value) <= {MAX_VALUE_LEN} THEN value END, sum FROM roots WHERE name = ?1"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let parts = |row: &Row<'_>| {
        let value: Option<Vec<u8>> = row.get(1)?;
        Ok((row.get::<_, Vec<u8>>(0)?, value, row.get::<_, Vec<u8>>(2)?))
    };
    let found = statement.query_row([name.as_str()], parts).optional()?;
    let Some((version, value, sum)) = found else { return Ok(None) };
    match value {
        Some(value) if check_sum(name, &version, &value) == *sum => {
            Ok(Some(Root { value: value.into(), version: RootVersion::new(version) }))
        }
        _ => {
            let message = format!("the root {name} is damaged; remove its row, or restore the file");
            Err(Error::new(ErrorKind::Corrupt, op, message).into())
        }
    }
}

pub(crate) fn write_root(
    conn: &Connection,
    name: &RootName,
    value: &[u8],
    nonce: &[u8; NONCE_LEN],
) -> rusqlite::Result<RootVersion> {
    let sum = check_sum(name, nonce, value);
    conn.prepare_cached("INSERT OR REPLACE INTO roots (name, version, value, sum) VALUES (?1, ?2, ?3, ?4)")?
        .execute((name.as_str(), nonce, value, sum))?;
    Ok(RootVersion::new(nonce.to_vec()))
}

pub(crate) fn remove_root(conn: &Connection, name: &RootName) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM roots WHERE name = ?1")?.execute([name.as_str()])?;
    Ok(())
}

fn check_sum(name: &RootName, version: &[u8], value: &[u8]) -> [u8; 32] {
    // `RootName` is at most 255 bytes.
    let name_len = u16::try_from(name.as_str().len()).unwrap_or(u16::MAX);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&name_len.to_le_bytes()).update(name.as_str().as_bytes()).update(version).update(value);
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_a_root() -> (Connection, RootName) {
        let (conn, name) = (Connection::open_in_memory().unwrap(), RootName::new("näme").unwrap());
        conn.execute_batch(crate::schema::TABLES).unwrap();
        write_root(&conn, &name, b"value", &[7; NONCE_LEN]).unwrap();
        (conn, name)
    }

    #[test]
    fn every_damage_of_a_root_is_noticed() {
        for edit in [
            "value = x'76616c7566'",
            "value = x''",
            "value = zeroblob(16777217)",
            "version = zeroblob(16)",
            "sum = zeroblob(32)",
            "name = 'other'",
        ] {
            let (conn, name) = with_a_root();
            assert_eq!(&read_root(&conn, "load", &name).unwrap().unwrap().value[..], b"value");
            conn.execute(&format!("UPDATE roots SET {edit}"), []).unwrap();
            let name = if edit.starts_with("name") { RootName::new("other").unwrap() } else { name };
            let Err(Trouble::Store(e)) = read_root(&conn, "load", &name) else {
                panic!("{edit}: not noticed")
            };
            assert_eq!(e.kind(), ErrorKind::Corrupt, "{edit}: {e}");
        }
    }

    #[test]
    fn a_value_that_is_no_blob_is_an_error() {
        let (conn, name) = with_a_root();
        conn.execute("UPDATE roots SET value = 'value'", []).unwrap();
        assert!(matches!(read_root(&conn, "load", &name), Err(Trouble::Sqlite(_))));
    }
}
