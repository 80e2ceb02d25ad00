//! What the methods mean: which takes which event. Every check is here.

use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::{Attribute, GenericParam, Generics, Ident, PatType, PathArguments, Type, TypeReference, parse_quote};

use crate::diagnostics::{Diagnostics, shown};
use crate::generics::{has_no_lifetimes, with_static_lifetimes};
use crate::keys;
use crate::listeners::{self, Listener, Parsed, is_inherent};
use crate::names::find;
use crate::options::Options;
use crate::signature::{Function, alike, inside_reference, plain, shared_receiver, ungrouped};

const METHOD: &str = "a projection's method";

pub(super) struct Model {
    pub(super) listener: Listener,
    /// The transaction that the methods write with, with `'static` for its lifetimes; `None` runs on every store.
    pub(super) transaction: Option<Type>,
    pub(super) setup: Option<Step>,
    pub(super) reset: Option<Step>,
    pub(super) handlers: Vec<Handler>,
}

/// A method, and how it is called.
pub(super) struct Step {
    pub(super) cfgs: Vec<Attribute>,
    pub(super) method: Ident,
    /// The word `async`, if present.
    pub(super) asyncness: Option<syn::Token![async]>,
    pub(super) takes_transaction: bool,
}

/// A method that takes an event.
pub(super) struct Handler {
    pub(super) step: Step,
    pub(super) event: Type,
    /// The method's name without `r#`, and its span's.
    pub(super) name: String,
    pub(super) span: String,
}

/// The methods by their role.
#[derive(Default)]
struct Found {
    transaction: Option<Type>,
    setup: Option<Step>,
    reset: Option<Step>,
    handlers: Vec<Handler>,
}

/// `None` if the block cannot be a projection.
pub(super) fn model(diagnostics: &mut Diagnostics, parsed: Parsed) -> Option<Model> {
    let Parsed { runtime, name, is_name_unclear, enable_tracing, block, methods } = parsed;
    if !is_inherent(diagnostics, &block, keys::PROJECTION, "a method of it")
        || !has_no_lifetimes(diagnostics, &block, "a projection")
    {
        return None;
    }
    let before = diagnostics.count();
    let are_read = methods.iter().all(Option::is_some);
    let mut found = Found::default();
    for (method, options) in block.methods.iter().zip(methods) {
        if let Some(options) = options
            && !block.is_repeated(method)
        {
            add(diagnostics, &mut found, method, options);
        }
    }
    let Found { transaction, setup, reset, handlers } = found;
    if handlers.is_empty() && diagnostics.count() == before && are_read {
        let message = "`#[projection]` follows no event; add a method that takes `&Recorded<Event>`";
        diagnostics.error(&block.self_ty, message);
    }
    if let Some(transaction) = &transaction
        && !is_one_kind(diagnostics, transaction, &block.generics)
    {
        return None;
    }
    let name = listeners::name(diagnostics, name, is_name_unclear, &block.self_ty, keys::PROJECTION)?;
    let listener = Listener::new(diagnostics, keys::PROJECTION, name, (runtime, block, enable_tracing));
    Some(Model { listener, transaction, setup, reset, handlers })
}

/// Whether the transaction is independent of the block's parameters: it determines the impl's store.
fn is_one_kind(diagnostics: &mut Diagnostics, transaction: &Type, generics: &Generics) -> bool {
    let mut parameters = generics.params.iter().filter_map(|parameter| match parameter {
        GenericParam::Type(parameter) => Some(&parameter.ident),
        GenericParam::Const(parameter) => Some(&parameter.ident),
        GenericParam::Lifetime(_) => None,
    });
    let tokens = transaction.to_token_stream();
    let named = parameters.find_map(|parameter| find(tokens.clone(), &parameter.unraw().to_string()));
    if let Some(named) = &named {
        let message =
            format!("a projection is for one kind of transaction, which `{named}` leaves open; name the type");
        diagnostics.error(named, message);
    }
    named.is_none()
}

/// `None` after a mistake.
fn add(diagnostics: &mut Diagnostics, found: &mut Found, method: &Function, mut options: Options) -> Option<()> {
    let is_sound = shared_receiver(diagnostics, &method.sig, METHOD).is_some();
    let is_sound = plain(diagnostics, method, METHOD) && is_sound;
    let (setup, reset) = (options.flag(keys::SETUP), options.flag(keys::RESET));
    if let (Some(_), Some(reset)) = (&setup, &reset) {
        return diagnostics.none(reset, "`reset` contradicts `setup`; write two methods");
    }
    if !is_sound {
        return None;
    }
    let arguments: Vec<&PatType> = method.arguments().collect();
    let Found { transaction, .. } = found;
    match (setup, reset) {
        (Some(word), _) => slot(diagnostics, (transaction, &mut found.setup), (method, &arguments), &word),
        (_, Some(word)) => slot(diagnostics, (transaction, &mut found.reset), (method, &arguments), &word),
        (None, None) => handler(diagnostics, found, method, &arguments),
    }
}

/// A method that takes at most the transaction.
fn slot(
    diagnostics: &mut Diagnostics,
    (transaction, slot): (&mut Option<Type>, &mut Option<Step>),
    (method, arguments): (&Function, &[&PatType]),
    word: &Ident,
) -> Option<()> {
    if let Some(earlier) = slot {
        let earlier = earlier.method.unraw();
        let message = format!("`{earlier}` is the `{word}` already, and a projection has one; keep one");
        return diagnostics.none(word, message);
    }
    if let Some(argument) = arguments.get(1) {
        return diagnostics.none(argument, format!("the `{word}` takes `&self` and the transaction; remove this"));
    }
    let takes_transaction = takes_transaction(diagnostics, transaction, arguments.first())?;
    *slot = Some(step(method, takes_transaction));
    Some(())
}

fn handler(diagnostics: &mut Diagnostics, found: &mut Found, method: &Function, arguments: &[&PatType]) -> Option<()> {
    let Some(first) = arguments.first() else {
        let message = format!("{METHOD} takes `&Recorded<Event>`; this one takes nothing");
        return diagnostics.none(&method.sig.ident, message);
    };
    let Some(event) = inside_reference(&first.ty, "Recorded") else {
        let message = format!("{METHOD} takes `&Recorded<Event>` first; this is `{}`", shown(&first.ty));
        return diagnostics.none(&first.ty, message);
    };
    if let Some(argument) = arguments.get(2) {
        return diagnostics.none(argument, format!("{METHOD} takes one event and the transaction; remove this"));
    }
    let takes_transaction = takes_transaction(diagnostics, &mut found.transaction, arguments.get(1))?;
    let cfgs = method.cfgs();
    let same = |earlier: &&Handler| alike(&earlier.event, &event) && earlier.step.cfgs.is_empty() && cfgs.is_empty();
    if let Some(earlier) = found.handlers.iter().find(same) {
        let name = shown(&event);
        let message = format!(
            "`{name}` is taken by `{}` already, and a projection has one method per event; keep one",
            earlier.name
        );
        return diagnostics.none(&event, message);
    }
    let name = method.sig.ident.unraw().to_string();
    let span = format!("handler.{name}");
    found.handlers.push(Handler { step: step(method, takes_transaction), event, name, span });
    Some(())
}

fn step(method: &Function, takes_transaction: bool) -> Step {
    Step { cfgs: method.cfgs(), method: method.sig.ident.clone(), asyncness: method.sig.asyncness, takes_transaction }
}

/// Whether there is a transaction among the arguments; `None` after a mistake.
fn takes_transaction(
    diagnostics: &mut Diagnostics,
    transaction: &mut Option<Type>,
    argument: Option<&&PatType>,
) -> Option<bool> {
    let Some(argument) = argument else { return Some(false) };
    match ungrouped(&argument.ty) {
        Type::Reference(TypeReference { mutability: None, elem, .. }) => {
            let ty = with_static_lifetimes(with_lifetime((**elem).clone()));
            if transaction.as_ref().is_some_and(|first| !alike(first, &ty)) {
                let message = "the methods of a projection take one kind of transaction, and another stands above; write a block for each, and put a `#[cfg(..)]` on the block";
                return diagnostics.none(elem, message);
            }
            transaction.get_or_insert(ty);
            Some(true)
        }
        Type::Reference(TypeReference { mutability: Some(word), .. }) => {
            diagnostics.none(word, format!("{METHOD} shares the transaction; remove the `mut`"))
        }
        ty => diagnostics.none(ty, format!("{METHOD} borrows the transaction; write `&` before its type")),
    }
}

/// The transaction with a lifetime where the user elided it, as is allowed in a function's argument.
fn with_lifetime(mut ty: Type) -> Type {
    if let Type::Path(path) = &mut ty
        && let Some(segment) = path.path.segments.last_mut()
        && segment.arguments.is_none()
        && ["PostgresTransaction", "SqliteTransaction"].iter().any(|name| segment.ident == name)
    {
        segment.arguments = PathArguments::AngleBracketed(parse_quote!(<'static>));
    }
    ty
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_transactions_get_the_lifetime_that_was_left_out() {
        let with_lifetime = |ty: &str| shown(with_lifetime(syn::parse_str(ty).expect("the test's own type")));
        assert_eq!(with_lifetime("SqliteTransaction"), "SqliteTransaction<'static>");
        assert_eq!(with_lifetime("sql::PostgresTransaction"), "sql::PostgresTransaction<'static>");
        for kept in ["SqliteTransaction<'_>", "MemoryTransaction", "MyTransaction<'a>", "()"] {
            assert_eq!(with_lifetime(kept), kept);
        }
    }
}
