//! Fields that are marked as `sensitive`: no attribute may name one.
//!
//! A derive marks its type; wherever an expression of an attribute says `argument.field`, a check of types goes beside
//! it. Neither macro sees what the other does: the types tell.

use std::collections::BTreeSet;

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::ext::IdentExt as _;
use syn::visit_mut::{self, VisitMut};
use syn::{
    FnArg, GenericArgument, Generics, Ident, Lifetime, Member, Pat, PathArguments, Receiver, Signature, Type,
    TypeReference,
};

use crate::diagnostics::Diagnostics;
use crate::fields::Marked;
use crate::keys;
use crate::options::{Form, Word};
use crate::output::{local, located};
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
        scope.bound.retain(|Bound { ty, .. }| sig.generics.type_params().all(|any| !is(ty, &any.ident)));
        scope
    }

    /// Adds `self`.
    pub(crate) fn receiver(&mut self, receiver: &Receiver) {
        let place = located(receiver.self_token.span);
        self.bind("self", &syn::parse_quote_spanned!(place=> Self), None);
    }

    /// Adds what an argument's pattern binds.
    pub(crate) fn argument(&mut self, pattern: &Pat, ty: &Type) {
        match pattern {
            Pat::Ident(pattern) => self.bind(&pattern.ident.unraw().to_string(), ty, None),
            Pat::Struct(pattern) => {
                for field in &pattern.fields {
                    if let Pat::Ident(bound) = &*field.pat {
                        self.bind(&bound.ident.unraw().to_string(), ty, Some(name(&field.member)));
                    }
                }
            }
            Pat::TupleStruct(pattern) => {
                for (index, element) in pattern.elems.iter().enumerate() {
                    if let Pat::Ident(bound) = element {
                        self.bind(&bound.ident.unraw().to_string(), ty, Some(index.to_string()));
                    }
                }
            }
            Pat::Reference(pattern) => self.argument(&pattern.pat, ty),
            _ => (),
        }
    }

    fn bind(&mut self, name: &str, ty: &Type, field: Option<String>) {
        if let Some(mut ty) = pointed_at(ty).filter(|ty| !PLAIN.iter().any(|plain| is(ty, plain))) {
            Elided.visit_type_mut(&mut ty);
            self.bound.push(Bound { name: name.to_owned(), ty, field });
        }
    }

    /// A statement that does not compile if an entry names a sensitive field; nothing where none can.
    pub(crate) fn check(&self, runtime: &Runtime, entries: &[Entry]) -> TokenStream {
        let mut found = Found { scope: self, runtime, seen: BTreeSet::new(), checks: TokenStream::new() };
        for Entry { value, .. } in entries {
            found.entry(value);
        }
        let checks = found.checks;
        if checks.is_empty() {
            return TokenStream::new();
        }
        let private = runtime.private();
        // Never called, and never made: the types are checked all the same.
        quote_spanned! {Span::mixed_site()=>
            let _ = || {
                #[allow(unused_imports)]
                use #private::Unmarked as _;
                #checks
            };
        }
    }
}

struct Found<'a> {
    scope: &'a Scope,
    runtime: &'a Runtime,
    seen: BTreeSet<(String, String)>,
    checks: TokenStream,
}

impl Found<'_> {
    fn entry(&mut self, value: &Value) {
        match value {
            Value::Literal(_) => (),
            Value::Typed(expr) => self.look(expr.to_token_stream()),
            Value::Display(expr) | Value::Debug(expr) => {
                self.whole(expr.to_token_stream());
                self.look(expr.to_token_stream());
            }
        }
    }

    /// Looks for `argument.field`, also in the arguments of a macro, whose tokens nobody else reads.
    fn look(&mut self, tokens: TokenStream) {
        let mut after_dot = false;
        let mut trees = tokens.into_iter().peekable();
        while let Some(tree) = trees.next() {
            match &tree {
                TokenTree::Group(group) => self.look(group.stream()),
                TokenTree::Ident(ident) if !after_dot => {
                    let dotted = matches!(trees.peek(), Some(TokenTree::Punct(dot)) if dot.as_char() == '.');
                    let mut ahead = trees.clone();
                    let field = dotted.then(|| ahead.nth(1)).flatten().filter(|_| !is_call(ahead.next()));
                    self.name(ident, field.as_ref());
                }
                _ => (),
            }
            after_dot = matches!(&tree, TokenTree::Punct(dot) if dot.as_char() == '.');
        }
    }

    fn name(&mut self, ident: &Ident, field: Option<&TokenTree>) {
        let scope = self.scope;
        for bound in scope.bound.iter().filter(|bound| ident.unraw() == bound.name) {
            match (&bound.field, field) {
                (Some(name), _) => self.add(&bound.ty, name, ident.span()),
                (None, Some(TokenTree::Ident(name))) => self.add(&bound.ty, &name.unraw().to_string(), name.span()),
                (None, Some(TokenTree::Literal(index))) => {
                    // Of `.0.1` as well, which is one token.
                    let index_text = index.to_string();
                    let field = index_text.split('.').next().unwrap_or_default();
                    self.add(&bound.ty, field, index.span());
                }
                _ => (),
            }
        }
    }

    /// `argument` or `&argument` alone, of which everything would be shown.
    fn whole(&mut self, tokens: TokenStream) {
        let mut trees =
            tokens.into_iter().skip_while(|tree| matches!(tree, TokenTree::Punct(and) if and.as_char() == '&'));
        let (Some(TokenTree::Ident(ident)), None) = (trees.next(), trees.next()) else { return };
        let scope = self.scope;
        for bound in scope.bound.iter().filter(|bound| bound.field.is_none() && ident.unraw() == bound.name) {
            self.add(&bound.ty, "", ident.span());
        }
    }

    /// Checks the field of that name; without a name, all of them.
    fn add(&mut self, ty: &Type, name: &str, span: Span) {
        if self.seen.insert((ty.to_token_stream().to_string(), name.to_owned())) {
            let (private, at) = (self.runtime.private(), self.runtime.private_at(located(span)));
            let field = if name.is_empty() { whole(&private) } else { hash(&private, name) };
            let [check, of, named, shown] = ["may_be_seen", "Field", "named", "__es_shown"].map(local);
            self.checks.extend(quote_spanned! {located(span)=>
                #at::#check::<_>(#at::#of::<#ty, #field>::#named().#shown());
            });
        }
    }
}

fn is_call(tree: Option<TokenTree>) -> bool {
    matches!(tree, Some(TokenTree::Group(group)) if group.delimiter() == proc_macro2::Delimiter::Parenthesis)
}

/// The type whose fields a value of this type shows: without references and pointers, nothing if it has no name.
fn pointed_at(ty: &Type) -> Option<Type> {
    match ty {
        Type::Reference(TypeReference { elem, .. }) => pointed_at(elem),
        Type::Paren(paren) => pointed_at(&paren.elem),
        Type::Group(group) => pointed_at(&group.elem),
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

fn is<N: ?Sized>(ty: &Type, name: &N) -> bool
where
    Ident: PartialEq<N>,
{
    matches!(ty, Type::Path(path) if path.qself.is_none() && path.path.get_ident().is_some_and(|ident| ident == name))
}

fn is_pointer(ident: &Ident) -> bool {
    ["Recorded", "Arc", "Rc", "Box", "Pin", "Cow"].iter().any(|name| ident == name)
}

/// Puts `'_` for each lifetime: the check stands in a function, where the compiler finds them.
struct Elided;

impl VisitMut for Elided {
    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        *lifetime = Lifetime::new("'_", lifetime.span());
    }

    fn visit_type_impl_trait_mut(&mut self, _: &mut syn::TypeImplTrait) {}

    fn visit_type_mut(&mut self, ty: &mut Type) {
        // An argument's `impl Trait` has no name that the check could say.
        if matches!(ty, Type::ImplTrait(_)) {
            *ty = syn::parse_quote_spanned!(Span::mixed_site()=> _);
        } else {
            visit_mut::visit_type_mut(self, ty);
        }
    }

    /// Those of `fn(&'a T)` and `dyn for<'a> ..` are their own.
    fn visit_type_fn_ptr_mut(&mut self, _: &mut syn::TypeFnPtr) {}

    fn visit_type_trait_object_mut(&mut self, _: &mut syn::TypeTraitObject) {}
}

#[cfg(test)]
mod tests {
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
        let mut found = Found { scope: &scope, runtime: &runtime, seen: BTreeSet::new(), checks: TokenStream::new() };
        for Entry { value, .. } in &written.attributes {
            found.entry(value);
        }
        found.seen.into_iter().map(|(ty, field)| format!("{ty}.{field}")).collect()
    }

    #[test]
    fn every_way_to_name_a_field_is_found() {
        let by_name = parse_quote!(fn f(&self, a: &Recorded<A>, r#b: Arc<B<'x>>));
        let named = checked(&by_name, &quote!("1" = a.card, b.r#type, "3" = self.x.y, "4" = format!("{}", a.cvc)));
        assert_eq!(named, ["A.card", "A.cvc", "B < '_ >.type", "Self.x"]);
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
    fn the_whole_is_found_where_it_is_shown() {
        let function = parse_quote!(fn f(a: A, b: &B, c: C));
        assert_eq!(checked(&function, &quote!(?a, "b" = %&b, "c" = c, "d" = ?c.id())), ["A.", "B."]);
    }

    #[test]
    fn calls_other_names_and_nameless_types_are_left_alone() {
        let function = parse_quote!(fn f<T>(a: A, b: impl B, c: &[u8], d: T, e: &str));
        assert!(checked(&function, &quote!("1" = a.len(), "2" = x.a.y, ?b, "4" = c.len(), "5" = 7, ?d, %e)).is_empty());
    }
}
