//! A workspace of generated programs: what cargo makes of them.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use eventsource_bench::sample::timed;

use crate::sources::How;

/// The folder of the programs, which keeps what was built of their dependencies for the next run.
pub(crate) struct Workspace {
    folder: PathBuf,
}

impl Workspace {
    pub(crate) fn new(folder: PathBuf, programs: &[&Program]) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
        // The versions that everything else here is built with.
        fs::copy(bench.join("../../Cargo.lock"), folder.join("Cargo.lock"))?;
        let members: String = programs.iter().map(|program| format!("\"{}\",", program.name)).collect();
        write_if_new(&folder.join("Cargo.toml"), &format!("[workspace]\nresolver = \"3\"\nmembers = [{members}]\n"))?;
        let runtime = bench.join("../../eventsource-runtime").canonicalize()?;
        for program in programs {
            program.write(&folder, &runtime)?;
        }
        Ok(Self { folder })
    }

    /// Builds the dependencies and the program, and tells the number that the program prints.
    pub(crate) fn run(&self, program: &Program) -> io::Result<f64> {
        self.cargo(&["build"], program, &[])?;
        let printed = Command::new(self.folder.join("target/debug").join(&program.name)).output()?;
        let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
        printed.trim().parse().map_err(|_| io::Error::other(format!("`{}` prints no number", program.name)))
    }

    /// How long the program alone takes to build, with the linker's part.
    pub(crate) fn build(&self, program: &Program) -> io::Result<Duration> {
        program.touch(&self.folder)?;
        let (built, elapsed) = timed(|| self.cargo(&["build"], program, &[]));
        built.map(|_| elapsed)
    }

    /// The lines of LLVM's code in the bodies of functions, without optimisation.
    pub(crate) fn llvm_lines(&self, program: &Program) -> io::Result<f64> {
        let file = self.folder.join("target").join(format!("{}.ll", program.name));
        let emit = format!("--emit=llvm-ir={}", file.display());
        self.cargo(&["rustc"], program, &[&emit, "-Ccodegen-units=1"])?;
        Ok(lines_of_bodies(&fs::read_to_string(file)?))
    }

    /// The lines of the source after all macros, as the compiler prints them, and how many seconds it expanded them.
    pub(crate) fn expanded(&self, program: &Program) -> io::Result<(f64, f64)> {
        program.touch(&self.folder)?;
        // In a folder of its own: what looks for a nightly compiler in its build script is built anew.
        let options = ["rustc", "--profile", "check", "--target-dir", "target/expanded"];
        let expanded = self.cargo(&options, program, &["-Zunpretty=expanded", "-Ztime-passes"])?;
        let lines = String::from_utf8_lossy(&expanded.stdout);
        let seconds = seconds_of("macro_expand_crate", &String::from_utf8_lossy(&expanded.stderr));
        let seconds = seconds.ok_or_else(|| io::Error::other("the compiler does not tell how long it expanded"))?;
        Ok((count(lines.lines().filter(|line| !line.trim().is_empty())), seconds))
    }

    fn cargo(&self, options: &[&str], program: &Program, compiler: &[&str]) -> io::Result<Output> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.folder).args(options).args(["--offline", "--quiet", "--package", &program.name]);
        if !compiler.is_empty() {
            cargo.arg("--").args(compiler);
        }
        // As a stranger's program is built, whatever is set for ours.
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_the_build(&name.to_string_lossy())) {
            cargo.env_remove(name);
        }
        cargo.env("CARGO_INCREMENTAL", "0").env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
        if compiler.iter().any(|option| option.starts_with("-Z")) {
            cargo.env("RUSTC_BOOTSTRAP", "1");
        }
        let output = cargo.stdin(Stdio::null()).output()?;
        if !output.status.success() {
            io::stderr().write_all(&output.stderr)?;
            return Err(io::Error::other(format!("`{}` cannot be built", program.name)));
        }
        Ok(output)
    }
}

fn is_of_the_build(name: &str) -> bool {
    name == "RUSTFLAGS"
        || name == "CARGO_TARGET_DIR"
        || name.starts_with("CARGO_PROFILE_")
        || name.starts_with("CARGO_PKG_")
}

/// One program of the workspace.
pub(crate) struct Program {
    pub name: String,
    pub how: How,
    source: String,
}

impl Program {
    pub(crate) fn new(what: &str, how: How, source: String) -> Self {
        let how_it_is_called = format!("{how:?}").to_lowercase();
        Self { name: format!("{what}-{how_it_is_called}"), how, source }
    }

    fn source_file(&self, workspace: &Path) -> PathBuf {
        workspace.join(&self.name).join("src/main.rs")
    }

    /// Has cargo build it anew.
    fn touch(&self, workspace: &Path) -> io::Result<()> {
        let source = fs::File::options().append(true).open(self.source_file(workspace))?;
        source.set_modified(std::time::SystemTime::now())
    }

    fn write(&self, workspace: &Path, runtime: &Path) -> io::Result<()> {
        fs::create_dir_all(workspace.join(&self.name).join("src"))?;
        let dependencies: String = self.how.dependencies().iter().map(|name| dependency(name, runtime)).collect();
        let manifest = format!(
            "[package]\nname = \"{}\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n[dependencies]\n{dependencies}",
            self.name
        );
        write_if_new(&workspace.join(&self.name).join("Cargo.toml"), &manifest)?;
        write_if_new(&self.source_file(workspace), &self.source)
    }
}

/// The locked version will do, whichever it is.
fn dependency(name: &str, runtime: &Path) -> String {
    match name {
        "eventsource-runtime" => format!("eventsource-runtime = {{ path = {:?} }}\n", runtime.display().to_string()),
        "fastrace" => "fastrace = { version = \"*\", features = [\"enable\"] }\n".to_owned(),
        "serde" => "serde = { version = \"*\", features = [\"derive\"] }\n".to_owned(),
        other => format!("{other} = \"*\"\n"),
    }
}

/// Cargo builds anew what was written.
fn write_if_new(file: &Path, content: &str) -> io::Result<()> {
    if fs::read_to_string(file).is_ok_and(|old| old == content) {
        return Ok(());
    }
    fs::write(file, content)
}

/// How long the compiler says that it was at something, in a line such as `time:   0.004; rss:   35MB ->   37MB what`.
fn seconds_of(pass: &str, told: &str) -> Option<f64> {
    let line = told.lines().find(|line| line.split_whitespace().next_back() == Some(pass))?;
    line.trim().strip_prefix("time:")?.split(';').next()?.trim().parse().ok()
}

/// Lines between `define` and its closing brace, without what describes them to a debugger.
fn lines_of_bodies(code: &str) -> f64 {
    let mut within = false;
    count(code.lines().filter(|line| {
        within |= line.starts_with("define ");
        let counts = within && !line.trim().is_empty() && !line.trim_start().starts_with("#dbg");
        within &= *line != "}";
        counts
    }))
}

#[expect(clippy::cast_precision_loss, reason = "far fewer lines than an f64 can count")]
fn count<'a>(lines: impl Iterator<Item = &'a str>) -> f64 {
    lines.count() as f64
}
