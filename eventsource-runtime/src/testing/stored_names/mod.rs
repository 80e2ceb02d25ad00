//! Names that are stored forever, and the fields of what is stored, compared with a file.

mod fields;
#[cfg(test)]
mod tests;

use std::any::{type_name, type_name_of_val};
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use self::fields::{Fields, Misfit, misfits, required};
use crate::dispatch::ProcessManager;
use crate::domain::{Aggregate, DecodeError, EventRef, EventSet};
use crate::projection::{Backend, Projection};
use crate::store::{Position, StreamId, Version};

/// If set to `1`, [`StoredNames::check`] writes what is new.
const UPDATE: &str = "UPDATE_STORED_NAMES";
/// What has a checkpoint under its name, by the macro that sets the name.
const PROCESS_MANAGER: &str = "process_manager";
const PROJECTION: &str = "projection";

/// The names, former names and schema versions under which events are stored, the fields that they must have, and the
/// names of checkpoints, compared with a file that is checked in. A type renamed without `name` or `alias`, a removed
/// alias or upcast, a version raised without an upcast, or a new or renamed field without `#[serde(default)]` or
/// `#[serde(alias = "..")]`, fails a test rather than the first load of what was stored before. So does a process
/// manager or projection that is renamed without `name`, which would begin with the first event again.
///
/// ```no_run
/// # use eventsource_runtime::prelude::*;
/// # use eventsource_runtime::testing::StoredNames;
/// # #[derive(Event, serde::Serialize, serde::Deserialize)]
/// # struct OrderPlaced {}
/// # #[derive(Aggregate, Default)]
/// # #[aggregate(id = u64, events(OrderPlaced))]
/// # struct Order {}
/// # impl Apply<OrderPlaced> for Order { fn apply(&mut self, _: OrderPlaced) {} }
/// # fn test() {
/// // In a test, one for the whole application. `and::<Cart>()` adds another aggregate, `process_manager::<Shipping>()`
/// // a process manager, and `projection(&rows)` a projection.
/// StoredNames::of::<Order>().check("stored-names.txt");
/// # }
/// ```
///
/// # Fields
/// The fields are those without which an event is not read, such as `customer` and `total` in the line
/// `Order/OrderPlaced 1: customer, total`. They are found by reading made-up payloads, so that whatever makes a field
/// required or not counts: `rename`, `default`, `flatten`, `from`, a `Deserialize` by hand. A payload with which such
/// code panics counts as refused. Types, beyond `Option`, and the fields of a field are not compared.
///
/// If a field is no longer required, because it is removed, an `Option`, or has a `default`, what was stored is still
/// read. That events may lack it is new, so the file gets another line, and all its lines are compared from then on. To
/// remove one is a fault if the type has `#[serde(deny_unknown_fields)]`.
///
/// A line without fields and without a colon says nothing of them. So it is with a version that is not the latest; with
/// an event that is no object, such as an enum or `struct Opened;`; if a required field refuses all values that are
/// tried, as a text with a checksum does; and if a field's value decides which others there are. Test such an event with
/// [`stored`](fn@super::stored).
#[derive(Debug)]
#[must_use = "`check` compares them"]
pub struct StoredNames {
    aggregates: BTreeMap<&'static str, Vec<Named>>,
    /// Each with the macro that takes its name.
    checkpoints: BTreeSet<(&'static str, &'static str)>,
    /// The type of each name; an event has its former names as well.
    types: BTreeMap<(Kind, &'static str), &'static str>,
    /// Names that two types have.
    shared: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Aggregate,
    Event,
    ProcessManager,
    /// Of a backend: what is in different stores may share a name.
    Projection(&'static str),
}

impl Kind {
    /// The macro that takes the name.
    const fn option(self) -> &'static str {
        match self {
            Self::Aggregate => "aggregate",
            Self::Event => "event",
            Self::ProcessManager => PROCESS_MANAGER,
            Self::Projection(_) => PROJECTION,
        }
    }
}

/// An event as the code defines it.
#[derive(Debug)]
struct Named {
    name: &'static str,
    aliases: &'static [&'static str],
    version: u32,
    /// The oldest version that it can decode.
    oldest: u32,
    /// Reads a payload of a type and version.
    read: fn(&str, u32, &str) -> Result<(), DecodeError>,
}

impl Named {
    fn read(&self) -> impl Fn(&str) -> Result<(), DecodeError> {
        let (read, name, version) = (self.read, self.name, self.version);
        move |payload| read(name, version, payload)
    }
}

/// What is missing in the file, and the file's text with it.
#[derive(Debug)]
struct New {
    lines: Vec<String>,
    /// Whether the text has fields for a line that says nothing of them.
    is_completed: bool,
    text: String,
}

/// The file's content: aggregate, event and version; or the macro and the name of a checkpoint, and 1. With the fields
/// that what is stored has for certain, each time that these were others.
type Kept = BTreeMap<(String, String, u32), BTreeSet<Fields>>;

impl StoredNames {
    /// The names of an aggregate's events.
    pub fn of<A: Aggregate>() -> Self {
        Self::none().and::<A>()
    }

    fn none() -> Self {
        let (aggregates, checkpoints) = (BTreeMap::new(), BTreeSet::new());
        Self { aggregates, checkpoints, types: BTreeMap::new(), shared: Vec::new() }
    }

    /// Adds those of another aggregate.
    pub fn and<A: Aggregate>(mut self) -> Self {
        self.is(Kind::Aggregate, A::NAME, type_name::<A>());
        for def in A::Event::EVENTS {
            self.is(Kind::Event, def.name(), def.type_name());
            def.aliases().iter().for_each(|alias| self.is(Kind::Event, alias, def.type_name()));
        }
        let events = A::Event::EVENTS.iter();
        let named = events.map(|def| Named {
            name: def.name(),
            aliases: def.aliases(),
            version: def.version(),
            oldest: def.oldest_version(),
            read: read::<A::Event>,
        });
        self.aggregates.insert(A::NAME, named.collect());
        self
    }

    /// Notes whose name it is. Two types that share one would read each other's events, or share a lease and a
    /// checkpoint.
    fn is(&mut self, kind: Kind, name: &'static str, of: &'static str) {
        let other = *self.types.entry((kind, name)).or_insert(of);
        if other != of {
            self.shared.push(format!(
                "`{name}` is the stored name of `{other}` and of `{of}`; write `#[{}(name = \"..\")]` on the one of \
                 which nothing is stored yet",
                kind.option()
            ));
        }
    }

    /// Adds those of a process manager: its own, and those of its events.
    pub fn process_manager<M: ProcessManager>(mut self) -> Self {
        self.is(Kind::ProcessManager, M::name(), type_name::<M>());
        self.checkpoints.insert((PROCESS_MANAGER, M::name()));
        self.and::<M>()
    }

    /// Adds that of a projection.
    pub fn projection<B: Backend>(mut self, projection: &impl Projection<B>) -> Self {
        self.is(Kind::Projection(type_name::<B>()), projection.name(), type_name_of_val(projection));
        self.checkpoints.insert((PROJECTION, projection.name()));
        self
    }

    /// Compares them with the file, whose lines are `Aggregate/Event version` or, with the [fields](Self#fields),
    /// `Aggregate/Event version: field, field`, and `process_manager/Name 1` and `projection/Name 1`. A relative path
    /// starts at the test's working directory, which `cargo test` sets to the package's folder.
    ///
    /// With `UPDATE_STORED_NAMES=1` in the environment, what is new is written to the file, and fields for a line that
    /// has none. No line is ever removed: what was stored once is there to be read. If it was deleted for good, or never
    /// stored because the program was not yet in use, remove its lines by hand.
    ///
    /// # Panics
    /// An event of the file can no longer be decoded, by its name or an alias, in the version and with no more than the
    /// fields in the file; a checkpoint of the file belongs to nobody; two events, aggregates or process managers, or
    /// two projections on one kind of store, share a name; the code has something that is missing in the file; or the
    /// file cannot be read or written.
    pub fn check(&self, path: impl AsRef<Path>) {
        let path = path.as_ref();
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => panic!("{} cannot be read: {error}", path.display()),
        };
        let new = self.compare(&text).unwrap_or_else(|faults| panic!("{}: {faults}", path.display()));
        let New { lines, is_completed, text } = new;
        let is_update = env::var_os(UPDATE).is_some_and(|set| set == "1");
        assert!(
            lines.is_empty() || is_update,
            "{} lacks {}; run the test with {UPDATE}=1 to add what is new",
            path.display(),
            lines.join(", "),
        );
        if is_update && (is_completed || !lines.is_empty()) {
            fs::write(path, text).unwrap_or_else(|error| panic!("{} cannot be written: {error}", path.display()));
        }
    }

    /// What is missing in the file, or why something in it would be lost.
    fn compare(&self, text: &str) -> Result<New, String> {
        if !self.shared.is_empty() {
            return Err(self.shared.join("\n"));
        }
        let mut kept = self.parse(text)?;
        let lost = kept.keys().filter_map(|(of, name, version)| self.lost(of, name, *version));
        let faults: Vec<_> = lost.chain(kept.iter().flat_map(|(line, stored)| self.unfit(line, stored))).collect();
        if !faults.is_empty() {
            return Err(faults.join("\n"));
        }
        let (mut lines, mut is_completed) = (Vec::new(), false);
        for (of, name, version, fields) in self.stored(&kept) {
            let line = (of.to_owned(), name.to_owned(), version);
            let (is_new, stored) = (!kept.contains_key(&line), kept.entry(line.clone()).or_default());
            let is_completing = !is_new && stored.is_empty();
            let is_other = fields.as_ref().is_some_and(|fields| stored.insert(fields.clone()));
            is_completed |= is_completing && is_other;
            if is_new || is_other && !is_completing {
                lines.push(format!("`{}`", written(&line, fields.as_ref())));
            }
        }
        Ok(New { lines, is_completed, text: kept.iter().map(|(line, stored)| all_written(line, stored)).collect() })
    }

    /// What may be stored today, in each version that can be decoded; former names in the version in the file, or else
    /// in the oldest. With the fields of the present version, if they are known.
    fn stored(&self, kept: &Kept) -> Vec<(&'static str, &'static str, u32, Option<Fields>)> {
        let mut stored: Vec<_> = self.checkpoints.iter().map(|(by, name)| (*by, *name, 1, None)).collect();
        for (of, events) in &self.aggregates {
            for event in events {
                let required = required(&event.read()).filter(|fields| fields.iter().all(|field| is_writable(field)));
                let fields = |version| required.clone().filter(|_| version == event.version);
                let versions = event.oldest..=event.version;
                stored.extend(versions.map(|version| (*of, event.name, version, fields(version))));
                let is_kept = |alias: &str| kept.keys().any(|(kept_of, name, _)| kept_of == of && name == alias);
                let former = event.aliases.iter().filter(|alias| !is_kept(alias));
                stored.extend(former.map(|alias| (*of, *alias, event.oldest, fields(event.oldest))));
            }
        }
        stored
    }

    /// Why what was stored could no longer be decoded.
    fn lost(&self, of: &str, name: &str, version: u32) -> Option<String> {
        if [PROCESS_MANAGER, PROJECTION].contains(&of) {
            return (!self.checkpoints.contains(&(of, name))).then(|| {
                format!(
                    "`{name}` has a checkpoint, and no {} of the check has this name; write `#[{of}(name = \"{name}\")]` \
                     on the one that was renamed, or give it to the check with `{of}`",
                    of.replace('_', " "),
                )
            });
        }
        let Some(events) = self.aggregates.get(of) else {
            return Some(format!(
                "events of `{of}` are stored, and no aggregate has this name; write `#[aggregate(name = \"{of}\")]` on \
                 the one that was renamed, or give it to the check with `and`"
            ));
        };
        match event_of(events, name) {
            None => Some(format!(
                "`{name}` of `{of}` is stored, and no event reads it; write `#[event(name = \"{name}\")]` on the one \
                 that was renamed, or `alias = \"{name}\"`"
            )),
            Some(event) if event.version < version => Some(format!(
                "`{name}` of `{of}` is stored with version {version}, and `{}` has version {}; a version never falls",
                event.name, event.version
            )),
            Some(event) if version < event.oldest => Some(format!(
                "`{name}` of `{of}` is stored with version {version}, and `{}` reads none before {}; write \
                 `upcast({version} => ..)`",
                event.name, event.oldest
            )),
            Some(_) => None,
        }
    }

    /// Why what was stored in the present version, with some fields, could no longer be decoded.
    fn unfit(&self, (of, name, version): &(String, String, u32), stored: &BTreeSet<Fields>) -> Vec<String> {
        let Some(event) = self.aggregates.get(&**of).and_then(|events| event_of(events, name)) else {
            return Vec::new();
        };
        if event.version != *version {
            return Vec::new();
        }
        let faults: BTreeSet<_> = stored.iter().flat_map(|fields| misfits(&event.read(), fields)).collect();
        let told = |misfit| match misfit {
            Misfit::Lacks(field) => format!(
                "`{name} {version}` of `{of}` requires `{field}`, which events stored as version {version} do not have; \
                 give it `#[serde(default)]`, or `#[serde(alias = \"..\")]` if it was renamed, or raise `version` and \
                 write `upcast({version} => ..)`; if none is stored yet, remove its lines from the file"
            ),
            Misfit::Refused(field) => format!(
                "`{name} {version}` of `{of}` refuses `{field}`, which events stored as version {version} have; keep \
                 the field, or remove `deny_unknown_fields`, or raise `version` and write `upcast({version} => ..)`; if \
                 none is stored yet, remove its lines from the file"
            ),
        };
        faults.into_iter().map(told).collect()
    }

    fn parse(&self, text: &str) -> Result<Kept, String> {
        let mut kept = Kept::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let (event, fields) = with_fields(line).map_or((line, None), |(event, fields)| (event, Some(fields)));
            let parsed =
                event.rsplit_once(' ').and_then(|(event, version)| Some((self.split(event)?, version.parse().ok()?)));
            let Some(((of, name), version)) = parsed else {
                return Err(format!("`{line}` is not `Aggregate/Event version`, with or without `: field, field`"));
            };
            kept.entry((of.to_owned(), name.to_owned(), version)).or_default().extend(fields);
        }
        Ok(kept)
    }

    /// The aggregate and the event. Both may have slashes: of the aggregates that fit, it is the longest.
    fn split<'a>(&self, event: &'a str) -> Option<(&'a str, &'a str)> {
        let mut parts = event.rmatch_indices('/').map(|(at, _)| (&event[..at], &event[at + 1..]));
        parts.find(|(of, _)| self.aggregates.contains_key(of)).or_else(|| event.split_once('/'))
    }
}

fn read<S: EventSet>(event_type: &str, schema_version: u32, payload: &str) -> Result<(), DecodeError> {
    let event = EventRef {
        stream: &StreamId::new("Test", 1),
        version: Version::new(1),
        position: Position::new(1),
        event_type,
        schema_version,
        payload: payload.as_bytes(),
    };
    S::decode(&event).map(drop)
}

fn event_of<'a>(events: &'a [Named], name: &str) -> Option<&'a Named> {
    events.iter().find(|event| event.name == name || event.aliases.contains(&name))
}

/// A line's beginning and its fields, if it has them.
fn with_fields(line: &str) -> Option<(&str, Fields)> {
    let (event, fields) = line.rsplit_once(':')?;
    event.rsplit_once(' ')?.1.parse::<u32>().ok()?;
    let names = || fields.split(',').map(str::trim).filter(|name| !name.is_empty());
    names().all(is_writable).then(|| (event, names().map(str::to_owned).collect()))
}

/// Whether a line with this field is read as such, and not as that of an event with a colon in its name.
fn is_writable(field: &str) -> bool {
    let is_plain = |char: char| !char.is_whitespace() && ![',', ':'].contains(&char);
    field.chars().all(is_plain) && field.parse::<u32>().is_err() && !field.is_empty()
}

fn all_written(line: &(String, String, u32), stored: &BTreeSet<Fields>) -> String {
    if stored.is_empty() {
        return written(line, None) + "\n";
    }
    stored.iter().map(|fields| written(line, Some(fields)) + "\n").collect()
}

fn written((of, name, version): &(String, String, u32), fields: Option<&Fields>) -> String {
    let names = |fields: &Fields| fields.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let fields = fields.map(|fields| format!(": {}", names(fields)));
    format!("{of}/{name} {version}{}", fields.unwrap_or_default().trim_end())
}
