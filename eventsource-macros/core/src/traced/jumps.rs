//! Expressions in options run beside the body, so that no jump can lead out of them.

use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{
    Expr, ExprAsync, ExprAwait, ExprBreak, ExprClosure, ExprContinue, ExprForLoop, ExprLoop, ExprReturn, ExprTry,
    ExprWhile,
};

use crate::diagnostics::Diagnostics;

/// Reports `return`, `?`, `.await`, `break` and `continue` that would leave the expression of `what`.
/// Whether there was none.
pub(crate) fn refuse(diagnostics: &mut Diagnostics, what: &str, expr: &Expr) -> bool {
    let mut jumps = Jumps { diagnostics, what, loops: 0, found: false };
    jumps.visit_expr(expr);
    !jumps.found
}

struct Jumps<'a> {
    diagnostics: &'a mut Diagnostics,
    what: &'a str,
    loops: usize,
    found: bool,
}

impl Jumps<'_> {
    fn report(&mut self, token: impl ToTokens, jump: &str, instead: &str) {
        let message = format!("`{jump}` cannot leave the expression of {}; {instead}", self.what);
        self.diagnostics.error(token, message);
        self.found = true;
    }

    fn in_loop(&mut self, visit: impl FnOnce(&mut Self)) {
        self.loops += 1;
        visit(self);
        self.loops -= 1;
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
        if self.loops == 0 {
            self.report(node.break_token, "break", "there is no loop around it");
        }
        visit::visit_expr_break(self, node);
    }

    fn visit_expr_continue(&mut self, node: &'ast ExprContinue) {
        if self.loops == 0 {
            self.report(node.continue_token, "continue", "there is no loop around it");
        }
    }

    fn visit_expr_loop(&mut self, node: &'ast ExprLoop) {
        self.in_loop(|jumps| visit::visit_expr_loop(jumps, node));
    }

    fn visit_expr_while(&mut self, node: &'ast ExprWhile) {
        self.in_loop(|jumps| visit::visit_expr_while(jumps, node));
    }

    fn visit_expr_for_loop(&mut self, node: &'ast ExprForLoop) {
        self.in_loop(|jumps| visit::visit_expr_for_loop(jumps, node));
    }

    /// Jumps in a closure or a future of its own end there.
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
}
