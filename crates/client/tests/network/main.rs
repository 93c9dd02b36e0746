//! Store and read objects through the real protocol, code and seals, in one process.

mod evidence;
mod faults;
mod listing;
mod objects;
mod policies;
mod resume;
mod store;
mod support;
mod writers;
