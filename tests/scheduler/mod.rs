//! The scheduler: exactly the slots, each once, whatever stops, races or cannot be read.

mod by_hand;
mod changes;
mod clocks;
mod fixture;
mod handover;
mod hooks;
mod limits;
mod misfires;
mod overlap;
mod program;
mod rivals;
mod turns;
