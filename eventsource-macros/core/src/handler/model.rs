//! What the methods mean: which one handles which message. Every check is here.

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt as _;
use syn::{Attribute, Expr, Generics, Ident, Pat, PatType, Receiver, Type, TypeReference, parse_quote_spanned};

use super::Kind;
use super::parse::Parsed;
use crate::diagnostics::{Diagnostics, shown};
use crate::generics::{has_no_lifetimes, with_static_lifetimes};
use crate::keys;
use crate::listeners::is_inherent;
use crate::names::{borrowed_pattern, bound, has_impl_trait, unchanged_pattern};
use crate::output::impl_attributes;
use crate::paths::Runtime;
use crate::seen::seen;
use crate::sensitive::Scope;
use crate::signature::{Function, alike, plain, shared_receiver, unconditional, ungrouped};
use crate::traced::{Entry, Written, refuse_jumps};

pub(super) struct Model {
    pub(super) kind: Kind,
    pub(super) runtime: Runtime,
    /// Those of the impls.
    pub(super) attributes: TokenStream,
    pub(super) generics: Generics,
    pub(super) self_ty: Type,
    /// What all handlers borrow.
    pub(super) services: Type,
    pub(super) handlers: Vec<Handler>,
}

/// One method.
pub(super) struct Handler {
    pub(super) cfgs: Vec<Attribute>,
    pub(super) method: Ident,
    /// The type of its message.
    pub(super) message: Type,
    /// None after a mistake: the message still gets a handler, so that no other error follows.
    pub(super) call: Option<Call>,
}

/// How a method is called, and what its `#[traced]` says.
pub(super) struct Call {
    pub(super) is_async: bool,
    pub(super) receiver: Receiver,
    /// The message's pattern when it is borrowed.
    pub(super) message: Pat,
    pub(super) services: Option<Argument>,
    pub(super) returned: Type,
    pub(super) attributes: Vec<Entry>,
    pub(super) enable_tracing: Option<Expr>,
}

impl Call {
    /// What the attributes' expressions see, for a message of that type.
    pub(super) fn scope(&self, message: &Type) -> Scope {
        let mut scope = Scope::default();
        scope.receiver(&self.receiver);
        scope.argument(&self.message, message);
        if let Some(Argument { pattern, ty }) = &self.services {
            scope.argument(pattern, ty);
        }
        scope
    }
}

/// An argument: its type without the reference, and its pattern.
pub(super) struct Argument {
    pub(super) pattern: Pat,
    pub(super) ty: Type,
}

/// `None` if the block cannot have handlers.
pub(super) fn model(diagnostics: &mut Diagnostics, kind: Kind, parsed: Parsed) -> Option<Model> {
    let Parsed { runtime, block, traced } = parsed;
    let attribute = kind.attribute();
    if !is_inherent(diagnostics, &block, attribute, "a handler") {
        return None;
    }
    // An aggregate has none, which is said of it.
    if kind == Kind::Query && !has_no_lifetimes(diagnostics, &block, "a type of query handlers") {
        return None;
    }
    if block.methods.is_empty() {
        let message = format!("`#[{attribute}]` has no handlers; add a method that takes a {}", kind.word());
        diagnostics.error(&block.self_ty, message);
    }
    let mut handlers = Vec::new();
    for (method, written) in block.methods.iter().zip(traced) {
        let handler = handler(diagnostics, kind, method, written);
        let is_repeated = block.is_repeated(method);
        handlers.extend(handler.map(|handler| Handler { call: handler.call.filter(|_| !is_repeated), ..handler }));
    }
    let mut handlers = distinct(diagnostics, kind, handlers);
    let services = services(diagnostics, &mut handlers);
    let attributes = impl_attributes(&block);
    Some(Model { kind, runtime, attributes, generics: block.generics, self_ty: block.self_ty, services, handlers })
}

/// `None` if the method's message is unknown.
fn handler(diagnostics: &mut Diagnostics, kind: Kind, method: &Function, written: Option<Written>) -> Option<Handler> {
    let what = kind.handler();
    let receiver = shared_receiver(diagnostics, &method.sig, what);
    let is_plain = plain(diagnostics, method, what);
    let returned = returned(diagnostics, kind, method);
    let (attributes, enable_tracing) = written.map(|written| span(diagnostics, written)).unwrap_or_default();
    let enable_tracing = enable_tracing.filter(|expr| sees(diagnostics, method, expr));
    let arguments = arguments(diagnostics, kind, method);
    let (cfgs, name) = (method.cfgs(), method.sig.ident.clone());
    let (message, services) = arguments?;
    if method.sig.generics.type_params().next().is_some() || has_impl_trait(&message.ty) {
        return None;
    }
    let pattern = borrowed_pattern((*message.pat).clone());
    let call = match (receiver, returned, services) {
        (Some(receiver), Some(returned), Ok(services)) if is_plain => {
            let (is_async, receiver) = (method.sig.asyncness.is_some(), receiver.clone());
            Some(Call { is_async, receiver, message: pattern, services, returned, attributes, enable_tracing })
        }
        _ => None,
    };
    Some(Handler { cfgs, method: name, message: with_static_lifetimes(unreferenced(&message.ty).clone()), call })
}

/// The message and the services, or an `Err` if what is wrong with either was reported; `None` if there is no message.
fn arguments<'a>(
    diagnostics: &mut Diagnostics,
    kind: Kind,
    method: &'a Function,
) -> Option<(&'a PatType, Result<Option<Argument>, ()>)> {
    let word = kind.word();
    let mut arguments = method.arguments();
    let Some(message) = arguments.next() else {
        let fault =
            format!("{} takes `&self` and one {word}; move what is no handler into another `impl`", kind.handler());
        return diagnostics.none(&method.sig.ident, fault);
    };
    let (second, third) = (arguments.next(), arguments.next());
    if let (Kind::Command, true, Some(second)) = (kind, is_reference(message), second)
        && !is_reference(second)
    {
        diagnostics.error(message, "the command comes first, and then its services; swap the two");
        return Some((second, Err(())));
    }
    let is_owned = is_owned(diagnostics, kind, message);
    let too_many = if kind == Kind::Command { third } else { second };
    if let Some(argument) = unconditional(too_many) {
        let takes = if kind == Kind::Command { "one command and its services" } else { "one query" };
        diagnostics.error(argument, format!("{} takes `&self` and {takes}; remove this", kind.handler()));
        return Some((message, Err(())));
    }
    let services = second.map(|argument| borrowed(diagnostics, argument).ok_or(())).transpose();
    Some((message, if is_owned { services } else { Err(()) }))
}

fn is_reference(argument: &PatType) -> bool {
    matches!(ungrouped(&argument.ty), Type::Reference(_))
}

/// Whether the message is passed by value.
fn is_owned(diagnostics: &mut Diagnostics, kind: Kind, argument: &PatType) -> bool {
    let Type::Reference(reference) = ungrouped(&argument.ty) else { return true };
    let message = format!("{} owns its {}; remove the `&`", kind.handler(), kind.word());
    diagnostics.error(reference.and_token, message);
    false
}

fn unreferenced(ty: &Type) -> &Type {
    match ungrouped(ty) {
        Type::Reference(reference) => &reference.elem,
        _ => ty,
    }
}

fn borrowed(diagnostics: &mut Diagnostics, argument: &PatType) -> Option<Argument> {
    match ungrouped(&argument.ty) {
        Type::Reference(TypeReference { elem, .. }) if matches!(ungrouped(elem), Type::TraitObject(_)) => {
            let ty = shown(elem);
            let message = format!("services have a size; write `&std::sync::Arc<{ty}>`, or a struct that holds one");
            diagnostics.none(elem, message)
        }
        Type::Reference(TypeReference { mutability: None, elem, .. }) => {
            let pattern = unchanged_pattern((*argument.pat).clone());
            Some(Argument { pattern, ty: with_static_lifetimes((**elem).clone()) })
        }
        Type::Reference(TypeReference { mutability: Some(word), .. }) => {
            diagnostics.none(word, "a command handler shares its services; remove the `mut`")
        }
        // It is generic, which is reported.
        ty if has_impl_trait(ty) => None,
        ty => {
            let name = shown(ty);
            let message = format!(
                "a command handler takes one command and borrows its services; write `&{name}`, or a method for a second command"
            );
            diagnostics.none(ty, message)
        }
    }
}

fn returned(diagnostics: &mut Diagnostics, kind: Kind, method: &Function) -> Option<Type> {
    let instead = match kind {
        Kind::Command => "`-> Result<events, the aggregate's error>`",
        Kind::Query => "`-> Result<the query's output, an error>`",
    };
    match method.returned() {
        None => diagnostics.none(&method.sig.ident, format!("{} returns a `Result`; write {instead}", kind.handler())),
        Some(ty) if has_impl_trait(ty) => {
            diagnostics.none(ty, format!("{} names what it returns; write {instead}", kind.handler()))
        }
        Some(ty) => Some(with_static_lifetimes(ty.clone())),
    }
}

/// Options of `#[traced]` that the runtime decides on a handler.
pub(crate) const NOT_OF_HANDLERS: [&str; 8] =
    [keys::KIND, keys::RECORD, keys::FAULT, keys::LINKS, keys::PARENT, keys::ROOT, keys::COVERS, keys::CRATE];

/// What a handler's `#[traced]` may say: the runtime makes the span, with its name, kind and parent.
fn span(diagnostics: &mut Diagnostics, written: Written) -> (Vec<Entry>, Option<Expr>) {
    const INSTEAD: &str = "keep `attributes(..)` and `enable_tracing`";
    let Written { name, mut options, attributes, .. } = written;
    if let Some(name) = name {
        diagnostics.error(name, format!("the runtime names a handler's span; {INSTEAD}"));
    }
    for key in NOT_OF_HANDLERS {
        if let Some(given) = options.take(key) {
            diagnostics.error(
                &given.key,
                format!("`{key}` has no place on a handler, whose span the runtime makes; {INSTEAD}"),
            );
        }
    }
    let enable_tracing = options.expr(keys::ENABLE_TRACING);
    (attributes, enable_tracing.filter(|expr| refuse_jumps(diagnostics, "`enable_tracing`", expr)))
}

/// Whether the switch names only the message and `self`: it is evaluated before there are services.
fn sees(diagnostics: &mut Diagnostics, method: &Function, switch: &Expr) -> bool {
    let services: Vec<Ident> = method.arguments().skip(1).flat_map(|argument| bound(&argument.pat)).collect();
    let named = seen(switch, &services);
    if let Some(named) = &named {
        let message = format!(
            "`{named}` is of the services, which `enable_tracing` does not see; name `self` and the command alone"
        );
        diagnostics.error(named, message);
    }
    named.is_none()
}

/// Keeps one handler for each message; a second one is a mistake.
fn distinct(diagnostics: &mut Diagnostics, kind: Kind, handlers: Vec<Handler>) -> Vec<Handler> {
    let mut kept: Vec<Handler> = Vec::new();
    for handler in handlers {
        let ty = &handler.message;
        let same =
            |earlier: &&Handler| alike(&earlier.message, ty) && earlier.cfgs.is_empty() && handler.cfgs.is_empty();
        if let Some(earlier) = kept.iter().find(same) {
            if earlier.method == handler.method {
                continue;
            }
            let (name, method) = (shown(ty), earlier.method.unraw());
            let message = kind.word();
            diagnostics.error(
                ty,
                format!("`{name}` is handled by `{method}` already, and a {message} has one handler; keep one"),
            );
        } else {
            kept.push(handler);
        }
    }
    kept
}

/// The services of the first handler that takes some, or else `()`; different ones in another are a mistake.
fn services(diagnostics: &mut Diagnostics, handlers: &mut [Handler]) -> Type {
    let taken = |handler: &Handler| handler.call.as_ref()?.services.as_ref().map(|services| services.ty.clone());
    let Some(first) = handlers.iter().find_map(taken) else {
        return parse_quote_spanned!(Span::mixed_site()=> ());
    };
    for handler in handlers {
        let Some(ty) = taken(handler).filter(|ty| !alike(ty, &first)) else { continue };
        let (first, other) = (shown(&first), shown(&ty));
        let message = format!(
            "services are `&{first}` above and `&{other}` here; write one type in all handlers of a block, such as a struct of both"
        );
        diagnostics.error(ty, message);
        handler.call = None;
    }
    first
}
