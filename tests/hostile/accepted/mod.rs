//! Programs that are accepted in places where something is refused, or would be with less care; each runs as a test.

macro_rules! programs {
    ($($program:ident),* $(,)?) => {
        $(mod $program;)*

        mod each {
            $(
                #[test]
                fn $program() {
                    super::$program::main();
                }
            )*
        }
    };
}
programs!(beside_sensitive, blanket_traits, faults, id_by_alias, services, shapes, shown_as_a_whole, without_prelude,);
