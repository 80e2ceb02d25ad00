//! Fields that are marked as `sensitive`: no attribute may name one.
//!
//! A derive marks its type; wherever an expression of an attribute says `argument.field`, a check of types goes beside
//! it. Neither macro sees what the other does: the types tell.

mod found;

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::ext::IdentExt as _;
use syn::visit_mut::VisitMut;
use syn::{
    FnArg, GenericArgument, Generics, Ident, Lifetime, Member, Pat, PathArguments, Receiver, Signature, Type,
    TypeReference,
};

use self::found::Found;
use crate::diagnostics::Diagnostics;
use crate::fields::Marked;
use crate::keys;
use crate::names::{bound, has_impl_trait};
use crate::options::{Form, Word};
use crate::output::located;
use crate::paths::Runtime;
use crate::traced::{Entry, Value};

/// `sensitive`, which every message's field takes.
pub(crate) const SENSITIVE: Word = Word::new(keys::SENSITIVE, Form::Flag);

/// Reads `sensitive` of a field, which contradicts `attribute`.
pub(crate) fn read(diagnostics: &mut Diagnostics, marked: &mut Marked) -> Option<Member> {
    let word = marked.options.flag(keys::SENSITIVE)?;
    if let Some(attribute) = marked.options.take(keys::ATTRIBUTE) {
        let message = format!("`attribute` would show what is `{word}`; keep one");
        diagnostics.error(attribute.key, message);
    }
    Some(marked.member.clone())
}

/// The impls that mark a type; nothing if none of its fields is sensitive.
pub(crate) fn marks(private: &TokenStream, ident: &Ident, generics: &Generics, members: &[Member]) -> TokenStream {
    if members.is_empty() {
        return TokenStream::new();
    }
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    let fields = members.iter().map(|member| hash(private, &name(member)));
    fields
        .chain([whole(private)])
        .map(|field| {
            quote_spanned! {Span::mixed_site()=>
                #[automatically_derived]
                impl #impl_generics #private::HasSensitive<#field> for #ident #ty_generics #where_clause {}
            }
        })
        .collect()
}

/// A field's name, as a parameter of a type.
fn hash(private: &TokenStream, name: &str) -> TokenStream {
    quote_spanned!(Span::mixed_site()=> { #private::field(#name) })
}

/// The same for all its fields.
fn whole(private: &TokenStream) -> TokenStream {
    quote_spanned!(Span::mixed_site()=> { #private::WHOLE })
}

fn name(member: &Member) -> String {
    match member {
        Member::Named(name) => name.unraw().to_string(),
        Member::Unnamed(index) => index.index.to_string(),
    }
}

/// What the names in an attribute's expression stand for.
#[derive(Default)]
pub(crate) struct Scope {
    bound: Vec<Bound>,
}

/// An argument, or a field that its pattern takes out of it.
struct Bound {
    name: String,
    ty: Type,
    field: Option<String>,
}

impl Scope {
    /// The arguments of a function, with `self`.
    pub(crate) fn of_function(sig: &Signature) -> Self {
        let mut scope = Self::default();
        for input in &sig.inputs {
            match input {
                FnArg::Receiver(receiver) => scope.receiver(receiver),
                FnArg::Typed(argument) => scope.argument(&argument.pat, &argument.ty),
            }
        }
        // What the function does not know, it cannot know to be sensitive.
        scope.bound.retain(|Bound { ty, .. }| sig.generics.type_params().all(|any| !is_type(ty, &any.ident)));
        scope
    }

    /// Adds `self`.
    pub(crate) fn receiver(&mut self, receiver: &Receiver) {
        let place = located(receiver.self_token.span);
        self.bind(&receiver.self_token.into(), &syn::parse_quote_spanned!(place=> Self), None);
    }

    /// Adds what an argument's pattern binds.
    pub(crate) fn argument(&mut self, pattern: &Pat, ty: &Type) {
        match (pattern, ty) {
            (Pat::Ident(pattern), _) => {
                self.bind(&pattern.ident, ty, None);
                if let Some((_, within)) = &pattern.subpat {
                    self.argument(within, ty);
                }
            }
            (Pat::Struct(pattern), _) => {
                for field in &pattern.fields {
                    self.field(&field.pat, ty, &name(&field.member));
                }
            }
            (Pat::TupleStruct(pattern), _) => {
                for (index, element) in pattern.elems.iter().enumerate() {
                    self.field(element, ty, &index.to_string());
                }
            }
            (Pat::Tuple(pattern), Type::Tuple(ty)) => {
                let is_rest = |pattern: &&Pat| !matches!(pattern, Pat::Rest(_));
                for (pattern, ty) in pattern.elems.iter().take_while(is_rest).zip(&ty.elems) {
                    self.argument(pattern, ty);
                }
            }
            (Pat::Reference(pattern), Type::Reference(ty)) => self.argument(&pattern.pat, &ty.elem),
            (Pat::Reference(pattern), _) => self.argument(&pattern.pat, ty),
            (Pat::Paren(pattern), _) => self.argument(&pattern.pat, ty),
            _ => (),
        }
    }

    /// Adds what a field's pattern binds, however deep: what is in a sensitive field is as sensitive.
    fn field(&mut self, pattern: &Pat, ty: &Type, field: &str) {
        for name in bound(pattern) {
            self.bind(&name, ty, Some(field.to_owned()));
        }
    }

    fn bind(&mut self, name: &Ident, ty: &Type, field: Option<String>) {
        // An argument's `impl Trait` has no name that the check could say.
        let nameable = |ty: &Type| !has_impl_trait(ty) && !is_plain(ty);
        if let Some(mut ty) = pointed_at(ty).filter(nameable) {
            Elided.visit_type_mut(&mut ty);
            self.bound.push(Bound { name: name.unraw().to_string(), ty, field });
        }
    }

    /// A statement that does not compile if an entry names a sensitive field; nothing where none can.
    pub(crate) fn check(&self, runtime: &Runtime, entries: &[Entry]) -> TokenStream {
        self.check_values(runtime, entries.iter().map(|entry| &entry.value))
    }

    /// The same for values without a key.
    pub(crate) fn check_values<'a>(
        &self,
        runtime: &Runtime,
        values: impl IntoIterator<Item = &'a Value>,
    ) -> TokenStream {
        let mut found = Found::new(self, runtime);
        for value in values {
            found.value(value);
        }
        let checks = found.checks;
        if checks.is_empty() {
            return TokenStream::new();
        }
        let private = runtime.private();
        // Never called, and never made: the types are checked all the same.
        quote_spanned! {Span::mixed_site()=>
            let _ = || {
                use #private::Unmarked as _;
                #checks
            };
        }
    }
}

/// The type whose fields a value of this type shows: without references, pointers and lists, nothing if it has no name.
fn pointed_at(ty: &Type) -> Option<Type> {
    match ty {
        Type::Reference(TypeReference { elem, .. }) => pointed_at(elem),
        Type::Paren(paren) => pointed_at(&paren.elem),
        Type::Group(group) => pointed_at(&group.elem),
        Type::Slice(slice) => pointed_at(&slice.elem),
        Type::Array(array) => pointed_at(&array.elem),
        Type::Path(path) => {
            let segment = path.path.segments.last()?;
            match &segment.arguments {
                PathArguments::AngleBracketed(arguments) if is_pointer(&segment.ident) => {
                    let mut types = arguments.args.iter().filter_map(|argument| match argument {
                        GenericArgument::Type(ty) => Some(ty),
                        _ => None,
                    });
                    types.next().map_or_else(|| Some(ty.clone()), pointed_at)
                }
                _ => Some(ty.clone()),
            }
        }
        _ => None,
    }
}

/// Types without fields, which need no check.
const PLAIN: [&str; 18] = [
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "str", "String", "u8", "u16", "u32",
    "u64", "u128", "usize",
];

/// Whether a type is one of them.
pub(crate) fn is_plain(ty: &Type) -> bool {
    PLAIN.iter().any(|plain| is_type(ty, plain))
}

/// Whether a type is written as that name alone.
pub(crate) fn is_type<N: ?Sized>(ty: &Type, name: &N) -> bool
where
    Ident: PartialEq<N>,
{
    matches!(ty, Type::Path(path) if path.qself.is_none() && path.path.get_ident().is_some_and(|ident| ident == name))
}

fn is_pointer(ident: &Ident) -> bool {
    ["Recorded", "Rejected", "Arc", "Rc", "Box", "Pin", "Cow", "Option", "Vec"].iter().any(|name| ident == name)
}

/// Puts `'_` for each lifetime: the check stands in a function, where the compiler finds them.
struct Elided;

impl VisitMut for Elided {
    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        *lifetime = Lifetime::new("'_", lifetime.span());
    }

    /// Those of `fn(&'a T)` and `dyn for<'a> ..` are their own.
    fn visit_type_fn_ptr_mut(&mut self, _: &mut syn::TypeFnPtr) {}

    fn visit_type_trait_object_mut(&mut self, _: &mut syn::TypeTraitObject) {}
}

#[cfg(test)]
mod tests {
    use proc_macro2::TokenTree;
    use quote::quote;
    use syn::parse_quote;

    use super::*;
    use crate::options::Options;
    use crate::traced;

    /// What is checked, as `Type.field`.
    fn checked(function: &Signature, attributes: &TokenStream) -> Vec<String> {
        let mut diagnostics = Diagnostics::default();
        let written = traced::read(&mut diagnostics, quote!(attributes(#attributes)));
        assert_eq!(diagnostics.count(), 0);
        let scope = Scope::of_function(function);
        let runtime = Runtime::from_options(&mut Options::default());
        let mut found = Found::new(&scope, &runtime);
        for Entry { value, .. } in &written.attributes {
            found.value(value);
        }
        found.seen.into_iter().map(|(ty, field)| format!("{ty}.{field}")).collect()
    }

    #[test]
    fn every_way_to_name_a_field_is_found() {
        let by_name = parse_quote!(fn f(&self, a: &Recorded<A>, r#b: Arc<B<'x>>, c: &Rejected<C>));
        let named =
            checked(&by_name, &quote!("0" = c.z, "1" = a.card, b.r#type, "3" = self.x.y, "4" = format!("{}", a.cvc)));
        assert_eq!(named, ["A.card", "A.cvc", "B < '_ >.type", "C.z", "Self.x"]);
        let by_pattern = parse_quote!(fn f(Open { card, id: mut number, .. }: Open, Close(first, _): Close));
        let named = checked(&by_pattern, &quote!(card, %number, "c" = [first.len()]));
        assert_eq!(named, ["Close.0", "Open.card", "Open.id"]);
    }

    #[test]
    fn fields_are_found_by_number_and_behind_what_points_at_them() {
        let function = parse_quote!(fn f(a: A, b: B, c: (C), d: Holder<D>, e: Box<(E)>));
        let named = checked(&function, &quote!("1" = a.0, "2" = b.1.2, "3" = c.x, "4" = d.x, "5" = e.x));
        assert_eq!(named, ["A.0", "B.1", "C.x", "E.x", "Holder < D >.x"]);
        let grouped = TokenTree::from(proc_macro2::Group::new(proc_macro2::Delimiter::None, quote!(A)));
        let from_a_macro = parse_quote!(fn f(a: #grouped, &Place { card, .. }: &Place));
        assert_eq!(checked(&from_a_macro, &quote!("1" = a.x, "2" = card)), ["A.x", "Place.card"]);
    }

    #[test]
    fn what_a_pattern_looks_through_is_looked_through() {
        let borrowed = parse_quote!(fn f(&(a, _): &(A, B), (c): C));
        assert_eq!(checked(&borrowed, &quote!("1" = a.x, "2" = c.x)), ["A.x", "C.x"]);
        let grouped = TokenTree::from(proc_macro2::Group::new(proc_macro2::Delimiter::None, quote!(&A)));
        let from_a_macro = parse_quote!(fn f(&a: #grouped));
        assert_eq!(checked(&from_a_macro, &quote!("1" = a.x)), ["A.x"]);
    }

    #[test]
    fn what_a_pattern_takes_out_of_a_field_is_of_that_field() {
        let nested = parse_quote!(fn f(Place { card: Card(number, Some(code)), .. }: Place, (a, _): (A, B)));
        assert_eq!(checked(&nested, &quote!("1" = number, "2" = code.x, "3" = a.b)), ["A.b", "Place.card"]);
        let both = parse_quote!(fn f(command @ Place { card, .. }: Place));
        assert_eq!(checked(&both, &quote!("1" = command.x, "2" = card)), ["Place.card", "Place.x"]);
    }

    #[test]
    fn what_the_text_of_a_macro_shows_is_found() {
        let function = parse_quote!(fn f(a: A, b: B, Open { card, .. }: Open));
        let named = checked(&function, &quote!("1" = format!("{a:?} {{b}}"), "2" = x::format!("{ card :>3}")));
        assert_eq!(named, ["A.", "Open.card"]);
        let named = checked(&function, &quote!("1" = format!("{:?}{c}", &a, c = b), "2" = [stringify!(a), "{card}"]));
        assert_eq!(named, ["A.", "B."]);
        assert!(
            checked(&function, &quote!("1" = matches!(a, A), "2" = a != (b), "3" = format!("{}", a.id()))).is_empty()
        );
    }

    #[test]
    fn the_whole_is_found_where_it_is_shown() {
        let function = parse_quote!(fn f(a: A, b: &B, c: C));
        assert_eq!(checked(&function, &quote!(?a, "b" = %&b, "c" = c, "d" = ?c.id())), ["A.", "B."]);
        let grouped = TokenTree::from(proc_macro2::Group::new(proc_macro2::Delimiter::None, quote!(c)));
        assert_eq!(checked(&function, &quote!("1" = ?*a, "2" = ?(&**b), "3" = %#grouped)), ["A.", "B.", "C."]);
        let blocks = quote!("1" = ?{ a }, "2" = ?unsafe { x; &b }, "3" = %c.clone());
        assert_eq!(checked(&function, &blocks), ["A.", "B.", "C."]);
        assert_eq!(checked(&function, &quote!("1" = ?(a, 7, [&b]), "2" = format!("{:?}", (c)))), ["A.", "B.", "C."]);
        let listed = parse_quote!(fn f(a: Vec<A>, b: &[Box<B>], c: Option<&C>, d: [D; 2], e: Vec<u8>));
        assert_eq!(checked(&listed, &quote!(?a, ?b, ?c, ?d, ?e)), ["A.", "B.", "C.", "D."]);
        assert_eq!(checked(&listed, &quote!("1" = format!("{:?}", a[0]))), ["A."]);
    }

    #[test]
    fn fields_are_found_behind_parentheses_and_in_lists() {
        let function = parse_quote!(fn f(a: A, b: &B, c: &[C], d: Vec<D>));
        let grouped = TokenTree::from(proc_macro2::Group::new(proc_macro2::Delimiter::None, quote!(*b)));
        let named = quote!("1" = (*a).x, "2" = #grouped.x.y(), "3" = c[0].x, "4" = match (d[1]).x { _ => 1 });
        assert_eq!(checked(&function, &named), ["A.x", "B.x", "C.x", "D.x"]);
        let named = checked(
            &function,
            &quote!(
                "1" = 1 < (&a).0,
                "2" = match (b).x {
                    _ => (*b).y(),
                }
            ),
        );
        assert_eq!(named, ["A.0", "B.x"]);
        let named = checked(
            &function,
            &quote!(
                "1" = { a }.x,
                "2" = unsafe {
                    let e = 1;
                    b
                }
                .x,
                "3" = [e, &c[e]][1].x,
                "4" = if e { 1 } else { d[0] }.x
            ),
        );
        assert_eq!(named, ["A.x", "B.x", "C.x", "D.x"]);
        let named = quote!("1" = a.clone().x, "2" = (b.as_ref()).x, "3" = c.first().unwrap().x, "4" = ?d.last(), "5" = a.get.y());
        assert_eq!(checked(&function, &named), ["A.get", "A.x", "B.x", "C.x", "D."]);
        let others = quote!(
            "1" = g(a).x,
            "2" = g(1)(b).x,
            "3" = x.g(a).x,
            "4" = (a).x(),
            "5" = (a, b).0,
            "6" = c[0].x(),
            "7" = X::<Y> { a }.x,
            "8" = X { a }.x,
            "9" = { a; g }.x,
            "10" = a.copy().x,
            "11" = ?{ a.clone(); g }
        );
        assert!(checked(&function, &others).is_empty());
    }

    #[test]
    fn calls_other_names_and_nameless_types_are_left_alone() {
        let function = parse_quote!(fn f<T>(a: A, b: impl B, c: &[u8], d: T, e: &str, g: Option<Box<impl G>>));
        let named = quote!("1" = a.len(), "2" = x.a.y, ?b, "4" = c.len(), "5" = 7, ?d, %e, ?g);
        assert!(checked(&function, &named).is_empty());
    }
}
