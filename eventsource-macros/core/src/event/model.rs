//! What an event's options mean; every check is here.

use std::cmp::Ordering;

use proc_macro2::TokenStream;
use syn::{Generics, Ident, LitInt, LitStr, Path};

use super::parse::{Parsed, Upcast};
use crate::diagnostics::Diagnostics;
use crate::fields::{self, Attribute};
use crate::generics::refuse_lifetimes;
use crate::names::{as_text, check_kept};
use crate::options::at_least_one;
use crate::output::deprecated;
use crate::paths::Runtime;
use crate::sensitive;

pub(super) struct Model {
    pub(super) runtime: Runtime,
    /// `#[allow(deprecated)]`, if the type involves deprecated items.
    pub(super) deprecated: Option<TokenStream>,
    pub(super) ident: Ident,
    pub(super) generics: Generics,
    pub(super) name: LitStr,
    pub(super) version: u32,
    pub(super) aliases: Vec<LitStr>,
    /// From 1 up to the version before the current one, or from a later one if older payloads are gone.
    pub(super) upcasts: Vec<(u32, Path)>,
    pub(super) attributes: Vec<Attribute>,
    pub(super) sensitive: Vec<sensitive::Field>,
}

/// The prefix of the names of what the runtime stores in the stream of a process manager.
const KEPT: &str = "process_manager.";

pub(super) fn model(diagnostics: &mut Diagnostics, parsed: Parsed) -> Model {
    let Parsed { input, runtime, name, version, is_version_unclear, aliases, upcasts, attributes, sensitive } = parsed;
    refuse_lifetimes(diagnostics, &input.generics, "an event");
    fields::distinct(diagnostics, &attributes);
    let name = name.unwrap_or_else(|| as_text(&input.ident));
    names(diagnostics, &name, &aliases);
    let version = match &version {
        Some(written) => number(diagnostics, written),
        None => (!is_version_unclear).then_some(1),
    };
    let upcasts = chain(diagnostics, upcasts, version);
    let version = version.unwrap_or(1);
    let deprecated = deprecated(&input);
    let (ident, generics) = (input.ident, input.generics);
    Model { runtime, deprecated, ident, generics, name, version, aliases, upcasts, attributes, sensitive }
}

fn names(diagnostics: &mut Diagnostics, name: &LitStr, aliases: &[LitStr]) {
    let mut seen = vec![name.value()];
    check_kept(diagnostics, name, "stored name", "`name = \"..\"`");
    for name in [name].into_iter().chain(aliases).filter(|name| name.value().starts_with(KEPT)) {
        diagnostics
            .error(name, "names that begin with `process_manager.` are reserved for the runtime; choose another");
    }
    for alias in aliases {
        check_kept(diagnostics, alias, "alias", "a former stored name");
        if seen.contains(&alias.value()) {
            diagnostics.error(alias, format!("`{}` is given twice; keep one", alias.value()));
        }
        seen.push(alias.value());
    }
}

/// A schema version: from 1 up.
fn number(diagnostics: &mut Diagnostics, written: &LitInt) -> Option<u32> {
    at_least_one(diagnostics, written, "a schema version")
}

/// Checks that the upcasts lead to the current version, step by step; it may be unknown after a mistake.
fn chain(diagnostics: &mut Diagnostics, upcasts: Vec<Upcast>, version: Option<u32>) -> Vec<(u32, Path)> {
    let mut chain: Vec<(u32, Path)> = Vec::new();
    let before = diagnostics.count();
    for Upcast { from, path } in upcasts {
        let Some(number) = number(diagnostics, &from) else { continue };
        if version.is_some_and(|version| number >= version) {
            let next = number.saturating_add(1);
            let message =
                format!("an upcast from version {number} leads beyond today's; write `version = {next}`, or remove it");
            diagnostics.error(&from, message);
        } else if let Some(fault) = chain.last().and_then(|(last, _)| fault(*last, number)) {
            // The fault may be in what follows as much as in what came before.
            diagnostics.error(&from, fault);
            return chain;
        } else {
            chain.push((number, path));
        }
    }
    if let (Some((last, path)), Some(version)) = (chain.last(), version)
        && diagnostics.count() == before
        && last.saturating_add(1) < version
    {
        let next = last + 1;
        let message = format!("no upcast leads from version {next} to {version}; write `{next} => ..` after this one");
        diagnostics.error(path, message);
    }
    chain
}

/// What is wrong with an upcast from `number` after one from `last`.
fn fault(last: u32, number: u32) -> Option<String> {
    let next = last.saturating_add(1);
    match number.cmp(&next) {
        Ordering::Equal => None,
        Ordering::Greater => {
            Some(format!("the upcast from version {next} is missing; write `{next} => ..` before this one"))
        }
        Ordering::Less if number == last => Some(format!("version {number} is given twice; keep one")),
        Ordering::Less => Some(format!("version {number} stands too late; write the upcasts in ascending order")),
    }
}
