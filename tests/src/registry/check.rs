//! Spans held against the registry.

use std::collections::BTreeMap;

use eventsource_runtime::telemetry::names::EVENTSOURCE_EVENT_ATTRIBUTES;
use opentelemetry::trace::{Event, SpanKind};
use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

use super::measured::Measured;
use super::{AttributeType, Definition, Group, GroupType, Log, Outside, Registry};

/// Where the names begin that only the registry may give out.
const RESERVED: [&str; 6] = ["cqrs.", "eventsource.", "db.", "server.", "messaging.", "error."];

/// A log event as somebody who listens gets it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Logged {
    /// Its name.
    pub name: String,
    /// Its target.
    pub target: String,
    /// Its level, in lower case.
    pub level: String,
    /// What it says.
    pub message: String,
    /// The names of its fields, but for those of the ids, with their types.
    pub fields: BTreeMap<String, &'static str>,
    /// Those of them that are whole numbers.
    pub numbers: BTreeMap<String, i64>,
    /// Those of them that are texts.
    pub texts: BTreeMap<String, String>,
    /// The ids that it bears, of a trace and a span.
    pub ids: (String, String),
}

impl Registry {
    /// Whether such a span is listed; spans of users' own functions are not.
    #[must_use]
    pub fn lists_span(&self, span: &SpanData) -> bool {
        self.span(&span.name, &span.span_kind).is_some()
    }

    /// The id of the group that lists such a span.
    #[must_use]
    pub fn span_group(&self, span: &SpanData) -> Option<&str> {
        self.span(&span.name, &span.span_kind).map(|group| group.id.as_str())
    }

    /// What a span bears, its events and its links too: the group that lists each attribute, and the attribute's key.
    #[must_use]
    pub fn borne_by_span(&self, span: &SpanData) -> Vec<(&str, &str)> {
        let own = self.span(&span.name, &span.span_kind);
        let listed = [own, self.group("span.eventsource.any")];
        let mut borne = borne(&listed, &span.attributes);
        for event in &span.events.events {
            let group = self.of(GroupType::Event).find(|group| group.name.as_deref() == Some(&*event.name));
            borne.extend(self::borne(&[group], &event.attributes));
        }
        let links = self.group("link.eventsource");
        borne.extend(span.links.links.iter().flat_map(|link| self::borne(&[links], &link.attributes)));
        borne
    }

    /// What a measurement bears, as [`borne_by_span`](Self::borne_by_span).
    #[must_use]
    pub fn borne_by_metric(&self, measured: &Measured) -> Vec<(&str, &str)> {
        borne(&[self.metric(&measured.name)], &measured.attributes)
    }

    /// Each attribute that the registry says something bears: the group of what bears it, and the attribute's key.
    #[must_use]
    pub fn borne(&self) -> Vec<(&str, &str)> {
        self.groups
            .iter()
            .flat_map(|group| group.references().map(|reference| (group.id.as_str(), reference.to.as_str())))
            .collect()
    }

    /// The ids of the groups of all spans.
    #[must_use]
    pub fn span_groups(&self) -> Vec<&str> {
        self.of(GroupType::Span).map(|group| group.id.as_str()).collect()
    }

    /// What is wrong with a measurement: its name, its kind, its unit, its buckets, or its attributes. Nothing, if it
    /// is as the registry says.
    #[must_use]
    pub fn check_metric(&self, measured: &Measured) -> Vec<String> {
        let Measured { name, instrument, unit, buckets, attributes, .. } = measured;
        let Some(group) = self.metric(name) else {
            return vec![format!("metric `{name}` is not listed")];
        };
        let mut check = Check { definitions: self.definitions(), at: format!("metric `{name}`"), faults: Vec::new() };
        if group.instrument.as_deref() != Some(*instrument) {
            check.fault(&format!("is a {instrument}"));
        }
        if group.unit.as_deref() != Some(unit) {
            check.fault(&format!("is measured in `{unit}`"));
        }
        if group.annotations.buckets != *buckets {
            check.fault(&format!("has the buckets {buckets:?}"));
        }
        check.attributes(&[group], attributes, false);
        let required = group.references().filter(|reference| reference.is_required());
        check.required(required.map(|reference| reference.to.as_str()), attributes);
        check.faults
    }

    /// What is wrong with a span: its name, its kind, an attribute that is not listed or of another type, a required
    /// one that is missing; and the same for its events and links. Nothing, if it is as the registry says.
    #[must_use]
    pub fn check_span(&self, span: &SpanData) -> Vec<String> {
        let Some(group) = self.span(&span.name, &span.span_kind) else {
            return vec![format!("span `{}` is not listed", span.name)];
        };
        let mut check =
            Check { definitions: self.definitions(), at: format!("span `{}`", span.name), faults: Vec::new() };
        check.kind(group, &span.span_kind);
        let any = self.group("span.eventsource.any");
        let listed: Vec<_> = [Some(group), any].into_iter().flatten().collect();
        check.attributes(&listed, &span.attributes, group.annotations.user_attributes);
        let required = group.references().filter(|reference| reference.is_required() && reference.is_at_start());
        check.required(required.map(|reference| reference.to.as_str()), &span.attributes);
        for event in &span.events.events {
            check.event(self, group, event);
        }
        if let Some(links) = self.group("link.eventsource") {
            for link in &span.links.links {
                check.attributes(&[links], &link.attributes, false);
            }
        }
        check.faults
    }

    /// What a span lacks at its start, where only a sampler sees it: the attributes that are required of it.
    #[must_use]
    pub fn check_start(&self, name: &str, kind: &SpanKind, attributes: &[KeyValue]) -> Vec<String> {
        let Some(group) = self.span(name, kind) else { return Vec::new() };
        let at = format!("span `{name}`, when it starts");
        let mut check = Check { definitions: self.definitions(), at, faults: Vec::new() };
        let required = group.references().filter(|reference| reference.is_required() && reference.is_at_start());
        check.required(required.map(|reference| reference.to.as_str()), attributes);
        check.faults
    }

    /// Whether a span of that name has an attribute from its start on, if it has it at all.
    #[must_use]
    pub fn is_at_start(&self, name: &str, kind: &SpanKind, key: &str) -> bool {
        let groups = [self.span(name, kind), self.group("span.eventsource.any")].into_iter().flatten();
        groups.flat_map(Group::references).any(|reference| reference.to == key && reference.is_at_start())
    }

    /// The names of all log events.
    #[must_use]
    pub fn logs(&self) -> Vec<&str> {
        let events = self.of(GroupType::Event).filter(|group| group.annotations.log.is_some());
        events.filter_map(|group| group.name.as_deref()).collect()
    }

    /// What is wrong with a log event: its name, target, level or message, or a field that is not listed. Nothing, if
    /// it is as the registry says.
    #[must_use]
    pub fn check_log(&self, logged: &Logged) -> Vec<String> {
        let Some(log) = self.log(&logged.name) else {
            return vec![format!("log event `{}` is not listed", logged.name)];
        };
        let mut faults = Vec::new();
        if !log.target.all().contains(&logged.target) {
            faults.push(format!("log event `{}`: its target is `{}`", logged.name, logged.target));
        }
        for (what, listed, found) in [("level", &log.level, &logged.level), ("message", &log.message, &logged.message)]
        {
            if listed != found {
                faults.push(format!("log event `{}`: its {what} is `{found}`, not `{listed}`", logged.name));
            }
        }
        let mut fault =
            |field: &str, what: &str| faults.push(format!("log event `{}`: field `{field}` {what}", logged.name));
        for (field, of) in &logged.fields {
            match log.fields.get(field) {
                None => fault(field, "is not listed"),
                Some(listed) if listed.name() != *of => fault(field, &format!("is a {of}, not a {}", listed.name())),
                Some(_) => {}
            }
        }
        for (field, _) in
            log.fields.iter().filter(|(field, of)| of.is_required() && !logged.fields.contains_key(*field))
        {
            fault(field, "is missing");
        }
        faults
    }

    /// The targets of a log event; none if there is no such event.
    #[must_use]
    pub fn log_targets(&self, name: &str) -> &[String] {
        self.log(name).map_or(&[], |log| log.target.all())
    }

    /// The fields of a log event.
    #[must_use]
    pub fn log_fields(&self, name: &str) -> Vec<&str> {
        self.log(name).map(|log| log.fields.keys().map(String::as_str).collect()).unwrap_or_default()
    }

    /// The fields of a log event, with their types.
    #[must_use]
    pub fn log_types(&self, name: &str) -> BTreeMap<String, &'static str> {
        let fields = self.log(name).into_iter().flat_map(|log| &log.fields);
        fields.map(|(field, of)| (field.clone(), of.name())).collect()
    }

    /// Whether an attribute of a log event, as it is exported, is what users named on it.
    #[must_use]
    pub fn lets_users_name(&self, event: &str, key: &str) -> bool {
        let named = self.log(event).is_some_and(|log| log.fields.contains_key(EVENTSOURCE_EVENT_ATTRIBUTES));
        named && !is_reserved(key)
    }

    /// Whether a log event happens in a span, whose ids it bears: always, at times (nothing), or never.
    #[must_use]
    pub fn logs_in_span(&self, name: &str) -> Option<bool> {
        match self.log(name).map_or(Outside::Never, |log| log.outside_spans) {
            Outside::Never => Some(true),
            Outside::Sometimes => None,
            Outside::Always => Some(false),
        }
    }

    fn log(&self, name: &str) -> Option<&Log> {
        let group = self.of(GroupType::Event).find(|group| group.name.as_deref() == Some(name));
        group.and_then(|group| group.annotations.log.as_ref())
    }

    fn metric(&self, name: &str) -> Option<&Group> {
        self.of(GroupType::Metric).find(|group| group.metric_name.as_deref() == Some(name))
    }

    /// The group of a span; a name without a part that varies wins. Where a part varies the kind must be right too: a
    /// function of the user's may have a span called `projection.insert_read_model`.
    fn span(&self, name: &str, kind: &SpanKind) -> Option<&Group> {
        let named = |group: &&Group| group.annotations.span_name.as_deref() == Some(name);
        let begins = |group: &&Group| {
            let prefix = group.annotations.span_name.as_deref().and_then(|template| template.split_once('{'));
            let fits = prefix.is_some_and(|(prefix, _)| name.len() > prefix.len() && name.starts_with(prefix));
            fits && has_kind(group, kind)
        };
        self.of(GroupType::Span).find(named).or_else(|| self.of(GroupType::Span).find(begins))
    }
}

fn is_reserved(key: &str) -> bool {
    RESERVED.iter().any(|reserved| key.starts_with(reserved))
}

/// Those of the attributes that one of the groups lists, with the group.
fn borne<'a>(groups: &[Option<&'a Group>], attributes: &[KeyValue]) -> Vec<(&'a str, &'a str)> {
    let lists = |attribute: &KeyValue| {
        groups.iter().copied().flatten().find_map(|group| {
            let mut references = group.references();
            let listed = references.find(|reference| reference.to == attribute.key.as_str())?;
            Some((group.id.as_str(), listed.to.as_str()))
        })
    };
    attributes.iter().filter_map(lists).collect()
}

fn expected_kind(group: &Group) -> &str {
    group.span_kind.as_deref().unwrap_or("internal")
}

fn has_kind(group: &Group, kind: &SpanKind) -> bool {
    let any = group.annotations.any_kind && *kind == SpanKind::Internal;
    any || format!("{kind:?}").to_lowercase() == expected_kind(group)
}

struct Check<'a> {
    definitions: BTreeMap<&'a str, &'a Definition>,
    at: String,
    faults: Vec<String>,
}

impl Check<'_> {
    fn fault(&mut self, what: &str) {
        self.faults.push(format!("{}: {what}", self.at));
    }

    fn kind(&mut self, group: &Group, kind: &SpanKind) {
        if !has_kind(group, kind) {
            self.fault(&format!("is {}, not {}", format!("{kind:?}").to_lowercase(), expected_kind(group)));
        }
    }

    fn attributes(&mut self, listed: &[&Group], attributes: &[KeyValue], open: bool) {
        for KeyValue { key, value, .. } in attributes {
            let key = key.as_str();
            let is_listed = listed.iter().any(|group| group.references().any(|reference| reference.to == key));
            match self.definitions.get(key).copied().filter(|_| is_listed) {
                Some(definition) => self.value(definition, value),
                None if open && !is_reserved(key) => {}
                None => self.fault(&format!("attribute `{key}` is not listed")),
            }
        }
    }

    fn value(&mut self, definition: &Definition, value: &Value) {
        let (expected, actual) = (definition.of.name(), name_of_type(value));
        if expected != actual {
            self.fault(&format!("attribute `{}` is a {actual}, not a {expected}", definition.id));
        }
        if let AttributeType::Members { members } = &definition.of
            && members.iter().all(|member| member.value != value.as_str())
        {
            self.fault(&format!("attribute `{}` cannot be `{value}`", definition.id));
        }
    }

    fn required<'k>(&mut self, keys: impl Iterator<Item = &'k str>, attributes: &[KeyValue]) {
        for key in keys {
            if attributes.iter().all(|attribute| attribute.key.as_str() != key) {
                self.fault(&format!("attribute `{key}` is missing"));
            }
        }
    }

    fn event(&mut self, registry: &Registry, span: &Group, event: &Event) {
        let listed = span.annotations.span_events.iter().any(|name| **name == *event.name);
        let groups = &mut registry.of(GroupType::Event);
        match groups.find(|group| listed && group.name.as_deref() == Some(&*event.name)) {
            // Beyond the cap an event is only counted; one at the cap may be bare.
            Some(group) if !event.attributes.is_empty() => {
                self.attributes(&[group], &event.attributes, group.annotations.user_attributes);
                self.required(group.references().map(|reference| reference.to.as_str()), &event.attributes);
            }
            Some(_) => {}
            None => self.fault(&format!("event `{}` is not listed", event.name)),
        }
    }
}

fn name_of_type(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "boolean",
        Value::I64(_) => "int",
        Value::F64(_) => "double",
        Value::String(_) => "string",
        Value::Array(Array::String(_)) => "string[]",
        _ => "value of another type",
    }
}
