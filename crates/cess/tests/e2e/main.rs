//! Drive the binary from outside: its command line, and networks of real processes.

mod audits;
mod command_line;
mod gateway;
mod harness;
mod network;
mod objects;
mod policies;
mod proofs;
