mod append;
mod crash;
mod fixture;
mod logs;
mod state;
