#![allow(unused)]

use eventsource_runtime::dispatch::Rejected;
use eventsource_runtime::{Aggregate, Apply, Command, Event, traced};
use serde::{Deserialize, Serialize};

#[derive(Event, Debug, Serialize, Deserialize)]
struct Placed;

#[derive(Aggregate, Default)]
#[aggregate(id = u64, events(Placed))]
struct Order;

impl Apply<Placed> for Order {
    fn apply(&mut self, _: Placed) {}
}

#[derive(Debug, Clone, Deserialize)]
struct Card(String);

#[derive(Command, Clone, Debug, Deserialize)]
#[command(aggregate = Order)]
struct Place {
    #[command(id)]
    order: u64,
    #[command(sensitive)]
    card: Card,
}

#[traced(attributes("card" = command.card.0.len()))] //~
fn rejected(command: &Rejected<Place>) {}

#[traced(attributes("order" = order, "card" = format!("{card:?}")))] //~
fn inline(Place { order, card }: &Place) {}

#[traced(attributes("command" = format!("{{}} {command:?}")))] //~
fn inline_whole(command: &Place) {}

#[traced(attributes("command" = std::format!("{:?}", command)))] //~
fn given_whole(command: &Place) {}

#[traced(attributes("number" = number.len()))] //~
fn nested(Place { card: Card(number), .. }: Place) {}

#[traced(attributes("card" = ?card, "command" = ?command))] //~ 2
fn bound(command @ Place { card, .. }: &Place) {}

#[traced(attributes("command" = ?*command))] //~
fn behind(command: &Place) {}

#[traced(attributes("number" = (*command).card.0.len()))] //~
fn behind_in_parentheses(command: &Place) {}

macro_rules! shown {
    ($name:ident, $shown:expr) => {
        #[traced(attributes("command" = ?$shown))]
        fn given_by_a_macro($name: &Place) {}
    };
}
shown!(command, command); //~

#[traced(attributes("one" = ?commands[0], "number" = commands[0].card.0.len()))] //~ 2
fn one_of(commands: &[Place]) {}

#[traced(attributes(?list))] //~
fn listed(list: &[Place]) {}

#[traced(attributes("list" = ?(list, 1)))] //~
fn among_others(list: Vec<Place>) {}

#[traced(attributes("list" = ?(1, 2, list)))] //~
fn among_more(list: Vec<Place>) {}

#[traced(attributes(?array))] //~
fn arrayed(array: [&Place; 2]) {}

#[traced(attributes(?option))] //~
fn optional(option: Option<Place>) {}

type Batch = Vec<Option<Place>>;

#[traced(attributes(?batch))] //~
fn behind_an_alias(batch: Batch) {}

#[traced(attributes("number" = { command }.card.0.len()))] //~
fn in_a_block(command: &Place) {}

#[traced(attributes("number" = [command][0].clone().card.0.len()))] //~
fn copied_out_of_a_list(command: &Place) {}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Order)]
struct Again(#[command(id)] u64, #[command(sensitive)] Card, u8);

#[traced(attributes("last" = last, "number" = card.0.len()))] //~
fn behind_dots(Again(.., card, last): &Again) {}

#[traced(attributes("id" = id, "number" = card.0.len()))] //~
fn behind_dots_in_a_pair((.., Again(id, card, ..)): (u8, Again)) {}

#[traced(attributes("number" = command.card.0.len()))] //~
fn behind_dots_of_a_tuple((_, .., command): (u8, u8, Place)) {}

#[traced(attributes("number" = command.card.0.len()))] //~
fn in_a_lent_tuple((command, _): &(Place, u8)) {}

#[traced(attributes("first" = first.card.0.len(), "all" = ?others))] //~ 2
fn out_of_an_array([first, others @ ..]: &[Place; 3]) {}

#[traced(record("number" = result.card.0.len(), "command" = ?result))] //~ 2
fn returned() -> Place {
    todo!()
}

#[traced(record("number" = result.as_ref().unwrap().card.0.len(), "command" = ?result.as_ref().ok()))] //~ 2
async fn returned_if_all_is_well() -> Result<Place, String> {
    todo!()
}

#[traced(record("number" = result.card.0.len()))] //~
fn returned_by_a_future() -> impl Future<Output = Place> {
    async { returned() }
}

#[traced(record("command" = format!("{result:?}")))] //~
fn returned_by_a_boxed_one() -> Box<dyn Future<Output = Option<Place>> + Unpin> {
    todo!()
}

struct Desk {
    last: Place,
    waiting: std::collections::BTreeMap<u8, std::sync::Mutex<Place>>,
}

impl Desk {
    #[traced(attributes("last" = ?self.last, "waiting" = ?self.waiting, "one" = ?self.waiting[&1].lock()))] //~ 3
    fn of_self(&self) {}

    #[traced(attributes("last" = ?self.last(), "queue" = ?queue.iter()))] //~ 2
    fn by_method(&self, queue: &[Place]) {}

    fn last(&self) -> &Place {
        &self.last
    }
}

#[traced(attributes("command" = ?match command { Ok(command) | Err(command) => command }))] //~
fn out_of_a_match(command: Result<&Place, &Place>) {}

#[traced(attributes("command" = ?{ let placed = command; placed }))] //~
fn under_another_name(command: &Place) {}

#[traced(attributes("refused" = ?command.as_ref().err(), "pair" = ?pairs))] //~ 2
fn beside(command: &Result<u8, Place>, pairs: [(u8, Place); 1]) {}

#[traced(attributes("nested" = ?(1, (2, command)), "alone" = ?(command,), "three" = ?three))] //~ 3
fn in_tuples(command: &Place, three: [(u8, u8, &Place); 1]) {}

#[traced(attributes("values" = ?desk.waiting.values(), "queue" = ?queue.into_iter().rev()))] //~ 2
fn by_iterators(desk: &Desk, queue: &[Place]) {}

#[traced(record("placed" = ?result))] //~
fn with_a_number() -> Result<(u64, Place), String> {
    todo!()
}

#[derive(Event, Debug, Serialize, Deserialize)]
struct Paid(#[event(sensitive)] String);

#[derive(Aggregate, Default)]
#[aggregate(id = u64, events(Placed, Paid), derive(Debug), name = "Bill")]
struct Bill;

impl Apply<Placed> for Bill {
    fn apply(&mut self, _: Placed) {}
}

impl Apply<Paid> for Bill {
    fn apply(&mut self, _: Paid) {}
}

#[traced(attributes("events" = ?events))] //~
fn one_of_several(events: &[BillEvent]) {}

type Tried = Result<Place, String>;

#[traced(record("tried" = ?result))] //~
fn returned_behind_an_alias() -> Tried {
    todo!()
}

#[traced(attributes("once" = ?once, "lazy" = ?lazy, "held" = ?held))] //~ 3
fn in_cells(
    once: &std::cell::OnceCell<Place>,
    lazy: &std::cell::LazyCell<Place>,
    held: &std::mem::ManuallyDrop<Place>,
) {
}

#[traced(attributes("queue" = ?queue.iter(), "list" = ?list.iter()))] //~ 2
fn by_iterators_of_lists(queue: &std::collections::VecDeque<Place>, list: &std::collections::LinkedList<Place>) {}

fn main() {}
