#![allow(unused)]

include!("../../setup/process_manager.rs");

#[process_manager]
impl Clone for Process {
    fn clone(&self) -> Self {
        Self
    }
}

fn main() {}
