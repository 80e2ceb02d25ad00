//! What a message's options mean; every check is here.

use proc_macro2::TokenStream;
use syn::{Data, DeriveInput, Generics, Ident, LitStr, Member, Type};

use super::Kind;
use super::parse::Parsed;
use crate::diagnostics::Diagnostics;
use crate::fields::{self, Attribute};
use crate::generics::refuse_lifetimes;
use crate::names::{as_text, has_impl_trait};
use crate::output::deprecated;
use crate::paths::Runtime;
use crate::sensitive;

pub(super) struct Model {
    pub(super) runtime: Runtime,
    pub(super) deprecated: Option<TokenStream>,
    pub(super) ident: Ident,
    pub(super) generics: Generics,
    pub(super) name: LitStr,
    pub(super) target: Target,
    pub(super) attributes: Vec<Attribute>,
    pub(super) sensitive: Vec<sensitive::Field>,
}

pub(super) enum Target {
    /// Which aggregate decides, and where its id is; none after a mistake.
    Command { aggregate: Type, id: Option<Member> },
    /// The types of the answer and of the error.
    Query { output: Type, error: Option<Box<Type>> },
}

pub(super) fn model(diagnostics: &mut Diagnostics, kind: Kind, parsed: Parsed) -> Model {
    let Parsed { input, runtime, name, target, error, ids, is_target_unclear, is_id_unclear, attributes, sensitive } =
        parsed;
    let what = kind.word();
    refuse_lifetimes(diagnostics, &input.generics, &format!("a {what}"));
    fields::distinct(diagnostics, &attributes);
    let name = name.unwrap_or_else(|| as_text(&input.ident));
    if name.value().is_empty() {
        diagnostics.error(&name, "the name is empty; write `name = \"..\"`");
    }
    let id = (kind == Kind::Command).then(|| id(diagnostics, &input, ids, &sensitive, is_id_unclear)).flatten();
    if target.is_none() && !is_target_unclear {
        let message = match kind {
            Kind::Command => "a command names its aggregate; write `#[command(aggregate = Type)]`",
            Kind::Query => "a query names its answer; write `#[query(output = Type)]`",
        };
        diagnostics.error(&input.ident, message);
    }
    let target = target.filter(|ty| is_named(diagnostics, ty));
    // Without the aggregate the id's type is unknown.
    let id = id.filter(|_| target.is_some());
    let target = target.unwrap_or_else(|| diagnostics.hole());
    let target = match kind {
        Kind::Command => Target::Command { aggregate: target, id },
        Kind::Query => Target::Query { output: target, error: error.map(Box::new) },
    };
    let deprecated = deprecated(&input);
    Model { runtime, deprecated, ident: input.ident, generics: input.generics, name, target, attributes, sensitive }
}

/// Whether a type can stand where a trait's type is given.
fn is_named(diagnostics: &mut Diagnostics, ty: &Type) -> bool {
    let is_named = !has_impl_trait(ty);
    if !is_named {
        diagnostics.error(ty, "this type has no name; write one that has, or a `Box<dyn ..>`");
    }
    is_named
}

fn id(
    diagnostics: &mut Diagnostics,
    input: &DeriveInput,
    ids: Vec<(Ident, Member)>,
    sensitive: &[sensitive::Field],
    is_unclear: bool,
) -> Option<Member> {
    if let Data::Enum(data) = &input.data {
        return diagnostics.none(data.enum_token, "a command is no enum; write a struct for each intention");
    }
    for (word, _) in ids.iter().filter(|(_, member)| sensitive.iter().any(|it| it.member == *member)) {
        diagnostics.error(word, format!("`{word}` would show on every span what is `sensitive`; keep one"));
    }
    let mut ids = ids.into_iter();
    let first = ids.next();
    for (word, _) in ids {
        diagnostics.error(word, "option `id` is given to two fields; keep one");
    }
    if first.is_none() && !is_unclear && matches!(input.data, Data::Struct(_)) {
        let message = "a command says which aggregate it is for; write `#[command(id)]` on the field with the id";
        diagnostics.error(&input.ident, message);
    }
    first.map(|(_, member)| member)
}
