#![allow(unused)]

include!("../../setup/process_manager.rs");

#[process_manager]
impl Process {
}

fn main() {}
