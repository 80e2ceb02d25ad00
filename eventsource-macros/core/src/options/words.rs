//! The words that a place takes, and how an entry is read.

use proc_macro2::Group;
use syn::ext::IdentExt as _;
use syn::parse::ParseStream;
use syn::{Expr, ExprPath, Ident, LitInt, LitStr, Path, Token, Type};

use crate::diagnostics::{hint, nearest};

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
    /// `key = path`, of a function, also `Type::<A>::function` and `<Type as Trait>::function`.
    Function,
    /// `key = path` of a function, or `key = |value| ..`.
    FunctionOrClosure,
    /// `key = expression`
    Expr,
    /// `key(..)`, with an example of what stands in it.
    List(&'static str),
    /// `key = ".."` or `key("..", "..")`
    TextOrList,
    /// `key` or `key = ".."`
    FlagOrText,
    /// `key = word`, one of these.
    OneOf(&'static [&'static str]),
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

    fn takes_list(&self) -> bool {
        matches!(self.form, Form::List(_) | Form::TextOrList)
    }

    /// How it is written.
    fn example(&self) -> String {
        let name = self.name;
        match self.form {
            Form::Flag => name.to_owned(),
            Form::Text | Form::FlagOrText => format!("{name} = \"..\""),
            Form::Number => format!("{name} = 1"),
            Form::Type => format!("{name} = Type"),
            Form::Path | Form::Function | Form::FunctionOrClosure => format!("{name} = path"),
            Form::Expr => format!("{name} = expression"),
            Form::List(inside) => format!("{name}({inside})"),
            Form::OneOf(words) => format!("{name} = {}", words.first().copied().unwrap_or_default()),
            // A message puts it into backticks.
            Form::TextOrList => format!("{name} = \"..\"` or `{name}(\"..\", \"..\")"),
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

/// The options that one place takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    here: &'static [Word],
    /// Words that do not belong here, and the message about them.
    elsewhere: &'static [(&'static str, &'static str)],
    /// If there is a string without a word, the message about one in another place, and how it is written.
    text: Option<(&'static str, &'static str)>,
}

impl Words {
    pub(crate) const fn new(here: &'static [Word]) -> Self {
        Self { here, elsewhere: &[], text: None }
    }

    /// Adds words that belong elsewhere, each with the end of the message that says where.
    pub(crate) const fn with_elsewhere(self, elsewhere: &'static [(&'static str, &'static str)]) -> Self {
        Self { elsewhere, ..self }
    }

    /// Adds the message about a string without a word, and about a name that may stand for one.
    pub(crate) const fn with_text(self, message: &'static str, form: &'static str) -> Self {
        Self { text: Some((message, form)), ..self }
    }

    /// The name of each.
    #[cfg(test)]
    pub(crate) fn names(self) -> Vec<&'static str> {
        self.here.iter().map(|word| word.name).collect()
    }
}

/// An entry that is not an option, and the option probably meant.
pub(super) struct Mistake {
    pub(super) error: syn::Error,
    pub(super) meant: Option<&'static str>,
}

impl Words {
    /// Reads one entry.
    pub(super) fn entry(self, input: ParseStream<'_>) -> Result<Given, Mistake> {
        let Ok(key) = input.call(Ident::parse_any) else {
            return Err(Mistake { error: self.expected(input), meant: None });
        };
        let name = key.unraw().to_string();
        let Some(word) = self.here.iter().find(|word| word.name == name) else {
            return Err(self.unknown(&key, &name, input));
        };
        if input.peek(syn::token::Paren)
            && !word.takes_list()
            && let Some(listed) = self.listed(word)
        {
            let (written, meant) = (word.example(), listed.example());
            let message = format!("`{name}` is not written like this; write `{written}`, or did you mean `{meant}`?");
            return Err(Mistake { error: syn::Error::new(key.span(), message), meant: Some(listed.name) });
        }
        match value(word, &key, input) {
            Ok(value) => Ok(Given { key, value }),
            Err(error) => Err(Mistake { error, meant: Some(word.name) }),
        }
    }

    /// An option of a similar name that is written with parentheses, as this one was.
    fn listed(self, word: &Word) -> Option<&'static Word> {
        let lists = self.here.iter().filter(|other| other.takes_list() && other.name != word.name);
        let near = nearest(word.name, &lists.clone().map(|other| other.name).collect::<Vec<_>>())?;
        lists.into_iter().find(|other| other.name == near)
    }

    fn expected(self, input: ParseStream<'_>) -> syn::Error {
        if input.peek(LitStr)
            && let Some((message, _)) = self.text
        {
            return input.error(message);
        }
        let example = self.here.first().map(Word::example).unwrap_or_default();
        input.error(format!("expected an option, such as `{example}`"))
    }

    fn unknown(self, key: &Ident, name: &str, input: ParseStream<'_>) -> Mistake {
        if let Some((word, where_to)) = self.elsewhere.iter().find(|(word, _)| *word == name) {
            let error = syn::Error::new(key.span(), format!("`{word}` {where_to}"));
            return Mistake { error, meant: Some(word) };
        }
        let known: Vec<&'static str> = self.here.iter().map(|word| word.name).collect();
        let meant = nearest(name, &known);
        // A constant's name, or a macro that makes a text.
        let is_value = input.is_empty() || input.peek(Token![,]) || input.peek(Token![!]) || input.peek(Token![::]);
        let others: Vec<&'static str> = self.elsewhere.iter().map(|(word, _)| *word).collect();
        let other = nearest(name, &others).filter(|_| meant.is_none());
        let told = match (self.text, self.elsewhere.iter().find(|(word, _)| Some(*word) == other)) {
            (_, Some((word, where_to))) => format!("`{word}` {where_to}"),
            (Some((_, form)), None) if is_value && meant.is_none() => form.to_owned(),
            _ => hint(name, &known),
        };
        let meant = meant.or(other);
        Mistake { error: syn::Error::new(key.span(), format!("unknown option `{name}`; {told}")), meant }
    }
}

fn value(word: &Word, key: &Ident, input: ParseStream<'_>) -> syn::Result<Value> {
    if input.peek(syn::token::Paren) && word.takes_list() {
        return Ok(Value::List(input.parse()?));
    }
    if input.peek(Token![=]) && !matches!(word.form, Form::List(_) | Form::Flag) {
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
        Form::Function => (input.parse().map(|path: ExprPath| Value::Expr(Box::new(Expr::Path(path)))), "a path"),
        Form::FunctionOrClosure => (function(input).map(|it| Value::Expr(Box::new(it))), "a path or a closure"),
        Form::OneOf(words) => return one_of(word, words, input),
        Form::Expr | Form::List(_) | Form::Flag => {
            (input.parse().map(|expr| Value::Expr(Box::new(expr))), "an expression")
        }
    };
    let fault = |span| syn::Error::new(span, format!("`{}` takes {wanted}; write `{}`", word.name, word.example()));
    if word.form == Form::Function && value.is_ok() && input.peek(syn::token::Paren) {
        return Err(fault(input.span()));
    }
    value.map_err(|error| fault(error.span()))
}

fn function(input: ParseStream<'_>) -> syn::Result<Expr> {
    let written: Expr = input.parse()?;
    let mut inside = &written;
    while let Expr::Group(group) = inside {
        inside = &group.expr;
    }
    match inside {
        Expr::Path(_) | Expr::Closure(_) => Ok(inside.clone()),
        other => Err(syn::Error::new_spanned(other, "")),
    }
}

fn one_of(word: &Word, words: &[&'static str], input: ParseStream<'_>) -> syn::Result<Value> {
    let fault = |span| syn::Error::new(span, format!("`{}` takes a word; write `{}`", word.name, word.example()));
    let written = input.call(Ident::parse_any).map_err(|error| fault(error.span()))?;
    let name = written.unraw().to_string();
    if words.contains(&name.as_str()) {
        return Ok(Value::Path(written.into()));
    }
    let message = format!("`{}` cannot be `{name}`; {}", word.name, hint(&name, words));
    Err(syn::Error::new(written.span(), message))
}
