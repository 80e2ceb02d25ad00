//! Commands with their handlers, and aggregates with their events.

use super::How;

pub(crate) const HANDLERS: u32 = 300;
pub(crate) const AGGREGATES: u32 = 100;
/// Of each aggregate.
const EVENTS: u32 = 10;

const PRELUDE: &str = "#![allow(dead_code, unused_imports)]
use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Waker};

use serde::{Deserialize, Serialize};

fn poll(future: impl Future) {
    let _ = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
}
";

/// One aggregate, whose handlers are every other one async.
pub(crate) fn handlers(how: How) -> String {
    let event = event(how, "Counter", "Counted");
    let aggregate = aggregate(how, "Counter", &["Counted".to_owned()]);
    let commands: String = (0..HANDLERS).map(|number| command(how, number)).collect();
    let methods: String = (0..HANDLERS).map(|number| method(how, number)).collect();
    let attribute = if how == How::Ours { "#[command_handler]\n" } else { "" };
    let by_hand = if is_by_hand(how) { handled_by_hand() } else { String::new() };
    let uses = "    CommandBus::builder().aggregate(Repository::<Counter, _>::new(MemoryStore::new())).build();\n";
    let main = main_of(how, uses);
    format!(
        "{PRELUDE}{}{event}{aggregate}{commands}{attribute}impl Counter {{\n{methods}}}\n{by_hand}{main}",
        ours(how)
    )
}

/// Each aggregate with events of its own, loaded once.
pub(crate) fn aggregates(how: How) -> String {
    let mut source = format!("{PRELUDE}{}", ours(how));
    let mut uses = String::new();
    for number in 0..AGGREGATES {
        let name = format!("State{number}");
        let events: Vec<String> = (0..EVENTS).map(|event| format!("Changed{number}To{event}")).collect();
        source.extend(events.iter().map(|name_of_event| event(how, &name, name_of_event)));
        source.push_str(&aggregate(how, &name, &events));
        uses += &format!("    poll(Repository::<{name}, _>::new(MemoryStore::new()).load(&String::new()));\n");
    }
    source + &main_of(how, &uses)
}

fn ours(how: How) -> &'static str {
    match how {
        How::Bare => "",
        _ => {
            "use eventsource_runtime::prelude::*;\nuse eventsource_runtime::telemetry::Attributes;\nuse eventsource_runtime::*;\n"
        }
    }
}

/// The peers have nothing for messages.
fn is_by_hand(how: How) -> bool {
    !matches!(how, How::Bare | How::Ours)
}

fn main_of(how: How, uses: &str) -> String {
    let uses = if how == How::Bare { "" } else { uses };
    format!("fn main() {{\n{uses}    println!(\"0\");\n}}\n")
}

fn event(how: How, state: &str, event: &str) -> String {
    let derive = if how == How::Ours { "Event, " } else { "" };
    let applied = match how {
        How::Bare => format!("impl {state} {{ fn apply_{}", event.to_lowercase()),
        _ => format!("impl Apply<{event}> for {state} {{ fn apply"),
    };
    let by_hand = if is_by_hand(how) {
        format!("impl Event for {event} {{ const NAME: &'static str = \"{event}\"; }}\n")
    } else {
        String::new()
    };
    format!(
        "#[derive({derive}Serialize, Deserialize)]
struct {event} {{ by: u64, note: String }}
{applied}(&mut self, event: {event}) {{ self.count += event.by; }} }}
{by_hand}"
    )
}

fn aggregate(how: How, name: &str, events: &[String]) -> String {
    let listed = events.join(", ");
    let state = format!("struct {name} {{ count: u64 }}\n");
    match how {
        How::Bare => format!("#[derive(Default)]\n{state}"),
        How::Ours => {
            format!("#[derive(Aggregate, Default)]\n#[aggregate(id = String, events({listed}))]\n{state}")
        }
        _ => format!("#[derive(Default)]\n{state}{}", aggregate_by_hand(name, events)),
    }
}

fn aggregate_by_hand(name: &str, events: &[String]) -> String {
    let each = |line: &dyn Fn(&String) -> String| events.iter().map(line).collect::<String>();
    let variants = each(&|event| format!("    {event}({event}),\n"));
    let includes = each(&|event| {
        format!(
            "impl Includes<{event}> for {name}Event {{\n    fn include(event: {event}) -> Self {{ Self::{event}(event) }}\n}}\n"
        )
    });
    let defined = each(&|event| format!("        EventDef::of::<{event}>(),\n"));
    let members = each(&|event| format!("            Self::{event}(event) => event,\n"));
    let applied = each(&|event| format!("            {name}Event::{event}(event) => self.apply(event),\n"));
    format!(
        "enum {name}Event {{
{variants}}}
{includes}impl EventSet for {name}Event {{
    const EVENTS: &'static [EventDef<Self>] = &[
{defined}    ];
    fn as_event(&self) -> &dyn AnyEvent {{
        match self {{
{members}        }}
    }}
}}
impl Aggregate for {name} {{
    const NAME: &'static str = \"{name}\";
    type Id = String;
    type Event = {name}Event;
    type Error = Infallible;
    fn evolve(&mut self, event: {name}Event) {{
        match event {{
{applied}        }}
    }}
}}
"
    )
}

fn command(how: How, number: u32) -> String {
    if how == How::Ours {
        return format!(
            "#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Counter)]
struct Count{number} {{ #[command(id)] id: String, #[command(attribute)] by: u64 }}
"
        );
    }
    let command = format!("#[derive(Clone, Deserialize)]\nstruct Count{number} {{ id: String, by: u64 }}\n");
    if how == How::Bare {
        return command;
    }
    format!(
        "{command}impl Command for Count{number} {{
    const NAME: &'static str = \"Count{number}\";
    type Aggregate = Counter;
    fn id(&self) -> &String {{ &self.id }}
    fn attributes(&self, attributes: &mut Attributes) {{ attributes.record(\"by\", &self.by); }}
}}
"
    )
}

fn method(how: How, number: u32) -> String {
    let attribute = match how {
        How::Tracing => "#[tracing::instrument(skip_all)]\n    ",
        How::Fastrace => "#[fastrace::trace]\n    ",
        How::Bare | How::ByHand | How::Ours => "",
    };
    let word = if number.is_multiple_of(2) { "" } else { "async " };
    let event = "Counted { by: command.by, note: String::new() }";
    format!(
        "    {attribute}{word}fn count{number}(&self, command: Count{number}) -> Result<Counted, Infallible> {{ Ok({event}) }}\n"
    )
}

fn handled_by_hand() -> String {
    let registered: String =
        (0..HANDLERS).map(|number| format!("        registry.command::<Count{number}>();\n")).collect();
    let handlers: String = (0..HANDLERS)
        .map(|number| {
            let wait = if number.is_multiple_of(2) { "" } else { ".await" };
            format!(
                "impl Handle<Count{number}> for Counter {{
    async fn handle(&self, command: Count{number}, (): &()) -> Result<Vec<CounterEvent>, Infallible> {{
        Ok(vec![CounterEvent::Counted(self.count{number}(command){wait}?)])
    }}
}}
"
            )
        })
        .collect();
    format!(
        "impl Handlers for Counter {{
    type Services = ();
    fn register<R: Registry<Self>>(registry: &mut R) {{
{registered}    }}
}}
{handlers}"
    )
}
