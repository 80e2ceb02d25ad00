//! Fuzzes the macro that `FUZZ_MACRO` names.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| eventsource_macros_fuzz::survive(data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    eventsource_macros_fuzz::replay()
}
