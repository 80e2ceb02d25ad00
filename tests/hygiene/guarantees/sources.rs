//! The tests that the repository has, as its sources tell, which `cargo fmt` has laid out.

use std::fs;
use std::path::Path;

/// A Rust file.
pub(super) struct Source {
    /// The path of its module, from the folder that was asked for.
    module: String,
    pub(super) text: String,
}

/// The Rust files of a folder of the repository.
pub(super) fn sources(folder: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    gather(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder), "", &mut sources);
    sources
}

fn gather(folder: &Path, module: &str, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let is_the_folders = ["lib", "main", "mod"].contains(&&*name);
        let module = if is_the_folders { module.to_owned() } else { below(module, &name) };
        if path.is_dir() && name != "target" {
            gather(&path, &module, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(Source { module, text: fs::read_to_string(&path).unwrap() });
        }
    }
}

/// A path within a module, if there is one.
fn below(module: &str, name: &str) -> String {
    if module.is_empty() { name.to_owned() } else { format!("{module}::{name}") }
}

impl Source {
    /// The paths of its tests; `…` is the name of all those that a suite has.
    pub(super) fn tests(&self) -> Vec<String> {
        let mut modules: Vec<(usize, String)> = Vec::new();
        let (mut tests, mut is_test) = (Vec::new(), false);
        for line in self.text.lines() {
            let code = line.trim_start();
            let indent = line.len() - code.len();
            let module = modules.last().map_or(&self.module, |(_, module)| module);
            if code.starts_with(['#', '/']) {
                is_test |= code.starts_with("#[test]") || code.starts_with("#[tokio::test");
            } else if code.contains("fn ") {
                tests.extend(name_after(code, "fn ").filter(|_| is_test).map(|name| below(module, name)));
                is_test = false;
            } else if let Some(name) = name_after(code, "_suite!(") {
                tests.push(below(&below(module, name), "…"));
            } else if let Some(name) = begun(code) {
                let inner = below(module, name);
                modules.push((indent, inner));
            } else if code == "}" && modules.last().is_some_and(|(begun, _)| *begun == indent) {
                modules.pop();
            }
        }
        tests
    }
}

fn name_after<'a>(code: &'a str, word: &str) -> Option<&'a str> {
    let (_, rest) = code.split_once(word)?;
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    rest.get(..end).filter(|name| !name.is_empty())
}

/// The name of a module whose body begins on this line.
fn begun(code: &str) -> Option<&str> {
    let words: Vec<&str> = code.strip_suffix(" {")?.split(' ').collect();
    let [.., "mod", name] = words[..] else { return None };
    Some(name)
}
