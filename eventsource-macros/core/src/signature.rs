//! Functions and impl blocks as the macros see them: signatures parsed, bodies left as tokens, so that a half-typed
//! body reaches the editor and the compiler as it is.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{
    AttrStyle, Attribute, FnArg, GenericArgument, Generics, ImplItem, Meta, PatType, Path, PathArguments, Receiver,
    ReceiverKind, ReturnType, Signature, Token, Type, TypeReference, Visibility,
};

use crate::diagnostics::{Diagnostics, parse, shown};
use crate::names::impl_trait;
use crate::paths::ends_in;
use crate::sensitive::is_type;
use crate::tokens::{alone, is_sign, is_word};

/// A function or method.
#[derive(Clone)]
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    /// Missing in a trait's method without a default.
    pub(crate) body: Option<Group>,
    /// What stands in its place.
    semicolon: Option<Token![;]>,
}

impl Function {
    /// Removes the attributes of that name, with any path: `traced` or `eventsource_runtime::traced`.
    pub(crate) fn take_attributes(&mut self, name: &str) -> Vec<Attribute> {
        self.attrs.extract_if(.., |attribute| ends_in(attribute.path(), name)).collect()
    }

    /// The same within `cfg_attr`: the macro on a block gets its methods unexpanded, and cannot tell whether the
    /// condition holds.
    pub(crate) fn refuse_conditional(&mut self, diagnostics: &mut Diagnostics, name: &str) {
        self.attrs.retain(|attribute| {
            let Some((_, given)) = conditional(attribute) else { return true };
            let ours = given.iter().find(|meta| ends_in(meta.path(), name));
            if let Some(meta) = ours {
                let message = format!(
                    "the macro on the block cannot tell whether this holds; write `#[{name}(..)]` by itself, on a method with `#[cfg(..)]`"
                );
                diagnostics.error(meta.path(), message);
            }
            ours.is_none()
        });
    }

    /// The attributes that decide whether the method is compiled.
    pub(crate) fn cfgs(&self) -> Vec<Attribute> {
        cfgs(&self.attrs)
    }

    /// The arguments beside the receiver.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &PatType> {
        self.sig.inputs.iter().filter_map(|argument| match argument {
            FnArg::Typed(argument) => Some(argument),
            FnArg::Receiver(_) => None,
        })
    }

    /// The type that is returned, if it is written.
    pub(crate) fn returned(&self) -> Option<&Type> {
        match &self.sig.output {
            ReturnType::Default => None,
            ReturnType::Type(_, ty) => Some(ungrouped(ty)),
        }
    }
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let sig = input.parse()?;
        let semicolon: Option<Token![;]> = input.parse()?;
        let body = if semicolon.is_some() {
            None
        } else {
            Some(input.step(|cursor| match cursor.token_tree().map(|(tree, rest)| (alone(tree), rest)) {
                Some((Some(TokenTree::Group(body)), rest)) if body.delimiter() == Delimiter::Brace => Ok((body, rest)),
                _ => Err(cursor.error("expected the function's body")),
            })?)
        };
        Ok(Self { attrs, vis, sig, body, semicolon })
    }
}

/// The attributes that decide whether their item is compiled.
pub(crate) fn cfgs<'a>(attributes: impl IntoIterator<Item = &'a Attribute>) -> Vec<Attribute> {
    attributes.into_iter().filter_map(deciding).collect()
}

/// `#[cfg(..)]`, alone or in `#[cfg_attr(..)]`.
fn deciding(attribute: &Attribute) -> Option<Attribute> {
    if attribute.path().is_ident("cfg") {
        return Some(Attribute { style: AttrStyle::Outer, ..attribute.clone() });
    }
    let (condition, mut given) = conditional(attribute)?;
    given.retain(|meta| meta.path().is_ident("cfg"));
    (!given.is_empty()).then(|| syn::parse_quote!(#[cfg_attr(#condition, #(#given),*)]))
}

/// The condition of `#[cfg_attr(condition, ..)]`, and its attributes.
fn conditional(attribute: &Attribute) -> Option<(Meta, Vec<Meta>)> {
    let list = attribute.meta.require_list().ok().filter(|list| list.path.is_ident("cfg_attr"))?;
    let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok()?;
    let mut parts = parts.into_iter();
    Some((parts.next()?, parts.collect()))
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { attrs, vis, sig, body, semicolon } = self;
        tokens.extend(quote!(#(#attrs)* #vis #sig #body #semicolon));
    }
}

/// `impl Type { .. }`.
pub(crate) struct ImplBlock {
    attrs: Vec<Attribute>,
    unsafety: Option<Token![unsafe]>,
    pub(crate) impl_token: Token![impl],
    pub(crate) generics: Generics,
    pub(crate) self_ty: Type,
    /// The trait, which none of our macros accepts.
    pub(crate) trait_path: Option<Path>,
    braces: Span,
    /// `#![..]` at its beginning.
    inner_attrs: Vec<Attribute>,
    pub(crate) methods: Vec<Function>,
    /// Constants, types and macros.
    pub(crate) others: Vec<ImplItem>,
}

impl Parse for ImplBlock {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let unsafety = input.parse()?;
        let impl_token = input.parse()?;
        let mut generics: Generics = input.parse()?;
        let mut trait_path = None;
        let fork = input.fork();
        if fork.parse::<Path>().is_ok() && fork.peek(Token![for]) {
            trait_path = Some(input.parse()?);
            input.parse::<Token![for]>()?;
        }
        let mut self_ty = input.parse()?;
        if let Type::TraitObject(object) = &mut self_ty {
            // `dyn A +` is legal by itself, but not before everything that an expansion puts after it.
            object.bounds.pop_punct();
        }
        generics.where_clause = input.parse()?;
        let content;
        let braces = syn::braced!(content in input);
        let inner_attrs = content.call(Attribute::parse_inner)?;
        let mut methods = Vec::new();
        let mut others = Vec::new();
        while !content.is_empty() {
            if content.fork().parse::<Function>().is_ok() {
                methods.push(content.parse()?);
            } else {
                others.push(content.parse()?);
            }
        }
        let braces = braces.span.join();
        Ok(Self { attrs, unsafety, impl_token, generics, self_ty, trait_path, braces, inner_attrs, methods, others })
    }
}

impl ImplBlock {
    /// The attributes on it.
    pub(crate) fn own_attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.attrs.iter().chain(&self.inner_attrs)
    }

    /// The same, and those on its methods.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.own_attributes().chain(self.methods.iter().flat_map(|method| &method.attrs))
    }

    /// Whether an earlier method has the name of this one, which the compiler reports.
    pub(crate) fn is_repeated(&self, method: &Function) -> bool {
        let mut earlier = self.methods.iter().take_while(|earlier| !std::ptr::eq(*earlier, method));
        earlier.any(|it| it.sig.ident == method.sig.ident && it.cfgs().is_empty() && method.cfgs().is_empty())
    }
}

impl ToTokens for ImplBlock {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { attrs, unsafety, impl_token, generics, self_ty, trait_path, braces, inner_attrs, methods, others } =
            self;
        let (impl_generics, _, where_clause) = generics.split_for_impl();
        let trait_path = trait_path.iter();
        let mut items = Group::new(Delimiter::Brace, quote!(#(#inner_attrs)* #(#others)* #(#methods)*));
        items.set_span(*braces);
        tokens.extend(quote! {
            #(#attrs)* #unsafety #impl_token #impl_generics #(#trait_path for)* #self_ty #where_clause #items
        });
    }
}

/// Parses the item under an attribute. Reports what is wrong in it, or if it lacks the `keyword` of its kind, where the
/// attribute `belongs`.
pub(crate) fn parse_item<T: Parse>(
    diagnostics: &mut Diagnostics,
    item: TokenStream,
    keyword: &str,
    belongs: &str,
) -> Option<T> {
    let parsed = parse(item.clone(), T::parse);
    // Behind these signs the word is a part of a type.
    let mut head = item.clone().into_iter().take_while(|token| !is_sign(token, ':') && !is_sign(token, '='));
    if parsed.is_ok() || head.any(|token| is_word(&token, keyword)) {
        return diagnostics.take(parsed);
    }
    diagnostics.none(item.into_iter().next(), belongs)
}

/// The type itself, which a macro's `$ty:ty` wraps into an invisible group.
pub(crate) fn ungrouped(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungrouped(&group.elem),
        Type::Paren(paren) => ungrouped(&paren.elem),
        ty => ty,
    }
}

/// The last segment of a type's path.
pub(crate) fn last_segment(ty: &Type) -> Option<&syn::PathSegment> {
    match ungrouped(ty) {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// `E` of `&Wrapper<E>`.
pub(crate) fn inside_reference(ty: &Type, wrapper: &str) -> Option<Type> {
    let Type::Reference(TypeReference { mutability: None, elem, .. }) = ungrouped(ty) else { return None };
    let segment = last_segment(elem).filter(|segment| segment.ident == wrapper)?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    let mut arguments = arguments.args.iter();
    match (arguments.next(), arguments.next()) {
        (Some(GenericArgument::Type(inside)), None) => Some(inside.clone()),
        _ => None,
    }
}

/// Whether two pieces of syntax are written alike.
pub(crate) fn alike(one: &impl ToTokens, other: &impl ToTokens) -> bool {
    one.to_token_stream().to_string() == other.to_token_stream().to_string()
}

/// Reports a receiver that is not `&self`; `what` takes it.
pub(crate) fn shared_receiver<'a>(
    diagnostics: &mut Diagnostics,
    sig: &'a Signature,
    what: &str,
) -> Option<&'a Receiver> {
    match sig.receiver() {
        Some(receiver) if is_shared(receiver) => Some(receiver),
        Some(other) => diagnostics.none(other, format!("{what} takes `&self`, not `{}`", shown(other))),
        None => {
            let message = format!("{what} takes `&self`; move other functions into another `impl`");
            diagnostics.none(&sig.ident, message)
        }
    }
}

/// Whether a receiver is `&self`, also written as `self: &Self`.
fn is_shared(receiver: &Receiver) -> bool {
    match &receiver.kind {
        ReceiverKind::Reference(.., None) => true,
        ReceiverKind::Typed(_, ty) => match ungrouped(ty) {
            Type::Reference(TypeReference { mutability: None, elem, .. }) => is_type(ungrouped(elem), "Self"),
            _ => false,
        },
        _ => false,
    }
}

/// An argument too many, if it is not one that `plain` reports.
pub(crate) fn unconditional(argument: Option<&PatType>) -> Option<&PatType> {
    argument.filter(|argument| cfgs(&argument.attrs).is_empty())
}

/// Reports generics, named or not, `unsafe`, and arguments under a condition, which a generated call cannot support.
pub(crate) fn plain(diagnostics: &mut Diagnostics, method: &Function, what: &str) -> bool {
    let (before, sig) = (diagnostics.count(), &method.sig);
    let generic = format!("{what} cannot be generic; name the type");
    if sig.generics.params.iter().any(|parameter| !matches!(parameter, syn::GenericParam::Lifetime(_))) {
        diagnostics.error(&sig.generics, &generic);
    }
    for unnamed in method.arguments().filter_map(|argument| impl_trait(&argument.ty)) {
        diagnostics.error(unnamed, &generic);
    }
    for input in &sig.inputs {
        let (FnArg::Receiver(Receiver { attrs, .. }) | FnArg::Typed(PatType { attrs, .. })) = input;
        if let Some(condition) = attrs.iter().find(|attribute| deciding(attribute).is_some()) {
            let message =
                "the macro on the block cannot tell whether this holds; write two methods, each with `#[cfg(..)]`";
            diagnostics.error(condition, message);
        }
    }
    if let syn::Safety::Unsafe(token) = &sig.safety {
        diagnostics.error(token, format!("{what} cannot be `unsafe`; use an `unsafe` block in it"));
    }
    diagnostics.count() == before
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeds::in_group;

    #[test]
    fn a_shared_receiver_may_be_written_with_its_type() {
        let is_shared = |receiver| syn::parse_str(receiver).is_ok_and(|receiver| is_shared(&receiver));
        assert!(["&self", "self: &'a Self"].into_iter().all(is_shared));
        assert!(!["self", "&mut self", "self: &mut Self", "self: &Arc<Self>"].into_iter().any(is_shared));
    }

    #[test]
    fn a_half_typed_body_stays_as_it_is() {
        let function: Function = syn::parse_quote!(fn f(&self) { self. });
        assert_eq!(quote!(#function).to_string(), "fn f (& self) { self . }");
        let block: ImplBlock = syn::parse_quote!(impl<T> A<T> where T: B { const C: u8 = 1; fn f() { let } });
        assert_eq!(block.methods.len(), 1);
        assert_eq!(block.others.len(), 1);
        assert!(quote!(#block).to_string().contains("fn f () { let }"));
    }

    #[test]
    fn a_body_from_a_macro_stands_in_a_group_that_cannot_be_seen() {
        let body = in_group(quote!({ 1 }));
        let function: Function = syn::parse_quote!(fn f() -> u8 #body);
        assert_eq!(function.body.map(|body| body.to_string()), Some("{ 1 }".to_owned()));
        assert!(syn::parse2::<Function>(quote!(fn f() (1))).is_err());
    }

    #[test]
    fn a_type_from_a_macro_stands_in_a_group_that_cannot_be_seen() {
        let grouped = in_group(quote!(a::B<C>));
        for ty in [quote!(a::B<C>), quote!(#grouped), quote!((#grouped))] {
            let ty: Type = syn::parse2(ty).expect("the test's own tokens");
            assert!(last_segment(&ty).is_some_and(|segment| segment.ident == "B"));
        }
    }

    #[test]
    fn what_a_macro_puts_into_a_group_is_found_there() {
        let grouped = in_group(quote!(&Recorded<A>));
        let ty: Type = syn::parse_quote!(#grouped);
        assert!(inside_reference(&ty, "Recorded").is_some());
        assert!(matches!(ungrouped(&syn::parse_quote!((#grouped))), Type::Reference(_)));
    }

    #[test]
    fn attributes_of_a_block_stay_in_it() {
        let block: ImplBlock = syn::parse_quote!(impl A { #![allow(b)] #![doc = "c"] fn f() {} });
        assert_eq!(quote!(#block).to_string(), "impl A { # ! [allow (b)] # ! [doc = \"c\"] fn f () { } }");
    }

    #[test]
    fn what_decides_is_found_in_conditions_as_well() {
        let function: Function = syn::parse_quote! {
            #[cfg(a)] #[cfg_attr(b, inline, cfg(c))] #[cfg_attr(d, inline)] #[cfg_attr(e)] #[cfg_attr] #[doc(cfg(f))]
            fn g() {}
        };
        let cfgs = function.cfgs();
        assert_eq!(quote!(#(#cfgs)*).to_string(), "# [cfg (a)] # [cfg_attr (b , cfg (c))]");
    }

    #[test]
    fn what_stands_under_a_condition_is_refused_and_goes() {
        let mut function: Function = syn::parse_quote! {
            #[cfg_attr(a, inline)] #[cfg_attr(b, c::traced(root))] #[traced] #[cfg_attr(d, projection(setup))] fn f() {}
        };
        let mut diagnostics = Diagnostics::default();
        function.refuse_conditional(&mut diagnostics, "traced");
        assert_eq!(diagnostics.count(), 1);
        let kept = "# [cfg_attr (a , inline)] # [traced] # [cfg_attr (d , projection (setup))] fn f () { }";
        assert_eq!(quote!(#function).to_string(), kept);
        assert!(diagnostics.into_tokens().to_string().contains("cannot tell whether this holds"));
    }

    #[test]
    fn a_trait_is_told_from_a_type() {
        let block: ImplBlock = syn::parse_quote!(impl a::B<C> for D<E> {});
        assert!(block.trait_path.is_some());
        let block: ImplBlock = syn::parse_quote!(impl a::B<C> {});
        assert!(block.trait_path.is_none());
    }
}
