#![allow(unused)]

use eventsource_runtime::traced;

fn is_away(text: &str) -> bool {
    text.is_empty()
}

struct Orders {
    strict: bool,
}

impl Orders {
    #[traced(fault = is_away)] //~
    fn of_another_type(&self) -> Result<u8, std::num::ParseIntError> {
        "7".parse()
    }

    #[traced(fault = |_| self.strict)] //~
    fn of_an_argument(&self) -> Result<u8, std::num::ParseIntError> {
        "7".parse()
    }

    #[traced(fault = |error| error.to_string())] //~
    async fn no_flag(&self) -> Result<u8, std::num::ParseIntError> {
        "7".parse()
    }
}

fn main() {}
