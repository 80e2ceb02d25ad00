//! The names that an expression binds itself: of closures, `match`, `if let` and `let`.

use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Arm, Expr, ExprClosure, ExprLet, ExprMatch, ExprMethodCall, Ident, Local, Macro, Pat, Path, Token};

use super::found::values;
use super::scope::{Bound, Scope};

/// What the patterns within an expression bind, if what they take apart is a name of the scope, or comes out of one by
/// methods that return the same value. Others may be of any type.
pub(super) fn bound_within(scope: &Scope, expr: &Expr) -> Vec<Bound> {
    let mut within = Within { scope, own: Scope::default() };
    within.visit_expr(expr);
    within.own.bound
}

impl Scope {
    /// What a name stands for.
    pub(super) fn named(&self, name: &Ident) -> impl Iterator<Item = &Bound> {
        let name = name.unraw().to_string();
        self.bound.iter().filter(move |bound| bound.name == name)
    }

    /// Adds what a pattern binds of a value in the scope, also within `Some(..)`, `Ok(..)` and `Err(..)`, in a list, and in a
    /// pair, of which it may be either.
    pub(super) fn part(&mut self, pattern: &Pat, bound: &Bound) {
        match (pattern, &bound.field) {
            (Pat::TupleStruct(within), _) if is_shown_through(&within.path) => {
                within.elems.iter().for_each(|element| self.part(element, bound));
            }
            (Pat::Tuple(pair), _) => pair.elems.iter().for_each(|element| self.part(element, bound)),
            (Pat::Slice(list), _) => list.elems.iter().for_each(|element| self.part(element, bound)),
            (Pat::Reference(pattern), _) => self.part(&pattern.pat, bound),
            (Pat::Paren(pattern), _) => self.part(&pattern.pat, bound),
            (Pat::Type(pattern), _) => self.part(&pattern.pat, bound),
            (Pat::Or(pattern), _) => pattern.cases.iter().for_each(|case| self.part(case, bound)),
            (pattern, Some(field)) => self.field(pattern, &bound.ty, field),
            (pattern, None) => self.argument(pattern, &bound.ty),
        }
    }
}

/// Methods of the standard library that give a closure what they are called on, or what is in it.
const TAKING: [&str; 15] = [
    "all",
    "and_then",
    "any",
    "filter",
    "filter_map",
    "find",
    "flat_map",
    "for_each",
    "inspect",
    "is_none_or",
    "is_ok_and",
    "is_some_and",
    "map",
    "map_or",
    "map_or_else",
];

fn is_shown_through(variant: &Path) -> bool {
    let last = variant.segments.last().map(|last| &last.ident);
    last.is_some_and(|last| ["Some", "Ok", "Err"].iter().any(|name| last == name))
}

struct Within<'a> {
    scope: &'a Scope,
    own: Scope,
}

impl Within<'_> {
    fn bind<'p>(&mut self, source: &Expr, patterns: impl Iterator<Item = &'p Pat>) {
        let names = values(source.to_token_stream());
        let known = |name| self.scope.named(name).chain(self.own.named(name)).cloned();
        let bound: Vec<_> = names.iter().flat_map(known).collect();
        for pattern in patterns {
            for bound in &bound {
                self.own.part(pattern, bound);
            }
        }
    }
}

impl<'ast> Visit<'ast> for Within<'_> {
    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        let closures = call.args.iter().filter_map(|argument| match argument {
            Expr::Closure(ExprClosure { inputs, .. }) => Some(inputs),
            _ => None,
        });
        if TAKING.iter().any(|method| call.method == method) {
            self.bind(&call.receiver, closures.flatten());
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_match(&mut self, taken: &'ast ExprMatch) {
        self.bind(&taken.expr, taken.arms.iter().map(|Arm { pat, .. }| pat));
        visit::visit_expr_match(self, taken);
    }

    fn visit_expr_let(&mut self, taken: &'ast ExprLet) {
        self.bind(&taken.expr, std::iter::once(&*taken.pat));
        visit::visit_expr_let(self, taken);
    }

    fn visit_local(&mut self, local: &'ast Local) {
        if let Some(taken) = &local.init {
            self.bind(&taken.expr, std::iter::once(&local.pat));
        }
        visit::visit_local(self, local);
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        // Those that take something else are not known.
        if let Ok(arguments) = called.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated) {
            arguments.iter().for_each(|argument| self.visit_expr(argument));
        }
    }
}
