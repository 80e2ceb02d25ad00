//! Writes the items of the package's edition. The same tables give the same items.

mod generate;

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("Cargo sets OUT_DIR"));
    let edition = if env::var("CARGO_PKG_NAME").is_ok_and(|name| name.ends_with("2021")) { "2021" } else { "2024" };
    for (name, source) in generate::all(edition) {
        fs::write(folder.join(name), source).expect("OUT_DIR can be written");
    }
    println!("cargo::rerun-if-changed={}", concat!(env!("CARGO_MANIFEST_DIR"), "/generate"));
}
