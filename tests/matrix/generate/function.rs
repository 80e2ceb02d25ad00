//! Pairs of functions: one with `#[traced]`, one without.

use std::fmt::Write;

use super::body::{body, returned};
use super::cover::{Choice, Factor, choices};
use super::signature::{Parts, parts};

const FACTORS: &[Factor] = &[
    Factor {
        name: "receiver",
        levels: &[
            "free",
            "nested",
            "static",
            "ref",
            "mut_ref",
            "value",
            "mut_value",
            "arc",
            "boxed",
            "pinned",
            "trait_impl",
            "trait_default",
            "generic_impl",
        ],
    },
    Factor {
        name: "mode",
        levels: &[
            "sync",
            "async",
            "boxed_future",
            "impl_future",
            "alias_future",
            "covers_future",
            "impl_stream",
            "boxed_stream",
            "covers_stream",
            "async_trait",
        ],
    },
    Factor {
        name: "generics",
        levels: &["none", "type", "lifetime", "const", "where", "assoc", "impl", "hrtb", "dyn"],
    },
    Factor {
        name: "argument",
        levels: &[
            "plain",
            "mut",
            "tuple",
            "struct",
            "wildcard",
            "raw",
            "slice",
            "pattern_ref",
            "ref",
            "ref_mut",
            "none",
            "text",
            "moved",
            "cfg",
        ],
    },
    Factor {
        name: "returns",
        levels: &["omitted", "number", "ok", "err", "opaque", "option", "impl", "nested_impl", "boxed_dyn", "text"],
    },
    Factor {
        name: "options",
        levels: &[
            "none",
            "named",
            "literals",
            "shown",
            "debugged",
            "generic",
            "expression",
            "record",
            "kind",
            "on",
            "off",
            "root",
            "links",
            "parent",
            "crate",
        ],
    },
    Factor {
        name: "attribute",
        levels: &[
            "none",
            "doc",
            "deprecated",
            "must_use",
            "inline",
            "cfg",
            "cfg_attr",
            "allow",
            "track_caller",
            "cold",
            "inner",
        ],
    },
    Factor { name: "order", levels: &["before", "after"] },
    Factor { name: "qualifier", levels: &["none", "pub", "crate", "unsafe", "extern"] },
    Factor {
        name: "body",
        levels: &[
            "tail",
            "early",
            "question",
            "loop",
            "recursion",
            "closure",
            "items",
            "shadows",
            "let_else",
            "guard",
            "await",
            "macro",
            "raw_deref",
        ],
    },
    Factor { name: "source", levels: &["direct", "macro"] },
];

const LATER: &[&str] =
    &["boxed_future", "impl_future", "alias_future", "covers_future", "impl_stream", "boxed_stream", "covers_stream"];
const NAMED_TYPES: &[&str] =
    &["boxed_future", "alias_future", "covers_future", "boxed_stream", "covers_stream", "impl_stream", "async_trait"];

/// How many functions there are: with the domains, 500 items. The pairs ask for some twenty fewer.
const FUNCTIONS: usize = 393;

/// What the language, not our macro, lets be.
fn allowed(choice: &Choice) -> bool {
    let is = |name, levels: &[&str]| choice.is(name, levels);
    let in_trait = is("receiver", &["trait_impl", "trait_default"]);
    let rules = [
        // What is returned may not borrow, so that it can be called in the same way.
        !is("mode", LATER)
            || is("receiver", &["free", "nested", "static", "value", "arc"])
                && is("generics", &["none", "type", "const", "where"])
                && !is("argument", &["slice", "pattern_ref", "ref", "ref_mut", "text"]),
        !is("mode", &["async_trait"])
            || in_trait
                && is("generics", &["none", "type", "const"])
                && is("argument", &["plain", "mut", "tuple", "moved", "text", "none"])
                && is("attribute", &["none", "doc", "allow", "cfg"])
                && is("qualifier", &["none"]),
        !is("mode", NAMED_TYPES) || !is("returns", &["impl", "nested_impl"]),
        // In a trait an argument's pattern is a name.
        !is("receiver", &["trait_default"])
            || !is("argument", &["mut"])
            || is("mode", &["sync", "async", "async_trait"]),
        !in_trait || is("qualifier", &["none", "unsafe"]) && !is("attribute", &["deprecated", "must_use"]),
        !is("receiver", &["nested"]) || is("qualifier", &["none", "unsafe"]),
        !is("qualifier", &["extern"])
            || is("mode", &["sync"])
                && is("returns", &["number", "omitted"])
                && is("argument", &["plain", "mut", "none"])
                && is("generics", &["none"])
                && is("receiver", &["free"]),
        !is("attribute", &["track_caller"]) || is("mode", &["sync"]) && !is("qualifier", &["extern"]),
        !is("attribute", &["must_use"])
            || is("mode", &["sync", "async"]) && !is("returns", &["omitted", "ok", "err", "opaque", "nested_impl"]),
        !is("body", &["await"]) || !is("mode", &["sync", "impl_stream", "boxed_stream", "covers_stream"]),
        !is("body", &["early", "question", "let_else"])
            || !is("mode", &["impl_stream", "boxed_stream", "covers_stream"]),
        !is("body", &["raw_deref"]) || is("qualifier", &["unsafe"]) && !is("mode", LATER),
        !is("body", &["recursion"])
            || is("receiver", &["free"])
                && is("mode", &["sync"])
                && is("argument", &["plain"])
                && is("generics", &["none"])
                && is("qualifier", &["none", "pub"])
                && is("returns", &["number"])
                && is("options", &["none", "shown", "debugged", "kind"])
                && is("source", &["direct"]),
        !is("options", &["shown", "debugged"]) || !is("argument", &["none", "wildcard"]),
        !is("options", &["generic"]) || is("generics", &["type", "lifetime", "const", "impl", "dyn"]),
        !is("source", &["macro"])
            || is("receiver", &["free"])
                && is("argument", &["plain"])
                && is("generics", &["none"])
                && is("attribute", &["none", "doc", "inline", "allow"]),
        !is("options", &["record"]) || !is("mode", &["impl_stream", "boxed_stream", "covers_stream"]),
        // `async_trait` takes patterns apart in the body.
        !is("mode", &["async_trait"]) || !is("argument", &["tuple"]) || !is("options", &["shown", "debugged"]),
        !is("attribute", &["inner"]) || is("source", &["direct"]),
    ];
    rules.iter().all(|rule| *rule)
}

/// Every pair in each edition, by other functions: parsing differs between them.
pub(super) fn generate(edition: &str) -> String {
    let seed = edition.parse().expect("an edition is a year");
    let mut source = String::new();
    let mut table = String::new();
    for (number, choice) in choices(seed, FACTORS, FUNCTIONS, allowed).iter().enumerate() {
        let name = format!("f{number:04}");
        let _ = writeln!(source, "// {}", choice.told());
        let _ = writeln!(source, "pub mod {name} {{");
        for (twin, traced) in [("plain", false), ("traced", true)] {
            let _ = writeln!(source, "pub mod {twin} {{\nuse crate::support::*;\n{}}}", item(choice, traced));
        }
        source.push_str("}\n");
        let spans = if choice.is("options", &["off"]) {
            0
        } else if choice.is("body", &["recursion"]) {
            8
        } else {
            1
        };
        let _ = writeln!(
            table,
            "Item {{ name: {:?}, plain: {name}::plain::run, traced: {name}::traced::run, spans: {spans}, failed: {} }},",
            format!("{name} {}", choice.told()),
            choice.is("returns", &["err", "opaque"]),
        );
    }
    let _ = writeln!(source, "use crate::support::Item;\npub const ITEMS: &[Item] = &[\n{table}];");
    source
}

/// The function in its place, and `run`, which calls it and shows what it returns.
fn item(choice: &Choice, traced: bool) -> String {
    let parts = parts(choice);
    let function = function(choice, &parts, traced);
    let (place, call) = place(choice, &parts, &function);
    let call = if choice.is("qualifier", &["unsafe"]) { format!("unsafe {{ {call} }}") } else { call };
    let value = match choice.of("mode") {
        "sync" => call,
        "impl_stream" | "boxed_stream" | "covers_stream" => format!("collect({call})"),
        _ => format!("block({call})"),
    };
    let shown = match choice.of("returns") {
        "opaque" if value.starts_with("collect") => "value.iter().map(Result::is_err).collect::<Vec<_>>()",
        "opaque" => "value.is_err()",
        _ => "value",
    };
    let inside = choice.is("receiver", &["nested"]);
    let holder = match choice.of("receiver") {
        "generic_impl" => "let wrap = Wrap(Holder::new());\n",
        "ref" | "mut_ref" | "pinned" | "trait_impl" | "trait_default" => "let mut holder = Holder::new();\n",
        _ => "",
    };
    let (before, within) = if inside { ("", place.as_str()) } else { (place.as_str(), "") };
    format!(
        "{before}\npub fn run() -> String {{\n{within}\n{holder}let value = {value};\nformat!(\"{{:?}}\", {shown})\n}}\n"
    )
}

/// Where the function stands, and how it is called there.
fn place(choice: &Choice, parts: &Parts, function: &str) -> (String, String) {
    let calls = parts.calls.join(", ");
    let inherent = |call: String| (format!("impl Holder {{\n{function}\n}}\n{HOLDER}"), call);
    let asyncness = if choice.is("mode", &["async_trait"]) { "#[async_trait]\n" } else { "" };
    match choice.of("receiver") {
        "free" | "nested" => (function.to_owned(), format!("item({calls})")),
        "static" => inherent(format!("Holder::item({calls})")),
        "arc" => inherent(format!("Arc::new(Holder::new()).item({calls})")),
        "boxed" => inherent(format!("Box::new(Holder::new()).item({calls})")),
        "value" | "mut_value" => inherent(format!("Holder::new().item({calls})")),
        "ref" | "mut_ref" => inherent(format!("holder.item({calls})")),
        "pinned" => inherent(format!("Pin::new(&mut holder).item({calls})")),
        "generic_impl" => (
            format!("pub struct Wrap<X>(pub X);\nimpl<X: Debug> Wrap<X> {{\n{function}\n}}"),
            format!("wrap.item({calls})"),
        )
            .with(HOLDER),
        "trait_default" => (
            format!("{asyncness}pub trait Does {{\n{function}\n}}\n{asyncness}impl Does for Holder {{}}\n{HOLDER}"),
            format!("holder.item({calls})"),
        ),
        _ => {
            let declared = parts.declaration(choice);
            (
                format!(
                    "{asyncness}pub trait Does {{\n{declared};\n}}\n{asyncness}impl Does for Holder {{\n{function}\n}}\n{HOLDER}"
                ),
                format!("holder.item({calls})"),
            )
        }
    }
}

trait With {
    fn with(self, item: &str) -> Self;
}

impl With for (String, String) {
    fn with(mut self, item: &str) -> Self {
        self.0.push_str(item);
        self
    }
}

const HOLDER: &str = "
#[derive(Debug)]
pub struct Holder { pub count: u32 }
impl Holder { pub fn new() -> Self { Self { count: 1 } } }
";

/// The function itself, or the macro that makes it.
fn function(choice: &Choice, parts: &Parts, traced: bool) -> String {
    let traced = if traced { format!("#[traced{}]\n", options(choice, parts)) } else { String::new() };
    let other = attribute(choice);
    let attributes =
        if choice.is("order", &["before"]) { format!("{traced}{other}") } else { format!("{other}{traced}") };
    let signature = parts.signature(choice);
    let inner = if choice.is("attribute", &["inner"]) { "#![allow(unused_variables)]\n" } else { "" };
    let body = body(choice, parts);
    if choice.is("source", &["macro"]) {
        let (argument, returns) = ("x: u32", returned(choice));
        let signature = signature.replace(argument, "$argument: $ty").replace("item", "$name");
        let signature = if returns.is_empty() { signature } else { signature.replace(&returns, "$returns") };
        let attributes = attributes.replace("%x", "%$argument").replace("?x", "?$argument");
        let returns = if returns.is_empty() { "()".to_owned() } else { returns };
        return format!(
            "macro_rules! make {{ ($name:ident, $argument:ident: $ty:ty, $returns:ty, $body:block) => {{\n\
             {attributes}{signature} $body\n}} }}\nmake!(item, x: u32, {returns}, {{ {body} }});"
        );
    }
    format!("{attributes}{signature} {{ {inner}{body} }}")
}

fn options(choice: &Choice, parts: &Parts) -> String {
    let covers = match choice.of("mode") {
        "covers_future" => Some("covers = future"),
        "covers_stream" => Some("covers = stream"),
        _ => None,
    };
    let shown = &parts.shown;
    let option = match choice.of("options") {
        "none" => String::new(),
        "named" => "\"matrix.named\"".into(),
        "literals" => "attributes(\"a\" = 1, \"b\" = \"text\", c.d = true, \"e\" = -1.5)".into(),
        "shown" => format!("attributes(%{shown})"),
        "debugged" => {
            format!("attributes(\"argument\" = ?{shown}, \"argument.size\" = std::mem::size_of_val(&{shown}))")
        }
        "generic" => "attributes(?t)".into(),
        "expression" => {
            "attributes(\"sum\" = { let mut n = 0; for i in 0..3 { n += i; } n }, \"none\" = None::<u8>)".into()
        }
        "record" => "record(\"size\" = std::mem::size_of_val(result))".into(),
        "kind" => "kind = \"client\"".into(),
        "on" => "enable_tracing = 1 + 1 == 2".into(),
        "off" => "enable_tracing = 1 + 1 == 3".into(),
        "root" => "root".into(),
        "links" => "links = None::<TraceContext>".into(),
        "parent" => "parent = None::<TraceContext>".into(),
        _ => "crate = ::eventsource_runtime".into(),
    };
    let all: Vec<&str> = [option.as_str()].into_iter().filter(|it| !it.is_empty()).chain(covers).collect();
    if all.is_empty() { String::new() } else { format!("({})", all.join(", ")) }
}

fn attribute(choice: &Choice) -> &'static str {
    match choice.of("attribute") {
        "doc" => "/// What it does.\n///\n/// With `code`.\n",
        "deprecated" => "#[deprecated(note = \"old\")]\n",
        "must_use" => "#[must_use]\n",
        "inline" => "#[inline]\n",
        "cfg" => "#[cfg(all())]\n",
        "cfg_attr" => "#[cfg_attr(all(), inline(never))]\n",
        "allow" => "#[allow(unused_variables)]\n",
        "track_caller" => "#[track_caller]\n",
        "cold" => "#[cold]\n",
        _ => "",
    }
}
