//! A compiler, beside the library that a test was linked with, on a source of the test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// What the compiler says of a library's source, as JSON; nothing where it is not installed.
#[must_use]
pub fn said(program: &str, scratch: &Path, name: &str, source: &str) -> Option<String> {
    let library = library(program, scratch, name)?;
    run(program, &library, &scratch.join(format!("{name}.rs")), source, &["--emit=metadata"])
}

/// The assembly of a library's source, optimized. Those of two folders can be compared: nothing in it names one.
///
/// # Panics
/// The source does not compile.
#[must_use]
pub fn assembly(scratch: &Path, name: &str, source: &str) -> Option<String> {
    let library = library("rustc", scratch, name)?;
    let folder = scratch.join(name);
    fs::create_dir_all(&folder).ok()?;
    let options = ["--emit=asm", "-Copt-level=3", "-Ccodegen-units=1", "--crate-name=compared"];
    let said = run("rustc", &library, &folder.join("compared.rs"), source, &options)?;
    assert!(!said.contains(r#""level":"error""#), "{said}");
    fs::read_to_string(folder.join("compared.s")).ok()
}

/// The library of the runtime that this was linked with: of the same compiler, with the macros' library beside it, and
/// with `otel` as it is here.
fn library(program: &str, scratch: &Path, name: &str) -> Option<PathBuf> {
    let folder = std::env::current_exe().ok()?.parent()?.to_owned();
    let fits =
        format!("const _: () = assert!(eventsource_runtime::telemetry::AVAILABLE == {});", cfg!(feature = "otel"));
    libraries(&folder).into_iter().find(|library| {
        let said = run(program, library, &scratch.join(format!("{name}_fits.rs")), &fits, &["--emit=metadata"]);
        said.is_some_and(|said| !said.contains(r#""level":"error""#))
    })
}

/// The runtime's libraries, newest first: their names bear a number that nobody tells.
fn libraries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let named = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("libeventsource_runtime-") && path.extension().is_some_and(|it| it == "rlib")
    };
    let mut found: Vec<_> = entries.map(|entry| entry.path()).filter(named).collect();
    let changed =
        |path: &PathBuf| fs::metadata(path).and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    found.sort_by_key(|path| std::cmp::Reverse(changed(path)));
    found
}

fn run(program: &str, library: &Path, file: &Path, source: &str, options: &[&str]) -> Option<String> {
    fs::write(file, source).ok()?;
    let mut command = Command::new(program);
    command.args(["--edition=2024", "--crate-type=lib", "--error-format=json", "--cap-lints=warn"]).args(options);
    command.arg("--out-dir").arg(file.parent()?);
    command.arg("--extern").arg(format!("eventsource_runtime={}", library.display()));
    command.arg("-L").arg(format!("dependency={}", library.parent()?.display())).arg(file);
    Some(String::from_utf8_lossy(&command.output().ok()?.stderr).into_owned())
}
