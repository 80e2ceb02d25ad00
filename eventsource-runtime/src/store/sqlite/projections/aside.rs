//! A read model that is built in a second file and then replaces the old one.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use uuid::Uuid;

use super::super::connection::{Setting, begin, commit, literal, rollback};
use super::super::threads::Threads;
use super::super::{Sqlite, SqliteOptions, Synchronous};
use super::{failed, leases, trouble};
use crate::projection::{BuiltElsewhere, NoRoom, ProjectionError};
use crate::store::StoreError;

/// Tables before what depends on them.
const NEW: &str = "SELECT type, name, tbl_name, sql FROM aside.sqlite_schema \
    WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
    ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 WHEN 'view' THEN 2 ELSE 3 END, rowid";
/// What has an object's name in the first file, and on which table. Triggers have a separate namespace.
const STANDS: &str = "SELECT type, tbl_name FROM main.sqlite_schema \
    WHERE name = ?1 COLLATE NOCASE AND (type = 'trigger') = (?2 = 'trigger')";
const COLUMNS: &str =
    "SELECT group_concat('\"' || replace(name, '\"', '\"\"') || '\"', ', ') FROM pragma_table_info(?1, 'aside')";
/// What `AUTOINCREMENT` gave out last, even if the row is gone.
const COUNTED: &str = "SELECT EXISTS (SELECT 1 FROM aside.sqlite_schema WHERE name = 'sqlite_sequence') \
    AND EXISTS (SELECT 1 FROM main.sqlite_schema WHERE name = 'sqlite_sequence')";
const FORGET_NUMBER: &str = "DELETE FROM main.sqlite_sequence WHERE name = ?1 \
    AND EXISTS (SELECT 1 FROM aside.sqlite_sequence WHERE name = ?1)";
const LAST_NUMBER: &str =
    "INSERT INTO main.sqlite_sequence (name, seq) SELECT name, seq FROM aside.sqlite_sequence WHERE name = ?1";
const STANDING: &str = "UPDATE main.projection_partitions SET position = \
    (SELECT position FROM aside.projection_partitions WHERE projection = ?1 AND partition = 0), \
    expires = max(expires, CAST(unixepoch('subsec') * 1000 AS INTEGER) + 5000) WHERE projection = ?1";
const LETTERS: &str = "INSERT INTO main.projection_dead_letters \
    SELECT * FROM aside.projection_dead_letters WHERE projection = ?1";

const PUT: &str = "put a read model in its place";

/// What common file systems allow, in bytes.
const LONGEST_NAME: usize = 255;
/// What `SQLite` allows, in bytes.
const LONGEST_PATH: usize = 512;
/// `-journal`, the longest of the names beside the file.
const LONGEST_SUFFIX: usize = 8;

/// The second file, for as long as somebody builds in it.
pub(in super::super) struct Aside {
    path: PathBuf,
    /// What the store itself keeps in a file.
    own: HashSet<String>,
    /// Others that want to build there wait until this is gone, as when its process dies.
    _lock: File,
}

/// Opens an empty second file.
pub(super) async fn open(store: &Sqlite, projection: &'static str) -> Result<Sqlite, ProjectionError> {
    if store.threads.is_alone() || store.aside.is_some() {
        return Err(ProjectionError::new(format!(
            "projection `{projection}` can be built aside only where the store is in a file; rebuild it in place"
        )));
    }
    let path = beside(store.threads.path(), projection);
    if path.to_str().is_none() {
        let reason = "its file's path is not UTF-8, in which SQLite takes that of a second one; rebuild it in place";
        return Err(ProjectionError::new(format!("projection `{projection}` cannot be built aside: {reason}")));
    }
    if is_too_long(&path) {
        let advice = "give the projection or the store's file a shorter name, or rebuild it in place";
        return Err(ProjectionError::new(format!(
            "projection `{projection}` cannot be built aside: its file's name would be too long; {advice}"
        )));
    }
    let lock = tokio::task::spawn_blocking({
        let path = path.clone();
        move || emptied(&path, projection)
    });
    let lock = lock.await.map_err(|_| ProjectionError::store(StoreError::Closed))??;
    // If it is lost, it is built again from the first event.
    let options = SqliteOptions { synchronous: Synchronous::Normal, readers: 1, ..store.options.clone() };
    let threads = Threads::start(&path, options.clone()).await.map_err(ProjectionError::store)?;
    let names = |connection: &Connection| {
        let mut statement = connection.prepare("SELECT name FROM sqlite_schema")?;
        statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<HashSet<String>>>()
    };
    let own = failed("open a file aside", threads.write(names).await?)?;
    let aside = Aside { path, own, _lock: lock };
    Ok(Sqlite { threads: Arc::new(threads), options, aside: Some(Arc::new(aside)) })
}

/// Whether no file can have that name, or `SQLite` would not open it: both would be taken for trouble that passes.
fn is_too_long(path: &Path) -> bool {
    let name = path.file_name().map_or(0, OsStr::len);
    let whole = std::path::absolute(path).map_or(0, |path| path.as_os_str().len());
    name + LONGEST_SUFFIX > LONGEST_NAME || whole + LONGEST_SUFFIX > LONGEST_PATH
}

/// A file whose name says what it is, and of which projection.
fn beside(store: &Path, projection: &str) -> PathBuf {
    let name: String =
        projection
            .chars()
            .map(|character| {
                if character.is_alphanumeric() { character.to_string() } else { format!("_{:x}", u32::from(character)) }
            })
            .collect();
    let mut path = store.as_os_str().to_owned();
    path.push(format!("-aside-{name}"));
    path.into()
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Acquires the right to the file, and removes what an earlier attempt left in it: it may have been another program's.
fn emptied(path: &Path, projection: &'static str) -> Result<File, ProjectionError> {
    let failed = |error: std::io::Error| ProjectionError::store(StoreError::backend("open a file aside", error));
    let lock = File::create(with(path, "-lock")).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(BuiltElsewhere::new(projection).into()),
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    remove(path).map_err(failed)?;
    Ok(lock)
}

fn remove(path: &Path) -> std::io::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        match fs::remove_file(with(path, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Replaces what is in the first file by what is in the second, and removes the second.
pub(super) async fn swap(
    store: &Sqlite,
    projection: &'static str,
    built: Sqlite,
    token: Uuid,
) -> Result<(), ProjectionError> {
    let Some(aside) = built.aside.clone() else { return Err(ProjectionError::new("the store is not one aside")) };
    // Its log ends up in the file.
    built.threads.close().await;
    let theirs = Arc::clone(&aside);
    store.threads.write(move |connection| take(connection, projection, &theirs, token)).await??;
    // What stays behind is removed by the next attempt. The lock file stays: if it were removed, one process could have
    // it open while another creates it anew, each with a lock of its own.
    let _ = tokio::task::spawn_blocking(move || remove(&aside.path)).await;
    Ok(())
}

fn take(connection: &Connection, projection: &'static str, aside: &Aside, token: Uuid) -> Result<(), ProjectionError> {
    let path = literal(&aside.path);
    let attach = connection.execute("ATTACH DATABASE ?1 AS aside", [path.to_str()]);
    failed("open a file aside", attach)?;
    // Other tables may refer to those that are dropped; their replacements have the same rows.
    let unchecked = Setting::new(connection, "foreign_keys", 0);
    let result = take_all(connection, projection, aside, token);
    rollback(connection);
    drop(unchecked);
    connection.flush_prepared_statement_cache();
    let detached = connection.execute("DETACH DATABASE aside", []);
    result.map_err(|error| full(error, projection)).and(failed("close a file aside", detached).map(drop))
}

fn take_all(
    connection: &Connection,
    projection: &'static str,
    aside: &Aside,
    token: Uuid,
) -> Result<(), ProjectionError> {
    failed("begin a swap", begin(connection))?;
    leases::check_all(connection, projection, token)?;
    let objects = failed("look into a file aside", objects(connection, &aside.own))?;
    check(connection, projection, &objects)?;
    objects.iter().try_for_each(|object| put(connection, object)).map_err(refused)?;
    let stand = || -> rusqlite::Result<()> {
        connection.execute("DELETE FROM main.projection_dead_letters WHERE projection = ?1", [projection])?;
        connection.execute(LETTERS, [projection])?;
        connection.execute(STANDING, params![projection]).map(drop)
    };
    failed(PUT, stand())?;
    failed("commit a swap", commit(connection))
}

/// A disk that is too small for both read models is no trouble that passes: each attempt would copy as much again before
/// it fails, and nobody else could write meanwhile.
fn full(error: ProjectionError, projection: &str) -> ProjectionError {
    match trouble(error.cause()) {
        Some(full) if full.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
            NoRoom { projection: projection.to_owned() }.into()
        }
        _ => error,
    }
}

/// `SQLite` would refuse the statement again, unless the error is about its disk.
fn refused(error: rusqlite::Error) -> ProjectionError {
    ProjectionError::store(match trouble(&error) {
        Some(own) => StoreError::backend(PUT, own),
        None => StoreError::refused(PUT, error),
    })
}

/// A table, an index, a view or a trigger of the projection's.
struct Object {
    kind: String,
    name: String,
    table: String,
    sql: String,
}

fn objects(connection: &Connection, own: &HashSet<String>) -> rusqlite::Result<Vec<Object>> {
    let mut statement = connection.prepare(NEW)?;
    let rows = statement.query_map([], |row| {
        Ok(Object { kind: row.get(0)?, name: row.get(1)?, table: row.get(2)?, sql: row.get(3)? })
    })?;
    rows.filter(|row| row.as_ref().map_or(true, |object| !own.contains(&object.name))).collect()
}

/// Refuses, before anything is copied, what cannot be put into the first file.
fn check(connection: &Connection, projection: &str, objects: &[Object]) -> Result<(), ProjectionError> {
    for object in objects {
        let Object { kind, name, sql, .. } = object;
        if is_virtual(sql) {
            return Err(ProjectionError::new(format!(
                "projection `{projection}` has the virtual table `{name}` and cannot be built aside; \
                 rebuild it in place"
            )));
        }
        let stands = failed("look for what a read model replaces", stands(connection, object))?;
        if let Some((other, table)) = stands
            && !is_replaced(&other, &table, kind, objects)
        {
            return Err(ProjectionError::new(format!(
                "projection `{projection}` makes the {kind} `{name}`, whose name the file has for another {other}; \
                 rename one of them"
            )));
        }
    }
    Ok(())
}

/// Whether an object in the first file goes when one of this kind takes its name: a table or a view does, whoever made
/// it, but an index or a trigger only if it is on a table of the projection's.
fn is_replaced(other: &str, table: &str, kind: &str, objects: &[Object]) -> bool {
    match other {
        "table" | "view" => matches!(kind, "table" | "view"),
        _ => objects.iter().any(|object| object.table.eq_ignore_ascii_case(table)),
    }
}

fn stands(connection: &Connection, object: &Object) -> rusqlite::Result<Option<(String, String)>> {
    let row = connection.query_row(STANDS, [&object.name, &object.kind], |row| Ok((row.get(0)?, row.get(1)?)));
    row.optional()
}

fn is_virtual(sql: &str) -> bool {
    sql.split_whitespace().nth(1).is_some_and(|word| word.eq_ignore_ascii_case("virtual"))
}

/// Makes one object in the first file as it is in the second, replacing the one with its name there, whatever its kind.
fn put(connection: &Connection, object: &Object) -> rusqlite::Result<()> {
    let Object { kind, name, sql, .. } = object;
    let quoted = format!("\"{}\"", name.replace('"', "\"\""));
    if let Some((other, _)) = stands(connection, object)? {
        run_once(connection, &format!("DROP {other} main.{quoted}"))?;
    }
    run_once(connection, sql)?;
    if kind == "table" {
        // Without generated columns.
        let columns: String = connection.query_row(COLUMNS, [name], |row| row.get(0))?;
        run_once(connection, &format!("INSERT INTO main.{quoted} ({columns}) SELECT {columns} FROM aside.{quoted}"))?;
        if is_counted(connection)? {
            connection.execute(FORGET_NUMBER, [name])?;
            connection.execute(LAST_NUMBER, [name])?;
        }
    }
    Ok(())
}

/// Whether a table in the second file numbers its rows and never reuses a number.
fn is_counted(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(COUNTED, [], |row| row.get(0))
}

fn run_once(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.execute(sql, []).map(drop)
}
