//! What stands between the attributes and the body.

use super::body::returned;
use super::cover::Choice;

/// Arguments and generics.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) generics: String,
    pub(super) bounds: String,
    /// Pattern and type.
    pub(super) arguments: Vec<(String, String)>,
    pub(super) calls: Vec<String>,
    /// What makes `x`, a number, of them.
    pub(super) prelude: String,
    /// What an attribute can show.
    pub(super) shown: String,
}

pub(super) fn parts(choice: &Choice) -> Parts {
    let mut parts = Parts::default();
    argument(choice, &mut parts);
    generics(choice, &mut parts);
    receiver(choice, &mut parts);
    parts
}

fn argument(choice: &Choice, parts: &mut Parts) {
    let (pattern, ty, call, prelude, shown) = match choice.of("argument") {
        "mut" => ("mut x", "u32", "7", "x += 1;", "x"),
        "tuple" => ("(x, _)", "(u32, u8)", "(7, 1)", "", "x"),
        "struct" => ("Point { x, .. }", "Point", "Point { x: 7, y: 1 }", "", "x"),
        "wildcard" => ("_", "u8", "1", "let x = 7u32;", ""),
        "raw" => ("r#type", "u32", "7", "let x = r#type;", "r#type"),
        "slice" => ("[x, ..]", "&[u32; 2]", "&[7, 8]", "let x = *x;", "x"),
        "pattern_ref" => ("&x", "&u32", "&7", "", "x"),
        "ref" => ("ref y", "u32", "7", "let x = *y;", "y"),
        "ref_mut" => ("ref mut y", "u32", "7", "*y += 1; let x = *y;", "y"),
        "none" => ("", "", "", "let x = 7u32;", ""),
        "text" => ("text", "&str", "\"7 chars\"", "let x = text.len() as u32;", "text"),
        "moved" => ("text", "String", "String::from(\"7 chars\")", "let x = text.into_bytes().len() as u32;", "text"),
        "cfg" => ("#[cfg(all())] x", "u32", "7", "", "x"),
        _ => ("x", "u32", "7", "", "x"),
    };
    if !pattern.is_empty() {
        parts.arguments.push((pattern.into(), ty.into()));
        parts.calls.push(call.into());
    }
    if choice.is("argument", &["cfg"]) {
        parts.arguments.push(("#[cfg(any())] gone".into(), "Missing".into()));
    }
    parts.prelude = prelude.into();
    parts.shown = shown.into();
}

fn generics(choice: &Choice, parts: &mut Parts) {
    let (generics, bounds, ty, call, prelude) = match choice.of("generics") {
        "type" => ("<T: Debug + Clone + Send + 'static>", "", "T", "\"t\"", "let _ = t.clone();"),
        "lifetime" => ("<'a>", "", "&'a str", "\"t\"", "let _: &'a str = t;"),
        "const" => ("<const N: usize>", "", "[u8; N]", "[1, 2]", "let _: [u8; N] = t;"),
        "where" => ("<T>", "where T: Into<String> + Clone + Send + 'static", "T", "\"t\"", "let _: String = t.into();"),
        "assoc" => (
            "<I: Iterator<Item = u32> + Send>",
            "where I::Item: Debug",
            "I",
            "0..3",
            "let _: Vec<I::Item> = t.collect();",
        ),
        "impl" => ("", "", "impl Debug + Clone + Send", "\"t\"", "let _ = t.clone();"),
        "hrtb" => {
            ("<F>", "where F: for<'b> Fn(&'b u32) -> &'b u32 + Send", "F", "|n: &u32| -> &u32 { n }", "let _ = t(&x);")
        }
        "dyn" => ("", "", "&(dyn Debug + Send + Sync)", "&\"t\"", "let _ = format!(\"{t:?}\");"),
        _ => return,
    };
    parts.generics = generics.into();
    parts.bounds = bounds.into();
    parts.arguments.push(("t".into(), ty.into()));
    // A closure's lifetimes are found where it is handed over.
    let call = if choice.is("generics", &["hrtb"]) { "same" } else { call };
    parts.calls.push(call.into());
    parts.prelude.push_str(prelude);
}

fn receiver(choice: &Choice, parts: &mut Parts) {
    let (own, prelude) = match choice.of("receiver") {
        "ref" | "trait_impl" => ("&self", "let x = x + self.count;"),
        "trait_default" => ("&self", "let _ = std::mem::size_of_val(self);"),
        "generic_impl" => ("&self", "let _ = format!(\"{:?}\", self.0);"),
        "mut_ref" => ("&mut self", "self.count += 1; let x = x + self.count;"),
        "value" => ("self", "let Self { count } = self; let x = x + count;"),
        "mut_value" => ("mut self", "self.count += 1; let x = x + self.count;"),
        "arc" => ("self: Arc<Self>", "let x = x + self.count;"),
        "boxed" => ("self: Box<Self>", "let x = x + self.count;"),
        "pinned" => ("mut self: Pin<&mut Self>", "self.count += 1; let x = x + self.count;"),
        _ => return,
    };
    parts.arguments.insert(0, (own.into(), String::new()));
    parts.prelude.push_str(prelude);
}

impl Parts {
    fn arguments(&self, patterns: bool) -> String {
        let shown = self.arguments.iter().filter(|(pattern, _)| patterns || !pattern.contains("any()"));
        let shown = shown.map(|(pattern, ty)| match (ty.as_str(), patterns) {
            ("", true) => pattern.clone(),
            ("", false) => pattern.trim_start_matches("mut ").to_owned(),
            (ty, true) => format!("{pattern}: {ty}"),
            (ty, false) => format!("_: {ty}"),
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    fn with(&self, choice: &Choice, arguments: &str, visibility: &str) -> String {
        let is_async = choice.is("mode", &["async", "async_trait"]);
        let asyncness = if is_async { "async " } else { "" };
        let qualifier = match choice.of("qualifier") {
            "unsafe" => "unsafe ",
            "extern" => "extern \"C\" ",
            _ => "",
        };
        let returned = match (choice.of("mode"), returned(choice)) {
            ("sync" | "async" | "async_trait", returned) if returned.is_empty() => String::new(),
            (_, returned) => format!("-> {}", output(choice, &returned)),
        };
        let Self { generics, bounds, .. } = self;
        format!("{visibility}{asyncness}{qualifier}fn item{generics}({arguments}) {returned} {bounds}")
    }

    /// The function's signature.
    pub(super) fn signature(&self, choice: &Choice) -> String {
        let visibility = match choice.of("qualifier") {
            "pub" => "pub ",
            "crate" => "pub(crate) ",
            _ => "",
        };
        self.with(choice, &self.arguments(true), visibility)
    }

    /// The same as a trait declares it.
    pub(super) fn declaration(&self, choice: &Choice) -> String {
        self.with(choice, &self.arguments(false), "")
    }
}

/// What the function returns, with what stands around it.
fn output(choice: &Choice, returned: &str) -> String {
    let item = if returned.is_empty() { "()" } else { returned };
    match choice.of("mode") {
        "boxed_future" => format!("Pin<Box<dyn Future<Output = {item}> + Send>>"),
        "impl_future" => format!("impl Future<Output = {item}>"),
        "alias_future" => format!("futures_util::future::BoxFuture<'static, {item}>"),
        "covers_future" => format!("Later<{item}>"),
        "impl_stream" => format!("impl Stream<Item = {item}>"),
        "boxed_stream" => format!("futures_util::stream::BoxStream<'static, {item}>"),
        "covers_stream" => format!("Several<{item}>"),
        _ => item.to_owned(),
    }
}
