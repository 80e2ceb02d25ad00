//! Names that are stored forever, compared with a file.

#[cfg(test)]
mod tests;

use std::any::{type_name, type_name_of_val};
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::dispatch::ProcessManager;
use crate::domain::{Aggregate, EventSet};
use crate::projection::{Backend, Projection};

/// If set to `1`, [`StoredNames::check`] writes what is new.
const UPDATE: &str = "UPDATE_STORED_NAMES";
/// What has a checkpoint under its name, by the macro that sets the name.
const PROCESS_MANAGER: &str = "process_manager";
const PROJECTION: &str = "projection";

/// The names, former names and schema versions under which events are stored, and the names of checkpoints, compared
/// with a file that is checked in. A type renamed without `name` or `alias`, a removed alias or upcast, or a version
/// raised without an upcast, fails a test rather than the first load of what was stored before. So does a process
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
/// Whether the payloads that were stored still fit their types is not compared: keep one a version, and test it with
/// [`stored`](fn@super::stored#payloads-in-the-repository).
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
}

/// What is missing in the file, and the file's text with it.
#[derive(Debug)]
struct New {
    lines: Vec<String>,
    text: String,
}

/// A line of the file: aggregate, event and version; or the macro and the name of a checkpoint, and 1.
type Line = (String, String, u32);

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

    /// Compares them with the file, whose lines are `Aggregate/Event version`, `process_manager/Name 1` and
    /// `projection/Name 1`. A relative path starts at the test's working directory, which `cargo test` sets to the
    /// package's folder.
    ///
    /// With `UPDATE_STORED_NAMES=1` in the environment, what is new is written to the file. No line is ever removed:
    /// what was stored once is there to be read. If it was deleted for good, or never stored because the program was
    /// not yet in use, remove its lines by hand.
    ///
    /// # Panics
    /// An event of the file can no longer be decoded, by its name or an alias, in the version in the file; a checkpoint
    /// of the file belongs to nobody; two events, aggregates or process managers, or two projections on one kind of
    /// store, share a name; the code has something that is missing in the file; or the file cannot be read or written.
    pub fn check(&self, path: impl AsRef<Path>) {
        let path = path.as_ref();
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => panic!("{} cannot be read: {error}", path.display()),
        };
        let new = self.compare(&text).unwrap_or_else(|faults| panic!("{}: {faults}", path.display()));
        let New { lines, text } = new;
        if lines.is_empty() {
            return;
        }
        assert!(
            env::var_os(UPDATE).is_some_and(|set| set == "1"),
            "{} lacks {}; run the test with {UPDATE}=1 to add what is new",
            path.display(),
            lines.join(", "),
        );
        fs::write(path, text).unwrap_or_else(|error| panic!("{} cannot be written: {error}", path.display()));
    }

    /// What is missing in the file, or why something in it would be lost.
    fn compare(&self, text: &str) -> Result<New, String> {
        if !self.shared.is_empty() {
            return Err(self.shared.join("\n"));
        }
        let mut kept = self.parse(text)?;
        let faults: Vec<_> = kept.iter().filter_map(|(of, name, version)| self.lost(of, name, *version)).collect();
        if !faults.is_empty() {
            return Err(faults.join("\n"));
        }
        let new: Vec<_> = self.stored(&kept).into_iter().filter(|line| !kept.contains(line)).collect();
        let lines = new.iter().map(|line| format!("`{}`", written(line))).collect();
        kept.extend(new);
        Ok(New { lines, text: kept.iter().map(|line| written(line) + "\n").collect() })
    }

    /// What may be stored today, in each version that can be decoded; former names in the version in the file, or else
    /// in the oldest.
    fn stored(&self, kept: &BTreeSet<Line>) -> Vec<Line> {
        let line = |of: &str, name: &str, version| (of.to_owned(), name.to_owned(), version);
        let mut stored: Vec<_> = self.checkpoints.iter().map(|(by, name)| line(by, name, 1)).collect();
        for (of, events) in &self.aggregates {
            for event in events {
                stored.extend((event.oldest..=event.version).map(|version| line(of, event.name, version)));
                let is_kept = |alias: &str| kept.iter().any(|(kept_of, name, _)| kept_of == of && name == alias);
                let former = event.aliases.iter().filter(|alias| !is_kept(alias));
                stored.extend(former.map(|alias| line(of, alias, event.oldest)));
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

    fn parse(&self, text: &str) -> Result<BTreeSet<Line>, String> {
        let line = |line: &str| {
            let (event, version) = line.rsplit_once(' ')?;
            let (of, name) = self.split(event)?;
            Some((of.to_owned(), name.to_owned(), version.parse().ok()?))
        };
        // After a colon, earlier versions of this check wrote the fields that the events had.
        let before_fields = |text: &str| line(text.rsplit_once(':')?.0);
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines
            .map(|text| {
                let parsed = line(text).or_else(|| before_fields(text));
                parsed.ok_or_else(|| format!("`{text}` is not `Aggregate/Event version`"))
            })
            .collect()
    }

    /// The aggregate and the event. Both may have slashes: of the aggregates that fit, it is the longest.
    fn split<'a>(&self, event: &'a str) -> Option<(&'a str, &'a str)> {
        let mut parts = event.rmatch_indices('/').map(|(at, _)| (&event[..at], &event[at + 1..]));
        parts.find(|(of, _)| self.aggregates.contains_key(of)).or_else(|| event.split_once('/'))
    }
}

fn event_of<'a>(events: &'a [Named], name: &str) -> Option<&'a Named> {
    events.iter().find(|event| event.name == name || event.aliases.contains(&name))
}

fn written((of, name, version): &Line) -> String {
    format!("{of}/{name} {version}")
}
