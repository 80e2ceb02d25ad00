//! The options of all macros: `key`, `key = value`, `key(..)`, with their places, and without repetitions.

use proc_macro2::{Group, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Expr, Ident, LitInt, LitStr, Meta, Path, Token, Type};

use crate::diagnostics::{Diagnostics, hint};

/// How the value of an option is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `key`
    Flag,
    /// `key = ".."`
    Text,
    /// `key = 2`
    Number,
    /// `key = Type`
    Type,
    /// `key = path`
    Path,
    /// `key = expression`
    Expr,
    /// `key(..)`
    List,
    /// `key = ".."` or `key("..", "..")`
    TextOrList,
    /// `key` or `key = ".."`
    FlagOrText,
}

/// An option that a macro knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    name: &'static str,
    form: Form,
}

impl Word {
    pub(crate) const fn new(name: &'static str, form: Form) -> Self {
        Self { name, form }
    }

    /// How it is written.
    fn example(&self) -> String {
        let name = self.name;
        match self.form {
            Form::Flag => name.to_owned(),
            Form::Text | Form::FlagOrText => format!("{name} = \"..\""),
            Form::Number => format!("{name} = 1"),
            Form::Type => format!("{name} = Type"),
            Form::Path => format!("{name} = path"),
            Form::Expr => format!("{name} = expression"),
            Form::List => format!("{name}(..)"),
            Form::TextOrList => format!("{name} = \"..\" or {name}(\"..\", \"..\")"),
        }
    }
}

/// What was written for an option.
pub(crate) enum Value {
    Flag,
    Text(LitStr),
    Number(LitInt),
    Type(Box<Type>),
    Path(Path),
    Expr(Box<Expr>),
    List(Group),
}

/// An option as it was written.
pub(crate) struct Given {
    pub(crate) key: Ident,
    pub(crate) value: Value,
}

/// The options of one item, each at most once.
#[derive(Default)]
pub(crate) struct Options {
    given: Vec<Given>,
}

impl Options {
    /// Reads `tokens`, the inside of an attribute's parentheses.
    pub(crate) fn parse(diagnostics: &mut Diagnostics, words: &[Word], tokens: TokenStream) -> Self {
        let mut options = Self::default();
        options.extend(diagnostics, words, tokens);
        options
    }

    /// Reads all helper attributes of that name; their options are taken together.
    pub(crate) fn from_attributes(
        diagnostics: &mut Diagnostics,
        words: &[Word],
        attributes: &[Attribute],
        helper: &str,
    ) -> Self {
        let mut options = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident(helper)) {
            match &attribute.meta {
                Meta::List(list) => options.extend(diagnostics, words, list.tokens.clone()),
                Meta::Path(_) => {
                    diagnostics.error(attribute, format!("`#[{helper}]` is empty; write `#[{helper}(..)]`"));
                }
                Meta::NameValue(_) => {
                    diagnostics.error(attribute, format!("`#[{helper}]` takes a list; write `#[{helper}(..)]`"));
                }
            }
        }
        options
    }

    fn extend(&mut self, diagnostics: &mut Diagnostics, words: &[Word], tokens: TokenStream) {
        entries(diagnostics, tokens, |diagnostics, input| {
            let given = entry(words, input)?;
            if self.given.iter().any(|earlier| earlier.key == given.key) {
                diagnostics.error(&given.key, format!("option `{}` is given twice; keep one", given.key.unraw()));
            } else {
                self.given.push(given);
            }
            Ok(())
        });
    }

    /// Takes an option out, as it was written.
    pub(crate) fn take(&mut self, key: &str) -> Option<Given> {
        let index = self.given.iter().position(|given| given.key.unraw() == key)?;
        Some(self.given.remove(index))
    }

    pub(crate) fn flag(&mut self, key: &str) -> Option<Ident> {
        self.take(key).map(|given| given.key)
    }

    pub(crate) fn text(&mut self, key: &str) -> Option<LitStr> {
        match self.take(key)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn number(&mut self, key: &str) -> Option<LitInt> {
        match self.take(key)?.value {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    pub(crate) fn ty(&mut self, key: &str) -> Option<Type> {
        match self.take(key)?.value {
            Value::Type(ty) => Some(*ty),
            _ => None,
        }
    }

    pub(crate) fn path(&mut self, key: &str) -> Option<Path> {
        match self.take(key)?.value {
            Value::Path(path) => Some(path),
            _ => None,
        }
    }

    pub(crate) fn expr(&mut self, key: &str) -> Option<Expr> {
        match self.take(key)?.value {
            Value::Expr(expr) => Some(*expr),
            _ => None,
        }
    }

    pub(crate) fn list(&mut self, key: &str) -> Option<Group> {
        match self.take(key)?.value {
            Value::List(list) => Some(list),
            _ => None,
        }
    }
}

/// Reads entries with commas between them. A mistake in one costs that entry alone.
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
    // Every token is consumed above, one way or the other; should `syn` object after all, that is a report too.
    if let Err(error) = all.parse2(tokens) {
        diagnostics.push(error);
    }
}

fn entry(words: &[Word], input: ParseStream<'_>) -> syn::Result<Given> {
    let Ok(key) = input.call(Ident::parse_any) else {
        let example = words.first().map(Word::example).unwrap_or_default();
        return Err(input.error(format!("expected an option, such as `{example}`")));
    };
    let name = key.unraw().to_string();
    let Some(word) = words.iter().find(|word| word.name == name) else {
        let known: Vec<&str> = words.iter().map(|word| word.name).collect();
        return Err(syn::Error::new(key.span(), format!("unknown option `{name}`; {}", hint(&name, &known))));
    };
    let value = value(word, &key, input)?;
    Ok(Given { key, value })
}

fn value(word: &Word, key: &Ident, input: ParseStream<'_>) -> syn::Result<Value> {
    let takes_list = matches!(word.form, Form::List | Form::TextOrList);
    if input.peek(syn::token::Paren) && takes_list {
        return Ok(Value::List(input.parse()?));
    }
    if input.peek(Token![=]) && !matches!(word.form, Form::List | Form::Flag) {
        input.parse::<Token![=]>()?;
        return assigned(word, input);
    }
    let alone = input.is_empty() || input.peek(Token![,]);
    if alone && matches!(word.form, Form::Flag | Form::FlagOrText) {
        return Ok(Value::Flag);
    }
    let fault = if alone { "needs a value" } else { "is not written like this" };
    Err(syn::Error::new(key.span(), format!("`{}` {fault}; write `{}`", word.name, word.example())))
}

fn assigned(word: &Word, input: ParseStream<'_>) -> syn::Result<Value> {
    let (value, wanted) = match word.form {
        Form::Text | Form::FlagOrText | Form::TextOrList => (input.parse().map(Value::Text), "a text"),
        Form::Number => (input.parse().map(Value::Number), "a number"),
        Form::Type => (input.parse().map(|ty| Value::Type(Box::new(ty))), "a type"),
        Form::Path => (input.call(Path::parse_mod_style).map(Value::Path), "a path"),
        Form::Expr | Form::List | Form::Flag => {
            (input.parse().map(|expr| Value::Expr(Box::new(expr))), "an expression")
        }
    };
    value.map_err(|error| {
        syn::Error::new(error.span(), format!("`{}` takes {wanted}; write `{}`", word.name, word.example()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &[Word] = &[
        Word::new("name", Form::Text),
        Word::new("version", Form::Number),
        Word::new("id", Form::Type),
        Word::new("events", Form::List),
        Word::new("root", Form::Flag),
        Word::new("attribute", Form::FlagOrText),
        Word::new("crate", Form::Path),
    ];

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
        assert!(errors.contains("`events` is not written like this; write `events(..)`"), "{errors}");
        assert!(options.flag("root").is_some());
    }

    #[test]
    fn repetition_is_a_mistake() {
        let (mut options, errors) = read("name = \"a\", name = \"b\"");
        assert!(errors.contains("option `name` is given twice; keep one"), "{errors}");
        assert_eq!(options.text("name").map(|text| text.value()), Some("a".into()));
    }

    #[test]
    fn a_missing_value_is_asked_for() {
        let (_, errors) = read("name, version = , root = 1");
        assert!(errors.contains("`name` needs a value; write `name = \\\"..\\\"`"), "{errors}");
        assert!(errors.contains("`version` takes a number"), "{errors}");
        assert!(errors.contains("`root` is not written like this; write `root`"), "{errors}");
    }
}
