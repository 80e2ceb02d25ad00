//! What the names in an attribute's expression stand for.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::ext::IdentExt as _;
use syn::punctuated::Punctuated;
use syn::visit_mut::VisitMut as _;
use syn::{FnArg, Ident, Pat, Receiver, Signature, Token, Type, TypeArray, TypeSlice};

use super::found::Found;
use super::types::{Elided, behind_references, is_inferred, is_plain, is_type, pointed_at};
use super::{from_end, name};
use crate::keys;
use crate::names::{bound, has_impl_trait};
use crate::output::{local, located, probe};
use crate::paths::Runtime;
use crate::traced::{Entry, Value};

/// What the names in an attribute's expression stand for.
#[derive(Default)]
pub(crate) struct Scope {
    pub(super) bound: Vec<Bound>,
}

/// An argument, or a field bound by its pattern.
#[derive(Clone)]
pub(super) struct Bound {
    pub(super) name: String,
    pub(super) ty: Type,
    pub(super) field: Option<String>,
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
        scope.known_to(sig)
    }

    /// Adds `result`, the function's value of that type, which replaces an argument of that name.
    pub(crate) fn with_result(mut self, sig: &Signature, ty: &Type) -> Self {
        self.bound.retain(|bound| bound.name != keys::RESULT);
        self.bind(&local(keys::RESULT), ty, None);
        self.known_to(sig)
    }

    /// A type that the signature does not give cannot be known to be sensitive.
    fn known_to(mut self, sig: &Signature) -> Self {
        self.bound.retain(|Bound { ty, .. }| sig.generics.type_params().all(|any| !is_type(ty, &any.ident)));
        self
    }

    /// Adds `self`.
    pub(crate) fn receiver(&mut self, receiver: &Receiver) {
        let place = located(receiver.self_token.span);
        self.bind(&receiver.self_token.into(), &syn::parse_quote_spanned!(place=> Self), None);
    }

    /// Adds what an argument's pattern binds.
    pub(crate) fn argument(&mut self, pattern: &Pat, ty: &Type) {
        match pattern {
            Pat::Ident(pattern) => {
                self.bind(&pattern.ident, ty, None);
                if let Some((_, within)) = &pattern.subpat {
                    self.argument(within, ty);
                }
            }
            Pat::Struct(pattern) => {
                for field in &pattern.fields {
                    self.field(&field.pat, ty, &name(&field.member));
                }
            }
            Pat::TupleStruct(pattern) => {
                let (before, behind) = around_rest(&pattern.elems);
                for (index, element) in before.enumerate() {
                    self.field(element, ty, &index.to_string());
                }
                for (index, element) in behind.enumerate() {
                    self.field(element, ty, &from_end(index + 1));
                }
            }
            Pat::Tuple(pattern) => {
                let Type::Tuple(ty) = behind_references(ty) else { return };
                let (before, behind) = around_rest(&pattern.elems);
                for (pattern, ty) in before.zip(&ty.elems).chain(behind.zip(ty.elems.iter().rev())) {
                    self.argument(pattern, ty);
                }
            }
            Pat::Slice(pattern) => {
                if let Type::Slice(TypeSlice { elem, .. }) | Type::Array(TypeArray { elem, .. }) = behind_references(ty)
                {
                    pattern.elems.iter().for_each(|element| self.argument(element, elem));
                }
            }
            Pat::Or(pattern) => pattern.cases.iter().for_each(|case| self.argument(case, ty)),
            // Patterns look through the type's own references.
            Pat::Reference(pattern) => self.argument(&pattern.pat, ty),
            Pat::Paren(pattern) => self.argument(&pattern.pat, ty),
            _ => (),
        }
    }

    /// Adds what a field's pattern binds, at any depth: the contents of a sensitive field are sensitive too.
    pub(super) fn field(&mut self, pattern: &Pat, ty: &Type, field: &str) {
        for name in bound(pattern) {
            self.bind(&name, ty, Some(field));
        }
    }

    fn bind(&mut self, name: &Ident, ty: &Type, field: Option<&str>) {
        // An argument's `impl Trait`, and the `_` in a closure's, have no name that the check could use.
        let is_named = |ty: &Type| !has_impl_trait(ty) && !is_inferred(ty) && !is_plain(ty);
        for mut ty in pointed_at(ty).into_iter().filter(is_named) {
            Elided.visit_type_mut(&mut ty);
            self.bound.push(Bound { name: name.unraw().to_string(), ty, field: field.map(str::to_owned) });
        }
    }

    /// A statement that does not compile if an entry names a sensitive field; `None` if none can.
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
        let probe = probe(&runtime.private(), "shown");
        // Never called, but type-checked.
        quote_spanned! {Span::mixed_site()=>
            let _ = || {
                #probe
                #checks
            };
        }
    }
}

/// The elements before `..`, and those after it, last one first.
fn around_rest(elements: &Punctuated<Pat, Token![,]>) -> (impl Iterator<Item = &Pat>, impl Iterator<Item = &Pat>) {
    let rest = elements.iter().position(|element| matches!(element, Pat::Rest(_))).unwrap_or(elements.len());
    let behind = elements.iter().skip(rest).skip(1).collect::<Vec<_>>().into_iter().rev();
    (elements.iter().take(rest), behind)
}

#[cfg(test)]
pub(super) mod tests {
    use quote::quote;
    use syn::{ReturnType, parse_quote};

    use super::*;
    use crate::diagnostics::Diagnostics;
    use crate::options::Options;
    use crate::seeds::{in_group, tokens};
    use crate::traced;

    /// What is checked, as `Type.field`.
    pub(in crate::sensitive) fn checked(function: &Signature, attributes: &TokenStream) -> Vec<String> {
        checked_in(&Scope::of_function(function), attributes)
    }

    fn checked_in(scope: &Scope, attributes: &TokenStream) -> Vec<String> {
        let mut diagnostics = Diagnostics::default();
        let written = traced::read(&mut diagnostics, quote!(attributes(#attributes)));
        assert_eq!(diagnostics.count(), 0);
        let runtime = Runtime::from_options(&mut Options::default());
        let mut found = Found::new(scope, &runtime);
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
        let grouped = in_group(quote!(A));
        let from_a_macro = parse_quote!(fn f(a: #grouped, &Place { card, .. }: &Place));
        assert_eq!(checked(&from_a_macro, &quote!("1" = a.x, "2" = card)), ["A.x", "Place.card"]);
    }

    #[test]
    fn what_a_pattern_looks_through_is_looked_through() {
        let borrowed = parse_quote!(fn f(&(a, _): &(A, B), (c): C));
        assert_eq!(checked(&borrowed, &quote!("1" = a.x, "2" = c.x)), ["A.x", "C.x"]);
        let grouped = in_group(quote!(&A));
        let from_a_macro = parse_quote!(fn f(&a: #grouped));
        assert_eq!(checked(&from_a_macro, &quote!("1" = a.x)), ["A.x"]);
        let grouped = in_group(quote!((C, D)));
        let by_itself = parse_quote!(fn f((a, _): &(A, B), &(_, b): (&(A, B)), (c, (d)): &mut #grouped));
        assert_eq!(
            checked(&by_itself, &quote!("1" = a.x, "2" = b.x, "3" = c.x, "4" = d.x)),
            ["A.x", "B.x", "C.x", "D.x"]
        );
        let either = parse_quote!(fn f(((a, _) | (_, a)): (A, B)));
        assert_eq!(checked(&either, &quote!("1" = a.x)), ["A.x", "B.x"]);
    }

    #[test]
    fn behind_dots_the_last_field_is_the_first() {
        let structs = parse_quote!(fn f(A(a, .., b, c): A, B(.., d): &B, C(e, ..): C, D(..): D));
        let named = checked(&structs, &quote!("1" = a, "2" = b, "3" = c, "4" = d, "5" = e));
        assert_eq!(named, ["A.-1", "A.-2", "A.0", "B.-1", "C.0"]);
        let tuples =
            parse_quote!(fn f((a, .., d): (A, B, C, D), (.., b, c): &(A, B, C), (e, ..): (E, A), (..): (A, B)));
        let named = checked(&tuples, &quote!("1" = a.x, "2" = b.x, "3" = c.x, "4" = d.x, "5" = e.x));
        assert_eq!(named, ["A.x", "B.x", "C.x", "D.x", "E.x"]);
    }

    #[test]
    fn what_is_taken_out_of_a_list_is_one_of_it() {
        let function = parse_quote!(fn f([a, ..]: [A; 2], [b, rest @ .., (c, _)]: &[(B, C)], [[.., d]]: [&[D; 2]; 1]));
        let named = checked(&function, &quote!("1" = a.x, "2" = c.x, "3" = d.x));
        assert_eq!(named, ["A.x", "B.x", "D.x"]);
        let function = parse_quote!(fn f([first, rest @ ..]: &[A; 3], []: [B; 0], [one]: List));
        assert_eq!(checked(&function, &quote!("1" = format!("{first:?}"), "2" = rest[0].x, ?one)), ["A.", "A.x"]);
    }

    #[test]
    fn what_was_returned_is_called_result() {
        let returned = |function: Signature, record: &TokenStream| {
            let ReturnType::Type(_, ty) = &function.output else { panic!("the test's own function") };
            let scope = Scope::of_function(&function).with_result(&function, ty);
            checked_in(&scope, record)
        };
        let fields = quote!("1" = result.card, "2" = result.as_ref().unwrap().id);
        assert_eq!(returned(parse_quote!(fn f(result: A) -> &'static B), &fields), ["B.card", "B.id"]);
        assert_eq!(returned(parse_quote!(fn f() -> io::Result<Option<B>>), &fields), ["B.card", "B.id"]);
        let whole = quote!("1" = format!("{result:?}"), "2" = ?result.as_ref().ok(), "3" = a.x);
        assert_eq!(returned(parse_quote!(fn f(a: A) -> Result<Vec<B>, E>), &whole), ["A.x", "B.", "E."]);
        assert!(returned(parse_quote!(fn f<T>() -> Result<T, impl E>), &whole).is_empty());
        // What is most often recorded of a failure, beside a value that shows too much.
        assert!(returned(parse_quote!(fn f() -> Result<B, E>), &quote!("1" = ?result.as_ref().err())).is_empty());
        assert!(returned(parse_quote!(fn f(result: A) -> u8), &fields).is_empty());
        let others = quote!("1" = result.len(), "2" = result, "3" = result.is_ok());
        assert!(returned(parse_quote!(fn f() -> Result<B, E>), &others).is_empty());
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
        let within = quote!("1" = format!("{:?}", (a, 7, [&b])), "2" = format!("{:?}", (c)));
        assert_eq!(checked(&function, &within), ["A.", "B.", "C."]);
        let grouped = in_group(quote!(c));
        let shown = quote!("1" = format!("{:?}", *a), "2" = format!("{}", (&**b)), "3" = format!("{:?}", #grouped));
        assert_eq!(checked(&function, &shown), ["A.", "B.", "C."]);
        let blocks = tokens(r#""1" = format!("{:?}", { a }), "2" = format!("{:?}{}", unsafe { x; &b }, c.clone())"#);
        assert_eq!(checked(&function, &blocks), ["A.", "B.", "C."]);
        // The type of a value says what it shows.
        assert!(
            checked(&function, &quote!(?a, "2" = %&b, "3" = ?{ c }, "4" = ?[a, c], "5" = ?(b), "6" = ?(a, b)))
                .is_empty()
        );
        let listed = parse_quote!(fn f(a: Vec<A>, b: &[Box<B>], c: Option<&C>, d: [D; 2], e: Vec<u8>));
        assert_eq!(checked(&listed, &quote!("1" = format!("{:?}", (a, b, c, d, e)))), ["A.", "B.", "C.", "D."]);
        assert_eq!(checked(&listed, &quote!("1" = format!("{:?}", a[0]))), ["A."]);
    }

    #[test]
    fn fields_are_found_behind_parentheses_and_in_lists() {
        let function = parse_quote!(fn f(a: A, b: &B, c: &[C], d: Vec<D>));
        let grouped = in_group(quote!(*b));
        let named = quote!("1" = (*a).x, "2" = #grouped.x.y(), "3" = c[0].x, "4" = match (d[1]).x { _ => 1 });
        assert_eq!(checked(&function, &named), ["A.x", "B.x", "C.x", "D.x"]);
        let named = tokens(r#""1" = 1 < (&a).0, "2" = match (b).x { _ => (*b).y() }"#);
        assert_eq!(checked(&function, &named), ["A.0", "B.x"]);
        let named = tokens(
            r#""1" = { a }.x, "2" = unsafe { let e = 1; b }.x, "3" = [e, &c[e]][1].x, "4" = if e { 1 } else { d[0] }.x"#,
        );
        assert_eq!(checked(&function, &named), ["A.x", "B.x", "C.x", "D.x"]);
        let named = quote!(
            "1" = a.clone().x,
            "2" = (b.as_ref()).x,
            "3" = c.first().unwrap().x,
            "4" = format!("{:?}", d.last()),
            "5" = a.get.y()
        );
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
    fn what_an_expression_takes_out_of_an_argument_is_known() {
        let function = parse_quote!(fn f(a: Option<A>, b: &[B], c: Result<C, E>, d: D, e: Mutex<E>));
        let named = tokens(
            r#"
                "1" = a.as_ref().map(|p| p.iter().map(|q| q.x)),
                "2" = b.iter().map(|(_, q)| format!("{:?}", q.y.len())).count(),
                "3" = match c { Ok(q) | Err((q)) => q.x },
                "4" = if let D { z: q, .. } = &d { q } else { 1 },
                "5" = { let q: &E = &e.lock().unwrap(); q.v }
            "#,
        );
        assert_eq!(checked(&function, &named), ["A.x", "B.y", "C.x", "D.z", "E.v", "E.x"]);
        // Of another type, as far as can be seen.
        let others = quote!("1" = a.card().map(|q| q.x), "3" = b.iter().map(B::card).filter(|q| q.x), "4" = g(|q| q.x));
        assert!(checked(&function, &others).is_empty());
    }

    #[test]
    fn what_a_loop_takes_and_what_has_a_written_type_is_known() {
        let function = parse_quote!(fn f(a: &[A], b: HashMap<u8, B>, c: C, d: D));
        let named = tokens(
            r#"
                "1" = { for p in a { t += p.x } t },
                "2" = { for (_, B { y, .. }) in &b { t += y } t },
                "3" = match (c, 1) { (p, _) => p.z },
                "4" = { let (p, q, ..) = (1, d, 2); p.x + q.v },
                "5" = { let e = |p: &E, q: &HashMap<_, Vec<G>>| p.x + q[&1][0].x; e(&h()) },
                "6" = { let Some(I { x, .. }): &Option<I> = i() else { 1 }; x },
                "7" = format!("{:?}", a.iter().map(|p| p.w).max()),
                "8" = match a { [_, .., p] => p.u, _ => 1 },
                "9" = match d { D(p) | Self::D(p) => p.x }
            "#,
        );
        let found = ["A.u", "A.w", "A.x", "B.y", "C.z", "D.0", "D.v", "E.x", "G.x", "I.x"];
        assert_eq!(checked(&function, &named), found);
        let others = tokens(
            r#"
                "1" = { let p: _ = g(); p.x },
                "2" = { let e = |p: K<_>, q: K<[u8; _]>, r: &[u8]| p.x + q.x + r.x; 1 },
                "3" = { struct L { x: u8 } let e = |p: L| { let q: L = p; p.x + q.x }; 1 },
                "4" = match (c, d) { p => p.x }
            "#,
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
