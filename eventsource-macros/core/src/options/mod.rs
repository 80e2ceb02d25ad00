//! The options of all macros: `key`, `key = value`, `key(..)`, with their spans, and without repetitions.

mod words;

use proc_macro2::{Group, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Expr, Ident, LitInt, LitStr, Meta, Path, Token, Type};

pub(crate) use words::{Form, Given, Value, Word, Words};

use crate::diagnostics::{Diagnostics, parse};
use words::Mistake;

impl Given {
    /// The value, if it is an expression.
    pub(crate) fn expr(self) -> Option<Expr> {
        let Value::Expr(expr) = self.value else { return None };
        Some(*expr)
    }
}

/// The options of one item, each at most once.
#[derive(Default)]
pub(crate) struct Options {
    given: Vec<Given>,
    /// Options that were malformed, which was reported.
    meant: Vec<&'static str>,
    /// Whether a reported mistake may have been meant for any option.
    is_unclear: bool,
}

impl Options {
    /// Reads `tokens`, the inside of an attribute's parentheses.
    pub(crate) fn parse(diagnostics: &mut Diagnostics, words: Words, tokens: TokenStream) -> Self {
        let mut options = Self::default();
        options.extend(diagnostics, words, tokens);
        options
    }

    /// Reads all helper attributes of that name and merges their options.
    pub(crate) fn from_attributes(
        diagnostics: &mut Diagnostics,
        words: Words,
        attributes: &[Attribute],
        helper: &str,
    ) -> Self {
        let mut options = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident(helper)) {
            let message = match &attribute.meta {
                Meta::NameValue(_) => format!("`#[{helper}]` takes a list; write `#[{helper}(..)]`"),
                Meta::Path(_) | Meta::List(_) => format!("`#[{helper}]` is empty; write `#[{helper}(..)]`"),
            };
            options.add(diagnostics, words, attribute, &message);
        }
        options
    }

    /// Reads one more attribute, and reports one without a list.
    pub(crate) fn add(&mut self, diagnostics: &mut Diagnostics, words: Words, attribute: &Attribute, message: &str) {
        if let Meta::List(list) = &attribute.meta {
            self.extend(diagnostics, words, list.tokens.clone());
        } else {
            self.is_unclear = true;
            diagnostics.error(attribute, message);
        }
    }

    fn extend(&mut self, diagnostics: &mut Diagnostics, words: Words, tokens: TokenStream) {
        let before = diagnostics.count();
        let mut understood = 0;
        entries(diagnostics, tokens, |diagnostics, input| {
            let given = words.entry(input).map_err(|Mistake { error, meant }| {
                understood += usize::from(meant.is_some());
                self.meant.extend(meant);
                error
            })?;
            let key = given.key.unraw();
            if self.given.iter().any(|earlier| earlier.key.unraw() == key) {
                understood += 1;
                diagnostics.error(&given.key, format!("option `{key}` is given twice; keep one"));
            } else {
                self.given.push(given);
            }
            Ok(())
        });
        self.is_unclear |= diagnostics.count() > before + understood;
    }

    /// Whether a reported mistake may have been meant for this option, so that its absence is not another.
    pub(crate) fn is_unclear(&self, key: &str) -> bool {
        // `event(A)` may have been meant for `events` as well.
        self.is_unclear || self.meant.iter().any(|word| word.starts_with(key) || key.starts_with(word))
    }

    /// Takes an option out, as it was written.
    pub(crate) fn take(&mut self, key: &str) -> Option<Given> {
        let index = self.given.iter().position(|given| given.key.unraw() == key)?;
        Some(self.given.remove(index))
    }

    /// The expression that is given for an option, which stays there.
    pub(crate) fn given(&self, key: &str) -> Option<&Expr> {
        self.given.iter().find_map(|given| match &given.value {
            Value::Expr(expr) if given.key.unraw() == key => Some(&**expr),
            _ => None,
        })
    }

    pub(crate) fn flag(&mut self, key: &str) -> Option<Ident> {
        self.take(key).map(|given| given.key)
    }

    pub(crate) fn text(&mut self, key: &str) -> Option<LitStr> {
        let Value::Text(text) = self.take(key)?.value else { return None };
        Some(text)
    }

    pub(crate) fn number(&mut self, key: &str) -> Option<LitInt> {
        let Value::Number(number) = self.take(key)?.value else { return None };
        Some(number)
    }

    pub(crate) fn ty(&mut self, key: &str) -> Option<Type> {
        let Value::Type(ty) = self.take(key)?.value else { return None };
        Some(*ty)
    }

    pub(crate) fn path(&mut self, key: &str) -> Option<Path> {
        let Value::Path(path) = self.take(key)?.value else { return None };
        Some(path)
    }

    pub(crate) fn expr(&mut self, key: &str) -> Option<Expr> {
        self.take(key)?.expr()
    }

    pub(crate) fn list(&mut self, key: &str) -> Option<Group> {
        let Value::List(list) = self.take(key)?.value else { return None };
        Some(list)
    }
}

/// The number, if it is from 1 up; `what` says what another number is not.
pub(crate) fn at_least_one<N: TryFrom<u64>>(diagnostics: &mut Diagnostics, written: &LitInt, what: &str) -> Option<N> {
    let number = written.base10_parse().ok().filter(|number| *number > 0).and_then(|number| N::try_from(number).ok());
    if number.is_none() {
        diagnostics.error(written, format!("`{written}` is not {what}; write a whole number from 1 up"));
    }
    number
}

/// Reads the entries of a list, if it is given; `fault` says what one is.
pub(crate) fn each_of<T: Parse>(diagnostics: &mut Diagnostics, list: Option<Group>, fault: &str) -> Vec<T> {
    let mut all = Vec::new();
    if let Some(list) = list {
        entries(diagnostics, list.stream(), |_, input| {
            let entry = input.parse().map_err(|error| syn::Error::new(error.span(), fault))?;
            if !input.is_empty() && !input.peek(Token![,]) {
                return Err(input.error(fault));
            }
            all.push(entry);
            Ok(())
        });
    }
    all
}

/// Reads entries separated by commas. A mistake in one loses only that entry.
pub(crate) fn entries(
    diagnostics: &mut Diagnostics,
    tokens: TokenStream,
    mut entry: impl FnMut(&mut Diagnostics, ParseStream<'_>) -> syn::Result<()>,
) {
    let all = |input: ParseStream<'_>| {
        while !input.is_empty() {
            let mut read = entry(diagnostics, input);
            if read.is_ok() && !input.is_empty() && !input.peek(Token![,]) {
                read = Err(input.error("expected `,`"));
            }
            if let Err(error) = read {
                diagnostics.push(error);
                while !input.is_empty() && !input.peek(Token![,]) {
                    input.parse::<TokenTree>()?;
                }
            }
            input.parse::<Option<Token![,]>>()?;
        }
        Ok(())
    };
    // Every token is consumed above; should `syn` object after all, that is reported too.
    if let Err(error) = parse(tokens, all) {
        diagnostics.push(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: Words = Words::new(&[
        Word::new("name", Form::Text),
        Word::new("version", Form::Number),
        Word::new("id", Form::Type),
        Word::new("events", Form::List("A, B")),
        Word::new("root", Form::Flag),
        Word::new("attribute", Form::FlagOrText),
        Word::new("crate", Form::Path),
    ])
    .with_elsewhere(&[("every", "belongs in `snapshot(..)`")])
    .with_text("a text stands first", "a text is written out");

    fn read(source: &str) -> (Options, String) {
        let mut diagnostics = Diagnostics::default();
        let options = Options::parse(&mut diagnostics, WORDS, source.parse().expect("the test's own tokens"));
        (options, diagnostics.into_tokens().to_string())
    }

    #[test]
    fn reads_every_form() {
        let (mut options, errors) =
            read("name = \"a\", version = 2, id = Map<K, V>, events(A, B), root, attribute, crate = a::b,");
        assert_eq!(errors, "");
        assert_eq!(options.text("name").map(|text| text.value()), Some("a".into()));
        assert_eq!(options.number("version").map(|number| number.to_string()), Some("2".into()));
        assert!(options.ty("id").is_some());
        assert_eq!(options.list("events").map(|list| list.stream().to_string()), Some("A , B".into()));
        assert!(options.flag("root").is_some());
        assert!(matches!(options.take("attribute"), Some(Given { value: Value::Flag, .. })));
        assert!(options.path("crate").is_some());
    }

    #[test]
    fn a_mistake_costs_its_entry_alone() {
        let (mut options, errors) = read("nmae = \"a\", version = \"x\", 7, events = A, root");
        assert!(errors.contains("unknown option `nmae`; did you mean `name`?"), "{errors}");
        assert!(errors.contains("`version` takes a number; write `version = 1`"), "{errors}");
        assert!(errors.contains("expected an option, such as"), "{errors}");
        assert!(errors.contains("`events` is not written like this; write `events(A, B)`"), "{errors}");
        assert!(options.flag("root").is_some());
    }

    #[test]
    fn repetition_is_a_mistake() {
        let (mut options, errors) = read("name = \"a\", name = \"b\"");
        assert!(errors.contains("option `name` is given twice; keep one"), "{errors}");
        assert_eq!(options.text("name").map(|text| text.value()), Some("a".into()));
    }

    #[test]
    fn raw_words_are_the_same_words() {
        let (mut options, errors) = read("r#name = \"a\", name = \"b\"");
        assert!(errors.contains("option `name` is given twice; keep one"), "{errors}");
        assert_eq!(options.text("name").map(|text| text.value()), Some("a".into()));
    }

    #[test]
    fn what_belongs_elsewhere_is_said() {
        let (options, errors) = read("every = 3, \"text\"");
        assert!(errors.contains("`every` belongs in `snapshot(..)`"), "{errors}");
        assert!(errors.contains("a text stands first"), "{errors}");
        assert!(options.is_unclear("every"));
    }

    #[test]
    fn a_mistake_leaves_unclear_what_it_was_meant_for() {
        let unclear = |source| {
            let (options, _) = read(source);
            ["name", "version"].map(|key| options.is_unclear(key))
        };
        assert_eq!(unclear("name = \"a\""), [false, false]);
        assert_eq!(unclear("nmae = \"a\""), [true, false]);
        assert_eq!(unclear("version = \"x\", id = A, id = B"), [false, true]);
        assert_eq!(unclear("colour = 1"), [true, true]);
        assert_eq!(unclear("COLOUR"), [true, true]);
        assert_eq!(unclear("7"), [true, true]);
        assert_eq!(unclear("root, id = A B"), [true, true]);
    }

    #[test]
    fn words_of_which_one_begins_with_the_other_are_meant_together() {
        const ALIKE: Words = Words::new(&[
            Word::new("evens", Form::Flag),
            Word::new("event", Form::Type),
            Word::new("events", Form::List("A, B")),
        ]);
        let unclear = |source: &str| {
            let mut diagnostics = Diagnostics::default();
            let options = Options::parse(&mut diagnostics, ALIKE, source.parse().expect("the test's own tokens"));
            (diagnostics.into_tokens().to_string(), ["event", "events"].map(|key| options.is_unclear(key)))
        };
        let (said, both) = unclear("event(A)");
        assert!(said.contains("did you mean `events(A, B)`?"), "{said}");
        assert_eq!(both, [true, true]);
        assert_eq!(unclear("event = 1").1, [true, true]);
        assert_eq!(unclear("evens").1, [false, false]);
    }

    #[test]
    fn an_expression_is_found_by_its_key() {
        const TWO: Words = Words::new(&[Word::new("first", Form::Expr), Word::new("second", Form::Expr)]);
        let mut diagnostics = Diagnostics::default();
        let given = "first = a, second = b".parse().expect("the test's own tokens");
        let options = Options::parse(&mut diagnostics, TWO, given);
        assert!(matches!(options.given("second"), Some(Expr::Path(path)) if path.path.is_ident("b")));
    }

    #[test]
    fn what_may_stand_for_a_text_is_told_from_a_word() {
        for source in ["COLOUR", "COLOUR, root", "concat!(\"a\", \"b\")", "colours::RED"] {
            let (_, errors) = read(source);
            assert!(errors.contains("; a text is written out"), "{errors}");
        }
        for source in ["nmae", "colour = 1", "colour(1)"] {
            let (_, errors) = read(source);
            assert!(!errors.contains("; a text is written out"), "{errors}");
        }
    }

    #[test]
    fn a_missing_value_is_asked_for() {
        let (_, errors) = read("name, version = , root = 1");
        assert!(errors.contains("`name` needs a value; write `name = \\\"..\\\"`"), "{errors}");
        assert!(errors.contains("`version` takes a number"), "{errors}");
        assert!(errors.contains("`root` is not written like this; write `root`"), "{errors}");
    }
}
