//! Expressions in options run outside the body, so that no jump can lead out of them.

use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{
    Expr, ExprAsync, ExprAwait, ExprBlock, ExprBreak, ExprClosure, ExprContinue, ExprForLoop, ExprLoop, ExprReturn,
    ExprTry, ExprWhile, Ident, Item, Label, Lifetime,
};

use crate::diagnostics::Diagnostics;

/// Reports `return`, `?`, `.await`, `break` and `continue` that would leave the expression of `what`; true if there are
/// none.
pub(crate) fn refuse(diagnostics: &mut Diagnostics, what: &str, expr: &Expr) -> bool {
    let mut jumps = Jumps { diagnostics, what, loops: 0, labels: Vec::new(), found: false };
    jumps.visit_expr(expr);
    !jumps.found
}

struct Jumps<'a> {
    diagnostics: &'a mut Diagnostics,
    what: &'a str,
    loops: usize,
    /// The labels of the enclosing blocks and loops.
    labels: Vec<Ident>,
    found: bool,
}

impl Jumps<'_> {
    fn report(&mut self, token: impl ToTokens, jump: &str, instead: &str) {
        let message = format!("`{jump}` cannot leave the expression of {}; {instead}", self.what);
        self.diagnostics.error(token, message);
        self.found = true;
    }

    fn in_loop(&mut self, label: Option<&Label>, visit: impl FnOnce(&mut Self)) {
        self.loops += 1;
        self.labelled(label, visit);
        self.loops -= 1;
    }

    fn labelled(&mut self, label: Option<&Label>, visit: impl FnOnce(&mut Self)) {
        let outer = self.labels.len();
        self.labels.extend(label.map(|label| label.name.ident.clone()));
        visit(self);
        self.labels.truncate(outer);
    }

    /// Reports a `break` or `continue` to a target outside the expression.
    fn to(&mut self, label: Option<&Lifetime>, token: impl ToTokens, jump: &str) {
        match label {
            None if self.loops > 0 => (),
            Some(label) if self.labels.contains(&label.ident) => (),
            _ => self.report(token, jump, "compute the value in the body, or in a function that is called here"),
        }
    }
}

impl<'ast> Visit<'ast> for Jumps<'_> {
    fn visit_expr_return(&mut self, node: &'ast ExprReturn) {
        self.report(node.return_token, "return", "return in the body");
        visit::visit_expr_return(self, node);
    }

    fn visit_expr_try(&mut self, node: &'ast ExprTry) {
        self.report(node.question_token, "?", "give the `Option`, or the `Result`'s `.ok()`");
        visit::visit_expr_try(self, node);
    }

    fn visit_expr_await(&mut self, node: &'ast ExprAwait) {
        self.report(node.await_token, ".await", "await in the body, and `current_span().record(key, value)` there");
        visit::visit_expr_await(self, node);
    }

    fn visit_expr_break(&mut self, node: &'ast ExprBreak) {
        self.to(node.label.as_ref(), node.break_token, "break");
        visit::visit_expr_break(self, node);
    }

    fn visit_expr_continue(&mut self, node: &'ast ExprContinue) {
        self.to(node.label.as_ref(), node.continue_token, "continue");
    }

    fn visit_expr_loop(&mut self, node: &'ast ExprLoop) {
        self.in_loop(node.label.as_ref(), |jumps| visit::visit_expr_loop(jumps, node));
    }

    fn visit_expr_while(&mut self, node: &'ast ExprWhile) {
        self.in_loop(node.label.as_ref(), |jumps| visit::visit_expr_while(jumps, node));
    }

    fn visit_expr_for_loop(&mut self, node: &'ast ExprForLoop) {
        self.in_loop(node.label.as_ref(), |jumps| visit::visit_expr_for_loop(jumps, node));
    }

    fn visit_expr_block(&mut self, node: &'ast ExprBlock) {
        self.labelled(node.label.as_ref(), |jumps| visit::visit_expr_block(jumps, node));
    }

    /// Jumps in a nested item, closure or future end there.
    fn visit_item(&mut self, _: &'ast Item) {}

    fn visit_expr_closure(&mut self, _: &'ast ExprClosure) {}

    fn visit_expr_async(&mut self, _: &'ast ExprAsync) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(expr: &str) -> usize {
        let mut diagnostics = Diagnostics::default();
        refuse(&mut diagnostics, "`links`", &syn::parse_str(expr).expect("the test's own expression"));
        diagnostics.into_tokens().to_string().matches("compile_error").count()
    }

    #[test]
    fn jumps_out_are_refused_and_jumps_inside_are_not() {
        assert_eq!(reported("a?.b + c.await"), 2);
        assert_eq!(reported("{ return 1; }"), 1);
        assert_eq!(reported("{ break; }"), 1);
        assert_eq!(reported("a.iter().map(|b| { return b?; })"), 0);
        assert_eq!(reported("loop { break 1 }"), 0);
        assert_eq!(reported("{ loop { break; } break; }"), 1);
        assert_eq!(reported("loop { a?; }"), 1);
        assert_eq!(reported("while a? { continue; }"), 1);
        assert_eq!(reported("{ for a in b { c?; } continue; }"), 2);
        assert_eq!(reported("{ for a in b { continue; } 1 }"), 0);
    }

    #[test]
    fn a_jump_goes_to_its_label() {
        assert_eq!(reported("'a: { if b { break 'a 1 } 2 }"), 0);
        assert_eq!(reported("'a: loop { 'b: { break 'a; } continue 'a; }"), 0);
        assert_eq!(reported("'a: { 'b: while c { break 'b; } break 'a; }"), 0);
        assert_eq!(reported("'a: for b in c { loop { continue 'a; } }"), 0);
        assert_eq!(reported("loop { break 'a; }"), 1);
        assert_eq!(reported("loop { continue 'a; }"), 1);
        assert_eq!(reported("{ 'a: { 1 }; break 'a }"), 1);
        assert_eq!(reported("{ 'a: loop { break 'a }; loop { break 'a } }"), 1);
        // Without a label it targets a loop, which a block is not.
        assert_eq!(reported("'a: { break }"), 1);
    }

    #[test]
    fn what_an_item_does_inside_is_its_own() {
        assert_eq!(reported("{ fn f() -> Option<u8> { return Some(g()?); } f() }"), 0);
        assert_eq!(reported("{ const A: u8 = loop { break 1 }; A }"), 0);
    }
}
