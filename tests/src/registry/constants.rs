//! The registry as constants.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Group, GroupType, Registry};

const HEAD: &str = "\
//! Names of attributes, metrics, spans, span events and log targets, generated from `registry.yaml`; do not edit.
";

const DESCRIPTION: &str = "
/// What a metric counts or measures; empty for any other name.
#[must_use]
pub fn description(metric: &str) -> &'static str {
    match metric {
";

struct Constant {
    name: String,
    value: Value,
    doc: String,
}

enum Value {
    Text(String),
    Alias(String),
}

pub(super) fn render(registry: &Registry) -> String {
    let mut text = HEAD.to_owned();
    for (title, constants) in sections(registry) {
        let _ = write!(text, "\n// {title}\n\n");
        for Constant { name, value, doc } in constants {
            let value = match value {
                Value::Text(value) => format!("{value:?}"),
                Value::Alias(other) => other,
            };
            let line = format!("pub const {name}: &str = {value};");
            // As rustfmt would have it.
            let line = if line.len() > 120 { line.replace(" = ", " =\n    ") } else { line };
            let _ = writeln!(text, "/// {doc}\n{line}");
        }
    }
    text + &descriptions(registry)
}

/// What a reader of metrics is told of each.
fn descriptions(registry: &Registry) -> String {
    let mut metrics: Vec<_> =
        registry.of(GroupType::Metric).filter_map(|group| Some((group.metric_name.as_ref()?, &group.brief))).collect();
    metrics.sort();
    let mut text = DESCRIPTION.to_owned();
    for (name, brief) in metrics {
        let arm = format!("        {} => {brief:?},\n", upper(name));
        // As rustfmt would have it.
        let is_long = arm.chars().count() > 121;
        text += &if is_long { arm.replace(" => ", " => {\n            ").replace(",\n", "\n        }\n") } else { arm };
    }
    text + "        _ => \"\",\n    }\n}\n"
}

pub(super) fn names(registry: &Registry) -> Vec<String> {
    sections(registry).into_iter().flat_map(|(_, constants)| constants).map(|constant| constant.name).collect()
}

fn sections(registry: &Registry) -> Vec<(&'static str, Vec<Constant>)> {
    let attributes = attributes(registry);
    let mut metrics: Vec<_> = registry.of(GroupType::Metric).filter_map(metric).collect();
    // One name may be an attribute as well as a metric.
    metrics.retain(|metric| attributes.iter().all(|attribute| attribute.name != metric.name));
    metrics.sort_by(|one, other| one.name.cmp(&other.name));
    let spans = registry.of(GroupType::Span).filter_map(span).collect();
    let events = registry.of(GroupType::Event).filter(|group| group.annotations.span_event).filter_map(event).collect();
    vec![
        ("Attributes", attributes),
        ("The names that the constants of attributes have elsewhere", aliases(registry)),
        ("Metrics", metrics),
        ("Spans: whole names, or what stands before the part that varies", spans),
        ("Span events", events),
        ("Log targets", log_targets(registry)),
    ]
}

fn attributes(registry: &Registry) -> Vec<Constant> {
    let text = |key: &str, brief: &str| Constant {
        name: upper(key),
        value: Value::Text(key.to_owned()),
        doc: format!("`{key}`: {}", lower_first(brief)),
    };
    registry.definitions().values().map(|definition| text(&definition.id, &definition.brief)).collect()
}

fn aliases(registry: &Registry) -> Vec<Constant> {
    let definitions = registry.definitions();
    let alias = definitions.values().filter_map(|definition| {
        let name = definition.annotations.constant.clone()?;
        Some(Constant { name, value: Value::Alias(upper(&definition.id)), doc: format!("`{}`", definition.id) })
    });
    alias.collect()
}

fn metric(group: &Group) -> Option<Constant> {
    let name = group.metric_name.as_ref()?;
    let unit = group.unit.as_deref().unwrap_or("1");
    let doc = format!("`{name}`, in `{unit}`: {}", lower_first(&group.brief));
    Some(Constant { name: upper(name), value: Value::Text(name.clone()), doc })
}

fn span(group: &Group) -> Option<Constant> {
    let name = group.annotations.span_name.as_ref()?;
    let doc = format!("`{name}`: {}", lower_first(&group.brief));
    Some(match name.split_once('{') {
        Some((prefix, _)) => {
            let constant = format!("{}_PREFIX", upper(prefix.trim_end_matches(['.', ' '])));
            Constant { name: constant, value: Value::Text(prefix.to_owned()), doc }
        }
        None => Constant { name: upper(name), value: Value::Text(name.clone()), doc },
    })
}

fn event(group: &Group) -> Option<Constant> {
    let name = group.name.as_ref()?;
    let doc = format!("`{name}`: {}", lower_first(&group.brief));
    Some(Constant { name: upper(name), value: Value::Text(name.clone()), doc })
}

fn log_targets(registry: &Registry) -> Vec<Constant> {
    let mut targets: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for group in registry.of(GroupType::Event) {
        if let Some(log) = &group.annotations.log {
            for target in log.target.all() {
                targets.entry(target).or_default().push(&log.message);
            }
        }
    }
    let shown = |message: &&str| if message.contains('_') { format!("`{message}`") } else { (*message).to_owned() };
    let constant = |(target, messages): (&str, Vec<&str>)| Constant {
        name: format!("LOG_{}", upper(target.rsplit("::").next().unwrap_or(target))),
        value: Value::Text(target.to_owned()),
        doc: format!("`{target}`: {}.", messages.iter().map(shown).collect::<Vec<_>>().join(", ")),
    };
    targets.into_iter().map(constant).collect()
}

fn upper(name: &str) -> String {
    name.replace(['.', ':'], "_").to_uppercase()
}

pub(super) fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_lowercase().to_string()).unwrap_or_default();
    first + characters.as_str()
}
