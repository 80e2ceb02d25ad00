//! What an aggregate's options mean; every check is here.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::{
    Attribute, Data, DeriveInput, Expr, GenericArgument, Generics, Ident, LitStr, Path, PathArguments, Token, Type,
    Visibility, parse_quote_spanned,
};

use super::parse::{self, Parsed};
use super::shape;
use crate::diagnostics::Diagnostics;
use crate::fields;
use crate::names::{as_text, check_kept};
use crate::options::at_least_one;
use crate::output::deprecated;
use crate::paths::{Runtime, ends_in};
use crate::sensitive;
use crate::signature::{alike, last_segment};

pub(super) struct Model {
    pub(super) runtime: Runtime,
    /// `#[allow(deprecated)]`, if the type involves deprecated items.
    pub(super) deprecated: Option<TokenStream>,
    pub(super) vis: Visibility,
    pub(super) ident: Ident,
    pub(super) name: LitStr,
    pub(super) id: Type,
    pub(super) error: Type,
    /// The function that tells faults from refusals.
    pub(super) fault: Option<Expr>,
    /// The enum.
    pub(super) set: Ident,
    pub(super) events: Vec<Event>,
    pub(super) derive: Vec<Path>,
    /// Whether the enum's `Debug` is ours: the name of the event, without its payload.
    pub(super) debug: bool,
    pub(super) snapshot: Option<Snapshot>,
    pub(super) sensitive: Vec<sensitive::Field>,
    /// Stands for the enum if, after a mistake, not all of its events are known.
    pub(super) hole: Option<Type>,
    /// Parameters are a mistake as well; the impl repeats them, so that only one is reported.
    pub(super) generics: Generics,
}

/// How often the state is stored, and what distinguishes its shape from others.
pub(super) struct Snapshot {
    pub(super) every: u64,
    pub(super) version: u32,
    pub(super) hash: u64,
}

/// One event of the enum.
pub(super) struct Event {
    pub(super) variant: Ident,
    pub(super) path: Path,
}

pub(super) fn model(diagnostics: &mut Diagnostics, parsed: Parsed) -> Model {
    let Parsed { input, runtime, id, error, fault, name, events, unclear, snapshot, derive, event, sensitive } = parsed;
    refuse_generics(diagnostics, &input);
    if snapshot.is_some() {
        refuse_skipped(diagnostics, &input);
        refuse_untagged(diagnostics, &input);
    }
    let snapshot = snapshot.and_then(|snapshot| kept(diagnostics, &snapshot, shape::hash(&input)));
    let deprecated = deprecated(&input);
    let ident = input.ident;
    if id.is_none() && !unclear.id {
        diagnostics.error(&ident, "an aggregate has an id; write `#[aggregate(id = Type)]`");
    }
    if events.is_empty() && !unclear.events {
        diagnostics.error(&ident, "an aggregate has events; write `#[aggregate(events(A, B))]`");
    }
    let is_error_given = error.is_some();
    let is_generic = !input.generics.params.is_empty();
    let set = event.and_then(|path| enum_name(diagnostics, &path));
    let is_complete = !events.is_empty() && !unclear.events;
    let set = set.unwrap_or_else(|| Ident::new(&format!("{}Event", ident.unraw()), ident.span()));
    let set = apart(diagnostics, set, &events);
    Model {
        name: stored_name(diagnostics, name, &ident),
        id: id.unwrap_or_else(|| diagnostics.hole()),
        error: error.filter(|error| is_error(diagnostics, error)).unwrap_or_else(|| {
            if unclear.error || is_error_given {
                diagnostics.hole()
            } else {
                parse_quote_spanned!(Span::mixed_site()=> ::core::convert::Infallible)
            }
        }),
        fault,
        hole: (!is_complete).then(|| diagnostics.hole()),
        set,
        events: distinct(diagnostics, events),
        debug: !derive.iter().any(|path| ends_in(path, "Debug")),
        derive,
        snapshot: snapshot.filter(|_| !is_generic),
        sensitive,
        generics: input.generics,
        vis: input.vis,
        deprecated,
        runtime,
        ident,
    }
}

fn refuse_generics(diagnostics: &mut Diagnostics, input: &DeriveInput) {
    if !input.generics.params.is_empty() {
        diagnostics.error(
            &input.generics,
            "an aggregate cannot be generic, since its name and its events are stored; write a plain type around it",
        );
    }
}

/// A field that serde leaves out is not in a snapshot: a load with one would lose what the events had made of it.
fn refuse_skipped(diagnostics: &mut Diagnostics, input: &DeriveInput) {
    refuse_serde(
        diagnostics,
        fields::all(input).into_iter().flat_map(|field| &field.attrs),
        &["skip", "skip_serializing", "skip_deserializing"],
        "a snapshot lacks this field, and a load with one would lose it; store it, or leave out `snapshot(..)`",
    );
}

/// Without a tag the first variant that fits is read, whichever was written: a load with a snapshot would begin with
/// another state than the events had made.
fn refuse_untagged(diagnostics: &mut Diagnostics, input: &DeriveInput) {
    let Data::Enum(data) = &input.data else { return };
    refuse_serde(
        diagnostics,
        input.attrs.iter().chain(data.variants.iter().flat_map(|variant| &variant.attrs)),
        &["untagged"],
        "a snapshot does not tell which variant it is of, and a load with one may begin with another; tag it, or leave \
         out `snapshot(..)`",
    );
}

/// Refuses words in `#[serde(..)]`.
fn refuse_serde<'a>(
    diagnostics: &mut Diagnostics,
    attributes: impl Iterator<Item = &'a Attribute>,
    words: &[&str],
    message: &str,
) {
    for attribute in attributes.filter(|attribute| attribute.path().is_ident("serde")) {
        let read = attribute.parse_nested_meta(|meta| {
            if words.iter().any(|word| meta.path.is_ident(word)) {
                diagnostics.error(&meta.path, message);
            }
            // What else serde takes: `word`, `word = ..` and `word(..)`.
            while !meta.input.is_empty() && !meta.input.peek(Token![,]) {
                meta.input.parse::<TokenTree>()?;
            }
            Ok(())
        });
        // Serde says what is wrong with its own.
        drop(read);
    }
}

/// Whether the type is no boxed error, which is none itself.
fn is_error(diagnostics: &mut Diagnostics, ty: &Type) -> bool {
    let boxed = last_segment(ty).filter(|segment| segment.ident == "Box");
    let is_boxed = boxed.is_some_and(|segment| match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => {
            matches!(arguments.args.first(), Some(GenericArgument::Type(Type::TraitObject(_))))
        }
        _ => false,
    });
    if is_boxed {
        let message = "a boxed error does not say which it is, and is no `Error` itself; write an enum of the errors";
        diagnostics.error(ty, message);
    }
    !is_boxed
}

fn stored_name(diagnostics: &mut Diagnostics, name: Option<LitStr>, ident: &Ident) -> LitStr {
    let Some(name) = name else { return as_text(ident) };
    check_kept(diagnostics, &name, "stored name", "`name = \"..\"`");
    if name.value().contains('-') {
        let message = "the stored name has no hyphen, which divides it from the id in a stream's; write `_`";
        diagnostics.error(&name, message);
    }
    name
}

fn enum_name(diagnostics: &mut Diagnostics, path: &Path) -> Option<Ident> {
    let name = path.segments.last().map(|segment| segment.ident.clone()).filter(|name| !is_keyword(name));
    if path.get_ident().is_none() || name.is_none() {
        diagnostics.error(path, "the enum of events is made here; write its name without a path");
    }
    name
}

/// The enum's name, or another one if an event has the same.
fn apart(diagnostics: &mut Diagnostics, set: Ident, events: &[Path]) -> Ident {
    let Some(event) = events.iter().find(|path| path.is_ident(&set)) else { return set };
    let message = format!("the enum of events is called `{set}` as well; write `event = Name` to call it otherwise");
    diagnostics.error(event, message);
    Ident::new("__EsEvents", Span::mixed_site())
}

fn kept(diagnostics: &mut Diagnostics, written: &parse::Snapshot, hash: u64) -> Option<Snapshot> {
    let parse::Snapshot { key, every, version, is_unclear } = written;
    let every = match every {
        Some(every) => at_least_one(diagnostics, every, "a number of events"),
        None if *is_unclear => None,
        None => diagnostics.none(key, "`snapshot` says how often; write `snapshot(every = 100)`"),
    };
    let version = version.as_ref().map_or(Some(1), |version| at_least_one(diagnostics, version, "a version"));
    Some(Snapshot { every: every?, version: version?, hash })
}

/// Whether the word may be a path but names nothing by itself.
fn is_keyword(word: &Ident) -> bool {
    ["self", "Self", "super", "crate"].iter().any(|keyword| word == keyword)
}

/// The events, each with the variant named after it.
fn distinct(diagnostics: &mut Diagnostics, paths: Vec<Path>) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for path in paths {
        let Some(variant) = path.segments.last().map(|segment| segment.ident.clone()) else { continue };
        if is_keyword(&variant) {
            diagnostics.error(&path, format!("`{variant}` is not an event; write the event's name"));
            continue;
        }
        match events.iter().find(|earlier| earlier.variant == variant) {
            None => events.push(Event { variant, path }),
            Some(earlier) if alike(&earlier.path, &path) => {
                diagnostics.error(&path, format!("event `{variant}` is given twice; keep one"));
            }
            Some(_) => {
                let message = format!("two events are called `{variant}`, as their variants would be; rename one");
                diagnostics.error(&path, message);
            }
        }
    }
    events
}
