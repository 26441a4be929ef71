//! The one connection that writes: its transactions, and what has to be known about their durability.
//!
//! A commit with `synchronous=FULL` syncs the log up to and with its own frames, whoever wrote those before
//! it. So a durable transaction needs no checkpoint, and a flush is a small one. One that finds nothing to
//! write (all its chunks are there already) may rest on frames that another process has not synced; then
//! it touches the header, so that there is a frame to sync.
//!
//! # After a failed sync
//!
//! The system may have dropped what it could not write, and the next sync succeeds without it. The frames
//! of the failed commit are harmless: SQLite does not count them, and the next commit overwrites them. Those
//! before them are not, if they were committed without a sync, by this process or another: what comes after
//! them in the log is worth nothing without them. A checkpoint must not run either, for the file would then
//! be ahead of the log. So from then on nothing is acknowledged until it has *healed*: in a transaction, so
//! that nobody else writes to the log, its bytes are written anew where they stand, and a durable commit
//! follows. Connections stay open: one that opened the log alone would count the failed commit.
//!
//! A log that somebody left is in doubt as well, until the first write: its last frames may be those of a
//! commit whose sync failed, which whoever opens the log takes for a good one.
//!
//! A checkpoint whose sync of the file failed writes all its pages again the next time, with one exception:
//! pages that an earlier one had written when it stopped short for a reader. After that no checkpoint is
//! made any more, and the log stays when the store is closed, since the next to open it starts from its
//! beginning.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};

use crate::change::Trouble;
use crate::connect::Connector;
use crate::error::{has_code, is_failed_sync};
use crate::readers::Readers;
use crate::schema::{TOUCH, number};

/// The log is moved into the file when about this much was written to it. A chunk is written twice in any
/// case; the fewer checkpoints, the fewer syncs of the file.
const CHECKPOINT_BYTES: u64 = 16 << 20;

/// Beyond this the log does not grow for want of a moment without readers: such a moment is made.
const MAX_LOG_BYTES: u64 = 64 << 20;

/// How long readers of other processes are waited for then.
const MOMENT: Duration = Duration::from_millis(100);

/// Pages that are free and stay so: they are soon used again.
const SLACK_PAGES: i64 = 32;

/// And one page in so many.
const SLACK_SHARE: i64 = 8;

/// The mode of `auto_vacuum` in which pages can be given back. A file that was dumped and restored has lost it.
const INCREMENTAL: i64 = 2;

/// How much is given back in one transaction.
const GIVE_BACK_BYTES: i64 = 4 << 20;

/// What is written for a change besides its bytes, in pages: the leaves of both tables and a way to them.
const PAGES_PER_CHANGE: u64 = 4;

pub(crate) struct Link {
    connector: Connector,
    readers: Arc<Readers>,
    /// Whether every transaction is durable, and not only those that ask for it.
    on_put: bool,
    conn: Option<Connection>,
    /// Whether the connection's `synchronous` is FULL.
    full: Option<bool>,
    /// The data version at which everything in the database was known to be durable.
    settled: Option<i64>,
    /// About how many bytes were written to the log since it was last moved into the file.
    logged: u64,
    /// Pages were given back, and the file has not become shorter yet.
    shrunk: bool,
    /// A sync failed; see above.
    in_doubt: bool,
    /// It is in doubt only because there was a log when it was opened.
    inherited: bool,
    /// The last checkpoint stopped short, and did not sync the pages that it wrote.
    partial: bool,
    /// No checkpoint may be made any more.
    stuck: bool,
}

/// Where a transaction failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing was tried yet.
    Begin,
    /// One of the changes failed.
    Work,
    Commit,
}

impl Link {
    pub(crate) fn new(connector: Connector, readers: Arc<Readers>, on_put: bool, conn: Connection) -> Self {
        // Nobody knows how the last sync of a log went that somebody left.
        let inherited = connector.vfs.is_some() || connector.has_log();
        Self {
            connector,
            readers,
            on_put,
            conn: Some(conn),
            full: None,
            settled: None,
            logged: 0,
            shrunk: false,
            in_doubt: inherited,
            inherited,
            partial: false,
            stuck: false,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.connector.path
    }

    /// Runs `work` in a transaction. `count` and `bytes` say about how much it will write.
    ///
    /// After an error nothing of it has happened, except that a failed sync may turn out to have been none
    /// when the machine crashes.
    pub(crate) fn transaction<T>(
        &mut self,
        durable: bool,
        (count, bytes): (usize, usize),
        work: impl FnOnce(&Connection) -> Result<T, Trouble>,
    ) -> Result<T, (Stage, Trouble)> {
        let durable = durable || self.on_put;
        let begun = self.ready(durable).and_then(|()| self.with(|conn| run(conn, "BEGIN IMMEDIATE")));
        begun.map_err(|e| (Stage::Begin, self.abandon(e.into())))?;
        let settled = self.settled;
        let worked = self.with(|conn| Ok(in_transaction(conn, durable, settled, work)));
        let (done, version, wrote) =
            worked.unwrap_or_else(|e| Err(e.into())).map_err(|e| (Stage::Work, self.abandon(e)))?;
        self.with(|conn| run(conn, "COMMIT")).map_err(|e| (Stage::Commit, self.abandon(e.into())))?;
        if wrote {
            self.settled = durable.then_some(version);
            let pages = PAGES_PER_CHANGE * count as u64 * self.page_size();
            self.logged += bytes as u64 + pages;
        }
        Ok(done)
    }

    /// Moves the log into the file if it has become long. What fails is tried again later.
    pub(crate) fn tidy(&mut self) {
        if self.in_doubt
            && let Err(error) = self.heal()
        {
            tracing::debug!(%error, "the log is still in doubt");
        }
        if self.logged < CHECKPOINT_BYTES {
            return;
        }
        self.logged = 0;
        let frames = self.checkpoint("PASSIVE");
        if frames.saturating_mul(self.page_size()) > MAX_LOG_BYTES {
            let readers = Arc::clone(&self.readers);
            let _quiet = readers.hush();
            // Those of other processes are not waited for: everybody here waits meanwhile.
            let patience = self.connector.busy_timeout;
            let waiting = self.with(|conn| conn.busy_timeout(patience.min(MOMENT)));
            self.checkpoint("TRUNCATE");
            if let Err(error) = waiting.and_then(|()| self.with(|conn| conn.busy_timeout(patience))) {
                tracing::debug!(%error, "the busy timeout is not as it should be");
            }
        }
    }

    /// Gives back free pages at the end of the file, some of them; whether there are more.
    pub(crate) fn give_back(&mut self) -> bool {
        match self.try_give_back() {
            Ok(more) => more,
            Err(error) => {
                tracing::debug!(?error, "free pages stay in the file");
                false
            }
        }
    }

    /// Makes the file shorter by the pages that were given back.
    pub(crate) fn shorten(&mut self) {
        if self.shrunk {
            self.shrunk = false;
            self.checkpoint("PASSIVE");
        }
    }

    fn try_give_back(&mut self) -> Result<bool, (Stage, Trouble)> {
        let begin = |e: rusqlite::Error| (Stage::Begin, Trouble::from(e));
        if self.in_doubt {
            return Ok(false);
        }
        let slack = |conn: &Connection| {
            if number(conn, "auto_vacuum")? != INCREMENTAL {
                return Ok(false);
            }
            let free = number(conn, "freelist_count")?;
            Ok(free > SLACK_PAGES && free > number(conn, "page_count")? / SLACK_SHARE)
        };
        if !self.with(slack).map_err(begin)? {
            return Ok(false);
        }
        let page_size = self.page_size();
        let pages = GIVE_BACK_BYTES / i64::try_from(page_size).unwrap_or(i64::MAX).max(1);
        self.transaction(false, (0, 0), |conn| {
            let mut statement = conn.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
            let mut rows = statement.query([])?;
            // Each row is a page.
            while rows.next()?.is_some() {}
            Ok(())
        })?;
        self.settled = None;
        self.shrunk = true;
        self.logged += u64::try_from(GIVE_BACK_BYTES).unwrap_or(0);
        self.with(slack).map_err(begin)
    }

    /// A connection, with its past settled and `synchronous` as it has to be.
    fn ready(&mut self, durable: bool) -> rusqlite::Result<()> {
        if self.in_doubt {
            self.heal()?;
        }
        if self.conn.is_none() {
            self.conn = Some(self.connector.writer(false)?);
            (self.full, self.settled) = (None, None);
        }
        if self.full != Some(durable) {
            // With NORMAL, the log is synced before it is moved into the file, and not at commits.
            let level = if durable { "FULL" } else { "NORMAL" };
            self.with(|conn| conn.execute_batch(&format!("PRAGMA synchronous = {level}")))?;
            self.full = Some(durable);
        }
        Ok(())
    }

    fn heal(&mut self) -> rusqlite::Result<()> {
        if self.conn.is_none() {
            self.conn = Some(self.connector.writer(false)?);
        }
        self.full = None;
        let healed = self.with(|conn| {
            conn.execute_batch("PRAGMA synchronous = FULL")?;
            run(conn, "BEGIN IMMEDIATE")?;
            self.connector.rewrite_log()?;
            conn.execute_batch(TOUCH)?;
            run(conn, "COMMIT")
        });
        if let Err(e) = healed {
            self.roll_back();
            return Err(e);
        }
        tracing::debug!(path = %self.path().display(), "the log was written anew");
        (self.in_doubt, self.inherited) = (false, false);
        (self.full, self.settled) = (Some(true), None);
        Ok(())
    }

    /// Undoes what was begun, and remembers if a sync failed.
    fn abandon(&mut self, trouble: Trouble) -> Trouble {
        if let Trouble::Sqlite(e) = &trouble {
            self.note_sync(e);
        }
        self.settled = None;
        self.roll_back();
        trouble
    }

    fn roll_back(&mut self) {
        let clean = self.conn.as_ref().is_none_or(|conn| {
            // Some errors end the transaction by themselves.
            conn.is_autocommit() || (run(conn, "ROLLBACK").is_ok() && conn.is_autocommit())
        });
        if !clean {
            self.close_as_it_is();
        }
    }

    /// Closes the connection and leaves the log as it is.
    fn close_as_it_is(&mut self) {
        if let Some(conn) = self.conn.take()
            && let Err(error) = conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        {
            tracing::debug!(%error, "the log may be moved into the file when the connection closes");
        }
        self.full = None;
    }

    /// Moves the log into the file as far as it goes; how many frames the log has. One that fails is no
    /// harm, unless a sync did.
    fn checkpoint(&mut self, mode: &str) -> u64 {
        if self.in_doubt || self.stuck {
            return 0;
        }
        match self.with(|conn| checkpoint(conn, mode)) {
            Ok(Some(log)) => {
                self.partial = log.moved < log.frames;
                log.frames
            }
            // What the last one wrote is as unsynced as it was.
            Ok(None) => 0,
            Err(error) => {
                self.note_sync(&error);
                self.stuck |= self.partial && is_failed_sync(&error);
                tracing::debug!(%error, stuck = self.stuck, "the log stays as it is");
                0
            }
        }
    }

    fn note_sync(&mut self, e: &rusqlite::Error) {
        if is_failed_sync(e) {
            tracing::warn!(error = %e, path = %self.path().display(), "a sync failed");
            (self.in_doubt, self.inherited) = (true, false);
        }
    }

    fn with<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        match &self.conn {
            Some(conn) => work(conn),
            None => Err(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
                Some("the connection was closed".to_owned()),
            )),
        }
    }

    fn page_size(&self) -> u64 {
        self.with(|conn| number(conn, "page_size")).ok().and_then(|n| u64::try_from(n).ok()).unwrap_or(4096)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // The readers first, so that the writer is the last of this process and moves the log into the file.
        drop(self.readers.quiesce());
        // A log that was found and not added to stays as it was found.
        let heals = self.in_doubt && !self.inherited && self.heal().is_ok();
        if (self.in_doubt && !heals) || self.stuck {
            self.close_as_it_is();
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("path", &self.path())
            .field("logged", &self.logged)
            .field("in_doubt", &self.in_doubt)
            .finish_non_exhaustive()
    }
}

/// What a checkpoint found and did.
struct Log {
    frames: u64,
    /// How many of them are in the file now.
    moved: u64,
}

/// `None` if another connection is at it.
fn checkpoint(conn: &Connection, mode: &str) -> rusqlite::Result<Option<Log>> {
    let found = conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        // -1 if nothing was done.
        let frames = |column| row.get::<_, i64>(column).map(|n| u64::try_from(n).ok());
        Ok(frames(1)?.zip(frames(2)?).map(|(frames, moved)| Log { frames, moved }))
    });
    match found {
        Err(e) if has_code(&e, ErrorCode::DatabaseBusy) => Ok(None),
        other => other,
    }
}

/// Does `work`, and touches the header if nothing was written where something must be. The data version,
/// and whether there is something to commit.
fn in_transaction<T>(
    conn: &Connection,
    durable: bool,
    settled: Option<i64>,
    work: impl FnOnce(&Connection) -> Result<T, Trouble>,
) -> Result<(T, i64, bool), Trouble> {
    let (version, before) = (number(conn, "data_version")?, conn.total_changes());
    let done = work(conn)?;
    let mut wrote = conn.total_changes() != before;
    if durable && !wrote && settled != Some(version) {
        conn.execute_batch(TOUCH)?;
        wrote = true;
    }
    Ok((done, version, wrote))
}

fn run(conn: &Connection, sql: &str) -> rusqlite::Result<()> {
    conn.prepare_cached(sql)?.execute([]).map(drop)
}
