//! The boxed cause of an error, and the short names that telemetry gives to failures.

use std::any::type_name;
use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Debug, Write};

use crate::store::{drivers_name, known_name};
use crate::telemetry::guarded;

/// The cause of an error, from any back end or user code.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// What an error is that can be made from any, and so is no [`Error`] itself: by its fields `cause` and `error_type`.
macro_rules! made_from_any {
    ($error:ident) => {
        /// The cause, for a function that fails with any error: the type itself is no `Error`, so that it can be made
        /// from any.
        impl From<$error> for BoxError {
            fn from(error: $error) -> Self {
                error.cause
            }
        }

        impl From<$error> for Box<dyn Error> {
            fn from(error: $error) -> Self {
                error.cause
            }
        }

        impl fmt::Display for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.cause, f)
            }
        }

        /// Shows the name and the message: the `Debug` of the cause may quote more.
        impl fmt::Debug for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($error), "({}: {})"), self.error_type, self.cause)
            }
        }
    };
}
pub(crate) use made_from_any;

/// How many characters an error quotes of a text that anyone may have sent.
const LONGEST_QUOTE: usize = 64;

/// The beginning of such a text.
pub(crate) fn quoted(text: &str) -> String {
    text.chars().take(LONGEST_QUOTE).collect()
}

/// Displays what a failed attempt was about, after what was attempted; writes nothing if it is empty.
pub(crate) struct About<'a>(pub(crate) &'a str);

impl fmt::Display for About<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

/// Sets what a failed attempt was about, unless it is set already.
pub(crate) fn say(about: &mut Box<str>, what: impl FnOnce() -> String) {
    if about.is_empty() {
        *about = what().into();
    }
}

/// The longest name that telemetry takes from an error's `Debug` output.
const LONGEST_NAME: usize = 64;
/// How much of the output is examined if it may be that of an [`std::io::Error`].
const LONGEST_LOOK: usize = 96;

/// A short, stable name of a failure for `error.type`: the variant of an enum, or the name of the type.
///
/// It is the first word of the error's `Debug` output if that word is all of it, or if it continues as the derive does:
/// `Name(` or `Name {`. Any other output may be prose with user data in it, and the type's name is used instead. An
/// [`std::io::Error`] is named by its kind, and an error of `tokio-postgres` is a `PostgresError`. What would be an
/// `Error` and no more is named with its module, such as `serde_json::Error`. Formatting stops shortly after the first
/// word and nothing else is kept, so the error's fields stay out of telemetry.
///
/// ```
/// # use eventsource_runtime::error::error_type;
/// #[derive(Debug)]
/// enum OrderError {
///     WrongStatus(&'static str),
/// }
///
/// assert_eq!(error_type(&OrderError::WrongStatus("already placed")), "WrongStatus");
/// ```
pub fn error_type<E: Debug + ?Sized>(error: &E) -> Cow<'static, str> {
    let path = type_name::<E>();
    of_module(path, named(path, &mut |head| write!(head, "{error:?}")))
}

/// As [`error_type`], for an error that has been boxed: `E` is its original type. If that can be any error, and its
/// output says no more, the first of its causes that has a name known here gives it.
pub(crate) fn error_type_or<E>(error: &BoxError) -> Cow<'static, str> {
    error_type_behind::<E>(&**error)
}

/// The same for what is not boxed.
pub(crate) fn error_type_behind<E>(error: &(dyn Error + 'static)) -> Cow<'static, str> {
    if let Some(name) = drivers_name(error) {
        return name;
    }
    let path = type_name::<E>();
    let name = named(path, &mut |head| write!(head, "{error:?}"));
    let is_any = writes_messages(path) || path.contains("dyn ");
    let known = if is_any && matches!(&*name, "Error" | "Report") { known_name(error) } else { None };
    known.unwrap_or_else(|| of_module(path, name))
}

/// Whether the type can be made from any error, and its `Debug` output is that one's message.
fn writes_messages(path: &str) -> bool {
    matches!(path, "anyhow::Error" | "eyre::Report")
}

fn named(path: &'static str, print: &mut dyn FnMut(&mut Head) -> fmt::Result) -> Cow<'static, str> {
    let mut head = Head::default();
    // An error here only means that enough was seen, or that the user's `Debug` failed.
    let printed = guarded(|| print(&mut head));
    let of_type = Cow::Borrowed(last_segment(path));
    // These write the error's message, even if it is a single word.
    if printed.is_none() || writes_messages(path) {
        return of_type;
    }
    // Its `Debug` output is `Error { .. }`, whatever happened.
    if path == "tokio_postgres::error::Error" {
        return Cow::Borrowed("PostgresError");
    }
    // A `dyn Error` may be one of these as well.
    let may_be_io = path == type_name::<std::io::Error>() || path.contains("dyn ");
    let kind = if may_be_io { head.io_kind() } else { None };
    kind.or_else(|| head.name()).map_or(of_type, |name| Cow::Owned(name.to_owned()))
}

/// An `Error` with the module that tells whose it is; that of a `dyn Error` would tell nothing.
fn of_module(path: &'static str, name: Cow<'static, str>) -> Cow<'static, str> {
    let own = pointee(path);
    let module = own.rsplit("::").skip(1).find(|module| !matches!(*module, "error" | "errors"));
    match module {
        Some(module) if name == "Error" && own.ends_with("::Error") && !path.contains("dyn ") => {
            Cow::Owned(format!("{module}::Error"))
        }
        _ => name,
    }
}

/// The last segment of a type's path, without its parameters.
pub(crate) fn short_name<T: ?Sized>() -> &'static str {
    last_segment(type_name::<T>())
}

fn last_segment(path: &'static str) -> &'static str {
    let path = pointee(path);
    path.rsplit("::").next().unwrap_or(path)
}

/// The path of a type, without its parameters, behind pointers; of a tuple or an array, the first element's.
fn pointee(path: &'static str) -> &'static str {
    let mut path = path.trim_start_matches('&');
    // The name of the pointee says more than that of the pointer.
    for pointer in ["alloc::boxed::Box<", "alloc::sync::Arc<", "alloc::rc::Rc<"] {
        path = path.strip_prefix(pointer).unwrap_or(path);
    }
    path = path.strip_prefix("dyn ").unwrap_or(path);
    let first = path.trim_start_matches(['(', '[', '&']).split(['<', '>', ' ', ',', ';', ')', ']']).next();
    first.filter(|first| !first.is_empty()).unwrap_or(path)
}

/// Captures the beginning of what is written, enough to tell whether a derive wrote it, and refuses the rest.
#[derive(Default)]
struct Head {
    text: String,
}

impl Head {
    fn word(&self) -> (&str, &str) {
        let ends = |character: char| !(character.is_ascii_alphanumeric() || character == '_');
        self.text.split_at(self.text.find(ends).unwrap_or(self.text.len()))
    }

    fn is_enough(&self) -> bool {
        let (word, rest) = self.word();
        let longest = if matches!(word, "Os" | "Custom" | "Error" | "Kind") { LONGEST_LOOK } else { word.len() + 2 };
        word.len() > LONGEST_NAME || (!rest.is_empty() && self.text.len() >= longest)
    }

    /// The first word, if it is a name and is followed by what a derive writes.
    fn name(&self) -> Option<&str> {
        let (word, rest) = self.word();
        let derived = rest.is_empty() || rest.starts_with('(') || rest.starts_with(" {");
        let is_name = word.starts_with(|first: char| first.is_ascii_uppercase()) && word.len() <= LONGEST_NAME;
        (is_name && derived).then_some(word)
    }

    /// The kind within the `Debug` output of an [`std::io::Error`], in each of its shapes.
    fn io_kind(&self) -> Option<&str> {
        let (word, rest) = self.word();
        let after = match word {
            "Kind" => rest.strip_prefix('(')?,
            "Custom" | "Error" => rest.strip_prefix(" { kind: ")?,
            "Os" => rest.strip_prefix(" { code: ")?.split_once(", kind: ")?.1,
            _ => return None,
        };
        let end = after.find(|character: char| !character.is_ascii_alphabetic())?;
        (end > 0 && after[end..].starts_with([',', ')'])).then_some(&after[..end])
    }
}

impl Write for Head {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.is_enough() {
                return Err(fmt::Error);
            }
            self.text.push(character);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    #[expect(dead_code, reason = "only its `Debug` output matters")]
    enum Failure {
        Plain,
        Tuple(&'static str),
        Fields { secret: &'static str },
    }

    struct Shouting;
    impl Debug for Shouting {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("card 4111 declined")
        }
    }

    struct Panicking;
    impl Debug for Panicking {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("Debug of an error")
        }
    }

    #[test]
    fn takes_the_variant_and_nothing_of_its_fields() {
        assert_eq!(error_type(&Failure::Plain), "Plain");
        assert_eq!(error_type(&Failure::Tuple("secret")), "Tuple");
        assert_eq!(error_type(&Failure::Fields { secret: "secret" }), "Fields");
    }

    #[test]
    fn falls_back_to_the_type_where_debug_is_prose_or_panics() {
        assert_eq!(error_type(&Shouting), "Shouting");
        assert_eq!(error_type(&Panicking), "Panicking");
    }

    struct Prose(&'static str);
    impl Debug for Prose {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    /// `Alice` became the name of a failure: errors such as anyhow's write their message as `Debug`.
    #[test]
    fn a_capitalised_word_of_prose_is_no_name() {
        for prose in ["Alice has no credit", "Alice: no credit", "Alice\nCaused by", "Alice (vip)", "Alice's", "Zoë"] {
            assert_eq!(error_type(&Prose(prose)), "Prose", "{prose}");
        }
        assert_eq!(error_type(&Prose("Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")), "Prose");
        let boxed: Box<dyn Error + Send + Sync> = "Alice has no credit".into();
        assert_eq!(error_type(&boxed), "Error");
        assert_eq!(error_type_or::<BoxError>(&boxed), "Error");
        assert_eq!(error_type(&Box::new(Failure::Tuple("secret"))), "Tuple");
    }

    /// It was `(u16,`, and `Error` whether JSON or formatting had failed.
    #[test]
    fn a_tuple_has_its_first_name_and_a_bare_error_that_of_its_module() {
        assert_eq!(error_type(&(404_u16, "no such cart".to_owned())), "u16");
        assert_eq!(error_type(&[Shouting, Shouting]), "Shouting");
        assert_eq!(error_type(&()), "()");
        let json = || serde_json::from_str::<u8>("Alice").unwrap_err();
        assert_eq!(error_type(&json()), "serde_json::Error");
        assert_eq!(error_type(&Box::new(json())), "serde_json::Error");
        assert_eq!(error_type_or::<serde_json::Error>(&json().into()), "serde_json::Error");
        assert_eq!(error_type(&fmt::Error), "fmt::Error");
    }

    #[test]
    fn an_io_error_is_named_by_its_kind() {
        use std::io;
        let errors = || {
            [
                (io::Error::from(io::ErrorKind::NotFound), "NotFound"),
                (io::Error::other("Alice"), "Other"),
                (io::Error::from_raw_os_error(2), "NotFound"),
            ]
        };
        for (error, kind) in errors() {
            assert_eq!(error_type(&error), kind);
            let boxed: Box<dyn Error> = error.into();
            assert_eq!(error_type(&boxed), kind);
        }
        for (error, kind) in errors() {
            assert_eq!(error_type_or::<io::Error>(&error.into()), kind);
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("the read model is away")]
    struct Away(#[source] BoxError);

    /// As what `anyhow` puts around an error with its `context`.
    #[derive(thiserror::Error)]
    #[error("while the cart was read")]
    struct Context {
        #[source]
        cause: BoxError,
    }

    impl Debug for Context {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Error").field("source", &self.cause).finish()
        }
    }

    /// All were called `Error`, and nobody saw that a database was behind them.
    #[test]
    fn what_can_be_any_error_is_named_by_a_cause_that_is_known() {
        use crate::store::StoreError;
        let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
        let anything = |cause: BoxError| error_type_behind::<BoxError>(&Context { cause });
        assert_eq!(anything(missing().into()), "NotFound");
        assert_eq!(anything(StoreError::Closed.into()), "closed");
        assert_eq!(anything(Away(missing().into()).into()), "NotFound");
        assert_eq!(anything("Alice has no credit".into()), "Error");
        assert_eq!(error_type_behind::<Away>(&Away(missing().into())), "Away", "its own name says more");
        assert_eq!(error_type_behind::<BoxError>(&Away(missing().into())), "Away");
    }
}
