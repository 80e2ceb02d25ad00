#![allow(unused)]

use eventsource_runtime::traced;

struct Counter(u32);

impl Counter {
    #[traced(record("count" = self.0))] //~
    async fn count(&mut self) {
        self.0 += 1;
    }
}

#[traced(record("size" = list.len(), "result" = *result))] //~
async fn fill(list: &mut Vec<u8>) -> usize {
    list.push(1);
    list.len()
}

#[traced(record("list" = format!("{list:?}")))] //~
async fn clear(list: &mut Vec<u8>) {
    list.clear();
}

fn main() {}
