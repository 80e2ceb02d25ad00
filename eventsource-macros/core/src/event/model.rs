//! What an event's options mean; every check is here.

use syn::ext::IdentExt as _;
use syn::{Generics, Ident, LitInt, LitStr, Member, Path};

use super::parse::{Parsed, Upcast};
use crate::diagnostics::Diagnostics;
use crate::fields::{self, Attribute};
use crate::generics::refuse_lifetimes;
use crate::paths::Runtime;

pub(super) struct Model {
    pub(super) runtime: Runtime,
    pub(super) ident: Ident,
    pub(super) generics: Generics,
    pub(super) name: LitStr,
    pub(super) version: u32,
    pub(super) aliases: Vec<LitStr>,
    /// From 1 up to the version before today's, or from a later one if older payloads are gone.
    pub(super) upcasts: Vec<(u32, Path)>,
    pub(super) attributes: Vec<Attribute>,
    pub(super) sensitive: Vec<Member>,
}

pub(super) fn model(diagnostics: &mut Diagnostics, parsed: Parsed) -> Model {
    let Parsed { input, runtime, name, version, aliases, upcasts, attributes, sensitive } = parsed;
    refuse_lifetimes(diagnostics, &input.generics, "an event");
    fields::distinct(diagnostics, &attributes);
    let name = name.unwrap_or_else(|| LitStr::new(&input.ident.unraw().to_string(), input.ident.span()));
    names(diagnostics, &name, &aliases);
    let number = version.as_ref().and_then(|version| number(diagnostics, version)).unwrap_or(1);
    let upcasts = chain(diagnostics, upcasts, number, version.as_ref());
    let (ident, generics) = (input.ident, input.generics);
    Model { runtime, ident, generics, name, version: number, aliases, upcasts, attributes, sensitive }
}

fn names(diagnostics: &mut Diagnostics, name: &LitStr, aliases: &[LitStr]) {
    let mut seen = vec![name.value()];
    if name.value().is_empty() {
        diagnostics.error(name, "the stored name is empty; write `name = \"..\"`");
    }
    for alias in aliases {
        if alias.value().is_empty() {
            diagnostics.error(alias, "the alias is empty; write a former stored name");
        } else if seen.contains(&alias.value()) {
            diagnostics.error(alias, format!("`{}` is given twice; keep one", alias.value()));
        }
        seen.push(alias.value());
    }
}

/// A schema version: from 1 up.
fn number(diagnostics: &mut Diagnostics, written: &LitInt) -> Option<u32> {
    let number = written.base10_parse().ok().filter(|number: &u32| *number > 0);
    if number.is_none() {
        diagnostics.error(written, format!("`{written}` is no schema version; write a whole number from 1 up"));
    }
    number
}

/// Checks that the upcasts lead to today's version, step by step.
fn chain(
    diagnostics: &mut Diagnostics,
    upcasts: Vec<Upcast>,
    version: u32,
    written: Option<&LitInt>,
) -> Vec<(u32, Path)> {
    let mut chain: Vec<(u32, Path)> = Vec::new();
    for Upcast { from, path } in upcasts {
        let Some(number) = number(diagnostics, &from) else { continue };
        if number >= version {
            let next = number.saturating_add(1);
            let message =
                format!("an upcast from version {number} leads beyond today's; write `version = {next}`, or remove it");
            diagnostics.error(&from, message);
            continue;
        }
        match chain.last().map(|(before, _)| before + 1) {
            Some(next) if number < next => {
                diagnostics.error(&from, format!("upcasts are in ascending order; version {number} stands too late"));
            }
            Some(next) if number > next => {
                diagnostics.error(
                    &from,
                    format!("the upcast from version {next} is missing; write `{next} => ..` before this one"),
                );
            }
            _ => (),
        }
        chain.push((number, path));
    }
    if let (Some((last, path)), Some(written)) = (chain.last(), written)
        && last + 1 < version
    {
        let next = last + 1;
        let message = format!("no upcast leads from version {next} to {written}; write `{next} => ..` after this one");
        diagnostics.error(path, message);
    }
    chain
}
