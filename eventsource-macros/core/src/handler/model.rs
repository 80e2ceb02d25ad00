//! What the methods mean: which handles what. Every check is here.

use syn::{Attribute, Expr, Generics, Ident, Pat, PatType, Receiver, Type, TypeReference};

use super::Kind;
use super::parse::Parsed;
use crate::diagnostics::{Diagnostics, shown};
use crate::generics::with_static_lifetimes;
use crate::keys;
use crate::paths::Runtime;
use crate::sensitive::Scope;
use crate::signature::{Function, ImplBlock, alike, borrowed_pattern, plain, shared_receiver};
use crate::traced::{Entry, Written, refuse_jumps};

pub(super) struct Model {
    pub(super) kind: Kind,
    pub(super) runtime: Runtime,
    pub(super) generics: Generics,
    pub(super) self_ty: Type,
    /// What all handlers borrow; none means `()`.
    pub(super) services: Option<Type>,
    pub(super) handlers: Vec<Handler>,
}

/// One method.
pub(super) struct Handler {
    pub(super) cfgs: Vec<Attribute>,
    pub(super) method: Ident,
    pub(super) is_async: bool,
    pub(super) receiver: Receiver,
    pub(super) message: Argument,
    pub(super) services: Option<Argument>,
    pub(super) returned: Type,
    pub(super) attributes: Vec<Entry>,
    pub(super) enable_tracing: Option<Expr>,
}

impl Handler {
    /// What the attributes' expressions see.
    pub(super) fn scope(&self) -> Scope {
        let mut scope = Scope::default();
        scope.receiver(&self.receiver);
        for Argument { pattern, ty } in [Some(&self.message), self.services.as_ref()].into_iter().flatten() {
            scope.argument(pattern, ty);
        }
        scope
    }
}

/// An argument: the type without its reference, and what it binds when borrowed.
pub(super) struct Argument {
    pub(super) pattern: Pat,
    pub(super) ty: Type,
}

/// Nothing if the block is none that can have handlers.
pub(super) fn model(diagnostics: &mut Diagnostics, kind: Kind, parsed: Parsed) -> Option<Model> {
    let Parsed { runtime, block, traced } = parsed;
    if !is_inherent(diagnostics, kind, &block) {
        return None;
    }
    let mut handlers = Vec::new();
    for (method, written) in block.methods.iter().zip(traced) {
        handlers.extend(handler(diagnostics, kind, method, written));
    }
    distinct(diagnostics, kind, &handlers);
    let services = services(diagnostics, &mut handlers);
    Some(Model { kind, runtime, generics: block.generics, self_ty: block.self_ty, services, handlers })
}

fn is_inherent(diagnostics: &mut Diagnostics, kind: Kind, block: &ImplBlock) -> bool {
    let attribute = kind.attribute();
    if let Some(path) = &block.trait_path {
        diagnostics.error(path, format!("`{attribute}` belongs on `impl Type {{ .. }}`; this implements a trait"));
        return false;
    }
    for other in &block.others {
        let message = format!("every item under `{attribute}` is a handler; move this into another `impl`");
        diagnostics.error(other, message);
    }
    if block.methods.is_empty() {
        let message = format!("`{attribute}` has no handlers; add a method that takes a {}", kind.message());
        diagnostics.error(&block.self_ty, message);
        return false;
    }
    true
}

fn handler(diagnostics: &mut Diagnostics, kind: Kind, method: &Function, written: Option<Written>) -> Option<Handler> {
    let what = kind.handler();
    let receiver = shared_receiver(diagnostics, &method.sig, what);
    let is_plain = plain(diagnostics, &method.sig, what);
    let arguments = arguments(diagnostics, kind, method);
    let returned = returned(diagnostics, kind, method);
    let (attributes, enable_tracing) = written.map(|written| span(diagnostics, written)).unwrap_or_default();
    let (message, services) = arguments?;
    is_plain.then_some(())?;
    Some(Handler {
        cfgs: method.cfgs(),
        method: method.sig.ident.clone(),
        is_async: method.sig.asyncness.is_some(),
        receiver: receiver?.clone(),
        message,
        services,
        returned: returned?,
        attributes,
        enable_tracing,
    })
}

fn arguments(diagnostics: &mut Diagnostics, kind: Kind, method: &Function) -> Option<(Argument, Option<Argument>)> {
    let message = kind.message();
    let mut arguments = method.arguments();
    let Some(first) = arguments.next() else {
        let fault = format!("{} takes `&self` and one {message}; this one takes none", kind.handler());
        diagnostics.error(&method.sig.ident, fault);
        return None;
    };
    let (second, third) = (arguments.next(), arguments.next());
    let too_many = if kind == Kind::Command { third } else { second };
    if let Some(argument) = too_many {
        let takes = if kind == Kind::Command { "one command and its services" } else { "one query" };
        diagnostics.error(argument, format!("{} takes `&self` and {takes}; remove this", kind.handler()));
        return None;
    }
    let first = owned(diagnostics, kind, first)?;
    let second = match second {
        Some(argument) => Some(borrowed(diagnostics, argument)?),
        None => None,
    };
    Some((first, second))
}

fn owned(diagnostics: &mut Diagnostics, kind: Kind, argument: &PatType) -> Option<Argument> {
    match &*argument.ty {
        Type::Reference(reference) => {
            let message = format!("{} owns its {}; remove the `&`", kind.handler(), kind.message());
            diagnostics.error(reference.and_token, message);
            None
        }
        Type::ImplTrait(ty) => {
            diagnostics.error(ty, format!("{} cannot be generic; name the type", kind.handler()));
            None
        }
        ty => {
            Some(Argument { pattern: borrowed_pattern((*argument.pat).clone()), ty: with_static_lifetimes(ty.clone()) })
        }
    }
}

fn borrowed(diagnostics: &mut Diagnostics, argument: &PatType) -> Option<Argument> {
    match &*argument.ty {
        Type::Reference(TypeReference { mutability: None, elem, .. }) => {
            Some(Argument { pattern: (*argument.pat).clone(), ty: with_static_lifetimes((**elem).clone()) })
        }
        ty => {
            diagnostics.error(ty, "a command handler borrows its services; write `&Services`");
            None
        }
    }
}

fn returned(diagnostics: &mut Diagnostics, kind: Kind, method: &Function) -> Option<Type> {
    let instead = match kind {
        Kind::Command => "`-> Result<events, the aggregate's error>`",
        Kind::Query => "`-> Result<the query's output, an error>`",
    };
    match method.returned() {
        None => {
            diagnostics.error(&method.sig.ident, format!("{} returns a `Result`; write {instead}", kind.handler()));
            None
        }
        Some(Type::ImplTrait(ty)) => {
            diagnostics.error(ty, format!("{} names what it returns; write {instead}", kind.handler()));
            None
        }
        Some(ty) => Some(with_static_lifetimes(ty.clone())),
    }
}

/// What a handler's `#[traced]` may say: the span is the runtime's, with its name, kind and parent.
fn span(diagnostics: &mut Diagnostics, written: Written) -> (Vec<Entry>, Option<Expr>) {
    const INSTEAD: &str = "keep `attributes(..)` and `enable_tracing`";
    let Written { name, mut options, attributes, .. } = written;
    if let Some(name) = name {
        diagnostics.error(name, format!("the runtime names a handler's span; {INSTEAD}"));
    }
    for key in [keys::KIND, keys::RECORD, keys::LINKS, keys::PARENT, keys::ROOT, keys::CRATE] {
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

fn distinct(diagnostics: &mut Diagnostics, kind: Kind, handlers: &[Handler]) {
    for (index, handler) in handlers.iter().enumerate() {
        let ty = &handler.message.ty;
        let same =
            |earlier: &&Handler| alike(&earlier.message.ty, ty) && earlier.cfgs.is_empty() && handler.cfgs.is_empty();
        if let Some(earlier) = handlers.iter().take(index).find(same) {
            let (name, method) = (shown(ty), &earlier.method);
            let message = kind.message();
            diagnostics.error(ty, format!("`{name}` is handled by `{method}` already; a {message} has one handler"));
        }
    }
}

/// The services of the first handler that takes some; handlers that take others are mistakes, and dropped.
fn services(diagnostics: &mut Diagnostics, handlers: &mut Vec<Handler>) -> Option<Type> {
    let first = handlers.iter().find_map(|handler| handler.services.as_ref())?.ty.clone();
    handlers.retain(|handler| {
        let Some(Argument { ty, .. }) = handler.services.as_ref().filter(|services| !alike(&services.ty, &first))
        else {
            return true;
        };
        let (first, other) = (shown(&first), shown(ty));
        let message =
            format!("services are `&{first}` above and `&{other}` here; all handlers of a block take the same");
        diagnostics.error(ty, message);
        false
    });
    Some(first)
}
