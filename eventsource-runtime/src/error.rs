//! Causes that several operations share, and the short names that telemetry gives to failures.

use std::any::type_name;
use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Debug, Write};

/// The cause of an error, whatever back end or user code it came from.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// The longest name that telemetry takes from an error's `Debug` output.
const LONGEST_NAME: usize = 64;

/// A short, stable name of a failure for `error.type`: the variant of an enum, or the name of the type.
///
/// It is the first word of the error's `Debug` output where that reads like the name of a variant, which is
/// what the derive prints. Nothing after that word is formatted, so that the error's fields stay out of telemetry.
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
    named(&mut |name| write!(name, "{error:?}")).unwrap_or(Cow::Borrowed(short_name::<E>()))
}

/// As [`error_type`], for an error that has been boxed since: `E` is what it was.
pub(crate) fn error_type_or<E>(error: &BoxError) -> Cow<'static, str> {
    named(&mut |name| write!(name, "{error:?}")).unwrap_or(Cow::Borrowed(short_name::<E>()))
}

fn named(print: &mut dyn FnMut(&mut FirstWord) -> fmt::Result) -> Option<Cow<'static, str>> {
    let mut word = FirstWord::default();
    // An error here only says that the word has ended, or that the user's `Debug` gave up.
    let printed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| print(&mut word)));
    let complete = printed.is_ok() && word.name.starts_with(|first: char| first.is_ascii_uppercase());
    complete.then_some(Cow::Owned(word.name))
}

/// The last segment of a type's path, without its parameters.
pub(crate) fn short_name<T: ?Sized>() -> &'static str {
    let path = type_name::<T>();
    let path = path.split('<').next().unwrap_or(path);
    path.rsplit("::").next().unwrap_or(path)
}

/// Takes the first word that is written and refuses the rest.
#[derive(Default)]
struct FirstWord {
    name: String,
}

impl Write for FirstWord {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let belongs = character.is_ascii_alphanumeric() || character == '_';
            if !belongs {
                return Err(fmt::Error);
            }
            if self.name.len() == LONGEST_NAME {
                self.name.clear();
                return Err(fmt::Error);
            }
            self.name.push(character);
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
}
