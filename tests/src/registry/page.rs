//! The registry as a page: the tables are made here, what is around them is in `telemetry.md` beside the test.

use std::fmt::Write;

use super::{AttributeType, FieldType, Group, GroupType, Level, Outside, Reference, Registry};

const TEMPLATE: &str = include_str!("../../registry/telemetry.md");

pub(super) fn render(registry: &Registry) -> String {
    let tables = [
        ("spans", spans(registry)),
        ("span attributes", span_attributes(registry)),
        ("span events", span_events(registry)),
        ("attributes", attributes(registry)),
        ("metrics", metrics(registry)),
        ("logs", logs(registry)),
    ];
    let mut page = TEMPLATE.to_owned();
    for (name, table) in tables {
        let place = format!("<!-- {name} -->\n");
        assert!(page.contains(&place), "the template has a place for the {name}");
        page = page.replace(&place, &table);
    }
    page
}

fn table(columns: &[&str]) -> String {
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    line(columns.to_vec()) + &line(vec!["---"; columns.len()])
}

fn row(text: &mut String, cells: &[String]) {
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

fn code(name: impl AsRef<str>) -> String {
    format!("`{}`", name.as_ref())
}

fn codes<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(code).collect::<Vec<_>>().join(", ")
}

fn kind(group: &Group) -> String {
    let kind = group.span_kind.as_deref().unwrap_or("internal").to_uppercase();
    if group.annotations.any_kind { format!("{kind}, INTERNAL within the process") } else { kind }
}

fn spans(registry: &Registry) -> String {
    let mut text = table(&["span", "kind", "parent", "what it is"]);
    for group in registry.of(GroupType::Span) {
        let name = code(group.annotations.span_name.as_deref().unwrap_or_default());
        let parent = group.annotations.parent.clone().unwrap_or_default();
        row(&mut text, &[name, kind(group), parent, group.brief.clone()]);
    }
    text
}

fn span_attributes(registry: &Registry) -> String {
    let mut text = table(&["span", "at start", "later"]);
    let any = registry.groups.iter().filter(|group| group.id == "span.eventsource.any");
    for group in any.chain(registry.of(GroupType::Span)) {
        let name = group.annotations.span_name.as_deref().map_or_else(|| "any".to_owned(), code);
        let pick = |start: bool| {
            let mut picked: Vec<_> =
                group.references().filter(|reference| reference.is_at_start() == start).map(shown).collect();
            if start && group.annotations.user_attributes {
                picked.push("what users named".to_owned());
            }
            picked.join(", ")
        };
        row(&mut text, &[name, pick(true), pick(false)]);
    }
    text
}

fn shown(reference: &Reference) -> String {
    match &reference.requirement_level {
        Level::Plain(_) => code(&reference.to),
        Level::Condition { conditionally_required } => format!("{} (if {conditionally_required})", code(&reference.to)),
    }
}

fn span_events(registry: &Registry) -> String {
    let mut text = table(&["event", "span", "what it says", "attributes"]);
    for group in registry.of(GroupType::Event).filter(|group| group.annotations.span_event) {
        let name = group.name.clone().unwrap_or_default();
        let spans = registry.of(GroupType::Span).filter(|span| span.annotations.span_events.contains(&name));
        let spans = codes(spans.filter_map(|span| span.annotations.span_name.as_deref()));
        let named = if group.annotations.user_attributes { ", what users named" } else { "" };
        let attributes = codes(group.references().map(|reference| reference.to.as_str())) + named;
        row(&mut text, &[code(&name), spans, group.brief.clone(), attributes]);
    }
    text
}

fn attributes(registry: &Registry) -> String {
    let mut text = String::new();
    for group in registry.groups.iter().filter(|group| group.display_name.is_some()) {
        let title = group.display_name.as_deref().unwrap_or_default();
        let _ = write!(text, "### {title}\n\n{}\n\n", group.brief);
        text += &table(&["attribute", "type", "what it holds", "for example"]);
        for attribute in group.definitions() {
            let examples = attribute.examples.iter().filter_map(|value| serde_yaml_ng::to_string(value).ok());
            let examples: Vec<_> = examples.map(|text| code(flow(&text))).collect();
            let brief = match &attribute.of {
                AttributeType::Named(_) => attribute.brief.clone(),
                AttributeType::Members { members } => {
                    let member = |member: &super::Member| {
                        let brief = super::constants::lower_first(member.brief.trim_end_matches('.'));
                        format!("{}: {brief}", code(&member.value))
                    };
                    format!("{} {}.", attribute.brief, members.iter().map(member).collect::<Vec<_>>().join("; "))
                }
            };
            row(&mut text, &[code(&attribute.id), attribute.of.name().to_owned(), brief, examples.join(", ")]);
        }
        text.push('\n');
    }
    text
}

/// A list in a line.
fn flow(yaml: &str) -> String {
    let items: Vec<_> = yaml.trim().lines().map(|line| line.trim_start_matches("- ").trim_matches('\'')).collect();
    items.join(", ")
}

fn metrics(registry: &Registry) -> String {
    let mut text = table(&["metric", "instrument, unit", "what it measures", "attributes"]);
    for group in registry.of(GroupType::Metric) {
        let observable = if group.annotations.observable { "observable " } else { "" };
        let instrument = group.instrument.as_deref().unwrap_or_default();
        let unit = code(group.unit.as_deref().unwrap_or_default());
        let name = code(group.metric_name.as_deref().unwrap_or_default());
        let attributes: Vec<_> = group.references().map(shown).collect();
        let instrument = format!("{observable}{instrument}, {unit}");
        row(&mut text, &[name, instrument, group.brief.clone(), attributes.join(", ")]);
    }
    text
}

fn logs(registry: &Registry) -> String {
    let mut text = table(&["event", "target", "level", "message", "when", "fields"]);
    for group in registry.of(GroupType::Event) {
        let Some(log) = &group.annotations.log else { continue };
        let field = |(name, of): (&String, &FieldType)| {
            let optional = if of.is_required() { "" } else { ", where there is one" };
            format!("{} ({}{optional})", code(name), of.name())
        };
        let mut fields = log.fields.iter().map(field).collect::<Vec<_>>().join(", ");
        fields += match log.outside_spans {
            Outside::Never => "",
            Outside::Sometimes => "; at times in no span",
            Outside::Always => "; in no span",
        };
        let name = code(group.name.as_deref().unwrap_or_default());
        row(
            &mut text,
            &[
                name,
                codes(log.target.all().iter().map(String::as_str)),
                log.level.clone(),
                log.message.clone(),
                group.brief.clone(),
                fields,
            ],
        );
    }
    text
}
