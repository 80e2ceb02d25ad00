//! Small domains: events, an aggregate, a command and its handler, a query, a projection and a process manager.

use std::fmt::Write;

use super::cover::{Choice, Factor, choices};

const FACTORS: &[Factor] = &[
    Factor { name: "edition", levels: &["2021", "2024"] },
    Factor { name: "event", levels: &["named", "tuple", "unit", "generic", "const", "where", "raw", "renamed", "cfg"] },
    Factor { name: "command", levels: &["named", "tuple", "generic", "const", "raw", "sensitive", "shown", "cfg"] },
    Factor { name: "id", levels: &["String", "u64", "Key"] },
    Factor { name: "aggregate", levels: &["named", "tuple", "kept", "derives", "raw", "enum_named", "renamed"] },
    Factor { name: "handler", levels: &["sync", "async"] },
    Factor { name: "argument", levels: &["plain", "mut", "pattern", "ignored"] },
    Factor { name: "returns", levels: &["one", "option", "list", "array", "pair", "nothing", "alias", "refused"] },
    Factor { name: "services", levels: &["none", "some", "ignored"] },
    Factor { name: "traced", levels: &["none", "literal", "expression", "on", "off"] },
    Factor { name: "query", levels: &["named", "tuple", "unit", "enum", "generic"] },
    Factor { name: "answer", levels: &["sync", "async", "alias", "failed"] },
    Factor { name: "projection", levels: &["sync", "async", "nothing", "setup", "generic", "named"] },
    Factor { name: "manager", levels: &["reaction", "option", "nothing", "result", "id", "compensates"] },
    Factor { name: "runtime", levels: &["plain", "path"] },
    Factor { name: "source", levels: &["direct", "macro"] },
];

/// How many domains there are at least, of both editions; the pairs may ask for more.
const DOMAINS: usize = 100;

fn allowed(choice: &Choice) -> bool {
    // What is ignored cannot be shown, nor what is hidden.
    let shows = choice.is("traced", &["expression"]);
    let shows_nothing = shows && choice.is("argument", &["pattern", "ignored"]);
    // Where nothing happens nobody waits for the set-up.
    let ends_early = choice.is("projection", &["setup"]) && choice.is("returns", &["nothing", "refused"]);
    !shows_nothing && !ends_early
}

/// The edition is a factor of its own here: a domain takes the compiler as long as a dozen functions.
pub(super) fn generate(edition: &str) -> String {
    let (mut source, mut table) = (String::new(), String::new());
    let all = choices(2024, FACTORS, DOMAINS, allowed);
    for (number, choice) in all.iter().filter(|choice| choice.is("edition", &[edition])).enumerate() {
        let name = format!("d{number}");
        let domain = domain(choice);
        let domain = if choice.is("source", &["macro"]) {
            format!("macro_rules! make {{ ($($tokens:tt)*) => {{ $($tokens)* }} }}\nmake! {{\n{domain}\n}}\n")
        } else {
            domain
        };
        let _ = writeln!(source, "pub mod {name} {{\nuse crate::support::*;\n{domain}\n{}\n}}", run(choice));
        let (name, expected) = (format!("{name} {}", choice.told()), expected(choice));
        let _ =
            writeln!(table, "Domain {{ name: {name:?}, run: || Box::pin(d{number}::run()), expected: {expected:?} }},");
    }
    let _ = writeln!(source, "use crate::support::Domain;\npub const DOMAINS: &[Domain] = &[\n{table}];");
    source
}

fn domain(choice: &Choice) -> String {
    [
        event(choice),
        aggregate(choice),
        command(choice),
        handler(choice),
        query(choice),
        projection(choice),
        manager(choice),
    ]
    .concat()
}

/// `crate = ..`, with what stands before or after it.
fn path(choice: &Choice, before: &str) -> String {
    if choice.is("runtime", &["path"]) { format!("{before}crate = crate::support::renamed::es") } else { String::new() }
}

/// An attribute with those options, if there are some.
fn helper(choice: &Choice, name: &str, options: &str) -> String {
    let path = path(choice, if options.is_empty() { "" } else { ", " });
    if options.is_empty() && path.is_empty() { String::new() } else { format!("#[{name}({options}{path})]\n") }
}

/// The event as the aggregate names it, and how one is made.
fn event_names(choice: &Choice) -> (&'static str, &'static str) {
    match choice.of("event") {
        "tuple" => ("Happened", "Happened(7, 8)"),
        "unit" => ("Happened", "Happened"),
        "generic" => ("Happened<u32>", "Happened { by: 7 }"),
        "const" => ("Happened<7>", "Happened::<7> {}"),
        "where" => ("Happened<String>", "Happened { by: String::from(\"7\") }"),
        "raw" => ("r#Happened", "r#Happened { r#type: 7 }"),
        "cfg" => ("Happened", "Happened { by: 7 }"),
        _ => ("Happened", "Happened { by: 7 }"),
    }
}

fn event(choice: &Choice) -> String {
    let options = match choice.of("event") {
        "renamed" => "name = \"happened\", version = 2, alias(\"was\"), upcast(1 => same_as_before)",
        _ => "",
    };
    let item = match choice.of("event") {
        "tuple" => "pub struct Happened(#[event(attribute = \"by\")] pub u32, #[event(sensitive)] pub u8);",
        "unit" => "pub struct Happened;",
        "generic" => "pub struct Happened<T> { pub by: T }",
        "const" => "pub struct Happened<const N: usize> {}",
        "where" => "pub struct Happened<T> where T: Clone { pub by: T }",
        "raw" => "pub struct r#Happened { #[event(attribute)] pub r#type: u32 }",
        "cfg" => {
            "pub struct Happened { #[cfg(all())] #[event(attribute)] pub by: u32, #[cfg(any())] pub gone: Missing }"
        }
        _ => "/** What happened. */ pub struct Happened { #[cfg_attr(all(), event(attribute))] pub by: u32 }",
    };
    let derives = "#[derive(Event, Clone, Debug, Serialize, Deserialize)]\n";
    let helper = helper(choice, "event", options);
    let upcast = "fn same_as_before(payload: Value) -> Result<Value, UpcastError> { Ok(payload) }\n";
    let before = if choice.is("event", &["renamed"]) { upcast } else { "" };
    format!(
        "{before}{derives}{helper}{item}\n#[derive(Event, Clone, Debug, Serialize, Deserialize)]\npub struct Noted {{}}\n"
    )
}

fn aggregate(choice: &Choice) -> String {
    let (event, _) = event_names(choice);
    let more = match choice.of("aggregate") {
        "kept" => ", snapshot(every = 2, version = 3)",
        "derives" => ", derive(Clone, Debug)",
        "enum_named" => ", event = Facts",
        "renamed" => ", name = \"counting\"",
        _ => "",
    };
    let options = format!("id = {}, error = Refused, events({event}, Noted){more}", choice.of("id"));
    let (item, count) = match choice.of("aggregate") {
        "tuple" => ("pub struct Counter(u32);", "self.0"),
        "raw" => ("pub struct Counter { r#type: u32 }", "self.r#type"),
        _ => ("pub struct Counter { count: u32 }", "self.count"),
    };
    format!(
        "#[derive(Aggregate, Default, Serialize, Deserialize)]\n{}{item}
impl Apply<{event}> for Counter {{ fn apply(&mut self, _: {event}) {{ {count} += 1; }} }}
impl Apply<Noted> for Counter {{ fn apply(&mut self, _: Noted) {{ {count} += 10; }} }}
impl Counter {{ fn so_far(&self) -> u32 {{ {count} }} }}
",
        helper(choice, "aggregate", &options)
    )
}

/// The id of the aggregate that is asked.
fn id(choice: &Choice) -> &'static str {
    match choice.of("id") {
        "u64" => "7",
        "Key" => "Key(7)",
        _ => "String::from(\"7\")",
    }
}

/// The command as the handler names it, how one is made, and a pattern for it.
fn command_names(choice: &Choice) -> (&'static str, String, &'static str) {
    let id = id(choice);
    match choice.of("command") {
        "tuple" => ("Ask", format!("Ask({id}, 7)"), "Ask(_, _)"),
        "generic" => ("Ask<u32>", format!("Ask {{ id: {id}, by: 7 }}"), "Ask { .. }"),
        "const" => ("Ask<7>", format!("Ask::<7> {{ id: {id} }}"), "Ask { id: _ }"),
        "raw" => ("r#Ask", format!("r#Ask {{ r#fn: {id} }}"), "r#Ask { r#fn: _ }"),
        _ => ("Ask", format!("Ask {{ id: {id}, by: 7 }}"), "Ask { id: _, by: _, .. }"),
    }
}

fn command(choice: &Choice) -> String {
    let id = choice.of("id");
    let item = match choice.of("command") {
        "tuple" => format!("pub struct Ask(#[command(id)] {id}, #[command(attribute = \"by\")] u32);"),
        "generic" => format!("pub struct Ask<T> {{ #[command(id)] id: {id}, by: T }}"),
        "const" => format!("pub struct Ask<const N: usize> {{ #[command(id)] id: {id} }}"),
        "raw" => format!("pub struct r#Ask {{ #[command(id)] r#fn: {id} }}"),
        "sensitive" => format!("pub struct Ask {{ #[command(id)] id: {id}, #[command(sensitive)] by: u32 }}"),
        "shown" => format!("pub struct Ask {{ #[command(id)] id: {id}, #[command(attribute)] by: u32 }}"),
        "cfg" => {
            format!("pub struct Ask {{ #[cfg(all())] #[command(id)] id: {id}, by: u32, #[cfg(any())] gone: Missing }}")
        }
        _ => format!("#[doc = \"Asks.\"] pub struct Ask {{ #[command(id)] pub(crate) id: {id}, pub by: u32 }}"),
    };
    let helper = helper(choice, "command", "aggregate = Counter");
    format!("#[derive(Command, Clone, Debug, Serialize, Deserialize)]\n{helper}{item}\n")
}

fn handler(choice: &Choice) -> String {
    let (command, _, pattern) = command_names(choice);
    let (event, made) = event_names(choice);
    let pattern = match choice.of("argument") {
        "mut" => "mut command",
        "pattern" => pattern,
        "ignored" => "_",
        _ => "command",
    };
    let prelude = if choice.is("argument", &["mut"]) { "command = command.clone();" } else { "" };
    let services = match choice.of("services") {
        "some" => ", services: &Clock",
        "ignored" => ", _: &Clock",
        _ => "",
    };
    let traced = match choice.of("traced") {
        "literal" => "#[traced(attributes(\"a\" = 1, \"b\" = -1.5))]\n",
        "expression" => "#[traced(attributes(\"a\" = self.so_far(), \"b\" = %{ std::mem::size_of_val(&command) }))]\n",
        "on" => "#[traced(enable_tracing = self.so_far() < 99)]\n",
        "off" => "#[traced(enable_tracing = 1 > 2)]\n",
        _ => "",
    };
    let (returned, value) = match choice.of("returns") {
        "option" => (format!("Result<Option<{event}>, Refused>"), format!("Ok(Some({made}))")),
        "list" => (format!("Result<Vec<{event}>, Refused>"), format!("Ok(vec![{made}, {made}])")),
        "array" => (format!("Result<[{event}; 2], Refused>"), format!("Ok([{made}, {made}])")),
        "pair" => (format!("Result<({event}, Noted), Refused>"), format!("Ok(({made}, Noted {{}}))")),
        "nothing" => ("Result<(), Refused>".to_owned(), "Ok(())".to_owned()),
        "alias" => (format!("Decided<{event}>"), format!("Ok({made})")),
        "refused" => (format!("Result<{event}, Refused>"), "Err(Refused(7))?".to_owned()),
        _ => (format!("Result<{event}, Refused>"), format!("Ok({made})")),
    };
    let word = if choice.is("handler", &["async"]) { "async " } else { "" };
    let options = path(choice, "");
    format!(
        "type Decided<T> = Result<T, Refused>;
#[command_handler({options})]
impl Counter {{
    {traced}{word}fn ask(&self, {pattern}: {command}{services}) -> {returned} {{ {prelude} {value} }}
}}
"
    )
}

fn query(choice: &Choice) -> String {
    let (item, ty) = match choice.of("query") {
        "tuple" => ("pub struct Count(#[query(attribute = \"of\")] u32);", "Count"),
        "unit" => ("pub struct Count;", "Count"),
        "enum" => ("pub enum Count { All, Of(u32) }", "Count"),
        "generic" => ("pub struct Count<T> where T: Clone { of: T }", "Count<u32>"),
        _ => ("pub struct Count { #[query(attribute)] of: u32, #[query(sensitive)] by: u8 }", "Count"),
    };
    let (word, returned, value) = match choice.of("answer") {
        "async" => ("async ", "Result<Vec<u32>, Refused>", "Ok(vec![self.0, 8])"),
        "alias" => ("async ", "Decided<Vec<u32>>", "Ok(vec![self.0, 8])"),
        "failed" => ("", "Result<Vec<u32>, Refused>", "Err(Refused(8))"),
        _ => ("", "Result<Vec<u32>, Refused>", "Ok(vec![self.0, 8])"),
    };
    let (helper, options) = (helper(choice, "query", "output = Vec<u32>"), path(choice, ""));
    format!(
        "#[derive(Query, Clone, Debug, Serialize, Deserialize)]\n{helper}{item}
pub struct Answers(u32);
#[query_handler({options})]
impl Answers {{
    {word}fn count(&self, _: {ty}) -> {returned} {{ {value} }}
}}
"
    )
}

fn projection(choice: &Choice) -> String {
    let (event, _) = event_names(choice);
    let (generics, ty) = if choice.is("projection", &["generic"]) {
        ("<T: Send + Sync + 'static>", "Follows<T>")
    } else {
        ("", "Follows<u8>")
    };
    let name =
        if choice.is("projection", &["named", "generic"]) { "name = \"follows\"" } else { "enable_tracing = true" };
    let options = format!("{name}{}", path(choice, ", "));
    let (word, returned, end) = match choice.of("projection") {
        "async" => ("async ", "-> Result<(), ProjectionError>", "Ok(())"),
        "nothing" => ("", "", ""),
        _ => ("", "-> Result<(), ProjectionError>", "Ok(())"),
    };
    let setup = if choice.is("projection", &["setup"]) {
        "#[projection(setup)] fn begin(&self) { self.0.fetch_add(100, Relaxed); }"
    } else {
        ""
    };
    format!(
        "pub struct Follows<T>(Arc<AtomicU32>, PhantomData<T>);
#[projection({options})]
impl{generics} {ty} {{
    {setup}
    {word}fn happened(&self, event: &Recorded<{event}>) {returned} {{ let _ = event.version(); self.0.fetch_add(1, Relaxed); {end} }}
    {word}fn noted(&self, _: &Recorded<Noted>) {returned} {{ self.0.fetch_add(10, Relaxed); {end} }}
}}
"
    )
}

fn manager(choice: &Choice) -> String {
    let (event, _) = event_names(choice);
    let (command, ..) = command_names(choice);
    let (returned, value) = match choice.of("manager") {
        "option" => (format!("Option<{command}>"), "None"),
        "nothing" => ("()".to_owned(), ""),
        "result" => ("Result<Reaction<Self>, Refused>".to_owned(), "Ok(Reaction::new().record(Seen {}))"),
        _ => ("Reaction<Self>".to_owned(), "Reaction::new().record(Seen {})"),
    };
    let id = if choice.is("manager", &["id"]) { "#[process_manager(id = event.version())] " } else { "" };
    let refused = if choice.is("manager", &["compensates"]) {
        format!("fn refused(&self, _: &Rejected<{command}>) -> Reaction<Self> {{ Reaction::new() }}")
    } else {
        String::new()
    };
    let options = format!("name = \"watching\"{}", path(choice, ", "));
    format!(
        "#[derive(Event, Serialize, Deserialize)]
pub struct Seen {{}}
#[derive(Aggregate, Default)]
#[aggregate(id = String, events(Seen))]
pub struct Watching {{ seen: u32 }}
impl Apply<Seen> for Watching {{ fn apply(&mut self, _: Seen) {{ self.seen += 1; }} }}
#[process_manager({options})]
impl Watching {{
    {id}fn happened(&self, event: &Recorded<{event}>) -> {returned} {{ let _ = event.version(); {value} }}
    {refused}
}}
"
    )
}

/// Asks once, and tells what became of it.
fn run(choice: &Choice) -> String {
    let (_, command, _) = command_names(choice);
    let id = id(choice);
    let services = if choice.is("services", &["none"]) { "" } else { ".with_services(Clock)" };
    let query = match choice.of("query") {
        "tuple" => "Count(7)",
        "unit" => "Count",
        "enum" => "Count::Of(7)",
        "generic" => "Count { of: 7u32 }",
        _ => "Count { of: 7, by: 8 }",
    };
    format!(
        "pub async fn run() -> String {{
    let store = MemoryStore::new();
    let repository = Repository::<Counter, _>::new(store.clone()){services};
    let commands = CommandBus::builder().aggregate(repository.clone()).build();
    let asked = commands.dispatch({command}).await;
    let count = repository.load(&{id}).await.map_or(0, |loaded| loaded.state.so_far());
    let answer = QueryBus::builder().handler(Answers(count)).build().execute({query}).await.ok();
    let followed = Arc::new(AtomicU32::new(0));
    let projections = ProjectionRunner::new(store.clone()).projection(Follows(followed.clone(), PhantomData::<u8>)).spawn();
    let managers = ProcessManagerRunner::new(store.clone(), commands).process_manager::<Watching>().spawn();
    let head = store.head().await.unwrap_or_default();
    let _ = (projections.wait_for(head).await.is_ok(), managers.wait_for(head).await.is_ok());
    let ended = (projections.shutdown().await.is_ok(), managers.shutdown().await.is_ok());
    format!(\"{{:?}} {{count}} {{answer:?}} {{}} {{ended:?}}\", asked.ok().map(|it| it.events), followed.load(Relaxed))
}}"
    )
}

/// What the run has to tell.
fn expected(choice: &Choice) -> String {
    let (events, count) = match choice.of("returns") {
        "list" | "array" => (Some(2), 2),
        "pair" => (Some(2), 11),
        "nothing" => (Some(0), 0),
        "refused" => (None, 0),
        _ => (Some(1), 1),
    };
    let answer = (!choice.is("answer", &["failed"])).then(|| vec![count, 8]);
    let followed = count + if choice.is("projection", &["setup"]) { 100 } else { 0 };
    format!("{events:?} {count} {answer:?} {followed} (true, true)")
}
