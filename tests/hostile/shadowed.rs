//! Names that expansions rely on, taken by others.

/// A type of each of the prelude's names, and modules of the crates'.
mod types {
    use eventsource_runtime::prelude::{Recorded, Rejected};
    use eventsource_runtime::{
        Aggregate, Apply, Command, Event, Query, command_handler, process_manager, projection, query_handler, traced,
    };

    struct Result;
    struct Option;
    struct Some;
    struct None;
    struct Ok;
    struct Err;
    struct Vec;
    struct String;
    struct Box;
    struct Attributes;
    struct Site;
    struct Kind;
    struct Self_;
    trait From {}
    trait Into {}
    trait Send {}
    trait Sync {}
    trait Default {}
    trait Clone {}
    trait Iterator {}
    trait ToString {}
    trait Drop {}
    trait Fn {}
    trait FnOnce {}
    trait Copy {}
    trait Sized {}
    mod core {}
    mod std {}
    mod alloc {}
    mod serde {}
    mod serde_json {}
    mod eventsource_runtime_ {}
    macro_rules! vec {
        ($($t:tt)*) => {
            compile_error!("a macro of the user's")
        };
    }
    macro_rules! format {
        ($($t:tt)*) => {
            compile_error!("a macro of the user's")
        };
    }
    macro_rules! matches {
        ($($t:tt)*) => {
            compile_error!("a macro of the user's")
        };
    }
    macro_rules! panic {
        ($($t:tt)*) => {
            compile_error!("a macro of the user's")
        };
    }
    macro_rules! unreachable {
        ($($t:tt)*) => {
            compile_error!("a macro of the user's")
        };
    }

    #[derive(Event, ::serde::Serialize, ::serde::Deserialize)]
    #[event(version = 2, upcast(1 => up), alias = "was")]
    struct Opened {
        #[event(attribute)]
        by: u8,
        #[event(sensitive)]
        secret: u8,
    }
    fn up(
        value: ::serde_json::Value,
    ) -> ::core::result::Result<::serde_json::Value, ::eventsource_runtime::UpcastError> {
        ::core::result::Result::Ok(value)
    }

    #[derive(Aggregate, ::core::default::Default, ::serde::Serialize, ::serde::Deserialize)]
    #[aggregate(id = u64, events(Opened), snapshot(every = 3))]
    struct Account;
    impl Apply<Opened> for Account {
        fn apply(&mut self, _: Opened) {}
    }

    #[derive(Command, ::core::clone::Clone, ::serde::Serialize, ::serde::Deserialize)]
    #[command(aggregate = Account)]
    struct Open {
        #[command(id, attribute)]
        id: u64,
    }
    #[command_handler]
    impl Account {
        #[traced(attributes("id" = command.id), enable_tracing = true)]
        fn open(&self, command: Open) -> ::core::result::Result<Opened, ::core::convert::Infallible> {
            ::core::result::Result::Ok(Opened { by: 1, secret: 2 })
        }
    }

    #[derive(Query, ::serde::Deserialize)]
    #[query(output = u8)]
    struct Ask {
        #[query(attribute)]
        by: u8,
    }
    struct Answers;
    #[query_handler]
    impl Answers {
        #[traced(attributes("by" = query.by))]
        async fn ask(&self, query: Ask) -> ::core::result::Result<u8, ::std::fmt::Error> {
            ::core::result::Result::Ok(query.by)
        }
    }

    struct Rows;
    #[projection]
    impl Rows {
        fn opened(&self, event: &Recorded<Opened>) {}
        async fn later(&self, event: &Recorded<Closed>) {}
    }
    #[derive(Event, ::serde::Serialize, ::serde::Deserialize)]
    struct Closed;

    #[process_manager]
    impl Account {
        #[process_manager(id = event.by)]
        fn opened(&self, event: &Recorded<Opened>) {}
        fn refused(&self, command: &Rejected<Open>) {}
    }

    #[traced(attributes(n, "m" = 1 + 2), record("r" = result), links = ::core::option::Option::<::eventsource_runtime::telemetry::TraceContext>::None)]
    fn sync(n: u8) -> u8 {
        n
    }
    #[traced(attributes(n), record("r" = result.is_ok()))]
    async fn waits(n: u8) -> ::core::result::Result<u8, ::std::fmt::Error> {
        ::core::result::Result::Ok(n)
    }
    #[traced]
    fn boxed() -> ::std::pin::Pin<::std::boxed::Box<dyn ::core::future::Future<Output = u8>>> {
        ::std::boxed::Box::pin(async { 1 })
    }
    #[test]
    fn run() {
        assert_eq!(sync(1), 1);
        assert_eq!(crate::ready(waits(2)).ok(), ::core::option::Option::Some(2));
        assert_eq!(crate::ready(boxed()), 1);
    }
}

/// A module of the runtime's name beside the crate.
mod runtime {
    mod eventsource_runtime {}
    #[::eventsource_runtime::traced]
    fn f() {}
    #[derive(::eventsource_runtime::Event, serde::Serialize, serde::Deserialize)]
    struct E;
    #[derive(::eventsource_runtime::Aggregate, Default)]
    #[aggregate(id = u8, events(E))]
    struct A;
    impl ::eventsource_runtime::Apply<E> for A {
        fn apply(&mut self, _: E) {}
    }
}

/// Primitive types of the user's. What `serde` derives stands elsewhere: it is no match for them.
mod primitives {
    mod messages {
        use eventsource_runtime::prelude::*;
        #[derive(serde::Serialize, serde::Deserialize)]
        pub struct Done {
            pub by: i8,
        }
        #[derive(Default, serde::Serialize, serde::Deserialize)]
        pub struct Job;
        #[derive(Clone, serde::Serialize, serde::Deserialize)]
        pub struct Do(pub String);
        #[derive(serde::Deserialize)]
        pub struct Ask;
    }
    use eventsource_runtime::prelude::*;
    use messages::*;
    struct bool;
    struct str;
    struct usize;
    struct u32;
    struct u64;
    struct u128;
    struct char;

    /// The derives alone, on types that say themselves how they are stored.
    #[derive(Event)]
    #[event(version = 2, upcast(1 => up), alias = "was")]
    struct Event_ {
        #[event(attribute)]
        by: i8,
        #[event(sensitive)]
        of: i8,
    }
    macro_rules! stored { ($($ty:ident)*) => { $(
        impl serde::Serialize for $ty {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> { to.serialize_unit() }
        }
        impl<'a> serde::Deserialize<'a> for $ty {
            fn deserialize<D: serde::Deserializer<'a>>(_: D) -> Result<Self, D::Error> { todo!() }
        }
    )* }; }
    stored!(Event_ Agg Command_ Query_);
    fn up(value: serde_json::Value) -> Result<serde_json::Value, eventsource_runtime::UpcastError> {
        Ok(value)
    }
    #[derive(Aggregate, Default)]
    #[aggregate(id = String, events(Event_), snapshot(every = 3))]
    struct Agg;
    impl Apply<Event_> for Agg {
        fn apply(&mut self, _: Event_) {}
    }
    #[derive(Command, Clone)]
    #[command(aggregate = Agg)]
    struct Command_(#[command(id)] String, #[command(sensitive)] i8);
    #[command_handler]
    impl Agg {
        #[traced(attributes("a" = 1, "b" = command.0.len()), enable_tracing = self.on())]
        fn act(&self, command: Command_) -> Result<Event_, std::convert::Infallible> {
            Ok(Event_ { by: 1, of: 2 })
        }
    }
    impl Agg {
        fn on(&self) -> core::primitive::bool {
            true
        }
    }
    #[derive(Query)]
    #[query(output = Vec<i8>)]
    struct Query_ {
        #[query(attribute)]
        by: i8,
    }
    struct Rows;
    #[query_handler]
    impl Rows {
        #[traced(enable_tracing = true)]
        fn ask(&self, _: Query_) -> Result<Vec<i8>, std::fmt::Error> {
            Ok(vec![1])
        }
    }
    #[projection(enable_tracing = true)]
    impl Rows {
        fn done(&self, _: &Recorded<Event_>) {}
    }
    #[process_manager(enable_tracing = false)]
    impl Agg {
        fn done(&self, _: &Recorded<Event_>) {}
    }
    #[traced(attributes(n), enable_tracing = true, record("x" = result), links = None::<eventsource_runtime::telemetry::TraceContext>)]
    fn sync(n: i8) -> i8 {
        n
    }
    #[traced(attributes("a" = event.by))]
    async fn waits(event: Event_) -> Result<i8, std::fmt::Error> {
        Ok(event.by)
    }
    #[traced]
    fn opaque() -> impl Future<Output = i8> {
        async { 1 }
    }
    #[traced]
    async fn never() -> ! {
        loop {
            std::future::pending::<()>().await
        }
    }
    #[test]
    fn run() {
        assert_eq!(sync(1), 1);
        assert_eq!(crate::ready(waits(Event_ { by: 1, of: 2 })), Ok(1));
        assert_eq!(crate::ready(opaque()), 1);
    }
}

/// Glob imports, of which the nearer ones win.
mod globs {
    mod deep {
        pub type Result<T> = std::result::Result<T, std::fmt::Error>;
        pub fn local() {}
        pub const SITE: u8 = 1;
        pub const VALUE: u8 = 2;
    }
    mod inner {
        use super::deep::*;
        use crate::product::*;
        #[traced(attributes("a" = VALUE, "b" = SITE))]
        fn f() -> Result<u8> {
            Ok(VALUE + SITE)
        }
        #[traced(attributes("a" = VALUE))]
        async fn g() -> Result<u8> {
            f()
        }
        #[test]
        fn run() {
            assert_eq!(f(), Ok(3));
            assert_eq!(crate::ready(g()), Ok(3));
        }
    }
}
