#![allow(unused)]

use eventsource_runtime::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Query, Deserialize)]
#[query(output = u8)]
struct Ask;

struct Answers;

#[query_handler]
impl Answers {
    fn ask(&self, _: Ask) -> Result<u8, impl std::error::Error> {
        Ok::<u8, std::fmt::Error>(1)
    }
}

fn main() {}
