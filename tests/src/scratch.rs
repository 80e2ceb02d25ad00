//! Files of a test's own.

use std::path::{Path, PathBuf};

use uuid::Uuid;

/// A folder that is removed when this is dropped, with all that is in it then.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// An empty one.
    ///
    /// # Panics
    /// It cannot be made.
    #[must_use]
    pub fn new() -> Self {
        // Short: some programs keep sockets in it, whose paths have no more than 107 bytes.
        let folder = std::env::temp_dir().join(format!("eventsource-tests-{}", Uuid::now_v7().simple()));
        std::fs::create_dir(&folder).expect("a folder");
        Self(folder)
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// A place in it for a store's file, which is not there yet.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.0.join("store.db")
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
