//! A fixed number of inputs a macro, from a fixed seed: the fuzz targets' generator, without a fuzzer.

use eventsource_macros_fuzz::{Random, Survived, named, try_input};

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("`{variable}` is a number, not `{text}`")),
        Err(_) => default,
    }
}

fn survives(name: &str) {
    let (inputs, seed) = (number("FUZZ_INPUTS", 200_000), number("FUZZ_SEED", 0x0e5));
    let which = named(name);
    let mut random = Random::new(seed);
    let (mut bytes, mut refused, mut parsed) = ([0; 256], 0_u64, 0_u64);
    for index in 0..inputs {
        random.fill(&mut bytes);
        let length = 16 + usize::try_from(random.number() % 240).unwrap_or(0);
        match try_input(which, &bytes[..length]) {
            Ok(Survived { refused: was_refused, parsed: was_parsed }) => {
                refused += u64::from(was_refused);
                parsed += u64::from(was_parsed);
            }
            Err(finding) => panic!("input {index} of `{name}` from seed {seed}: {finding}"),
        }
    }
    println!("{name}: {inputs} inputs from seed {seed}, {parsed} of them items, {refused} refused");
    // A generator that makes nothing but rubbish, or nothing wrong, tries out little.
    assert!(refused > inputs / 10 && inputs - refused > inputs / 50, "{refused} of {inputs} were refused");
    assert!(parsed > inputs / 3, "{parsed} of {inputs} were items");
}

macro_rules! tests {
    ($($test:ident: $name:literal),* $(,)?) => {$(
        #[test]
        fn $test() {
            survives($name);
        }
    )*};
}

tests! {
    aggregate_survives: "aggregate",
    command_survives: "command",
    command_handler_survives: "command_handler",
    event_survives: "event",
    process_manager_survives: "process_manager",
    projection_survives: "projection",
    query_survives: "query",
    query_handler_survives: "query_handler",
    traced_survives: "traced",
}
