//! Items and options that are mostly right, as source.

use crate::choices::Choices;

const NAMES: [&str; 12] =
    ["a", "order_id", "r#type", "E", "Order", "Placed", "Shipped", "tx", "event", "command", "__es_event", "result"];
const PATHS: [&str; 8] = ["A", "Order", "b::B", "::std::string::String", "Recorded", "self::C", "crate::D", "Tx"];
const VALUES: [&str; 20] = [
    "\"x\"",
    "\"\"",
    "1",
    "0",
    "\"a-b\"",
    "true",
    "1.5",
    "1e999",
    "18446744073709551615",
    "-3",
    "Uuid",
    "Vec<A>",
    "self.on",
    "a::b",
    "result.len()",
    "a?",
    "|x| x",
    "b.await",
    "{ break }",
    "\"client\"",
];
const ATTRIBUTES: [&str; 6] =
    ["#[cfg(feature = \"x\")]", "/// About it.\n", "#[must_use]", "#[deprecated]", "#[allow(unused)]", "#[inline]"];
/// Those of ours where they do not belong.
const STRAY: [&str; 6] = [
    "#[traced]",
    "#[traced(attributes(a))]",
    "#[projection(setup)]",
    "#[projection(reset)]",
    "#[event(attribute)]",
    "#[command(id)]",
];

/// Options of one place, each with its usual form.
type Words = &'static [(&'static str, &'static str)];

const EVENT: Words = &[
    ("name", "= \"x\""),
    ("version", "= 3"),
    ("alias", "(\"b\", \"c\")"),
    ("upcast", "(1 => f, 2 => g)"),
    ("crate", "= a::b"),
];
const AGGREGATE: Words = &[
    ("id", "= Uuid"),
    ("events", "(A, b::B, C)"),
    ("error", "= E"),
    ("name", "= \"x\""),
    ("snapshot", "(every = 3)"),
    ("derive", "(Debug)"),
    ("event", "= Facts"),
    ("crate", "= a"),
];
const COMMAND: Words = &[("aggregate", "= A"), ("name", "= \"x\""), ("crate", "= a")];
const QUERY: Words = &[("output", "= Vec<A>"), ("name", "= \"x\""), ("crate", "= a")];
const FIELD: [&str; 8] = [
    "attribute = \"k\"",
    "attribute = \"l\"",
    "",
    "id",
    "id, attribute = \"m\"",
    "sensitive",
    "attribute",
    "id, id = 3",
];
const HANDLER: Words = &[("crate", "= a")];
const PROJECTION: Words = &[("name", "= \"x\""), ("enable_tracing", "= self.on"), ("crate", "= a")];
/// It is asked before there is a process.
const PROCESS_MANAGER: Words = &[("name", "= \"x\""), ("enable_tracing", "= ON"), ("crate", "= a")];
const TRACED: Words = &[
    ("attributes", "(a, %b, ?c, \"d\" = 1, e.f = g)"),
    ("record", "(\"k\" = result)"),
    ("fault", "= |error| error.is_fault()"),
    ("kind", "= \"client\""),
    ("links", "= a"),
    ("parent", "= b"),
    ("enable_tracing", "= self.on"),
    ("crate", "= a"),
];

/// What is written in an attribute macro's parentheses.
pub(crate) fn options(choices: &mut Choices<'_>, name: &str) -> String {
    let words = match name {
        "traced" => TRACED,
        "projection" => PROJECTION,
        "process_manager" => PROCESS_MANAGER,
        _ => HANDLER,
    };
    let first = if name == "traced" && choices.one_in(2) { "\"a.b\"," } else { "" };
    format!("{first}{}", entries(choices, words))
}

/// An item that the macro may stand on, or nearly.
pub(crate) fn item(choices: &mut Choices<'_>, name: &str) -> String {
    if choices.one_in(12) {
        let other = choices.pick(&["event", "traced", "projection", "command_handler", "process_manager"]);
        return item_of(choices, other);
    }
    item_of(choices, name)
}

fn item_of(choices: &mut Choices<'_>, name: &str) -> String {
    match name {
        "event" => data(choices, "event", EVENT),
        "aggregate" => data(choices, "aggregate", AGGREGATE),
        "command" => data(choices, "command", COMMAND),
        "query" => data(choices, "query", QUERY),
        "traced" => method(choices, "traced"),
        _ => block(choices, name),
    }
}

fn entries(choices: &mut Choices<'_>, words: Words) -> String {
    let mut text = String::new();
    // Most of them, so that what is required is mostly there.
    for (word, form) in words {
        let required = ["id", "events", "aggregate", "output"].contains(word);
        if choices.one_in(if required { 40 } else { 3 }) {
            continue;
        }
        let odd = ["nmae", "colour", "r#name", "id", "attribute", "root"];
        let word = if choices.one_in(100) { choices.pick(&odd) } else { word };
        match choices.below(100) {
            97 => text.push_str(&format!("{word} = {}", choices.pick(&VALUES))),
            98 => text.push_str(&format!("{word}({})", choices.pick(&VALUES))),
            99 => text.push_str(word),
            _ => text.push_str(&format!("{word} {form}")),
        }
        text.push_str(if choices.one_in(200) { " " } else { "," });
    }
    text
}

fn attributes(choices: &mut Choices<'_>) -> String {
    let mut text = String::new();
    for _ in 0..choices.below(3) {
        text.push_str(choices.pick(&ATTRIBUTES));
        text.push(' ');
    }
    if choices.one_in(40) {
        text.push_str(choices.pick(&STRAY));
    }
    text
}

fn data(choices: &mut Choices<'_>, helper: &str, words: Words) -> String {
    let attributes = attributes(choices);
    let options = entries(choices, words);
    let name = choices.pick(&NAMES);
    let generics = if helper == "aggregate" && !choices.one_in(12) { "" } else { generics(choices) };
    let helper_attribute = match choices.below(60) {
        57 => format!("#[{helper}]"),
        58 => format!("#[{helper} = \"x\"]"),
        59 => format!("#[{helper}({options})] #[{helper}(crate = z)]"),
        _ => format!("#[{helper}({options})]"),
    };
    let rest = match choices.below(24) {
        21 => format!("struct {name}{generics};"),
        22 => format!("enum {name}{generics} {{ A, B({}), C {{ a: u8 }} }}", field(choices, helper, false)),
        23 => format!("union {name}{generics} {{ {} }}", field(choices, helper, true)),
        1..=8 => {
            format!("struct {name}{generics}({}, {});", field(choices, helper, false), field(choices, helper, false))
        }
        _ => format!(
            "pub struct {name}{generics} {{ {}, {} }}",
            field(choices, helper, true),
            field(choices, helper, true)
        ),
    };
    format!("{attributes}{helper_attribute} {rest}")
}

fn field(choices: &mut Choices<'_>, helper: &str, named: bool) -> String {
    let name = if named { format!("{}: ", choices.pick(&["a", "id", "r#type", "b_c"])) } else { String::new() };
    let options = if choices.one_in(2) { format!("#[{helper}({})] ", choices.pick(&FIELD)) } else { String::new() };
    format!("{options}{name}{}", ty(choices, 2))
}

fn generics(choices: &mut Choices<'_>) -> &'static str {
    choices.pick(&["", "", "", "", "<T>", "<'a>", "<'a, T: 'a + Clone, const N: usize>", "<T = u8>"])
}

fn block(choices: &mut Choices<'_>, name: &str) -> String {
    let attributes = attributes(choices);
    let generics = choices.pick(&["", "", "", "<T>", "<'a, T: Clone>", "<const N: usize>"]);
    let of_trait = if choices.one_in(40) { "Trait<A> for " } else { "" };
    let this = choices.pick(&["Order", "Order", "A<T>", "a::B", "(A, B)", "&'a A", "[u8; 3]", "dyn A + B"]);
    let where_clause = choices.pick(&["", "", "where T: Send", "where"]);
    let mut items = String::new();
    for _ in 0..choices.below(4) {
        items.push_str(&method(choices, name));
    }
    if choices.one_in(40) {
        items.push_str(choices.pick(&["const C: u8 = 1;", "type A = B;", "m!{}", "m!();"]));
    }
    format!("{attributes}impl{generics} {of_trait}{this} {where_clause} {{ {items} }}")
}

fn method(choices: &mut Choices<'_>, name: &str) -> String {
    let mut attributes = attributes(choices);
    if name == "projection" && choices.one_in(3) {
        attributes.push_str(choices.pick(&[
            "#[projection(setup)] ",
            "#[projection(reset,)] ",
            "#[projection(setup)] ",
            "#[projection]",
        ]));
    }
    if name == "process_manager" && choices.one_in(3) {
        attributes.push_str(choices.pick(&[
            "#[process_manager(id = event.order_id)] ",
            "#[process_manager(id = event.order_id)] ",
            "#[process_manager(id = event.a.b(),)] ",
            "#[process_manager(id = event.order_id)] ",
            "#[process_manager(id = event.id?)] ",
            "#[process_manager(setup)] ",
            "#[process_manager]",
        ]));
    }
    if name.ends_with("handler") && choices.one_in(3) {
        attributes.push_str(&format!(
            "#[traced({})] ",
            choices.pick(&[
                "attributes(a, %b.c, \"d\" = 1)",
                "enable_tracing = self.on",
                "attributes(x?)",
                "\"name\", kind = \"client\""
            ])
        ));
    }
    let before = choices.pick(&[
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "async ",
        "async ",
        "async ",
        "async ",
        "pub ",
        "pub(crate) async ",
        "unsafe ",
        "const ",
        "extern \"C\" ",
    ]);
    let method = choices.pick(&["place", "ship", "r#type", "handle"]);
    let generics = choices.pick(&["", "", "", "", "", "", "", "", "", "", "<T>", "<'a>", "<const N: usize>"]);
    let receiver = choices.pick(&[
        "&self, ",
        "&self, ",
        "&self, ",
        "&self, ",
        "&self, ",
        "&self, ",
        "&self, ",
        "&self, ",
        "&self, ",
        "&self, ",
        "self, ",
        "&mut self, ",
        "mut self: Arc<Self>, ",
        "",
    ]);
    let arguments = arguments(choices, name);
    let returned = returned(choices);
    let body = body(choices);
    format!("{attributes}{before}fn {method}{generics}({receiver}{arguments}){returned} {body} ")
}

fn arguments(choices: &mut Choices<'_>, name: &str) -> String {
    let mut text = String::new();
    let usual = 16 - choices.below(17);
    match (name, usual) {
        ("projection", 1..) => text.push_str(choices.pick(&[
            "event: &Recorded<Placed>, tx: &Tx<'_>",
            "event: &Recorded<Shipped>",
            "_: &b::Recorded<Closed>, tx: &Tx<'_>",
        ])),
        ("process_manager", 1..) => text.push_str(choices.pick(&[
            "event: &Recorded<Placed>",
            "refused: &Rejected<Ship>",
            "_: &b::Recorded<Closed>",
            "Place { id, .. }: &Rejected<Place>",
        ])),
        ("command_handler", 1..) => text.push_str(choices.pick(&[
            "command: Place, services: &Clock",
            "mut command: Ship",
            "command: b::Close",
            "_: Open<'_>",
        ])),
        ("query_handler", 1..) => {
            text.push_str(choices.pick(&["Find { status, .. }: Find<'_>", "query: Count", "mut query: b::All"]))
        }
        _ => {
            for _ in 0..choices.below(4) {
                let pattern =
                    choices.pick(&["a", "mut b", "_", "(c, mut d)", "Place { e, ref f, .. }", "&g", "h @ 1..=3"]);
                text.push_str(&format!("{pattern}: {}, ", ty(choices, 2)));
            }
        }
    }
    text
}

fn returned(choices: &mut Choices<'_>) -> String {
    match choices.below(32) {
        27 => String::new(),
        28 => " -> !".to_owned(),
        29 => " -> impl Iterator<Item = u8> + '_".to_owned(),
        30 => " -> Result<impl A, Box<dyn B + 'a>>".to_owned(),
        31 => format!(" -> {}", ty(choices, 3)),
        _ => " -> Result<Placed, Error>".to_owned(),
    }
}

fn body(choices: &mut Choices<'_>) -> &'static str {
    choices.pick(&[
        "{ todo!() }",
        "{}",
        "{ #![allow(unused)] a? }",
        "{ work(a).await; loop { break 1 } }",
        ";",
        "{ self. }",
        "{ let x = match a { _ => return }; x }",
        "{ #![doc = \"x\"] #![inline] |y| y }",
        "{ let }",
        "{ fn inner() {} inner() }",
    ])
}

fn ty(choices: &mut Choices<'_>, depth: usize) -> String {
    if depth == 0 {
        return choices.pick(&PATHS).to_owned();
    }
    match choices.below(16) {
        0 => format!("&{}", ty(choices, depth - 1)),
        1 => format!("&'a mut {}", ty(choices, depth - 1)),
        2 => format!("Vec<{}>", ty(choices, depth - 1)),
        3 => format!("({}, {})", ty(choices, depth - 1), ty(choices, depth - 1)),
        4 => format!("[{}; 3]", ty(choices, depth - 1)),
        5 => "impl Fn(u8) -> u8".to_owned(),
        6 => "Box<dyn for<'x> Fn(&'x u8) + Send>".to_owned(),
        7 => "fn(&u8) -> &u8".to_owned(),
        8 => format!("<{} as A>::B", ty(choices, depth - 1)),
        9 => "!".to_owned(),
        10 => "_".to_owned(),
        11 => "m!(x)".to_owned(),
        12 => format!("({})", ty(choices, depth - 1)),
        13 => format!("&Recorded<{}>", ty(choices, depth - 1)),
        14 => "dyn A + 'static".to_owned(),
        _ => choices.pick(&PATHS).to_owned(),
    }
}
