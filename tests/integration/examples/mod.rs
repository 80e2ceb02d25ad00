//! The examples do what they say, and leave the traces that they show.

mod services;
