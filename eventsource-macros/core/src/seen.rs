//! Which of the surrounding names an expression uses.

use proc_macro2::{Ident, Punct, Spacing, TokenStream};
use syn::ext::IdentExt as _;
use syn::visit::{self, Visit};
use syn::{Arm, Block, Expr, ExprClosure, ExprForLoop, ExprIf, ExprLet, ExprPath, ExprWhile, Item, Local, Macro, Pat};

use crate::names::{bound, find_before, find_in_texts};

/// The first of the names that an expression uses without binding it itself. What a macro does with its tokens is
/// unknown: there every occurrence of a name counts.
pub(crate) fn seen(expr: &Expr, names: &[Ident]) -> Option<Ident> {
    let names = names.iter().map(|name| name.unraw().to_string()).collect();
    let mut seen = Seen { names, own: Vec::new(), found: None };
    seen.visit_expr(expr);
    seen.found
}

struct Seen {
    names: Vec<String>,
    /// The names bound by enclosing closures, arms and statements.
    own: Vec<String>,
    found: Option<Ident>,
}

impl Seen {
    fn bind(&mut self, pattern: &Pat) {
        self.own.extend(bound(pattern).iter().map(|name| name.unraw().to_string()));
    }

    /// Ends the scope of what `visit` binds.
    fn within(&mut self, visit: impl FnOnce(&mut Self)) {
        let outside = self.own.len();
        visit(self);
        self.own.truncate(outside);
    }

    fn tokens(&mut self, tokens: &TokenStream) {
        let mut around = self.names.iter().filter(|name| !self.own.contains(name));
        // Before `::` it is a path, not a local.
        let is_meant = |next: &Punct| next.as_char() != ':' || next.spacing() != Spacing::Joint;
        let find =
            |name: &String| find_before(tokens.clone(), name, is_meant).or_else(|| find_in_texts(tokens.clone(), name));
        let found = around.find_map(find);
        self.found = self.found.take().or(found);
    }
}

impl<'ast> Visit<'ast> for Seen {
    fn visit_expr_path(&mut self, node: &'ast ExprPath) {
        let name = node.path.get_ident().filter(|_| node.qself.is_none());
        let named = |name: &&Ident| {
            let name = name.unraw().to_string();
            self.names.contains(&name) && !self.own.contains(&name)
        };
        self.found = self.found.take().or(name.filter(named).cloned());
        visit::visit_expr_path(self, node);
    }

    fn visit_macro(&mut self, node: &'ast Macro) {
        self.tokens(&node.tokens);
    }

    fn visit_expr(&mut self, node: &'ast Expr) {
        match node {
            Expr::Verbatim(tokens) => self.tokens(tokens),
            node => visit::visit_expr(self, node),
        }
    }

    fn visit_expr_closure(&mut self, node: &'ast ExprClosure) {
        self.within(|seen| {
            node.inputs.iter().for_each(|input| seen.bind(input));
            visit::visit_expr_closure(seen, node);
        });
    }

    fn visit_arm(&mut self, node: &'ast Arm) {
        self.within(|seen| {
            seen.bind(&node.pat);
            visit::visit_arm(seen, node);
        });
    }

    fn visit_block(&mut self, node: &'ast Block) {
        self.within(|seen| visit::visit_block(seen, node));
    }

    fn visit_local(&mut self, node: &'ast Local) {
        visit::visit_local(self, node);
        self.bind(&node.pat);
    }

    fn visit_expr_let(&mut self, node: &'ast ExprLet) {
        visit::visit_expr_let(self, node);
        self.bind(&node.pat);
    }

    fn visit_expr_if(&mut self, node: &'ast ExprIf) {
        self.within(|seen| {
            seen.visit_expr(&node.cond);
            seen.visit_block(&node.then_branch);
        });
        if let Some((_, other)) = &node.else_branch {
            self.visit_expr(other);
        }
    }

    fn visit_expr_while(&mut self, node: &'ast ExprWhile) {
        self.within(|seen| visit::visit_expr_while(seen, node));
    }

    fn visit_expr_for_loop(&mut self, node: &'ast ExprForLoop) {
        self.visit_expr(&node.expr);
        self.within(|seen| {
            seen.bind(&node.pat);
            seen.visit_block(&node.body);
        });
    }

    /// An item sees no locals; a macro's rules may name some.
    fn visit_item(&mut self, node: &'ast Item) {
        if let Item::Macro(node) = node {
            self.visit_macro(&node.mac);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether `a` is seen.
    fn sees(expr: &str) -> bool {
        let expr = syn::parse_str(expr).expect("the test's own expression");
        seen(&expr, &[quote::format_ident!("b"), quote::format_ident!("r#a")]).is_some_and(|name| name.unraw() == "a")
    }

    #[test]
    fn what_is_around_is_seen() {
        for expr in ["a", "a.x", "c(&a)", "A { a }", "A { x: a }", "c[a]", "-r#a", "c.d(a)", "|c| a", "0..a", "if a {}"]
        {
            assert!(sees(expr), "{expr}");
        }
        for expr in ["c.a", "c.a()", "a::B", "a::<C>()", "<a>::B", "A { a: c }", "'a: loop {}", "a!(c)", "c as a"] {
            assert!(!sees(expr), "{expr}");
        }
    }

    #[test]
    fn what_the_expression_binds_is_its_own() {
        let own = [
            "c.filter(|a| a.ok)",
            "c.map(|(_, A { a, .. })| |d| a + d)",
            "match c { Some(a) if a > 1 => a, _ => 1 }",
            "{ let a = c; a }",
            "{ let Some(a) = c else { loop {} }; a }",
            "if let Some(a) = c && a > 1 { a } else { 1 }",
            "{ while let Some(a) = c { a; } 1 }",
            "{ for a in c { a; } 1 }",
            "c.map(|a| format!(\"{}\", a))",
            "{ const fn d(a: u8) -> u8 { a } d(1) }",
        ];
        for expr in own {
            assert!(!sees(expr), "{expr}");
        }
    }

    #[test]
    fn what_was_bound_ends_with_its_scope() {
        let around = [
            "c.filter(|a| a.ok).d(a)",
            "match c { Some(a) => a, None => a }",
            "{ let a = a; a }",
            "{ { let a = 1; } a }",
            "{ let Some(a) = c else { a }; 1 }",
            "if let Some(a) = a { 1 }",
            "if let Some(a) = c { 1 } else { a }",
            "{ while let Some(a) = a {} 1 }",
            "{ while let Some(a) = c {} a }",
            "{ for a in a {} 1 }",
            "{ for a in c {} a }",
        ];
        for expr in around {
            assert!(sees(expr), "{expr}");
        }
    }

    #[test]
    fn what_a_macro_does_nobody_knows() {
        for expr in ["c!(|a| a)", "{ c! { a } 1 }", "{ macro_rules! c { () => { a } } 1 }", "[c![x(a)]]", "c!(a: u8)"] {
            assert!(sees(expr), "{expr}");
        }
        for expr in ["c!(\"{a}\")", "c!(d, [\"{e} {a:?}\"])", "{ c!(\"{a}\"); d.map(|a| a) }"] {
            assert!(sees(expr), "{expr}");
        }
        for expr in ["c!(a::B)", "[c![x(a::b(1))]]", "c!(\"{{a}} a\")", "d(\"{a}\")", "d.map(|a| c!(\"{a}\"))"] {
            assert!(!sees(expr), "{expr}");
        }
    }
}
