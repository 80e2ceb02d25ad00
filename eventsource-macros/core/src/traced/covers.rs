//! What the span covers: the call, or the life of the future or stream that the call returns.

use syn::punctuated::Punctuated;
use syn::{GenericArgument, PathArguments, PathSegment, ReturnType, Signature, Token, Type, TypeParamBound};

use super::attributes::Entry;
use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::options::{Given, Options, Value};
use crate::paths::ends_in;
use crate::sensitive::is_plain;
use crate::signature::{last_segment, ungrouped};

/// The words that `covers` takes.
pub(super) const COVERS: [&str; 3] = ["future", "stream", "call"];

/// The traits that a future or a stream keeps when it is covered.
const KEPT: [&str; 5] = ["Send", "Sync", "Unpin", "Debug", "Sized"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Covers {
    /// The call; for an `async fn`, its future.
    Call,
    Future,
    Stream,
}

impl Covers {
    /// `T` of `impl Future<Output = T>` or `impl Stream<Item = T>`, if covered, boxed or not; `None` if the type has
    /// another name.
    pub(super) fn item(self, ty: &Type) -> Option<&Type> {
        let name = match self {
            Self::Call => return None,
            Self::Future => "Output",
            Self::Stream => "Item",
        };
        let bounds = match ungrouped(ty) {
            Type::ImplTrait(ty) => &ty.bounds,
            Type::TraitObject(ty) => &ty.bounds,
            ty => {
                let segment = last_segment(ty)?;
                let inside = argument(&segment.arguments);
                let is_alias = FUTURES.iter().chain(&STREAMS).any(|alias| segment.ident == alias);
                return if is_alias { inside } else { inside.and_then(|ty| self.item(ty)) };
            }
        };
        bounds.iter().filter_map(generics).flatten().find_map(|argument| match argument {
            GenericArgument::AssocType(item) if item.ident == name => Some(&item.ty),
            _ => None,
        })
    }

    /// The type of `result` in `record(..)`, as far as the signature gives it.
    pub(super) fn result(self, sig: &Signature) -> Option<&Type> {
        match &sig.output {
            ReturnType::Type(_, ty) if self == Self::Call => Some(ty),
            ReturnType::Type(_, ty) => self.item(ty),
            ReturnType::Default => None,
        }
    }
}

fn generics(bound: &TypeParamBound) -> Option<impl Iterator<Item = &GenericArgument>> {
    let TypeParamBound::Trait(bound) = bound else { return None };
    match &bound.path.segments.last()?.arguments {
        PathArguments::AngleBracketed(arguments) => Some(arguments.args.iter()),
        _ => None,
    }
}

/// Reads `covers`, or else goes by the returned type.
pub(super) fn read(
    diagnostics: &mut Diagnostics,
    options: &mut Options,
    sig: &Signature,
    record: &mut Vec<Entry>,
) -> Covers {
    let given = options.take(keys::COVERS);
    let nothing = "the function never returns; remove this";
    let never = matches!(&sig.output, ReturnType::Type(_, ty) if matches!(ungrouped(ty), Type::Never(_)));
    if never {
        // The compiler would report more about recording `!`.
        record.drain(..).for_each(|entry| diagnostics.error(entry.key, nothing));
    }
    let seen = match &sig.output {
        _ if sig.asyncness.is_some() => {
            Err("an `async fn` is covered until it returns; remove `covers`, or write a plain `fn`")
        }
        _ if never => Err(nothing),
        ReturnType::Default => Err("the function returns nothing that `covers` could mean; remove it"),
        ReturnType::Type(_, ty) => Ok(seen(ty)),
    };
    let covers = match (given, seen) {
        (None, seen) => seen.unwrap_or(Covers::Call),
        (Some(Given { key, .. }), Err(message)) => {
            diagnostics.error(key, message);
            Covers::Call
        }
        (Some(Given { key, value }), Ok(seen)) => {
            let said = said(&value);
            if said == seen || [said, seen].contains(&Covers::Call) {
                said
            } else {
                let what = if seen == Covers::Future { "future" } else { "stream" };
                diagnostics
                    .error(key, format!("the function returns a {what}, which is covered as it is; remove this"));
                seen
            }
        }
    };
    if covers == Covers::Stream && !record.is_empty() {
        // Recording the stream itself would cause more errors.
        let message = "a stream has no one result to record; remove this, or write `covers = call`";
        record.drain(..).for_each(|entry| diagnostics.error(entry.key, message));
        return Covers::Call;
    }
    covers
}

/// Names of types that are certainly not futures.
const NO_FUTURES: [&str; 7] = ["Result", "Option", "Vec", "Arc", "Rc", "HashMap", "BTreeMap"];

/// Whether a function may return a future, whose type may have any name.
pub(super) fn may_be_future(sig: &Signature) -> bool {
    let ReturnType::Type(_, ty) = &sig.output else { return false };
    match ungrouped(ty) {
        Type::Tuple(_) | Type::Array(_) | Type::Ptr(_) | Type::Never(_) => false,
        Type::Reference(reference) => reference.mutability.is_some(),
        ty => !is_plain(ty) && !last_segment(ty).is_some_and(|last| NO_FUTURES.iter().any(|name| last.ident == *name)),
    }
}

fn said(value: &Value) -> Covers {
    match value {
        Value::Path(word) if word.is_ident("future") => Covers::Future,
        Value::Path(word) if word.is_ident("stream") => Covers::Stream,
        _ => Covers::Call,
    }
}

/// The names of boxed ones.
const FUTURES: [&str; 2] = ["BoxFuture", "LocalBoxFuture"];
const STREAMS: [&str; 2] = ["BoxStream", "LocalBoxStream"];

/// Whether a type is a future or a stream by its name.
pub(super) fn is_seen(ty: &Type) -> bool {
    seen(ty) != Covers::Call
}

/// Goes by the usual names of futures and streams.
fn seen(ty: &Type) -> Covers {
    match ungrouped(ty) {
        Type::ImplTrait(ty) => all(&ty.bounds),
        ty @ Type::Path(_) => match last_segment(ty) {
            Some(segment) if FUTURES.iter().any(|alias| segment.ident == alias) => Covers::Future,
            Some(segment) if STREAMS.iter().any(|alias| segment.ident == alias) => Covers::Stream,
            Some(segment) if segment.ident == "Pin" => argument(&segment.arguments).map_or(Covers::Call, boxed),
            Some(segment) if segment.ident == "Box" && is_movable(segment) => boxed(ty),
            _ => Covers::Call,
        },
        _ => Covers::Call,
    }
}

/// `Box<dyn Future<..>>`.
fn boxed(ty: &Type) -> Covers {
    let segment = last_segment(ty).filter(|segment| segment.ident == "Box");
    match segment.and_then(|segment| argument(&segment.arguments)) {
        Some(Type::TraitObject(object)) => all(&object.bounds),
        _ => Covers::Call,
    }
}

/// Whether it is `Box<dyn .. + Unpin>`, which is a future or a stream without `Pin` around the box.
fn is_movable(segment: &PathSegment) -> bool {
    let Some(Type::TraitObject(object)) = argument(&segment.arguments) else { return false };
    object.bounds.iter().any(|bound| matches!(bound, TypeParamBound::Trait(it) if ends_in(&it.path, "Unpin")))
}

fn argument(arguments: &PathArguments) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// The call, if a bound requires a trait that the cover does not have.
fn all(bounds: &Punctuated<TypeParamBound, Token![+]>) -> Covers {
    let mut covers = Covers::Call;
    for bound in bounds {
        match bound {
            TypeParamBound::Trait(bound) if ends_in(&bound.path, "Future") => covers = Covers::Future,
            TypeParamBound::Trait(bound) if ends_in(&bound.path, "Stream") => covers = Covers::Stream,
            TypeParamBound::Trait(bound) if !KEPT.iter().any(|kept| ends_in(&bound.path, kept)) => return Covers::Call,
            _ => (),
        }
    }
    covers
}

#[cfg(test)]
mod tests {
    use proc_macro2::{TokenStream, TokenTree};
    use syn::parse_quote;

    use super::*;
    use crate::diagnostics::shown;
    use crate::seeds::{TRACED, in_group, tokens};
    use crate::signature::Function;
    use crate::tokens::is_sign;

    /// Where the colons of paths stand.
    fn columns(tokens: TokenStream) -> Vec<usize> {
        let of = |tree| match tree {
            TokenTree::Group(group) => columns(group.stream()),
            tree if is_sign(&tree, ':') => vec![tree.span().start().column],
            _ => Vec::new(),
        };
        tokens.into_iter().flat_map(of).collect()
    }

    /// Two errors in one place are shown as one.
    #[test]
    fn a_type_that_cannot_be_covered_is_at_fault_itself() {
        let called_at = |returned: &str| {
            let function = tokens(&format!("fn f() -> {returned} {{ made }}"));
            let columns = columns(TRACED(tokens("covers = future"), function));
            [10, returned.len() + 13].map(|column| columns.contains(&column))
        };
        assert_eq!(called_at("Own"), [true, false]);
        assert_eq!(called_at("BoxFuture<'static, u8>"), [false, true]);
    }

    #[test]
    fn what_is_yielded_is_found_by_its_name() {
        let ty: Type = parse_quote!(impl Trait<Other = A> + Stream<Item = B> + Future<Output = C>);
        let yielded = |covers: Covers| covers.item(&ty).map(shown);
        assert_eq!(yielded(Covers::Future).as_deref(), Some("C"));
        assert_eq!(yielded(Covers::Stream).as_deref(), Some("B"));
        assert_eq!(yielded(Covers::Call), None);
    }

    #[test]
    fn what_is_recorded_is_what_the_covered_future_ends_with() {
        let result = |covers: Covers, sig: &Signature| covers.result(sig).map(shown);
        let futures: [Signature; 5] = [
            parse_quote!(fn f() -> impl Future<Output = T>),
            parse_quote!(fn f() -> Pin<Box<dyn Future<Output = T> + Send + '_>>),
            parse_quote!(fn f() -> Box<dyn Future<Output = T> + Unpin>),
            parse_quote!(fn f() -> BoxFuture<'static, T>),
            parse_quote!(fn f() -> (future::LocalBoxFuture<'_, T>)),
        ];
        for sig in &futures {
            assert_eq!(result(Covers::Future, sig).as_deref(), Some("T"));
        }
        assert_eq!(result(Covers::Future, &parse_quote!(fn f() -> Later<T>)), None);
        assert_eq!(result(Covers::Call, &parse_quote!(async fn f() -> Result<T, E>)).as_deref(), Some("Result<T, E>"));
        assert_eq!(result(Covers::Call, &parse_quote!(fn f())), None);
    }

    #[test]
    fn an_async_function_that_returns_a_future_is_covered_until_then() {
        let covered = |sig: &Signature| {
            let mut diagnostics = Diagnostics::default();
            let covers = read(&mut diagnostics, &mut Options::default(), sig, &mut Vec::new());
            (covers, diagnostics.count())
        };
        assert_eq!(covered(&parse_quote!(fn f() -> BoxFuture<'static, T>)), (Covers::Future, 0));
        assert_eq!(covered(&parse_quote!(async fn f() -> BoxFuture<'static, T>)), (Covers::Call, 0));
    }

    #[test]
    fn what_is_recorded_of_a_stream_is_refused_and_gone() {
        let record = quote::quote!("a" = result.len(), "b" = 1);
        let mut record = crate::traced::attributes::read(&mut Diagnostics::default(), record);
        let mut diagnostics = Diagnostics::default();
        let sig = parse_quote!(fn f() -> BoxStream<'static, T>);
        assert_eq!(read(&mut diagnostics, &mut Options::default(), &sig, &mut record), Covers::Call);
        assert_eq!((diagnostics.count(), record.len()), (2, 0));
    }

    #[test]
    fn a_type_from_a_macro_stands_in_a_group_that_cannot_be_seen() {
        let ty: Type = parse_quote!(impl Future<Output = u8>);
        let grouped = in_group(quote::quote!(#ty));
        assert_eq!(seen(&parse_quote!(#grouped)), Covers::Future);
    }

    #[test]
    fn what_is_said_is_covered() {
        let said_so = |word: &str| said(&Value::Path(syn::parse_str(word).expect("the test's own word")));
        assert_eq!(COVERS.map(said_so), [Covers::Future, Covers::Stream, Covers::Call]);
    }

    #[test]
    fn futures_and_streams_are_known_by_their_names() {
        let futures: [Type; 6] = [
            parse_quote!(Box<dyn Future<Output = T> + Unpin>),
            parse_quote!(std::boxed::Box<dyn std::marker::Unpin + Future<Output = T> + Send + 'a>),
            parse_quote!(impl Send + std::future::Future<Output = u8>),
            parse_quote!(Pin<Box<dyn Future<Output = T> + Send + 'async_trait>>),
            parse_quote!(::core::pin::Pin<Box<dyn for<'a> core::future::Future<Output = T>>>),
            parse_quote!(futures::future::BoxFuture<'static, T>),
        ];
        assert!(futures.iter().all(|ty| seen(ty) == Covers::Future));
        let streams: [Type; 5] = [
            parse_quote!(Box<dyn Stream<Item = u8> + Send + Unpin>),
            parse_quote!(impl Stream<Item = u8> + '_),
            parse_quote!(impl Stream<Item = u8> + Send + Sync + Unpin + std::fmt::Debug + ?Sized + use<>),
            parse_quote!(Pin<Box<dyn Stream>>),
            parse_quote!(LocalBoxStream<T>),
        ];
        assert!(streams.iter().all(|ty| seen(ty) == Covers::Stream));
        let others: [Type; 12] = [
            parse_quote!(Box<dyn Future<Output = T> + Unpin + UnwindSafe>),
            parse_quote!(Box<dyn Iterator<Item = T> + Unpin>),
            parse_quote!(Rc<dyn Future<Output = T> + Unpin>),
            parse_quote!(impl Future<Output = u8> + Clone),
            parse_quote!(impl Sink<u8> + Stream<Item = u8>),
            parse_quote!(Pin<Box<dyn Future<Output = u8> + UnwindSafe>>),
            parse_quote!(Arc<Box<dyn Future<Output = T>>>),
            parse_quote!(Pin<Box<Future>>),
            parse_quote!(Box<dyn Future>),
            parse_quote!(impl Iterator<Item = BoxFuture<T>>),
            parse_quote!(Result<BoxFuture<T>, E>),
            parse_quote!(Pin<&mut dyn Future>),
        ];
        assert!(others.iter().all(|ty| seen(ty) == Covers::Call));
    }

    #[test]
    fn what_may_be_a_future_is_let_be_one() {
        let may_be = |ty: &str| {
            let item = tokens(&format!("async fn f() {ty} {{ a() }}"));
            let function: Function = syn::parse2(item.clone()).expect("the test's own function");
            let expansion = TRACED(tokens(""), item).to_string();
            let is_let = expansion.contains("# [allow (clippy :: async_yields_async)]");
            assert_eq!(is_let, may_be_future(&function.sig), "{ty}");
            is_let
        };
        for ty in ["-> A", "-> a::B<u8>", "-> &mut A", "-> Pin<Box<dyn A>>", "-> (A)"] {
            assert!(may_be(ty), "{ty}");
        }
        for ty in ["", "-> u8", "-> String", "-> io::Result<A>", "-> Vec<A>", "-> (A, B)", "-> [A; 2]", "-> &A", "-> !"]
        {
            assert!(!may_be(ty), "{ty}");
        }
    }
}
