//! What a traced function's options mean; every check is here.

use proc_macro2::{Group, Span, TokenStream};
use quote::{ToTokens as _, quote};
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Expr, Ident, LitStr, ReturnType, Signature, Type, TypeParamBound, parse_quote_spanned};

use super::arguments;
use super::attributes::{Entry, Value};
use super::covers::{self, Covers};
use super::jumps;
use super::literals::Literal;
use super::parse::{Parsed, Written};
use crate::diagnostics::{Diagnostics, hint};
use crate::keys;
use crate::names::{as_text, find};
use crate::options::Options;
use crate::output::{local, located};
use crate::paths::Runtime;
use crate::sensitive::Scope;
use crate::signature::{Function, alike, ungrouped};

/// The kinds as they are written, and as the runtime calls them.
const KINDS: [(&str, &str); 5] = [
    ("internal", "Internal"),
    ("client", "Client"),
    ("server", "Server"),
    ("producer", "Producer"),
    ("consumer", "Consumer"),
];

pub(super) struct Model {
    pub(super) runtime: Runtime,
    pub(super) function: Function,
    pub(super) body: Group,
    pub(super) returned: Returned,
    /// Whether the body stays the function's own: a returned closure infers its arguments' types only from the
    /// signature. Nothing is recorded of it.
    pub(super) is_held: bool,
    pub(super) covers: Covers,
    pub(super) name: LitStr,
    /// `Self`, if the name of the method's type comes before its own.
    pub(super) owner: Option<Ident>,
    /// A variant of the runtime's `Kind`.
    pub(super) kind: Ident,
    pub(super) constants: Vec<(LitStr, Literal)>,
    pub(super) attributes: Vec<Entry>,
    pub(super) record: Vec<Entry>,
    /// The function or closure that tells which errors are failures.
    pub(super) fault: Option<Expr>,
    pub(super) parent: Parent,
    pub(super) links: Option<Expr>,
    pub(super) enable_tracing: Option<Expr>,
}

impl Model {
    /// The check that no attribute names a sensitive field.
    pub(super) fn sensitive(&self) -> TokenStream {
        let sig = &self.function.sig;
        let mut scope = Scope::of_function(sig);
        let attributes = scope.check(&self.runtime, &self.attributes);
        if let Some(ty) = self.covers.result(sig) {
            scope = scope.with_result(sig, ty);
        }
        attributes.into_iter().chain(scope.check(&self.runtime, &self.record)).collect()
    }
}

/// The parent of the span.
pub(super) enum Parent {
    Current,
    Root,
    Of(Box<Expr>),
}

/// The function's return type, as far as a closure can repeat it.
pub(super) enum Returned {
    /// A type, with `_` for each `impl Trait` in it.
    Type(Box<Type>),
    /// `impl Trait`, which cannot be named; for a future or stream that the span covers, the type that it yields.
    Opaque(Option<Box<Type>>),
    /// `!`
    Never,
}

/// The model, or else the unchanged function.
pub(super) fn model(diagnostics: &mut Diagnostics, parsed: Parsed) -> Result<Model, TokenStream> {
    let Parsed { written: Written { name, attributes, mut options }, mut record, function } = parsed;
    let runtime = Runtime::from_options(&mut options);
    let kind = kind(diagnostics, &mut options);
    let parent = parent(diagnostics, &mut options);
    let links = expr(diagnostics, &mut options, keys::LINKS);
    let enable_tracing = expr(diagnostics, &mut options, keys::ENABLE_TRACING);
    let covers = covers::read(diagnostics, &mut options, &function.sig, &mut record);
    if let Some(name) = name.as_ref().filter(|name| name.value().is_empty()) {
        diagnostics.error(name, "the span's name is empty; write `#[traced(\"component.operation\")]`");
    }
    let record = arguments::keep_seen(diagnostics, &function.sig, covers, record);
    let returned = returned(&function.sig.output, covers);
    let fault = fault(diagnostics, &mut options, &function.sig, &returned);
    let is_sized = !function.returned().is_some_and(is_unsized);
    let body = body(diagnostics, &function).filter(|_| is_sized);
    let Some(body) = body else { return Err(function.into_token_stream()) };
    let (constants, attributes) = split(attributes);
    Ok(Model {
        owner: owner(&function.sig).filter(|_| name.is_none()),
        name: name.unwrap_or_else(|| as_text(&function.sig.ident)),
        is_held: record.is_empty() && fault.is_none() && covers == Covers::Call && is_held(&function.sig),
        returned,
        runtime,
        function,
        body,
        covers,
        kind,
        constants,
        attributes,
        record,
        fault,
        parent,
        links,
        enable_tracing,
    })
}

/// The function or closure that tells faults, if there may be an error to ask it about.
fn fault(diagnostics: &mut Diagnostics, options: &mut Options, sig: &Signature, returned: &Returned) -> Option<Expr> {
    let given = options.take(keys::FAULT)?;
    let has_value = matches!(&sig.output, ReturnType::Type(..)) && !matches!(returned, Returned::Never);
    if !has_value || matches!(returned, Returned::Opaque(None)) {
        let message = "`fault` is asked about an `Err`, and the function's type shows no `Result`; remove this";
        return diagnostics.none(&given.key, message);
    }
    given.expr()
}

/// `Self` if the function certainly belongs to a type: it has no meaning elsewhere. The user's own, if there is one,
/// since the compiler shows a repeated error once.
fn owner(sig: &Signature) -> Option<Ident> {
    let on_receiver = || sig.receiver().map(|receiver| Ident::new("Self", located(receiver.self_token.span)));
    find(sig.to_token_stream(), "Self").or_else(on_receiver)
}

/// Whether a function cannot return the type, of which the compiler says more in an expansion.
fn is_unsized(ty: &Type) -> bool {
    matches!(ty, Type::TraitObject(_) | Type::Slice(_))
}

fn body(diagnostics: &mut Diagnostics, function: &Function) -> Option<Group> {
    if let Some(word) = &function.sig.constness {
        return diagnostics.none(word, "a `const fn` cannot make a span; remove `const` or `#[traced]`");
    }
    let is_naked = |attribute: &&Attribute| alike(&attribute.meta, &quote!(unsafe(naked)));
    if let Some(attribute) = function.attrs.iter().find(is_naked) {
        return diagnostics
            .none(attribute, "a naked function is assembly alone; remove `#[traced]`, and trace its callers");
    }
    function.body.clone().or_else(|| {
        let message = "a method without a body makes no span; write `#[traced]` where it is implemented";
        diagnostics.none(&function.sig.ident, message)
    })
}

fn kind(diagnostics: &mut Diagnostics, options: &mut Options) -> Ident {
    let Some(written) = options.text(keys::KIND) else { return local("Internal") };
    let value = written.value();
    let known = KINDS.iter().find(|(word, _)| *word == value);
    if known.is_none() {
        let words = KINDS.map(|(word, _)| word);
        diagnostics.error(&written, format!("`{value}` is not a kind of span; {}", hint(&value, &words)));
    }
    local(known.map_or("Internal", |(_, variant)| variant))
}

fn parent(diagnostics: &mut Diagnostics, options: &mut Options) -> Parent {
    let root = options.flag(keys::ROOT);
    let parent = expr(diagnostics, options, keys::PARENT);
    match (root, parent) {
        (None, None) => Parent::Current,
        (Some(_), None) => Parent::Root,
        (None, Some(parent)) => Parent::Of(Box::new(parent)),
        (Some(root), Some(_)) => {
            diagnostics.error(root, "`root` contradicts `parent`; keep one");
            Parent::Root
        }
    }
}

fn expr(diagnostics: &mut Diagnostics, options: &mut Options, key: &str) -> Option<Expr> {
    options.expr(key).filter(|expr| jumps::refuse(diagnostics, &format!("`{key}`"), expr))
}

/// Literals go into the site; the rest is evaluated.
fn split(entries: Vec<Entry>) -> (Vec<(LitStr, Literal)>, Vec<Entry>) {
    let (mut constants, mut attributes) = (Vec::new(), Vec::new());
    for Entry { key, value } in entries {
        match value {
            Value::Literal(literal) => constants.push((key, literal)),
            value => attributes.push(Entry { key, value }),
        }
    }
    (constants, attributes)
}

fn returned(output: &ReturnType, covers: Covers) -> Returned {
    match output {
        ReturnType::Default => Returned::Type(Box::new(parse_quote_spanned!(Span::mixed_site()=> ()))),
        ReturnType::Type(_, ty) => match ungrouped(ty) {
            Type::Never(_) => Returned::Never,
            ty @ Type::ImplTrait(_) => Returned::Opaque(covers.item(ty).map(nameable)),
            ty => Returned::Type(nameable(ty)),
        },
    }
}

/// Traits whose implementation does not require a function type.
const NO_FUNCTIONS: [&str; 28] = [
    "Any",
    "AsMut",
    "AsRef",
    "BufRead",
    "Clone",
    "Copy",
    "Debug",
    "Default",
    "Deref",
    "DerefMut",
    "Display",
    "DoubleEndedIterator",
    "Error",
    "ExactSizeIterator",
    "From",
    "Future",
    "Hash",
    "Into",
    "IntoIterator",
    "Iterator",
    "Read",
    "Send",
    "Sized",
    "Stream",
    "Sync",
    "ToString",
    "Unpin",
    "Write",
];

/// Whether a plain function returns `impl Fn(..)`, alone or in a tuple: in other types the compiler does not use it for
/// inference. Any trait of the user's may require one.
fn is_held(sig: &Signature) -> bool {
    let ReturnType::Type(_, ty) = &sig.output else { return false };
    sig.asyncness.is_none() && has_function(ty)
}

fn has_function(ty: &Type) -> bool {
    match ungrouped(ty) {
        Type::ImplTrait(ty) => ty.bounds.iter().any(|bound| match bound {
            TypeParamBound::Trait(bound) => {
                let last = bound.path.segments.last();
                last.is_some_and(|last| !NO_FUNCTIONS.iter().any(|name| last.ident == *name))
            }
            _ => false,
        }),
        Type::Tuple(ty) => ty.elems.iter().any(has_function),
        _ => false,
    }
}

/// The type with `_` for each `impl Trait` in it.
fn nameable(ty: &Type) -> Box<Type> {
    let mut ty = ty.clone();
    Inferred.visit_type_mut(&mut ty);
    Box::new(ty)
}

/// Replaces each `impl Trait` by `_`.
struct Inferred;

impl VisitMut for Inferred {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        if matches!(ty, Type::ImplTrait(_)) {
            *ty = parse_quote_spanned!(Span::mixed_site()=> _);
        } else {
            visit_mut::visit_type_mut(self, ty);
        }
    }
}

/// Whether a part of a type cannot be written.
pub(super) fn has_inferred(ty: &Type) -> bool {
    struct Find(bool);
    impl<'ast> syn::visit::Visit<'ast> for Find {
        fn visit_type_infer(&mut self, _: &'ast syn::TypeInfer) {
            self.0 = true;
        }
    }
    let mut find = Find(false);
    syn::visit::Visit::visit_type(&mut find, ty);
    find.0
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;
    use crate::seeds::{TRACED, tokens};

    #[test]
    fn what_cannot_be_returned_is_left_to_the_compiler() {
        for returned in ["[u8]", "dyn A"] {
            let function = tokens(&format!("fn f() -> {returned} {{ a }}"));
            assert_eq!(TRACED(TokenStream::new(), function.clone()).to_string(), function.to_string());
        }
    }

    #[test]
    fn a_function_is_of_a_type_where_it_names_self() {
        let of_a_type: [Signature; 7] = [
            parse_quote!(fn f(&self)),
            parse_quote!(async fn f(url: &str) -> Result<Self, E>),
            parse_quote!(fn f(parts: Vec<Self>)),
            parse_quote!(fn f() -> Self::Out),
            parse_quote!(fn f() -> impl Future<Output = Box<Self>>),
            parse_quote!(fn f<T: Into<Self>>(from: T)),
            parse_quote!(
                fn f() -> u8
                where
                    Self: Sized
            ),
        ];
        assert!(of_a_type.iter().all(|sig| owner(sig).is_some()));
        let others: [Signature; 2] =
            [parse_quote!(fn f(this: Arc<A>) -> B), parse_quote!(fn f<'a, T: A>(a: &'a T) -> T::Out)];
        assert!(others.iter().all(|sig| owner(sig).is_none()));
    }

    #[test]
    fn a_type_with_a_gap_is_known_for_one() {
        assert!(has_inferred(&parse_quote!(Result<Vec<_>, E>)));
        assert!(!has_inferred(&parse_quote!(Result<Vec<T>, E>)));
    }
}
