//! Buses: their spans, their metrics, the traces that messages carry, and the bus within the process at the edges.

mod attached;
mod canary;
mod confirming;
mod correlation;
mod counted;
mod handling;
mod in_process;
mod inbox;
mod killed;
mod off;
mod partly;
mod patterns;
mod propagation;
mod refusing;
mod relay;
mod silent;
mod spans;
mod translated;
