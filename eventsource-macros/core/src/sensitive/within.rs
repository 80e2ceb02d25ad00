//! The names that an expression binds itself: of closures, `match`, `if let`, `let` and `for`.

use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{
    Arm, Block, Expr, ExprClosure, ExprForLoop, ExprLet, ExprMatch, ExprMethodCall, Ident, Local, Macro, Pat, PatType,
    Path, Stmt, Token, Type,
};

use super::found::values;
use super::scope::{Bound, Scope};
use super::types::{behind_references, pointed_at};

/// What the patterns within an expression bind, if their type is written, or if what they take apart is a name of the
/// scope, or comes out of one by methods that return the same value. Others may be of any type.
pub(super) fn bound_within(scope: &Scope, expr: &Expr) -> Vec<Bound> {
    let mut within = Within { scope, own: Scope::default(), has_own_types: false };
    within.visit_expr(expr);
    within.own.bound
}

impl Scope {
    /// What a name stands for.
    pub(super) fn named(&self, name: &Ident) -> impl Iterator<Item = &Bound> {
        let name = name.unraw().to_string();
        self.bound.iter().filter(move |bound| bound.name == name)
    }

    /// Adds what a pattern binds of a value of a written type.
    fn typed(&mut self, pattern: &Pat, ty: &Type) {
        if let Type::Tuple(_) = behind_references(ty) {
            self.argument(pattern, ty);
        }
        for ty in pointed_at(ty) {
            self.part(pattern, &Bound { name: String::new(), ty, field: None });
        }
    }

    /// Adds what a pattern binds of a value in the scope, also within `Some(..)`, `Ok(..)` and `Err(..)`, in a list,
    /// and in a pair, of which it may be either.
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
pub(super) const TAKING: [&str; 31] = [
    "all",
    "and_then",
    "any",
    "filter",
    "filter_map",
    "find",
    "find_map",
    "flat_map",
    "for_each",
    "inspect",
    "is_none_or",
    "is_ok_and",
    "is_some_and",
    "is_sorted_by_key",
    "map",
    "map_or",
    "map_or_else",
    "map_while",
    "max_by",
    "max_by_key",
    "min_by",
    "min_by_key",
    "partition",
    "position",
    "reduce",
    "rfind",
    "rposition",
    "skip_while",
    "take_if",
    "take_while",
    "try_for_each",
];

/// The same, behind a value of the closure's own.
pub(super) const FOLDING: [&str; 5] = ["fold", "rfold", "scan", "try_fold", "try_rfold"];

fn is_shown_through(variant: &Path) -> bool {
    let last = variant.segments.last().map(|last| &last.ident);
    last.is_some_and(|last| ["Some", "Ok", "Err"].iter().any(|name| last == name))
}

struct Within<'a> {
    scope: &'a Scope,
    own: Scope,
    /// Whether a block around it declares types, whose names say nothing outside.
    has_own_types: bool,
}

impl Within<'_> {
    fn bind<'p>(&mut self, source: &Expr, patterns: impl Iterator<Item = &'p Pat>) {
        if let Expr::Tuple(tuple) = source {
            for pattern in patterns {
                let Pat::Tuple(pattern) = pattern else { continue };
                let before_rest = pattern.elems.iter().take_while(|element| !matches!(element, Pat::Rest(_)));
                tuple.elems.iter().zip(before_rest).for_each(|(value, part)| self.bind(value, std::iter::once(part)));
            }
            return;
        }
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
        let is_one_of = |methods: &[&str]| methods.iter().any(|method| call.method == method);
        if is_one_of(&TAKING) {
            self.bind(&call.receiver, closures.flatten());
        } else if is_one_of(&FOLDING) {
            self.bind(&call.receiver, closures.flat_map(|inputs| inputs.iter().skip(1)));
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

    fn visit_expr_for_loop(&mut self, taken: &'ast ExprForLoop) {
        self.bind(&taken.expr, std::iter::once(&*taken.pat));
        visit::visit_expr_for_loop(self, taken);
    }

    fn visit_pat_type(&mut self, typed: &'ast PatType) {
        if !self.has_own_types {
            self.own.typed(&typed.pat, &typed.ty);
        }
        visit::visit_pat_type(self, typed);
    }

    fn visit_block(&mut self, block: &'ast Block) {
        let around = self.has_own_types;
        self.has_own_types |= block.stmts.iter().any(|statement| matches!(statement, Stmt::Item(_)));
        visit::visit_block(self, block);
        self.has_own_types = around;
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
