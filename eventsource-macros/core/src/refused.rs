//! What is refused, and where: each case of `tests/ui/fail` is expanded here as well, and the macros' errors are
//! compared with the compiler's output. If they report something, the compiler adds nothing: one mistake makes one
//! error.
//!
//! A case has one mistake, or marks each line that has some with `//~`, and with their number if there are several.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItemFn, Item, ItemFn, ItemImpl, Meta, TraitItemFn};

use crate::seeds::{AGGREGATE, COMMAND, EVENT, Expansion, QUERY, TRACED};

/// An error: line and column from 1, and the message.
type Reported = (usize, usize, String);

#[test]
fn every_case_reports_its_mistakes_and_nothing_else() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/ui/fail");
    if !cases.is_dir() {
        println!("skipped: the cases are in the repository, not in the package");
        return;
    }
    let mut faults = Vec::new();
    let mut seen = 0;
    for case in sources(&cases) {
        seen += 1;
        let source = fs::read_to_string(&case).expect("a case is readable");
        let printed = fs::read_to_string(case.with_extension("stderr")).unwrap_or_default();
        if let Err(fault) = check(&source, &printed) {
            faults.push(format!("{}: {fault}", case.display()));
        }
    }
    assert!(seen >= 300, "only {seen} of more than 300 cases were found");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The sources in the folders of all macros.
fn sources(cases: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| {
        let entries = fs::read_dir(folder).expect("a folder of cases is readable");
        entries.map(|entry| entry.expect("an entry is readable").path())
    };
    let of_macros = entries(cases).filter(|path| path.is_dir());
    let all = of_macros.flat_map(|folder| entries(&folder));
    let mut sources: Vec<_> = all.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect();
    sources.sort();
    sources
}

fn check(source: &str, printed: &str) -> Result<(), String> {
    let printed = printed_errors(printed);
    let expected = marked(source);
    let mut lines: Vec<usize> = printed.iter().map(|(line, ..)| *line).collect();
    lines.sort_unstable();
    match expected {
        None if lines.len() != 1 => return Err(format!("one mistake, {} errors", lines.len())),
        Some(marked) if lines != marked => return Err(format!("mistakes on lines {marked:?}, errors on {lines:?}")),
        _ => (),
    }
    let reported = reported(source);
    if !reported.is_empty() && reported != printed {
        return Err(format!("the macro reports\n  {reported:?}\nand the compiler printed\n  {printed:?}"));
    }
    let own = printed.iter().find(|(.., message)| is_ours(message));
    match own {
        Some(own) if reported.is_empty() => Err(format!("nobody reports {own:?}")),
        _ => Ok(()),
    }
}

/// Whether a message can only come from our macros: the compiler's have a code, or are known.
fn is_ours(message: &str) -> bool {
    let known = ["[E", "future cannot be sent", "associated function in `impl` without body", "expected expression, "];
    !known.iter().any(|known| message.starts_with(known))
}

/// The lines with mistakes, one entry per mistake; `None` if none is marked.
fn marked(source: &str) -> Option<Vec<usize>> {
    let mut lines = Vec::new();
    for (index, line) in source.lines().enumerate() {
        if let Some((_, number)) = line.split_once("//~") {
            let number = number.trim().parse().unwrap_or(1);
            lines.extend(std::iter::repeat_n(index + 1, number));
        }
    }
    (!lines.is_empty()).then_some(lines)
}

/// The errors in the compiler's output, with their codes if they have one.
fn printed_errors(printed: &str) -> Vec<Reported> {
    let mut errors = Vec::new();
    let mut lines = printed.lines();
    while let Some(line) = lines.next() {
        let Some(message) = line.strip_prefix("error") else { continue };
        let message = message.strip_prefix(": ").unwrap_or(message).to_owned();
        let place = lines.by_ref().find_map(|line| line.trim_start().strip_prefix("--> "));
        let mut numbers = place.unwrap_or_default().rsplit(':').filter_map(|number| number.parse().ok());
        let (column, line) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        errors.push((line, column, message));
    }
    errors.sort();
    errors
}

/// What our macros report of the items in a source.
fn reported(source: &str) -> Vec<Reported> {
    // What is typed by half, the compiler alone reports.
    let Ok(file) = syn::parse_str::<syn::File>(source) else { return Vec::new() };
    let mut expanded = Expanded::default();
    expanded.visit_file(&file);
    let mut errors = Vec::new();
    collect(expanded.tokens, &mut errors);
    errors.sort();
    // A hole repeats its mistake; the compiler shows it once.
    errors.dedup();
    errors
}

/// The `compile_error!`s in an expansion, at any depth.
fn collect(tokens: TokenStream, errors: &mut Vec<Reported>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(word) if word == "compile_error" => {
                let Some(TokenTree::Group(message)) = tokens.by_ref().find(|it| matches!(it, TokenTree::Group(_)))
                else {
                    continue;
                };
                let message: syn::LitStr = syn::parse2(message.stream()).expect("a message is a text");
                let start = word.span().start();
                errors.push((start.line, start.column + 1, message.value()));
            }
            TokenTree::Group(group) => collect(group.stream(), errors),
            _ => (),
        }
    }
}

/// Expands the items that have our macros.
#[derive(Default)]
struct Expanded {
    tokens: TokenStream,
}

impl Expanded {
    /// Runs the attribute macro on the item, if there is one.
    fn attribute(&mut self, attrs: &[Attribute], item: impl FnOnce(usize) -> TokenStream) -> bool {
        let found = attrs.iter().enumerate().find_map(|(index, attribute)| {
            let name = attribute.path().segments.last()?.ident.to_string();
            macro_of(&name).map(|expand| (index, attribute, expand))
        });
        let Some((index, attribute, expand)) = found else { return false };
        let options = match &attribute.meta {
            Meta::List(list) => list.tokens.clone(),
            Meta::Path(_) | Meta::NameValue(_) => TokenStream::new(),
        };
        self.tokens.extend(expand(options, item(index)));
        true
    }

    fn derives(&mut self, attrs: &[Attribute], item: &impl ToTokens) {
        for attribute in attrs.iter().filter(|attribute| attribute.path().is_ident("derive")) {
            let Meta::List(list) = &attribute.meta else { continue };
            for word in list.tokens.clone() {
                if let Some(expand) = macro_of(&word.to_string()) {
                    self.tokens.extend(expand(TokenStream::new(), item.to_token_stream()));
                }
            }
        }
    }
}

fn macro_of(name: &str) -> Option<Expansion> {
    Some(match name {
        "traced" => TRACED,
        "command_handler" => crate::command_handler,
        "query_handler" => crate::query_handler,
        "process_manager" => crate::process_manager,
        "projection" => crate::projection,
        "Event" => EVENT,
        "Aggregate" => AGGREGATE,
        "Command" => COMMAND,
        "Query" => QUERY,
        _ => return None,
    })
}

/// The item without the attribute at that place.
macro_rules! without {
    ($item:expr) => {
        |index| {
            let mut item = $item.clone();
            item.attrs.remove(index);
            item.to_token_stream()
        }
    };
}

impl<'ast> Visit<'ast> for Expanded {
    fn visit_item(&mut self, item: &'ast Item) {
        let expanded = match item {
            Item::Struct(it) => {
                self.derives(&it.attrs, it);
                self.attribute(&it.attrs, without!(it))
            }
            Item::Enum(it) => {
                self.derives(&it.attrs, it);
                self.attribute(&it.attrs, without!(it))
            }
            Item::Union(it) => {
                self.derives(&it.attrs, it);
                false
            }
            _ => false,
        };
        if !expanded {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if !self.attribute(&item.attrs, without!(item)) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if !self.attribute(&item.attrs, without!(item)) {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.attribute(&item.attrs, without!(item));
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        self.attribute(&item.attrs, without!(item));
    }
}
