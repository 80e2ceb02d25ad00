#![allow(unused)]

use eventsource_runtime::traced;

#[traced]
#[unsafe(naked)]
extern "C" fn answer() -> u32 {
    core::arch::naked_asm!("mov eax, 42", "ret")
}

fn main() {}
