//! What an input has to show.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr as _;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use eventsource_macros_core as core;
use proc_macro2::{TokenStream, TokenTree};

use crate::choices::Choices;
use crate::{grammar, mutate};

/// An expansion: options and item in, items out.
pub type Expand = fn(TokenStream, TokenStream) -> TokenStream;

/// A macro, by its name.
#[derive(Clone, Copy, Debug)]
pub struct Macro {
    /// As users write it; derives in lower case.
    pub name: &'static str,
    expand: Expand,
}

/// All of them.
const MACROS: [Macro; 9] = [
    Macro { name: "aggregate", expand: |_, item| core::aggregate(item) },
    Macro { name: "command", expand: |_, item| core::command(item) },
    Macro { name: "command_handler", expand: core::command_handler },
    Macro { name: "event", expand: |_, item| core::event(item) },
    Macro { name: "process_manager", expand: core::process_manager },
    Macro { name: "projection", expand: core::projection },
    Macro { name: "query", expand: |_, item| core::query(item) },
    Macro { name: "query_handler", expand: core::query_handler },
    Macro { name: "traced", expand: traced },
];

/// Both ways; what is compiled out has to survive as well.
fn traced(options: TokenStream, item: TokenStream) -> TokenStream {
    let off = core::traced(core::Instrumentation::Off, options.clone(), item.clone());
    let on = core::traced(core::Instrumentation::On, options, item);
    assert_eq!(errors(&off).len(), errors(&on).len(), "with and without instrumentation the same is refused");
    on
}

/// Longer than any expansion takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(1);

/// An input.
#[derive(Debug)]
pub struct Input {
    options: TokenStream,
    item: TokenStream,
}

/// What became of an input.
#[derive(Clone, Copy, Debug, Default)]
pub struct Survived {
    /// Whether the expansion reported a mistake.
    pub refused: bool,
    /// Whether the input was an item, and so is the output.
    pub parsed: bool,
}

/// The input that these bytes choose; nothing if they make no tokens.
#[must_use]
pub fn input(name: &str, bytes: &[u8]) -> Option<Input> {
    let mut choices = Choices::new(bytes);
    let kind = choices.below(8);
    let (options, item) = match kind {
        0 => (mutate::random(&mut choices), mutate::random(&mut choices)),
        1 => (mutate::random(&mut choices), grammar::item(&mut choices, name)),
        _ => (grammar::options(&mut choices, name), grammar::item(&mut choices, name)),
    };
    let mut options = TokenStream::from_str(&options).ok()?;
    let mut item = TokenStream::from_str(&item).ok()?;
    if matches!(kind, 2 | 3) {
        for _ in 0..=choices.below(3) {
            item = mutate::changed(&mut choices, item);
            options = mutate::changed(&mut choices, options);
        }
    }
    if kind == 4 {
        item = mutate::grouped(&mut choices, item);
        options = mutate::grouped(&mut choices, options);
    }
    Some(Input { options, item })
}

/// The macro of that name.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn named(name: &str) -> Macro {
    *MACROS.iter().find(|it| it.name == name).unwrap_or_else(|| panic!("there is no macro `{name}`"))
}

/// The macro that `FUZZ_MACRO` names.
static CHOSEN: LazyLock<Macro> = LazyLock::new(|| named(&std::env::var("FUZZ_MACRO").unwrap_or_default()));

/// Expands the input that these bytes choose, by the macro that `FUZZ_MACRO` names.
///
/// # Panics
/// If it is not survived, which is the fuzzer's finding, or there is no such macro.
pub fn survive(bytes: &[u8]) {
    if let Err(finding) = try_input(*CHOSEN, bytes) {
        panic!("{finding}");
    }
}

/// Expands the input that these bytes choose, and says what is wrong with what comes out.
///
/// # Errors
/// It was not survived.
pub fn try_input(which: Macro, bytes: &[u8]) -> Result<Survived, String> {
    let Some(Input { options, item }) = input(which.name, bytes) else {
        return Ok(Survived::default());
    };
    let shown = || format!("#[{}({options})] {item}", which.name);
    let expand = || (which.expand)(options.clone(), item.clone());
    let started = Instant::now();
    let output = catch_unwind(AssertUnwindSafe(expand)).map_err(|_| format!("panicked: {}", shown()))?;
    if started.elapsed() > PATIENCE && is_slow(expand) {
        return Err(format!("takes more than {PATIENCE:?}: {}", shown()));
    }
    let is_empty = item.is_empty();
    let parsed = items(&item);
    if parsed && !items(&output) {
        return Err(format!("makes no items: {}\ngives {output}", shown()));
    }
    let text = output.to_string();
    let errors = if text.contains("compile_error") { errors(&output) } else { Vec::new() };
    for (at, message) in &errors {
        if !is_empty && !is_in_input(*at) {
            return Err(format!("`{message}` stands nowhere in the input: {}", shown()));
        }
    }
    // Of one in eight, whatever is in it: enough to find an order that is not fixed, and cheap.
    let is_chosen = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) % 8 == 0;
    if is_chosen && expand().to_string() != text {
        return Err(format!("expands to something else the second time: {}", shown()));
    }
    proc_macro2::extra::invalidate_current_thread_spans();
    Ok(Survived { refused: !errors.is_empty(), parsed })
}

/// Whether it takes long each time: a machine that does much else may have been slow once.
fn is_slow(expand: impl Fn() -> TokenStream) -> bool {
    (0..3).all(|_| {
        let started = Instant::now();
        expand();
        started.elapsed() > PATIENCE
    })
}

/// Whether the tokens are items: free ones, or those of a trait or an impl.
fn items(tokens: &TokenStream) -> bool {
    let within = |head: &str| -> bool {
        let mut wrapped = TokenStream::from_str(head).unwrap_or_default();
        let braces = proc_macro2::Group::new(proc_macro2::Delimiter::Brace, tokens.clone());
        wrapped.extend([TokenTree::from(braces)]);
        syn::parse2::<syn::Item>(wrapped).is_ok()
    };
    syn::parse2::<syn::File>(tokens.clone()).is_ok() || within("impl A") || within("trait A")
}

/// A token of the input has a place in a text; one of the macro's own has none. Under a fuzzer no token has: there
/// `proc-macro2` keeps no texts, which would fill the memory.
fn is_in_input(span: proc_macro2::Span) -> bool {
    cfg!(fuzzing) || span.source_text().is_some_and(|text| !text.is_empty())
}

/// The errors in an expansion, each with its place.
fn errors(tokens: &TokenStream) -> Vec<(proc_macro2::Span, String)> {
    let mut found = Vec::new();
    let mut tokens = tokens.clone().into_iter();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(word) if word == "compile_error" => {
                let message = tokens.by_ref().find(|token| matches!(token, TokenTree::Group(_)));
                found.push((word.span(), message.map(|message| message.to_string()).unwrap_or_default()));
            }
            TokenTree::Group(group) => found.extend(errors(&group.stream())),
            _ => (),
        }
    }
    found
}
