//! Open every kind of content on a lot in memory, and pin the bytes.

mod lot;
mod openings;
mod vectors;
