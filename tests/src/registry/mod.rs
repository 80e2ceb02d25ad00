//! The registry of everything that the runtime emits: read, rendered as constants and as a page, and held against
//! spans.

mod check;
mod constants;
mod measured;
mod page;

pub use check::Logged;
pub use measured::Measured;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;

/// The registry as the file has it.
const SOURCE: &str = include_str!("../../../eventsource-runtime/registry.yaml");

/// `registry.yaml`, whose shape is OpenTelemetry Weaver's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    id: String,
    #[serde(rename = "type")]
    of: GroupType,
    brief: String,
    stability: Option<Stability>,
    display_name: Option<String>,
    span_kind: Option<String>,
    name: Option<String>,
    metric_name: Option<String>,
    instrument: Option<String>,
    unit: Option<String>,
    #[serde(default)]
    attributes: Vec<Attribute>,
    #[serde(default)]
    annotations: Annotations,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stability {
    Development,
    Stable,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum GroupType {
    AttributeGroup,
    Span,
    Event,
    Metric,
}

/// What Weaver has no words for.
#[expect(clippy::struct_excessive_bools, reason = "the file's flags, as they stand there")]
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Annotations {
    span_name: Option<String>,
    parent: Option<String>,
    user_attributes: bool,
    any_kind: bool,
    span_event: bool,
    span_events: Vec<String>,
    observable: bool,
    buckets: Vec<f64>,
    constant: Option<String>,
    log: Option<Log>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Log {
    target: Targets,
    level: String,
    message: String,
    fields: BTreeMap<String, FieldType>,
    /// Whether it happens in nobody's span.
    #[serde(default)]
    outside_spans: Outside,
}

/// One target, or those of the components among which it is logged.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Targets {
    One(String),
    Several(Vec<String>),
}

impl Targets {
    fn all(&self) -> &[String] {
        match self {
            Self::One(target) => std::slice::from_ref(target),
            Self::Several(targets) => targets,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Outside {
    #[default]
    Never,
    Sometimes,
    Always,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum FieldType {
    #[serde(rename = "string")]
    Text,
    #[serde(rename = "string?")]
    OptionalText,
    #[serde(rename = "int")]
    Int,
    #[serde(rename = "int?")]
    OptionalInt,
    #[serde(rename = "double")]
    Double,
    #[serde(rename = "double?")]
    OptionalDouble,
}

impl FieldType {
    fn name(self) -> &'static str {
        match self {
            Self::Text | Self::OptionalText => "string",
            Self::Int | Self::OptionalInt => "int",
            Self::Double | Self::OptionalDouble => "double",
        }
    }

    fn is_required(self) -> bool {
        !matches!(self, Self::OptionalText | Self::OptionalInt | Self::OptionalDouble)
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Attribute {
    Reference(Reference),
    Definition(Box<Definition>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reference {
    #[serde(rename = "ref")]
    to: String,
    requirement_level: Level,
    note: Option<When>,
}

/// When a span has an attribute.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum When {
    #[serde(rename = "at start")]
    AtStart,
    Later,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Level {
    Plain(Plain),
    Condition { conditionally_required: String },
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Plain {
    Required,
    Recommended,
    OptIn,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Definition {
    id: String,
    #[serde(rename = "type")]
    of: AttributeType,
    brief: String,
    #[expect(dead_code, reason = "Weaver wants it")]
    stability: Stability,
    examples: Vec<serde_yaml_ng::Value>,
    #[serde(default)]
    annotations: Annotations,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum AttributeType {
    Named(String),
    Members { members: Vec<Member> },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    #[expect(dead_code, reason = "Weaver wants it")]
    id: String,
    value: String,
    brief: String,
}

impl Reference {
    fn is_at_start(&self) -> bool {
        self.note == Some(When::AtStart)
    }

    fn is_required(&self) -> bool {
        matches!(self.requirement_level, Level::Plain(Plain::Required))
    }
}

impl AttributeType {
    fn name(&self) -> &str {
        match self {
            Self::Named(name) => name,
            Self::Members { .. } => "string",
        }
    }
}

impl Group {
    fn references(&self) -> impl Iterator<Item = &Reference> {
        self.attributes.iter().filter_map(|attribute| match attribute {
            Attribute::Reference(reference) => Some(reference),
            Attribute::Definition(_) => None,
        })
    }

    fn definitions(&self) -> impl Iterator<Item = &Definition> {
        self.attributes.iter().filter_map(|attribute| match attribute {
            Attribute::Definition(definition) => Some(&**definition),
            Attribute::Reference(_) => None,
        })
    }
}

impl Registry {
    /// The registry of the runtime, which is read once.
    ///
    /// # Panics
    /// If the file is not in shape, refers to an attribute that it does not define, or does not say of a span, an event
    /// or a metric how stable it is.
    #[must_use]
    pub fn load() -> &'static Self {
        static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::read);
        &REGISTRY
    }

    fn read() -> Self {
        let registry: Self = serde_yaml_ng::from_str(SOURCE).expect("registry.yaml has the shape of a registry");
        let definitions = registry.definitions();
        for group in &registry.groups {
            let may_lack_it = group.of == GroupType::AttributeGroup;
            assert!(may_lack_it || group.stability.is_some(), "{}: no `stability`", group.id);
            for reference in group.references() {
                assert!(
                    definitions.contains_key(reference.to.as_str()),
                    "{}: no attribute `{}`",
                    group.id,
                    reference.to
                );
            }
        }
        registry
    }

    /// The constants: what `src/telemetry/names.rs` must hold.
    #[must_use]
    pub fn constants(&self) -> String {
        constants::render(self)
    }

    /// The page about telemetry: what `docs/telemetry.md` must hold.
    #[must_use]
    pub fn page(&self) -> String {
        page::render(self)
    }

    /// The names of all constants.
    #[must_use]
    pub fn constant_names(&self) -> Vec<String> {
        constants::names(self)
    }

    /// The keys of all attributes, with the id of the group that defines them.
    #[must_use]
    pub fn attributes(&self) -> Vec<(&str, &str)> {
        self.groups
            .iter()
            .flat_map(|group| group.definitions().map(|definition| (definition.id.as_str(), group.id.as_str())))
            .collect()
    }

    /// The type of an attribute.
    #[must_use]
    pub fn attribute_type(&self, key: &str) -> Option<&str> {
        let mut definitions = self.groups.iter().flat_map(Group::definitions);
        definitions.find(|definition| definition.id == key).map(|definition| definition.of.name())
    }

    /// The names of all metrics, with their units.
    #[must_use]
    pub fn metrics(&self) -> Vec<(&str, &str)> {
        let metrics = self.of(GroupType::Metric);
        metrics.filter_map(|group| Some((group.metric_name.as_deref()?, group.unit.as_deref()?))).collect()
    }

    /// The name, kind and unit of each instrument.
    #[must_use]
    pub fn instruments(&self) -> Vec<(&str, &str, &str)> {
        let metrics = self.of(GroupType::Metric);
        let facts = |group| {
            let Group { metric_name, instrument, unit, .. }: &Group = group;
            Some((metric_name.as_deref()?, instrument.as_deref()?, unit.as_deref()?))
        };
        metrics.filter_map(facts).collect()
    }

    /// The names under which a scrape tells the metrics.
    #[must_use]
    pub fn scraped_names(&self) -> BTreeSet<String> {
        let scraped = |(name, instrument, unit): (&str, &str, &str)| {
            let unit = match unit {
                "s" => "_seconds",
                "1" => "_ratio",
                _ => "",
            };
            let base = format!("{}{unit}", name.replace('.', "_"));
            match instrument {
                "counter" => vec![format!("{}_total", base.trim_end_matches("_total"))],
                "histogram" => ["bucket", "count", "sum"].map(|part| format!("{base}_{part}")).into(),
                _ => vec![base],
            }
        };
        self.instruments().into_iter().flat_map(scraped).collect()
    }

    /// The names of all spans; what varies in them stands in braces.
    #[must_use]
    pub fn span_names(&self) -> Vec<&str> {
        self.of(GroupType::Span).filter_map(|group| group.annotations.span_name.as_deref()).collect()
    }

    /// The names of all span events.
    #[must_use]
    pub fn span_events(&self) -> Vec<&str> {
        let events = self.of(GroupType::Event).filter(|group| group.annotations.span_event);
        events.filter_map(|group| group.name.as_deref()).collect()
    }

    fn of(&self, wanted: GroupType) -> impl Iterator<Item = &Group> {
        self.groups.iter().filter(move |group| group.of == wanted)
    }

    fn group(&self, id: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.id == id)
    }

    fn definitions(&self) -> BTreeMap<&str, &Definition> {
        let definitions = self.groups.iter().flat_map(Group::definitions);
        definitions.map(|definition| (definition.id.as_str(), definition)).collect()
    }
}
