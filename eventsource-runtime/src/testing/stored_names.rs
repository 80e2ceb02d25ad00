//! Names that are stored forever, compared with a file.

use std::any::type_name;
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
#[derive(Debug)]
#[must_use = "`check` compares them"]
pub struct StoredNames {
    aggregates: BTreeMap<&'static str, Vec<Named>>,
    /// Each with the macro that takes its name.
    checkpoints: BTreeSet<(&'static str, &'static str)>,
    /// The type of each name: of an aggregate, or of an event, which has its former names as well.
    types: BTreeMap<(Kind, &'static str), &'static str>,
    /// Names that two types have.
    shared: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Aggregate,
    Event,
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

/// The file's content: aggregate, event and version; or the macro and the name of a checkpoint, and 1.
type Kept = BTreeSet<(String, String, u32)>;

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

    /// Notes whose name it is. Two types that share one would read each other's events.
    fn is(&mut self, kind: Kind, name: &'static str, of: &'static str) {
        let other = *self.types.entry((kind, name)).or_insert(of);
        if other != of {
            let option = if kind == Kind::Event { "event" } else { "aggregate" };
            self.shared.push(format!(
                "`{name}` is the stored name of `{other}` and of `{of}`; write `#[{option}(name = \"..\")]` on the one \
                 of which nothing is stored yet"
            ));
        }
    }

    /// Adds those of a process manager: its own, and those of its events.
    pub fn process_manager<M: ProcessManager>(mut self) -> Self {
        self.checkpoints.insert((PROCESS_MANAGER, M::name()));
        self.and::<M>()
    }

    /// Adds that of a projection.
    pub fn projection<B: Backend>(mut self, projection: &impl Projection<B>) -> Self {
        self.checkpoints.insert((PROJECTION, projection.name()));
        self
    }

    /// Compares them with the file, whose lines are `Aggregate/Event version`, `process_manager/Name 1` and
    /// `projection/Name 1`. A relative path starts at the test's working directory, which `cargo test` sets to the
    /// package's folder.
    ///
    /// With `UPDATE_STORED_NAMES=1` in the environment, what is new is written to the file. No line is ever removed:
    /// what was stored once is there to be read. If it was deleted for good, remove its lines by hand.
    ///
    /// # Panics
    /// An event of the file can no longer be decoded, by its name or an alias, in the version in the file; a checkpoint
    /// of the file belongs to nobody; two events, or two aggregates, share a name; the code has something that is
    /// missing in the file; or the file cannot be read or written.
    pub fn check(&self, path: impl AsRef<Path>) {
        let path = path.as_ref();
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => panic!("{} cannot be read: {error}", path.display()),
        };
        let New { lines, text } = self.compare(&text).unwrap_or_else(|faults| panic!("{}: {faults}", path.display()));
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
        let mut kept = self.read(text)?;
        let lost: Vec<_> = kept.iter().filter_map(|(of, name, version)| self.lost(of, name, *version)).collect();
        if !lost.is_empty() {
            return Err(lost.join("\n"));
        }
        let mut lines = Vec::new();
        for (of, name, version) in self.stored(&kept) {
            if kept.insert((of.to_owned(), name.to_owned(), version)) {
                lines.push(format!("`{of}/{name} {version}`"));
            }
        }
        let kept: Vec<_> = kept.iter().map(|(of, name, version)| format!("{of}/{name} {version}\n")).collect();
        Ok(New { lines, text: kept.concat() })
    }

    /// What may be stored today, in each version that can be decoded; former names in the version in the file, or else
    /// in the oldest.
    fn stored(&self, kept: &Kept) -> Vec<(&'static str, &'static str, u32)> {
        let mut stored: Vec<_> = self.checkpoints.iter().map(|(by, name)| (*by, *name, 1)).collect();
        for (of, events) in &self.aggregates {
            for Named { name, aliases, version, oldest } in events {
                stored.extend((*oldest..=*version).map(|version| (*of, *name, version)));
                let is_kept = |alias: &str| kept.iter().any(|(kept_of, name, _)| kept_of == of && name == alias);
                let former = aliases.iter().filter(|alias| !is_kept(alias));
                stored.extend(former.map(|alias| (*of, *alias, *oldest)));
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
        match events.iter().find(|event| event.name == name || event.aliases.contains(&name)) {
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

    fn read(&self, text: &str) -> Result<Kept, String> {
        let read = |line: &str| {
            let (event, version) = line.rsplit_once(' ')?;
            let (of, name) = self.split(event)?;
            Some((of.to_owned(), name.to_owned(), version.parse().ok()?))
        };
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines.map(|line| read(line).ok_or_else(|| format!("`{line}` is not `Aggregate/Event version`"))).collect()
    }

    /// The aggregate and the event. Both may have slashes: of the aggregates that fit, it is the longest.
    fn split<'a>(&self, event: &'a str) -> Option<(&'a str, &'a str)> {
        let mut parts = event.rmatch_indices('/').map(|(at, _)| (&event[..at], &event[at + 1..]));
        parts.find(|(of, _)| self.aggregates.contains_key(of)).or_else(|| event.split_once('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(aggregate: &'static str, events: Vec<Named>) -> StoredNames {
        StoredNames { aggregates: BTreeMap::from([(aggregate, events)]), ..StoredNames::none() }
    }

    fn event(name: &'static str, aliases: &'static [&'static str], version: u32) -> Named {
        Named { name, aliases, version, oldest: 1 }
    }

    #[test]
    fn a_renamed_type_needs_its_name_or_an_alias() {
        let kept = "Order/OrderPlaced 1\n";
        let renamed = names("Order", vec![event("OrderWasPlaced", &[], 1)]);
        let fault = renamed.compare(kept).err().unwrap();
        assert!(fault.contains("`OrderPlaced` of `Order`") && fault.contains("alias"), "{fault}");
        let fault = names("Purchase", vec![event("OrderPlaced", &[], 1)]).compare(kept).err().unwrap();
        assert!(fault.contains("name = \"Order\""), "{fault}");
        let aliased = names("Order", vec![event("OrderWasPlaced", &["OrderPlaced"], 1)]);
        assert_eq!(aliased.compare(kept).unwrap().text, "Order/OrderPlaced 1\nOrder/OrderWasPlaced 1\n");
        assert_eq!(aliased.compare("").unwrap().text, "Order/OrderPlaced 1\nOrder/OrderWasPlaced 1\n");
    }

    #[test]
    fn a_version_may_rise_and_never_falls() {
        let kept = "Order/OrderPlaced 1\nOrder/OrderPlaced 2\n";
        assert!(names("Order", vec![event("OrderPlaced", &[], 1)]).compare(kept).is_err());
        assert_eq!(names("Order", vec![event("OrderPlaced", &[], 2)]).compare(kept).unwrap().lines, [""; 0]);
        let raised = names("Order", vec![event("OrderPlaced", &[], 3)]).compare(kept).unwrap();
        assert_eq!((raised.lines.len(), &*raised.text), (1, &*format!("{kept}Order/OrderPlaced 3\n")));
    }

    #[test]
    fn what_was_stored_is_read_in_its_version() {
        let kept = "Order/OrderPlaced 1\nOrder/OrderPlaced 2\n";
        let reading = |oldest| names("Order", vec![Named { oldest, ..event("OrderPlaced", &[], 2) }]);
        assert_eq!(reading(1).compare(kept).unwrap().lines, [""; 0]);
        let fault = reading(2).compare(kept).err().unwrap();
        assert!(fault.contains("`upcast(1 => ..)`"), "{fault}");
        assert_eq!(reading(2).compare("Order/OrderPlaced 2\n").unwrap().lines, [""; 0]);
    }

    /// The file had the newest version alone: nobody noticed that an upcast was removed which it had not seen.
    #[test]
    fn versions_from_before_the_file_are_in_it() {
        let reading = |oldest| names("Order", vec![Named { oldest, ..event("OrderPlaced", &[], 3) }]);
        let kept = reading(1).compare("").unwrap().text;
        assert_eq!(kept, "Order/OrderPlaced 1\nOrder/OrderPlaced 2\nOrder/OrderPlaced 3\n");
        assert!(reading(2).compare(&kept).is_err());
    }

    /// Under its new name it would react to all events again, or write them a second time.
    #[test]
    fn a_renamed_process_manager_or_projection_needs_its_name() {
        for by in [PROCESS_MANAGER, PROJECTION] {
            let named = |name| StoredNames { checkpoints: BTreeSet::from([(by, name)]), ..names("Order", Vec::new()) };
            let kept = named("Shipping").compare("").unwrap().text;
            assert_eq!(kept, format!("{by}/Shipping 1\n"));
            assert_eq!(named("Shipping").compare(&kept).unwrap().lines, [""; 0]);
            let fault = named("Delivery").compare(&kept).err().unwrap();
            assert!(fault.contains(&format!("`#[{by}(name = \"Shipping\")]`")), "{fault}");
        }
    }

    /// A projection took the one for the other.
    #[test]
    fn two_types_of_one_name_are_told() {
        let mut names = StoredNames::none();
        names.is(Kind::Event, "Created", "books::Created");
        names.is(Kind::Aggregate, "Created", "books::Created");
        // Of two aggregates.
        names.is(Kind::Event, "Created", "books::Created");
        assert_eq!(names.compare("").unwrap().lines, [""; 0]);
        names.is(Kind::Event, "Created", "films::Created");
        let fault = names.compare("").err().unwrap();
        assert!(fault.contains("`books::Created` and of `films::Created`") && fault.contains("#[event("), "{fault}");
    }

    /// The next check read the file's own lines as those of an aggregate `Sales`.
    #[test]
    fn names_may_have_slashes() {
        let mut names = names("Sales/Order", vec![event("Added", &[], 1), event("Line/Added", &[], 1)]);
        names.checkpoints.insert((PROJECTION, "sales/orders"));
        let kept = names.compare("").unwrap().text;
        assert_eq!(kept, "Sales/Order/Added 1\nSales/Order/Line/Added 1\nprojection/sales/orders 1\n");
        assert_eq!(names.compare(&kept).unwrap().lines, [""; 0]);
        names.aggregates.insert("Sales", vec![event("Opened", &[], 1)]);
        assert_eq!(names.compare(&kept).unwrap().lines, ["`Sales/Opened 1`"]);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_told() {
        let fault = names("Order", Vec::new()).compare("OrderPlaced\n").err().unwrap();
        assert!(fault.contains("`OrderPlaced` is not"), "{fault}");
    }
}
