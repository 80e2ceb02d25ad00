//! Database files for a benchmark: on the disk that holds the build, since a file system in memory commits for free.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A folder for database files, removed at the end.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
    files: u32,
}

impl Scratch {
    /// A folder in `parent`.
    ///
    /// # Panics
    /// It cannot be made.
    #[must_use]
    pub fn new(parent: &Path) -> Self {
        std::fs::create_dir_all(parent).expect("a folder for the databases");
        Self { folder: TempDir::new_in(parent).expect("a folder for the databases"), files: 0 }
    }

    /// A path at which there is no file yet. The file before it is removed, if nobody holds it any more.
    pub fn file(&mut self) -> PathBuf {
        let path = |number: u32, suffix: &str| self.folder.path().join(format!("{number}.db{suffix}"));
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(path(self.files, suffix));
        }
        self.files += 1;
        path(self.files, "")
    }
}
