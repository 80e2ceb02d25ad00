//! What the methods mean: which takes which event or refused command. Every check is here.

use proc_macro2::Span;
use syn::ext::IdentExt as _;
use syn::{Attribute, Expr, Ident, LitStr, Pat, PatType, Token, Type};

use crate::diagnostics::{Diagnostics, shown};
use crate::keys;
use crate::listeners::{self, Listener, Parsed, is_inherent};
use crate::names::unchanged_pattern;
use crate::options::{Given, Options};
use crate::seen::seen;
use crate::signature::{Function, alike, inside_reference, plain, shared_receiver, unconditional};
use crate::traced::refuse_jumps;

const METHOD: &str = "a process manager's method";
const TAKES: &str = "`&Recorded<Event>` or `&Rejected<Command>`";

pub(super) struct Model {
    pub(super) listener: Listener,
    /// `process_timer.` and the name.
    pub(super) timer: LitStr,
    /// `process_letters.` and the name.
    pub(super) letters: LitStr,
    pub(super) reactions: Vec<Taker>,
    pub(super) compensations: Vec<Taker>,
}

/// A method, and how it is called.
pub(super) struct Taker {
    pub(super) cfgs: Vec<Attribute>,
    pub(super) method: Ident,
    /// The argument's pattern.
    pub(super) pattern: Pat,
    /// The event, or the command.
    pub(super) message: Type,
    /// Which process the event belongs to; none means the one with its aggregate's id.
    pub(super) id: Option<Expr>,
}

/// `None` if the block cannot be a process manager.
pub(super) fn model(diagnostics: &mut Diagnostics, parsed: Parsed) -> Option<Model> {
    let Parsed { runtime, name, is_name_unclear, enable_tracing, block, methods } = parsed;
    if !is_inherent(diagnostics, &block, keys::PROCESS_MANAGER, "a method of it") {
        return None;
    }
    let before = diagnostics.count();
    let are_read = methods.iter().all(Option::is_some);
    let (mut reactions, mut compensations) = (Vec::new(), Vec::new());
    for (method, options) in block.methods.iter().zip(methods) {
        if let Some(options) = options
            && !block.is_repeated(method)
        {
            add(diagnostics, (&mut reactions, &mut compensations), method, options);
        }
    }
    if reactions.is_empty() && diagnostics.count() == before && are_read {
        let message = "`#[process_manager]` reacts to no event; add a method that takes `&Recorded<Event>`";
        diagnostics.error(&block.self_ty, message);
    }
    let name = listeners::name(diagnostics, name, is_name_unclear, &block.self_ty, keys::PROCESS_MANAGER);
    let name = name.unwrap_or_else(|| LitStr::new("", Span::call_site()));
    let called = |prefix: &str| LitStr::new(&format!("{prefix}.{}", name.value()), name.span());
    let [timer, letters] = ["process_timer", "process_letters"].map(called);
    let mut listener = Listener::new(diagnostics, keys::PROCESS_MANAGER, name, (runtime, block, enable_tracing));
    let before_a_process =
        "`enable_tracing` is asked before there is a process; write a constant, or the call of a function";
    listener.enable_tracing.take_if(|expr| !has_no_self(diagnostics, expr, before_a_process));
    Some(Model { listener, timer, letters, reactions, compensations })
}

/// `None` after a mistake.
fn add(
    diagnostics: &mut Diagnostics,
    (reactions, compensations): (&mut Vec<Taker>, &mut Vec<Taker>),
    method: &Function,
    mut options: Options,
) -> Option<()> {
    let is_sound = shared_receiver(diagnostics, &method.sig, METHOD).is_some();
    let is_sound = plain(diagnostics, method, METHOD) && is_sound;
    if let Some(word) = &method.sig.asyncness {
        let message = format!("{METHOD} decides at once; remove `async`, and let a command do what waits");
        diagnostics.error(word, message);
    }
    let is_sound = is_sound && method.sig.asyncness.is_none();
    let argument = argument(diagnostics, method)?;
    let event = inside_reference(&argument.ty, "Recorded");
    let command = inside_reference(&argument.ty, "Rejected");
    let id = options.take(keys::ID);
    if let (Some(given), Some(_)) = (&id, &command) {
        let message = "`id` belongs on a method for an event, and a refused command is of one process; remove it";
        diagnostics.error(&given.key, message);
    }
    let (methods, what) = if event.is_some() { (reactions, "event") } else { (compensations, "refused command") };
    let Some(message) = event.or(command) else {
        let message = format!("{METHOD} takes {TAKES}; this is `{}`", shown(&argument.ty));
        return diagnostics.none(&argument.ty, message);
    };
    if !is_sound {
        return None;
    }
    let method = Taker {
        cfgs: method.cfgs(),
        method: method.sig.ident.clone(),
        pattern: unchanged_pattern((*argument.pat).clone()),
        message,
        id: id.and_then(Given::expr).filter(|id| {
            let first = "`id` is asked to find the process; name the event alone";
            refuse_jumps(diagnostics, "`id`", id) && has_no_self(diagnostics, id, first)
        }),
    };
    let same = |earlier: &&Taker| {
        alike(&earlier.message, &method.message) && earlier.cfgs.is_empty() && method.cfgs.is_empty()
    };
    if let Some(earlier) = methods.iter().find(same) {
        let (name, earlier) = (shown(&method.message), earlier.method.unraw());
        let message = format!(
            "`{name}` is taken by `{earlier}` already, and a process manager has one method per {what}; keep one"
        );
        return diagnostics.none(&method.message, message);
    }
    methods.push(method);
    Some(())
}

/// Whether an expression does not use `self`: it is evaluated before there is a process.
fn has_no_self(diagnostics: &mut Diagnostics, expr: &Expr, message: &str) -> bool {
    let named = seen(expr, &[Token![self](Span::call_site()).into()]);
    if let Some(named) = &named {
        diagnostics.error(named, message);
    }
    named.is_none()
}

/// The one argument beside `&self`.
fn argument<'a>(diagnostics: &mut Diagnostics, method: &'a Function) -> Option<&'a PatType> {
    let mut arguments = method.arguments();
    let Some(first) = arguments.next() else {
        return diagnostics.none(&method.sig.ident, format!("{METHOD} takes {TAKES}; this one takes nothing"));
    };
    if let Some(second) = unconditional(arguments.next()) {
        let message = format!("{METHOD} takes `&self` and one event or refused command; remove this");
        return diagnostics.none(second, message);
    }
    Some(first)
}
