//! A whole application without the prelude's names, and with others in their place.
#![no_implicit_prelude]
#![deny(missing_docs, warnings, unused)]
#![allow(unreachable_pub, unused_qualifications, reason = "a module here, a crate of its own elsewhere")]
#![forbid(unsafe_code)]
#![allow(dead_code, reason = "the names that stand in the way")]

extern crate std;

/// The names that expansions must not meet.
mod shadows {
    pub struct Result;
    pub struct Option;
    pub struct Ok;
    pub struct Err;
    pub struct Some;
    pub struct None;
    pub struct Vec;
    pub struct String;
    pub struct Box;
    pub trait Send {}
    pub trait Sync {}
    pub trait From {}
    pub trait Clone {}
    pub mod core {}
    pub mod std {}
}

/// The domain.
pub mod domain {
    #[allow(unused_imports, reason = "they stand in the way of nothing")]
    use super::shadows::*;

    use ::eventsource_runtime::{Aggregate, Apply, Command, Event, command_handler};
    use ::serde::{Deserialize, Serialize};

    /// An event.
    #[derive(Event, Serialize, Deserialize, ::core::clone::Clone, Debug)]
    #[event(name = "opened", version = 3, alias("begun", "started"), upcast(1 => from_1, 2 => from_2))]
    pub struct Opened {
        /// A field.
        #[event(attribute = "account.owner")]
        pub owner: ::std::string::String,
        /// A field.
        #[event(attribute)]
        pub count: u64,
    }
    use ::core::fmt::Debug;

    fn from_1(
        payload: ::serde_json::Value,
    ) -> ::core::result::Result<::serde_json::Value, ::eventsource_runtime::UpcastError> {
        ::core::result::Result::Ok(payload)
    }
    use self::from_1 as from_2;

    /// An event.
    #[derive(Event, Serialize, Deserialize, Debug, ::core::cmp::PartialEq)]
    pub struct Closed;

    /// A generic event.
    #[derive(Event, Serialize, Deserialize)]
    pub struct Noted<T>(#[event(attribute = "note.id")] pub u8, pub T);

    /// An event of many kinds.
    #[derive(Event, Serialize, Deserialize)]
    pub enum Moved {
        /// One.
        Up,
        /// Other.
        Down {
            /// A field.
            by: u8,
        },
    }

    /// The state.
    #[derive(Aggregate, Default, Serialize, Deserialize)]
    #[aggregate(
        id = u64,
        events(Opened, self::Closed, Noted<u8>, Moved),
        snapshot(every = 5),
        name = "Account",
        event = AccountFact,
    )]
    pub struct Account {
        open: bool,
    }

    impl Apply<Opened> for Account {
        fn apply(&mut self, _: Opened) {
            self.open = true;
        }
    }
    impl Apply<Closed> for Account {
        fn apply(&mut self, _: Closed) {
            self.open = false;
        }
    }
    impl Apply<Noted<u8>> for Account {
        fn apply(&mut self, _: Noted<u8>) {}
    }
    impl Apply<Moved> for Account {
        fn apply(&mut self, _: Moved) {}
    }

    /// A command.
    #[derive(Command, ::core::clone::Clone, Deserialize)]
    #[command(aggregate = Account, name = "open")]
    pub struct Open {
        /// A field.
        #[command(id, attribute = "account.id")]
        pub id: u64,
        /// A field.
        #[command(attribute)]
        pub owner: ::core::option::Option<::std::string::String>,
    }

    /// A command.
    #[derive(Command, ::core::clone::Clone, Deserialize)]
    #[command(aggregate = Account)]
    pub struct Close(#[command(id)] pub u64);

    /// A generic command.
    #[derive(Command, ::core::clone::Clone, Deserialize)]
    #[command(aggregate = Account)]
    pub struct Note<T> {
        /// A field.
        #[command(id)]
        pub id: u64,
        /// A field.
        pub note: T,
    }

    /// Services.
    pub struct Clock(pub u64);

    #[command_handler]
    impl Account {
        #[::eventsource_runtime::traced(attributes("now" = clock.0, ?owner, "open" = self.open), enable_tracing = *id > 0)]
        fn open(
            &self,
            Open { id, mut owner }: Open,
            clock: &Clock,
        ) -> ::core::result::Result<Opened, ::core::convert::Infallible> {
            let owner = owner.take().unwrap_or_default();
            ::core::result::Result::Ok(Opened { owner, count: clock.0 + id })
        }

        async fn close(&self, _: Close) -> ::core::result::Result<(Closed, ()), ::core::convert::Infallible> {
            ::core::result::Result::Ok((Closed, ()))
        }

        fn note(&self, command: Note<u8>, _: &Clock) -> ::core::result::Result<[Noted<u8>; 1], ::core::convert::Infallible> {
            ::core::result::Result::Ok([Noted(1, command.note)])
        }

        #[cfg(any())]
        fn gone(&self, command: Gone) -> ::core::result::Result<Noted<u8>, ::core::convert::Infallible> {
            ::core::result::Result::Ok(command.into())
        }
    }
}

/// The read side.
pub mod read {
    #[allow(unused_imports, reason = "they stand in the way of nothing")]
    use super::shadows::*;

    use ::eventsource_runtime::{Query, Recorded, projection, query_handler, traced};
    use ::serde::{Deserialize, Serialize};

    use super::domain::{Closed, Noted, Opened};

    /// A query with a list for an answer.
    #[derive(Query, Deserialize)]
    #[query(output = ::std::vec::Vec<View>)]
    pub struct All {
        /// A field.
        #[query(attribute = "limit")]
        pub limit: u8,
    }

    /// A query whose answer cannot be written.
    #[derive(Query, Deserialize)]
    #[query(output = Opaque, name = "one")]
    pub struct One;

    /// An answer.
    #[derive(Serialize)]
    pub struct View;
    /// An answer.
    pub struct Opaque;

    /// Answers.
    pub struct Views;

    #[query_handler]
    impl Views {
        #[traced(attributes("query.limit" = query.limit))]
        async fn all(&self, query: All) -> ::core::result::Result<::std::vec::Vec<View>, ::std::string::String> {
            ::core::result::Result::Ok((0..query.limit).map(|_| View).collect())
        }

        fn one(&self, _: One) -> ::std::io::Result<Opaque> {
            ::core::result::Result::Ok(Opaque)
        }
    }
    use ::core::iter::Iterator;

    /// Follows on any store.
    pub struct Counts<T>(T);

    #[projection(name = "counts", enable_tracing = self.is_on())]
    impl<T: ::core::marker::Send + ::core::marker::Sync + 'static> Counts<T> {
        #[projection(setup)]
        fn set_up(&self) {}

        #[projection(reset)]
        fn reset(&self) -> ::core::result::Result<(), ::std::io::Error> {
            ::core::result::Result::Ok(())
        }

        #[traced]
        fn opened(&self, event: &Recorded<Opened>) -> ::core::result::Result<(), ::std::io::Error> {
            let _ = &event.owner;
            ::core::result::Result::Ok(())
        }

        #[cfg(any())]
        fn gone(&self, event: &Recorded<Gone>) {}

        fn noted(&self, _: &Recorded<Noted<u8>>) {}
    }

    impl<T> Counts<T> {
        fn is_on(&self) -> bool {
            let _ = &self.0;
            true
        }
    }

    /// Follows where futures may wait.
    pub struct Waits;

    #[projection]
    impl Waits {
        #[projection(setup)]
        async fn set_up(&self) {}

        #[traced]
        async fn closed(&self, _: &Recorded<Closed>) -> ::core::result::Result<(), ::std::io::Error> {
            ::core::result::Result::Ok(())
        }

        fn opened(&self, _: &Recorded<Opened>) {}
    }

    /// Follows in a database.
    pub struct Rows;

    #[projection]
    impl Rows {
        #[projection(reset)]
        fn clear(&self, tx: &::eventsource_runtime::store::SqliteTransaction<'_>) {
            let _ = tx;
        }

        fn closed<'a>(&self, _: &Recorded<Closed>, tx: &::eventsource_runtime::store::SqliteTransaction<'a>) {
            let _ = tx;
        }

        fn opened(&self, _: &Recorded<Opened>) {}
    }
}

pub(super) fn main() {
    use ::eventsource_runtime::{EventSet, Query, Command, Event, Aggregate};
    use ::core::iter::Iterator;
    use ::std::string::ToString;

    let names: ::std::vec::Vec<_> = domain::AccountFact::EVENTS.iter().map(|def| def.name()).collect();
    ::core::assert_eq!(names, ["opened", "Closed", "Noted", "Moved"]);
    let fact = domain::AccountFact::from(domain::Closed);
    ::core::assert_eq!(::std::format!("{fact:?}"), "Closed");
    ::core::assert_eq!(fact.as_event().name(), "Closed");
    ::core::assert_eq!(domain::Opened::VERSION, 3);
    ::core::assert_eq!(domain::Opened::ALIASES, ["begun", "started"]);
    ::core::assert_eq!(domain::Opened::UPCASTS.len(), 2);
    ::core::assert_eq!(domain::Account::NAME, "Account");
    ::core::assert_eq!(domain::Account::SNAPSHOT.map(|snapshot| snapshot.every()), ::core::option::Option::Some(5));
    ::core::assert_eq!(domain::Open::SPAN, "command.open");
    ::core::assert_eq!(domain::Close(7).id().to_string(), "7");
    ::core::assert_eq!(<read::One as Query>::SPAN, "query.one");
    let answer = [read::View].into_iter().collect();
    ::core::assert_eq!(read::All::result_count(&answer), ::core::option::Option::Some(1));
    ::core::assert!(read::All::to_json(&answer).is_some());
    ::core::assert_eq!(read::One::result_count(&read::Opaque), ::core::option::Option::None);
    ::core::assert!(read::One::to_json(&read::Opaque).is_none());
    use ::core::convert::From;
    use ::core::iter::IntoIterator;
}
